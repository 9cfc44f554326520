//! The cost of a write in the change log, in bytes.

use origin::db::changes::{self, Feed, LogBounds};
use serde_json::{Value, json};

use crate::support::{CUSTOMER, CUSTOMER_SUBJECT, MERCHANT, Origin};

/// The bytes of the log: as counted, and as stored. Both must agree.
fn log_bytes(origin: &Origin) -> usize {
    let connection = origin.connection();
    let counted: usize = connection.query_row("SELECT log_bytes FROM state", [], |row| row.get(0)).unwrap();
    let sql = "SELECT coalesce(sum(octet_length(touched_json) + 24), 0) FROM changes";
    let stored: usize = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(counted, stored);
    counted
}

/// The size of the write-ahead log.
fn wal_bytes(origin: &Origin) -> u64 {
    let path = format!("{}-wal", origin.settings.db.display());
    std::fs::metadata(path).map_or(0, |wal| wal.len())
}

/// Adds items without a change for each.
fn items(origin: &Origin, count: i64) -> Vec<i64> {
    let mut connection = origin.connection();
    let transaction = connection.transaction().unwrap();
    let ids: Vec<i64> = (0..count).map(|number| 800_000 + number).collect();
    for id in &ids {
        let sql = "INSERT INTO items SELECT ?1, merchant_id, title, is_active, is_package, access_control_type_json,
                   item_type_json, age_restriction_json, metadata_json, content, plan_switch_enabled,
                   external_asset_id, deleted_at, created_at, updated_at FROM items WHERE id = 5101";
        transaction.execute(sql, [id]).unwrap();
    }
    transaction.commit().unwrap();
    ids
}

fn package(origin: &Origin, members: &[i64]) -> i64 {
    let made = origin.write("POST", "/v2/items", "item_type=package&title=All").expect(201);
    let id = made.json()["id"].as_i64().unwrap();
    origin::db::store::set_members(&origin.connection(), id, members).unwrap();
    id
}

#[test]
fn one_more_member_of_ten_thousand_costs_a_name() {
    let origin = Origin::start();
    let items = items(&origin, 10_001);
    let package = package(&origin, &items[..10_000]);
    let (seq, log, wal) = (origin.seq(), log_bytes(&origin), wal_bytes(&origin));
    let path = format!("/v2/items/packages/{package}/bulk");
    let form = format!("add_asset_ids[]={}", items[10_000]);
    origin.write("PATCH", &path, &form).expect(201);
    let added = log_bytes(&origin) - log;
    assert!(added < 100, "{added} bytes of log for {} bytes of form", form.len());
    // The other rows of the package are not written again: that would be some 200 KB, twice.
    let written = wal_bytes(&origin).saturating_sub(wal);
    assert!(written < 128 * 1024, "{written} bytes");
    // The feed has the whole package, once.
    origin.write("PATCH", &path, &format!("remove_asset_ids[]={}", items[0])).expect(201);
    let lines = origin.feed(&format!("/changes?after={seq}")).expect(200).lines();
    assert_eq!((lines.len(), &lines[0]["put"]), (2, &json!([])));
    let members = lines[1]["put"][0]["item_ids"].as_array().unwrap();
    assert_eq!(members.len(), 10_000);
    assert_eq!((&members[0], &members[9_999]), (&json!(items[1]), &json!(items[10_000])));
}

#[test]
fn a_grant_to_a_customer_with_ten_thousand_costs_a_name() {
    let origin = Origin::start();
    let mut connection = origin.connection();
    let key = origin::db::records::customer_key(&connection, "vendor", CUSTOMER_SUBJECT).unwrap().unwrap();
    let transaction = connection.transaction().unwrap();
    for id in 0..9_998 {
        let sql = "INSERT INTO accesses (customer_key, id, item_id, created_at) VALUES (?1, ?2, 5101, 1)";
        transaction.execute(sql, [key, 500_000 + id]).unwrap();
    }
    transaction.commit().unwrap();
    let (seq, before) = (origin.seq(), log_bytes(&origin));
    origin.grant(5101).expect(201);
    origin.grant(5101).expect(201);
    let added = log_bytes(&origin) - before;
    assert!(added < 2 * 200, "{added} bytes");
    let feed = origin.feed(&format!("/changes?after={seq}")).expect(200);
    let lines = feed.lines();
    assert_eq!((lines.len(), &lines[0]["put"]), (2, &json!([])), "each record is in an answer once");
    assert_eq!(lines[1]["put"][0]["accesses"].as_array().unwrap().len(), 10_000);
}

