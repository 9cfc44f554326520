//! Shards that are missing, damaged or late.

use admit::{
    api::reply::Request,
    ports::Platform as _,
    snapshot::object::{ObjectKind, ObjectName},
};
use admit_testing::memory::{Fault, MemoryBody, block_on};
use serde_json::json;

use crate::faults::edge::{Business, Edge, JWKS_URL, START, Signer, viewer};

const FOREVER: Option<i64> = Some(START + 1_000_000);

#[test]
fn a_shard_that_cannot_be_read_is_unavailable_never_denied() {
    for fault in [Fault::Error, Fault::Missing, Fault::Truncated(100), Fault::Flipped(1_000)] {
        let edge = Edge::started();
        Business::new(1, FOREVER).publish(edge.platform());
        edge.platform().store().break_on("shard/", fault);
        let reply = edge.get("/items/1/access", &viewer());
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")), "{fault:?}");
        assert_eq!(edge.get("/items/1", "").status, 503, "{fault:?}");
        edge.platform().store().mend();
        edge.advance_secs(5);
        assert_eq!(edge.check(), 200, "{fault:?}");
    }
}

#[test]
fn while_a_shard_has_not_arrived_the_version_before_answers_whole() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    // Customers changed and items did not, so only the customers' shard is new, and it is late.
    let next = Business::new(2, None);
    next.publish(edge.platform());
    let known: Vec<String> =
        Business::new(1, FOREVER).objects.iter().map(|(name, _)| name.to_string()).collect();
    let late: Vec<String> = next.objects.iter().map(|(name, _)| name.to_string()).collect();
    let late = late.iter().find(|name| name.starts_with("shard/") && !known.contains(name)).unwrap();
    edge.platform().store().break_on(late, Fault::Missing);
    edge.advance_secs(61);
    assert_eq!(edge.check(), 200);
    let reads = edge.platform().store().reads().iter().filter(|key| *key == late).count();
    for _ in 0..5 {
        assert_eq!(edge.check(), 200);
    }
    assert_eq!(edge.platform().store().reads().iter().filter(|key| *key == late).count(), reads);
    edge.platform().store().mend();
    edge.advance_secs(5);
    assert_eq!(edge.check(), 402);
}

/// A cached absence or damage of an object is checked with a recent read before it counts.
#[test]
fn an_absence_that_a_cache_remembers_keeps_no_object_away() {
    let edge = Edge::started();
    let business = Business::new(1, FOREVER);
    business.publish(edge.platform());
    let store = edge.platform().store();
    store.break_on("head", Fault::Missing);
    assert_eq!(edge.check(), 503, "a head is read recently the first time, and once");
    assert_eq!(store.reads(), ["head", "start"]);
    store.mend();
    for kind in ["index/", "directory/", "shard/"] {
        store.break_on(kind, Fault::MissingInCache);
    }
    store.forget_operations();
    edge.advance_secs(1);
    assert_eq!(edge.check(), 200);
    let reads = store.reads();
    let count = |kind: &str| reads.iter().filter(|key| key.starts_with(kind)).count();
    // The customer's shard and the item's, each read twice.
    assert_eq!(["head", "index/", "directory/", "shard/"].map(count), [1, 2, 2, 4], "{reads:?}");
    assert!(edge.platform().memory_log().lines().iter().all(|line| !line.contains("unreadable")));
}

#[test]
fn bytes_that_were_put_right_are_not_waited_for() {
    for fault in [Fault::Truncated(100), Fault::Flipped(1_000)] {
        let edge = Edge::started();
        Business::new(1, FOREVER).publish(edge.platform());
        // The cache has wrong bytes for two shards; their second reads succeed.
        edge.platform().store().break_times("shard/", fault, 2);
        assert_eq!(edge.check(), 200, "{fault:?}");
    }
}

/// After a failed read the store is not asked again at once: each failure may take seconds.
#[test]
fn a_read_that_fails_is_not_repeated_at_once() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    edge.platform().store().break_on("shard/", Fault::Error);
    assert_eq!(edge.check(), 503);
    let reads = edge.platform().store().reads();
    assert_eq!(reads.iter().filter(|key| key.starts_with("shard/")).count(), 2, "{reads:?}");
}

#[test]
fn a_valid_object_under_another_name_is_refused() {
    let edge = Edge::started();
    let business = Business::new(1, FOREVER);
    business.publish(edge.platform());
    let shards: Vec<_> =
        business.objects.iter().filter(|(name, _)| name.to_string().starts_with("shard/")).collect();
    let [(first, first_object), (second, second_object)] = shards.as_slice() else { panic!("two shards") };
    edge.platform().store().insert(&first.to_string(), second_object);
    edge.platform().store().insert(&second.to_string(), first_object);
    assert_eq!(edge.check(), 503);
}

#[test]
fn a_hundred_requests_at_a_new_isolate_load_everything_once() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let statuses = edge.check_at_once(&viewer(), 100);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let mut reads = edge.platform().store().reads();
    let count = reads.len();
    reads.sort();
    reads.dedup();
    assert_eq!(reads.len(), count, "{reads:?}");
}

#[test]
fn a_request_behind_one_that_never_ends_loads_the_object_itself_after_a_while() {
    for prefix in ["head", "shard/"] {
        let edge = Edge::started();
        Business::new(1, FOREVER).publish(edge.platform());
        edge.platform().store().break_times(prefix, Fault::Hangs, 1);
        let statuses = edge.check_behind_one_that_hangs();
        assert_eq!(statuses, [200, 200], "{prefix}");
    }
}

#[test]
fn what_is_in_memory_needs_no_store() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    let reads = edge.platform().store().reads().len();
    for _ in 0..100 {
        assert_eq!(edge.check(), 200);
    }
    assert_eq!(edge.platform().store().reads().len(), reads);
}

#[test]
fn a_head_is_not_stored_whose_objects_make_no_sense() {
    let edge = Edge::started();
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let claims =
        json!({"iss": "https://i.example", "sub": "s", "exp": START + 9, "scope": "snapshot:publish"});
    let authorization = Signer::Publisher.sign("JWT", &claims);
    let put_head = |business: &Business| {
        let request = Request {
            method: "PUT",
            path: "/snapshot/head",
            authorization: &authorization,
            ..Request::default()
        };
        let jws = MemoryBody::from(business.jws(Signer::Publisher).into_bytes());
        block_on(edge.app.handle(&request, jws)).status
    };
    let good = Business::new(1, FOREVER);
    good.publish_objects(edge.platform());
    for kind in [ObjectKind::Index, ObjectKind::Directory, ObjectKind::Delta] {
        let object = [kind.header().as_slice(), b"\xff"].concat();
        let name = ObjectName::of(kind, &object);
        edge.platform().store().insert(&name.to_string(), &object);
        let mut bad = Business::new(2, FOREVER);
        match kind {
            ObjectKind::Index => bad.head.index = name.digest,
            ObjectKind::Directory => bad.head.directory = name.digest,
            _ => bad.head.delta = Some(name.digest),
        }
        assert_eq!(put_head(&bad), 422, "{kind:?}");
    }
    assert_eq!(put_head(&good), 201);
}
