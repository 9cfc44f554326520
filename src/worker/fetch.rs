//! The fetch API: issuers' keys and the origin.

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, Request, RequestInit, RequestRedirect, Response};

use super::{
    body::{self, Unread},
    platform::{in_time, shown},
};
use crate::{
    limits::JWKS_FETCH_TIMEOUT_MS,
    ports::{
        IssuerKeys, IssuerKeysError, KeyAnswer, Upstream, UpstreamAnswer, UpstreamBody, UpstreamError,
        UpstreamRequest,
    },
};

#[wasm_bindgen]
extern "C" {
    fn fetch(request: &Request, init: &RequestInit) -> Promise;
}

/// Who asks, for the logs of issuers and of the origin. A viewer's own name is passed on where there is one.
const USER_AGENT: &str = concat!("Admit/", env!("CARGO_PKG_VERSION"), " (entitlement edge)");

/// Fetches issuers' JWKS.
pub(super) struct IssuerFetch;

impl IssuerKeys for IssuerFetch {
    async fn fetch(&self, url: &str, limit_bytes: usize) -> Result<KeyAnswer, IssuerKeysError> {
        let unsent = |_| IssuerKeysError("no request can be made of the URL".to_owned());
        let init = RequestInit::new();
        let headers = web_sys::Headers::new().map_err(unsent)?;
        headers.set("accept", "application/jwk-set+json, application/json").map_err(unsent)?;
        headers.set("user-agent", USER_AGENT).map_err(unsent)?;
        init.set_headers(&headers);
        let answer = answer_of(url.to_owned(), init, &["location"], limit_bytes, JWKS_FETCH_TIMEOUT_MS).await;
        match answer {
            Ok(UpstreamAnswer { status: 200, body, .. }) => Ok(KeyAnswer::Document(body)),
            Ok(answer) if KeyAnswer::is_redirect(answer.status) => {
                Ok(KeyAnswer::Redirect(answer.header("location").to_owned()))
            }
            Ok(UpstreamAnswer { status, .. }) => Err(IssuerKeysError(format!("status {status}"))),
            Err(UpstreamError::TooLarge) => Err(IssuerKeysError(format!("longer than {limit_bytes} bytes"))),
            Err(UpstreamError::TimedOut) => Err(IssuerKeysError("no answer in time".to_owned())),
            Err(UpstreamError::Unreachable(problem) | UpstreamError::Broken(problem)) => {
                Err(IssuerKeysError(problem))
            }
        }
    }
}

/// Sends what goes to the origin.
pub(super) struct UpstreamFetch;

impl Upstream for UpstreamFetch {
    type Stream = JsValue;

    async fn send(
        &self,
        request: &UpstreamRequest<'_>,
        body: UpstreamBody<'_, JsValue>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let unsent = |_| UpstreamError::Unreachable("no request can be made of it".to_owned());
        let init = RequestInit::new();
        init.set_method(request.method);
        // A cache in front of the origin would answer from before a purchase.
        let _set = js_sys::Reflect::set(&init, &"cache".into(), &"no-store".into());
        let headers = web_sys::Headers::new().map_err(unsent)?;
        for (name, value) in request.headers {
            headers.set(name, value).map_err(unsent)?;
        }
        if !request.headers.iter().any(|(name, _)| *name == "user-agent") {
            headers.set("user-agent", USER_AGENT).map_err(unsent)?;
        }
        init.set_headers(&headers);
        match body {
            UpstreamBody::Empty => {}
            UpstreamBody::Whole(bytes) => init.set_body(&js_sys::Uint8Array::from(bytes)),
            UpstreamBody::Stream(stream) => init.set_body(&stream),
        }
        let (url, limit_bytes) = (request.url.to_owned(), request.limit_bytes);
        answer_of(url, init, request.answer_headers, limit_bytes, request.timeout_ms).await
    }
}

/// The whole answer. Boxed, so that the code is there once. Nothing goes on behind a failure: the body of a
/// refused answer, unread, would hold one of the request's six connections.
fn answer_of(
    url: String,
    init: RequestInit,
    answer_headers: &'static [&'static str],
    limit_bytes: usize,
    timeout_ms: u64,
) -> LocalBoxFuture<'static, Result<UpstreamAnswer, UpstreamError>> {
    async move {
        let unsent = |_| UpstreamError::Unreachable("no request can be aborted".to_owned());
        let abort = AbortController::new().map_err(unsent)?;
        let signal = abort.signal();
        let answer = in_time(fetched(&url, &init, answer_headers, limit_bytes, &signal), timeout_ms).await;
        let answer = answer.unwrap_or(Err(UpstreamError::TimedOut));
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
    answer_headers: &'static [&'static str],
    limit_bytes: usize,
    signal: &AbortSignal,
) -> Result<UpstreamAnswer, UpstreamError> {
    let failed = |error| UpstreamError::Broken(shown(&error));
    // A redirect would let the owner of a path of the other host choose the answer. Those of issuers are
    // followed by the service, within their origin.
    init.set_redirect(RequestRedirect::Manual);
    let request = Request::new_with_str_and_init(url, init)
        .map_err(|_| UpstreamError::Unreachable("no request can be made of the URL".to_owned()))?;
    let may_end = RequestInit::new();
    may_end.set_signal(Some(signal));
    let response: Response =
        JsFuture::from(fetch(&request, &may_end)).await.map_err(failed)?.unchecked_into();
    let headers = response.headers();
    let headers = answer_headers.iter().filter_map(|name| Some((*name, headers.get(name).ok().flatten()?)));
    let (status, headers) = (response.status(), headers.collect());
    let body = body::whole(response.body(), limit_bytes).await.map_err(|error| match error {
        Unread::TooLong => UpstreamError::TooLarge,
        Unread::Broken(error) => failed(error),
    })?;
    Ok(UpstreamAnswer { status, headers, body })
}
