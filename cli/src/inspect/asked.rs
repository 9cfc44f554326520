//! Asks the origin for the same check.

use std::time::Duration;

use admit::{
    app::{Verdict, verdict},
    limits::UPSTREAM_ANSWER_MAX_BYTES,
};
use admit_publish::clock::now_unix_secs;
use admit_snapshot::{instant, time::UnixSecs};
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::{check::CheckReport, customer::date, who::Unverified};
use crate::check_origin::{Ask, OriginAnswer, OriginClient, address};

/// The origin's time to answer. The edge itself waits for two seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The origin's answer.
#[derive(Debug, Serialize)]
pub struct OriginReport {
    /// The URL that was requested.
    pub url: String,
    /// The status; `None` without an answer.
    pub status: Option<u16>,
    /// Whether the viewer may play the item; `None` if the answer does not tell.
    pub is_allowed: Option<bool>,
    /// When access ends, if it does.
    pub expires_at: Option<String>,
    /// The message of an error answer.
    pub message: Option<String>,
    /// The origin's count of changes, if the answer has it.
    pub entitlement_seq: Option<u64>,
    /// Why the answer is missing or cannot be used.
    pub problem: Option<String>,
    /// Whether the origin agrees with the snapshot; `None` if that cannot be told.
    pub agrees: Option<bool>,
    /// Why the two answers are hard to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Asks the origin at `base`, with `token`, for the check that the snapshot has answered for `subject`.
///
/// # Errors
/// `base` is not a URL.
pub fn ask(base: &str, token: &str, subject: Option<&str>, check: &CheckReport) -> Result<OriginReport> {
    let url = address(base, &format!("/items/{}/access", check.item_id)).context("--origin")?;
    let answer = OriginClient::new(TIMEOUT)?.send(Ask::get(&url).bearer(Some(token)));
    let report = match answer {
        Ok(answer) => read(url, &answer, check, now_unix_secs()?),
        Err(problem) => OriginReport { problem: Some(problem), ..OriginReport::of(url) },
    };
    Ok(OriginReport { note: subject.and_then(|subject| other_subject(token, subject)), ..report })
}

/// A note if the token names another customer, by any claim that could name one.
fn other_subject(token: &str, subject: &str) -> Option<String> {
    let claims = Unverified::read(token).ok()?;
    if claims.claims.values().any(|value| value.as_str() == Some(subject)) {
        return None;
    }
    let sub = claims.name_of("sub")?;
    (sub != subject)
        .then(|| format!("the token names the customer {sub:?}, and the snapshot was asked for {subject:?}"))
}

fn read(url: String, answer: &OriginAnswer, check: &CheckReport, now: UnixSecs) -> OriginReport {
    let said = said(answer, check.item_id, now);
    let is_allowed = match &said {
        Ok(Verdict::Granted(..) | Verdict::Permitted(_)) => Some(true),
        Ok(Verdict::Denied | Verdict::NoItem) => Some(false),
        Ok(Verdict::CannotTell) | Err(_) => None,
    };
    let expires_at = match &said {
        Ok(Verdict::Granted(_, end) | Verdict::Permitted(end)) => {
            date(Some(*end).filter(|end| *end < instant::LATEST))
        }
        _ => None,
    };
    let body = answer.json().unwrap_or_default();
    OriginReport {
        status: Some(answer.status),
        is_allowed,
        expires_at,
        message: body.get("message").and_then(Value::as_str).map(str::to_owned),
        entitlement_seq: answer.header("entitlement-seq").and_then(|seq| seq.trim().parse().ok()),
        problem: said.err(),
        agrees: is_allowed.map(|is_allowed| is_allowed == check.is_allowed),
        ..OriginReport::of(url)
    }
}

/// The answer as the edge reads it, or why the edge cannot use it.
fn said(answer: &OriginAnswer, item_id: i64, now: UnixSecs) -> Result<Verdict, String> {
    if let Some(broken) = &answer.broken {
        return Err(broken.clone());
    }
    if answer.body.len() > UPSTREAM_ANSWER_MAX_BYTES {
        return Err(format!("body is longer than {UPSTREAM_ANSWER_MAX_BYTES} bytes"));
    }
    verdict(&answer.at_the_edge(), item_id, None, now).map_err(|unreadable| match answer.status {
        401 | 403 => format!("{unreadable}: it does not accept the token"),
        _ => unreadable.to_string(),
    })
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ureq::http::{HeaderMap, HeaderValue, header};

    use super::*;

    const NOW: UnixSecs = 1_800_000_000;

    fn answer(status: u16, content_type: &'static str, body: &Value) -> OriginAnswer {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        OriginAnswer {
            status,
            headers,
            body: body.to_string().into_bytes(),
            broken: None,
            elapsed: Duration::ZERO,
        }
    }

    /// An answer that the edge would ignore is not shown as a grant or a denial.
    #[test]
    fn answers_are_read_as_the_edge_reads_them() {
        let json = "application/json";
        let access = |id: i64, end: Value| json!({"expires_at": end, "item": {"id": id}});
        assert_eq!(
            said(&answer(404, json, &json!({"code": 404, "message": "Item not found"})), 33, NOW),
            Ok(Verdict::NoItem)
        );
        assert_eq!(
            said(&answer(402, json, &json!({"code": 402, "message": "No access"})), 33, NOW),
            Ok(Verdict::Denied)
        );
        let granted = said(&answer(200, json, &access(33, Value::Null)), 33, NOW);
        assert!(matches!(granted, Ok(Verdict::Granted(_, instant::LATEST))), "{granted:?}");
        for (answer, told) in [
            (answer(200, json, &json!({"item": {"id": 33}})), "expires_at is missing"),
            (answer(200, json, &access(33, NOW.into())), "expires_at is over"),
            (answer(200, json, &access(34, Value::Null)), "item.id must be 33, not 34"),
            (answer(200, "text/html", &access(33, Value::Null)), "Content-Type is \"text/html\""),
            (answer(404, json, &json!({"message": "Route not found"})), "message is not one of the API's"),
            (answer(402, json, &Value::Null), "neither the code 402"),
            (answer(401, json, &json!({})), "status is 401: it does not accept the token"),
            (
                OriginAnswer {
                    broken: Some("it broke off".to_owned()),
                    ..answer(402, json, &json!({"code": 402}))
                },
                "it broke off",
            ),
        ] {
            let problem = said(&answer, 33, NOW).unwrap_err();
            assert!(problem.contains(told), "{problem}");
        }
    }
}
