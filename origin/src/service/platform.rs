//! The platform under the edge's service at an origin: no object store, and issuers that are asked while the
//! thread waits.

use std::{fmt, io::Read as _};

use admit::{
    ports::{
        Entropy, KeyAnswer, KeyPage, KeySource, KeySourceError, Log, NoLimits, NoOrigin, ObjectStore,
        Platform, StoreError,
    },
    token::NativeVerifier,
};
use admit_native::http_client::{self, RootsError};

use crate::{clock::Clock, limits::JWKS_TIMEOUT};

/// The `User-Agent` of requests to issuers.
const USER_AGENT: &str = concat!("admit-origin/", env!("CARGO_PKG_VERSION"));

/// The platform of one thread.
#[derive(Debug)]
pub struct OriginPlatform {
    clock: Clock,
    issuers: Issuers,
}

impl OriginPlatform {
    /// A platform with this clock.
    ///
    /// # Errors
    /// If the environment names root certificates that cannot be read.
    pub fn new(clock: Clock) -> Result<Self, RootsError> {
        // The service follows redirects itself, only within the issuer's web origin.
        let config = http_client::config(USER_AGENT)?.timeout_global(Some(JWKS_TIMEOUT)).build();
        Ok(Self { clock, issuers: Issuers(config.into()) })
    }
}

/// A store without content: an origin has no snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

impl ObjectStore for Nowhere {
    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: &[u8]) -> Result<(), StoreError> {
        Err(nothing_is_stored())
    }

    async fn delete(&self, _: &str) -> Result<(), StoreError> {
        Err(nothing_is_stored())
    }

    async fn list(&self, _: &str, _: Option<&str>) -> Result<KeyPage, StoreError> {
        Err(nothing_is_stored())
    }
}

fn nothing_is_stored() -> StoreError {
    StoreError("an origin stores no snapshot".to_owned())
}

/// Issuers over HTTP. The futures are ready at once, because the thread waits inside the call.
#[derive(Debug)]
pub struct Issuers(ureq::Agent);

impl KeySource for Issuers {
    async fn fetch(&self, url: &str, limit_bytes: usize) -> Result<KeyAnswer, KeySourceError> {
        let failed = |error: &dyn fmt::Display| KeySourceError(error.to_string());
        let mut response = self.0.get(url).call().map_err(|error| failed(&error))?;
        if KeyAnswer::is_redirect(response.status().as_u16()) {
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            return Ok(KeyAnswer::Redirect(location.unwrap_or_default().to_owned()));
        }
        if response.status() != 200 {
            return Err(KeySourceError(format!("status {}", response.status())));
        }
        let mut document = Vec::new();
        // One byte more than the limit distinguishes a document that just fits from one that is too long.
        let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
        let reader = response.body_mut().as_reader().take(limit);
        std::io::copy(&mut { reader }, &mut document).map_err(|error| failed(&error))?;
        let document = http_client::unpacked(document, limit_bytes).map_err(|error| failed(&error))?;
        if document.len() > limit_bytes {
            return Err(KeySourceError(format!("longer than {limit_bytes} bytes")));
        }
        Ok(KeyAnswer::Document(document))
    }
}

/// Log lines on standard error.
#[derive(Clone, Copy, Debug)]
pub struct StandardError;

impl Log for StandardError {
    fn log(&self, line: fmt::Arguments<'_>) {
        eprintln!("{line}");
    }
}

/// The system's random numbers.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn random(&self) -> [u8; 16] {
        *uuid::Uuid::new_v4().as_bytes()
    }
}

impl Platform for OriginPlatform {
    type Verifier = NativeVerifier;
    type Store = Nowhere;
    type Keys = Issuers;
    type Origin = NoOrigin;
    type Limits = NoLimits;

    fn verifier(&self) -> &NativeVerifier {
        &NativeVerifier
    }

    fn store(&self) -> &Nowhere {
        &Nowhere
    }

    fn keys(&self) -> &Issuers {
        &self.issuers
    }

    fn origin(&self) -> &NoOrigin {
        &NoOrigin
    }

    fn limits(&self) -> &NoLimits {
        &NoLimits
    }

    fn log(&self) -> &dyn Log {
        &StandardError
    }

    fn entropy(&self) -> &dyn Entropy {
        &SystemEntropy
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    async fn sleep(&self, _: u64) {}
}
