//! Bodies of requests and answers, read to their end. By the platform's own reader, because workers-rs' streams
//! bring its `Request`, its `Response` and the errors of every product into the module.

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use js_sys::{IteratorNext, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

/// Why a body was not read to its end.
pub(super) enum Unread {
    /// It is longer than it may be.
    TooLong,
    /// It ended early.
    Broken(JsValue),
}

/// All of `stream`, none of which has been read; no stream is an empty body. Boxed, so that the code is there once.
pub(super) fn whole(
    stream: Option<ReadableStream>,
    limit_bytes: usize,
) -> LocalBoxFuture<'static, Result<Vec<u8>, Unread>> {
    async move {
        let mut body = Vec::new();
        let Some(stream) = stream else { return Ok(body) };
        let reader = ReadableStreamDefaultReader::new(&stream).map_err(Unread::Broken)?;
        loop {
            let read: IteratorNext =
                JsFuture::from(reader.read()).await.map_err(Unread::Broken)?.unchecked_into();
            if read.done() {
                return Ok(body);
            }
            let chunk: Uint8Array = read.value().unchecked_into();
            if body.len().saturating_add(chunk.length() as usize) > limit_bytes {
                // No code awaits the cancellation. As a future, its failure counts as handled.
                drop(JsFuture::from(reader.cancel()));
                return Err(Unread::TooLong);
            }
            body.extend_from_slice(&chunk.to_vec());
        }
    }
    .boxed_local()
}
