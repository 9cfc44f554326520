//! Isolates that start or wake: how many reads in a row they wait for, the starting value, and loads behind
//! answers. A read takes `ROUND_MS`, and reads at the same time take it together.

use admit::{
    api::reply::Request,
    limits::{BESIDE_HEAD_TIMEOUT_MS, START_TIMEOUT_MS},
    ports::Platform as _,
    snapshot::pack::Pack,
};
use admit_testing::memory::{Fault, MemoryBody, MemoryPlatform};
use serde_json::json;

use crate::faults::{
    edge::{Business, Edge, START, Signer, fetched_viewer, token, viewer},
    fresh::json_of,
    joined::{revoked, revoked_of},
    origin::{Pair, answer},
};

const FOREVER: Option<i64> = Some(START + 1_000_000);
const ROUND_MS: u64 = 100;

/// Status and number of reads in a row.
fn rounds(edge: &Edge, path: &str, token: &str) -> (u16, u64) {
    let clock = edge.platform().clock();
    let authorization = if token.is_empty() { String::new() } else { format!("Bearer {token}") };
    let request = Request { method: "GET", path, authorization: &authorization, ..Request::default() };
    let before_ms = clock.now_ms();
    let answered =
        clock.run(vec![Box::pin(async { edge.app.handle(&request, MemoryBody::default()).await.status })]);
    (answered[0].0, (answered[0].1 - before_ms) / ROUND_MS)
}

/// Does what the platform does after an answer.
fn refresh_behind(edge: &Edge) -> bool {
    let mut is_due = false;
    while let Some(refresh) = edge.app.begin_refresh() {
        edge.platform().clock().run(vec![Box::pin(edge.app.refresh(refresh))]);
        is_due = true;
    }
    is_due
}

/// A store in which a business is published through an edge.
fn published(business: &Business) -> Edge {
    let edge = Edge::started();
    business.publish_objects(edge.platform());
    assert_eq!(edge.put_head(business), 201);
    edge
}

/// A new isolate of that store, whose reads take time from now on.
fn new_isolate(of: &Edge) -> Edge {
    let edge = of.beside();
    edge.platform().clock().await_pauses();
    edge.platform().store().set_latency_ms(ROUND_MS);
    edge.platform().store().forget_operations();
    edge
}

#[test]
fn a_new_isolate_answers_after_two_reads_in_a_row() {
    let publisher = published(&Business::new(1, FOREVER));
    for token in [viewer(), fetched_viewer()] {
        let edge = new_isolate(&publisher);
        assert_eq!(rounds(&edge, "/items/1/access", &token), (200, 2));
        let mut reads = edge.platform().store().reads();
        // The first isolate has left the issuer's keys in the store.
        reads.retain(|key| !key.starts_with("jwks/"));
        assert_eq!(reads.len(), 4, "{reads:?}");
        assert!(reads[..2].contains(&"head".to_owned()) && reads[..2].contains(&"start".to_owned()));
        assert!(reads[2..].iter().all(|key| key.starts_with("shard/")), "{reads:?}");
        assert_eq!(rounds(&edge, "/items/1/access", &token), (200, 0));
    }
}

#[test]
fn an_isolate_that_wakes_answers_after_one_read_unless_shards_have_changed() {
    let publisher = published(&Business::new(1, FOREVER));
    let (business, delta) = revoked(2);
    for (is_joined, reads_in_a_row) in [(true, 1), (false, 2)] {
        let edge = new_isolate(&publisher);
        let store = edge.platform().store();
        assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
        if is_joined {
            store.insert("head", &business.joined(&delta));
        } else {
            store.insert(&business.delta_key(), &delta);
            store.insert("head", business.jws(Signer::Publisher).as_bytes());
        }
        edge.advance_secs(3_600);
        assert_eq!(rounds(&edge, "/items/1/access", &viewer()), (402, reads_in_a_row));
        // Nothing has changed since.
        edge.advance_secs(3_600);
        assert_eq!(rounds(&edge, "/items/1/access", &viewer()), (402, 1));
        Business::new(1, FOREVER).publish(edge.platform());
    }
    // New shards: their names are only known from the new index.
    let edge = new_isolate(&publisher);
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
    Business::new(3, None).publish(edge.platform());
    edge.advance_secs(3_600);
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()), (402, 3));
}

