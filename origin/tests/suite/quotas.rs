//! One merchant's writes do not affect another's.

use crate::support::{CUSTOMER, MERCHANT, OTHER_MERCHANT, Origin, samples};
use origin::{
    db::{import::import, usage::Usage},
    quota::Quotas,
};

fn with(quotas: Quotas) -> Origin {
    Origin::with(|settings| settings.quotas = quotas)
}

#[test]
fn a_flood_by_one_merchant_stops_at_its_own_limit() {
    let origin = with(Quotas { writes_per_sec: 1, write_burst: 20, ..Quotas::default() });
    let flood = || {
        let answers: Vec<_> = (0..60).map(|_| origin.write("PATCH", "/v2/items/5101", "title=T")).collect();
        answers.iter().filter(|answer| answer.status == 201).count()
    };
    assert_eq!(flood(), 20);
    let seq = origin.seq();
    let refused = origin.write("PATCH", "/v2/items/5101", "title=T").refused(429, "Too many requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Refused writes and unknown routes also take from the rate.
    origin.write("PATCH", "/v2/items/5101", "title=").expect(429);
    origin.write("POST", "/items/access", "").expect(429);
    assert_eq!(origin.seq(), seq, "429 changes nothing");
    // Other merchants write, sign in, read and follow.
    let path = "/v2/items/6201";
    let other = origin.feed("/export").lines();
    let item = other.iter().find(|line| line["type"] == "item" && line["merchant_id"] == OTHER_MERCHANT);
    let path = item.map_or(path.to_owned(), |item| format!("/v2/items/{}", item["id"]));
    for _ in 0..20 {
        let answer = origin.ask("PATCH", &path).bearer(&origin.other_merchant()).form("title=T").send();
        answer.expect(201);
    }
    origin.check(5101).expect(402);
    assert_eq!(origin.feed(&format!("/changes?after={seq}")).expect(200).lines().len(), 20);
    origin.advance(3);
    assert_eq!(flood(), 3, "a write for each second");
}

#[test]
fn a_merchant_with_a_full_storage_can_still_reduce_it() {
    let origin = Origin::start();
    let stored = origin::db::usage::of(&origin.connection(), MERCHANT).unwrap();
    let full = Usage { answer_bytes: 0, ..stored };
    drop(origin);
    let origin = with(Quotas { stored: full, ..Quotas::default() });
    let seq = origin.seq();
    let full = |answer: crate::support::Response, name: &str| {
        let answer = answer.refused(422, "The merchant's storage is full");
        assert!(answer.json()["errors"][name].as_str().unwrap().contains("at most"), "{}", answer.text);
    };
    full(origin.grant(5101), "accesses");
    full(origin.write("POST", "/v2/items", "item_type=package&title=T"), "items");
    full(origin.write("PATCH", "/v2/items/5101", &format!("content={}", "x".repeat(9_000))), "item_bytes");
    let package = origin.feed("/export").lines();
    let package = package
        .iter()
        .find(|line| {
            line["type"] == "item"
                && line["item_type"]["name"] == "package"
                && line["merchant_id"] == MERCHANT
                && line["is_active"] == true
        })
        .unwrap();
    let path = format!("/v2/items/packages/{}/bulk", package["id"]);
    let members = package["item_ids"].as_array().unwrap();
    let lines = origin.feed("/export").lines();
    let new = lines.iter().find(|line| {
        line["type"] == "item"
            && line["item_type"]["name"] != "package"
            && line["merchant_id"] == MERCHANT
            && line["is_active"] == true
            && !members.contains(&line["id"])
    });
    let new = &new.unwrap()["id"];
    full(origin.write("PATCH", &path, &format!("add_asset_ids[]={new}")), "members");
    assert_eq!(origin.seq(), seq, "nothing was changed");
    origin.write("PATCH", "/v2/items/5101", "title=T").expect(201);
    let keyed =
        origin.ask("PATCH", "/v2/items/5101").bearer(&origin.merchant()).header("idempotency-key", "k");
    full(keyed.form("title=").form("title=T").send(), "Idempotency-Key");
    origin.write("PATCH", &path, &format!("remove_asset_ids[]={}", members[0])).expect(201);
    origin.write("PATCH", &path, &format!("add_asset_ids[]={new}")).expect(201);
    let held = origin.feed("/export").lines();
    let held = held.iter().find(|line| {
        line["type"] == "customer" && line["merchant_id"] == MERCHANT && line["accesses"][0]["id"].is_i64()
    });
    let held = held.unwrap();
    let path = format!("/items/{}/access?consumer_id={}", held["accesses"][0]["item_id"], held["id"]);
    origin.write("DELETE", &path, "").expect(204);
    origin.grant(5101).expect(201);
    assert!(origin.check(5101).status == 200, "customer {CUSTOMER}");
}

#[test]
fn an_import_has_no_quota() {
    let dir = crate::support::Dir::new();
    let mut connection = origin::db::open(&dir.db()).unwrap();
    // The command has no quotas: they are settings of the server.
    let imported = import(&mut connection, &samples("catalogue"), 1_800_000_000).unwrap();
    assert_eq!(imported.items, 60);
    let usage = origin::db::usage::of(&connection, MERCHANT).unwrap();
    assert!(usage.items > 10);
}
