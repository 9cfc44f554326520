//! The fresh lane: the named entrypoint and the Durable Object of `fresh.mjs`, through `lane.js`.

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::platform::shown;
use crate::{
    limits::HEAD_VALUE_MAX_BYTES,
    ports::{FreshLane, LaneError},
};

#[wasm_bindgen(module = "/src/worker/lane.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn lane(method: &str, value: Option<Uint8Array>, over: Option<Uint8Array>) -> Result<JsValue, JsValue>;
}

/// The lane of this Worker.
pub(super) struct Lane;

/// What a method's promise becomes. Boxed, so that the code is there once.
fn asked(
    method: &'static str,
    value: Option<Uint8Array>,
    over: Option<Uint8Array>,
) -> LocalBoxFuture<'static, Result<JsValue, LaneError>> {
    async move {
        let failed = |error: JsValue| LaneError(shown(&error));
        let promise: Promise = lane(method, value, over).map_err(failed)?.unchecked_into();
        JsFuture::from(promise).await.map_err(failed)
    }
    .boxed_local()
}

/// One byte more than a head may have is enough to refuse it.
fn head_bytes(value: &Uint8Array) -> Vec<u8> {
    let most = u32::try_from(HEAD_VALUE_MAX_BYTES + 1).unwrap_or(u32::MAX);
    value.subarray(0, most).to_vec()
}

impl FreshLane for Lane {
    fn is_there(&self) -> bool {
        lane("is_there", None, None).is_ok_and(|is_there| is_there.is_truthy())
    }

    async fn newest(&self) -> Result<Option<Vec<u8>>, LaneError> {
        let value = asked("newest", None, None).await?;
        Ok(value.dyn_ref::<Uint8Array>().map(head_bytes))
    }

    async fn announce(&self, value: &[u8], over: Option<&[u8]>) -> Result<Option<Vec<u8>>, LaneError> {
        let newer = asked("announce", Some(Uint8Array::from(value)), over.map(Uint8Array::from)).await?;
        if newer.is_undefined() {
            return Ok(None);
        }
        let newer = newer.dyn_ref::<Uint8Array>().map(head_bytes);
        newer.map(Some).ok_or_else(|| LaneError("an unknown answer".to_owned()))
    }
}
