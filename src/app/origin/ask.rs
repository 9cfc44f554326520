//! Asks the origin what the snapshot cannot grant: a denial is confirmed before it is one (docs/adr/0007).

use std::{borrow::Cow, fmt, rc::Rc};

use serde_json::Value;
use uuid::Uuid;

use super::{
    ANSWERED_BY_ORIGIN, Check, Verdict,
    admission::NotAsked,
    problems::Problem,
    received,
    sent::{self, Sender},
    signs,
};
use crate::{
    api::{
        error::ApiError,
        json::json,
        query,
        reply::{Caching, Reply, Request},
        viewer::{Network, shown_address, shown_country},
    },
    app::{App, State, seconds},
    config::OriginConfig,
    entitlement::Reason,
    limits::{ORIGIN_ANSWER_MAX_BYTES, ORIGIN_LOST_MS},
    ports::{OriginAnswer, OriginBody, OriginError, OriginRequest, Platform},
    token::VerifiedToken,
};

/// A read that the origin is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The check; nothing for other reads.
    pub(in crate::app) check: Option<Check>,
    /// Who asks, if the read needs a token.
    pub(in crate::app) token: Option<Rc<VerifiedToken>>,
    /// The query that the upstream gets: the parameters that the read has, and nothing else that a client sent.
    pub(in crate::app) query: String,
    /// Where it is asked from, if that is known.
    pub(in crate::app) address: Option<Network>,
    /// Number and UUID of the customer who asks, if the snapshot knows them. Looked up only if something was granted
    /// through this edge a moment ago.
    pub(in crate::app) published: Option<(i64, Uuid)>,
    /// Whether the client wants what is newer than the snapshot: what is remembered will not do.
    pub(in crate::app) insists: bool,
    /// The answer if the origin does not know better.
    pub(in crate::app) otherwise: Reply,
}

