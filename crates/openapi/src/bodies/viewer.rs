//! Checks, playback, and what a viewer holds.

use admit::limits::{CHECKS_MAX_ITEMS, PAGE_MAX_ITEMS, PLANS_MAX};
use serde_json::{Value, json};

use crate::schema::{
    about, array, boolean, bounded, count, either, id, integer, named, number, object, one_of, only, or_null,
    text, time, uuid,
};

pub fn all() -> Vec<(&'static str, Value)> {
    let end = "When it ends; for a grant without an end that renews, its next renewal; else 253402300799";
    vec![
        (
            "Access",
            about(
                object(&[
                    ("id", about(integer(), "The access record; 0 if the grant is a licence or a free item")),
                    ("account_id", about(integer(), "The merchant's number")),
                    ("customer_id", integer()),
                    ("customer_uuid", text()),
                    ("ip_address", about(text(), "Of the request; `0.0.0.0` if unknown")),
                    (
                        "country_code",
                        json!({ "type": "string", "pattern": "^[A-Z]{2}$", "description": "Of the request; `XX` if unknown" }),
                    ),
                    ("created_at", time("When access was granted")),
                    ("expires_at", time(end)),
                    ("starts_at?", time("When access begins, if it has a start")),
                    ("item", named("EntitledItem")),
                ]),
                "Access is granted",
            ),
        ),
        ("Checks", object(&[("items", bounded(named("Check"), 1, CHECKS_MAX_ITEMS))])),
        (
            "Check",
            either(&[
                object(&[("id", id()), ("access", only(true)), ("expires_at", time(end))]),
                object(&[
                    ("id", id()),
                    ("access", only(false)),
                    (
                        "code",
                        json!({ "type": "integer", "enum": [402, 404, 503], "description": "402 is the denial, 404 an unknown item; 503: it cannot be told now" }),
                    ),
                ]),
            ]),
        ),
        (
            "Playback",
            object(&[
                ("expires_at", time("When access ends")),
                ("sources", json!({ "type": "array", "minItems": 1, "items": named("PlaybackSource") })),
            ]),
        ),
        (
            "PlaybackSource",
            object(&[
                (
                    "type",
                    about(
                        one_of(&[
                            "jw",
                            "cloudfront",
                            "cloudflare_stream",
                            "mux",
                            "cat",
                            "akamai",
                            "hmac_url",
                        ]),
                        "The signer",
                    ),
                ),
                (
                    "url",
                    about(
                        or_null(text()),
                        "The URL to play; `null` if only the player knows the platform's URL",
                    ),
                ),
                ("token", about(text(), "The proof by itself")),
                ("expires_at", time("When the proof ends, never after the access")),
            ]),
        ),
        ("MediaToken", object(&[("token", text())])),
        ("SignedUrl", object(&[("video_url", text())])),
        ("Licenses", licenses()),
        ("HeldItem", held()),
        (
            "License",
            object(&[
                ("id", uuid()),
                ("internal_id", text()),
                ("name", text()),
                ("description", text()),
                ("locales", array(object(&[("name", text()), ("country_code", text())]))),
                ("rank", integer()),
                ("price_tier?", json!({ "description": "As the origin published it" })),
            ]),
        ),
        ("UsedTrial", about(boolean(), "Whether the trial was used")),
        (
            "Purchases",
            object(&[("total", count()), ("collection", bounded(named("Purchase"), 0, PAGE_MAX_ITEMS))]),
        ),
        ("Purchase", purchase()),
        (
            "Plans",
            object(&[
                ("total", count()),
                ("page", only(1)),
                ("page_length", count()),
                ("plans", bounded(named("Plan"), 0, PLANS_MAX)),
            ]),
        ),
        (
            "Plan",
            object(&[
                ("id", uuid()),
                ("exp?", time("When it ends; of plans that a viewer holds")),
                (
                    "metadata",
                    object(&[
                        ("name", text()),
                        ("access_model", only("svod")),
                        ("external_providers", object(&[])),
                    ]),
                ),
            ]),
        ),
        (
            "Health",
            object(&[
                (
                    "age_secs",
                    about(integer(), "How long ago the origin was last heard; whole minutes for strangers"),
                ),
                ("status", one_of(&["ok", "stale", "behind", "degraded"])),
                ("as_of?", time("When the snapshot was true")),
                ("bytes_in_memory?", count()),
                ("changed_at?", time("When the data last changed")),
                ("customers?", count()),
                ("head_from?", about(one_of(&["kv", "lane"]), "Where the head in use was read")),
                ("items?", count()),
                (
                    "lane?",
                    about(
                        object(&[
                            ("answered_secs", or_null(integer())),
                            ("failed", count()),
                            ("older", count()),
                        ]),
                        "The fresh lane, if there is one: how long ago it answered this isolate, how often it failed, and how often it said an older head",
                    ),
                ),
                ("objects_in_memory?", count()),
                ("seq?", about(count(), "How many of the origin's changes the snapshot has")),
                ("unchanged_secs?", integer()),
            ]),
        ),
        (
            "OriginHealth",
            about(
                object(&[
                    ("status", one_of(&["ok", "degraded"])),
                    ("seq?", count()),
                    ("writes?", one_of(&["full", "io", "read_only"])),
                ]),
                "The health of the reference origin",
            ),
        ),
    ]
}

fn licenses() -> Value {
    object(&[
        ("plan_id", or_null(text())),
        ("client_id", or_null(text())),
        ("items", array(object(&[("item", named("HeldItem")), ("license", named("License"))]))),
    ])
}

fn held() -> Value {
    let moment = |text: &str| json!({ "type": "string", "format": "date-time", "description": text });
    object(&[
        ("license_type", one_of(&["SINGLE", "BUNDLE"])),
        ("name", text()),
        ("status", about(one_of(&["ACTIVE", "OVERDUE", "CANCELLED"]), "`ACTIVE` and `OVERDUE` unlock items")),
        ("renew_status", one_of(&["RENEW", "CANCEL"])),
        ("renews_on", or_null(moment("When it renews"))),
        ("interval_length", count()),
        ("interval_unit", one_of(&["DAYS", "WEEKS", "MONTHS", "YEARS"])),
        ("billing_cycle_anchor", or_null(moment("From when billing counts"))),
        ("date_added", moment("When it was bought")),
        ("trial", boolean()),
        ("trial_duration?", count()),
        ("trial_reset?", count()),
    ])
}

fn purchase() -> Value {
    let empty = || about(text(), "Always empty: the snapshot does not have it");
    object(&[
        ("consumer_email", empty()),
        ("parent_resource_id", empty()),
        ("payment_tool", empty()),
        ("type", empty()),
        ("created_at", time("When it was granted")),
        ("customer_id", integer()),
        ("expires_at", time("When it ends, as in a check")),
        ("is_trial", boolean()),
        ("item_access_id", integer()),
        ("item_id", integer()),
        ("item_title", about(text(), "Empty for an item that is gone")),
        ("merchant_id", integer()),
        ("payment_method", text()),
        ("purchased_access_fee_description", text()),
        ("purchased_access_fee_id", integer()),
        ("purchased_access_fee_type", text()),
        ("purchased_amount", number()),
        ("purchased_currency", text()),
        ("revoked", only(0)),
        ("starts_at", time("When it began")),
    ])
}
