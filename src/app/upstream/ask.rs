//! Asks the upstream about reads that the snapshot cannot grant: a denial is confirmed before it is given
//! (docs/adr/0007).

use std::{borrow::Cow, fmt, rc::Rc};

use serde_json::Value;
use uuid::Uuid;

use super::{
    Exchange, Verdict,
    admission::NotAsked,
    received,
    sent::{self, Sender},
    signs,
};
use crate::{
    api::{
        contract::table,
        error::ApiError,
        json::json,
        playback::{Playable, PlaybackForm},
        query,
        reply::{Caching, Reply, Request},
        viewer::{Network, shown_address, shown_country},
    },
    app::{
        ServiceReason, asker::AccessCheck, finish::subject_hash, missing::Patience, problems::Problem,
        seconds,
    },
    entitlement::Reason,
    limits::{UPSTREAM_ANSWER_MAX_BYTES, UPSTREAM_LOST_MS},
    ports::{ANSWER_HEADERS, Platform, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest},
    snapshot::time::UnixSecs,
    token::VerifiedToken,
};

/// A read that the upstream is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct UpstreamQuestion {
    /// The check; nothing for other reads.
    pub check: Option<AccessCheck>,
    /// The form of the proof that a grant comes with, if the check is a playback question.
    pub playback: Option<PlaybackForm>,
    /// The token, if the read needs one.
    pub token: Option<Rc<VerifiedToken>>,
    /// The query that the upstream gets: the parameters that the read has, and no others that a client sent.
    pub query: String,
    /// The network that it is asked from, if that is known.
    pub address: Option<Network>,
    /// Number and UUID of the customer who asks, if the snapshot has them. Looked up only if an access was granted
    /// through this edge a moment ago.
    pub published: Option<(i64, Uuid)>,
    /// Whether the client wants an answer that is newer than the snapshot: a remembered one will not do.
    pub insists: bool,
    /// The answer if the upstream does not know better.
    pub otherwise: Reply,
}

/// The outcome of a question.
#[derive(Clone)]
pub(in crate::app) enum Heard {
    /// The upstream's answer to a check.
    Verdict(Verdict),
    /// The upstream's answer to another read.
    Read(Reply),
    /// Nothing that counts, and why, for the log.
    Nothing(String),
}

/// The next step for a question.
enum Step {
    Answer(Heard),
    /// Another request asks the same.
    Wait,
    /// Ask; the memory is of this generation.
    Ask(u32),
}

