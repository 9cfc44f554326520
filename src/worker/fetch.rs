//! The fetch API: issuers' keys and the origin.

use futures_util::{FutureExt as _, StreamExt as _, future::LocalBoxFuture};
use wasm_bindgen::JsValue;
use web_sys::{RequestInit, RequestRedirect};
use worker::{AbortController, AbortSignal, Fetch};

use super::platform::in_time;
use crate::{
    limits::JWKS_FETCH_TIMEOUT_MS,
    ports::{
        ANSWER_HEADERS, KeySource, KeySourceError, Origin, OriginAnswer, OriginBody, OriginError,
        OriginRequest,
    },
};

/// Fetches issuers' JWKS.
pub(super) struct IssuerFetch;

impl KeySource for IssuerFetch {
    async fn fetch(&self, url: &str, limit_bytes: usize) -> Result<Vec<u8>, KeySourceError> {
        let answer = answer_of(url.to_owned(), RequestInit::new(), limit_bytes, JWKS_FETCH_TIMEOUT_MS).await;
        match answer {
            Ok(OriginAnswer { status: 200, body, .. }) => Ok(body),
            Ok(OriginAnswer { status, .. }) => Err(KeySourceError(format!("status {status}"))),
            Err(error) => Err(KeySourceError(error.to_string())),
        }
    }
}

/// Sends what goes to the origin.
pub(super) struct OriginFetch;

impl Origin for OriginFetch {
    type Stream = JsValue;

    async fn send(
        &self,
        request: &OriginRequest<'_>,
        body: OriginBody<'_, JsValue>,
    ) -> Result<OriginAnswer, OriginError> {
        let unsent = |_| OriginError::Unreachable("no request can be made of it".to_owned());
        let init = RequestInit::new();
        init.set_method(request.method);
        // A cache in front of the origin would answer from before a purchase.
        let _set = js_sys::Reflect::set(&init, &"cache".into(), &"no-store".into());
        let headers = web_sys::Headers::new().map_err(unsent)?;
        for (name, value) in request.headers {
            headers.set(name, value).map_err(unsent)?;
        }
        init.set_headers(&headers);
        match body {
            OriginBody::Empty => {}
            OriginBody::Whole(bytes) => init.set_body(&js_sys::Uint8Array::from(bytes)),
            OriginBody::Stream(stream) => init.set_body(&stream),
        }
        answer_of(request.url.to_owned(), init, request.limit_bytes, request.timeout_ms).await
    }
}

/// The whole answer. Boxed, so that the code is there once. Nothing goes on behind a failure: the body of a
/// refused answer, unread, would hold one of the request's six connections.
fn answer_of(
    url: String,
    init: RequestInit,
    limit_bytes: usize,
    timeout_ms: u64,
) -> LocalBoxFuture<'static, Result<OriginAnswer, OriginError>> {
    async move {
        let abort = AbortController::default();
        let signal = abort.signal();
        let answer = in_time(fetched(&url, &init, limit_bytes, &signal), timeout_ms).await;
        let answer = answer.unwrap_or(Err(OriginError::TimedOut));
        if answer.is_err() {
            abort.abort();
        }
        answer
    }
    .boxed_local()
}

async fn fetched(
    url: &str,
    init: &RequestInit,
    limit_bytes: usize,
    signal: &AbortSignal,
) -> Result<OriginAnswer, OriginError> {
    let failed = |error: worker::Error| OriginError::Broken(error.to_string());
    // A redirect would let somebody who controls a path of the other host choose the answer.
    init.set_redirect(RequestRedirect::Manual);
    let request = web_sys::Request::new_with_str_and_init(url, init)
        .map_err(|_| OriginError::Unreachable("no request can be made of the URL".to_owned()))?;
    let mut response = Fetch::Request(request.into()).send_with_signal(signal).await.map_err(failed)?;
    let status = response.status_code();
    let headers = ANSWER_HEADERS
        .into_iter()
        .filter_map(|name| Some((name, response.headers().get(name).ok().flatten()?)))
        .collect();
    let mut body = Vec::new();
    // No stream is an empty body.
    if let Ok(mut stream) = response.stream() {
        while let Some(chunk) = stream.next().await {
            body.extend(chunk.map_err(failed)?);
            if body.len() > limit_bytes {
                return Err(OriginError::TooLarge);
            }
        }
    }
    Ok(OriginAnswer { status, headers, body })
}
