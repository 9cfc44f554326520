//! Converts errors of the upstream to the API's form, `{"code":…,"message":…,"errors":{…}}`, the only one that clients
//! decode. The message of other forms is kept where it is found: RFC 9457 problems, JSON:API errors, lists of messages,
//! plain text.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::json::json;
use crate::limits::UPSTREAM_MESSAGE_MAX_BYTES;

/// The message of an error without one.
const SILENT: &str = "The origin refused the request";

/// Members that may hold the message, the most specific first.
const MESSAGES: [&str; 6] = ["message", "detail", "error_description", "title", "text", "error"];

/// Members of a JSON:API error, or of a list of errors, that may name the field.
const FIELDS: [&str; 6] = ["pointer", "parameter", "header", "field", "name", "path"];

/// The message of an error, from the first known member that has one.
pub fn message_of(error: &Value) -> Option<&str> {
    match error {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        Value::Object(members) => {
            let known = MESSAGES.iter().find_map(|name| members.get(*name).and_then(message_of));
            known.or_else(|| members.get("errors").and_then(first_message))
        }
        _ => None,
    }
}

fn first_message(errors: &Value) -> Option<&str> {
    match errors {
        Value::Array(list) => list.iter().find_map(message_of),
        Value::Object(members) => {
            members.values().find_map(|value| first_message(value).or(message_of(value)))
        }
        _ => message_of(errors),
    }
}

/// Whether clients can decode an error unchanged: `code` is a number, `message` is text, `errors` an object of texts.
fn is_of_the_api(error: &Value) -> bool {
    let errors = error.get("errors").and_then(Value::as_object);
    error.get("code").is_some_and(Value::is_i64)
        && error.get("message").is_some_and(Value::is_string)
        && errors.is_some_and(|errors| errors.values().all(Value::is_string))
}

/// An error of the upstream in the API's form; `None` if it has that form already. Its other members follow those that
/// clients decode.
pub fn in_api_form(status: u16, error: &Value) -> Option<String> {
    if is_of_the_api(error) {
        return None;
    }
    let message = message_of(error).unwrap_or(SILENT);
    let mut errors = Map::new();
    if let Some(given) = error.get("errors") {
        collect(given, &mut errors);
    }
    if errors.is_empty() {
        errors.insert(status.to_string(), message.into());
    }
    let mut body = rendered(status, message, &errors);
    for (name, value) in error.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "code" | "message" | "errors") {
            // Replaces the closing brace.
            body.pop();
            body.extend([",", &json(name), ":", &json(value), "}"]);
        }
    }
    Some(body)
}

/// An error that is not JSON, in the API's form. `text` is its body if that is plain text.
pub fn of_text(status: u16, text: Option<&str>) -> String {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let message = text.map_or(SILENT, |text| {
        text.get(..text.floor_char_boundary(UPSTREAM_MESSAGE_MAX_BYTES)).unwrap_or(SILENT)
    });
    rendered(status, message, &Map::from_iter([(status.to_string(), message.into())]))
}

fn rendered(status: u16, message: &str, errors: &Map<String, Value>) -> String {
    format!(r#"{{"code":{status},"message":{},"errors":{}}}"#, json(message), json(errors))
}

/// Errors as an object of texts. Errors of a list are named by their field, or by their position if they have none.
fn collect(given: &Value, errors: &mut Map<String, Value>) {
    match given {
        Value::Object(members) => {
            errors.extend(members.iter().map(|(name, value)| (name.clone(), text_of(value).into())));
        }
        Value::Array(list) => {
            for (position, error) in list.iter().enumerate() {
                let source = error.get("source").unwrap_or(error);
                let field = FIELDS.iter().find_map(|name| source.get(*name)?.as_str());
                // The last part of a JSON pointer is the name of the field.
                let field =
                    field.and_then(|field| field.rsplit('/').next()).filter(|field| !field.is_empty());
                let name = field.map_or_else(|| position.to_string(), str::to_owned);
                errors.insert(name, text_of(error).into());
            }
        }
        _ => {}
    }
}

/// The text of one error: itself, the texts of a list one after another, or its message.
fn text_of(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text_of).collect::<Vec<_>>().join(" "),
        _ => message_of(error).map_or_else(|| json(error), str::to_owned),
    }
}

