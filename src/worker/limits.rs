//! Rate-limit bindings, bound by hand: the crate's own need code for every error of every product.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::Env;

use super::platform::{in_time, shown};
use crate::{
    config::ConfigError,
    limits::LIMIT_TIMEOUT_MS,
    ports::{Limit, RateLimitError, RateLimits},
};

#[wasm_bindgen]
extern "C" {
    /// A rate limit, as it is bound.
    type Binding;

    #[wasm_bindgen(method, catch)]
    fn limit(this: &Binding, options: &JsValue) -> Result<Promise, JsValue>;
}

/// The limits of `wrangler.toml`.
pub(super) struct Limits(Vec<(Limit, Binding)>);

impl Limits {
    /// Those that are bound; others limit nothing.
    pub fn new(env: &Env) -> Result<Self, ConfigError> {
        let mut bound = Vec::new();
        for limit in Limit::ALL {
            let name = limit.binding();
            let value = js_sys::Reflect::get(env.as_ref(), &JsValue::from_str(name)).unwrap_or_default();
            if value.is_undefined() || value.is_null() {
                continue;
            }
            let method = js_sys::Reflect::get(&value, &JsValue::from_str("limit"));
            if !method.is_ok_and(|method| method.is_function()) {
                return Err(ConfigError::new(
                    name,
                    "expected a rate limit ([[ratelimits]] in wrangler.toml)",
                ));
            }
            bound.push((limit, value.unchecked_into()));
        }
        Ok(Self(bound))
    }

    fn get(&self, limit: Limit) -> Option<&Binding> {
        self.0.iter().find(|(known, _)| *known == limit).map(|(_, binding)| binding)
    }
}

impl RateLimits for Limits {
    fn has(&self, limit: Limit) -> bool {
        self.get(limit).is_some()
    }

    async fn allows(&self, limit: Limit, key: &str) -> Result<bool, RateLimitError> {
        let failed = |error: JsValue| RateLimitError(shown(&error));
        let Some(binding) = self.get(limit) else { return Ok(true) };
        let options = js_sys::Object::new();
        js_sys::Reflect::set(&options, &"key".into(), &key.into()).map_err(failed)?;
        let asked = binding.limit(&options).map_err(failed)?;
        let answer = in_time(JsFuture::from(asked), LIMIT_TIMEOUT_MS).await;
        let answer = answer.ok_or_else(|| RateLimitError(format!("no answer in {LIMIT_TIMEOUT_MS} ms")))?;
        let success = js_sys::Reflect::get(&answer.map_err(failed)?, &"success".into()).map_err(failed)?;
        success.as_bool().ok_or_else(|| RateLimitError("an answer without success".to_owned()))
    }
}
