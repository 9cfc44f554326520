//! The bodies that players read: which fields they have, and of which types.

use serde_json::{Map, Value};

use super::client::Answer;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Integer,
    Text,
    Boolean,
    Object(&'static [(&'static str, Kind)]),
    /// An object or `null`.
    Nullable(&'static [(&'static str, Kind)]),
    /// An array of objects.
    List(&'static [(&'static str, Kind)]),
    /// An object of strings.
    Texts,
}

use Kind::{Boolean, Integer, List, Nullable, Object, Text, Texts};

/// The fields of a granted access that are always there.
const ACCESS: &[(&str, Kind)] = &[
    ("id", Integer),
    ("account_id", Integer),
    ("customer_id", Integer),
    ("customer_uuid", Text),
    ("ip_address", Text),
    ("country_code", Text),
    ("created_at", Integer),
    ("expires_at", Integer),
    ("item", Object(ITEM)),
];

/// The fields of an item.
const ITEM: &[(&str, Kind)] = &[
    ("content", Text),
    ("id", Integer),
    ("merchant_id", Integer),
    ("merchant_uuid", Text),
    ("title", Text),
    ("is_active", Boolean),
    ("active", Boolean),
    ("access_control_type", Object(&[("id", Integer), ("name", Text), ("auth", Boolean)])),
    (
        "item_type",
        Object(&[
            ("id", Integer),
            ("name", Text),
            ("content_type", Text),
            ("host", Text),
            ("description", Text),
        ]),
    ),
    ("age_restriction", Nullable(&[("min_age", Integer)])),
    ("metadata", List(&[("id", Integer), ("name", Text), ("value", Text)])),
    ("metahash", Texts),
    ("plan_switch_enabled", Boolean),
    ("created_at", Integer),
    ("updated_at", Integer),
];

/// What is wrong with the body of a granted access to `item`, looked at at `now`.
pub fn access_problem(answer: &Answer, item: i64, now: i64) -> Option<String> {
    if let Some(problem) = type_problem(answer) {
        return Some(problem);
    }
    let Some(Value::Object(body)) = answer.json() else { return Some("no JSON object".to_owned()) };
    let mut problems = Vec::new();
    look_at(&body, ACCESS, "", &mut problems);
    if body.get("starts_at").is_some_and(|starts_at| !starts_at.is_null() && !is_integer(starts_at)) {
        problems.push("starts_at: expected an integer, or no such field".to_owned());
    }
    if let Some(id) = body.get("item").and_then(|item| item.get("id")).and_then(Value::as_i64)
        && id != item
    {
        problems.push(format!("item.id: expected {item}, found {id}"));
    }
    if let Some(ended) =
        body.get("expires_at").and_then(Value::as_i64).filter(|end| *end <= now - LEEWAY_SECS)
    {
        problems.push(format!("expires_at: {ended} lies in the past"));
    }
    (!problems.is_empty()).then(|| problems.join("; "))
}

/// How far the clocks of the origin and of this machine may be apart.
const LEEWAY_SECS: i64 = 60;

/// What is wrong with the body of an error.
pub fn error_problem(answer: &Answer) -> Option<String> {
    if let Some(problem) = type_problem(answer) {
        return Some(problem);
    }
    let Some(Value::Object(body)) = answer.json() else { return Some("no JSON object".to_owned()) };
    let code = body.get("code").unwrap_or(&Value::Null);
    if code.as_u64() != Some(u64::from(answer.status)) {
        return Some(format!("code: expected the number {}, found {code}", answer.status));
    }
    let message = body.get("message").unwrap_or(&Value::Null);
    if message.as_str().is_none_or(str::is_empty) {
        return Some(format!("message: expected text, found {message}"));
    }
    match body.get("errors").unwrap_or(&Value::Null) {
        Value::Object(errors) if !errors.is_empty() && errors.values().all(Value::is_string) => None,
        errors => Some(format!("errors: expected an object of strings, found {errors}")),
    }
}

