//! Items and fees: created, changed, deleted, validated.

use serde_json::{Value, json};

use crate::{support::Origin, writes::bulk};

const ITEM: i64 = 5101;
const FEE: i64 = 7013;
const PACKAGE: i64 = 5005;

#[test]
fn an_item_is_made_changed_replaced_and_deleted() {
    let origin = Origin::start();
    let form = "item_type=kaltura_asset&title=Caf%C3%A9&content=%7B%22entry_id%22%3A1%7D&metadata[genre]=drama\
                &metadata[preview_button_label]=Watch&external_asset_id=e-1";
    let made = origin.write("POST", "/v2/items", form).expect(201).json();
    assert_eq!((&made["title"], &made["is_active"]), (&json!("Café"), &json!(true)));
    assert_eq!(made["item_type"]["name"], "kaltura_asset");
    assert_eq!(made["access_control_type"], json!({"id": 4, "name": "Paid", "auth": true}));
    assert_eq!(made["metahash"], json!({"genre": "drama", "preview_button_label": "Watch"}));
    assert!(made.get("content").is_none(), "content is for the entitled");
    let id = made["id"].as_i64().unwrap();
    assert!(id > 6_000, "a number that no item of the catalogue has");
    let path = format!("/v2/items/{id}");
    assert_eq!(origin.ask("GET", &format!("/items/{id}")).send().json(), made);
    // It is found by its own id and by its media id, until they change.
    let by = |external: &str| {
        origin.ask("GET", &format!("/items/assets/external/kaltura_asset/{external}")).send()
    };
    assert_eq!(
        (&made["external_asset_id"], by("e-1").json(), by("1").json()),
        (&json!("e-1"), made.clone(), made.clone())
    );
    let taken = "item_type=kaltura_asset&title=Other&external_asset_id=e-1";
    let refused = origin.write("POST", "/v2/items", taken).expect(422).json();
    assert!(refused["errors"]["external_asset_id"].as_str().unwrap().contains(&id.to_string()), "{refused}");
    origin.advance(10);
    let json = json!({"title": "New", "access_control_type_id": 1, "metadata": [{"name": "genre", "value": "noir"}]});
    let changed = origin.ask("PATCH", &path).bearer(&origin.merchant()).json(&json).send().expect(201).json();
    assert_eq!((&changed["title"], &changed["metahash"]), (&json!("New"), &json!({"genre": "noir"})));
    assert_eq!(changed["metadata"][0]["id"], made["metadata"][0]["id"], "an entry keeps its number");
    assert_eq!(changed["updated_at"], made["created_at"].as_i64().unwrap() + 10);
    // The item is free now, and its content is unchanged.
    assert_eq!(origin.check(id).expect(200).json()["item"]["content"], "{\"entry_id\":1}");
    let replaced = origin.write("PUT", &path, "item_type=kaltura_asset&title=Again").expect(201).json();
    assert_eq!((&replaced["metadata"], &replaced["access_control_type"]["id"]), (&json!([]), &json!(4)));
    origin.check(id).refused(402, "No access");
    assert_eq!([by("e-1"), by("1")].map(|reply| reply.status), [404, 404], "PUT replaces everything");
    let deleted = origin.write("DELETE", &path, "").expect(201).json();
    assert_eq!(deleted["is_active"], false);
    origin.check(id).refused(404, "Item not found");
    origin.write("DELETE", &path, "").refused(400, "Item not found");
    origin.write("PATCH", &path, "title=x").refused(404, "Item not found");
}

