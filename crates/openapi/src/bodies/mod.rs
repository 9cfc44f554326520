//! The schemas of bodies. Those of this service's own answers have no members beside those that are described, so that a
//! test which validates answers finds an undescribed one. Clients must ignore members that they do not know.

mod authzen;
mod items;
mod operators;
mod store;
mod support;
mod viewer;
mod writes;

use serde_json::{Map, Value, json};

use crate::schema::{about, object, text};

/// Every schema by its name.
pub fn all() -> Value {
    let mut schemas = Map::new();
    for (name, schema) in [
        items::all(),
        viewer::all(),
        authzen::all(),
        store::all(),
        operators::all(),
        support::all(),
        writes::all(),
        general(),
    ]
    .concat()
    {
        schemas.insert(name.to_owned(), schema);
    }
    Value::Object(schemas)
}

fn general() -> Vec<(&'static str, Value)> {
    let members = |errors: Value| {
        [
            (
                "code",
                json!({ "type": "integer", "minimum": 400, "maximum": 599, "description": "The status" }),
            ),
            ("message", json!({ "type": "string", "minLength": 1 })),
            ("errors", errors),
        ]
    };
    let errors = json!({
        "type": "object", "additionalProperties": text(), "minProperties": 1,
        "description": "The message under the name of the field or header, or under the status",
    });
    vec![
        ("Error", about(object(&members(errors.clone())), "The one body of all errors")),
        (
            "OriginError",
            about(
                crate::schema::open(&members(errors)),
                "An error of the origin, which may have members of its own beside the API's",
            ),
        ),
        (
            "OAuthError",
            about(
                crate::schema::open(&[
                    ("error", text()),
                    ("error_description?", text()),
                    ("error_uri?", text()),
                ]),
                "An error of a sign-in in OAuth's form (RFC 6749)",
            ),
        ),
    ]
}
