//! `GET /access`: one answer about many items is what the single checks answer, however the snapshot, the store and the
//! origin do.

mod confirmed;
mod flood;
mod model;

use std::collections::BTreeSet;

use admit::{api::reply::Reply, limits::CHECKS_MAX_ITEMS, ports::Platform as _};
use admit_publish::build::build_ndjson;
use admit_testing::memory::{Fault, OriginFault};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, START},
    origin::{Pair, UNTIL, customer},
};

const UUID: &str = "11a7ed90-65d3-4ee2-9d91-4e1409678576";
const OTHER_UUID: &str = "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934";

/// Item 9 is free, 10 inactive, 11 another merchant's, and 12 a package of 5, 6 and 7. The others are for sale.
fn item(id: i64) -> Value {
    let (kind, members) = if id == 12 { ("package", json!([5, 6, 7])) } else { ("jw_asset", json!([])) };
    let control = if id == 9 {
        json!({"id": 1, "name": "Free", "auth": false})
    } else {
        json!({"id": 4, "name": "Paid", "auth": true})
    };
    json!({
        "type": "item", "id": id, "merchant_id": if id == 11 { 8 } else { 7 }, "title": "t", "is_active": id != 10,
        "access_control_type": control, "item_ids": members,
        "item_type": {"id": 44, "name": kind, "content_type": "ovp", "host": "h", "description": "d"},
        "content": "x".repeat(200), "created_at": 1, "updated_at": 1,
    })
}

/// A business with these items, and these customers who have these accesses each.
pub fn business(seq: u64, items: i64, customers: &[&str], accesses: &[Value]) -> Business {
    let merchants =
        [(7, UUID), (8, OTHER_UUID)].map(|(id, uuid)| json!({"type": "merchant", "id": id, "uuid": uuid}));
    let customers = customers.iter().zip(9..).map(|(subject, id)| {
        json!({
            "type": "customer", "namespace": "v", "subject": subject, "id": id, "uuid": UUID, "merchant_id": 7,
            "accesses": accesses,
        })
    });
    let lines: Vec<_> = merchants
        .into_iter()
        .chain((1..=items).map(item))
        .chain(customers)
        .map(|line| line.to_string())
        .collect();
    let built = build_ndjson(lines.join("\n").as_bytes(), START).unwrap();
    Business { head: built.head(seq, START), objects: built.objects }
}

/// An access of one item from `starts_at` to `expires_at`, in seconds from the start of the tests.
pub fn access(item_id: i64, starts_at: Option<i64>, expires_at: Option<i64>) -> Value {
    let moment = |secs: Option<i64>| secs.map(|secs| START + secs);
    json!({
        "id": 100 + item_id, "item_id": item_id, "created_at": 1, "starts_at": moment(starts_at),
        "expires_at": moment(expires_at),
    })
}

pub fn target(ids: &[i64]) -> String {
    let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
    format!("/access?items={}", ids.join(","))
}

pub fn entries(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    body["items"].as_array().unwrap().clone()
}

pub fn granted(id: i64, expires_at: i64) -> Value {
    json!({"id": id, "access": true, "expires_at": expires_at})
}

pub fn not_granted(id: i64, code: u16) -> Value {
    json!({"id": id, "access": false, "code": code})
}

/// The entry that the answer to a single check makes.
fn entry_of(id: i64, reply: &Reply) -> Value {
    if reply.status == 200 {
        let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
        granted(id, body["expires_at"].as_i64().unwrap())
    } else {
        not_granted(id, reply.status)
    }
}

pub fn ask(edge: &Edge, ids: &[i64]) -> Reply {
    edge.get(&target(ids), &customer(CUSTOMER))
}

pub fn bought_nothing(variables: &[(&str, &str)]) -> Pair {
    let pair = Pair::without_snapshot(variables);
    business(1, 50, &[CUSTOMER], &[]).publish(pair.edge.platform());
    pair
}

#[test]
fn every_kind_of_answer() {
    let edge = Edge::started();
    let accesses = [
        access(1, None, Some(500)),
        access(2, Some(50), None),
        access(3, None, Some(-5)),
        access(12, None, None),
    ];
    business(1, 12, &[CUSTOMER], &accesses).publish(edge.platform());
    let never = 253_402_300_799;
    let reply = ask(&edge, &[12, 1, 2, 3, 4, 5, 9, 10, 11, 13]);
    let expected = [
        granted(12, never),
        granted(1, START + 500),
        not_granted(2, 402),
        not_granted(3, 402),
        not_granted(4, 402),
        granted(5, never),
        granted(9, never),
        not_granted(10, 404),
        not_granted(11, 402),
        not_granted(13, 404),
    ];
    assert_eq!(entries(&reply), expected);
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    assert_eq!(reply.reason, "some_denied");
    let detail =
        "of 10: 1 not_started, 1 expired, 1 no_grant, 1 item_inactive, 1 other_merchant, 1 unknown_item";
    assert_eq!(reply.detail, detail);
    let all = ask(&edge, &[1, 9]);
    assert_eq!((all.reason.as_ref(), all.detail.as_str()), ("ok", ""));
}

