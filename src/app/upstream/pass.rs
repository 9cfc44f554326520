//! Passes requests through to the upstream as they are, and its answers back. The rules are listed in
//! [`api::pass_through`](crate::api::pass_through) and reasoned in docs/adr/0047.
//!
//! Nothing is learnt here of checks, confirmations or writes, and nothing of theirs closes this way: the paths may belong
//! to another program than the API.

use super::{
    Exchange, StreamOf, UpstreamTraffic,
    forward::{Held, failed, never_arrived, paused, sent_back, wait_is_told},
    lane::{Closed, Party},
    received::{Unreadable, is_own_refusal, json_value},
    sent::{self, Sender},
    signs,
};
use crate::{
    api::{
        error::ApiError,
        pass_through::{self, ANSWER_HEADERS},
        reply::{Body, Caching, Reply, Request},
    },
    app::{
        RequestBody, ServiceReason,
        body::{read, unsupported},
        problems::Problem,
        seconds,
    },
    limits::{
        PASS_THROUGH_ANSWER_MAX_BYTES, PASS_THROUGH_MAX_BYTES, RETRY_AFTER_SECS, UPSTREAM_LOST_MS,
        WRITE_HELD_MAX_BYTES,
    },
    ports::{Limit, Platform, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest},
    snapshot::time::UnixSecs,
};

/// A request that may be passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct Passage {
    /// Whether it has a token, which was verified.
    pub is_signed: bool,
    /// Whether its method has a body: any but `GET` and `HEAD`.
    pub has_body: bool,
    /// Whose request it is, and below which prefix.
    pub party: Party,
}

/// A place among the requests under way, until it is dropped.
struct PlaceTaken<'t> {
    traffic: &'t UpstreamTraffic,
    number: u32,
}

impl Drop for PlaceTaken<'_> {
    fn drop(&mut self) {
        self.traffic.write().places.leave(self.number);
    }
}

impl<P: Platform> Exchange<'_, P> {
    /// Passes on a request whose path and token have been checked.
    pub async fn pass(
        &self,
        passage: Passage,
        mut body: impl RequestBody<Stream = StreamOf<P>>,
    ) -> Result<Reply, Reply> {
        self.limits.count(Limit::PassThrough, self.request, self.platform).await?;
        let length = check_body(self.request, passage, &body)?;
        let timeout_ms = self.config.pass_through_timeout_ms;
        // A short body comes in at once or costs nothing; one of unknown length may fill its megabyte slowly.
        let early = if length.is_none() { Some(self.take_place(passage.party, timeout_ms)?) } else { None };
        let held = match length {
            Some(0) => Held::Empty,
            Some(length) if length > WRITE_HELD_MAX_BYTES => Held::Arriving,
            _ => Held::Whole(read(&mut body, PASS_THROUGH_MAX_BYTES).await?),
        };
        let _place = match early {
            Some(place) => place,
            None => self.take_place(passage.party, timeout_ms)?,
        };
        let sent_at_ms = self.platform.now_ms();
        let deadline_ms = sent_at_ms.saturating_add(timeout_ms + UPSTREAM_LOST_MS);
        let admitted = self.upstream.write().passed.admit(passage.party, sent_at_ms, deadline_ms);
        admitted.map_err(paused)?;
        let answer = self.send_once(passage, &held, &mut body).await;
        let now_ms = self.platform.now_ms();
        let now = seconds(now_ms);
        let sign = signs::sign_of_pass(&answer, !matches!(held, Held::Arriving), now);
        self.upstream.write().passed.learn(passage.party, sign, sent_at_ms, now_ms);
        match self.client_answer(answer, now) {
            Ok(reply) => Ok(reply),
            Err((error, problem)) => {
                let reply = Reply::error(error, problem.text.clone());
                self.log_problems(std::iter::once(problem));
                Err(reply)
            }
        }
    }

    fn take_place(&self, party: Party, timeout_ms: u64) -> Result<PlaceTaken<'_>, Reply> {
        let now_ms = self.platform.now_ms();
        let until_ms = now_ms.saturating_add(timeout_ms + UPSTREAM_LOST_MS);
        let number = self.upstream.write().places.take(party, now_ms, until_ms);
        let number = number.ok_or_else(|| {
            let refusal = Reply::from(paused(Closed::Pause(u64::from(RETRY_AFTER_SECS) * 1_000)));
            refusal.with_detail("too many requests are passed through at the same time".to_owned())
        })?;
        Ok(PlaceTaken { traffic: self.upstream, number })
    }

    /// Sends it once, whatever happens: the edge knows of no path here whether it may come twice, not even by `GET`.
    async fn send_once(
        &self,
        passage: Passage,
        held: &Held,
        body: &mut impl RequestBody<Stream = StreamOf<P>>,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let Request { method, path, query, .. } = *self.request;
        let payload = match held {
            Held::Empty => Some(UpstreamBody::Empty),
            Held::Whole(bytes) => Some(UpstreamBody::Whole(bytes)),
            Held::Arriving => body.stream(false).map(UpstreamBody::Stream),
        };
        let Some(payload) = payload else {
            return Err(UpstreamError::Unreachable("the body cannot be sent".to_owned()));
        };
        let sender = if passage.is_signed { Sender::Verified } else { Sender::Anonymous };
        let sent = UpstreamRequest {
            method,
            url: &sent::url(self.config, path, query),
            headers: &sent::headers(self.request, self.request_id, sender, self.config),
            timeout_ms: self.config.pass_through_timeout_ms,
            limit_bytes: PASS_THROUGH_ANSWER_MAX_BYTES,
            answer_headers: &ANSWER_HEADERS,
        };
        self.send(sent, payload, None).await
    }

    /// The answer as the client gets it.
    fn client_answer(
        &self,
        answer: Result<UpstreamAnswer, UpstreamError>,
        now: UnixSecs,
    ) -> Result<Reply, (ApiError, Problem)> {
        let answer = answer.map_err(|error| (failed(&error), Problem::from(&error)))?;
        check_answer(&answer, self.request.method).map_err(|(error, problem)| (error, problem.into()))?;
        let mut reply = Reply::ok(String::new(), Caching::Private);
        (reply.status, reply.reason) = (answer.status, ServiceReason::Upstream.code().into());
        reply.is_unapplied = signs::asks_to_wait(&answer, now).is_some();
        for (name, value) in &answer.headers {
            let value = match *name {
                // The runtime has decoded the body.
                "content-encoding" => continue,
                // The address of a created resource would tell clients where the origin is.
                "location" if !(300..400).contains(&answer.status) => continue,
                "location" => Some(at_the_edge(value, &self.config.url)),
                _ => sent_back(name, value, now),
            };
            reply.headers.extend(value.map(|value| (*name, value.into())));
        }
        wait_is_told(&mut reply);
        reply.body = match answer.status {
            // Statuses without a body (Fetch §2.2.3): the runtime refuses even an empty one.
            204 | 205 | 304 => Body::Empty,
            _ => Body::Passed(answer.body),
        };
        Ok(reply)
    }
}

