//! Passes writes and sign-ins on to the upstream. Its answer comes back; the edge never claims that a write was applied
//! unless the upstream said so (docs/adr/0008).

use std::borrow::Cow;

use super::{
    Exchange, StreamOf, UpstreamState,
    evidence::CustomerName,
    lane::{Closed, Lane, Party},
    received::{self, Written},
    sent::{self, Sender},
    signs,
};
use crate::{
    api::{
        contract::Effect,
        error::ApiError,
        query,
        reply::{Body, Caching, Reply, Request},
        retry_after,
        write::check_body_headers,
    },
    app::{
        RequestBody, ServiceReason,
        body::{read, unsupported},
        problems::Problem,
        seconds,
    },
    limits::{
        PASSED_RETRY_AFTER_MAX_SECS, RETRY_AFTER_SECS, SIGN_IN_MAX_BYTES, SIGN_IN_MAX_FIELDS,
        UPSTREAM_ANSWER_MAX_BYTES, UPSTREAM_LOST_MS, WRITE_HELD_MAX_BYTES, WRITE_MAX_BYTES,
    },
    ports::{ANSWER_HEADERS, Limit, Platform, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest},
    snapshot::time::UnixSecs,
};

/// A write that may be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct Write {
    /// Whether it needed a token, which was verified.
    pub is_signed: bool,
    /// Whether it has a body. One that a client sends anyway is not passed on.
    pub has_body: bool,
    /// Whether its body may say that a session is refreshed.
    pub may_refresh: bool,
    /// The merchant that the token names.
    pub merchant_id: Option<i64>,
    /// Whose write it is: the merchant's, else the customer's, else the address'.
    pub party: Party,
    /// What it can open.
    pub effect: Effect,
}

/// What a request that is passed on asks for. What fails for one kind closes nothing for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ForwardKind {
    Write,
    SignIn,
    Refresh,
}

impl ForwardKind {
    const fn limit(self) -> Limit {
        match self {
            Self::Write => Limit::Write,
            Self::SignIn => Limit::SignIn,
            Self::Refresh => Limit::Refresh,
        }
    }

    /// The kind of a request without a token. A path that refreshes no session takes every body for a sign-in.
    fn of_sign_in(write: Write, content_type: &str, held: &Held) -> Self {
        let (true, Held::Whole(body)) = (write.may_refresh, held) else { return Self::SignIn };
        let grant_type = query::field_of_body(content_type, body, "grant_type");
        if grant_type.is_some_and(|grant| grant == "refresh_token") { Self::Refresh } else { Self::SignIn }
    }
}

impl UpstreamState {
    const fn lane_of(&mut self, kind: ForwardKind) -> &mut Lane {
        match kind {
            ForwardKind::Write => &mut self.writes,
            ForwardKind::SignIn => &mut self.sign_ins,
            ForwardKind::Refresh => &mut self.refreshes,
        }
    }
}

/// The body of a write, as far as it is held.
pub(super) enum Held {
    Empty,
    Whole(Vec<u8>),
    /// It is passed on as it arrives.
    Arriving,
}

/// The outcome of a write: the answer, and its meaning for the client.
type WriteOutcome = Result<(UpstreamAnswer, Written), UpstreamError>;

