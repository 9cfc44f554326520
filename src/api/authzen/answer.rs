//! Writes the bodies of answers.

use crate::{
    api::{contract::table, error::ApiError, json::json},
    snapshot::time::UnixSecs,
};

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A decision.
    Decided {
        /// Whether the customer may play the item.
        decision: bool,
        /// The code of its reason.
        reason: &'static str,
        /// When the access ends, unix seconds.
        expires_at: Option<UnixSecs>,
        /// How many of the origin's changes it reflects. `None` for an answer that needs no version, or is the origin's.
        seq: Option<u64>,
        /// Further members of the context, each with a comma before it.
        explained: String,
    },
    /// An error about this question alone: it is malformed, not the caller's to ask, or it cannot be told now.
    Failed(ApiError, &'static str),
}

impl Verdict {
    /// An error with its usual message.
    #[must_use]
    pub const fn of(error: ApiError) -> Self {
        Self::Failed(error, error.message())
    }

    /// What it means for the caller. An error is a denial, as the standard says.
    #[must_use]
    pub const fn decision(&self) -> bool {
        matches!(self, Self::Decided { decision: true, .. })
    }

    fn write(&self, out: &mut String) {
        out.push_str(if self.decision() {
            r#"{"decision":true,"context":{"#
        } else {
            r#"{"decision":false,"context":{"#
        });
        match self {
            Self::Decided { reason, expires_at, seq, explained, .. } => {
                out.push_str(r#""reason":""#);
                out.push_str(reason);
                out.push('"');
                if let Some(expires_at) = expires_at {
                    number(out, r#","expires_at":"#, *expires_at);
                }
                if let Some(seq) = seq {
                    number(out, r#","seq":"#, *seq);
                }
                out.push_str(explained);
            }
            Self::Failed(error, message) => {
                number(out, r#""error":{"status":"#, error.status());
                out.push_str(r#","message":"#);
                out.push_str(&json(*message));
                out.push('}');
            }
        }
        out.push_str("}}");
    }
}

/// The body of the answer to one question.
#[must_use]
pub fn decision(verdict: &Verdict) -> String {
    let mut out = String::new();
    verdict.write(&mut out);
    out
}

/// The body of the answer to several questions.
#[must_use]
pub fn evaluations(verdicts: &[Verdict]) -> String {
    let mut out = r#"{"evaluations":["#.to_owned();
    for (position, verdict) in verdicts.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        verdict.write(&mut out);
    }
    out.push_str("]}");
    out
}

/// The context of a search that can find nothing.
#[must_use]
pub fn reason(code: &str) -> String {
    [r#""reason":""#, code, "\""].concat()
}

/// The body of the answer to a search. `context` is its members, without braces.
#[must_use]
pub fn search(item_ids: &[i64], next_token: &str, context: &str) -> String {
    let mut out = r#"{"page":{"next_token":""#.to_owned();
    out.push_str(next_token);
    number(&mut out, r#"","count":"#, item_ids.len());
    out.push_str(r#"},"context":{"#);
    out.push_str(context);
    out.push_str(r#"},"results":["#);
    for (position, item_id) in item_ids.iter().enumerate() {
        out.push_str(if position > 0 { r#",{"type":"item","id":""# } else { r#"{"type":"item","id":""# });
        number(&mut out, "", *item_id);
        out.push_str(r#""}"#);
    }
    out.push_str("]}");
    out
}

/// The body of `/.well-known/authzen-configuration` at `base`, scheme and host.
#[must_use]
pub fn metadata(base: &str) -> String {
    let mut out = r#"{"policy_decision_point":"#.to_owned();
    out.push_str(&json(base));
    for (name, endpoint) in [
        ("access_evaluation_endpoint", &table::EVALUATION),
        ("access_evaluations_endpoint", &table::EVALUATIONS),
        ("search_resource_endpoint", &table::RESOURCE_SEARCH),
    ] {
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":");
        out.push_str(&json(&[base, &endpoint.path(&[])].concat()));
    }
    out.push('}');
    out
}

fn number(out: &mut String, before: &str, number: impl itoa::Integer) {
    out.push_str(before);
    out.push_str(itoa::Buffer::new().format(number));
}
