//! Asks the origin what the snapshot cannot grant: a denial is confirmed before it is one (docs/adr/0007).

use std::{borrow::Cow, rc::Rc};

use serde_json::Value;

use super::{
    ANSWERED_BY_ORIGIN, Check, OriginState, Verdict,
    sent::{self, Sender},
};
use crate::{
    api::{
        bodies::{shown_address, shown_country},
        error::ApiError,
        json::json,
        reply::{Caching, Reply, Request},
        write::is_json,
    },
    app::{App, seconds},
    config::OriginConfig,
    entitlement::Reason,
    limits::{ORIGIN_ANSWER_MAX_BYTES, ORIGIN_LOST_MS},
    ports::{OriginAnswer, OriginBody, OriginError, OriginRequest, Platform},
    snapshot::time::UnixSecs,
    token::{Principal, VerifiedToken},
};

/// A read that the origin is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The check; nothing for other reads.
    pub(in crate::app) check: Option<Check>,
    /// Who asks, if the read needs a token.
    pub(in crate::app) token: Option<Rc<VerifiedToken>>,
    /// Whether the client wants what is newer than the snapshot: what is remembered will not do.
    pub(in crate::app) insists: bool,
    /// The answer if the origin does not know better.
    pub(in crate::app) otherwise: Reply,
}

/// What is to be done about a question.
enum Step {
    Answer(Reply),
    /// Another request asks the same.
    Wait,
    /// Ask; the memory is of this generation.
    Ask(u32),
}

impl<P: Platform> App<P> {
    /// Answers by the origin, or, if it does not know better or is not to be asked, by the snapshot. Nothing when
    /// another request asks the same and this one may wait for it.
    pub(in crate::app) async fn ask(
        &self,
        question: &Question,
        request: &Request<'_>,
        may_wait: bool,
    ) -> Option<Reply> {
        let Some(config) = &self.config.origin else { return Some(question.otherwise.clone()) };
        let generation = match self.next_step(question, request, config) {
            Step::Answer(reply) => return Some(reply),
            Step::Wait if may_wait => return None,
            Step::Wait => return Some(question.otherwise.clone()),
            Step::Ask(generation) => generation,
        };
        let id = self.request_id();
        let sender = if question.token.is_some() { Sender::Verified } else { Sender::Anybody };
        let (answer, problem) = self.ask_origin(request, &id, sender, config).await;
        let now_ms = self.platform.now_ms();
        let now = seconds(now_ms);
        if let Some(problem) = &problem {
            self.log_origin_problem(problem);
        }
        let origin = &mut self.state.borrow_mut().origin;
        settle(origin, &answer, problem.is_some(), question.token.is_some(), now_ms);
        let mut reply = match question.check {
            None => {
                let reply = answer.as_ref().ok().and_then(read_reply);
                reply.unwrap_or_else(|| question.otherwise.clone())
            }
            Some(check) => {
                let principal = question.token.as_ref().map(|token| &token.principal);
                let verdict = answer
                    .as_ref()
                    .map_or(Verdict::Unknown, |answer| verdict(answer, check.1, principal, now));
                origin.memory.end(check);
                origin.memory.insert(check, verdict.clone(), generation, now_ms, config);
                check_reply(verdict, question, request)
            }
        };
        let seq = answer.as_ref().map_or("", |answer| answer.header("entitlement-seq"));
        if !seq.is_empty() {
            reply.headers.push(("entitlement-seq", Cow::Owned(seq.to_owned())));
        }
        // The origin's log and ours name it alike.
        reply.headers.push(("x-request-id", Cow::Owned(id)));
        Some(reply)
    }

    fn next_step(&self, question: &Question, request: &Request<'_>, config: &OriginConfig) -> Step {
        let now_ms = self.platform.now_ms();
        let origin = &mut self.state.borrow_mut().origin;
        let OriginState { reads, checks_budget, reads_budget, memory, .. } = origin;
        if let Some(check) = question.check {
            if let Some(verdict) = memory.get(check, now_ms).filter(|_| !question.insists) {
                return Step::Answer(check_reply(verdict, question, request));
            }
            if memory.is_asking(check, now_ms) {
                return Step::Wait;
            }
        }
        let deadline_ms = now_ms.saturating_add(config.confirm_timeout_ms + ORIGIN_LOST_MS);
        let customer = question.check.and(question.token.as_ref()).map(|token| token.principal.customer_key);
        let per_sec = config.confirms_per_sec;
        let budget = if question.check.is_some() { checks_budget } else { reads_budget };
        // The breaker last: it counts on whom it lets through.
        let may_ask = per_sec > 0
            && customer.is_none_or(|customer| memory.may_ask(customer, now_ms))
            && budget.take(now_ms, per_sec, per_sec.saturating_mul(2))
            && reads.admit(now_ms, deadline_ms).is_ok();
        if !may_ask {
            return Step::Answer(question.otherwise.clone());
        }
        if let Some(check) = question.check {
            memory.begin(check, now_ms, deadline_ms);
        }
        Step::Ask(memory.generation())
    }

