//! Answers of the publish API.

use admit::{limits::CHECK_MAX_OBJECTS, token::Capability};
use serde_json::{Value, json};

use crate::schema::{about, array, boolean, bounded, named, object, one_of, or_null, pattern, text};

pub fn all() -> Vec<(&'static str, Value)> {
    let name = || pattern("^(index|page|shard|delta|directory)/[0-9a-f]{64}$");
    vec![
        (
            "Stored",
            object(&[
                ("stored", about(text(), "The key that was stored")),
                (
                    "announced?",
                    about(boolean(), "For a head, at an edge with a fresh lane: whether the lane has it now"),
                ),
            ]),
        ),
        (
            "StoredObjects",
            object(&[("stored", json!({ "type": "integer", "minimum": 0, "maximum": CHECK_MAX_OBJECTS }))]),
        ),
        (
            "ObjectCheck",
            object(&[
                ("missing", bounded(name(), 0, CHECK_MAX_OBJECTS)),
                ("broken", bounded(name(), 0, CHECK_MAX_OBJECTS)),
            ]),
        ),
        (
            "StoredKeys",
            object(&[
                ("keys", array(text())),
                ("cursor", about(or_null(text()), "A parameter of the next page; `null` on the last one")),
            ]),
        ),
        (
            "Lease",
            about(
                object(&[
                    ("holder", pattern("^[0-9a-f]{32}$")),
                    ("host", json!({ "type": "string", "pattern": "^[!-~]{1,253}$" })),
                    (
                        "until",
                        json!({ "type": "integer", "description": "At most 600 s from now, unix seconds" }),
                    ),
                ]),
                "Who may publish, and until when",
            ),
        ),
        ("Issuers", object(&[("issuers", array(named("Issuer")))])),
        (
            "Issuer",
            object(&[
                ("issuer", text()),
                ("namespace", text()),
                ("customer_claim", text()),
                (
                    "merchants",
                    about(
                        or_null(array(json!({ "type": "integer" }))),
                        "Those that it speaks for; `null` for all",
                    ),
                ),
                ("may", array(one_of(&Capability::ALL.map(Capability::name)))),
                ("test_clients", boolean()),
                (
                    "kids",
                    about(
                        or_null(array(text())),
                        "The names of its keys in the configuration; `null` where they are fetched",
                    ),
                ),
            ]),
        ),
    ]
}