#[test]
fn many_changes_of_a_large_item_cost_a_name_each() {
    let origin = Origin::start();
    let (seq, before) = (origin.seq(), log_bytes(&origin));
    let content = "x".repeat(60_000);
    for _ in 0..50 {
        origin.write("PATCH", "/v2/items/5101", &format!("content={content}")).expect(201);
    }
    let added = log_bytes(&origin) - before;
    assert!(added < 50 * 64, "{added} bytes");
    let feed = origin.feed(&format!("/changes?after={seq}")).expect(200);
    assert!(feed.text.len() < 2 * content.len(), "{} bytes of feed", feed.text.len());
    let sums = feed.lines().iter().map(|line| line["put"].as_array().unwrap().len()).sum::<usize>();
    assert_eq!((feed.lines().len(), sums, feed.seq()), (50, 1, seq + 50));
}

#[test]
fn the_log_keeps_to_its_bytes_and_readers_behind_it_export() {
    let keep = LogBounds { changes: 1_000_000, bytes: 2_000, days: 30 };
    let origin = Origin::with(|settings| settings.keep_changes = keep);
    let first = origin.seq();
    for _ in 0..100 {
        origin.write("PATCH", "/v2/items/5101", "title=Changed").expect(201);
        assert!(log_bytes(&origin) <= 2_000);
    }
    origin
        .feed(&format!("/changes?after={first}"))
        .refused(410, "The history before is gone: read the export");
    let seq = origin.seq();
    let from: u64 =
        origin.connection().query_row("SELECT history_from FROM state", [], |row| row.get(0)).unwrap();
    assert!(from > first && seq - from > 10, "{from} to {seq}");
    origin.feed(&format!("/changes?after={}", from - 1)).expect(410);
    let kept = origin.feed(&format!("/changes?after={from}")).expect(200).lines();
    assert_eq!(kept.len() as u64, seq - from);
    // Less than one change is kept: a reader that has all changes continues.
    let connection = origin.connection();
    changes::cut(&connection, seq, LogBounds { bytes: 1, ..keep }, origin.now()).unwrap();
    assert_eq!(log_bytes(&origin), 0);
    let quiet = origin.feed(&format!("/changes?after={seq}")).expect(200);
    assert_eq!((quiet.text.as_str(), quiet.seq()), ("", seq));
}

#[test]
fn the_log_forgets_by_age_too() {
    let origin = Origin::start();
    let first = origin.seq();
    for _ in 0..3 {
        origin.write("PATCH", "/v2/items/5101", "title=Changed").expect(201);
    }
    origin.advance(29 * 86_400);
    origin.write("PATCH", "/v2/items/5101", "title=Again").expect(201);
    assert_eq!(origin.feed(&format!("/changes?after={first}")).expect(200).lines().len(), 4);
    origin.advance(2 * 86_400);
    origin.write("PATCH", "/v2/items/5101", "title=Again").expect(201);
    origin.feed(&format!("/changes?after={first}")).expect(410);
    assert_eq!(origin.feed(&format!("/changes?after={}", first + 3)).expect(200).lines().len(), 2);
    log_bytes(&origin);
}

