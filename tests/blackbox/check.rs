//! Rules for every answer, whatever the request.

use serde_json::Value;

use super::wire::{Answer, Wire};

/// Which pages may read the answer, by the `Origin` header of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// `CORS_ORIGINS` is `*`.
    All,
    /// `CORS_ORIGINS` is a list that contains the request's origin.
    Listed(&'static str),
    /// `CORS_ORIGINS` is a list that does not contain the request's origin.
    NotListed,
}

/// The rules that an answer of the service breaks.
pub fn problems(wire: &Wire, answer: &Answer, pages: Pages) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |is_right: bool, what: &str| {
        if !is_right {
            problems.push(what.to_owned());
        }
    };
    let header = |name| answer.header(name);
    let (status, is_head, is_preflight) = (answer.status, wire.method == "HEAD", wire.method == "OPTIONS");
    for (position, (name, _)) in answer.headers.iter().enumerate() {
        let again = answer.headers[..position].iter().any(|(before, _)| before == name);
        check(!again, &format!("{name} twice"));
    }
    match pages {
        Pages::All => {
            check(header("access-control-allow-origin") == Some("*"), "allow-origin is not *");
            check(header("vary").is_none(), "vary without need");
        }
        Pages::Listed(origin) => {
            check(header("access-control-allow-origin") == Some(origin), "allow-origin is not the page's");
            check(header("vary") == Some("Origin"), "no vary: Origin");
        }
        Pages::NotListed => {
            check(header("access-control-allow-origin").is_none(), "a page that is not listed is allowed");
            check(header("vary") == Some("Origin"), "no vary: Origin");
        }
    }
    if pages != Pages::NotListed {
        let exposed = Some(
            "x-request-id, server-timing, retry-after, entitlement-seq, idempotency-replayed, content-disposition",
        );
        check(header("access-control-expose-headers") == exposed, "wrong expose-headers");
    }
    check(header("access-control-allow-credentials").is_none(), "credentials are allowed");
    check(header("x-content-type-options") == Some("nosniff"), "no nosniff");
    check(header("set-cookie").is_none(), "a cookie");
    check(header("etag").is_none() && header("last-modified").is_none(), "a validator");
    let is_id = |id: &str| {
        let hex =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        matches!(id.split_once('-'), Some((prefix, count)) if prefix.len() == 16 && count.len() == 8 && hex(prefix) && hex(count))
    };
    // AuthZEN's clients name their requests, and get the name back.
    let sent = wire.headers.iter().find(|(name, _)| name == "X-Request-ID").map(|(_, id)| id.as_slice());
    match sent {
        Some(sent) => check(header("x-request-id").map(str::as_bytes) == Some(sent), "another x-request-id"),
        None => check(header("x-request-id").is_some_and(is_id), "no x-request-id of ours"),
    }
    let timing = header("server-timing").unwrap_or_default();
    check(timing == "memory;desc=\"hit\"" || timing.starts_with("load;dur="), "no server-timing");
    check(status != 304, "304 without a validator");
    let has_no_body = is_preflight || (wire.method == "DELETE" && status < 400);
    check((status == 204) == has_no_body, "204 is for preflights and removals, and they are 204");
    check(header("www-authenticate").is_some() == (status == 401), "www-authenticate belongs to 401");
    check(header("retry-after").is_some() == (status == 503), "retry-after belongs to 503");
    check(header("allow").is_none() || status == 405 || is_preflight, "allow belongs to 405");
    check(
        header("access-control-allow-methods").is_some() == is_preflight,
        "allow-methods belongs to preflights",
    );
    if status == 401 {
        check(
            header("www-authenticate") == Some(r#"Bearer error="invalid_token""#),
            "wrong www-authenticate",
        );
    }
    if has_no_body {
        check(answer.body.is_empty() && header("content-type").is_none(), "a 204 with a body");
        check(header("cache-control") == Some("private, no-store"), "a 204 must be private, no-store");
        return problems;
    }
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    if is_head {
        check(answer.body.is_empty(), "HEAD with a body");
        check(length.is_some(), "HEAD without content-length");
    } else {
        check(length == Some(answer.body.len()), "content-length is not the body's");
    }
    if status != 200 || !is_read_publicly(wire) {
        check(header("cache-control") == Some("private, no-store"), "must be private, no-store");
    }
    if !is_value(wire) || status >= 400 {
        check(header("content-type") == Some("application/json"), "content-type is not application/json");
    }
    if status >= 400 && !is_head {
        problems.extend(error_body_problems(answer));
    }
    problems
}

fn is_read_publicly(wire: &Wire) -> bool {
    let target = wire.seen();
    let path = target.split('?').next().unwrap_or_default();
    let is_viewers = path.ends_with("/access")
        || path.starts_with("/items/access/")
        || path.starts_with("/items/used-trial-period/");
    let is_offer = path.starts_with("/v3/sites/") && path.ends_with("/plans");
    let is_metadata = path == "/.well-known/authzen-configuration";
    is_metadata || is_offer || ((path.starts_with("/items/") || path.starts_with("/v2/")) && !is_viewers)
}

/// Whether the answer may be a value of the store, whose bytes are not checked.
fn is_value(wire: &Wire) -> bool {
    let is_list =
        [&b"/snapshot/keys"[..], b"/snapshot/issuers"].iter().any(|list| wire.target.starts_with(list));
    wire.target.starts_with(b"/snapshot/") && !is_list && ["GET", "HEAD"].contains(&wire.method.as_str())
}

/// iOS and Android decode `errors` as an object of strings; the status is repeated as a number.
fn error_body_problems(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let Some(object) = body.as_object() else { return vec!["an error without a JSON object".to_owned()] };
    let mut problems = Vec::new();
    if object.keys().collect::<Vec<_>>() != ["code", "errors", "message"] {
        problems.push("an error has code, errors and message, and nothing else".to_owned());
    }
    if object.get("code").and_then(Value::as_u64) != Some(u64::from(answer.status)) {
        problems.push("code is not the status".to_owned());
    }
    let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
    if message.is_empty() {
        problems.push("no message".to_owned());
    }
    let is_right = |errors: &serde_json::Map<String, Value>| {
        !errors.is_empty() && errors.values().all(|error| error.as_str() == Some(message))
    };
    if !object.get("errors").and_then(Value::as_object).is_some_and(is_right) {
        problems.push("errors is not an object of strings".to_owned());
    }
    problems
}

/// The body of an error.
pub fn error_body(status: u16, message: &str, field: Option<&str>) -> Value {
    let key = field.map_or_else(|| status.to_string(), str::to_owned);
    serde_json::json!({ "code": status, "message": message, "errors": { key: message } })
}

/// Whether `actual` contains everything of `expected`; objects may have more members.
pub fn includes(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| actual.get(name).is_some_and(|actual| includes(actual, expected))),
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len()
                && actual.iter().zip(expected).all(|(actual, expected)| includes(actual, expected))
        }
        _ => actual == expected,
    }
}
