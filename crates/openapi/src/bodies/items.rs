//! Items, fees and packages.

use serde_json::{Value, json};

use crate::schema::{
    about, array, boolean, bounded, count, id, integer, named, number, object, one_of, or_null, text, time,
    uuid,
};

fn item_members() -> Vec<(&'static str, Value)> {
    vec![
        ("id", id()),
        ("merchant_id", integer()),
        ("merchant_uuid", uuid()),
        ("title", text()),
        ("is_active", boolean()),
        ("active", about(boolean(), "The same as `is_active`")),
        ("access_control_type", named("AccessControlType")),
        ("item_type", named("ItemType")),
        ("age_restriction", or_null(named("AgeRestriction"))),
        ("metadata", array(named("MetadataEntry"))),
        (
            "metahash",
            json!({ "type": "object", "additionalProperties": text(), "description": "The same as `metadata`, by name" }),
        ),
        ("external_asset_id?", text()),
        ("plan_switch_enabled", boolean()),
        ("created_at", time("When it was made")),
        ("updated_at", time("When it was changed last")),
    ]
}

pub fn all() -> Vec<(&'static str, Value)> {
    let mut entitled = vec![(
        "content",
        about(text(), "What plays the item, as the merchant wrote it; shown to the entitled only"),
    )];
    entitled.extend(item_members());
    let page = [
        ("total", about(count(), "How many active members the package has")),
        ("page", json!({ "type": "integer", "minimum": 1 })),
        ("offset", about(count(), "Where the page begins")),
        ("limit", json!({ "type": "integer", "minimum": 1, "maximum": 100 })),
        ("collection", bounded(named("Item"), 0, 100)),
    ];
    vec![
        ("Item", about(object(&item_members()), "An item, as all clients see it")),
        ("EntitledItem", about(object(&entitled), "An item, as those see it who may play it")),
        (
            "AccessControlType",
            object(&[
                ("id", integer()),
                ("name", text()),
                ("auth", about(boolean(), "`false`: free for every signed-in customer")),
            ]),
        ),
        (
            "ItemType",
            object(&[
                ("id", integer()),
                ("name", text()),
                ("content_type", text()),
                ("host", text()),
                ("description", text()),
            ]),
        ),
        ("AgeRestriction", object(&[("min_age", count())])),
        ("MetadataEntry", object(&[("id", integer()), ("name", text()), ("value", text())])),
        ("Fee", about(fee(), "A price of an item")),
        (
            "AccessType",
            object(&[
                ("id", integer()),
                ("account_id", integer()),
                ("name", text()),
                ("quantity", integer()),
                ("period", text()),
                ("created_at", time("When it was made")),
                ("updated_at", time("When it was changed last")),
            ]),
        ),
        ("TrialPeriod", object(&[("quantity", integer()), ("period", text()), ("description", text())])),
        ("SetupFee", object(&[("id", integer()), ("fee_amount", number()), ("description", text())])),
        (
            "GeoRestriction",
            object(&[
                ("id", integer()),
                ("country_iso", or_null(text())),
                ("country_set_id", or_null(integer())),
                ("type", one_of(&["blacklist", "whitelist"])),
            ]),
        ),
        ("PackageItems", about(object(&page), "A page of a package's active members")),
    ]
}

fn fee() -> Value {
    object(&[
        ("item", named("Item")),
        ("id", id()),
        ("merchant_id", integer()),
        ("amount", number()),
        ("currency", text()),
        ("description", text()),
        ("item_id", id()),
        ("access_type", named("AccessType")),
        ("trial_period", or_null(named("TrialPeriod"))),
        ("setup_fee", or_null(named("SetupFee"))),
        ("geo_restriction", or_null(named("GeoRestriction"))),
        ("starts_at", or_null(time("When it is offered first"))),
        ("expires_at", or_null(time("When it is offered no longer"))),
        ("plan_switch_enabled", boolean()),
        ("created_at", time("When it was made")),
        ("updated_at", time("When it was changed last")),
    ])
}