#[test]
fn an_isolate_that_wakes_reads_head_and_shards_at_the_same_time() {
    let publisher = published(&Business::new(1, FOREVER));
    let store = publisher.platform().store();
    // An isolate that slept, and has everything but the customer's shard.
    let woken = || {
        let edge = new_isolate(&publisher);
        assert_eq!(rounds(&edge, "/items/1", ""), (200, 2));
        edge.advance_secs(3_600);
        store.forget_operations();
        edge
    };
    assert_eq!(rounds(&woken(), "/items/1/access", &viewer()), (200, 1));
    let mut reads = store.reads();
    reads.retain(|key| !key.starts_with("jwks/"));
    assert_eq!(reads.len(), 2, "{reads:?}");
    let shard = reads.iter().find(|key| key.starts_with("shard/")).unwrap();
    assert!(reads.contains(&"head".to_owned()), "{reads:?}");
    // A shard that cannot be read keeps no head from being used.
    let edge = woken();
    store.break_on(shard, Fault::Error);
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 503);
    store.mend();
    edge.advance_secs(10);
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
    // The head that was read beside the shard decides.
    let edge = woken();
    let (business, delta) = revoked(2);
    store.insert("head", &business.joined(&delta));
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()), (402, 1));
    assert!(store.reads().contains(shard), "by the version that it had, the shard was needed");
}

/// What an isolate that slept reads beside the head may be gone: a compaction has renamed it, and the garbage was collected.
#[test]
fn a_shard_that_is_gone_is_no_fault_and_not_waited_for() {
    let business = |seq: u64| Business::new(seq, FOREVER.filter(|_| seq == 1));
    let shards = |seq: u64| {
        let objects = business(seq).objects.into_iter().map(|(name, _)| name.to_string());
        objects.filter(|name| name.starts_with("shard/")).collect::<Vec<_>>()
    };
    let after = shards(2);
    let gone = shards(1).into_iter().find(|shard| !after.contains(shard)).unwrap();
    for fault in
        [None, Some(Fault::Hangs), Some(Fault::Slow(2_900)), Some(Fault::Error), Some(Fault::Flipped(9))]
    {
        let publisher = published(&business(1));
        let store = publisher.platform().store();
        let edge = new_isolate(&publisher);
        assert_eq!(rounds(&edge, "/items/1", "").0, 200);
        business(2).publish(edge.platform());
        match fault {
            None => store.remove(&gone),
            Some(fault) => store.break_on(&gone, fault),
        }
        edge.advance_secs(100);
        store.forget_operations();
        // Head, index, and the customer's shard.
        assert_eq!(rounds(&edge, "/items/1/access", &viewer()), (402, 3), "{fault:?}");
        let reads = store.reads().into_iter().filter(|key| *key == gone).count();
        assert_eq!(reads, 1, "{fault:?}: the customer's shard of before, once");
        let lines = edge.platform().memory_log().lines();
        assert!(!lines.iter().any(|line| line.contains("unreadable")), "{fault:?}: {lines:?}");
        assert_eq!(json_of(&edge.get("/healthz", ""))["status"], "ok", "{fault:?}");
    }
}

/// A read beside the head that hangs, of a shard that is needed in any case.
#[test]
fn a_shard_that_does_not_come_beside_the_head_is_asked_for_again() {
    let publisher = published(&Business::new(1, FOREVER));
    let edge = new_isolate(&publisher);
    assert_eq!(rounds(&edge, "/items/1", "").0, 200);
    edge.advance_secs(3_600);
    edge.platform().store().break_times("shard/", Fault::Hangs, 1);
    let before_ms = edge.platform().clock().now_ms();
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
    let waited_ms = edge.platform().clock().now_ms() - before_ms;
    assert_eq!(waited_ms, ROUND_MS + BESIDE_HEAD_TIMEOUT_MS + ROUND_MS);
}

