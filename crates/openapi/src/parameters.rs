//! Parameters of paths, by their names in the table, and of queries.

use serde_json::{Value, json};

use crate::schema::{id, one_of, pattern, text, uuid};

/// Schema and description of a parameter of a path. `None` for one that is not described here.
pub fn of_path(name: &str) -> Option<(Value, &'static str)> {
    Some(match name {
        "id" => (id(), "The number of the item or package"),
        "fee_id" => (id(), "The number of the fee"),
        "merchant_uuid" => (uuid(), "The merchant's UUID, with hyphens, in either case"),
        "type" => (pattern("^[A-Za-z0-9_-]+$"), "The name of the item's type"),
        "external_id" => (
            json!({ "type": "string", "minLength": 1, "maxLength": 256 }),
            "A media id or another id of the origin, percent-encoded",
        ),
        "who" => (
            text(),
            "`me`, a UUID, a `key` of an earlier answer, or namespace and subject, joined by a colon; percent-encoded",
        ),
        "site" => (text(), "The app: its id, its `plan_id` or one of its clients"),
        "kind" => (one_of(&["index", "page", "shard", "delta", "directory"]), "The kind of the object"),
        "digest" => (pattern("^[0-9a-f]{64}$"), "The SHA-256 of the object, in lower case"),
        "seq" => (pattern("^(0|[1-9][0-9]{0,18})$"), "The number of the version, without leading zeros"),
        _ => return None,
    })
}

/// A parameter of a query.
pub fn query(name: &str, schema: Value, text: &str) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": text, "schema": schema })
}

/// A parameter of a query that must be there.
pub fn required_query(name: &str, schema: Value, text: &str, example: impl Into<Value>) -> Value {
    let example = example.into();
    json!({ "name": name, "in": "query", "required": true, "description": text, "schema": schema, "example": example })
}
