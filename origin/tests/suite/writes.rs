//! Every write: successful, refused, and its effects on the log.

use serde_json::json;

use crate::support::{CUSTOMER, CUSTOMER_SUBJECT, MERCHANT, MERCHANT_UUID, Origin};

/// A film for rent, with one fee.
const ITEM: i64 = 5101;
const FEE: i64 = 7013;
/// A package that does not hold the film.
const PACKAGE: i64 = 5005;

/// Every write, in a form that succeeds on the sample catalogue.
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

pub fn bulk() -> String {
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
fn only_a_merchants_token_can_write() {
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
            // The number decides; the UUID beside it is ignored.
            json!({"sub": "m", "mid": 1, "mui": MERCHANT_UUID, "ctx": ["merchant"]}),
        ] {
            ask().bearer(&origin.token(claims)).send().refused(403, "Invalid privileges");
        }
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn an_issuer_speaks_for_its_merchants_only() {
    let origin = Origin::with(|settings| {
        let issuers = settings.variables["ISSUERS"].clone();
        let mut issuers: serde_json::Value = serde_json::from_str(&issuers).unwrap();
        issuers[0]["merchants"] = json!([3407]);
        settings.variables.insert("ISSUERS".to_owned(), issuers.to_string());
    });
    origin.write("PATCH", "/v2/items/5101", "title=x").refused(403, "Invalid privileges");
    let other = origin.ask("PATCH", "/v2/items/6201").bearer(&origin.other_merchant());
    other.form("title=x").send().expect(201);
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
        // Without a token, the answer does not tell more than that.
        origin.ask(method, &path).form(&large).send().refused(401, "Invalid auth token");
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn unknown_records_are_refused() {
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
    // The item is not a package.
    let path = format!("/v2/items/packages/{ITEM}/bulk");
    origin.write("PATCH", &path, "add_asset_ids[]=5102").refused(404, "Item not found");
    for id in ["abc", "0", "-1", "9223372036854775808", "1.5"] {
        origin.write("PATCH", &format!("/v2/items/{id}"), "title=x").invalid(&["id"]);
        origin.write("DELETE", &format!("/items/{id}/access?consumer_id=1"), "").refused(422, "No access");
        origin.write("PUT", &format!("/v2/items/{ITEM}/access-fees/{id}"), fee).invalid(&["fee_id"]);
    }
    assert_eq!(origin.seq(), before);
}
