//! Workers KV as the object store.
//!
//! Bound by hand: the crate's `KvStore` brings a serialiser for options and a deserialiser for lists and their
//! metadata, and the budget of the Wasm (`cargo xtask build`) is too narrow for them.

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use js_sys::{ArrayBuffer, Promise, Uint8Array};
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::platform::in_time;
use crate::{
    api::json::json,
    limits::{HEAD_CACHE_TTL_SECS, OBJECT_CACHE_TTL_SECS, STORE_TIMEOUT_MS, STORE_WRITE_TIMEOUT_MS},
    ports::{KeyPage, ObjectStore, StoreError},
    snapshot::{object::ObjectName, store_key::copied_bytes},
};

#[wasm_bindgen]
extern "C" {
    /// A KV namespace, as it is bound.
    pub(super) type Namespace;

    #[wasm_bindgen(method, catch)]
    fn get(this: &Namespace, key: &str, options: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn put(this: &Namespace, key: &str, value: &Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn delete(this: &Namespace, key: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn list(this: &Namespace, options: &JsValue) -> Result<Promise, JsValue>;
}

/// A KV namespace.
pub(super) struct Kv(pub(super) Namespace);

/// What `asked` becomes. Boxed, so that the code is there once and not in everything that waits for KV.
fn settled(
    asked: Result<Promise, JsValue>,
    limit_ms: u64,
) -> LocalBoxFuture<'static, Result<JsValue, StoreError>> {
    async move {
        let asked = asked.map_err(|error| failed(&error))?;
        match in_time(JsFuture::from(asked), limit_ms).await {
            Some(settled) => settled.map_err(|error| failed(&error)),
            None => Err(StoreError(format!("no answer in {limit_ms} ms"))),
        }
    }
    .boxed_local()
}

impl Kv {
    async fn read(&self, key: &str, cache_ttl_secs: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let options = options(&format!(r#"{{"type":"arrayBuffer","cacheTtl":{cache_ttl_secs}}}"#))?;
        let value = settled(self.0.get(key, &options), STORE_TIMEOUT_MS).await?;
        // `null` is a key without a value.
        Ok(value.dyn_ref::<ArrayBuffer>().map(|buffer| {
            // A view: nothing is copied before its length is known.
            let value = Uint8Array::new(buffer);
            let copied = copied_bytes(key, value.length() as usize);
            value.subarray(0, u32::try_from(copied).unwrap_or(u32::MAX)).to_vec()
        }))
    }
}

/// How old what a data centre has cached may be is said by each read, in its `cacheTtl`. By Cloudflare's page
/// <https://developers.cloudflare.com/kv/api/read-key-value-pairs/#cachettl-parameter>, "non-existent key-value
/// pairs" are cached like others, and reading "an already cached item" in the same place with a lower `cacheTtl`
/// "would check for newer data to respect the provided `cacheTtl`". It follows, though no page says so in one
/// sentence, that a cached "not found" does not outlast the shorter time of a second read.
impl ObjectStore for Kv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let is_object = ObjectName::parse(key).is_some();
        self.read(key, if is_object { OBJECT_CACHE_TTL_SECS } else { HEAD_CACHE_TTL_SECS }).await
    }

    async fn get_recent(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key, HEAD_CACHE_TTL_SECS).await
    }

    async fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let value = Uint8Array::from(value);
        settled(self.0.put(key, &value), STORE_WRITE_TIMEOUT_MS).await.map(drop)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        settled(self.0.delete(key), STORE_WRITE_TIMEOUT_MS).await.map(drop)
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        // The member is left out for the first page: the runtime may take `null` for a text.
        let cursor = cursor.map_or_else(String::new, |cursor| format!(r#","cursor":{}"#, json(cursor)));
        let options = options(&format!(r#"{{"prefix":{}{cursor}}}"#, json(prefix)))?;
        let listed = settled(self.0.list(&options), STORE_WRITE_TIMEOUT_MS).await?;
        // As text, a thousand keys cross in one call.
        let listed = js_sys::JSON::stringify(&listed).map_err(|error| failed(&error))?;
        let listed: Value = serde_json::from_slice(String::from(listed).as_bytes()).unwrap_or_default();
        page(&listed).ok_or_else(|| StoreError("a list without keys".to_owned()))
    }
}

fn page(listed: &Value) -> Option<KeyPage> {
    let keys = listed.get("keys")?.as_array()?.iter();
    let keys = keys.map(|key| Some(key.get("name")?.as_str()?.to_owned())).collect::<Option<_>>()?;
    let is_complete = listed.get("list_complete").and_then(Value::as_bool) == Some(true);
    let cursor = listed.get("cursor").and_then(Value::as_str).filter(|_| !is_complete);
    Some(KeyPage { keys, cursor: cursor.map(str::to_owned) })
}

fn options(json: &str) -> Result<JsValue, StoreError> {
    js_sys::JSON::parse(json).map_err(|error| failed(&error))
}

fn failed(error: &JsValue) -> StoreError {
    let message = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    StoreError(message.unwrap_or_else(|| "failed".to_owned()))
}