/// How long the body is, as far as its client says. Its headers are checked.
fn check_body(
    request: &Request<'_>,
    passage: Passage,
    body: &impl RequestBody,
) -> Result<Option<usize>, Reply> {
    let length = if passage.has_body { body.declared_bytes() } else { Some(0) };
    match pass_through::check_headers(request) {
        Err(ApiError::CONTENT_ENCODING) => {
            Err(unsupported(ApiError::CONTENT_ENCODING, request.passed("content-encoding")))
        }
        Err(error) => Err(error.into()),
        Ok(()) if length.is_some_and(|length| length > PASS_THROUGH_MAX_BYTES) => {
            Err(ApiError::BodyTooLarge(PASS_THROUGH_MAX_BYTES).into())
        }
        Ok(()) => Ok(length),
    }
}

/// Refuses an answer that is not the origin's, or that the client could not read.
fn check_answer(answer: &UpstreamAnswer, method: &str) -> Result<(), (ApiError, Unreadable)> {
    let retry_after_secs = RETRY_AFTER_SECS;
    let coding = answer.header("content-encoding").trim();
    match answer.status {
        status if never_arrived(status) => {
            Err((ApiError::UpstreamUnreachable { retry_after_secs }, Unreadable::status(answer)))
        }
        // Cloudflare's own, in the place of an origin that broke off or was too slow.
        520..=530 | ..200 | 600.. => {
            Err((ApiError::UpstreamFailed { retry_after_secs }, Unreadable::status(answer)))
        }
        // Clients delete their credentials at these, so that only the API's own may pass: no page of a firewall, and no
        // proxy's question.
        401 | 403 | 407 if !is_own_refusal_by_head(answer, method) && !signs_out(answer) => {
            let problem = "has neither the API's code and message nor OAuth's error";
            Err((ApiError::UpstreamRefused { retry_after_secs }, Unreadable::new("body", problem)))
        }
        // The runtime decodes what it asks for; the client could not tell what another coding is.
        _ if !["", "identity", "gzip", "br"].iter().any(|known| coding.eq_ignore_ascii_case(known)) => {
            let problem = format!("is {coding:?}, and the body could not be decoded");
            Err((ApiError::UpstreamFailed { retry_after_secs }, Unreadable::new("Content-Encoding", problem)))
        }
        _ => Ok(()),
    }
}

/// Whether a refusal can be taken as the origin's without a body: an answer to HEAD has none. A proxy's question is none.
fn is_own_refusal_by_head(answer: &UpstreamAnswer, method: &str) -> bool {
    method == "HEAD" && answer.status != 407
}

/// Whether a refusal is the API's own word, at which a client may sign its viewer out.
fn signs_out(answer: &UpstreamAnswer) -> bool {
    let is_own = |error: &serde_json::Value| is_own_refusal(error) || error.get("errors").is_some();
    answer.status != 407 && json_value(answer).is_ok_and(|error| is_own(&error))
}

/// A place of a redirect: below the origin's own address it is the same path at the edge. It may be a whole URL, or a path
/// at the origin's host.
fn at_the_edge(location: &str, origin_url: &str) -> String {
    let host_and_path = origin_url.split_once("://").map_or("", |(_, rest)| rest);
    let origin_path = host_and_path.find('/').and_then(|at| host_and_path.get(at..)).unwrap_or_default();
    let is_path = location.starts_with('/') && !location.starts_with("//");
    let own = if is_path { origin_path } else { origin_url };
    match location.strip_prefix(own) {
        Some(path) if path.starts_with('/') && !path.starts_with("//") => path.to_owned(),
        _ => location.to_owned(),
    }
}

#[cfg(test)]
mod tests;