/// Requests that wait for a slow head look again every 20 ms, and read nothing beside it each time.
#[test]
fn a_head_that_is_waited_for_long_has_one_read_beside_it() {
    let publisher = published(&Business::new(1, FOREVER));
    let edge = new_isolate(&publisher);
    let store = edge.platform().store();
    assert_eq!(rounds(&edge, "/items/1", "").0, 200);
    edge.advance_secs(3_600);
    store.break_on("head", Fault::Slow(1_000));
    store.break_times("shard/", Fault::Missing, 1);
    store.forget_operations();
    let authorization = format!("Bearer {}", viewer());
    let path = "/items/1/access";
    let request = Request { method: "GET", path, authorization: &authorization, ..Request::default() };
    let check = async || edge.app.handle(&request, MemoryBody::default()).await.status;
    let before_ms = edge.platform().clock().now_ms();
    let ended = edge.platform().clock().run(vec![Box::pin(check()), Box::pin(check())]);
    assert_eq!((ended[0].0, ended[1].0), (200, 200));
    assert_eq!(ended[0].1 - before_ms, 1_000 + 2 * ROUND_MS);
    let shards = store.reads().into_iter().filter(|key| key.starts_with("shard/")).count();
    assert_eq!(shards, 2, "beside the head, and when that was there");
}

/// The value under `start` counts only if its digests are right, and costs one round if it is of no use.
#[test]
fn a_starting_value_that_is_of_no_use_costs_a_round_and_nothing_else() {
    let publisher = published(&Business::new(2, FOREVER));
    let store = publisher.platform().store();
    let right = store.peek("start").unwrap();
    let pack = |objects: &[Vec<u8>]| {
        let mut pack = Pack::default();
        assert!(objects.iter().all(|object| pack.push(object)));
        pack.into_bytes()
    };
    let objects = |business: &Business| business.objects.iter().map(|(_, object)| object.clone()).collect();
    let stale: Vec<Vec<u8>> = objects(&Business::new(1, None));
    // Whole objects with a byte that differs.
    let foreign = stale.iter().map(|object| [object.as_slice(), b"\0"].concat()).collect::<Vec<_>>();
    let values = [
        None,
        Some(Vec::new()),
        Some(b"garbage".to_vec()),
        Some(right[..right.len() - 1].to_vec()),
        Some([&right[..right.len() - 1], b"\xff"].concat()),
        Some(pack(&stale)),
        Some(pack(&foreign)),
        Some(vec![b'x'; 25 << 20]),
    ];
    for (number, value) in values.into_iter().enumerate() {
        let edge = new_isolate(&publisher);
        match value {
            Some(value) => store.insert("start", &value),
            None => store.remove("start"),
        }
        let (status, rounds) = rounds(&edge, "/items/1/access", &viewer());
        // A shared shard of items makes the directory of another version the same.
        assert!(status == 200 && (2..=3).contains(&rounds), "{number}: {status}, {rounds} rounds");
        assert!(number == 5 || rounds == 3, "{number}");
    }
    store.insert("start", &right);
    store.break_on("start", Fault::Error);
    assert_eq!(rounds(&new_isolate(&publisher), "/items/1/access", &viewer()), (200, 3));
    store.mend();
    assert_eq!(rounds(&new_isolate(&publisher), "/items/1/access", &viewer()), (200, 2));
}

/// Until the first answer of a new isolate of `publisher`, in milliseconds, if the starting value takes `slow_ms` more
/// than the other reads, or never arrives.
fn first_answer_ms(publisher: &Edge, slow_ms: Option<u64>) -> u64 {
    let edge = new_isolate(publisher);
    let store = edge.platform().store();
    store.break_on("start", slow_ms.map_or(Fault::Hangs, Fault::Slow));
    let before_ms = edge.platform().clock().now_ms();
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
    store.mend();
    edge.platform().clock().now_ms() - before_ms
}

