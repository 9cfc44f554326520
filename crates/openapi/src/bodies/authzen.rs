//! Questions and answers in the form of AuthZEN.

use admit::limits::{AUTHZEN_EVALUATIONS_MAX, AUTHZEN_PAGE_MAX_ITEMS};
use serde_json::{Value, json};

use crate::schema::{
    about, array, boolean, bounded, count, either, id, integer, named, object, one_of, only, open, or_null,
    text, time,
};

pub fn all() -> Vec<(&'static str, Value)> {
    let properties = || ("properties?", json!({ "type": "object" }));
    let parts = || {
        vec![
            ("subject", named("Subject")),
            ("action", named("Action")),
            ("resource", named("Resource")),
            ("context?", named("EvaluationContext")),
        ]
    };
    let defaults = || {
        vec![
            ("subject?", named("Subject")),
            ("action?", named("Action")),
            ("resource?", named("Resource")),
            ("context?", named("EvaluationContext")),
        ]
    };
    let mut several = defaults();
    several.push(("evaluations?", bounded(open(&defaults()), 0, AUTHZEN_EVALUATIONS_MAX)));
    several.push((
        "options?",
        open(&[(
            "evaluations_semantic?",
            one_of(&["execute_all", "deny_on_first_deny", "permit_on_first_permit"]),
        )]),
    ));
    vec![
        (
            "Subject",
            about(
                open(&[("type", text()), ("id", text()), properties()]),
                "`customer`, and `<namespace>:<subject>`",
            ),
        ),
        ("Action", about(open(&[("name", text()), properties()]), "`play`")),
        (
            "Resource",
            about(open(&[("type", text()), ("id", text()), properties()]), "`item`, and its number as text"),
        ),
        (
            "EvaluationContext",
            about(
                open(&[
                    time_asked(),
                    (
                        "origin?",
                        json!({ "description": "`true`, for callers that may explain: the origin is asked as well" }),
                    ),
                ]),
                "Other members are ignored",
            ),
        ),
        (
            "SearchContext",
            about(
                open(&[time_asked(), ("include_free?", about(boolean(), "Whether free items are listed"))]),
                "Other members are ignored",
            ),
        ),
        ("Evaluation", open(&parts())),
        ("Evaluations", about(open(&several), "The top-level members are the defaults of `evaluations`")),
        (
            "Search",
            open(&[
                ("subject", named("Subject")),
                ("action", named("Action")),
                (
                    "resource",
                    open(&[("type", text()), ("id?", json!({ "description": "Ignored" })), properties()]),
                ),
                ("context?", named("SearchContext")),
                (
                    "page?",
                    open(&[
                        ("limit?", json!({ "type": "integer", "minimum": 0 })),
                        ("token?", text()),
                        properties(),
                    ]),
                ),
            ]),
        ),
        ("Decision", decision()),
        ("Decisions", object(&[("evaluations", bounded(named("Decision"), 1, AUTHZEN_EVALUATIONS_MAX))])),
        ("DecisionContext", context()),
        (
            "ConsideredGrant",
            about(
                object(&[
                    ("source", about(text(), "The kind of the grant")),
                    (
                        "found_in",
                        about(one_of(&["shard", "delta", "directory", "origin"]), "Where it comes from"),
                    ),
                    ("obstacle", about(or_null(text()), "Why the grant does not count; `null` if it does")),
                    ("access_id", or_null(integer())),
                    ("license_id", or_null(text())),
                    ("created_at", or_null(integer())),
                    ("starts_at", or_null(integer())),
                    ("expires_at", or_null(integer())),
                ]),
                "A grant that was looked at, for callers that may explain",
            ),
        ),
        (
            "Found",
            object(&[
                (
                    "page",
                    object(&[("next_token", about(text(), "Empty on the last page")), ("count", count())]),
                ),
                ("context", search_context()),
                (
                    "results",
                    bounded(object(&[("type", only("item")), ("id", text())]), 0, AUTHZEN_PAGE_MAX_ITEMS),
                ),
            ]),
        ),
        (
            "AuthzenConfiguration",
            object(&[
                ("policy_decision_point", text()),
                ("access_evaluation_endpoint", text()),
                ("access_evaluations_endpoint", text()),
                ("search_resource_endpoint", text()),
            ]),
        ),
    ]
}

/// Ignored, whatever its value, if the caller may not explain.
fn time_asked() -> (&'static str, Value) {
    let text = "The moment of the decision, for callers that may explain: unix seconds or RFC 3339";
    ("time?", json!({ "description": text, "examples": [1_795_493_000, "2030-01-03T00:00:00Z"] }))
}

fn decision() -> Value {
    let error = object(&[("status", json!({ "type": "integer", "minimum": 400 })), ("message", text())]);
    let failed = object(&[("error", about(error, "It cannot be decided, and this is not a denial"))]);
    object(&[
        ("decision", json!({ "type": "boolean" })),
        ("context", json!({ "anyOf": [named("DecisionContext"), failed] })),
    ])
}

fn context() -> Value {
    object(&[
        ("reason", about(text(), "The code of the reason")),
        ("expires_at?", time("When the access ends; absent from denials")),
        ("seq?", about(count(), "How many of the origin's changes the decision reflects")),
        ("as_of?", time("When that was true; for callers that may explain")),
        ("considered?", array(named("ConsideredGrant"))),
        (
            "item?",
            about(
                object(&[("id", id()), ("merchant_id?", integer())]),
                "The item of the question; of an origin's answers only",
            ),
        ),
        ("origin?", about(origin(), "What the origin says now, for callers that may explain and ask for it")),
    ])
}

fn origin() -> Value {
    let error = object(&[("status", json!({ "type": "integer", "minimum": 400 })), ("message", text())]);
    let said = object(&[
        ("decision", boolean()),
        ("reason", or_null(text())),
        ("expires_at?", time("When the access ends, of a permit")),
    ]);
    either(&[said, object(&[("error", error)])])
}

fn search_context() -> Value {
    object(&[
        ("reason?", about(text(), "Why nothing can be found")),
        ("seq?", about(count(), "How many of the origin's changes the page reflects")),
        ("as_of?", time("When that was true; for callers that may explain")),
    ])
}
