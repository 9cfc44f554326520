//! The bodies that players read: their fields and the types of these.

use admit_snapshot::{instant, number};
use serde_json::{Map, Value};

use super::client::{BYTE_ORDER_MARK, OriginAnswer};

/// The type of a field.
#[derive(Clone, Copy, Debug)]
enum FieldType {
    /// An integer. Players fail on other types, and the edge does not correct it.
    Integer,
    /// An integer that the edge rewrites, so text or a float without a fraction will do.
    Number,
    /// Unix seconds. The edge also reads times as text.
    Moment,
    /// Unix seconds, or `null`, which the edge reads as "no end".
    End,
    Text,
    Boolean,
    Object(&'static [(&'static str, FieldType)]),
    /// An object or `null`.
    Nullable(&'static [(&'static str, FieldType)]),
    /// An array of objects.
    List(&'static [(&'static str, FieldType)]),
    /// An object of strings. The edge reads an empty array as an empty object, because PHP writes it so.
    Texts,
}

use FieldType::{Boolean, End, Integer, List, Moment, Nullable, Number, Object, Text, Texts};

/// The fields that a granted access always has.
const ACCESS: &[(&str, FieldType)] = &[
    ("id", Number),
    ("account_id", Number),
    ("customer_id", Number),
    ("customer_uuid", Text),
    ("ip_address", Text),
    ("country_code", Text),
    ("created_at", Moment),
    ("expires_at", End),
    ("item", Object(ITEM)),
];

/// The fields of an item.
const ITEM: &[(&str, FieldType)] = &[
    ("content", Text),
    ("id", Number),
    ("merchant_id", Number),
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
    ("created_at", Moment),
    ("updated_at", Moment),
];

/// The result of checking a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// What players or the edge cannot read.
    pub problems: Vec<String>,
    /// What the edge corrects. Players that ask the origin directly may fail on it.
    pub oddities: Vec<String>,
}

/// How far apart the clocks of the origin and of this machine may be.
const LEEWAY_SECS: i64 = 60;

/// Checks the body of a granted access to `item` at the time `now`.
pub fn look_at_access(answer: &OriginAnswer, item: i64, now: i64) -> Looked {
    let mut looked = Looked::default();
    look_at_form(answer, &mut looked);
    let Some(Value::Object(body)) = answer.json() else {
        looked.problems.push("the body is not a JSON object".to_owned());
        return looked;
    };
    look_at(&body, ACCESS, "", &mut looked);
    if let Some(starts_at) = body.get("starts_at").filter(|starts_at| !starts_at.is_null()) {
        look_at_value(starts_at, Moment, "starts_at", &mut looked);
    }
    if let Some(id) = body.get("item").and_then(|item| item.get("id")).and_then(number::whole)
        && id != item
    {
        looked.problems.push(format!("item.id: expected {item}, found {id}"));
    }
    if let Some(end) = body.get("expires_at").and_then(|end| instant::from_json(end).ok())
        && end.at <= now - LEEWAY_SECS
    {
        looked.problems.push(format!("expires_at: {} lies in the past", end.at));
    }
    looked
}

/// Times that cannot be read, at any depth of the answer.
pub fn wrong_moments(body: &Value) -> Vec<String> {
    let mut looked = Looked::default();
    walk(body, "", &mut looked);
    looked.problems
}

fn walk(value: &Value, path: &str, looked: &mut Looked) {
    const NAMES: [&str; 4] = ["created_at", "updated_at", "starts_at", "expires_at"];
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = joined(path, name);
                if NAMES.contains(&name.as_str()) && !value.is_null() {
                    look_at_value(value, Moment, &path, looked);
                } else {
                    walk(value, &path, looked);
                }
            }
        }
        Value::Array(elements) => {
            for (position, element) in elements.iter().enumerate() {
                walk(element, &format!("{path}[{position}]"), looked);
            }
        }
        _ => {}
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Looks at the body of an error.
pub fn look_at_error(answer: &OriginAnswer) -> Looked {
    let mut looked = Looked::default();
    look_at_form(answer, &mut looked);
    looked.problems.extend(error_problem(answer));
    looked
}

