//! Answers to support staff.

use admit::{
    limits::{HOLDINGS_PAGE, HOLDINGS_TRIALS_MAX},
    token::{Capability, Scope},
};
use serde_json::{Value, json};

use crate::schema::{
    about, array, boolean, bounded, count, id, integer, named, number, object, one_of, open, or_null,
    pattern, text, time, uuid,
};

pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        (
            "AnsweringVersion",
            about(
                object(&[
                    ("seq", about(count(), "How many of the origin's changes it has")),
                    ("as_of", time("When it was true at the origin")),
                ]),
                "The version of the snapshot that answers",
            ),
        ),
        ("FoundCustomer", customer()),
        (
            "CustomerPage",
            object(&[
                ("version", named("AnsweringVersion")),
                ("at", time("The moment that `state` is about")),
                ("customer", named("FoundCustomer")),
                ("holdings", bounded(named("Holding"), 0, HOLDINGS_PAGE)),
                (
                    "used_trials",
                    about(
                        bounded(id(), 0, HOLDINGS_TRIALS_MAX),
                        "Items whose trial was used; on the first page only",
                    ),
                ),
                ("page", object(&[("next_token", next_token()), ("count", count()), ("total", count())])),
            ]),
        ),
        (
            "CustomersPage",
            object(&[
                ("version", named("AnsweringVersion")),
                ("results", array(named("FoundCustomer"))),
                (
                    "page",
                    object(&[
                        ("next_token", next_token()),
                        (
                            "shards_read",
                            about(count(), "How many shards of customers were looked at, with this page"),
                        ),
                        ("shards", about(count(), "How many there are")),
                    ]),
                ),
            ]),
        ),
        ("Holding", json!({ "anyOf": [named("HeldAccess"), named("HeldSubscription")] })),
        ("HeldAccess", access()),
        ("HeldSubscription", subscription()),
        (
            "PresentedToken",
            about(
                open(&[("token", about(text(), "With or without `Bearer `, at most 16 KiB"))]),
                "A token to be looked at",
            ),
        ),
        ("InspectedToken", inspected()),
    ]
}

fn next_token() -> Value {
    about(text(), "Empty on the last page")
}

fn source() -> Value {
    about(one_of(&["shard", "delta"]), "Where the record is: in a shard, or in the changes since")
}

fn customer() -> Value {
    object(&[
        ("key", about(pattern("^[0-9a-f]{32}$"), "The record's name in the snapshot")),
        ("id", about(or_null(text()), "Namespace and subject, where they are known")),
        ("number", integer()),
        ("uuid", uuid()),
        ("merchant_id", integer()),
        ("source", source()),
    ])
}

fn dates() -> Vec<(&'static str, Value)> {
    vec![
        ("created_at", time("When it was granted or bought")),
        ("starts_at", or_null(time("The first second at which it counts"))),
        (
            "expires_at",
            or_null(time("The first second at which it no longer counts; `null` if it never ends")),
        ),
        ("renews_on", or_null(time("When it will be renewed next"))),
        ("state", one_of(&["past", "running", "future"])),
        ("source", source()),
    ]
}

fn access() -> Value {
    let purchase = object(&[
        ("amount", number()),
        ("currency", text()),
        ("access_fee_id", or_null(id())),
        ("payment_method", or_null(text())),
        ("is_trial", boolean()),
    ]);
    let mut members = vec![
        ("type", about(one_of(&["item", "package", "access"]), "`access`: on an item that is not published")),
        ("id", about(integer(), "The number of the access")),
        ("item_id", id()),
        ("title", or_null(text())),
        ("merchant_id", or_null(integer())),
        ("purchase", or_null(about(purchase, "How it was bought, if the origin says so"))),
    ];
    members.extend(dates());
    object(&members)
}

fn subscription() -> Value {
    let mut members = vec![
        ("type", one_of(&["license"])),
        ("license_id", uuid()),
        ("title", text()),
        ("license_name", or_null(text())),
        ("license_state", or_null(text())),
        ("app", or_null(text())),
        ("plan_id", or_null(text())),
        ("merchant_id", or_null(integer())),
        ("status", one_of(&["ACTIVE", "OVERDUE", "CANCELLED"])),
        ("renew_status", one_of(&["RENEW", "CANCEL"])),
        ("is_trial", boolean()),
        ("cancelled_at", or_null(time("When it was cancelled"))),
    ];
    members.extend(dates());
    object(&members)
}

fn inspected() -> Value {
    let rule = object(&[
        ("rule", text()),
        ("result", one_of(&["passed", "failed", "not_reached"])),
        ("reason?", about(text(), "The code of the log line")),
        ("detail?", about(text(), "What was found and what is expected")),
    ]);
    let right = object(&[("right", text()), ("given", boolean()), ("reason?", text()), ("detail?", text())]);
    let principal = object(&[
        ("issuer", text()),
        ("customer", about(text(), "Namespace and subject")),
        ("client_id", or_null(text())),
        ("merchant_id", or_null(integer())),
        ("merchant_uuid", or_null(text())),
        ("account_id", or_null(integer())),
        ("roles", array(text())),
        ("scopes", array(one_of(&Scope::ALL.map(Scope::name)))),
        ("capabilities", array(one_of(&Capability::ALL.map(Capability::name)))),
        ("merchants", about(or_null(array(integer())), "Those that the issuer speaks for; `null` for all")),
        ("not_before", or_null(time("When the token begins"))),
        ("expires_at", time("When it ends")),
    ]);
    let part = |text: &str| about(json!({ "type": ["object", "null"] }), text);
    object(&[
        ("accepted", about(boolean(), "Whether a request with this token is let in")),
        ("status?", json!({ "type": "integer", "description": "The status if it is not" })),
        ("header", part("As the token has it; `null` if it cannot be read")),
        ("claims", part("As the token has them, verified or not; `null` if they cannot be read")),
        ("rules", about(array(rule), "In the order in which they are checked")),
        ("principal", or_null(about(principal, "What the service makes of the claims of an accepted token"))),
        ("rights", about(array(right), "What an accepted token opens")),
    ])
}