#[test]
fn a_question_with_a_denial_is_logged_like_a_denial() {
    for (level, is_denied_logged, is_granted_logged) in
        [("denied", true, false), ("all", true, true), ("none", false, false)]
    {
        let edge = Edge::configured(Edge::started().platform().beside(), &[("LOG_CHECKS", level)]);
        business(1, 4, &[CUSTOMER], &[access(1, None, None)]).publish(edge.platform());
        let logged = |ids: &[i64]| {
            ask(&edge, ids);
            let lines = edge.platform().memory_log().take();
            lines.into_iter().find(|line| line.contains(r#""path":"/access""#))
        };
        let line = logged(&[1, 2, 3]);
        let told = r#""status":200,"reason":"some_denied","detail":"of 3: 2 no_grant""#;
        assert_eq!(line.is_some_and(|line| line.contains(told)), is_denied_logged, "{level}");
        assert_eq!(logged(&[1]).is_some(), is_granted_logged, "{level}");
    }
}

#[test]
fn one_round_loads_what_is_missing() {
    let edge = Edge::started();
    business(1, 2_000, &[CUSTOMER], &[]).publish(edge.platform());
    let store = edge.platform().store();
    let ids: Vec<i64> = (1..=2_000).step_by(10).collect();
    assert_eq!(entries(&ask(&edge, &ids)).len(), CHECKS_MAX_ITEMS);
    let mut reads = store.reads();
    let shards = reads.iter().filter(|key| key.starts_with("shard/")).count();
    assert!(shards > 8, "{shards}");
    let count = reads.len();
    reads.sort();
    reads.dedup();
    assert_eq!(reads.len(), count, "no object twice");
    ask(&edge, &ids);
    assert_eq!(store.reads().len(), count, "from memory");
}

#[test]
fn a_shard_that_cannot_be_read_costs_its_own_items() {
    for fault in [Fault::Error, Fault::Missing, Fault::Truncated(10), Fault::Flipped(1_000)] {
        let edge = Edge::started();
        let business = business(1, 2_000, &[CUSTOMER], &[access(7, None, None)]);
        business.publish(edge.platform());
        let shards: Vec<_> = business
            .objects
            .iter()
            .map(|(name, _)| name.to_string())
            .filter(|name| name.starts_with("shard/"))
            .collect();
        let ids: Vec<i64> = (1..=200).collect();
        let mut without = BTreeSet::new();
        for shard in &shards {
            let edge = edge.beside();
            edge.platform().store().break_on(shard, fault);
            let reply = ask(&edge, &ids);
            edge.platform().store().mend();
            if reply.status == 503 {
                // The shard of the customer's record.
                assert_eq!((reply.header("retry-after"), reply.reason.as_ref()), (Some("2"), "unreadable"));
                without.insert("customer");
                continue;
            }
            let entries = entries(&reply);
            let unread = entries.iter().filter(|entry| entry["code"] == 503).count();
            if unread == 0 {
                continue;
            }
            without.insert("items");
            assert!(unread < 200, "{fault:?}");
            // The single checks tell the same.
            for (id, entry) in ids.iter().zip(&entries).step_by(20) {
                edge.platform().store().break_on(shard, fault);
                assert_eq!(
                    entry_of(*id, &edge.get(&format!("/items/{id}/access"), &customer(CUSTOMER))),
                    *entry
                );
                edge.platform().store().mend();
            }
            edge.advance_secs(5);
            assert!(self::entries(&ask(&edge, &ids)).iter().all(|entry| entry["code"] != 503), "{fault:?}");
        }
        assert_eq!(without.len(), 2, "{fault:?}");
    }
}

#[test]
fn while_a_shard_has_not_arrived_the_version_before_answers_all() {
    let edge = Edge::started();
    let first = business(1, 12, &[CUSTOMER], &[access(1, None, None), access(2, None, None)]);
    first.publish(edge.platform());
    let never = 253_402_300_799;
    let before = [granted(1, never), granted(2, never), not_granted(3, 402)];
    assert_eq!(entries(&ask(&edge, &[1, 2, 3])), before);
    let next = business(2, 12, &[CUSTOMER], &[access(3, None, None)]);
    next.publish(edge.platform());
    let is_new = |name: &String| {
        name.starts_with("shard/") && !first.objects.iter().any(|(it, _)| it.to_string() == *name)
    };
    let late = next.objects.iter().map(|(name, _)| name.to_string()).find(is_new).unwrap();
    edge.platform().store().break_on(&late, Fault::Missing);
    edge.advance_secs(61);
    assert_eq!(entries(&ask(&edge, &[1, 2, 3])), before, "no mixture of two versions");
    edge.platform().store().mend();
    edge.advance_secs(5);
    assert_eq!(
        entries(&ask(&edge, &[1, 2, 3])),
        [not_granted(1, 402), not_granted(2, 402), granted(3, never)]
    );
}

#[test]
fn without_a_snapshot_there_is_no_answer() {
    let edge = Edge::started();
    let reply = ask(&edge, &[1, 2]);
    assert_eq!(
        (reply.status, reply.reason.as_ref(), reply.header("retry-after")),
        (503, "no_snapshot", Some("2"))
    );
    let pair = Pair::without_snapshot(&[]);
    pair.bought(CUSTOMER, 2);
    let ids: Vec<i64> = (1..=10).chain([500]).collect();
    let entries = entries(&ask(&pair.edge, &ids));
    assert_eq!(entries[..3], [not_granted(1, 402), granted(2, UNTIL), not_granted(3, 402)]);
    assert_eq!(
        entries[8..],
        [not_granted(9, 503), not_granted(10, 503), not_granted(500, 503)],
        "beyond the questions"
    );
    pair.edge.advance_secs(60);
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    assert_eq!(ask(&pair.edge, &ids[2..]).status, 503, "never an unproven denial");
}
