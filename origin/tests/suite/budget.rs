//! The rendered-size budget of an item. A write that would exceed it is refused, and records from before the
//! budget never make an answer exceed the bound.

use admit::limits::{ANSWER_MAX_BYTES, DETAILS_MAX_BYTES, PACKAGES_MAX};
use origin::db::{import::import, records, store};
use serde_json::{Value, json};

use crate::support::{Dir, Origin, Response, samples};

const ITEM: i64 = 5101;
const PACKAGE: i64 = 5005;

fn patch(origin: &Origin, path: &str, json: &Value) -> Response {
    origin.ask("PATCH", path).bearer(&origin.merchant()).json(json).send()
}

fn add_fees(origin: &Origin, item_id: i64, count: usize) -> Response {
    let fee = json!({"id": 0, "access_type_id": 101, "amount": 1, "currency": "EUR", "description": "x"});
    patch(origin, &format!("/v2/items/{item_id}/access-fees/bulk"), &json!({"access_fees": vec![fee; count]}))
}

fn set_metadata(origin: &Origin, item_id: i64, values: &[&str]) -> Response {
    let metadata: serde_json::Map<_, _> =
        (0..).zip(values).map(|(n, value)| (format!("m{n}"), json!(value))).collect();
    patch(origin, &format!("/v2/items/{item_id}"), &json!({ "metadata": metadata }))
}

fn make(origin: &Origin) -> i64 {
    origin.write("POST", "/v2/items", "item_type=html_asset&title=t").expect(201).json()["id"]
        .as_i64()
        .unwrap()
}

/// The message names the field, its size and the limit.
#[track_caller]
fn over(answer: Response, field: &str, limit: usize) {
    answer.clone().invalid(&[field]);
    let message = answer.json()["errors"][field].as_str().unwrap().to_owned();
    let numbers: Vec<usize> = message
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    assert_eq!(numbers.last(), Some(&limit), "{message}");
    assert!(numbers[numbers.len() - 2] > limit, "{message}");
}

#[test]
fn fees_and_metadata_over_budget_are_refused_in_either_order() {
    let origin = Origin::start();
    let id = make(&origin);
    add_fees(&origin, id, 900).expect(201);
    let before = (origin.seq(), origin.ask("GET", &format!("/items/{id}")).send().json());
    over(set_metadata(&origin, id, &[&"a".repeat(64 * 1024)]), "metadata", DETAILS_MAX_BYTES);
    // Short enough for the item alone, and too long with its fees, each of which repeats the item.
    over(set_metadata(&origin, id, &[&"a".repeat(2_000)]), "metadata", ANSWER_MAX_BYTES);
    assert_eq!((origin.seq(), origin.ask("GET", &format!("/items/{id}")).send().json()), before);
    let list = origin.ask("GET", &format!("/items/{id}/access-fees")).send().expect(200);
    assert!(list.text.len() <= ANSWER_MAX_BYTES && list.json().as_array().unwrap().len() == 900);

    let id = make(&origin);
    set_metadata(&origin, id, &[&"a".repeat(20_000)]).expect(201);
    let seq = origin.seq();
    over(add_fees(&origin, id, 40), "access_fees", ANSWER_MAX_BYTES);
    assert_eq!(origin.seq(), seq);
    let answer = add_fees(&origin, id, 20).expect(201);
    assert!(answer.text.len() <= ANSWER_MAX_BYTES);
    assert_eq!(answer.text, origin.ask("GET", &format!("/items/{id}/access-fees")).send().text);
    // Fees added one by one are refused as well.
    let path = format!("/v2/items/{id}/access-fees");
    let one = "access_type_id=101&amount=1&currency=EUR&description=x";
    let refused =
        (0..20).map(|_| origin.write("POST", &path, one)).find(|answer| answer.status != 201).unwrap();
    over(refused, "access_fees", ANSWER_MAX_BYTES);
    let fee = origin.ask("GET", &path).send().json()[0]["id"].as_i64().unwrap();
    let long = format!("access_type_id=101&amount=1&currency=EUR&description={}", "%01".repeat(1_900));
    // Longer by itself: the same fee with a description of control characters.
    let mut replaced = (0..)
        .map(|n| fee + n)
        .map(|fee| origin.write("PUT", &format!("{path}/{fee}"), &long))
        .find(|answer| answer.status != 201);
    over(replaced.take().unwrap(), "access_fees", ANSWER_MAX_BYTES);
}

