//! Errors: one answer for each row of the error table.

use std::collections::BTreeMap;

use admit::api::{contract::Methods, error::ApiError};
use serde_json::{Value, json};

use crate::{
    headers::{COMMON, references},
    schema::named,
};

/// The name of an error among the components: its status and the first words of its message.
pub fn name(error: ApiError) -> String {
    let mut name = format!("E{}", error.status());
    if let Some(field) = error.field() {
        name += &pascal(field);
    }
    let message = error.message();
    for word in message.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).take(9) {
        name += &pascal(word);
    }
    name
}

/// The text with a capital, and letters and digits only.
pub fn pascal(text: &str) -> String {
    let mut is_first = true;
    let mut out = String::new();
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() {
            is_first = true;
        } else if is_first {
            out.push(c.to_ascii_uppercase());
            is_first = false;
        } else {
            out.push(c);
        }
    }
    out
}

/// The answers of an operation with these errors, by status. Those with one error are references.
pub fn answers(errors: &[ApiError]) -> BTreeMap<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<ApiError>> = BTreeMap::new();
    for error in errors {
        let known = by_status.entry(error.status()).or_default();
        if !known.contains(error) {
            known.push(*error);
        }
    }
    by_status
        .into_iter()
        .map(|(status, errors)| match errors.as_slice() {
            [one] => {
                (status.to_string(), json!({ "$ref": format!("#/components/responses/{}", name(*one)) }))
            }
            several => (status.to_string(), answer(status, several)),
        })
        .collect()
}

/// The components: an answer for each of `errors`, and an example of its body.
pub fn components(errors: &[ApiError]) -> (Value, Value) {
    let responses = errors.iter().map(|error| (name(*error), answer(error.status(), &[*error])));
    let examples = errors.iter().map(|error| {
        let body: Value = serde_json::from_str(&error.body()).unwrap_or_default();
        (name(*error), json!({ "value": body }))
    });
    (Value::Object(responses.collect()), Value::Object(examples.collect()))
}

fn answer(status: u16, errors: &[ApiError]) -> Value {
    let messages: Vec<_> = errors.iter().map(|error| error.message()).collect();
    let examples: serde_json::Map<_, _> = errors
        .iter()
        .map(|error| (name(*error), json!({ "$ref": format!("#/components/examples/{}", name(*error)) })))
        .collect();
    let mut headers = COMMON.to_vec();
    match status {
        401 => headers.push("Authenticate"),
        405 => headers.push("Allow"),
        415 => headers.push("AcceptEncoding"),
        429 | 502..=504 => headers.push("RetryAfter"),
        // An invalid configuration has no log, and no names for requests.
        500 => headers.retain(|name| *name != "RequestId"),
        _ => {}
    }
    json!({
        "description": messages.join("; "),
        "headers": references(&headers),
        "content": { "application/json": { "schema": named("Error"), "examples": examples } },
    })
}

/// An error that takes a set of methods.
pub const METHOD_NOT_ALLOWED: ApiError = ApiError::MethodNotAllowed(Methods::NONE);
