//! The lease: which publishers it keeps from writing, for how long, and which values are not leases.

use admit::{
    api::reply::Reply,
    ports::Platform as _,
    snapshot::object::{ObjectKind, ObjectName},
};
use admit_testing::memory::{Fault, MemoryStore};
use serde_json::{Value, json};

use crate::faults::edge::{Business, Edge, START, Signer};

const FOREVER: Option<i64> = Some(START + 1_000_000);
const ANNE: &str = "00000000000000000000000000000001";
const BEN: &str = "0000000000000000000000000000000b";

fn store(edge: &Edge) -> &MemoryStore {
    edge.platform().store()
}

/// The keys of the snapshot that were written; an issuer's keys are kept in the same store.
fn written(edge: &Edge) -> Vec<String> {
    store(edge).writes().into_iter().filter(|key| !key.starts_with("jwks/")).collect()
}

fn lease(holder: &str, until: i64) -> Vec<u8> {
    json!({"holder": holder, "host": "build-7", "until": until}).to_string().into_bytes()
}

fn take(edge: &Edge, holder: &str, until: i64) -> Reply {
    edge.publish("PUT", "/snapshot/lease", "", lease(holder, until))
}

fn message(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    assert_eq!(body["errors"].as_object().unwrap().values().next(), Some(&body["message"]));
    body["message"].as_str().unwrap().to_owned()
}

/// Everything that only the holder may do while there is a lease, done by `holder`.
fn changes(edge: &Edge, holder: &str) -> [u16; 4] {
    let business = Business::new(5, FOREVER);
    business.publish_objects(edge.platform());
    let jws = business.jws(Signer::Publisher).into_bytes();
    let object = ObjectName::of(ObjectKind::Shard, b"x");
    [
        edge.publish("PUT", "/snapshot/version/5", holder, jws.clone()).status,
        edge.publish("PUT", "/snapshot/head", holder, jws).status,
        edge.publish("DELETE", "/snapshot/version/4", holder, Vec::new()).status,
        edge.publish("DELETE", &format!("/snapshot/{object}"), holder, Vec::new()).status,
    ]
}

const DONE: [u16; 4] = [201, 201, 204, 204];

/// The process lets another publisher on the same machine see that the holder has ended. The service does not
/// use it.
#[test]
fn a_lease_may_name_its_process() {
    let edge = Edge::started();
    let lease =
        json!({"holder": ANNE, "host": "build-7", "until": START + 30, "process": "boot/pid:[1]/7/9"});
    assert_eq!(edge.publish("PUT", "/snapshot/lease", "", lease.to_string().into_bytes()).status, 201);
    let stored = edge.publish("GET", "/snapshot/lease", "", Vec::new());
    assert_eq!(stored.body.as_bytes(), lease.to_string().as_bytes());
    assert_eq!(take(&edge, BEN, START + 30).status, 409);
}

#[test]
fn while_the_lease_is_held_only_its_holder_changes_what_is_published() {
    let edge = Edge::started();
    assert_eq!(changes(&edge, ""), DONE);
    assert_eq!(take(&edge, ANNE, START + 300).status, 201);
    store(&edge).forget_operations();
    for other in ["", BEN, &ANNE[1..], "no holder"] {
        assert_eq!(changes(&edge, other), [409; 4], "{other}");
        let reply = edge.publish("PUT", "/snapshot/head", other, Vec::new());
        let expected =
            format!("Another publisher holds the lease: build-7, until {}. Try again then", START + 300);
        assert_eq!(message(&reply), expected);
    }
    assert!(written(&edge).is_empty());
    assert_eq!(changes(&edge, ANNE), DONE);
    // Objects change nothing until a head refers to them, so every publisher may store them.
    let object = ObjectKind::Shard.header();
    let path = format!("/snapshot/{}", ObjectName::of(ObjectKind::Shard, &object));
    assert_eq!(edge.publish("PUT", &path, BEN, object.to_vec()).status, 201);
    edge.advance_secs(299);
    assert_eq!(changes(&edge, BEN), [409; 4]);
    edge.advance_secs(1);
    assert_eq!((changes(&edge, BEN), changes(&edge, "")), (DONE, DONE));
}

#[test]
fn a_lease_is_taken_renewed_and_ended_by_its_holder() {
    let edge = Edge::started();
    let end = |holder: &str| edge.publish("DELETE", "/snapshot/lease", holder, Vec::new()).status;
    assert_eq!(edge.publish("GET", "/snapshot/lease", "", Vec::new()).status, 404);
    assert_eq!(end(ANNE), 204);
    assert_eq!(take(&edge, ANNE, START + 10).status, 201);
    assert_eq!(take(&edge, BEN, START + 10).status, 409);
    assert_eq!((end(""), end(BEN)), (409, 409));
    assert_eq!(take(&edge, ANNE, START + 20).status, 201);
    edge.advance_secs(19);
    assert_eq!((take(&edge, BEN, START + 30).status, end(BEN)), (409, 409));
    let stored = edge.publish("GET", "/snapshot/lease", "", Vec::new());
    assert_eq!((stored.status, stored.body.as_bytes()), (200, lease(ANNE, START + 20).as_slice()));
    assert_eq!((end(ANNE), store(&edge).peek("lease")), (204, None));
    assert_eq!(take(&edge, BEN, START + 30).status, 201);
    // A lease that has ended blocks no publisher, and others must not remove it: it may be renewed at this
    // moment.
    edge.advance_secs(20);
    assert_eq!((end(ANNE), end("")), (204, 204));
    assert!(store(&edge).peek("lease").is_some());
    assert_eq!((take(&edge, ANNE, START + 60).status, end(BEN)), (201, 409));
}

