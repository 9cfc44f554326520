//! Every write: done, refused, and what it leaves behind.

use serde_json::{Value, json};

use crate::support::{CUSTOMER, CUSTOMER_SUBJECT, MERCHANT, MERCHANT_UUID, Origin};

/// A film that can be rented, with one fee.
const ITEM: i64 = 5101;
const FEE: i64 = 7013;
/// A package that does not hold it.
const PACKAGE: i64 = 5005;
/// Another merchant's item.
const FOREIGN: i64 = 6201;

/// Every write, as it succeeds on the sample catalogue.
fn writes(origin: &Origin) -> Vec<(&'static str, String, String, u16)> {
    let until = origin.now() + 3_600;
    let fee = "access_type_id=101&amount=4.50&currency=eur&description=Two+days";
    vec![
        (
            "POST",
            "/v2/items".into(),
            "item_type=jw_asset&title=New&content=x&metadata[genre]=drama".into(),
            201,
        ),
        ("PUT", format!("/v2/items/{ITEM}"), "item_type=jw_asset&title=Replaced".into(), 201),
        ("PATCH", format!("/v2/items/{ITEM}"), "title=Changed".into(), 201),
        ("DELETE", format!("/v2/items/{ITEM}"), String::new(), 201),
        ("POST", format!("/v2/items/{ITEM}/access-fees"), fee.into(), 201),
        ("PUT", format!("/v2/items/{ITEM}/access-fees/{FEE}"), fee.into(), 201),
        ("DELETE", format!("/v2/items/{ITEM}/access-fees/{FEE}"), String::new(), 204),
        ("PATCH", format!("/v2/items/{ITEM}/access-fees/bulk"), bulk(), 201),
        ("PATCH", format!("/v2/items/packages/{PACKAGE}/bulk"), format!("add_asset_ids[0]={ITEM}"), 201),
        (
            "POST",
            "/items/access".into(),
            format!("item_id={ITEM}&consumer_id={CUSTOMER}&expires_at={until}"),
            201,
        ),
        ("DELETE", "/items/5110/access?consumer_id=88002".into(), String::new(), 204),
    ]
}

fn bulk() -> String {
    format!(
        "access_fees[0][id]={FEE}&access_fees[0][access_type_id]=101&access_fees[0][amount]=1&access_fees[0][currency]=EUR\
         &access_fees[0][description]=old&access_fees[1][id]=0&access_fees[1][access_type_id]=103\
         &access_fees[1][amount]=9.99&access_fees[1][currency]=USD&access_fees[1][description]=new"
    )
}

#[test]
fn each_write_is_one_change_in_the_log() {
    for index in 0..11 {
        let origin = Origin::start();
        let (method, path, form, status) = writes(&origin).swap_remove(index);
        let before = origin.seq();
        let answer = origin.write(method, &path, &form).expect(status);
        assert_eq!(answer.seq(), before + 1, "{method} {path}");
        assert_eq!(answer.text.is_empty(), status == 204, "{method} {path}");
        let changes = origin.feed(&format!("/changes?after={before}")).expect(200).lines();
        assert_eq!(changes.len(), 1, "{method} {path}");
        assert_eq!(changes[0]["seq"], before + 1);
        assert_eq!(changes[0]["put"].as_array().unwrap().len(), 1, "{method} {path}");
    }
}

