//! One question to the upstream about several items, in the form of AuthZEN (docs/adr/0051): its body, what its answer
//! says of each item, and whether the upstream answers such questions.

use serde_json::Value;

use super::{
    Verdict,
    received::{Unreadable, end_of, json_value, shown},
};
use crate::{
    api::{
        authzen::Unknown,
        json::{Object, json},
    },
    app::problems::Problem,
    entitlement::Reason,
    instant::UnixSecs,
    limits::{BREAKER_PARTIES, EVALUATIONS_AGAIN_MS},
    number,
    ports::UpstreamAnswer,
    token::Principal,
};

/// The body of the question whether a customer may play each of these items.
pub fn body(principal: &Principal, item_ids: &[i64]) -> String {
    let id = [&principal.namespace, ":", &principal.subject].concat();
    let mut out = r#"{"subject":{"type":"customer","id":"#.to_owned();
    out.push_str(&json(&id));
    out.push_str(r#"},"action":{"name":"play"},"evaluations":["#);
    for (position, item_id) in item_ids.iter().enumerate() {
        out.push_str(if position > 0 { "," } else { "" });
        out.push_str(r#"{"resource":{"type":"item","id":""#);
        out.push_str(itoa::Buffer::new().format(*item_id));
        out.push_str(r#""}}"#);
    }
    out.push_str("]}");
    out
}

/// What an answer says of each item, in the order of the question. An entry that says neither yes nor no is an error of its
/// own. `merchants` are as for a check.
///
/// # Errors
/// The answer is not one to this question: another status, not a list of as many entries, an entry of another item, or not
/// one entry that can be read.
pub fn verdicts(
    answer: &UpstreamAnswer,
    item_ids: &[i64],
    merchants: Option<&[i64]>,
    now: UnixSecs,
) -> Result<Vec<Result<Verdict, Unreadable>>, Unreadable> {
    if answer.status != 200 {
        return Err(Unreadable::status(answer));
    }
    let body = json_value(answer)?;
    let entries = body.get("evaluations").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| Unreadable::new("evaluations", "must be a list"))?;
    if entries.len() != item_ids.len() {
        let problem = format!("must have {} entries, not {}", item_ids.len(), entries.len());
        return Err(Unreadable::new("evaluations", problem));
    }
    let each = entries.iter().zip(item_ids).map(|(entry, item_id)| verdict(entry, *item_id, merchants, now));
    let each = each.collect::<Result<Vec<_>, _>>()?;
    match each.iter().find_map(|verdict| verdict.as_ref().err()) {
        Some(problem) if each.iter().all(Result::is_err) => Err(problem.clone()),
        _ => Ok(each),
    }
}

/// What people are told of an upstream without the route.
pub const ABSENT: &str = "The origin does not answer such questions";

/// What an answer says of each item, as [`verdicts`], for people: JSON of the decision, or of why there is none.
///
/// # Errors
/// As [`verdicts`].
pub fn said(
    answer: &UpstreamAnswer,
    item_ids: &[i64],
    merchants: Option<&[i64]>,
    now: UnixSecs,
) -> Result<Vec<String>, Unreadable> {
    let verdicts = verdicts(answer, item_ids, merchants, now)?;
    let body = json_value(answer)?;
    let entries = body.get("evaluations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let reasons = entries.iter().map(|entry| entry.get("context")?.get("reason")?.as_str());
    Ok(verdicts
        .into_iter()
        .zip(reasons)
        .map(|(verdict, reason)| {
            let mut object = Object::default();
            match verdict {
                Err(problem) => return error(502, &Problem::from(problem).text),
                Ok(Verdict::Permitted(ends_at)) => {
                    object.raw("decision", "true").text("reason", reason).number("expires_at", Some(ends_at))
                }
                Ok(_) => object.raw("decision", "false").text("reason", reason),
            };
            object.end()
        })
        .collect())
}

/// Why there is no decision, as the other answers in this form say it.
pub fn error(status: u16, message: &str) -> String {
    let mut inner = Object::default();
    inner.number("status", Some(i64::from(status))).text("message", Some(message));
    let mut object = Object::default();
    object.raw("error", &inner.end());
    object.end()
}

/// What one entry says. The outer error is that it is about another item: the order of the whole answer is not known then.
fn verdict(
    entry: &Value,
    item_id: i64,
    merchants: Option<&[i64]>,
    now: UnixSecs,
) -> Result<Result<Verdict, Unreadable>, Unreadable> {
    let unreadable = |place, problem: &'static str| Ok(Err(Unreadable::new(place, problem)));
    let Some(context) = entry.get("context").and_then(Value::as_object) else {
        return unreadable("context", "must be an object");
    };
    // An entry that names no item may be another service's word on something else.
    let Some(found) = context.get("item").and_then(|item| item.get("id")) else {
        return match context.get("error").and_then(|error| error.get("status")) {
            Some(status) => Ok(Err(Unreadable::new("context.error", format!("is {}", shown(status))))),
            None => unreadable("context.item.id", "is missing"),
        };
    };
    if number::whole(found) != Some(item_id) {
        let problem = format!("must be {item_id}, not {}", shown(found));
        return Err(Unreadable::new("context.item.id", problem));
    }
    if context.contains_key("error") {
        return unreadable("context.error", "is there: it cannot be told");
    }
    let reason = context.get("reason").and_then(Value::as_str);
    Ok(match (entry.get("decision").and_then(Value::as_bool), reason) {
        (Some(true), _) => end_of(context, item_id, merchants, now).map(Verdict::Permitted),
        (Some(false), Some(reason)) if is_no_item(reason) => Ok(Verdict::NoItem),
        // The question was not understood, which is no denial.
        (Some(false), Some(reason)) if is_not_understood(reason) => {
            Err(Unreadable::new("context.reason", format!("is {reason:?}")))
        }
        (Some(false), Some(_)) => Ok(Verdict::Denied),
        (Some(false), None) => Err(Unreadable::new("context.reason", "must be a text")),
        (None, _) => Err(Unreadable::new("decision", "must be true or false")),
    })
}

/// Whether a reason says that the question means nothing to the upstream. That it knows no such customer is a denial, as it
/// is for a check.
fn is_not_understood(reason: &str) -> bool {
    [Unknown::SubjectType, Unknown::Action, Unknown::ResourceType].map(Unknown::code).contains(&reason)
}

/// Whether a reason says that there is no such item to play, as the 404 of a check does.
fn is_no_item(reason: &str) -> bool {
    [Unknown::Item.code(), Reason::ItemInactive.code()].contains(&reason)
}

/// Whether the upstream answers questions about several items, as far as an isolate has learnt.
#[derive(Debug, Default)]
pub struct EvaluationsRoute {
    /// Until when it is taken for absent, milliseconds.
    absent_until_ms: u64,
    /// The customers whose last such question came to nothing since one was answered, as numbers that stand for them.
    unanswered: Vec<u64>,
}

impl EvaluationsRoute {
    /// Whether such a question is worth asking.
    pub const fn may_be_asked(&self, now_ms: u64) -> bool {
        now_ms >= self.absent_until_ms
    }

    /// It has answered.
    pub fn is_there(&mut self) {
        self.unanswered.clear();
    }

    /// The upstream says that there is no such route.
    pub fn is_absent(&mut self, now_ms: u64) {
        self.unanswered.clear();
        self.absent_until_ms = now_ms.saturating_add(EVALUATIONS_AGAIN_MS);
    }

    /// A question of customer `who` got no usable answer. With one customer, the customer may be the cause; several
    /// customers count as absence of the route.
    pub fn failed(&mut self, who: u64, now_ms: u64) {
        if !self.unanswered.contains(&who) {
            self.unanswered.push(who);
        }
        if self.unanswered.len() >= BREAKER_PARTIES {
            self.is_absent(now_ms);
        }
    }
}

#[cfg(test)]
mod tests;
