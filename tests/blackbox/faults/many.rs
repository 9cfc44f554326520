//! `GET /access`: one answer about many items is what the single checks answer, however the snapshot, the store and the
//! origin do.

use std::{cell::Cell, collections::BTreeSet, rc::Rc};

use admit::{
    api::reply::{Reply, Request},
    limits::{
        CHECKS_MAX_CONFIRMS, CHECKS_MAX_ITEMS, LOAD_WAIT_MS, LOAD_WAITS_MAX, LOADS_OF_MANY_MAX,
        OBJECT_CACHE_BYTES,
    },
    ports::Platform as _,
};
use admit_publish::build::build_ndjson;
use admit_testing::memory::{Fault, MemoryBody, OriginFault, block_on};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, START},
    origin::{ORIGIN_URL, Pair, Truth, UNTIL, customer, denial},
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

/// The single questions that the origin got.
fn paths(pair: &Pair) -> Vec<String> {
    let seen = pair.origin().seen();
    seen.iter()
        .filter(|seen| seen.method == "GET")
        .map(|seen| seen.url.strip_prefix(ORIGIN_URL).unwrap().to_owned())
        .collect()
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

pub fn bought_nothing(variables: &[(&str, &str)]) -> Pair {
    let pair = Pair::without_snapshot(variables);
    business(1, 50, &[CUSTOMER], &[]).publish(pair.edge.platform());
    pair
}

#[test]
fn at_most_eight_questions_confirm_an_answer() {
    let pair = bought_nothing(&[("LOG_CHECKS", "denied")]);
    for id in [14, 21, 22] {
        pair.bought(CUSTOMER, id);
    }
    let ids: Vec<i64> = (9..=30).collect();
    let reply = ask(&pair.edge, &ids);
    // 9 is free; 10 is inactive and 11 another merchant's, which no purchase changes.
    let asked: Vec<_> = (12..20).map(|id| format!("/items/{id}/access")).collect();
    assert_eq!(paths(&pair), asked);
    let found = entries(&reply);
    assert_eq!((&found[5], &found[12]), (&granted(14, UNTIL), &not_granted(21, 402)));
    let unconfirmed = "not confirmed: 11 the questions for one answer are used up";
    assert!(reply.detail.ends_with(&format!("; {unconfirmed}")), "{}", reply.detail);
    let lines = pair.edge.platform().memory_log().take();
    assert!(lines.iter().any(|line| line.contains(unconfirmed)), "{lines:?}");
    assert_eq!(reply.header("entitlement-seq"), None, "the snapshot has answered some");
    for seen in pair.origin().seen() {
        assert_eq!(seen.header("authorization"), format!("Bearer {}", customer(CUSTOMER)));
        assert_eq!(Some(seen.header("x-request-id")), reply.header("x-request-id"));
    }
}

#[test]
fn what_is_remembered_leaves_the_questions_to_others() {
    let pair = bought_nothing(&[]);
    pair.bought(CUSTOMER, 13);
    let ids: Vec<i64> = (13..=22).collect();
    assert_eq!(entries(&ask(&pair.edge, &ids))[0], granted(13, UNTIL));
    // A grant is remembered at once, and a denial after the second time.
    ask(&pair.edge, &ids);
    assert_eq!(paths(&pair)[8..], (14..=21).map(|id| format!("/items/{id}/access")).collect::<Vec<_>>());
    let reply = ask(&pair.edge, &ids);
    // 21 was denied once.
    assert_eq!(paths(&pair)[16..], ["/items/21/access", "/items/22/access"]);
    assert!(!reply.detail.contains("not confirmed"), "{}", reply.detail);
    // The single checks have the same memory, and forget it with a write.
    let asked = pair.asked();
    assert_eq!((pair.status(13), pair.status(14), pair.asked()), (200, 402, asked));
    assert_eq!(pair.grant("bob", 1).status, 201);
    assert_eq!(pair.status(13), 200);
    assert_eq!(pair.asked(), asked + 1);
}

#[test]
fn an_origin_that_does_not_answer_leaves_the_snapshots_answer() {
    for fault in [OriginFault::Refuses, OriginFault::HangsAfter] {
        let pair = bought_nothing(&[]);
        pair.bought(CUSTOMER, 13);
        pair.origin().break_times(fault, 1_000);
        let reply = ask(&pair.edge, &[9, 13, 14]);
        assert_eq!(entries(&reply)[1..], [not_granted(13, 402), not_granted(14, 402)], "{fault:?}");
        assert!(reply.detail.contains("; not confirmed: 2 "), "{fault:?}: {}", reply.detail);
        pair.origin().mend();
        assert_eq!(entries(&ask(&pair.edge, &[9, 13]))[1], granted(13, UNTIL), "{fault:?}");
    }
    let off = bought_nothing(&[("CONFIRMS_PER_SEC", "0")]);
    let reply = ask(&off.edge, &[13, 14]);
    assert_eq!(
        (reply.detail.as_str(), off.asked()),
        ("of 2: 2 no_grant; not confirmed: 2 confirmations are off", 0)
    );
    let few = bought_nothing(&[("CONFIRMS_PER_SEC", "1")]);
    // The edge learns that this origin answers single questions only.
    ask(&few.edge, &[13, 14]);
    few.edge.advance_secs(10);
    few.origin().forget_requests();
    let reply = ask(&few.edge, &[13, 14, 15]);
    assert_eq!((few.asked(), reply.detail.contains("not confirmed: 1 the budget is used up")), (2, true));
    let failing = bought_nothing(&[]);
    failing.origin().serve(|_| denial(500, "Oops"));
    ask(&failing.edge, &[13, 14, 15, 16, 17]);
    let reply = ask(&failing.edge, &[13]);
    assert_eq!(
        (failing.asked(), reply.detail.contains("not confirmed: 1 circuit open")),
        (5, true),
        "{}",
        reply.detail
    );
}

#[test]
fn a_client_that_knows_of_a_change_is_answered_from_after_it() {
    let pair = bought_nothing(&[]);
    business(2, 50, &[CUSTOMER], &[access(1, None, None), access(2, None, None)])
        .publish(pair.edge.platform());
    // The origin has revoked both since, and sold another item.
    pair.bought(CUSTOMER, 3);
    pair.truth.borrow_mut().seq = 3;
    let ask = |ids: &[i64], min_seq| {
        let authorization = format!("Bearer {}", customer(CUSTOMER));
        let items = target(ids);
        let request = Request {
            method: "GET",
            path: "/access",
            query: items.split_once('?').unwrap().1,
            authorization: &authorization,
            min_seq,
            ..Request::default()
        };
        block_on(pair.edge.app.handle(&request, MemoryBody::default()))
    };
    let statuses =
        |reply: &Reply| entries(reply).iter().map(|entry| entry["access"] == true).collect::<Vec<_>>();
    let reply = ask(&[1, 2, 3], 2);
    assert_eq!(
        (statuses(&reply), reply.header("entitlement-seq"), pair.asked()),
        (vec![true, true, true], None, 1)
    );
    let reply = ask(&[1, 2, 3], 3);
    assert_eq!((statuses(&reply), reply.header("entitlement-seq")), (vec![false, false, true], Some("3")));
    assert_eq!(pair.asked(), 4);
    // More items than questions: the answer does not claim to be that new.
    let reply = ask(&(1..=12).collect::<Vec<_>>(), 3);
    assert_eq!((reply.header("entitlement-seq"), pair.asked()), (None, 12));
}

#[test]
fn grants_of_a_stale_snapshot_are_confirmed_after_the_denials() {
    let pair = Pair::without_snapshot(&[("SNAPSHOT_MAX_AGE_SECS", "300")]);
    business(1, 50, &[CUSTOMER], &[access(1, None, None), access(2, None, None)])
        .publish(pair.edge.platform());
    pair.edge.advance_secs(301);
    pair.bought(CUSTOMER, 1);
    let found = entries(&ask(&pair.edge, &[1, 2, 13]));
    assert_eq!(found, [granted(1, UNTIL), not_granted(2, 402), not_granted(13, 402)]);
    assert_eq!(paths(&pair), ["/items/13/access", "/items/1/access", "/items/2/access"]);
}

/// What happens between two questions.
#[derive(Clone, Debug)]
enum Event {
    /// The business publishes these accesses: item, start and end in seconds from now.
    Publish(Vec<(i64, Option<i64>, Option<i64>)>),
    /// The customer buys an item at the origin.
    Buys(i64),
    /// The origin revokes every access.
    Revokes,
    /// Time passes, in milliseconds.
    Passes(u64),
    /// The origin fails, or works again.
    Origin(bool),
    /// The origin learns to answer questions about several items, or forgets it.
    Evaluations(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let access = (1_i64..13, proptest::option::of(-50_i64..50), proptest::option::of(-50_i64..200));
    prop_oneof![
        2 => vec(access, 0..6).prop_map(Event::Publish),
        3 => (1_i64..20).prop_map(Event::Buys),
        1 => Just(Event::Revokes),
        4 => (0_u64..1_500).prop_map(Event::Passes),
        2 => (1_000_u64..80_000).prop_map(Event::Passes),
        1 => any::<bool>().prop_map(Event::Origin),
        2 => any::<bool>().prop_map(Event::Evaluations),
    ]
}

/// Three edges with the same data: one is asked about many items, one about each, and one has no origin.
struct Trio {
    many: Pair,
    single: Pair,
    lone: Edge,
    fails: Rc<Cell<bool>>,
}

impl Trio {
    fn new() -> Self {
        let fails = Rc::new(Cell::new(false));
        let pair = || {
            let pair = Pair::without_snapshot(&[]);
            let (truth, fails) = (Rc::clone(&pair.truth), Rc::clone(&fails));
            pair.origin().serve(move |seen| {
                if fails.get() { denial(500, "Oops") } else { Truth::answer(&mut truth.borrow_mut(), seen) }
            });
            pair
        };
        let (many, single) = (pair(), pair());
        Self { many, single, lone: Edge::started(), fails }
    }

    fn edges(&self) -> [&Edge; 3] {
        [&self.many.edge, &self.single.edge, &self.lone]
    }

    fn now_ms(&self) -> u64 {
        self.lone.platform().clock().now_ms()
    }

    fn set_ms(&self, now_ms: u64) {
        for edge in self.edges() {
            edge.platform().clock().set_ms(now_ms);
        }
    }

    fn happen(&self, event: &Event, seq: &mut u64) {
        match event {
            Event::Publish(accesses) => {
                *seq += 1;
                let now = i64::try_from(self.now_ms() / 1_000).unwrap() - START;
                let later = |secs: Option<i64>| secs.map(|secs| now + secs);
                // A start must come before its end.
                let accesses: Vec<_> = accesses
                    .iter()
                    .filter(|(_, starts, ends)| starts.zip(*ends).is_none_or(|(starts, ends)| starts < ends))
                    .map(|(id, starts, ends)| access(*id, later(*starts), later(*ends)))
                    .collect();
                let business = business(*seq, 12, &[CUSTOMER], &accesses);
                for edge in self.edges() {
                    business.publish(edge.platform());
                }
            }
            Event::Buys(id) => {
                for pair in [&self.many, &self.single] {
                    pair.bought(CUSTOMER, *id);
                }
            }
            Event::Revokes => {
                for pair in [&self.many, &self.single] {
                    pair.revoked();
                }
            }
            Event::Passes(ms) => self.set_ms(self.now_ms() + ms),
            Event::Origin(fails) => self.fails.set(*fails),
            Event::Evaluations(are_there) => self.many.truth.borrow_mut().has_evaluations = *are_there,
        }
    }

    /// The batch's entry of each item is its single check's; where it is not confirmed, the snapshot's.
    fn compare(&self, ids: &[i64]) -> Result<(), TestCaseError> {
        let now_ms = self.now_ms();
        self.many.origin().forget_requests();
        let reply = ask(&self.many.edge, ids);
        let (at_once, asked): (Vec<_>, Vec<_>) =
            self.many.origin().seen().into_iter().partition(|seen| seen.method == "POST");
        let single = |edge: &Edge, id: i64| {
            edge.platform().clock().set_ms(now_ms);
            entry_of(id, &edge.get(&format!("/items/{id}/access"), &customer(CUSTOMER)))
        };
        // An edge reads the head when it is asked: all three look at the same moments, so that they have the same version.
        let lone: Vec<_> = ids.iter().map(|id| single(&self.lone, *id)).collect();
        let is_unconfirmed = reply.detail.contains("not confirmed");
        let mut unconfirmed = 0;
        for ((id, entry), lone) in ids.iter().zip(entries(&reply)).zip(&lone) {
            let expected = single(&self.single.edge, *id);
            if entry != expected {
                unconfirmed += 1;
                prop_assert!(is_unconfirmed, "{id}: {entry} is not {expected}: {}", reply.detail);
                prop_assert_eq!(&entry, lone);
            }
        }
        // Each question may be sent twice if the connection breaks, which this origin's do not.
        prop_assert!(at_once.len() <= 1 && asked.len() <= CHECKS_MAX_CONFIRMS, "{} questions", asked.len());
        // One question confirms all, however many they are.
        let is_answered = !at_once.is_empty() && self.many.truth.borrow().has_evaluations;
        prop_assert!(!is_answered || self.fails.get() || asked.is_empty(), "{} questions", asked.len());
        prop_assert!(
            unconfirmed == 0 || self.fails.get() || (ids.len() > CHECKS_MAX_CONFIRMS && !is_answered),
            "{}",
            reply.detail
        );
        self.set_ms(now_ms);
        if is_unconfirmed || ids.len() > CHECKS_MAX_CONFIRMS {
            // The two have asked about different items, or failed differently often: let memory and circuits end.
            self.fails.set(false);
            self.set_ms(now_ms + 40_000);
            for edge in self.edges() {
                edge.get("/items/500/access", &customer(CUSTOMER));
            }
            self.set_ms(now_ms + 80_000);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_answer_about_many_items_is_that_of_the_single_checks(
        lives in vec((vec(event(), 0..4), proptest::sample::subsequence((1..=16).chain([150, 160]).collect::<Vec<i64>>(), 1..18), any::<bool>()), 1..12),
    ) {
        let trio = Trio::new();
        let mut seq = 0;
        trio.happen(&Event::Publish(Vec::new()), &mut seq);
        for (events, mut ids, is_short) in lives {
            for event in &events {
                trio.happen(event, &mut seq);
            }
            if is_short {
                ids.truncate(CHECKS_MAX_CONFIRMS);
            }
            trio.compare(&ids)?;
        }
    }
}

/// Ten thousand questions at a new isolate, whose store is slow.
#[test]
fn a_flood_of_questions_shares_what_it_loads_and_keeps_no_check_waiting() {
    const QUESTIONS: usize = 10_000;
    const LATENCY_MS: u64 = 200;
    let edge = Edge::started();
    let customers: Vec<_> = (0..200).map(|number| format!("viewer-{number}")).collect();
    let names: Vec<_> = customers.iter().map(String::as_str).collect();
    business(1, 10_000, &names, &[access(7, None, None)]).publish(edge.platform());
    let (clock, store) = (edge.platform().clock(), edge.platform().store());
    clock.await_pauses();
    store.set_latency_ms(LATENCY_MS);
    let tokens: Vec<_> = customers.iter().map(|name| format!("Bearer {}", customer(name))).collect();
    // Most ask about a row of a screen, some about as much as they may.
    let targets: Vec<_> = (0..QUESTIONS)
        .map(|number| {
            let (count, from) =
                (if number % 50 == 0 { 200 } else { 6 }, i64::try_from(number).unwrap() * 37 % 9_800);
            target(&(from + 1..=from + count).collect::<Vec<_>>())
        })
        .collect();
    let request = |number: usize| {
        let authorization = &tokens[number % tokens.len()];
        // Every hundredth request is a single check.
        if number % 100 == 7 {
            return Request { method: "GET", path: "/items/7/access", authorization, ..Request::default() };
        }
        let query = targets[number].split_once('?').unwrap().1;
        Request { method: "GET", path: "/access", query, authorization, ..Request::default() }
    };
    let requests: Vec<_> = (0..QUESTIONS).map(request).collect();
    let began_ms = clock.now_ms();
    let answers = clock.run(
        requests
            .iter()
            .map(|request| {
                Box::pin(edge.app.handle(request, MemoryBody::default()))
                    as std::pin::Pin<Box<dyn Future<Output = Reply> + '_>>
            })
            .collect(),
    );
    let mut slowest_ms = [0; 2];
    let mut unread = 0;
    for (request, (reply, at_ms)) in requests.iter().zip(&answers) {
        let is_many = request.path == "/access";
        let slowest_ms = &mut slowest_ms[usize::from(is_many)];
        *slowest_ms = (*slowest_ms).max(at_ms - began_ms);
        assert_eq!(reply.status, 200, "{}: {}", request.path, reply.reason);
        if is_many {
            unread += entries(reply).iter().filter(|entry| entry["code"] == 503).count();
        }
    }
    let mut reads = store.reads();
    let count = reads.len();
    reads.sort();
    reads.dedup();
    println!("{count} reads, {} at once, slowest {slowest_ms:?} ms, {unread} not read", store.most_reading());
    assert_eq!(reads.len(), count, "no object was loaded twice");
    // Head, then index and directory, then the shards of customer and item.
    assert!(slowest_ms[0] <= 3 * LATENCY_MS + 10 * LOAD_WAIT_MS, "{slowest_ms:?}");
    assert!(slowest_ms[1] <= LOAD_WAIT_MS * u64::from(LOAD_WAITS_MAX), "{slowest_ms:?}");
    assert!(store.most_reading() <= LOADS_OF_MANY_MAX + QUESTIONS / 100, "{}", store.most_reading());
    assert!(store.bytes_read() < OBJECT_CACHE_BYTES, "all of it fits: {}", store.bytes_read());
    assert_eq!(unread, 0);
}

/// Items whose shard is loaded by a request that never ends are left out of the answer; a check loads the shard itself.
#[test]
fn a_question_behind_a_load_that_hangs_does_without() {
    let edge = Edge::started();
    business(1, 2_000, &[CUSTOMER], &[access(7, None, None)]).publish(edge.platform());
    assert_eq!(entries(&ask(&edge, &[7])).len(), 1);
    let store = edge.platform().store();
    let ids: Vec<i64> = (1..=200).collect();
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let query = target(&ids);
    let request = Request {
        method: "GET",
        path: "/access",
        query: query.split_once('?').unwrap().1,
        authorization: &authorization,
        ..Request::default()
    };
    store.break_times("shard/", Fault::Hangs, 1);
    let mut hanging = Box::pin(edge.app.handle(&request, MemoryBody::default()));
    for _ in 0..20 {
        assert!(admit_testing::memory::poll_once(&mut hanging).is_pending());
    }
    let entries = entries(&block_on(edge.app.handle(&request, MemoryBody::default())));
    let unread = entries.iter().filter(|entry| entry["code"] == 503).count();
    assert!((1..200).contains(&unread), "{unread}");
    assert_eq!(entries[6], granted(7, 253_402_300_799));
}