impl<P: Platform> Exchange<'_, P> {
    /// Answers by the upstream or, if it does not know better or may not be asked now, by the snapshot. `None` after a
    /// wait for another request that asks the same: head, token and recent grants may have changed meanwhile, so the
    /// caller decides again.
    pub async fn ask(&self, question: &UpstreamQuestion, patience: &mut Patience) -> Option<Reply> {
        let (heard, seq) = self.hear(question, patience).await?;
        let mut reply = match heard {
            Heard::Verdict(verdict) => check_reply(verdict, question, self.request),
            Heard::Read(reply) => reply,
            Heard::Nothing(reason) => unconfirmed(question, reason),
        };
        if let Some(seq) = seq {
            reply.headers.push(("entitlement-seq", Cow::Owned(seq.to_string())));
        }
        Some(reply)
    }

    /// What the upstream says, or said a moment ago, and how many of its changes an answer of now reflects. `None` after
    /// a wait for another request that asks the same.
    pub async fn hear(
        &self,
        question: &UpstreamQuestion,
        patience: &mut Patience,
    ) -> Option<(Heard, Option<u64>)> {
        let generation = match self.next_step(question, patience) {
            Step::Answer(heard) => return Some((heard, None)),
            Step::Wait => {
                while patience.may_wait() && self.is_asked(question) {
                    patience.wait(self.platform).await;
                }
                return None;
            }
            Step::Ask(generation) => generation,
        };
        let sent_at_ms = self.platform.now_ms();
        let answer = self.ask_once(question).await;
        let now_ms = self.platform.now_ms();
        let now = seconds(now_ms);
        let sign = signs::sign_of_read(&answer, now);
        let applicant = question.applicant();
        self.upstream.write().lane(&applicant).learn(applicant.party, sign, sent_at_ms, now_ms);
        let answered = answer.as_ref().map_err(Problem::from);
        let (heard, problem) = match question.check.zip(question.token.as_ref()) {
            None => match answered.and_then(|answer| Ok(received::read(answer)?)) {
                Ok(Ok(body)) => (Heard::Read(answered_by_upstream(body)), None),
                Ok(Err(error)) => (Heard::Read(error.into()), None),
                Err(problem) => (Heard::Nothing(problem.text.clone()), Some(problem)),
            },
            Some((check, token)) => {
                let merchants = token.principal.merchants.as_deref();
                let verdict =
                    answered.and_then(|answer| Ok(received::verdict(answer, check.1, merchants, now)?));
                let (verdict, problem) = match verdict {
                    Ok(verdict) => (verdict, None),
                    Err(problem) => (Verdict::CannotTell, Some(problem)),
                };
                self.remember(check, token, &verdict, generation, now_ms);
                let heard = match &problem {
                    Some(problem) => Heard::Nothing(problem.text.clone()),
                    None => Heard::Verdict(verdict),
                };
                (heard, problem)
            }
        };
        // The snapshot's answer, which stands if there is a problem, does not reflect the upstream's changes.
        let seq = answer.as_ref().ok().filter(|_| problem.is_none());
        let seq = seq.and_then(|answer| self.learn_seq(answer, now));
        let of_headers = answer.as_ref().ok().and_then(|answer| received::header_problem(answer, now));
        self.log_problems(problem.into_iter().chain(of_headers.map(Problem::from)));
        Some((heard, seq))
    }

    /// How many of the upstream's changes an answer reflects, if it says so.
    pub(super) fn learn_seq(&self, answer: &UpstreamAnswer, now: UnixSecs) -> Option<u64> {
        let seq = query::seq(answer.header("entitlement-seq"));
        if let Some(seq) = seq {
            self.library.write().upstream_is_at(seq, now);
        }
        seq
    }

    /// The upstream's answer of a moment ago to a check that arrived at `since_ms`, if it need not be asked again.
    pub fn remembered(&self, check: AccessCheck, since_ms: u64) -> Option<Verdict> {
        self.upstream.write().memory.get(check, since_ms, self.platform.now_ms())
    }

    /// Whether another request asks the same.
    fn is_asked(&self, question: &UpstreamQuestion) -> bool {
        question.check.is_some_and(|check| self.is_asking(check))
    }

    /// Whether another request asks this check.
    pub fn is_asking(&self, check: AccessCheck) -> bool {
        self.upstream.write().memory.is_asking(check, self.platform.now_ms())
    }

    fn remember(
        &self,
        check: AccessCheck,
        token: &VerifiedToken,
        verdict: &Verdict,
        generation: u32,
        now_ms: u64,
    ) {
        let memory = &mut self.upstream.write().memory;
        if matches!(verdict, Verdict::Denied | Verdict::NoItem) {
            memory.customers.denied(token.principal.customer_key, now_ms);
        }
        memory.end(check.0, &[check.1]);
        memory.insert(check, verdict.clone(), generation, now_ms, self.config);
    }

    fn next_step(&self, question: &UpstreamQuestion, patience: &Patience) -> Step {
        let now_ms = self.platform.now_ms();
        let state = &mut *self.upstream.write();
        let deadline_ms = now_ms.saturating_add(self.config.confirm_timeout_ms + UPSTREAM_LOST_MS);
        let mut is_asked = false;
        if let Some(check) = question.check {
            let verdict = state.memory.get(check, patience.since_ms, now_ms);
            // A permit has no body, which this question may be for.
            let is_enough =
                |verdict: &Verdict| !question.insists && !matches!(verdict, Verdict::Permitted(_));
            if let Some(verdict) = verdict.filter(is_enough) {
                return Step::Answer(Heard::Verdict(verdict));
            }
            is_asked = state.memory.is_asking(check, now_ms);
        }
        if is_asked && patience.may_wait() {
            return Step::Wait;
        }
        let admitted = if !is_asked {
            state.admit(&question.applicant(), self.config.confirms_per_sec, now_ms, deadline_ms)
        } else if state.is_owed(&question.applicant(), now_ms) {
            Ok(())
        } else {
            Err(NotAsked::Awaited)
        };
        if let Err(refusal) = admitted {
            return Step::Answer(Heard::Nothing(refusal.to_string()));
        }
        if let Some(check) = question.check {
            state.memory.begin(check.0, &[check.1], now_ms, deadline_ms);
        }
        Step::Ask(state.memory.generation())
    }

    /// Asks, once more if the connection broke: a read may be repeated.
    async fn ask_once(&self, question: &UpstreamQuestion) -> Result<UpstreamAnswer, UpstreamError> {
        let sender = if question.token.is_some() { Sender::Verified } else { Sender::Anonymous };
        let mut headers = sent::of_question(self.request, self.request_id, sender, self.config);
        headers.push(("accept", Cow::Borrowed("application/json")));
        // The upstream knows the check that a playback question is, and the checks of a question about several items.
        let path = match question.check {
            Some((_, item_id)) => Cow::Owned(table::ACCESS.path(&[&item_id.to_string()])),
            None => Cow::Borrowed(self.request.path),
        };
        let asked = UpstreamRequest {
            method: "GET",
            url: &sent::url(self.config, &path, &question.query),
            headers: &headers,
            timeout_ms: self.config.confirm_timeout_ms,
            limit_bytes: UPSTREAM_ANSWER_MAX_BYTES,
            answer_headers: &ANSWER_HEADERS,
        };
        self.send(asked, UpstreamBody::Empty, Some(UpstreamBody::Empty)).await
    }
}