/// An answer that ends early has present records, and must also have the records that they refer to.
#[test]
fn a_short_answer_has_the_records_that_its_own_refer_to() {
    let origin = Origin::start();
    let package = package(&origin, &[]);
    let seq = origin.seq();
    let path = format!("/v2/items/packages/{package}/bulk");
    origin.write("PATCH", &path, "add_asset_ids[]=5101").expect(201);
    let made = origin.write("POST", "/v2/items", "item_type=ovp_asset&title=New");
    let made = if made.status == 201 {
        made
    } else {
        origin.write("POST", "/v2/items", "item_type=brightcove_asset&title=New").expect(201)
    };
    let made = made.json()["id"].as_i64().unwrap();
    origin.write("PATCH", &path, &format!("add_asset_ids[]={made}")).expect(201);
    let connection = origin.connection();
    let lines = |after, max_changes, max_bytes| {
        let Feed::Lines { text: lines, .. } =
            changes::after(&connection, after, max_changes, max_bytes).unwrap()
        else {
            panic!("gone")
        };
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    for first in [lines(seq, 1, usize::MAX), lines(seq, 100, 1)] {
        let put = first[0]["put"].as_array().unwrap();
        assert_eq!((first.len(), &put[0]["id"], &put[1]["id"]), (1, &json!(package), &json!(made)));
        assert_eq!(put[0]["item_ids"], json!([5101, made]));
    }
    // A reader of a short answer learns how far behind it is.
    let short = changes::after(&connection, seq, 1, usize::MAX).unwrap();
    assert!(matches!(short, Feed::Lines { seq, .. } if seq == origin.seq()), "{short:?}");
    // Answers of any length lead to the same state.
    let whole = lines(seq, 100, usize::MAX);
    assert_eq!(whole.len(), 3);
    let (mut after, mut last) = (seq, std::collections::BTreeMap::new());
    while after < origin.seq() {
        for line in lines(after, 2, usize::MAX) {
            after = line["seq"].as_u64().unwrap();
            last.extend(line["put"].as_array().unwrap().iter().map(|put| (put["id"].as_i64(), put.clone())));
        }
    }
    let expected = whole
        .iter()
        .flat_map(|line| line["put"].as_array().unwrap())
        .map(|put| (put["id"].as_i64(), put.clone()));
    assert_eq!(last, expected.collect());
}

/// If a short answer's package refers to more than a line can hold, the reader gets 410. No record is left
/// out silently.
#[test]
fn no_line_of_the_feed_is_longer_than_publishers_read() {
    let origin = Origin::start();
    let package = package(&origin, &[]);
    let seq = origin.seq();
    let path = format!("/v2/items/packages/{package}/bulk");
    origin.write("PATCH", &path, "add_asset_ids[]=5101").expect(201);
    let content = "x".repeat(65_000);
    let connection = origin.connection();
    let mut members = vec![5101];
    let mut make = |count: usize| {
        for _ in 0..count {
            let form = format!("item_type=brightcove_asset&title=New&content={content}");
            let made = origin.write("POST", "/v2/items", &form).expect(201);
            members.push(made.json()["id"].as_i64().unwrap());
        }
        origin::db::store::set_members(&connection, package, &members).unwrap();
    };
    make(100);
    let Feed::Lines { text: lines, .. } = changes::after(&connection, seq, 1, 1).unwrap() else {
        panic!("gone")
    };
    let line: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(line["put"].as_array().unwrap().len(), 1 + 100);
    assert_eq!(line["put"][0]["item_ids"].as_array().unwrap().len(), 1 + 100);
    make(160);
    assert_eq!(changes::after(&connection, seq, 1, 1).unwrap(), Feed::Gone);
    // A reader of all changes needs no newer records.
    let Feed::Lines { text: lines, .. } = changes::after(&connection, seq, 1_000, usize::MAX).unwrap() else {
        panic!("gone")
    };
    assert!(lines.lines().count() > 260 && lines.lines().all(|line| line.len() < 100_000));
    // One change that touches very many records.
    let names: Vec<_> = members.iter().map(|id| json!({"type": "item", "id": id})).collect();
    let sql = "UPDATE changes SET touched_json = ?1 WHERE seq = ?2";
    connection.execute(sql, (Value::from(names).to_string(), origin.seq())).unwrap();
    assert_eq!(changes::after(&connection, origin.seq() - 1, 9, 1).unwrap(), Feed::Gone);
}

/// A log far above its bounds, because these were lowered, is cut in steps.
#[test]
fn a_write_cuts_a_bounded_number_of_changes() {
    let origin = Origin::start();
    let connection = origin.connection();
    let touched = r#"[{"type":"item","id":5101}]"#;
    let fill = || {
        let seq = origin.seq();
        let sql = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
                   INSERT INTO changes (seq, as_of, touched_json) SELECT ?1 + n, ?2, ?3 FROM n";
        connection.execute(sql, (seq, origin.now(), touched)).unwrap();
        let sql = "UPDATE state SET seq = seq + 5000, log_bytes = log_bytes + 5000 * (24 + ?1)";
        connection.execute(sql, [touched.len()]).unwrap();
        log_bytes(&origin);
    };
    let count =
        || connection.query_row("SELECT count(*) FROM changes", [], |row| row.get::<_, u64>(0)).unwrap();
    let ample = LogBounds { changes: 1_000_000, bytes: 1 << 30, days: 30 };
    for (keep, later) in [
        (LogBounds { bytes: 1_000, ..ample }, 0),
        (LogBounds { changes: 10, ..ample }, 0),
        (ample, 40 * 86_400),
        (LogBounds { changes: 10, bytes: 1_000, ..ample }, 40 * 86_400),
    ] {
        fill();
        let mut cuts = 0;
        loop {
            let before = count();
            changes::cut(&connection, origin.seq(), keep, origin.now() + later).unwrap();
            let gone = before - count();
            assert!(gone <= 1_000, "{gone} of {before} at once for {keep:?}");
            log_bytes(&origin);
            if gone == 0 {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= 4 && count() < 1_100, "{cuts} cuts, {} left for {keep:?}", count());
    }
}

#[test]
fn usage_agrees_with_the_records() {
    let origin = Origin::start();
    let check = || {
        let connection = origin.connection();
        let usage = origin::db::usage::of(&connection, MERCHANT).unwrap();
        let count = |sql: &str| connection.query_row(sql, [MERCHANT], |row| row.get::<_, u64>(0)).unwrap();
        assert_eq!(usage.items, count("SELECT count(*) FROM items WHERE merchant_id = ?1"));
        let bytes = count("SELECT sum(bytes) FROM item_sizes WHERE merchant_id = ?1")
            + count(
                "SELECT sum(bytes) FROM fee_sizes JOIN items ON items.id = item_id WHERE merchant_id = ?1",
            );
        assert_eq!(usage.item_bytes, bytes);
        let sql =
            "SELECT count(*) FROM package_items JOIN items ON items.id = package_id WHERE merchant_id = ?1";
        assert_eq!(usage.members, count(sql));
        let sql = "SELECT count(*) FROM accesses JOIN customers ON customers.key = customer_key WHERE merchant_id = ?1";
        assert_eq!(usage.accesses, count(sql));
        let sql = "SELECT coalesce(sum(octet_length(body) + 200), 0) FROM idempotency WHERE merchant_id = ?1";
        assert_eq!(usage.answer_bytes, count(sql));
        usage
    };
    // Imported records count.
    let before = check();
    assert!(before.items > 10 && before.accesses > 10 && before.members > 1, "{before:?}");
    origin.grant(5101).expect(201);
    origin.write("PATCH", "/v2/items/5101", "title=A+longer+title&metadata[a]=b").expect(201);
    let fee = "access_type_id=1&amount=1&currency=EUR&description=d";
    let types = origin.feed("/export").lines();
    let own =
        types.iter().find(|line| line["type"] == "access_type" && line["account_id"] == MERCHANT).unwrap();
    let fee = fee.replace("access_type_id=1", &format!("access_type_id={}", own["id"]));
    origin.write("POST", "/v2/items/5101/access-fees", &fee).expect(201);
    let package = package(&origin, &[5101, 5102]);
    let path = format!("/v2/items/packages/{package}/bulk");
    origin.write("PATCH", &path, "remove_asset_ids[]=5102").expect(201);
    let form = format!("item_id=5101&consumer_id={CUSTOMER}&expires_at=2100-01-01T00:00:00Z");
    origin
        .ask("POST", "/items/access")
        .bearer(&origin.merchant())
        .header("idempotency-key", "k")
        .form(&form)
        .send()
        .expect(201);
    let after = check();
    assert!(after.answer_bytes > 0 && after.accesses == before.accesses + 2, "{after:?}");
    assert_eq!((after.items, after.members), (before.items + 1, before.members + 1));
    origin.write("DELETE", &format!("/items/5101/access?consumer_id={CUSTOMER}"), "").expect(204);
    assert_eq!(check().accesses, before.accesses);
    origin.grant(5101).expect(201);
    let mut connection = origin.connection();
    origin::db::customers::remove(&mut connection, "vendor", CUSTOMER_SUBJECT, origin.now()).unwrap();
    assert_eq!(check().accesses, before.accesses);
    // After 72 hours the stored answer is gone and no longer counts.
    origin.advance(80 * 3_600);
    let other = "item_id=5101&consumer_id=88002&expires_at=2100-01-01T00:00:00Z";
    origin
        .ask("POST", "/items/access")
        .bearer(&origin.merchant())
        .header("idempotency-key", "l")
        .form(other)
        .send()
        .expect(201);
    assert!(check().answer_bytes <= after.answer_bytes + 64);
}