#[test]
fn a_slow_starting_value_costs_a_short_wait_and_whichever_is_first_is_used() {
    let publisher = published(&Business::new(1, FOREVER));
    for (slow_ms, expected_ms) in [
        (Some(0), 2 * ROUND_MS),
        // It is waited for.
        (Some(140), 2 * ROUND_MS + 140),
        // The objects' own reads have begun, and it is there before them.
        (Some(180), 2 * ROUND_MS + 180),
        // They are there before it.
        (Some(300), START_TIMEOUT_MS + 2 * ROUND_MS),
        (Some(2_900), START_TIMEOUT_MS + 2 * ROUND_MS),
        (None, START_TIMEOUT_MS + 2 * ROUND_MS),
    ] {
        assert_eq!(first_answer_ms(&publisher, slow_ms), expected_ms, "{slow_ms:?}");
    }
    // The head is later still: nothing is waited for besides.
    let edge = new_isolate(&publisher);
    let store = edge.platform().store();
    store.break_on("start", Fault::Hangs);
    store.break_on("head", Fault::Slow(700));
    let before_ms = edge.platform().clock().now_ms();
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
    assert_eq!(edge.platform().clock().now_ms() - before_ms, 700 + 3 * ROUND_MS);
}

/// Both ways to the first version's objects are under way, and the first one to end fails.
#[test]
fn of_two_ways_to_start_the_one_that_works_counts() {
    let publisher = published(&Business::new(1, FOREVER));
    let store = publisher.platform().store();
    // The objects themselves cannot be read, and the starting value is late.
    let edge = new_isolate(&publisher);
    store.break_on("start", Fault::Slow(400));
    store.break_on("index/", Fault::Error);
    let before_ms = edge.platform().clock().now_ms();
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
    assert_eq!(edge.platform().clock().now_ms() - before_ms, 400 + 2 * ROUND_MS);
    store.mend();
    // The starting value is late and of no use, the objects are read a second time for it, and only that fails.
    let edge = new_isolate(&publisher);
    store.insert("start", b"garbage");
    store.break_on("start", Fault::Slow(180));
    store.break_times("index/", Fault::Error, 1);
    store.break_times("index/", Fault::Slow(1_000), 1);
    let before_ms = edge.platform().clock().now_ms();
    assert_eq!(rounds(&edge, "/items/1/access", &viewer()).0, 200);
    let waited_ms = edge.platform().clock().now_ms() - before_ms;
    assert_eq!(waited_ms, START_TIMEOUT_MS + 1_000 + 2 * ROUND_MS);
    assert_eq!(store.reads().iter().filter(|key| key.starts_with("index/")).count(), 2);
}

#[test]
fn who_looks_at_an_item_finds_the_check_in_memory() {
    let publisher = published(&Business::new(1, FOREVER));
    for token in [viewer(), fetched_viewer()] {
        let edge = new_isolate(&publisher);
        assert_eq!(rounds(&edge, "/items/1", &token), (200, 2));
        assert!(refresh_behind(&edge), "the customer's shard is loaded behind the answer");
        assert_eq!(rounds(&edge, "/items/1/access", &token), (200, 0));
        // Everything is there: nothing is due.
        assert_eq!(rounds(&edge, "/items/1", &token), (200, 0));
        assert!(!refresh_behind(&edge));
    }
}

#[test]
fn nothing_is_loaded_for_tokens_that_are_not_accepted() {
    let publisher = published(&Business::new(1, FOREVER));
    let edge = new_isolate(&publisher);
    assert_eq!(rounds(&edge, "/items/1", "").0, 200);
    assert!(!refresh_behind(&edge));
    let expired = token(&json!({"sub": "alice", "exp": START - 1_000}));
    for token in ["x", &viewer()[..60], expired.as_str()] {
        edge.platform().store().forget_operations();
        assert_eq!(rounds(&edge, "/items/1", token).0, 200);
        refresh_behind(&edge);
        assert!(edge.platform().store().reads().is_empty(), "{:?}", edge.platform().store().reads());
    }
}