fn error_problem(answer: &OriginAnswer) -> Option<String> {
    let Some(Value::Object(body)) = answer.json() else {
        return Some("the body is not a JSON object".to_owned());
    };
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

/// Looks at the media type and the first bytes of a body that should be JSON.
fn look_at_form(answer: &OriginAnswer, looked: &mut Looked) {
    let content_type = answer.header("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let problem = format!("Content-Type: expected application/json, found {content_type:?}");
    match essence.as_str() {
        "application/json" => {}
        other if other.ends_with("+json") => looked.oddities.push(problem),
        _ => looked.problems.push(problem),
    }
    if answer.body.starts_with(BYTE_ORDER_MARK) {
        looked.oddities.push("a byte order mark stands before the JSON".to_owned());
    }
}

fn look_at(object: &Map<String, Value>, fields: &[(&str, FieldType)], path: &str, looked: &mut Looked) {
    for (name, kind) in fields {
        let path = joined(path, name);
        match object.get(*name) {
            None => looked.problems.push(format!("{path}: it is missing")),
            Some(value) => look_at_value(value, *kind, &path, looked),
        }
    }
}

fn look_at_value(value: &Value, kind: FieldType, path: &str, looked: &mut Looked) {
    let (is_so, expected) = match (kind, value) {
        (Object(fields) | Nullable(fields), Value::Object(object)) => {
            return look_at(object, fields, path, looked);
        }
        (List(fields), Value::Array(elements)) => {
            for (position, element) in elements.iter().enumerate() {
                look_at_value(element, Object(fields), &format!("{path}[{position}]"), looked);
            }
            return;
        }
        (Moment | End, value) => return look_at_moment(value, kind, path, looked),
        (Number, value) if !is_integer(value) && number::whole(value).is_some() => {
            return looked.oddities.push(format!("{path}: expected an integer, found {value}"));
        }
        (Texts, Value::Array(elements)) if elements.is_empty() => {
            return looked.oddities.push(format!("{path}: expected an object, found []"));
        }
        (Nullable(_), value) => (value.is_null(), "an object or null"),
        (Object(_), _) => (false, "an object"),
        (List(_), _) => (false, "an array"),
        (Texts, value) => {
            let texts = value.as_object();
            (texts.is_some_and(|texts| texts.values().all(Value::is_string)), "an object of strings")
        }
        (Integer | Number, value) => (is_integer(value), "an integer"),
        (Text, value) => (value.is_string(), "a string"),
        (Boolean, value) => (value.is_boolean(), "true or false"),
    };
    if !is_so {
        looked.problems.push(format!("{path}: expected {expected}, found {value}"));
    }
}

fn look_at_moment(value: &Value, kind: FieldType, path: &str, looked: &mut Looked) {
    match instant::from_json(value) {
        Ok(_) if is_integer(value) => {}
        Err(_) if matches!(kind, End) && value.is_null() => {
            looked.oddities.push(format!("{path}: expected unix seconds, found null"));
        }
        Ok(_) => looked.oddities.push(format!("{path}: expected unix seconds, found {value}")),
        Err(error) => looked.problems.push(format!("{path} {error}")),
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

    fn answer(status: u16, body: &Value) -> OriginAnswer {
        let headers = HeaderMap::from_iter([(
            ureq::http::header::CONTENT_TYPE,
            "application/json; charset=utf-8".parse().unwrap(),
        )]);
        let body = body.to_string().into_bytes();
        OriginAnswer { status, headers, body, broken: None, elapsed: std::time::Duration::ZERO }
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

    fn looked(pointer: &str, value: Value) -> Looked {
        let mut body = access();
        *body.pointer_mut(pointer).unwrap() = value;
        look_at_access(&answer(200, &body), 33, 1_000)
    }

    #[test]
    fn every_field_of_an_access_is_looked_at() {
        assert_eq!(look_at_access(&answer(200, &access()), 33, 1_000), Looked::default());
        for (pointer, value, problem) in [
            ("/id", json!("4a"), "id: expected an integer, found \"4a\""),
            ("/id", json!(4.5), "id: expected an integer, found 4.5"),
            ("/expires_at", json!(900), "expires_at: 900 lies in the past"),
            (
                "/expires_at",
                json!(1_767_225_600_000_i64),
                "expires_at looks like milliseconds (1767225600000): unix seconds are expected, at most 253402300799",
            ),
            (
                "/item/updated_at",
                json!("1767225600000"),
                "item.updated_at looks like milliseconds (1767225600000): unix seconds are expected, at most 253402300799",
            ),
            (
                "/starts_at",
                json!("2026-01-01T00:00:00"),
                "starts_at has no time zone (\"2026-01-01T00:00:00\"): add Z or an offset such as +02:00",
            ),
            ("/item/id", json!(34), "item.id: expected 33, found 34"),
            ("/item/metadata", json!({"a": "b"}), "item.metadata: expected an array, found {\"a\":\"b\"}"),
            ("/item/metadata/0/id", json!("1"), "item.metadata[0].id: expected an integer, found \"1\""),
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
            assert_eq!(looked(pointer, value).problems, [problem], "{pointer}");
        }
        for (pointer, value) in
            [("/created_at", json!(null)), ("/created_at", json!([])), ("/expires_at", json!(1e300))]
        {
            assert_eq!(looked(pointer, value).problems.len(), 1, "{pointer}");
        }
        let mut body = access();
        body["item"].as_object_mut().unwrap().remove("active");
        assert_eq!(look_at_access(&answer(200, &body), 33, 1_000).problems, ["item.active: it is missing"]);
    }

    #[test]
    fn what_the_edge_writes_anew_is_odd_and_no_problem() {
        for (pointer, value, oddity) in [
            ("/id", json!("44"), "id: expected an integer, found \"44\""),
            ("/customer_id", json!(33.0), "customer_id: expected an integer, found 33.0"),
            ("/item/merchant_id", json!("21"), "item.merchant_id: expected an integer, found \"21\""),
            ("/expires_at", json!(null), "expires_at: expected unix seconds, found null"),
            ("/expires_at", json!("2000"), "expires_at: expected unix seconds, found \"2000\""),
            ("/created_at", json!("2026-01-01"), "created_at: expected unix seconds, found \"2026-01-01\""),
            ("/item/metahash", json!([]), "item.metahash: expected an object, found []"),
        ] {
            let oddities = vec![oddity.to_owned()];
            assert_eq!(looked(pointer, value), Looked { problems: Vec::new(), oddities }, "{pointer}");
        }
    }

    #[test]
    fn moments_are_found_at_any_depth() {
        let body = json!({"id": 1_767_225_600_000_i64, "item": {"fees": [{"starts_at": 1_767_225_600_000_i64}]}, "expires_at": null});
        let problems = wrong_moments(&body);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("item.fees[0].starts_at looks like milliseconds"), "{problems:?}");
    }

    #[test]
    fn errors_have_one_body() {
        let good = json!({"code": 402, "message": "No access", "errors": {"402": "No access"}});
        assert_eq!(look_at_error(&answer(402, &good)), Looked::default());
        for (body, problem) in [
            (json!({"code": "402", "message": "No", "errors": {"402": "No"}}), "code"),
            (json!({"code": 401, "message": "No", "errors": {"402": "No"}}), "code"),
            (json!({"code": 402, "errors": {"402": "No"}}), "message"),
            (json!({"code": 402, "message": "No", "errors": ["No"]}), "errors"),
            (json!({"code": 402, "message": "No", "errors": {"402": ["No"]}}), "errors"),
            (json!({"code": 402, "message": "No", "errors": {}}), "errors"),
            (json!([]), "the body is not a JSON object"),
        ] {
            let looked = look_at_error(&answer(402, &body));
            assert!(looked.problems[0].starts_with(problem), "{looked:?}");
        }
        let page = OriginAnswer { headers: HeaderMap::new(), ..answer(402, &good) };
        assert!(look_at_error(&page).problems[0].starts_with("Content-Type"));
    }

    #[test]
    fn json_with_another_type_or_a_byte_order_mark_is_an_oddity() {
        let mut odd = answer(200, &access());
        odd.headers.insert("content-type", "application/vnd.api+json".parse().unwrap());
        odd.body.splice(0..0, BYTE_ORDER_MARK.iter().copied());
        let looked = look_at_access(&odd, 33, 1_000);
        assert_eq!((looked.problems.len(), looked.oddities.len()), (0, 2), "{looked:?}");
    }
}