#[test]
fn items_are_validated_field_by_field() {
    let origin = Origin::start();
    let before = origin.seq();
    origin.write("POST", "/v2/items", "").invalid(&["item_type", "title"]);
    origin.write("POST", "/v2/items", "title=&item_type=").invalid(&["item_type", "title"]);
    let form =
        format!("item_type=vhs_asset&title={}&access_control_type_id=9&metadata[x][y]=1", "x".repeat(2_001));
    origin.write("POST", "/v2/items", &form).invalid(&[
        "access_control_type_id",
        "item_type",
        "metadata[x]",
        "title",
    ]);
    let path = format!("/v2/items/{ITEM}");
    origin.write("PUT", &path, "title=x").invalid(&["item_type"]);
    origin.write("PATCH", &path, "title=").invalid(&["title"]);
    origin.write("PATCH", &path, "item_type=package").invalid(&["item_type"]);
    origin.write("PATCH", &format!("/v2/items/{PACKAGE}"), "item_type=jw_asset").invalid(&["item_type"]);
    assert_eq!(origin.seq(), before);
    for name in [
        "package",
        "html_asset",
        "ooyala_asset",
        "brightcove_asset",
        "cloudfront_asset",
        "dacast_asset",
        "sportradar_asset",
        "panopto_asset",
        "qbrick_asset",
        "kaltura_asset",
        "jw_asset",
        "wowza_asset",
        "wistia_asset",
        "livestream_asset",
    ] {
        origin.write("POST", "/v2/items", &format!("item_type={name}&title=x")).expect(201);
    }
}

#[test]
fn a_fee_is_made_replaced_and_deleted() {
    let origin = Origin::start();
    let form = "access_type_id=103&amount=4.50&currency=eur&description=Monthly&country_iso=ch&restriction_type=blacklist\
                &setup_fee_amount=1.5&setup_fee_description=Registration&trial_period_quantity=7&trial_period_period=day\
                &trial_period_description=A+week&starts_at=2026-01-31T14:00:00%2B02:00&expires_at=2036-01-31T12:00:00Z";
    let path = format!("/v2/items/{ITEM}/access-fees");
    let made = origin.write("POST", &path, form).expect(201).json();
    assert_eq!((&made["amount"], &made["currency"]), (&json!(4.5), &json!("EUR")));
    assert_eq!(
        (&made["item"]["id"], &made["item_id"], &made["access_type"]["id"]),
        (&json!(ITEM), &json!(ITEM), &json!(103))
    );
    assert_eq!(made["trial_period"], json!({"quantity": 7, "period": "day", "description": "A week"}));
    assert_eq!(made["setup_fee"]["fee_amount"], 1.5);
    assert_eq!(made["geo_restriction"]["country_iso"], "CH");
    assert_eq!(made["starts_at"], 1_769_860_800);
    let fee = format!("{path}/{}", made["id"]);
    assert_eq!(origin.ask("GET", &fee).send().json(), made);
    let replaced = origin
        .write("PUT", &fee, "access_type_id=101&amount=0&currency=USD&description=Free+for+two+days")
        .expect(201)
        .json();
    assert_eq!((&replaced["id"], &replaced["amount"]), (&made["id"], &json!(0)));
    assert_eq!((&replaced["trial_period"], &replaced["geo_restriction"]), (&Value::Null, &Value::Null));
    origin.write("DELETE", &fee, "").expect(204);
    origin.ask("GET", &fee).send().refused(404, "Access fee not found");
}

