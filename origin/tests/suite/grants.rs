//! Grants, revocations and packages, and their effect on the next check.

use admit::snapshot::schema::Line;
use serde_json::json;

use crate::support::{CUSTOMER, CUSTOMER_SUBJECT, MERCHANT, Origin};

const ITEM: i64 = 5101;
const FEE: i64 = 7013;
/// A package that does not hold the item.
const PACKAGE: i64 = 5005;
/// Another merchant's item.
const FOREIGN: i64 = 6201;

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
    // The same body, except for the viewer's address.
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
fn a_grant_for_a_fee_is_exported_as_a_purchase_at_its_price() {
    let origin = Origin::start();
    let seq = origin.seq();
    let bought = origin.write(
        "POST",
        "/items/access",
        &format!("item_id={ITEM}&consumer_id={CUSTOMER}&access_fee_id={FEE}"),
    );
    let bought = bought.expect(201).json();
    let given = origin.grant(ITEM).expect(201).json();
    // A later price does not change the paid one.
    let price = "access_type_id=101&amount=1&currency=EUR&description=x";
    origin.write("PUT", &format!("/v2/items/{ITEM}/access-fees/{FEE}"), price).expect(201);
    let purchase = json!({"amount": 4.99, "currency": "USD", "access_fee_id": FEE, "trial": false});
    let export = origin.feed("/export").expect(200).lines();
    let in_export = export.iter().find(|line| line["type"] == "customer" && line["id"] == CUSTOMER).unwrap();
    let feed = origin.feed(&format!("/changes?after={seq}")).expect(200).lines();
    let in_feed = feed.iter().flat_map(|line| line["put"].as_array().unwrap());
    let in_feed = in_feed.into_iter().find(|line| line["type"] == "customer").unwrap();
    for customer in [in_export, in_feed] {
        let access =
            |id| customer["accesses"].as_array().unwrap().iter().find(|access| access["id"] == id).unwrap();
        assert_eq!(access(bought["id"].clone())["purchase"], purchase, "{customer}");
        assert_eq!(access(given["id"].clone()).get("purchase"), None);
    }
    let shown =
        origin.ask("GET", "/items/access/customers").bearer(&origin.customer()).send().expect(200).json();
    let shown = shown["collection"].as_array().unwrap();
    let shown = shown.iter().find(|access| access["purchased_access_fee_id"] == FEE).unwrap();
    assert_eq!((&shown["purchased_amount"], &shown["purchased_currency"]), (&json!(4.99), &json!("USD")));
    assert_eq!(
        (&shown["purchased_access_fee_type"], &shown["purchased_access_fee_description"]),
        (&json!("ppv"), &json!("x"))
    );
}

#[test]
fn imported_purchases_and_trials_are_exported_again() {
    let origin = Origin::start();
    let line = json!({
        "type": "customer", "namespace": "vendor", "subject": "buyer", "id": 99001, "merchant_id": MERCHANT,
        "uuid": "0b6f1b0c-1111-4ee2-9d91-4e1409678577", "used_trials": [ITEM], "licenses": [],
        "accesses": [{
            "id": 990_001, "item_id": ITEM, "starts_at": null, "expires_at": null, "created_at": 1_700_000_000,
            "renews_on": 1_900_000_000, "purchase": {
                "amount": 9.5, "currency": "EUR", "access_fee_id": FEE, "payment_method": "card", "trial": true
            },
        }],
    });
    let Line::Customer(customer) = serde_json::from_value(line.clone()).unwrap() else {
        panic!("a customer")
    };
    origin::db::store::insert_customer(&origin.connection(), &customer, origin.now()).unwrap();
    let export = origin.feed("/export").expect(200).lines();
    assert_eq!(export.iter().find(|line| line["id"] == 99001).unwrap(), &line);
    let token = origin.token(json!({"sub": "buyer"}));
    let ask = |path: &str| origin.ask("GET", path).bearer(&token).send().expect(200).json();
    assert_eq!(ask(&format!("/items/used-trial-period/{ITEM}")), true);
    assert_eq!(ask("/items/used-trial-period/5102"), false);
    let payments = ask("/v2/accounting/payment-history");
    let payment = &payments["collection"][0];
    assert_eq!((&payment["charged_amount"], &payment["payment_method_name"]), (&json!(9.5), &json!("card")));
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
    let revoke = |query: &str| origin.write("DELETE", &format!("/items/{ITEM}/access{query}"), "");
    for query in ["?consumer_id=1", "?consumer_id=88022", "?consumer_id=-1", "?consumer_id=x&consumer_id=1"] {
        revoke(query).refused(400, "Failed to remove item access");
    }
    // An unreadable query is not "nothing to revoke": the access would live on.
    for query in [
        "",
        "?consumer_id=",
        "?consumer_id=x",
        "?consumer_id=7.5",
        "?consumer_id=%FF",
        "?consumer_id[]=1",
        "?Consumer_id=1",
    ] {
        revoke(query).invalid(&["consumer_id"]);
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

#[test]
fn a_fee_with_an_unknown_period_does_not_grant_access_for_ever() {
    let origin = Origin::start();
    origin.connection().execute("UPDATE access_types SET period = 'eon' WHERE id = 101", []).unwrap();
    let grant = format!("item_id={ITEM}&consumer_id={CUSTOMER}&access_fee_id={FEE}");
    origin.write("POST", "/items/access", &grant).invalid(&["access_fee_id"]);
    let until = origin.now() + 60;
    let access = origin.write("POST", "/items/access", &format!("{grant}&expires_at={until}")).expect(201);
    assert_eq!(access.json()["expires_at"], until);
}

#[test]
fn a_customers_line_is_never_longer_than_publishers_read() {
    let origin = Origin::start();
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
               INSERT INTO accesses (customer_key, id, item_id, created_at)
               SELECT key, 900000 + i, 5102, 0 FROM customers, n WHERE id = ?2";
    origin.connection().execute(sql, [9_999, CUSTOMER]).unwrap();
    origin.grant(ITEM).expect(201);
    origin.grant(ITEM).invalid(&["consumer_id"]);
    origin.write("DELETE", &format!("/items/5102/access?consumer_id={CUSTOMER}"), "").expect(204);
    origin.grant(ITEM).expect(201);
}