    /// Asks, once more if the connection broke: a read may be repeated. Says what was wrong with the answer.
    async fn ask_origin(
        &self,
        request: &Request<'_>,
        id: &str,
        sender: Sender,
        config: &OriginConfig,
    ) -> (Result<OriginAnswer, OriginError>, Option<String>) {
        let mut headers = sent::headers(request, id, sender);
        headers.push(("accept", Cow::Borrowed("application/json")));
        // Checks take no parameters: what is remembered of one answers whatever query is sent along.
        let query = if sender == Sender::Verified { "" } else { request.query };
        let asked = OriginRequest {
            method: "GET",
            url: &sent::url(config, request.path, query),
            headers: &headers,
            timeout_ms: config.confirm_timeout_ms,
            limit_bytes: ORIGIN_ANSWER_MAX_BYTES,
        };
        let answer = self.send_in_turn(asked, OriginBody::Empty, Some(OriginBody::Empty)).await;
        let problem = sent::problem(&answer).or_else(|| match &answer {
            Ok(OriginAnswer { status: status @ 500.., .. }) => Some(format!("status {status}")),
            _ => None,
        });
        (answer, problem)
    }
}

fn settle(
    origin: &mut OriginState,
    answer: &Result<OriginAnswer, OriginError>,
    is_failure: bool,
    has_token: bool,
    now_ms: u64,
) {
    match answer {
        Ok(answer) if answer.status == 429 => {
            origin.reads.pause(now_ms, answer.header("retry-after").parse().unwrap_or(1));
        }
        // What a firewall takes for an attack, and what needs no token: otherwise anybody could keep denials from
        // being confirmed.
        _ if is_failure && (!has_token || sent::is_refused(answer)) => origin.reads.unknown(),
        _ if is_failure => {
            origin.reads.failed(now_ms);
        }
        _ => origin.reads.succeeded(),
    }
}

/// What the origin says of a check. Only what is surely its own word counts: a 200 from whatever stands in front
/// of it must let nobody in, a 404 turn nobody away, and what it thinks of the token, which is good here, must
/// log nobody out.
fn verdict(answer: &OriginAnswer, item_id: i64, principal: Option<&Principal>, now: UnixSecs) -> Verdict {
    let read = || serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let is_json = is_json(answer.header("content-type"));
    match answer.status {
        200 if is_json => {
            let body = read();
            let expires_at = body.get("expires_at").and_then(Value::as_i64).unwrap_or(i64::MIN);
            let of_item = |name: &str| body.get("item")?.get(name)?.as_i64();
            // An issuer that speaks for some merchants opens nothing of others, here as in the snapshot.
            let is_heard = principal.is_some_and(|principal| {
                principal.merchants.is_none()
                    || of_item("merchant_id").is_some_and(|merchant| principal.is_heard_by(merchant))
            });
            if of_item("id") == Some(item_id) && expires_at > now && is_heard {
                Verdict::Granted(Rc::from(json(&body)), expires_at)
            } else {
                Verdict::Unknown
            }
        }
        402 if is_json => Verdict::Denied,
        404 if is_json && message_of(&read()) == ApiError::ItemNotFound.message() => Verdict::NoItem,
        _ => Verdict::Unknown,
    }
}

fn check_reply(verdict: Verdict, question: &Question, request: &Request<'_>) -> Reply {
    let otherwise = &question.otherwise;
    match verdict {
        Verdict::Granted(body, _) => granted(&body, request),
        Verdict::Denied if otherwise.status != 402 => {
            Reply::error(ApiError::NoAccess, Reason::NoGrant.code())
        }
        Verdict::NoItem if !matches!(otherwise.status, 402 | 404) => ApiError::ItemNotFound.into(),
        Verdict::Denied | Verdict::NoItem | Verdict::Unknown => otherwise.clone(),
    }
}

/// The origin's body, with the address and the country of this request: it may have been another one's.
fn granted(body: &str, request: &Request<'_>) -> Reply {
    let mut body: Value = serde_json::from_slice(body.as_bytes()).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.insert("ip_address".to_owned(), shown_address(request.ip_address).into());
        members.insert("country_code".to_owned(), shown_country(request.country).into());
    }
    let mut reply = Reply::ok(json(&body), Caching::Private);
    reply.reason = Cow::Borrowed(ANSWERED_BY_ORIGIN);
    reply
}

/// What the origin says of another read, if it is surely its own word.
fn read_reply(answer: &OriginAnswer) -> Option<Reply> {
    if !is_json(answer.header("content-type")) {
        return None;
    }
    match answer.status {
        200 => {
            let body = std::str::from_utf8(&answer.body).ok()?;
            let mut reply = Reply::ok(body.to_owned(), Caching::Private);
            reply.reason = Cow::Borrowed(ANSWERED_BY_ORIGIN);
            Some(reply)
        }
        404 => {
            let body: Value = serde_json::from_slice(&answer.body).ok()?;
            [ApiError::ItemNotFound, ApiError::FeeNotFound]
                .into_iter()
                .find(|error| error.message() == message_of(&body))
                .map(Reply::from)
        }
        _ => None,
    }
}

fn message_of(body: &Value) -> &str {
    body.get("message").and_then(Value::as_str).unwrap_or_default()
}