/// When a request asks.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Turn {
    /// When the request arrived, in milliseconds.
    pub since_ms: u64,
    /// Whether it may still wait for another one's answer.
    pub may_wait: bool,
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
        turn: Turn,
    ) -> Option<Reply> {
        let Some(config) = &self.config.origin else { return Some(question.otherwise.clone()) };
        let generation = match self.next_step(question, request, turn, config) {
            Step::Answer(reply) => return Some(reply),
            Step::Wait => return None,
            Step::Ask(generation) => generation,
        };
        let id = self.request_id();
        let sent_at_ms = self.platform.now_ms();
        let sender = if question.token.is_some() { Sender::Verified } else { Sender::Anybody };
        let answer = self.ask_origin(request, &question.query, &id, sender, config).await;
        let now_ms = self.platform.now_ms();
        let now = seconds(now_ms);
        let State { origin, snapshots, .. } = &mut *self.state.borrow_mut();
        let sign = signs::sign_of_read(&answer, now);
        origin.lane(question).learn(question.party(), sign, sent_at_ms, now_ms);
        let answered = answer.as_ref().map_err(Problem::from);
        let (mut reply, problem) = match question.check.zip(question.token.as_ref()) {
            None => match answered.and_then(|answer| Ok(received::read(answer)?)) {
                Ok(Ok(body)) => (answered_by_origin(body), None),
                Ok(Err(error)) => (error.into(), None),
                Err(problem) => (unconfirmed(question, &problem.text), Some(problem)),
            },
            Some((check, token)) => {
                let merchants = token.principal.merchants.as_deref();
                let verdict =
                    answered.and_then(|answer| Ok(received::verdict(answer, check.1, merchants, now)?));
                let (verdict, problem) = match verdict {
                    Ok(verdict) => (verdict, None),
                    Err(problem) => (Verdict::CannotTell, Some(problem)),
                };
                if matches!(verdict, Verdict::Denied | Verdict::NoItem) {
                    origin.memory.customers.denied(token.principal.customer_key, now_ms);
                }
                origin.memory.end(check);
                origin.memory.insert(check, verdict.clone(), generation, now_ms, config);
                let reply = match &problem {
                    Some(problem) => unconfirmed(question, &problem.text),
                    None => check_reply(verdict, question, request),
                };
                (reply, problem)
            }
        };
        // The snapshot's answer, which stands where there is a problem, does not reflect the origin's changes.
        let seq = answer.as_ref().ok().filter(|_| problem.is_none());
        if let Some(seq) = seq.and_then(|answer| query::seq(answer.header("entitlement-seq"))) {
            snapshots.origin_is_at(seq, now);
            reply.headers.push(("entitlement-seq", Cow::Owned(seq.to_string())));
        }
        let of_headers = answer.as_ref().ok().and_then(|answer| received::header_problem(answer, now));
        for problem in problem.into_iter().chain(of_headers.map(Problem::from)) {
            self.log_problem(&mut origin.problems, &id, &problem);
        }
        // The origin's log and ours name it alike.
        reply.headers.push(("x-request-id", Cow::Owned(id)));
        Some(reply)
    }

    fn next_step(
        &self,
        question: &Question,
        request: &Request<'_>,
        turn: Turn,
        config: &OriginConfig,
    ) -> Step {
        let now_ms = self.platform.now_ms();
        let origin = &mut self.state.borrow_mut().origin;
        let deadline_ms = now_ms.saturating_add(config.confirm_timeout_ms + ORIGIN_LOST_MS);
        let mut is_asked = false;
        if let Some(check) = question.check {
            let verdict = origin.memory.get(check, turn.since_ms, now_ms);
            if let Some(verdict) = verdict.filter(|_| !question.insists) {
                return Step::Answer(check_reply(verdict, question, request));
            }
            is_asked = origin.memory.is_asking(check, now_ms);
        }
        if is_asked && turn.may_wait {
            return Step::Wait;
        }
        let admitted = if !is_asked {
            origin.admit(question, config.confirms_per_sec, now_ms, deadline_ms)
        } else if origin.is_owed(question, now_ms) {
            Ok(())
        } else {
            Err(NotAsked::Awaited)
        };
        if let Err(refusal) = admitted {
            return Step::Answer(unconfirmed(question, refusal));
        }
        if let Some(check) = question.check {
            origin.memory.begin(check, now_ms, deadline_ms);
        }
        Step::Ask(origin.memory.generation())
    }

    /// Asks, once more if the connection broke: a read may be repeated.
    async fn ask_origin(
        &self,
        request: &Request<'_>,
        query: &str,
        id: &str,
        sender: Sender,
        config: &OriginConfig,
    ) -> Result<OriginAnswer, OriginError> {
        let mut headers = sent::headers(request, id, sender, config);
        headers.push(("accept", Cow::Borrowed("application/json")));
        let asked = OriginRequest {
            method: "GET",
            url: &sent::url(config, request.path, query),
            headers: &headers,
            timeout_ms: config.confirm_timeout_ms,
            limit_bytes: ORIGIN_ANSWER_MAX_BYTES,
        };
        self.send_in_turn(asked, OriginBody::Empty, Some(OriginBody::Empty)).await
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
        Verdict::Denied | Verdict::NoItem => otherwise.clone(),
        Verdict::CannotTell => unconfirmed(question, "the origin could not tell"),
    }
}

/// The snapshot's answer where the origin has not been heard, with the reason for the log: otherwise it would look like
/// one that the origin has confirmed.
fn unconfirmed(question: &Question, reason: impl fmt::Display) -> Reply {
    let otherwise = question.otherwise.clone();
    let detail = if otherwise.detail.is_empty() {
        format!("not confirmed: {reason}")
    } else {
        format!("{}; not confirmed: {reason}", otherwise.detail)
    };
    otherwise.with_detail(detail)
}

/// The origin's body, with the address and the country of this request: it may have been another one's.
fn granted(body: &str, request: &Request<'_>) -> Reply {
    let mut body: Value = serde_json::from_slice(body.as_bytes()).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.insert("ip_address".to_owned(), shown_address(request.ip_address).as_ref().into());
        members.insert("country_code".to_owned(), shown_country(request.country).as_ref().into());
    }
    answered_by_origin(json(&body))
}

fn answered_by_origin(body: String) -> Reply {
    let mut reply = Reply::ok(body, Caching::Private);
    reply.reason = Cow::Borrowed(ANSWERED_BY_ORIGIN);
    reply
}