#[test]
fn who_has_signed_in_or_refreshed_finds_the_customers_shard_in_memory() {
    for (path, body) in [
        ("/accounts/authenticate", "grant_type=password&username=a&password=b"),
        ("/oauth2/token", "grant_type=refresh_token&refresh_token=r&client_id=c"),
    ] {
        let pair = Pair::new(&[]);
        Business::new(2, FOREVER).publish(pair.edge.platform());
        pair.origin().serve(|_| answer(200, &json!({"access_token": viewer(), "expires": START + 100})));
        let form = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        assert_eq!(pair.write_as("", "POST", path, body.as_bytes().to_vec().into(), &form).status, 200);
        let edge = &pair.edge;
        edge.platform().clock().await_pauses();
        edge.platform().store().set_latency_ms(ROUND_MS);
        assert!(refresh_behind(edge), "{path}");
        assert_eq!(rounds(edge, "/licenses", &viewer()).1, 0, "{path}");
        // Only the item's shard is missing.
        assert_eq!(rounds(edge, "/items/1/access", &viewer()), (200, 1), "{path}");
    }
}

#[test]
fn a_failed_sign_in_loads_nothing() {
    let pair = Pair::new(&[]);
    pair.origin().serve(|_| answer(401, &json!({"access_token": viewer()})));
    let form = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    pair.write_as("", "POST", "/oauth2/token", b"grant_type=password&username=a".to_vec().into(), &form);
    pair.edge.platform().store().forget_operations();
    assert!(!refresh_behind(&pair.edge));
    assert!(pair.edge.platform().store().reads().is_empty());
}

/// What a sync costs store and edges by either form: docs/adr/0057 has the table that this prints
/// (`cargo nextest run one_value_or_two --no-capture`).
#[test]
fn one_value_or_two() {
    println!("| | delta, bytes | one value | two |\n| --- | --- | --- | --- |");
    for delta_customers in [1, 1_000, 4_000] {
        let (business, delta) = revoked_of(2, delta_customers);
        let (jws, path) = (business.jws(Signer::Publisher), format!("/snapshot/{}", business.delta_key()));
        let mut rows: Vec<Vec<(u64, usize)>> = Vec::new();
        for is_joined in [true, false] {
            let publisher = published(&Business::new(1, FOREVER));
            let woken = new_isolate(&publisher);
            assert_eq!(rounds(&woken, "/items/1/access", &viewer()).0, 200);
            // The publish: requests and writes, and the bytes that the Worker reads for it.
            let store = publisher.platform().store();
            store.set_latency_ms(0);
            store.forget_operations();
            let before = store.bytes_read();
            if !is_joined {
                assert_eq!(publisher.publish("PUT", &path, "", delta.clone()).status, 201);
            }
            let value = if is_joined { business.joined(&delta) } else { jws.clone().into_bytes() };
            assert_eq!(publisher.publish("PUT", "/snapshot/head", "", value).status, 201);
            let mut costs = vec![(store.writes().len() as u64, store.bytes_read() - before)];
            store.set_latency_ms(ROUND_MS);
            let mut measure = |edge: &Edge| {
                let before = store.bytes_read();
                let (status, rounds) = rounds(edge, "/items/1/access", &viewer());
                assert_eq!(status, 402);
                costs.push((rounds, store.bytes_read() - before));
            };
            woken.advance_secs(3_600);
            measure(&woken);
            woken.advance_secs(3_600);
            measure(&woken);
            measure(&new_isolate(&publisher));
            rows.push(costs);
        }
        let names = ["publish: writes", "woken, changed", "woken, unchanged", "new"];
        for (name, (one, two)) in names.iter().zip(rows[0].iter().zip(&rows[1])) {
            println!("| {name} | {} | {}, {} bytes read | {}, {} |", delta.len(), one.0, one.1, two.0, two.1);
        }
        let count = |row: &Vec<(u64, usize)>| row.iter().map(|cost| cost.0).collect::<Vec<_>>();
        assert_eq!(count(&rows[0]), [1, 1, 1, 2]);
        assert_eq!(count(&rows[1]), [2, 2, 1, 3]);
        // The same bytes, but for the line feed; only a head that has not changed brings the delta again.
        assert_eq!(rows[0][1].1, rows[1][1].1 + 1);
        assert_eq!(rows[0][2].1, rows[1][2].1 + delta.len() + 1);
    }
}

/// A platform at the start, for isolates without a snapshot.
#[test]
fn a_starting_value_alone_is_no_snapshot() {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    let publisher = published(&Business::new(1, FOREVER));
    platform.store().insert("start", &publisher.platform().store().peek("start").unwrap());
    assert_eq!(Edge::new(platform).check(), 503);
}
