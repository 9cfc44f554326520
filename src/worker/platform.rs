//! Bindings as ports: the console, the runtime's random numbers and clock.

use std::{fmt, future::Future, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{Delay, Env};

use super::{
    fetch::{IssuerFetch, UpstreamFetch},
    hash::NodeHash,
    kv::Kv,
    lane::Lane,
    limits::Limits,
    signer::NodeSigner,
    verifier::NodeVerifier,
};
use crate::{
    app::Event,
    config::ConfigError,
    ports::{Entropy, Log, Platform, PlatformSigner},
};

/// The KV namespace of the snapshot.
const KV_BINDING: &str = "SNAPSHOT";

/// The platform that Workers is.
pub(super) struct WorkerPlatform {
    verifier: NodeVerifier,
    signer: NodeSigner,
    hash: NodeHash,
    store: Kv,
    limits: Limits,
}

impl WorkerPlatform {
    pub fn new(env: &Env) -> Result<Self, ConfigError> {
        let namespace = js_sys::Reflect::get(env.as_ref(), &JsValue::from_str(KV_BINDING))
            .ok()
            .filter(JsValue::is_object)
            .ok_or_else(|| ConfigError::new(KV_BINDING, "no KV namespace is bound to this name"))?;
        let parts = NodeVerifier::new().zip(NodeSigner::new()).zip(NodeHash::new());
        let ((verifier, signer), hash) = parts.ok_or_else(|| {
            ConfigError::new(
                "compatibility_flags",
                "nodejs_compat is needed: node:crypto verifies and makes signatures",
            )
        })?;
        Ok(Self { verifier, signer, hash, store: Kv(namespace.unchecked_into()), limits: Limits::new(env)? })
    }
}

/// The text of a variable or a secret. A variable that wrangler.toml holds as an object is given as JSON.
pub(super) fn text_binding(env: &Env, name: &str) -> Option<String> {
    let value = js_sys::Reflect::get(env.as_ref(), &JsValue::from_str(name)).ok()?;
    if value.is_undefined() || value.is_null() {
        return None;
    }
    value.as_string().or_else(|| js_sys::JSON::stringify(&value).ok()?.as_string())
}

impl Platform for WorkerPlatform {
    type Verifier = NodeVerifier;
    type Store = Kv;
    type Lane = Lane;
    type Keys = IssuerFetch;
    type Upstream = UpstreamFetch;
    type Limits = Limits;

    fn verifier(&self) -> &NodeVerifier {
        &self.verifier
    }

    fn signer(&self) -> &dyn PlatformSigner {
        &self.signer
    }

    fn store(&self) -> &Kv {
        &self.store
    }

    fn lane(&self) -> &Lane {
        &Lane
    }

    fn keys(&self) -> &IssuerFetch {
        &IssuerFetch
    }

    fn upstream(&self) -> &UpstreamFetch {
        &UpstreamFetch
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn log(&self) -> &dyn Log {
        &Console
    }

    fn entropy(&self) -> &dyn Entropy {
        &Random
    }

    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        self.hash.sha256(bytes)
    }

    fn now_ms(&self) -> u64 {
        // A number: the crate's `Date` is an object, made, asked and dropped across the border each time.
        milliseconds(js_sys::Date::now())
    }

    async fn sleep(&self, ms: u64) {
        Delay::from(Duration::from_millis(ms)).await;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and after 1970")]
const fn milliseconds(now: f64) -> u64 {
    now as u64
}

/// What JavaScript says of an error.
pub(super) fn shown(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => error.to_string().into(),
        None => error.as_string().unwrap_or_else(|| "failed".to_owned()),
    }
}

/// `work`, unless it takes longer than `limit_ms`.
pub(super) async fn in_time<T>(work: impl Future<Output = T>, limit_ms: u64) -> Option<T> {
    match select(pin!(work), pin!(Delay::from(Duration::from_millis(limit_ms)))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

struct Console;

impl Log for Console {
    fn log(&self, line: fmt::Arguments<'_>) {
        worker::console_log!("{line}");
    }
}

struct Random;

impl Entropy for Random {
    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // The runtime refuses random numbers only outside a request, and this code runs inside one.
        if getrandom::fill(&mut bytes).is_err() {
            worker::console_error!("{}", Event::NoEntropy);
        }
        bytes
    }
}