impl<P: Platform> Exchange<'_, P> {
    /// Passes on a write whose token, role and path have been checked.
    pub async fn forward(
        &self,
        write: Write,
        mut body: impl RequestBody<Stream = StreamOf<P>>,
    ) -> Result<Reply, Reply> {
        let request = self.request;
        if write.is_signed {
            self.count(Limit::Write).await?;
        }
        let held = hold(request, write, &mut body).await?;
        let mut kind = ForwardKind::Write;
        if !write.is_signed {
            kind = ForwardKind::of_sign_in(write, request.passed("content-type"), &held);
            self.count(kind.limit()).await?;
        }
        let sent_at_ms = self.platform.now_ms();
        let deadline_ms = sent_at_ms.saturating_add(self.config.timeout_ms + UPSTREAM_LOST_MS);
        let admitted = self.upstream.write().lane_of(kind).admit(write.party, sent_at_ms, deadline_ms);
        admitted.map_err(paused)?;
        let answer = self.send_write(write.is_signed, &held, &mut body).await;
        let outcome = answer.map(|answer| {
            let written = received::written(&answer, write.is_signed);
            (answer, written)
        });
        let now_ms = self.platform.now_ms();
        let now = seconds(now_ms);
        let sign = signs::sign_of_write(&outcome, !matches!(held, Held::Arriving), now);
        {
            let state = &mut *self.upstream.write();
            state.lane_of(kind).learn(write.party, sign, sent_at_ms, now_ms);
            state.learn_of_write(request, write, &held, &outcome, now_ms);
        }
        let of_headers = outcome.as_ref().ok().and_then(|(answer, _)| received::header_problem(answer, now));
        let (reply, problem) = reply_of(outcome, now);
        self.log_problems(problem.into_iter().chain(of_headers.map(Problem::from)));
        if let Some(seq) = reply.header("entitlement-seq").and_then(query::seq) {
            self.library.write().upstream_is_at(seq, now);
        }
        Ok(reply)
    }

    /// Counts the request by its address.
    async fn count(&self, limit: Limit) -> Result<(), Reply> {
        self.limits.count(limit, self.request, self.platform).await
    }

    /// Sends a write; once more if the connection broke and the client gave it a key, by which the upstream recognises
    /// it. Others are not repeated, not even where HTTP would allow it: a second `DELETE` is answered that there is
    /// nothing, and a second `PUT` is a second change. Nor is a sign-in, key or not: a refresh token or a code that
    /// comes twice is taken for stolen, and ends the session.
    async fn send_write(
        &self,
        is_signed: bool,
        held: &Held,
        body: &mut impl RequestBody<Stream = StreamOf<P>>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let Request { method, path, query, .. } = *self.request;
        let may_repeat = is_signed && !self.request.passed("idempotency-key").is_empty();
        let mut payload = |keep| match held {
            Held::Empty => Some(UpstreamBody::Empty),
            Held::Whole(bytes) => Some(UpstreamBody::Whole(bytes)),
            Held::Arriving => body.stream(keep).map(UpstreamBody::Stream),
        };
        let Some(first) = payload(may_repeat) else {
            return Err(UpstreamError::Unreachable("the body cannot be sent".to_owned()));
        };
        let second = if may_repeat { payload(false) } else { None };
        let sender = if is_signed { Sender::Verified } else { Sender::SigningIn };
        let sent = UpstreamRequest {
            method,
            url: &sent::url(self.config, path, query),
            headers: &sent::headers(self.request, self.request_id, sender, self.config),
            timeout_ms: self.config.timeout_ms,
            limit_bytes: UPSTREAM_ANSWER_MAX_BYTES,
            answer_headers: &ANSWER_HEADERS,
        };
        self.send(sent, first, second).await
    }
}

impl UpstreamState {
    /// Learns from the outcome of a write: whether the upstream is back, and for which customers something may have
    /// changed.
    fn learn_of_write(
        &mut self,
        request: &Request<'_>,
        write: Write,
        held: &Held,
        outcome: &WriteOutcome,
        now_ms: u64,
    ) {
        if matches!(outcome, Ok((UpstreamAnswer { status: 200..=299, .. }, Written::Own(_)))) {
            self.is_back();
        }
        let is_refused =
            matches!(outcome, Ok((UpstreamAnswer { status: 400..=499, .. }, _) | (_, Written::Blocked(_))));
        // Signing in changes nothing.
        if !write.is_signed || is_refused {
            return;
        }
        // The remembered answers may be outdated by the change.
        self.memory.forget();
        let was_sent = !matches!(outcome, Err(UpstreamError::Unreachable(_)));
        if write.effect != Effect::OpensNothing && was_sent {
            let customer = match held {
                Held::Whole(body) if write.effect == Effect::Grants && body.len() <= WRITE_HELD_MAX_BYTES => {
                    CustomerName::of_grant(request.passed("content-type"), body)
                }
                _ => None,
            };
            self.evidence.note(write.merchant_id, customer, now_ms);
        }
    }
}

/// The body of a write, held if it is short, and checked by its headers.
async fn hold(request: &Request<'_>, write: Write, body: &mut impl RequestBody) -> Result<Held, Reply> {
    let has_body = write.has_body && body.declared_bytes() != Some(0);
    if has_body {
        let (content_type, coding) = (request.passed("content-type"), request.passed("content-encoding"));
        match check_body_headers(content_type, coding) {
            Ok(()) => {}
            Err(ApiError::CONTENT_ENCODING) => return Err(unsupported(ApiError::CONTENT_ENCODING, coding)),
            Err(error) => return Err(unsupported(error, content_type)),
        }
    }
    // It could not be passed on, and the write must not go without it.
    if !request.passed("idempotency-key").is_ascii() {
        return Err(ApiError::INVALID_IDEMPOTENCY_KEY.into());
    }
    let limit_bytes = if write.is_signed { WRITE_MAX_BYTES } else { SIGN_IN_MAX_BYTES };
    let held = match body.declared_bytes() {
        _ if !has_body => Held::Empty,
        Some(declared) if declared > limit_bytes => return Err(ApiError::BodyTooLarge(limit_bytes).into()),
        Some(declared) if declared > WRITE_HELD_MAX_BYTES => Held::Arriving,
        _ => Held::Whole(read(body, limit_bytes).await?),
    };
    if !write.is_signed {
        check_sign_in(request, &held)?;
    }
    Ok(held)
}

