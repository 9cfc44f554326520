//! The origin's answer to the same check.

use std::time::Duration;

use admit::instant;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::{check::CheckReport, customer::date, who::Unverified};
use crate::check_origin::{Answer, Ask, Client, address};

/// How long the origin may think: the edge waits for two seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the origin says.
#[derive(Debug, Serialize)]
pub struct OriginReport {
    /// What was asked.
    pub url: String,
    /// The status of its answer; nothing without one.
    pub status: Option<u16>,
    /// Whether the viewer may play the item, if that can be told.
    pub is_allowed: Option<bool>,
    /// Until when, if it ends.
    pub expires_at: Option<String>,
    /// The message of an error.
    pub message: Option<String>,
    /// The origin's count of changes, if it says.
    pub entitlement_seq: Option<u64>,
    /// Why there is no answer that can be used.
    pub problem: Option<String>,
    /// Whether it agrees with the snapshot; nothing where it cannot be told.
    pub agrees: Option<bool>,
    /// What makes the two answers hard to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Asks the origin at `base` for the check that the snapshot has answered for `subject`, with `token`.
///
/// # Errors
/// `base` is not a URL.
pub fn ask(base: &str, token: &str, subject: Option<&str>, check: &CheckReport) -> Result<OriginReport> {
    let url = address(base, &format!("/items/{}/access", check.item_id)).context("--origin")?;
    let answer = Client::new(TIMEOUT)?.send(Ask::get(&url).bearer(Some(token)));
    let report = match answer {
        Ok(answer) => read(url, &answer, check),
        Err(problem) => OriginReport { problem: Some(problem), ..OriginReport::of(url) },
    };
    Ok(OriginReport { note: subject.and_then(|subject| other_subject(token, subject)), ..report })
}

/// Says so if the token names another customer, by every claim that could name one.
fn other_subject(token: &str, subject: &str) -> Option<String> {
    let claims = Unverified::read(token).ok()?;
    if claims.claims.values().any(|value| value.as_str() == Some(subject)) {
        return None;
    }
    let sub = claims.name_of("sub")?;
    (sub != subject)
        .then(|| format!("the token names the customer {sub:?}, and the snapshot was asked for {subject:?}"))
}

fn read(url: String, answer: &Answer, check: &CheckReport) -> OriginReport {
    let body = answer.json().unwrap_or_default();
    let is_object = body.is_object();
    let (mut problem, mut expires_at) = (answer.broken.clone(), None);
    let is_allowed = match answer.status {
        200 if is_object => match body.get("expires_at").unwrap_or(&Value::Null) {
            Value::Null => Some(true),
            value => match instant::from_json(value) {
                Ok(end) => {
                    expires_at = date(Some(end.at).filter(|at| *at < instant::LATEST));
                    Some(true)
                }
                Err(error) => {
                    problem = Some(format!("expires_at {error}"));
                    None
                }
            },
        },
        402 | 404 if is_object => Some(false),
        401 | 403 => {
            problem = Some("it does not accept the token".to_owned());
            None
        }
        _ => {
            problem = problem.or_else(|| Some("neither a grant nor a denial".to_owned()));
            None
        }
    };
    let seq = answer.header("entitlement-seq").and_then(|seq| seq.trim().parse().ok());
    OriginReport {
        status: Some(answer.status),
        is_allowed,
        expires_at,
        message: body.get("message").and_then(Value::as_str).map(str::to_owned),
        entitlement_seq: seq,
        problem,
        agrees: is_allowed.map(|is_allowed| is_allowed == check.is_allowed),
        ..OriginReport::of(url)
    }
}

impl OriginReport {
    const fn of(url: String) -> Self {
        Self {
            url,
            status: None,
            is_allowed: None,
            expires_at: None,
            message: None,
            entitlement_seq: None,
            problem: None,
            agrees: None,
            note: None,
        }
    }
}
