//! The fresh lane: the named entrypoint and the Durable Object of `fresh.mjs`, through the functions of `lane.js`.

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
    fn is_there() -> bool;

    fn newest(most: usize) -> Promise;

    fn announce(value: &Uint8Array) -> Promise;
}

/// The lane of this Worker.
pub(super) struct Lane;

/// Boxed, so that the code is there once.
fn settled(asked: Promise) -> LocalBoxFuture<'static, Result<JsValue, LaneError>> {
    JsFuture::from(asked).map(|settled| settled.map_err(|error| LaneError(shown(&error)))).boxed_local()
}

impl FreshLane for Lane {
    fn is_there(&self) -> bool {
        is_there()
    }

    async fn newest(&self) -> Result<Option<Vec<u8>>, LaneError> {
        let value = settled(newest(HEAD_VALUE_MAX_BYTES)).await?;
        Ok(value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec))
    }

    async fn announce(&self, value: &[u8]) -> Result<(), LaneError> {
        settled(announce(&Uint8Array::from(value))).await.map(drop)
    }
}
