//! Headers of requests and answers.

use serde_json::{Map, Value, json};

use crate::schema::{one_of, pattern, text};

/// The headers of answers: the name of the component, the header, its schema, whether it is always there, and what it says.
fn table() -> Vec<(&'static str, &'static str, Value, bool, &'static str)> {
    vec![
        (
            "RequestId",
            "X-Request-ID",
            pattern("^[ -~]+$"),
            true,
            "Names the request in the service's log. Under `/access/v1/` it is the client's own, if the client sent one",
        ),
        (
            "AdmitRequestId",
            "Admit-Request-ID",
            text(),
            false,
            "The request's name in the service's log, where `X-Request-ID` is the client's",
        ),
        (
            "CacheControl",
            "Cache-Control",
            text(),
            true,
            "`public, max-age=30` for a 200 that is the same for all clients; `private, no-store` for all else",
        ),
        (
            "ServerTiming",
            "Server-Timing",
            text(),
            false,
            "Of the edge. `memory;desc=\"hit\"`: answered from memory. `load;dur=12`: waited 12 ms",
        ),
        (
            "EntitlementSeq",
            "Entitlement-Seq",
            json!({ "type": "integer", "minimum": 0 }),
            false,
            "On answers of the origin: how many of its changes they reflect",
        ),
        (
            "IdempotencyReplayed",
            "Idempotency-Replayed",
            text(),
            false,
            "`true` if the origin had executed the write before",
        ),
        ("ContentTypeOptions", "X-Content-Type-Options", one_of(&["nosniff"]), true, "Always `nosniff`"),
        (
            "AllowOrigin",
            "Access-Control-Allow-Origin",
            text(),
            false,
            "`*`, or the page's own origin if `CORS_ORIGINS` lists it",
        ),
        ("ExposeHeaders", "Access-Control-Expose-Headers", text(), false, "The headers that pages may read"),
        ("Vary", "Vary", text(), false, "`Origin`, if `CORS_ORIGINS` is a list"),
        ("Authenticate", "WWW-Authenticate", text(), true, "`Bearer error=\"invalid_token\"`"),
        ("Allow", "Allow", text(), true, "The methods of the path"),
        (
            "AcceptEncoding",
            "Accept-Encoding",
            text(),
            false,
            "`identity`, after a body with a `Content-Encoding`",
        ),
        (
            "RetryAfter",
            "Retry-After",
            json!({ "type": "integer", "minimum": 0 }),
            true,
            "When another attempt makes sense, in seconds",
        ),
        ("Location", "Location", text(), true, "The app's address with a code or an error"),
    ]
}

/// The components.
pub fn components() -> Value {
    let headers = table().into_iter().map(|(name, _, schema, is_required, text)| {
        (name.to_owned(), json!({ "schema": schema, "required": is_required, "description": text }))
    });
    Value::Object(headers.collect())
}

/// Headers that every answer has or may have, but for the 500 of an invalid configuration.
pub const COMMON: [&str; 7] = [
    "RequestId",
    "CacheControl",
    "ServerTiming",
    "ContentTypeOptions",
    "AllowOrigin",
    "ExposeHeaders",
    "Vary",
];

/// References to components, by the names of the headers.
pub fn references(names: &[&str]) -> Value {
    let mut headers = Map::new();
    for (name, header, ..) in table() {
        if names.contains(&name) {
            headers.insert(header.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
        }
    }
    Value::Object(headers)
}

/// The header that asks for an answer of a certain freshness.
pub fn min_seq() -> Value {
    parameter(
        "Entitlement-Min-Seq",
        text(),
        "The answer must reflect so many of the origin's changes: the `Entitlement-Seq` of a write. Any value but a number is ignored",
        &"2".into(),
    )
}

/// The header by which a write is executed once.
pub fn idempotency_key() -> Value {
    parameter(
        "Idempotency-Key",
        json!({ "type": "string", "pattern": "^[!-~]*$", "maxLength": 255 }),
        "Names the write, so that it may be sent again: 1 to 255 visible ASCII characters",
        &"order-1005".into(),
    )
}

/// The header by which a client names its request.
pub fn own_request_id() -> Value {
    let text = "Comes back in the answer, if it has visible ASCII characters and blanks only";
    parameter("X-Request-ID", self::text(), text, &"check-17".into())
}

/// The header by which the holder of the lease shows itself.
pub fn holder() -> Value {
    let text = "The `holder` of the lease, if one is in force";
    parameter("Admit-Holder", self::text(), text, &"7c9e6679f0a94b1d8e5a1b2c3d4e5f60".into())
}

/// The header by which a follower waits for changes.
pub fn prefer() -> Value {
    parameter("Prefer", text(), "`wait=20` waits up to 20 seconds for the first change", &"wait=20".into())
}

fn parameter(name: &str, schema: Value, text: &str, example: &Value) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": text, "schema": schema, "example": example })
}