/// A sign-in has no token yet: what servers have to parse is bounded before anything is sent, by counting alone.
fn check_sign_in(request: &Request<'_>, held: &Held) -> Result<(), Reply> {
    let fields =
        |text: &[u8]| text.iter().filter(|byte| **byte == b'&').count() + usize::from(!text.is_empty());
    let body = match held {
        // JSON has no such separators, and is bounded by its length.
        Held::Whole(body) => body.as_slice(),
        Held::Empty | Held::Arriving => &[],
    };
    if request.query.len() > SIGN_IN_MAX_BYTES {
        return Err(ApiError::LONG_SIGN_IN_QUERY.into());
    }
    if fields(body) + fields(request.query.as_bytes()) > SIGN_IN_MAX_FIELDS {
        return Err(ApiError::MANY_SIGN_IN_FIELDS.into());
    }
    Ok(())
}

/// The answer to a write with this outcome, and the problem for the log.
fn reply_of(outcome: WriteOutcome, now: UnixSecs) -> (Reply, Option<Problem>) {
    let retry_after_secs = RETRY_AFTER_SECS;
    let (error, problem) = match outcome {
        Ok((answer, Written::Own(body))) => return (passed_back(&answer, body, now), None),
        Ok((mut answer, Written::Refused(body, problem))) => {
            // The server that refused it may ask the client to wait, but not for credentials.
            answer.headers.retain(|(name, _)| *name == "retry-after");
            return (passed_back(&answer, body, now), Some(problem.into()));
        }
        Ok((_, Written::Blocked(problem))) => {
            (ApiError::UpstreamRefused { retry_after_secs }, problem.into())
        }
        Ok((answer, Written::Unusable(problem))) if never_arrived(answer.status) => {
            (ApiError::UpstreamUnreachable { retry_after_secs }, problem.into())
        }
        Ok((_, Written::Unusable(problem))) => {
            (ApiError::UpstreamFailed { retry_after_secs }, problem.into())
        }
        Err(error) => (failed(&error), Problem::from(&error)),
    };
    (Reply::error(error, problem.text.clone()), Some(problem))
}

/// The answer to a request that is not sent now.
pub(super) fn paused(closed: Closed) -> ApiError {
    let secs = closed.wait_ms().div_ceil(1_000);
    let retry_after_secs = u32::try_from(secs).unwrap_or(RETRY_AFTER_SECS);
    ApiError::UpstreamPaused { retry_after_secs }
}

/// The answer to a request that the upstream has not answered.
pub(super) fn failed(error: &UpstreamError) -> ApiError {
    let retry_after_secs = RETRY_AFTER_SECS;
    match error {
        UpstreamError::Unreachable(_) => ApiError::UpstreamUnreachable { retry_after_secs },
        UpstreamError::TimedOut => ApiError::UpstreamTimedOut { retry_after_secs },
        UpstreamError::Broken(_) | UpstreamError::TooLarge => ApiError::UpstreamFailed { retry_after_secs },
    }
}

/// What Cloudflare answers in the place of an origin to which it could make no connection: refused, unreachable,
/// no TLS, no name. Its others (520, 522, 524) may come after the request was sent.
pub(super) const fn never_arrived(status: u16) -> bool {
    matches!(status, 521 | 523 | 525 | 526 | 530)
}

/// The origin's answer as it goes to the client, with this body.
fn passed_back(answer: &UpstreamAnswer, body: Body, now: UnixSecs) -> Reply {
    let mut reply = Reply::ok(String::new(), Caching::Private);
    (reply.status, reply.body, reply.reason) =
        (answer.status, body, Cow::Borrowed(ServiceReason::Upstream.code()));
    reply.is_unapplied = signs::asks_to_wait(answer, now).is_some();
    // The runtime has decoded the body, and its type is ours.
    let headers =
        answer.headers.iter().filter(|(name, _)| !matches!(*name, "content-type" | "content-encoding"));
    reply
        .headers
        .extend(headers.filter_map(|(name, value)| Some((*name, sent_back(name, value, now)?.into()))));
    wait_is_told(&mut reply);
    reply
}

/// A header of the origin's answer as the client gets it; nothing if its value is invalid.
pub(super) fn sent_back(name: &str, value: &str, now: UnixSecs) -> Option<String> {
    match name {
        "retry-after" => {
            retry_after::seconds(value, now).map(|secs| secs.min(PASSED_RETRY_AFTER_MAX_SECS).to_string())
        }
        "entitlement-seq" => query::seq(value).map(|seq| seq.to_string()),
        _ => Some(value.to_owned()),
    }
}

/// Every 429 and 503 says when to come again.
pub(super) fn wait_is_told(reply: &mut Reply) {
    if matches!(reply.status, 429 | 503) && reply.header("retry-after").is_none() {
        reply.headers.push(("retry-after", Cow::Owned(RETRY_AFTER_SECS.to_string())));
    }
}
