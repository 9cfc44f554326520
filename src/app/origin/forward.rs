//! Passes writes on to the origin. What it answers comes back; that something was done is never said unless the
//! origin said so.

use std::borrow::Cow;

use futures_util::{FutureExt as _, future::LocalBoxFuture};

use super::{
    ANSWERED_BY_ORIGIN, OriginState,
    evidence::CustomerName,
    lane::{Lane, Party},
    problems::{Problem, Problems},
    received::{self, Written},
    sent::{self, Sender},
    signs,
};
use crate::{
    api::{
        error::ApiError,
        query,
        reply::{Body, Caching, Reply, Request},
        retry_after,
        write::{Effect, check_body_headers},
    },
    app::{App, Event, RequestBody, publish::read, seconds, unsupported},
    config::OriginConfig,
    limits::{
        ORIGIN_ANSWER_MAX_BYTES, ORIGIN_LOST_MS, ORIGIN_RETRY_MS, PASSED_RETRY_AFTER_MAX_SECS,
        RETRY_AFTER_SECS, SIGN_IN_MAX_BYTES, SIGN_IN_MAX_FIELDS, WRITE_HELD_MAX_BYTES, WRITE_MAX_BYTES,
    },
    ports::{Limit, Origin, OriginAnswer, OriginBody, OriginError, OriginRequest, Platform},
    snapshot::time::UnixSecs,
};

const INVALID_KEY: ApiError =
    ApiError::InvalidField("Idempotency-Key", "The Idempotency-Key must have visible ASCII characters only");

const LONG_QUERY: ApiError =
    ApiError::InvalidField("query", "The query of a sign-in must have at most 16384 bytes");
const MANY_FIELDS: ApiError = ApiError::InvalidField("body", "A sign-in must have at most 32 fields");

/// The stream of a platform's request bodies.
pub(in crate::app) type StreamOf<P> = <<P as Platform>::Origin as Origin>::Stream;

/// A write that may be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Whether it needed a token, which was verified.
    pub(in crate::app) is_signed: bool,
    /// Whether its body may say that a session is refreshed.
    pub(in crate::app) may_refresh: bool,
    /// The merchant that the token names.
    pub(in crate::app) merchant_id: Option<i64>,
    /// Whose write it is: the merchant's, else the customer's, else the address'.
    pub(in crate::app) party: Party,
    /// What it can open.
    pub(in crate::app) effect: Effect,
}

/// What a request that is passed on asks for. What fails for one kind closes nothing for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Write,
    SignIn,
    Refresh,
}

impl Kind {
    const fn limit(self) -> Limit {
        match self {
            Self::Write => Limit::Write,
            Self::SignIn => Limit::SignIn,
            Self::Refresh => Limit::Refresh,
        }
    }

    /// Of a request without a token. A path that refreshes nothing takes sign-ins only, whatever the body says.
    fn of_sign_in(write: Write, content_type: &str, held: &Held) -> Self {
        let (true, Held::Whole(body)) = (write.may_refresh, held) else { return Self::SignIn };
        let grant_type = query::field_of_body(content_type, body, "grant_type");
        if grant_type.is_some_and(|grant| grant == "refresh_token") { Self::Refresh } else { Self::SignIn }
    }
}

impl OriginState {
    const fn lane_of(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Write => &mut self.writes,
            Kind::SignIn => &mut self.sign_ins,
            Kind::Refresh => &mut self.refreshes,
        }
    }
}

/// The body of a write, as far as it is held.
enum Held {
    Empty,
    Whole(Vec<u8>),
    /// It is passed on as it arrives.
    Arriving,
}

/// What came of a write: the answer, and what it is for the client.
type Outcome = Result<(OriginAnswer, Written), OriginError>;

