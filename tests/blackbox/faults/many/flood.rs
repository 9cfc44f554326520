//! Many questions at once, and loads that hang: loads are shared and bounded.

use admit::{
    api::reply::{Reply, Request},
    limits::{
        LOAD_WAIT_MS, LOAD_WAITS_MAX, LOADS_AT_ONCE, LOADS_BESIDE_HEAD_MAX, LOADS_OF_MANY_MAX,
        OBJECT_CACHE_BYTES,
    },
    ports::Platform as _,
};
use admit_testing::memory::{Fault, MemoryBody, block_on};

use super::{access, ask, business, entries, granted, target};
use crate::faults::{
    edge::{CUSTOMER, Edge},
    origin::customer,
};

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

/// An isolate that slept reads a few shards beside the head. Whoever needs many waits for the head first: it may name
/// others, and each question would load as many as it likes.
#[test]
fn many_shards_are_not_read_beside_the_head() {
    const LATENCY_MS: u64 = 100;
    let publisher = Edge::started();
    let accesses: Vec<_> = (1..=20).map(|number| access(number * 450, None, None)).collect();
    business(1, 10_000, &[CUSTOMER], &accesses).publish(publisher.platform());
    let (clock, store) = (publisher.platform().clock(), publisher.platform().store());
    clock.await_pauses();
    store.set_latency_ms(LATENCY_MS);
    let checks = target(&(1..=200).map(|number| number * 45).collect::<Vec<_>>());
    for (target, in_a_row) in [("/items/450/access", 1), ("/items/access/customers", 2), (checks.as_str(), 2)]
    {
        let edge = publisher.beside();
        let authorization = format!("Bearer {}", customer(CUSTOMER));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request =
            Request { method: "GET", path, query, authorization: &authorization, ..Request::default() };
        let timed = |request: &Request<'_>| {
            let before_ms = clock.now_ms();
            let answers = clock
                .run(vec![Box::pin(async { edge.app.handle(request, MemoryBody::default()).await.status })]);
            (answers[0].0, (answers[0].1 - before_ms) / LATENCY_MS)
        };
        // The customer's shard is in memory, and those of the items are not.
        assert_eq!(timed(&Request { path: "/items/used-trial-period/450", query: "", ..request }).0, 200);
        edge.advance_secs(3_600);
        store.forget_operations();
        let answered = timed(&request);
        let shards = store.reads().iter().filter(|key| key.starts_with("shard/")).count();
        println!("{target:.30}: {shards} shards, {answered:?}");
        assert_eq!(shards > LOADS_BESIDE_HEAD_MAX, in_a_row > 1, "{target}: {shards} shards");
        assert!(answered.0 == 200 && answered.1 >= in_a_row, "{target}: {answered:?}");
        assert!(in_a_row > 1 || answered.1 == 1, "{target}: {answered:?}");
        assert!(store.most_reading() <= LOADS_AT_ONCE, "{}", store.most_reading());
    }
}