#[test]
fn who_may_write() {
    let origin = Origin::start();
    let before = origin.seq();
    for (method, path, form, _) in writes(&origin) {
        let ask = || origin.ask(method, &path).form(&form);
        let answer = ask().send().refused(401, "Invalid auth token");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
        ask().bearer("").send().refused(401, "Invalid auth token");
        let expired = origin.token(json!({"sub": "m", "mid": MERCHANT, "ctx": ["merchant"], "exp": 1}));
        ask().bearer(&expired).send().refused(401, "Invalid auth token");
        for claims in [
            json!({"sub": CUSTOMER_SUBJECT, "mid": MERCHANT, "ctx": ["consumer"]}),
            json!({"sub": "m", "mid": MERCHANT}),
            json!({"sub": "m", "ctx": ["merchant"]}),
            json!({"sub": "m", "mid": 1, "ctx": ["merchant"]}),
            // The number decides; a UUID beside it is not asked.
            json!({"sub": "m", "mid": 1, "mui": MERCHANT_UUID, "ctx": ["merchant"]}),
        ] {
            ask().bearer(&origin.token(claims)).send().refused(403, "Invalid privileges");
        }
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn a_merchant_is_named_by_uuid_too_and_writes_its_own_only() {
    let origin = Origin::start();
    let by_uuid = origin.token(json!({"sub": "m", "mui": MERCHANT_UUID.to_uppercase(), "ctx": "merchant"}));
    let path = format!("/v2/items/{ITEM}");
    origin.ask("PATCH", &path).bearer(&by_uuid).form("title=x").send().expect(201);
    let before = origin.seq();
    for (method, path, form, _) in writes(&origin).into_iter().filter(|write| write.1 != "/v2/items") {
        let answer = origin.ask(method, &path).bearer(&origin.other_merchant()).form(&form).send();
        let expected = match (method, path.as_str()) {
            ("DELETE", "/items/5110/access?consumer_id=88002") => (400, "Failed to remove item access"),
            ("DELETE", path) if !path.contains("access-fees") => (400, "Item not found"),
            _ if form.contains("access_type_id") => {
                let fields = answer.json()["errors"].clone();
                assert!(
                    fields.as_object().unwrap().keys().all(|name| name.contains("access_type_id")),
                    "{fields}"
                );
                continue;
            }
            _ => (404, "Item not found"),
        };
        answer.refused(expected.0, expected.1);
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn bodies_of_the_wrong_type_or_size() {
    let origin = Origin::start();
    let before = origin.seq();
    for (method, path, form, _) in writes(&origin) {
        if form.is_empty() {
            continue;
        }
        let ask = || origin.ask(method, &path).bearer(&origin.merchant());
        ask().body("text/plain", form.clone()).send().refused(415, "Unsupported media type");
        ask()
            .body("multipart/form-data; boundary=x", form.clone())
            .send()
            .refused(415, "Unsupported media type");
        ask().body("application/json", "{").send().invalid(&["body"]);
        ask().body("application/json", "[1]").send().invalid(&["body"]);
        let large = format!("{form}&x={}", "x".repeat(512 * 1024));
        ask().form(&large).send().refused(413, "Body too large");
        // Without a token nobody learns more than that.
        origin.ask(method, &path).form(&large).send().refused(401, "Invalid auth token");
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn what_is_not_there() {
    let origin = Origin::start();
    let before = origin.seq();
    for (method, path, form, _) in writes(&origin) {
        for (from, to) in [
            (format!("/{ITEM}"), "/999999"),
            (format!("/{PACKAGE}/"), "/999999/"),
            ("/5110/".into(), "/999999/"),
        ] {
            if !path.contains(&from) {
                continue;
            }
            let answer = origin.write(method, &path.replace(&from, to), &form);
            match (method, path.contains("access-fees"), path.contains("access?")) {
                ("DELETE", false, false) => answer.refused(400, "Item not found"),
                ("DELETE", false, true) => answer.refused(400, "Failed to remove item access"),
                _ => answer.refused(404, "Item not found"),
            };
        }
    }
    let fee = "access_type_id=101&amount=1&currency=EUR&description=x";
    let path = format!("/v2/items/{ITEM}/access-fees/999");
    origin.write("PUT", &path, fee).refused(404, "Access fee not found");
    origin.write("DELETE", &path, "").refused(404, "Access fee not found");
    let bulk = bulk().replace(&FEE.to_string(), "999");
    let path = format!("/v2/items/{ITEM}/access-fees/bulk");
    origin.write("PATCH", &path, &bulk).refused(404, "Access fee not found");
    // An item is no package.
    let path = format!("/v2/items/packages/{ITEM}/bulk");
    origin.write("PATCH", &path, "add_asset_ids[]=5102").refused(404, "Item not found");
    for id in ["abc", "0", "-1", "9223372036854775808", "1.5"] {
        origin.write("PATCH", &format!("/v2/items/{id}"), "title=x").invalid(&["id"]);
        origin.write("DELETE", &format!("/items/{id}/access?consumer_id=1"), "").refused(422, "No access");
        origin.write("PUT", &format!("/v2/items/{ITEM}/access-fees/{id}"), fee).invalid(&["fee_id"]);
    }
    assert_eq!(origin.seq(), before);
}

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
    origin.advance(10);
    let json = json!({"title": "New", "access_control_type_id": 1, "metadata": [{"name": "genre", "value": "noir"}]});
    let changed = origin.ask("PATCH", &path).bearer(&origin.merchant()).json(&json).send().expect(201).json();
    assert_eq!((&changed["title"], &changed["metahash"]), (&json!("New"), &json!({"genre": "noir"})));
    assert_eq!(changed["metadata"][0]["id"], made["metadata"][0]["id"], "an entry keeps its number");
    assert_eq!(changed["updated_at"], made["created_at"].as_i64().unwrap() + 10);
    // Free now, and the content is still there.
    assert_eq!(origin.check(id).expect(200).json()["item"]["content"], "{\"entry_id\":1}");
    let replaced = origin.write("PUT", &path, "item_type=kaltura_asset&title=Again").expect(201).json();
    assert_eq!((&replaced["metadata"], &replaced["access_control_type"]["id"]), (&json!([]), &json!(4)));
    origin.check(id).refused(402, "No access");
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
fn many_fees_at_once_all_or_none() {
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
fn a_fee_that_is_in_use_stays() {
    let origin = Origin::start();
    let fee = format!("/v2/items/{ITEM}/access-fees/{FEE}");
    let grant = format!("item_id={ITEM}&consumer_id={CUSTOMER}&access_fee_id={FEE}");
    let access = origin.write("POST", "/items/access", &grant).expect(201).json();
    // 48 hours of pay-per-view.
    assert_eq!(access["expires_at"], origin.now() + 48 * 3_600);
    origin.write("DELETE", &fee, "").refused(412, "Access fee is in use");
    let other_kind = "access_type_id=103&amount=1&currency=EUR&description=x";
    origin.write("PUT", &fee, other_kind).refused(412, "Access fee is in use");
    let other_price = "access_type_id=101&amount=1&currency=EUR&description=x";
    origin.write("PUT", &fee, other_price).expect(201);
    origin.advance(48 * 3_600);
    origin.write("DELETE", &fee, "").expect(204);
}

#[test]
fn a_purchase_opens_the_item_at_the_next_check_and_a_revocation_closes_it() {
    let origin = Origin::start();
    origin.check(ITEM).refused(402, "No access");
    let granted = origin.grant(ITEM).expect(201);
    let check = origin.check(ITEM).expect(200);
    assert_eq!(check.seq(), granted.seq());
    // The same body, but for the viewer's address.
    assert_eq!(check.json(), granted.json());
    assert_eq!(granted.json()["customer_id"], CUSTOMER);
    origin.write("DELETE", &format!("/items/{ITEM}/access?consumer_id={CUSTOMER}"), "").expect(204);
    origin.check(ITEM).refused(402, "No access");
    let again = origin.write("DELETE", &format!("/items/{ITEM}/access?consumer_id={CUSTOMER}"), "");
    again.refused(400, "Failed to remove item access");
    // Expiry is judged at the moment of the check.
    origin.grant(ITEM).expect(201);
    origin.advance(3_599);
    origin.check(ITEM).expect(200);
    origin.advance(1);
    origin.check(ITEM).refused(402, "No access");
}

#[test]
fn grants_are_validated_field_by_field() {
    let origin = Origin::start();
    let before = origin.seq();
    let grant = |form: &str| origin.write("POST", "/items/access", form);
    grant("").invalid(&["consumer_id", "expires_at", "item_id"]);
    grant(&format!("item_id=x&consumer_id={CUSTOMER}&expires_at=soon")).invalid(&["expires_at", "item_id"]);
    let (now, until) = (origin.now(), origin.now() + 60);
    grant(&format!("item_id={ITEM}&consumer_id={CUSTOMER}&expires_at={now}")).invalid(&["expires_at"]);
    grant(&format!("item_id={ITEM}&consumer_id={CUSTOMER}&expires_at={until}&starts_at={until}"))
        .invalid(&["expires_at"]);
    grant(&format!("item_id={ITEM}&consumer_id=1&expires_at={until}")).invalid(&["consumer_id"]);
    // A customer of another merchant.
    grant(&format!("item_id={ITEM}&consumer_id=88022&expires_at={until}")).invalid(&["consumer_id"]);
    grant(&format!("item_id={FOREIGN}&consumer_id={CUSTOMER}&expires_at={until}"))
        .refused(404, "Item not found");
    let fee = format!("item_id={ITEM}&consumer_id={CUSTOMER}&access_fee_id=1");
    grant(&fee).refused(404, "Access fee not found");
    for query in ["", "?consumer_id=", "?consumer_id=x", "?consumer_id=1", "?consumer_id=88022"] {
        let path = format!("/items/{ITEM}/access{query}");
        origin.write("DELETE", &path, "").refused(400, "Failed to remove item access");
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn a_package_opens_its_members_and_only_those() {
    let origin = Origin::start();
    let member = origin.ask("GET", &format!("/items/packages/{PACKAGE}/items")).send().json();
    let member = member["collection"][0]["id"].as_i64().unwrap();
    origin.grant(PACKAGE).expect(201);
    origin.check(member).expect(200);
    origin.check(ITEM).refused(402, "No access");
    let path = format!("/v2/items/packages/{PACKAGE}/bulk");
    let form = format!(
        "add_asset_ids[0]={ITEM}&add_asset_ids[1]={ITEM}&remove_asset_ids[0]={member}&remove_asset_ids[1]=77"
    );
    let package = origin.write("PATCH", &path, &form).expect(201).json();
    assert_eq!(package["id"], PACKAGE);
    origin.check(member).refused(402, "No access");
    origin.check(ITEM).expect(200);
    let before = origin.seq();
    origin.write("PATCH", &path, "").invalid(&["add_asset_ids"]);
    origin.write("PATCH", &path, "add_asset_ids[0]=x").invalid(&["add_asset_ids"]);
    for id in [FOREIGN, 5001, 999_999] {
        origin.write("PATCH", &path, &format!("add_asset_ids[0]={id}")).invalid(&["add_asset_ids"]);
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn one_person_by_two_issuers_gets_it_for_both() {
    let origin = Origin::start();
    origin
        .connection()
        .execute(
            "INSERT INTO customers (namespace, subject, id, uuid, merchant_id) VALUES ('cognito', 'same', ?1, ?2, ?3)",
            rusqlite::params![CUSTOMER, CUSTOMER_SUBJECT, MERCHANT],
        )
        .unwrap();
    let before = origin.seq();
    origin.grant(ITEM).expect(201);
    let change = origin.feed(&format!("/changes?after={before}")).lines().remove(0);
    assert_eq!(change["put"].as_array().unwrap().len(), 2);
    let token = origin.token_of("https://cognito.dev.admit.example/pool", json!({"sub": "same"}));
    origin.ask("GET", &format!("/items/{ITEM}/access")).bearer(&token).send().expect(200);
}
