//! Passes writes on to the origin. What it answers comes back as it is; that something was done is never said
//! unless it did.

use std::borrow::Cow;

use futures_util::{FutureExt as _, future::LocalBoxFuture};

use super::{
    ANSWERED_BY_ORIGIN,
    sent::{self, Sender},
};
use crate::{
    api::{
        error::ApiError,
        json::json,
        reply::{Body, Caching, Reply, Request},
        write::is_form_or_json,
    },
    app::{App, RequestBody, publish::read},
    config::OriginConfig,
    limits::{
        ORIGIN_ANSWER_MAX_BYTES, ORIGIN_LOST_MS, ORIGIN_RETRY_MS, RETRY_AFTER_SECS, WRITE_HELD_MAX_BYTES,
        WRITE_MAX_BYTES,
    },
    ports::{Origin, OriginAnswer, OriginBody, OriginError, OriginRequest, Platform},
};

const INVALID_KEY: ApiError =
    ApiError::InvalidField("Idempotency-Key", "The Idempotency-Key must have visible ASCII characters only");

/// The stream of a platform's request bodies.
pub(in crate::app) type StreamOf<P> = <<P as Platform>::Origin as Origin>::Stream;

/// The body of a write, as far as it is held.
enum Held {
    Empty,
    Whole(Vec<u8>),
    /// It is passed on as it arrives.
    Arriving,
}

impl<P: Platform> App<P> {
    /// Passes on a write whose token, role and path have been checked. `is_signed` is whether it needed a token.
    pub(in crate::app) async fn forward(
        &self,
        request: &Request<'_>,
        is_signed: bool,
        mut body: impl RequestBody<Stream = StreamOf<P>>,
    ) -> Reply {
        let Some(config) = &self.config.origin else { return ApiError::Internal.into() };
        if body.declared_bytes() != Some(0)
            && request.method != "DELETE"
            && !is_form_or_json(request.passed("content-type"))
        {
            return ApiError::UnsupportedMediaType.into();
        }
        // It could not be passed on, and the write must not go without it.
        if !request.passed("idempotency-key").is_ascii() {
            return INVALID_KEY.into();
        }
        // Nobody's DELETE has a body, and what has none cannot hold a second request.
        let held = match body.declared_bytes() {
            Some(0) => Held::Empty,
            _ if request.method == "DELETE" => Held::Empty,
            Some(declared) if declared > WRITE_MAX_BYTES => {
                return ApiError::BodyTooLarge(WRITE_MAX_BYTES).into();
            }
            Some(declared) if declared > WRITE_HELD_MAX_BYTES => Held::Arriving,
            _ => match read(&mut body, WRITE_MAX_BYTES).await {
                Ok(bytes) => Held::Whole(bytes),
                Err(refusal) => return refusal,
            },
        };
        let now_ms = self.platform.now_ms();
        let deadline_ms = now_ms.saturating_add(config.timeout_ms + ORIGIN_LOST_MS);
        let admitted = self.state.borrow_mut().origin.breaker(is_signed).admit(now_ms, deadline_ms);
        if let Err(wait_ms) = admitted {
            let retry_after_secs = u32::try_from(wait_ms.div_ceil(1_000)).unwrap_or(RETRY_AFTER_SECS);
            return ApiError::OriginPaused { retry_after_secs }.into();
        }
        let request_id = self.request_id();
        let answer = self.send_write(request, is_signed, &request_id, config, &held, &mut body).await;
        let mut reply = self.write_reply(answer, is_signed, matches!(held, Held::Arriving));
        // The origin's log and ours name it alike.
        reply.headers.push(("x-request-id", Cow::Owned(request_id)));
        reply
    }

    /// Sends a write; once more if the connection broke and the client named it by a key, by which the origin
    /// knows it again. Others are not repeated, not even where HTTP would allow it: a second `DELETE` is answered
    /// that there is nothing, and a second `PUT` is a second change. Nor is a sign-in, key or not: a refresh token
    /// or a code that comes twice is taken for stolen, and ends the session.
    async fn send_write(
        &self,
        request: &Request<'_>,
        is_signed: bool,
        request_id: &str,
        config: &OriginConfig,
        held: &Held,
        body: &mut impl RequestBody<Stream = StreamOf<P>>,
    ) -> Result<OriginAnswer, OriginError> {
        let may_repeat = is_signed && !request.passed("idempotency-key").is_empty();
        let mut payload = |keep| match held {
            Held::Empty => Some(OriginBody::Empty),
            Held::Whole(bytes) => Some(OriginBody::Whole(bytes)),
            Held::Arriving => body.stream(keep).map(OriginBody::Stream),
        };
        let Some(first) = payload(may_repeat) else {
            return Err(OriginError::Unreachable("the body cannot be sent".to_owned()));
        };
        let second = if may_repeat { payload(false) } else { None };
        let sender = if is_signed { Sender::Verified } else { Sender::SigningIn };
        let sent = OriginRequest {
            method: request.method,
            url: &sent::url(config, request.path, request.query),
            headers: &sent::headers(request, request_id, sender),
            timeout_ms: config.timeout_ms,
            limit_bytes: ORIGIN_ANSWER_MAX_BYTES,
        };
        self.send_in_turn(sent, first, second).await
    }

