//! Asks the upstream about several items by one question, where it answers such questions (docs/adr/0051).

use std::{borrow::Cow, rc::Rc};

use uuid::Uuid;

use super::{
    Exchange, Heard, Verdict,
    admission::{Applicant, number_of},
    evaluations,
    lane::{Party, Sign},
    received,
    sent::{self, Sender},
    signs,
};
use crate::{
    api::contract::table,
    app::{
        asker::{AccessCheck, asker},
        problems::Problem,
        seconds,
    },
    limits::{CONFIRM_ITEMS, UPSTREAM_ANSWER_MAX_BYTES, UPSTREAM_LOST_MS},
    ports::{ANSWER_HEADERS, Platform, UpstreamAnswer, UpstreamBody, UpstreamError, UpstreamRequest},
    snapshot::{key::EntryKey, time::UnixSecs},
    token::{Principal, VerifiedToken},
};

/// A question about several items of one viewer.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct ManyQuestion<'q> {
    /// The token of the viewer.
    pub token: &'q Rc<VerifiedToken>,
    /// Who asks, as in [`AccessCheck`](crate::app::asker::AccessCheck).
    pub asker: EntryKey,
    /// As [`UpstreamQuestion::published`](super::UpstreamQuestion::published).
    pub published: Option<(i64, Uuid)>,
    /// Whether it is about denials, which are confirmed before they are given.
    pub is_confirmation: bool,
    /// The items, none twice, and none that another request asks.
    pub item_ids: &'q [i64],
}

/// What the upstream says of several items, in their order, and how many of its changes an answer of now reflects.
pub(in crate::app) struct HeardOfEach {
    pub each: Vec<Heard>,
    pub seq: Option<u64>,
}

/// How many items of a question are asked about, and why the others are not.
#[derive(Default)]
struct Admitted {
    count: usize,
    refusal: String,
    /// The generation of the memory then.
    generation: u32,
}

/// What an answer to a question about several items, or its absence, tells about the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lesson {
    /// It answers such questions.
    There,
    /// It has no such route.
    Absent,
    /// It asks for a pause of this many seconds.
    Wait(u64),
    /// It has answered, but not as this route does.
    Odd(Sign),
    /// The same, to a caller who may not be one of the upstream's: it tells nothing of the route.
    OddToCaller(Sign),
    /// It gave no whole answer.
    NoAnswer,
}

impl Lesson {
    /// `is_read` is whether the answer was one to the question.
    fn of(answer: &Result<UpstreamAnswer, UpstreamError>, is_read: bool, now: UnixSecs) -> Self {
        let Ok(answer) = answer else { return Self::NoAnswer };
        match answer.status {
            _ if is_read => Self::There,
            404 | 405 | 501 => Self::Absent,
            status => match signs::asks_to_wait(answer, now) {
                Some(secs) => Self::Wait(secs),
                // A whole answer is not an outage (docs/adr/0015).
                None => Self::Odd(if status < 500 { Sign::Nothing } else { Sign::Failed }),
            },
        }
    }
}

impl ManyQuestion<'_> {
    fn applicant(&self) -> Applicant<'_> {
        let Self { token, is_confirmation, published, .. } = *self;
        let party = Party::of(number_of(token.principal.customer_key), None);
        Applicant { token: Some(token), party, is_confirmation, published }
    }
}