/// The rendered size counts: both forms of the metadata, and six bytes for each control character.
#[test]
fn metadata_count_as_answers_show_them() {
    let origin = Origin::start();
    let fits = "\u{1}".repeat((DETAILS_MAX_BYTES - 1_000) / 12);
    let shown = set_metadata(&origin, ITEM, &[&fits]).expect(201);
    assert!(shown.text.len() <= DETAILS_MAX_BYTES + 1 && shown.text.len() > DETAILS_MAX_BYTES - 1_000);
    over(set_metadata(&origin, ITEM, &[&"\u{1}".repeat(6_000)]), "metadata", DETAILS_MAX_BYTES);
    over(
        set_metadata(&origin, ITEM, &[&"a".repeat(20_000), &"b".repeat(20_000)]),
        "metadata",
        DETAILS_MAX_BYTES,
    );
    let form = format!("item_type=html_asset&title=t&metadata[x]={}", "a".repeat(40_000));
    for (method, path) in [("POST", "/v2/items".to_owned()), ("PUT", format!("/v2/items/{ITEM}"))] {
        over(origin.write(method, &path, &form), "metadata", DETAILS_MAX_BYTES);
    }
    // The longest accepted content fits beside the longest item.
    let content = json!({"content": "\u{1}".repeat(64 * 1024)});
    patch(&origin, &format!("/v2/items/{ITEM}"), &content).expect(201);
    let granted = origin.grant(ITEM).expect(201);
    assert!(granted.text.len() <= ANSWER_MAX_BYTES && granted.text.len() > 6 * 64 * 1024);
}

#[test]
fn a_replayed_answer_is_within_the_budget() {
    let origin = Origin::start();
    let id = make(&origin);
    let fee = json!({"id": 0, "access_type_id": 101, "amount": 1, "currency": "EUR", "description": "x"});
    let json = json!({"access_fees": vec![fee; 900]});
    let send = || {
        let path = format!("/v2/items/{id}/access-fees/bulk");
        origin
            .ask("PATCH", &path)
            .bearer(&origin.merchant())
            .header("idempotency-key", "k")
            .json(&json)
            .send()
    };
    let first = send().expect(201);
    assert_eq!(send().expect(201).text, first.text);
    let sql = "SELECT max(length(body)) FROM idempotency";
    let kept: usize = origin.connection().query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(kept == first.text.len() && kept <= ANSWER_MAX_BYTES, "{kept}");
}

/// An item stored by an earlier version can be read as far as an answer goes, sold, and made smaller.
#[test]
fn an_item_from_before_the_budget_still_works_and_can_shrink() {
    let origin = Origin::start();
    let connection = origin.connection();
    let mut item = records::item(&connection, ITEM).unwrap().unwrap();
    let one = item.fees[0].clone();
    item.metadata =
        serde_json::from_value(json!([{"id": 1, "name": "m", "value": "a".repeat(600_000)}])).unwrap();
    item.fees.extend((1..=300).map(|n| {
        let mut fee = one.clone();
        fee.id = 90_000 + n;
        fee
    }));
    store::put_item(&connection, &item, origin.now()).unwrap();
    for path in [format!("/items/{ITEM}"), format!("/items/{ITEM}/access-fees")] {
        let answer = origin.ask("GET", &path).send().expect(503);
        assert!(answer.header("retry-after").is_some() && answer.text.len() < 1_000);
    }
    // A purchase succeeds.
    let granted = origin.grant(ITEM).expect(201);
    assert!(granted.text.len() < 2_000 && granted.json()["item"]["id"] == ITEM);
    over(origin.write("PATCH", &format!("/v2/items/{ITEM}"), "title=x"), "metadata", DETAILS_MAX_BYTES);
    origin.write("DELETE", &format!("/v2/items/{ITEM}/access-fees/90001"), "").expect(204);
    // Without metadata the fees fit.
    set_metadata(&origin, ITEM, &[]).expect(201);
    origin.ask("GET", &format!("/items/{ITEM}/access-fees")).send().expect(200);
    store::put_item(&connection, &item, origin.now()).unwrap();
    let deleted = origin.write("DELETE", &format!("/v2/items/{ITEM}"), "").expect(201);
    assert!(deleted.text.len() < 2_000 && deleted.json()["is_active"] == false);
}