    /// Sends a request; with a second body, once more if the connection broke early enough.
    pub(super) fn send_in_turn<'a>(
        &'a self,
        mut request: OriginRequest<'a>,
        first: OriginBody<'a, StreamOf<P>>,
        second: Option<OriginBody<'a, StreamOf<P>>>,
    ) -> LocalBoxFuture<'a, Result<OriginAnswer, OriginError>> {
        async move {
            let start_ms = self.platform.now_ms();
            let answer = self.platform.origin().send(&request, first).await;
            let spent_ms = self.platform.now_ms().saturating_sub(start_ms);
            let broke = matches!(answer, Err(OriginError::Broken(_) | OriginError::Unreachable(_)));
            let (true, Some(second)) = (broke && spent_ms < request.timeout_ms / 2, second) else {
                return answer;
            };
            let jitter_ms = self.platform.entropy().random().first().copied().unwrap_or_default();
            self.platform.sleep(ORIGIN_RETRY_MS + u64::from(jitter_ms)).await;
            let spent_ms = self.platform.now_ms().saturating_sub(start_ms);
            request.timeout_ms = request.timeout_ms.saturating_sub(spent_ms).max(1);
            self.platform.origin().send(&request, second).await
        }
        .boxed_local()
    }

    /// The answer to a write of which this came. `has_streamed` is whether the client may have broken it off.
    fn write_reply(
        &self,
        answer: Result<OriginAnswer, OriginError>,
        is_signed: bool,
        has_streamed: bool,
    ) -> Reply {
        let now_ms = self.platform.now_ms();
        let origin = &mut self.state.borrow_mut().origin;
        let problem = sent::problem(&answer);
        let is_failure = problem.is_some() || matches!(&answer, Ok(answer) if is_of_a_gateway(answer.status));
        let breaker = origin.breaker(is_signed);
        if (has_streamed && answer.is_err()) || (problem.is_some() && sent::is_refused(&answer)) {
            // Otherwise anybody who sends half of a body, or what a firewall takes for an attack, could keep
            // everybody from writing.
            breaker.unknown();
        } else if is_failure {
            breaker.failed(now_ms);
        } else {
            breaker.succeeded();
        }
        // Whatever may have been changed is not remembered as it was. Signing in changes nothing.
        if is_signed
            && !matches!(&answer, Ok(answer) if problem.is_none() && (400..500).contains(&answer.status))
        {
            origin.memory.forget();
        }
        if let Some(problem) = &problem {
            self.log_origin_problem(problem);
        }
        let retry_after_secs = RETRY_AFTER_SECS;
        match (answer, problem) {
            (Ok(answer), None) => passed_back(answer),
            (Ok(answer), Some(problem)) if never_arrived(answer.status) => {
                Reply::error(ApiError::OriginUnreachable { retry_after_secs }, problem)
            }
            (Err(OriginError::Unreachable(_)), Some(problem)) => {
                Reply::error(ApiError::OriginUnreachable { retry_after_secs }, problem)
            }
            (Err(OriginError::TimedOut), Some(problem)) => {
                Reply::error(ApiError::OriginTimedOut { retry_after_secs }, problem)
            }
            (_, problem) => {
                Reply::error(ApiError::OriginFailed { retry_after_secs }, problem.unwrap_or_default())
            }
        }
    }

    pub(super) fn log_origin_problem(&self, problem: &str) {
        let problem = json(problem);
        self.platform.log().log(format_args!(r#"{{"event":"origin","problem":{problem}}}"#));
    }
}

/// What a proxy in front of the origin says when it has no answer from it.
const fn is_of_a_gateway(status: u16) -> bool {
    matches!(status, 502..=504)
}

/// What Cloudflare answers in the place of an origin to which it could make no connection: refused, unreachable,
/// no TLS, no name. Its others (520, 522, 524) may come after the request was sent.
const fn never_arrived(status: u16) -> bool {
    matches!(status, 521 | 523 | 525 | 526 | 530)
}

/// The origin's answer as it goes to the client.
fn passed_back(answer: OriginAnswer) -> Reply {
    let OriginAnswer { status, headers, body } = answer;
    let text = String::from_utf8(body).unwrap_or_default();
    let mut reply = Reply::ok(text, Caching::Private);
    reply.status = status;
    reply.reason = Cow::Borrowed(ANSWERED_BY_ORIGIN);
    if reply.body.as_bytes().is_empty() {
        // Limiters may say that it was too much, and no more.
        reply.body = if status == 429 { Body::Json(ApiError::TooManyRequests.body()) } else { Body::Empty };
    }
    for (name, value) in headers {
        if name != "content-type" {
            reply.headers.push((name, Cow::Owned(value)));
        }
    }
    if matches!(status, 429 | 503) && reply.header("retry-after").is_none() {
        reply.headers.push(("retry-after", Cow::Owned(RETRY_AFTER_SECS.to_string())));
    }
    reply
}