/// Clients see text that is not JSON only if it is a message and not a page.
pub fn plain_text(is_plain: bool, body: &[u8]) -> Option<Cow<'_, str>> {
    is_plain.then(|| String::from_utf8_lossy(body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn wrapped(status: u16, error: &Value) -> Value {
        serde_json::from_str(&in_api_form(status, error).unwrap()).unwrap()
    }

    #[test]
    fn the_api_s_own_form_stays_as_it_is() {
        for error in [
            json!({"code": 422, "message": "No", "errors": {"title": "is required"}}),
            json!({"code": 1042, "message": "", "errors": {}, "more": 1}),
        ] {
            assert_eq!(in_api_form(422, &error), None, "{error}");
        }
    }

    #[test]
    fn other_forms_keep_their_message() {
        let table = [
            (
                json!({"type": "https://p.example/credit", "title": "Not enough credit", "status": 403,
                       "detail": "Your balance is 30"}),
                json!({"code": 422, "message": "Your balance is 30", "errors": {"422": "Your balance is 30"},
                       "type": "https://p.example/credit", "title": "Not enough credit", "status": 403,
                       "detail": "Your balance is 30"}),
            ),
            (
                json!({"errors": [{"status": "422", "source": {"pointer": "/data/attributes/title"}, "title": "Invalid",
                                   "detail": "Title is short"}, {"title": "Odd"}]}),
                json!({"code": 422, "message": "Title is short", "errors": {"title": "Title is short", "1": "Odd"}}),
            ),
            (
                json!({"message": "The given data was invalid.", "errors": {"title": ["is required", "is odd"]}}),
                json!({"code": 422, "message": "The given data was invalid.", "errors": {"title": "is required is odd"}}),
            ),
            (
                json!({"code": "E42", "message": "No", "errors": {}}),
                json!({"code": 422, "message": "No", "errors": {"422": "No"}}),
            ),
            (
                json!({"error": {"code": 9, "message": "Nested"}}),
                json!({"code": 422, "message": "Nested", "errors": {"422": "Nested"},
                       "error": {"code": 9, "message": "Nested"}}),
            ),
            (
                json!("Just text"),
                json!({"code": 422, "message": "Just text", "errors": {"422": "Just text"}}),
            ),
            (
                json!({"errors": {"title": "no"}}),
                json!({"code": 422, "message": "no", "errors": {"title": "no"}}),
            ),
            (json!([]), json!({"code": 422, "message": SILENT, "errors": {"422": SILENT}})),
            (json!({}), json!({"code": 422, "message": SILENT, "errors": {"422": SILENT}})),
        ];
        for (error, expected) in table {
            assert_eq!(wrapped(422, &error), expected, "{error}");
        }
    }

    #[test]
    fn text_that_is_not_json() {
        let parsed = |text| serde_json::from_str::<Value>(&of_text(400, text)).unwrap();
        assert_eq!(
            parsed(Some(" A \"title\"\n ")),
            json!({"code": 400, "message": "A \"title\"", "errors": {"400": "A \"title\""}})
        );
        assert_eq!(parsed(None)["message"], SILENT);
        assert_eq!(parsed(Some("  "))["message"], SILENT);
        let long = "é".repeat(1_000);
        let shown = parsed(Some(&long));
        assert_eq!(shown["message"].as_str().unwrap().len(), UPSTREAM_MESSAGE_MAX_BYTES);
        assert_eq!(plain_text(true, b"a\xff"), Some("a\u{fffd}".into()));
        assert_eq!(plain_text(false, b"<html>"), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z \"]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let name = "code|message|errors|error|title|source|pointer|x";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn clients_can_decode_whatever_the_upstream_says(error in any_json()) {
            if let Some(body) = in_api_form(400, &error) {
                let body: Value = serde_json::from_str(&body).unwrap();
                prop_assert!(is_of_the_api(&body), "{}", body);
            }
        }
    }
}
