//! The origin's readers of client input: forms, JSON bodies, credentials.

use std::collections::BTreeMap;

use admit::api::query;
use origin::{
    limits::{FORM_MAX_DEPTH, FORM_MAX_FIELDS, LIST_MAX},
    request::Incoming,
    service::meaning,
    tokens::{client::presented, redirect::is_registered},
    wire::{Body, Budget, Fields, Payload, form},
};
use serde_json::{Map, Value};

use crate::values::has_float;

const FORM: &str = "application/x-www-form-urlencoded";

/// A form, as the origin reads it, and both ways to read a query.
pub fn form(data: &[u8]) -> bool {
    let text = std::str::from_utf8(data).ok();
    let parameters = text.map(form::parameters);
    if let Some(text) = text {
        let _ = form::parameter(text, "consumer_id");
        let _ = form::text(text);
    }
    let Ok(form) = form::parse(data) else { return false };
    let (leaves, depth) = form.values().map(size).fold((0, 0), |(n, d), (m, e)| (n + m, d.max(e)));
    assert!(leaves <= FORM_MAX_FIELDS && depth <= FORM_MAX_DEPTH, "{leaves} fields, {depth} deep");
    // Without brackets a form is flat, and edge and origin must read the same fields.
    if !data.iter().any(|byte| matches!(byte, b'[' | b']' | b'%')) {
        assert_eq!(
            query::last_of_form(data, "consumer_id").as_deref(),
            form.get("consumer_id").and_then(Value::as_str),
            "edge and origin read another field"
        );
        if let Some(parameters) = parameters {
            assert!(parameters.len() >= form.len(), "a field that the query does not have");
        }
        let pairs: BTreeMap<_, _> =
            form.iter().map(|(name, value)| (name, value.as_str().unwrap_or_default())).collect();
        let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        assert_eq!(form::parse(written.as_bytes()).ok(), Some(form), "a form that is not read as written");
    }
    true
}

/// The number of texts in a value, and their depth.
fn size(value: &Value) -> (usize, usize) {
    match value {
        Value::Object(object) => {
            let (leaves, depth) = object.values().map(size).fold((0, 0), |(n, d), (m, e)| (n + m, d.max(e)));
            (leaves, depth + 1)
        }
        other => {
            assert!(other.is_string(), "a form holds only text");
            (1, 0)
        }
    }
}

/// The body of a write, by its type and field by field, and the fingerprint that an `Idempotency-Key`
/// compares.
pub fn body(data: &[u8]) -> bool {
    let Some((kind, bytes)) = data.split_first() else { return false };
    let content_type = match kind % 4 {
        0 => FORM,
        1 => "application/json",
        2 => "application/merge-patch+json; charset=utf-8",
        _ => "text/plain",
    };
    let incoming = incoming(content_type, bytes);
    let Ok(fields) = incoming.payload.read() else { return false };
    read_fields(&Fields::new(&fields));
    let fingerprint = meaning(&incoming, &fields);
    // JSON with the same texts has the same meaning, whatever the order of the fields and the parameters of
    // the type.
    let json = Value::Object(fields.clone()).to_string();
    let other = self::incoming("application/json; charset=UTF-8", json.as_bytes());
    if !fields.is_empty() && !fields.values().any(has_float) {
        let again = other.payload.read();
        assert!(again.is_ok(), "a body that is not read as written");
        let again = again.unwrap_or_default();
        assert_eq!(meaning(&other, &again), fingerprint, "the same write, another fingerprint");
        let mut changed = again;
        // A fuzzer finds any name: a write that has this field already must get another value.
        let replaced = changed.insert("\u{1}".to_owned(), Value::from("x"));
        if replaced != Some(Value::from("x")) {
            assert_ne!(meaning(&other, &changed), fingerprint, "another write, the same fingerprint");
        }
    }
    true
}

fn incoming(content_type: &str, bytes: &[u8]) -> Incoming {
    let payload = Payload {
        content_type: content_type.to_owned(),
        body: Body::Whole(bytes.to_vec()),
        budget: Budget::WRITE,
        ..Payload::default()
    };
    Incoming { method: "PATCH".to_owned(), path: "/v2/items/1".to_owned(), payload, ..Incoming::default() }
}

/// Every field that a write may have, by the reader of its kind; one kind by the readers of all others.
fn read_fields(fields: &Fields<'_>) {
    for name in ["title", "description", "content", "expires_at", "x"] {
        let text = fields.text(name, 100);
        assert!(text.is_none_or(|text| text.len() <= 100 && !text.contains('\0')), "a text beyond its limit");
        let _ = (fields.integer(name), fields.number(name), fields.moment(name), fields.code(name, 3));
        let _ = fields.word(name, &[("a", 1), ("b", 2)]);
    }
    for name in ["metadata", "item_ids", "access_fees"] {
        let _ = (fields.texts(name, 100), fields.integers(name).map(|list| assert!(list.len() <= LIST_MAX)));
        for inner in fields.objects(name).into_iter().flatten() {
            let _ = (
                inner.integer("id"),
                inner.number("amount"),
                inner.moment("expires_at"),
                inner.name_of("id"),
            );
            let _ = inner.finish();
        }
    }
    let _ = fields.finish();
}

/// A client at the token endpoint: the `Authorization` header, a form, and a redirect address.
pub fn sign_in(data: &[u8]) -> bool {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (authorization, body, address) =
        (String::from_utf8_lossy(next()), next(), String::from_utf8_lossy(next()));
    let fields: Map<String, Value> = form::parse(body).unwrap_or_default();
    let client = presented(&authorization, &Fields::new(&fields));
    if let Ok(client) = &client {
        assert!(!client.client_id.is_empty(), "a client without a name");
    }
    let registered = ["https://tv.example/return".to_owned(), "http://127.0.0.1/callback".to_owned()];
    if is_registered(&registered, &address) {
        let is_loopback = address.starts_with("http://127.0.0.1:") && address.ends_with("/callback");
        assert!(is_loopback || registered.contains(&address.clone().into_owned()), "a code for {address}");
    }
    client.is_ok()
}