#[test]
fn an_item_is_in_no_more_packages_than_a_check_reads() {
    let origin = Origin::start();
    let sql = "WITH RECURSIVE n (id) AS (SELECT 100001 UNION ALL SELECT id + 1 FROM n WHERE id < 101000)
               INSERT INTO items SELECT n.id, merchant_id, title, is_active, 1, access_control_type_json,
               item_type_json, age_restriction_json, metadata_json, content, plan_switch_enabled, NULL, NULL,
               created_at, updated_at FROM items, n WHERE items.id = ?1";
    let connection = origin.connection();
    connection.execute(sql, [PACKAGE]).unwrap();
    let held = "SELECT count(*) FROM package_items WHERE item_id = ?1";
    let held: i64 = connection.query_row(held, [ITEM], |row| row.get(0)).unwrap();
    let missing = i64::try_from(PACKAGES_MAX).unwrap() - held - 1;
    let sql = "INSERT INTO package_items SELECT id, 0, ?1 FROM items WHERE id BETWEEN 100001 AND 100000 + ?2";
    connection.execute(sql, [ITEM, missing]).unwrap();
    let add = |package: i64| {
        origin.write(
            "PATCH",
            &format!("/v2/items/packages/{package}/bulk"),
            &format!("add_asset_ids[]={ITEM}"),
        )
    };
    add(101_000).expect(201);
    let refused = add(100_999).expect(422).json();
    assert!(refused["errors"]["add_asset_ids"].as_str().unwrap().contains("1000"), "{refused}");
    // Adding present members again is accepted.
    add(101_000).expect(201);
}

#[test]
fn an_import_names_the_line_that_exceeds_the_budget() {
    let dir = Dir::new();
    let file = dir.0.join("items.ndjson");
    for (name, content) in [("long", 40_000), ("short", 100)] {
        let mut lines = Vec::new();
        for path in std::fs::read_dir(samples("catalogue")).unwrap() {
            lines.push(std::fs::read_to_string(path.unwrap().path()).unwrap());
        }
        let text = lines.join("\n");
        let metadata = format!(r#""metadata":[{{"id":1,"name":"m","value":"{}"}}]"#, "a".repeat(content));
        let item = format!(
            r#"{{"type":"item","id":999999,"merchant_id":2101,"title":"t","is_active":true,"access_control_type":{{"id":4,"name":"Paid","auth":true}},"item_type":{{"id":44,"name":"jw_asset","content_type":"ovp","host":"h","description":"d"}},{metadata},"created_at":1,"updated_at":1}}"#
        );
        std::fs::write(&file, format!("{item}\n{text}")).unwrap();
        let mut connection = origin::db::open(&dir.0.join(name)).unwrap();
        let imported = import(&mut connection, &file, 1_800_000_000).map_err(|error| error.to_string());
        match imported {
            Ok(_) => assert_eq!(name, "short"),
            Err(error) => {
                assert!(
                    name == "long" && error.contains("items.ndjson:1: metadata: expected at most 65536"),
                    "{error}"
                );
            }
        }
    }
}

/// The errors of an answer stay within the answer's bound, for any request.
#[test]
fn errors_repeat_at_most_what_fits_an_answer() {
    let origin = Origin::start();
    let name = "n".repeat(400_000);
    let path = format!("/v2/items/{ITEM}");
    let answer = patch(&origin, &path, &json!({"metadata": {name: {"x": 1}}})).expect(422);
    assert!(answer.text.len() < 10_000, "{}", answer.text.len());
    let fee = |n: usize| json!({"id": "x".repeat(20), "access_type_id": n, "currency": "?", "country_iso": "?", "starts_at": "?"});
    let fees: Vec<_> = (0..1_000).map(fee).collect();
    let path = format!("/v2/items/{ITEM}/access-fees/bulk");
    let answer = patch(&origin, &path, &json!({ "access_fees": fees })).expect(422);
    assert!(answer.text.len() <= ANSWER_MAX_BYTES, "{}", answer.text.len());
    let errors = answer.json()["errors"].as_object().unwrap().clone();
    assert!(errors.len() > 1_000);
}