fn type_problem(answer: &Answer) -> Option<String> {
    let content_type = answer.header("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    (!essence.eq_ignore_ascii_case("application/json"))
        .then(|| format!("Content-Type: expected application/json, found {content_type:?}"))
}

fn look_at(object: &Map<String, Value>, fields: &[(&str, Kind)], path: &str, problems: &mut Vec<String>) {
    for (name, kind) in fields {
        let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
        match object.get(*name) {
            None => problems.push(format!("{path}: it is missing")),
            Some(value) => look_at_value(value, *kind, &path, problems),
        }
    }
}

fn look_at_value(value: &Value, kind: Kind, path: &str, problems: &mut Vec<String>) {
    let (is_so, expected) = match (kind, value) {
        (Object(fields) | Nullable(fields), Value::Object(object)) => {
            return look_at(object, fields, path, problems);
        }
        (List(fields), Value::Array(elements)) => {
            for (position, element) in elements.iter().enumerate() {
                look_at_value(element, Object(fields), &format!("{path}[{position}]"), problems);
            }
            return;
        }
        (Nullable(_), value) => (value.is_null(), "an object or null"),
        (Object(_), _) => (false, "an object"),
        (List(_), _) => (false, "an array"),
        (Texts, value) => {
            let texts = value.as_object();
            (texts.is_some_and(|texts| texts.values().all(Value::is_string)), "an object of strings")
        }
        (Integer, value) => (is_integer(value), "an integer"),
        (Text, value) => (value.is_string(), "a string"),
        (Boolean, value) => (value.is_boolean(), "true or false"),
    };
    if !is_so {
        problems.push(format!("{path}: expected {expected}, found {value}"));
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ureq::http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        let headers = HeaderMap::from_iter([(
            ureq::http::header::CONTENT_TYPE,
            "application/json; charset=utf-8".parse().unwrap(),
        )]);
        let body = body.to_string().into_bytes();
        Answer { status, headers, body, broken: None, elapsed: std::time::Duration::ZERO }
    }

    fn access() -> Value {
        json!({
            "id": 44, "account_id": 21, "customer_id": 33, "customer_uuid": "u", "ip_address": "0.0.0.0",
            "country_code": "XX", "created_at": 1, "expires_at": 2_000, "starts_at": -62_135_596_800_i64,
            "item": {
                "content": "", "id": 33, "merchant_id": 21, "merchant_uuid": "m", "title": "Foo", "is_active": true,
                "active": true, "access_control_type": {"id": 4, "name": "Paid", "auth": true},
                "item_type": {"id": 44, "name": "n", "content_type": "ovp", "host": "h", "description": "d"},
                "age_restriction": null, "metadata": [{"id": 1, "name": "a", "value": "b"}],
                "metahash": {"a": "b"}, "plan_switch_enabled": false, "created_at": 1, "updated_at": 1
            }
        })
    }

    #[test]
    fn every_field_of_an_access_is_looked_at() {
        assert_eq!(access_problem(&answer(200, &access()), 33, 1_000), None);
        for (pointer, value, problem) in [
            ("/id", json!("44"), "id: expected an integer, found \"44\""),
            ("/expires_at", json!(900), "expires_at: 900 lies in the past"),
            ("/starts_at", json!("now"), "starts_at: expected an integer, or no such field"),
            ("/item/id", json!(34), "item.id: expected 33, found 34"),
            ("/item/metadata", json!({"a": "b"}), "item.metadata: expected an array, found {\"a\":\"b\"}"),
            ("/item/metadata/0/value", json!(3), "item.metadata[0].value: expected a string, found 3"),
            ("/item/metahash/a", json!(3), "item.metahash: expected an object of strings, found {\"a\":3}"),
            (
                "/item/age_restriction",
                json!(18),
                "item.age_restriction: expected an object or null, found 18",
            ),
            (
                "/item/access_control_type/auth",
                json!(1),
                "item.access_control_type.auth: expected true or false, found 1",
            ),
        ] {
            let mut body = access();
            *body.pointer_mut(pointer).unwrap() = value;
            assert_eq!(access_problem(&answer(200, &body), 33, 1_000).as_deref(), Some(problem), "{pointer}");
        }
        let mut body = access();
        body["item"].as_object_mut().unwrap().remove("active");
        let problem = access_problem(&answer(200, &body), 33, 1_000);
        assert_eq!(problem.as_deref(), Some("item.active: it is missing"));
    }

    #[test]
    fn errors_have_one_body() {
        let good = json!({"code": 402, "message": "No access", "errors": {"402": "No access"}});
        assert_eq!(error_problem(&answer(402, &good)), None);
        for (body, problem) in [
            (json!({"code": "402", "message": "No", "errors": {"402": "No"}}), "code"),
            (json!({"code": 401, "message": "No", "errors": {"402": "No"}}), "code"),
            (json!({"code": 402, "errors": {"402": "No"}}), "message"),
            (json!({"code": 402, "message": "No", "errors": ["No"]}), "errors"),
            (json!({"code": 402, "message": "No", "errors": {"402": ["No"]}}), "errors"),
            (json!({"code": 402, "message": "No", "errors": {}}), "errors"),
            (json!([]), "no JSON object"),
        ] {
            let found = error_problem(&answer(402, &body)).unwrap();
            assert!(found.starts_with(problem), "{found}");
        }
        let page = Answer { headers: HeaderMap::new(), ..answer(402, &good) };
        assert!(error_problem(&page).unwrap().starts_with("Content-Type"));
    }
}