impl<P: Platform> Exchange<'_, P> {
    /// Whether a question about several items is worth asking.
    pub fn may_ask_many(&self) -> bool {
        self.upstream.write().evaluations.may_be_asked(self.platform.now_ms())
    }

    /// Whether an item may be among those of a question: no other request asks about it, and its checks do not fail.
    pub fn may_be_among(&self, check: AccessCheck) -> bool {
        let now_ms = self.platform.now_ms();
        let state = &*self.upstream.write();
        !state.memory.is_asking(check, now_ms) && !state.checks.is_paused(check.1, now_ms)
    }

    /// What the upstream says of each item. By the rules of single questions, of which one is counted for each
    /// [`CONFIRM_ITEMS`] items. `None` if it has not answered as this route does: ask about each item.
    pub async fn hear_each(&self, question: &ManyQuestion<'_>) -> Option<HeardOfEach> {
        let asked_at_ms = self.platform.now_ms();
        let Admitted { count, refusal, generation } = self.admit_each(question, asked_at_ms);
        let item_ids = question.item_ids.get(..count).unwrap_or_default();
        if count > 0 {
            let deadline_ms = self.deadline_ms(asked_at_ms);
            self.upstream.write().memory.begin(question.asker, item_ids, asked_at_ms, deadline_ms);
        }
        let mut heard = HeardOfEach { each: Vec::with_capacity(question.item_ids.len()), seq: None };
        if count > 0 {
            let answer = self.ask_for_each(&question.token.principal, item_ids).await;
            let now_ms = self.platform.now_ms();
            let now = seconds(now_ms);
            let merchants = question.token.principal.merchants.as_deref();
            let verdicts = answer
                .as_ref()
                .map_err(Problem::from)
                .and_then(|answer| Ok(evaluations::verdicts(answer, item_ids, merchants, now)?));
            let lesson = Lesson::of(&answer, verdicts.is_ok(), now);
            self.learn(question, lesson, (asked_at_ms, now_ms));
            self.upstream.write().memory.end(question.asker, item_ids);
            let verdicts: Vec<Result<Verdict, Problem>> = match verdicts {
                Ok(each) => each.into_iter().map(|verdict| Ok(verdict?)).collect(),
                Err(problem) => {
                    self.log_problems((lesson != Lesson::Absent).then(|| problem.clone()).into_iter());
                    // The upstream has answered, if not as this route does: the single check may tell more.
                    if matches!(lesson, Lesson::Absent | Lesson::Odd(_)) {
                        return None;
                    }
                    item_ids.iter().map(|_| Err(problem.clone())).collect()
                }
            };
            self.remember_each(question, item_ids, &verdicts, generation, now_ms);
            let answer = answer.as_ref().ok().filter(|_| lesson == Lesson::There);
            heard.seq = answer.and_then(|answer| self.learn_seq(answer, now));
            let of_headers = answer.and_then(|answer| received::header_problem(answer, now));
            for verdict in verdicts {
                heard.each.push(match verdict {
                    Ok(verdict) => Heard::Verdict(verdict),
                    Err(problem) => {
                        let text = problem.text.clone();
                        // The problem of a whole answer has been logged.
                        self.log_problems(answer.map(|_| problem).into_iter());
                        Heard::Nothing(text)
                    }
                });
            }
            self.log_problems(of_headers.map(Problem::from).into_iter());
        }
        heard.each.resize_with(question.item_ids.len(), || Heard::Nothing(refusal.clone()));
        Some(heard)
    }

    /// What the upstream says of each item to a caller who asks about a customer, as JSON: its decision, or why there is
    /// none. Nothing of it is remembered.
    pub async fn says_of_each(
        &self,
        caller: &Rc<VerifiedToken>,
        customer: &Principal,
        item_ids: &[i64],
    ) -> Vec<String> {
        let failed = |status: u16, message: &str| vec![evaluations::error(status, message); item_ids.len()];
        if !self.may_ask_many() {
            return failed(404, evaluations::ABSENT);
        }
        let asked_at_ms = self.platform.now_ms();
        let asker = asker(caller, self.request.authorization);
        let question =
            ManyQuestion { token: caller, asker, published: None, is_confirmation: false, item_ids };
        let admitted = self.admit_each(&question, asked_at_ms);
        let admitted_ids = item_ids.get(..admitted.count).unwrap_or_default();
        if admitted_ids.is_empty() {
            return failed(503, &admitted.refusal);
        }
        let answer = self.ask_for_each(customer, admitted_ids).await;
        let now_ms = self.platform.now_ms();
        let now = seconds(now_ms);
        let merchants = caller.principal.merchants.as_deref();
        let said = answer.as_ref().map_err(|error| (502, error.to_string())).and_then(|answer| {
            let said = evaluations::said(answer, admitted_ids, merchants, now);
            let status = if answer.status < 400 { 502 } else { answer.status };
            said.map_err(|problem| (status, Problem::from(problem).text))
        });
        let lesson = match Lesson::of(&answer, said.is_ok(), now) {
            Lesson::Odd(sign) => Lesson::OddToCaller(sign),
            Lesson::NoAnswer => Lesson::OddToCaller(Sign::Failed),
            // A gateway may keep the route from staff, and let viewers have it.
            Lesson::Absent => Lesson::OddToCaller(Sign::Nothing),
            lesson => lesson,
        };
        self.learn(&question, lesson, (asked_at_ms, now_ms));
        let mut said = match said {
            Ok(said) => said,
            Err((404 | 405 | 501, _)) => failed(404, evaluations::ABSENT),
            Err((status, text)) => failed(status, &text),
        };
        said.resize_with(item_ids.len(), || evaluations::error(503, &admitted.refusal));
        said
    }

    /// When a question that is sent now counts as lost, milliseconds.
    fn deadline_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.config.confirm_timeout_ms + UPSTREAM_LOST_MS)
    }

    /// Asks budgets and circuit, once for each [`CONFIRM_ITEMS`] items.
    fn admit_each(&self, question: &ManyQuestion<'_>, now_ms: u64) -> Admitted {
        let deadline_ms = self.deadline_ms(now_ms);
        let state = &mut *self.upstream.write();
        let mut admitted = Admitted { generation: state.memory.generation(), ..Admitted::default() };
        for some in question.item_ids.chunks(CONFIRM_ITEMS) {
            let per_sec = self.config.confirms_per_sec;
            if let Err(refusal) = state.admit(&question.applicant(), per_sec, now_ms, deadline_ms) {
                admitted.refusal = refusal.to_string();
                break;
            }
            admitted.count += some.len();
        }
        admitted
    }

    /// Learns of the upstream from an answer to a question that was sent and answered at these moments, milliseconds.
    fn learn(&self, question: &ManyQuestion<'_>, lesson: Lesson, (sent_at_ms, now_ms): (u64, u64)) {
        let applicant = question.applicant();
        let state = &mut *self.upstream.write();
        let sign = match lesson {
            Lesson::There => Sign::Well,
            // The rest of the upstream may be well or not.
            Lesson::Absent => Sign::Nothing,
            Lesson::Wait(secs) => Sign::Wait(secs),
            Lesson::Odd(sign) | Lesson::OddToCaller(sign) => sign,
            Lesson::NoAnswer => Sign::Failed,
        };
        state.lane(&applicant).learn(applicant.party, sign, sent_at_ms, now_ms);
        match lesson {
            Lesson::There => state.evaluations.is_there(),
            Lesson::Absent => state.evaluations.is_absent(now_ms),
            Lesson::Wait(_) | Lesson::OddToCaller(_) => {}
            Lesson::Odd(_) | Lesson::NoAnswer => state.evaluations.failed(applicant.party.who, now_ms),
        }
    }

    fn remember_each(
        &self,
        question: &ManyQuestion<'_>,
        item_ids: &[i64],
        verdicts: &[Result<Verdict, Problem>],
        generation: u32,
        now_ms: u64,
    ) {
        let memory = &mut self.upstream.write().memory;
        for (item_id, verdict) in item_ids.iter().zip(verdicts) {
            let verdict = verdict.as_ref().map_or(Verdict::CannotTell, Verdict::clone);
            memory.insert((question.asker, *item_id), verdict, generation, now_ms, self.config);
        }
        // However many items it was about, the customer was denied once.
        if verdicts.iter().any(|verdict| matches!(verdict, Ok(Verdict::Denied | Verdict::NoItem))) {
            memory.customers.denied(question.token.principal.customer_key, now_ms);
        }
    }

    /// Sends the question, once more if the connection broke: it changes nothing.
    async fn ask_for_each(
        &self,
        customer: &Principal,
        item_ids: &[i64],
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let mut headers = sent::of_question(self.request, self.request_id, Sender::Verified, self.config);
        let json = || Cow::Borrowed("application/json");
        headers.extend([("accept", json()), ("content-type", json())]);
        let asked = UpstreamRequest {
            method: "POST",
            url: &sent::url(self.config, &table::EVALUATIONS.path(&[]), ""),
            headers: &headers,
            timeout_ms: self.config.confirm_timeout_ms,
            limit_bytes: UPSTREAM_ANSWER_MAX_BYTES,
            answer_headers: &ANSWER_HEADERS,
        };
        let body = evaluations::body(customer, item_ids);
        let body = || UpstreamBody::Whole(body.as_bytes());
        self.send(asked, body(), Some(body())).await
    }
}