#[test]
fn a_lease_ends_within_ten_minutes_by_the_clock_of_the_service() {
    let edge = Edge::started();
    for (until, status) in
        [(START, 422), (START - 1, 422), (START + 601, 422), (i64::MAX, 422), (START + 600, 201)]
    {
        let reply = take(&edge, ANNE, until);
        assert_eq!(reply.status, status, "{until}");
        if status == 422 {
            let expected = "A lease must end within 600 s from now, by the clock of this service";
            assert_eq!(message(&reply), expected);
        }
    }
    for body in [&b""[..], b"{}", b"null", b"\xff", br#"{"holder":"me","host":"h","until":1800000010}"#] {
        let reply = edge.publish("PUT", "/snapshot/lease", "", body.to_vec());
        assert_eq!(reply.status, 422);
        assert!(message(&reply).starts_with("The body is not a lease: "));
    }
    assert_eq!(edge.publish("PUT", "/snapshot/lease", "", vec![b' '; 1025]).status, 413);
    assert_eq!(store(&edge).peek("lease"), Some(lease(ANNE, START + 600)));
}

#[test]
fn an_invalid_lease_keeps_no_publisher_away() {
    let with = |member: &str, value: Value| {
        let mut lease = json!({"holder": ANNE, "host": "build-7", "until": START + 300});
        lease[member] = value;
        lease.to_string().into_bytes()
    };
    for stored in [
        lease(ANNE, START),
        lease(ANNE, i64::MIN),
        // Longer than the longest lease that could have been taken.
        lease(ANNE, START + 901),
        lease(ANNE, i64::MAX),
        with("holder", "anne".into()),
        with("holder", Value::Null),
        with("host", "\"}\n".into()),
        with("until", (1u64 << 63).into()),
        with("until", 1.5.into()),
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b'['; 100_000],
    ] {
        let edge = Edge::started();
        store(&edge).insert("lease", &stored);
        let at = String::from_utf8_lossy(&stored[..stored.len().min(100)]).into_owned();
        assert_eq!(changes(&edge, ""), DONE, "{at}");
        assert_eq!(take(&edge, BEN, START + 10).status, 201, "{at}");
        assert_eq!(store(&edge).peek("lease"), Some(lease(BEN, START + 10)), "{at}");
    }
    // Written directly into the store by a publisher with a wrong clock: as long as it may be.
    let edge = Edge::started();
    store(&edge).insert("lease", &lease(ANNE, START + 900));
    assert_eq!((changes(&edge, ""), changes(&edge, ANNE)), ([409; 4], DONE));
}

#[test]
fn a_lease_that_cannot_be_read_lets_nobody_pass() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    store(&edge).break_on("lease", Fault::Error);
    assert_eq!(changes(&edge, ANNE), [503; 4]);
    assert_eq!(take(&edge, ANNE, START + 10).status, 503);
    assert_eq!(edge.publish("DELETE", "/snapshot/lease", ANNE, Vec::new()).status, 503);
    assert!(written(&edge).is_empty());
    // Checks do not depend on the lease.
    assert_eq!(edge.check(), 200);
    store(&edge).mend();
    assert_eq!(changes(&edge, ANNE), DONE);
}

#[test]
fn a_store_that_takes_one_write_a_second_takes_the_renewal_later() {
    let edge = Edge::started();
    store(&edge).limit_writes(true);
    assert_eq!(take(&edge, ANNE, START + 100).status, 201);
    let reply = take(&edge, ANNE, START + 200);
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
    assert_eq!(edge.publish("DELETE", "/snapshot/lease", ANNE, Vec::new()).status, 503);
    assert_eq!(store(&edge).peek("lease"), Some(lease(ANNE, START + 100)));
    edge.advance_secs(1);
    assert_eq!(take(&edge, ANNE, START + 200).status, 201);
    edge.advance_secs(1);
    assert_eq!(edge.publish("DELETE", "/snapshot/lease", ANNE, Vec::new()).status, 204);
    // A publisher that comes right after must wait as well.
    assert_eq!(take(&edge, BEN, START + 100).status, 503);
    edge.advance_secs(1);
    assert_eq!(take(&edge, BEN, START + 100).status, 201);
}

/// KV may show the lease before the last one, and two publishers then believe that they hold it. The
/// published version still never goes back.
#[test]
fn a_store_that_lags_lets_two_in_but_no_head_goes_back() {
    let edge = Edge::started();
    assert_eq!(take(&edge, ANNE, START + 300).status, 201);
    store(&edge).break_times("lease", Fault::Missing, 2);
    assert_eq!(take(&edge, BEN, START + 300).status, 201);
    let put = |business: &Business, holder: &str| {
        let jws = business.jws(Signer::Publisher).into_bytes();
        edge.publish("PUT", "/snapshot/head", holder, jws).status
    };
    let [newer, older] = [Business::new(9, FOREVER), Business::new(8, None)];
    newer.publish_objects(edge.platform());
    older.publish_objects(edge.platform());
    assert_eq!(put(&newer, ANNE), 201);
    assert_eq!(put(&older, BEN), 409);
    assert_eq!((put(&older, ANNE), edge.check()), (409, 200));
}