impl<P: Platform> App<P> {
    /// Passes on a write whose token, role and path have been checked.
    pub(in crate::app) async fn forward(
        &self,
        request: &Request<'_>,
        write: Write,
        mut body: impl RequestBody<Stream = StreamOf<P>>,
        request_id: &str,
    ) -> Reply {
        let Some(config) = &self.config.origin else { return ApiError::Internal.into() };
        if write.is_signed
            && let Some(refusal) = self.refused_by_limit(Limit::Write, request).await
        {
            return refusal;
        }
        let held = match hold(request, write, &mut body).await {
            Ok(held) => held,
            Err(refusal) => return refusal,
        };
        let mut kind = Kind::Write;
        if !write.is_signed {
            kind = Kind::of_sign_in(write, request.passed("content-type"), &held);
            if let Some(refusal) = self.refused_by_limit(kind.limit(), request).await {
                return refusal;
            }
        }
        let sent_at_ms = self.platform.now_ms();
        let deadline_ms = sent_at_ms.saturating_add(config.timeout_ms + ORIGIN_LOST_MS);
        let party = write.party;
        let admitted = self.state.borrow_mut().origin.lane_of(kind).admit(party, sent_at_ms, deadline_ms);
        if let Err(closed) = admitted {
            let secs = closed.wait_ms().div_ceil(1_000);
            let retry_after_secs = u32::try_from(secs).unwrap_or(RETRY_AFTER_SECS);
            return ApiError::OriginPaused { retry_after_secs }.into();
        }
        let answer = self.send_write(request, write.is_signed, request_id, config, &held, &mut body).await;
        let outcome = answer.map(|answer| {
            let written = received::written(&answer, write.is_signed);
            (answer, written)
        });
        let now = seconds(self.platform.now_ms());
        let sign = signs::sign_of_write(&outcome, !matches!(held, Held::Arriving), now);
        self.learn(request, write, &held, &outcome, |origin, now_ms| {
            origin.lane_of(kind).learn(party, sign, sent_at_ms, now_ms);
        });
        let of_headers = outcome.as_ref().ok().and_then(|(answer, _)| received::header_problem(answer, now));
        let (mut reply, problem) = reply_of(outcome, now);
        for problem in problem.into_iter().chain(of_headers.map(Problem::from)) {
            self.log_problem(&mut self.state.borrow_mut().origin.problems, request_id, &problem);
        }
        if let Some(seq) = reply.header("entitlement-seq").and_then(query::seq) {
            self.state.borrow_mut().snapshots.origin_is_at(seq, now);
        }
        // The origin's log and ours name it alike.
        reply.headers.push(("x-request-id", Cow::Owned(request_id.to_owned())));
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
            headers: &sent::headers(request, request_id, sender, config),
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

    /// Learns from what came of a write: whether the origin works, and for whom something may have changed.
    fn learn(
        &self,
        request: &Request<'_>,
        write: Write,
        held: &Held,
        outcome: &Outcome,
        learn_sign: impl FnOnce(&mut OriginState, u64),
    ) {
        let now_ms = self.platform.now_ms();
        let origin = &mut self.state.borrow_mut().origin;
        learn_sign(origin, now_ms);
        if matches!(outcome, Ok((OriginAnswer { status: 200..=299, .. }, Written::Own(_)))) {
            origin.is_back();
        }
        let is_refused =
            matches!(outcome, Ok((OriginAnswer { status: 400..=499, .. }, _) | (_, Written::Blocked(_))));
        // Signing in changes nothing.
        if !write.is_signed || is_refused {
            return;
        }
        // Whatever may have been changed is not remembered as it was.
        origin.memory.forget();
        let was_sent = !matches!(outcome, Err(OriginError::Unreachable(_)));
        if write.effect != Effect::OpensNothing && was_sent {
            let customer = match held {
                Held::Whole(body) if write.effect == Effect::Grants && body.len() <= WRITE_HELD_MAX_BYTES => {
                    CustomerName::of_grant(request.passed("content-type"), body)
                }
                _ => None,
            };
            origin.evidence.note(write.merchant_id, customer, now_ms);
        }
    }

    /// Logs that requests cannot be counted, as [`Self::log_problem`] does.
    pub(in crate::app) fn log_limit_problem(&self, limit: Limit, problem: &str) {
        let binding = limit.binding();
        let known = Problem::new(binding, String::new());
        let now_ms = self.platform.now_ms();
        let Some(times) = self.state.borrow_mut().origin.problems.count(&known, now_ms) else { return };
        Event::Limit { binding, problem, times }.log(self.platform.log());
    }

    /// Logs what is wrong with an answer, unless the same was logged a moment ago: then it is counted.
    pub(super) fn log_problem(&self, problems: &mut Problems, request_id: &str, problem: &Problem) {
        let Some(times) = problems.count(problem, self.platform.now_ms()) else { return };
        Event::Origin { request_id, problem: &problem.text, times }.log(self.platform.log());
    }
}

/// The body of a write, as far as it is to be held, if its headers say that it can be passed on.
async fn hold(request: &Request<'_>, write: Write, body: &mut impl RequestBody) -> Result<Held, Reply> {
    // No client of the API sends a body with DELETE, and without one it cannot hide a second request.
    let has_body = body.declared_bytes() != Some(0) && request.method != "DELETE";
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
        return Err(INVALID_KEY.into());
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

/// Who signs in has no token yet: what servers have to parse is bounded before anything is sent, by counting alone.
fn check_sign_in(request: &Request<'_>, held: &Held) -> Result<(), Reply> {
    let fields =
        |text: &[u8]| text.iter().filter(|byte| **byte == b'&').count() + usize::from(!text.is_empty());
    let body = match held {
        // JSON has no such separators, and is bounded by its length.
        Held::Whole(body) => body.as_slice(),
        Held::Empty | Held::Arriving => &[],
    };
    if request.query.len() > SIGN_IN_MAX_BYTES {
        return Err(LONG_QUERY.into());
    }
    if fields(body) + fields(request.query.as_bytes()) > SIGN_IN_MAX_FIELDS {
        return Err(MANY_FIELDS.into());
    }
    Ok(())
}

/// The answer to a write of which this came, and what was wrong with it, for the log.
fn reply_of(outcome: Outcome, now: UnixSecs) -> (Reply, Option<Problem>) {
    let retry_after_secs = RETRY_AFTER_SECS;
    let (error, problem) = match outcome {
        Ok((answer, Written::Own(body))) => return (passed_back(&answer, body, now), None),
        Ok((mut answer, Written::Refused(body, problem))) => {
            // The server that refused it may ask the client to wait, but not for credentials.
            answer.headers.retain(|(name, _)| *name == "retry-after");
            return (passed_back(&answer, body, now), Some(problem.into()));
        }
        Ok((_, Written::Blocked(problem))) => (ApiError::OriginRefused { retry_after_secs }, problem.into()),
        Ok((answer, Written::Unusable(problem))) if never_arrived(answer.status) => {
            (ApiError::OriginUnreachable { retry_after_secs }, problem.into())
        }
        Ok((_, Written::Unusable(problem))) => (ApiError::OriginFailed { retry_after_secs }, problem.into()),
        Err(error) => {
            let told = match error {
                OriginError::Unreachable(_) => ApiError::OriginUnreachable { retry_after_secs },
                OriginError::TimedOut => ApiError::OriginTimedOut { retry_after_secs },
                OriginError::Broken(_) | OriginError::TooLarge => ApiError::OriginFailed { retry_after_secs },
            };
            (told, Problem::from(&error))
        }
    };
    (Reply::error(error, problem.text.clone()), Some(problem))
}

/// What Cloudflare answers in the place of an origin to which it could make no connection: refused, unreachable,
/// no TLS, no name. Its others (520, 522, 524) may come after the request was sent.
const fn never_arrived(status: u16) -> bool {
    matches!(status, 521 | 523 | 525 | 526 | 530)
}

/// The origin's answer as it goes to the client, with this body.
fn passed_back(answer: &OriginAnswer, body: Body, now: UnixSecs) -> Reply {
    let mut reply = Reply::ok(String::new(), Caching::Private);
    (reply.status, reply.body, reply.reason) = (answer.status, body, Cow::Borrowed(ANSWERED_BY_ORIGIN));
    reply.is_unapplied = signs::asks_to_wait(answer, now).is_some();
    for (name, value) in &answer.headers {
        let value = match *name {
            // The runtime has decoded the body, and its type is ours.
            "content-type" | "content-encoding" => continue,
            "retry-after" => {
                retry_after::seconds(value, now).map(|secs| secs.min(PASSED_RETRY_AFTER_MAX_SECS).to_string())
            }
            "entitlement-seq" => query::seq(value).map(|seq| seq.to_string()),
            _ => Some(value.clone()),
        };
        reply.headers.extend(value.map(|value| (*name, Cow::Owned(value))));
    }
    if matches!(answer.status, 429 | 503) && reply.header("retry-after").is_none() {
        reply.headers.push(("retry-after", Cow::Owned(RETRY_AFTER_SECS.to_string())));
    }
    reply
}