#[test]
fn fees_are_validated_field_by_field() {
    let origin = Origin::start();
    let before = origin.seq();
    let path = format!("/v2/items/{ITEM}/access-fees");
    origin.write("POST", &path, "").invalid(&["access_type_id", "amount", "currency", "description"]);
    let fee = |more: &str| format!("access_type_id=101&currency=EUR&description=x&{more}");
    for amount in ["-1", "abc", "1,5", "NaN", "0x1", "1e400", "%2B1", "+1"] {
        origin.write("POST", &path, &fee(&format!("amount={amount}"))).refused(400, "Invalid fee amount");
    }
    origin.write("POST", &path, &fee("amount=1&setup_fee_amount=-1")).refused(400, "Invalid fee amount");
    for (more, fields) in [
        ("access_type_id=201", vec!["access_type_id"]),
        ("currency=EURO", vec!["currency"]),
        ("currency=E1R", vec!["currency"]),
        ("country_iso=C", vec!["country_iso", "restriction_type"]),
        ("country_iso=CH", vec!["restriction_type"]),
        ("restriction_type=whitelist", vec!["country_iso"]),
        ("country_iso=CH&country_set_id=1&restriction_type=whitelist", vec!["country_iso"]),
        ("country_set_id=x&restriction_type=graylist", vec!["country_set_id", "restriction_type"]),
        ("trial_period_quantity=0", vec!["trial_period_period", "trial_period_quantity"]),
        ("trial_period_quantity=1&trial_period_period=eon", vec!["trial_period_period"]),
        ("setup_fee_description=x", vec!["setup_fee_amount"]),
        ("starts_at=tomorrow", vec!["starts_at"]),
        ("starts_at=now%2B1d", vec!["starts_at"]),
        ("starts_at=2026-01-02T00:00:00Z&expires_at=2026-01-01T00:00:00Z", vec!["expires_at"]),
    ] {
        origin.write("POST", &path, &fee(&format!("amount=1&{more}"))).invalid(&fields);
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn one_refused_fee_of_a_bulk_change_refuses_all() {
    let origin = Origin::start();
    let path = format!("/v2/items/{ITEM}/access-fees/bulk");
    let before = origin.ask("GET", &format!("/items/{ITEM}/access-fees")).send().json();
    origin.write("PATCH", &path, "").invalid(&["access_fees"]);
    let twice = bulk().replace("[id]=0", &format!("[id]={FEE}"));
    origin.write("PATCH", &path, &twice).invalid(&["access_fees[1][id]"]);
    let wrong = bulk()
        .replace("[access_type_id]=103", "[access_type_id]=201")
        .replace("[currency]=USD", "[currency]=1");
    origin
        .write("PATCH", &path, &wrong)
        .invalid(&["access_fees[1][access_type_id]", "access_fees[1][currency]"]);
    origin.write("PATCH", &path, &bulk().replace("9.99", "x")).refused(400, "Invalid fee amount");
    assert_eq!(origin.ask("GET", &format!("/items/{ITEM}/access-fees")).send().json(), before);
    let seq = origin.seq();
    let changed = origin.write("PATCH", &path, &bulk()).expect(201).json();
    assert_eq!(origin.seq(), seq + 1);
    let fees = origin.ask("GET", &format!("/items/{ITEM}/access-fees")).send().json();
    assert_eq!(changed, fees, "the one that was there, and the new one");
    assert_eq!((&fees[0]["description"], &fees[1]["description"]), (&json!("old"), &json!("new")));
    let json = json!({"access_fees": [{"id": 0, "access_type_id": 101, "amount": 2, "currency": "EUR", "description": "third"}]});
    let third = origin.ask("PATCH", &path).bearer(&origin.merchant()).json(&json).send().expect(201).json();
    assert_eq!(third[0]["amount"], 2);
}

#[test]
fn an_item_has_no_more_fees_than_an_edge_takes() {
    let origin = Origin::start();
    let path = format!("/v2/items/{ITEM}/access-fees/bulk");
    let fee = json!({"id": 0, "access_type_id": 101, "amount": 1, "currency": "EUR", "description": "x"});
    let bulk = |count: usize| {
        let json = json!({"access_fees": vec![fee.clone(); count]});
        origin.ask("PATCH", &path).bearer(&origin.merchant()).json(&json).send()
    };
    bulk(1_001).invalid(&["access_fees"]);
    // One fee exists already.
    bulk(1_000).invalid(&["id"]);
    bulk(900).expect(201);
    bulk(100).invalid(&["id"]);
}

/// Half a megabyte of control characters is three megabytes of JSON, and twice that for a publisher.
#[test]
fn an_item_is_no_longer_than_a_publisher_takes() {
    let origin = Origin::start();
    let entries: Vec<_> = (0..8).map(|n| format!("metadata[n{n}]={}", "\u{1}".repeat(60_000))).collect();
    let path = format!("/v2/items/{ITEM}");
    let answer = origin.write("PATCH", &path, &entries.join("&")).expect(422);
    let message = answer.json()["errors"]["metadata"].as_str().unwrap().to_owned();
    assert!(message.contains("5760") && message.contains("65536"), "{message}");
    origin.write("PATCH", &path, &format!("metadata[n]={}", "x".repeat(30_000))).expect(201);
}