/// Why an answer is not confirmed, for the log, if the upstream has answered without a verdict.
pub(in crate::app) const CANNOT_TELL: &str = "the origin could not tell";

fn check_reply(verdict: Verdict, question: &UpstreamQuestion, request: &Request<'_>) -> Reply {
    let otherwise = &question.otherwise;
    match verdict {
        Verdict::Granted(body, ends_at) => match question.playback.zip(question.token.as_ref()) {
            Some((form, token)) => playable(form, ends_at, &body, token),
            None => granted(&body, request),
        },
        Verdict::Denied if otherwise.status != 402 => {
            Reply::error(ApiError::NoAccess, Reason::NoGrant.code())
        }
        Verdict::NoItem if !matches!(otherwise.status, 402 | 404) => ApiError::ItemNotFound.into(),
        Verdict::Denied | Verdict::NoItem => otherwise.clone(),
        Verdict::Permitted(_) | Verdict::CannotTell => unconfirmed(question, CANNOT_TELL),
    }
}

/// The snapshot's answer if the upstream was not heard, with the reason for the log: otherwise it would look like one that
/// the upstream has confirmed.
fn unconfirmed(question: &UpstreamQuestion, reason: impl fmt::Display) -> Reply {
    let otherwise = question.otherwise.clone();
    let detail = if otherwise.detail.is_empty() {
        format!("not confirmed: {reason}")
    } else {
        format!("{}; not confirmed: {reason}", otherwise.detail)
    };
    otherwise.with_detail(detail)
}

/// The upstream's grant of a playback question. Its item counts, which may be newer than the snapshot's. Its answer does not
/// tell whether the grant has to be renewed.
fn playable(form: PlaybackForm, ends_at: UnixSecs, body: &str, token: &VerifiedToken) -> Reply {
    let body: Value = serde_json::from_slice(body.as_bytes()).unwrap_or_default();
    let item = body.get("item").unwrap_or(&Value::Null);
    let merchant_id = item.get("merchant_id").and_then(Value::as_i64).unwrap_or(0);
    let subject = subject_hash(token.principal.customer_key);
    Reply::playable(Playable::new(form, ends_at, merchant_id, item, subject), ServiceReason::Upstream.code())
}

/// The upstream's body, with the address and the country of this request: it may have answered another one.
fn granted(body: &str, request: &Request<'_>) -> Reply {
    let mut body: Value = serde_json::from_slice(body.as_bytes()).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.insert("ip_address".to_owned(), shown_address(request.ip_address).as_ref().into());
        members.insert("country_code".to_owned(), shown_country(request.country).as_ref().into());
    }
    answered_by_upstream(json(&body))
}

fn answered_by_upstream(body: String) -> Reply {
    let mut reply = Reply::ok(body, Caching::Private);
    reply.reason = Cow::Borrowed(ServiceReason::Upstream.code());
    reply
}
