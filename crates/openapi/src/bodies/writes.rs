//! What writes and sign-ins send, and the answers of an origin, which decides about both.

use serde_json::{Value, json};

use crate::schema::{about, array, id, open, text};

pub fn all() -> Vec<(&'static str, Value)> {
    // A form has texts alone, and an origin reads a number in either form.
    let number = |text: &str| json!({ "type": ["integer", "string"], "description": text });
    let amount = |text: &str| json!({ "type": ["number", "string"], "description": text });
    let moment = |text: &str| json!({ "type": ["integer", "string"], "description": format!("{text}: unix seconds or RFC 3339") });
    let item = || {
        vec![
            ("content?", about(text(), "What plays the item")),
            ("access_control_type_id?", number("1 free, 4 paid")),
            ("metadata?", json!({ "type": "object", "additionalProperties": text() })),
            ("external_asset_id?", text()),
        ]
    };
    let fee = || {
        vec![
            ("access_type_id?", number("How long a purchase lasts")),
            ("amount?", amount("The price")),
            ("currency?", text()),
            ("description?", text()),
            ("country_iso?", text()),
            ("country_set_id?", number("A set of countries")),
            ("restriction_type?", about(text(), "`blacklist` or `whitelist`")),
            ("setup_fee_amount?", amount("What the first payment has beside")),
            ("setup_fee_description?", text()),
            ("trial_period_quantity?", number("The length of a trial")),
            ("trial_period_period?", text()),
            ("trial_period_description?", text()),
            ("starts_at?", moment("When it is offered first")),
            ("expires_at?", moment("When it is offered no longer")),
        ]
    };
    let mut whole_item = vec![("item_type", text()), ("title", text())];
    whole_item.extend(item());
    let mut some_of_item = vec![("item_type?", text()), ("title?", text())];
    some_of_item.extend(item());
    let mut listed_fee = vec![("id?", number("The fee to replace; 0 for a new one"))];
    listed_fee.extend(fee());
    vec![
        (
            "Grant",
            open(&[
                ("item_id", number("The item")),
                ("consumer_id", number("The customer's number")),
                ("access_fee_id?", number("The fee that was paid: the access lasts as long as it says")),
                ("expires_at?", moment("The end, without a fee")),
                ("starts_at?", moment("The start; now without it")),
            ]),
        ),
        ("NewItem", open(&whole_item)),
        ("ItemChange", open(&some_of_item)),
        ("NewFee", open(&fee())),
        ("FeeChanges", open(&[("access_fees", array(open(&listed_fee)))])),
        (
            "MemberChanges",
            open(&[
                ("add_asset_ids?", array(number("An item"))),
                ("remove_asset_ids?", array(number("An item"))),
            ]),
        ),
        (
            "OriginAccess",
            about(open(&[("id?", id()), ("item?", open(&[]))]), "The access, as the origin answers it"),
        ),
        (
            "OriginItem",
            about(open(&[("id?", id()), ("title?", text())]), "The item, as the origin answers it"),
        ),
        ("OriginFee", about(open(&[("id?", id()), ("item_id?", id())]), "The fee, as the origin answers it")),
        (
            "OriginAnswer",
            json!({ "description": "JSON of the origin's own; nothing, if the origin sends none" }),
        ),
        (
            "Credentials",
            about(
                open(&[
                    ("grant_type?", text()),
                    ("client_id?", text()),
                    ("client_secret?", text()),
                    ("username?", text()),
                    ("password?", text()),
                    ("refresh_token?", text()),
                    ("code?", text()),
                    ("code_verifier?", text()),
                    ("redirect_uri?", text()),
                ]),
                "The fields of a grant: docs/origin.md",
            ),
        ),
        (
            "Tokens",
            about(
                open(&[
                    ("access_token?", text()),
                    ("refresh_token?", text()),
                    ("expires?", json!({ "type": "integer" })),
                ]),
                "The tokens, as the origin answers them",
            ),
        ),
        ("JwkSet", open(&[("keys", array(open(&[("kty", text()), ("kid?", text()), ("alg?", text())])))])),
        (
            "OpenIdConfiguration",
            open(&[
                ("issuer", text()),
                ("jwks_uri", text()),
                ("token_endpoint?", text()),
                ("authorization_endpoint?", text()),
            ]),
        ),
    ]
}
