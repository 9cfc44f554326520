//! The age of the head, and heads that must not be used.

use admit::{ports::Platform as _, snapshot::object::FORMAT_VERSION};
use admit_testing::memory::Fault;

use crate::faults::edge::{Business, Edge, START, Signer, viewer};

const FOREVER: Option<i64> = Some(START + 1_000_000);

fn head_reads(edge: &Edge) -> usize {
    edge.platform().store().reads().iter().filter(|key| *key == "head").count()
}

#[test]
fn without_a_head_a_check_is_unavailable_never_denied() {
    let edge = Edge::started();
    let reply = edge.get("/items/1/access", &viewer());
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
    assert_eq!(edge.get("/healthz", "").status, 503);
    // The store is not asked at each request either.
    assert_eq!(head_reads(&edge), 1);
    Business::new(1, FOREVER).publish(edge.platform());
    edge.advance_secs(1);
    assert_eq!(edge.check(), 200);
}

#[test]
fn a_fresh_head_is_used_a_stale_one_refreshed_behind_an_expired_one_before() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    Business::new(2, None).publish(edge.platform());
    edge.advance_secs(29);
    assert_eq!((edge.check(), edge.refresh_behind()), (200, false));
    edge.advance_secs(1);
    // Answered from the current head; the new one is read in the background.
    assert_eq!((edge.check(), head_reads(&edge)), (200, 1));
    assert_eq!((edge.refresh_behind(), head_reads(&edge)), (true, 2));
    assert_eq!(edge.check(), 402);
    Business::new(3, FOREVER).publish(edge.platform());
    edge.advance_secs(60);
    assert_eq!((edge.check(), head_reads(&edge)), (200, 3));
}

#[test]
fn one_request_refreshes_not_all_of_them() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    edge.check();
    edge.advance_secs(30);
    assert!(edge.app.begin_refresh().is_some());
    assert!(edge.app.begin_refresh().is_none());
}

#[test]
fn a_store_that_fails_leaves_the_old_head_and_is_not_pestered() {
    for fault in [Fault::Error, Fault::Missing] {
        let edge = Edge::started();
        Business::new(1, FOREVER).publish(edge.platform());
        assert_eq!(edge.check(), 200);
        edge.platform().store().break_on("", fault);
        edge.advance_secs(3_600);
        for _ in 0..10 {
            assert_eq!(edge.check(), 200);
        }
        assert_eq!(head_reads(&edge), 2);
        edge.platform().store().mend();
        Business::new(2, None).publish(edge.platform());
        edge.advance_secs(5);
        // A store that has just failed delays no request: it is tried again in the background.
        assert_eq!((edge.check(), edge.refresh_behind()), (200, true));
        assert_eq!(edge.check(), 402);
    }
}

#[test]
fn a_head_older_than_the_one_in_use_is_not_stored_even_if_the_store_shows_none() {
    let edge = Edge::started();
    Business::new(2, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    let older = Business::new(1, None);
    older.publish_objects(edge.platform());
    edge.platform().store().break_times("head", Fault::Missing, 1);
    assert_eq!(edge.put_head(&older), 409);
    assert_eq!(edge.check(), 200);
}

#[test]
fn expiry_is_judged_at_the_moment_of_the_check_whatever_the_store_does() {
    let edge = Edge::started();
    Business::new(1, Some(START + 100)).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    edge.platform().store().break_on("", Fault::Error);
    edge.advance_secs(99);
    assert_eq!(edge.check(), 200);
    edge.advance_secs(1);
    assert_eq!(edge.check(), 402);
}

#[test]
fn heads_that_must_not_be_used_leave_the_old_one() {
    let revoked = Business::new(9, None);
    let mut future = Business::new(9, None);
    future.head.as_of = START + 10_000;
    let mut other_format = Business::new(9, None);
    other_format.head.format = FORMAT_VERSION + 1;
    let good = revoked.jws(Signer::Publisher);
    let cases = [
        ("unsigned", good.rsplit_once('.').map(|(start, _)| format!("{start}.")).unwrap()),
        ("of a stranger", revoked.jws(Signer::Stranger)),
        ("of another type", Signer::Publisher.sign("JWT", &serde_json::to_value(&revoked.head).unwrap())),
        ("without its members", Signer::Publisher.sign("admit-head", &serde_json::json!({"seq": 9}))),
        ("older", Business::new(1, None).jws(Signer::Publisher)),
        ("from the future", future.jws(Signer::Publisher)),
        ("of another format", other_format.jws(Signer::Publisher)),
        ("too long", format!("{good}{}", "A".repeat(5_000))),
        ("no text", "\u{0}\u{7f}".to_owned()),
        ("empty", String::new()),
    ];
    for (name, jws) in cases {
        let edge = Edge::started();
        Business::new(2, FOREVER).publish(edge.platform());
        assert_eq!(edge.check(), 200, "{name}");
        revoked.publish_objects(edge.platform());
        edge.platform().store().insert("head", jws.as_bytes());
        edge.advance_secs(61);
        assert_eq!(edge.check(), 200, "a head {name}");
        let lines = edge.platform().memory_log().lines();
        let is_said = |line: &String| line.contains("refresh_failed") || line.contains("head_refused");
        assert!(lines.iter().any(is_said), "a head {name}: {lines:?}");
        // A new isolate must not answer from the same head either.
        let other = edge.beside();
        let expected = if name == "older" { 402 } else { 503 };
        assert_eq!(other.check(), expected, "a head {name}");
        edge.platform().store().insert("head", good.as_bytes());
        edge.advance_secs(61);
        assert_eq!(edge.check(), 402, "after a head {name}");
    }
}

#[test]
fn a_head_whose_objects_have_not_arrived_leaves_the_old_one() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    edge.platform().store().break_on("index/", Fault::Missing);
    Business::new(2, None).publish(edge.platform());
    edge.advance_secs(61);
    assert_eq!(edge.check(), 200);
    edge.platform().store().mend();
    edge.advance_secs(61);
    assert_eq!(edge.check(), 402);
}

#[test]
fn what_a_new_head_leaves_as_it_was_is_not_read_again() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    edge.platform().store().forget_operations();
    Business::new(2, FOREVER).publish(edge.platform());
    edge.advance_secs(61);
    assert_eq!(edge.check(), 200);
    assert_eq!(edge.platform().store().reads(), ["head"]);
}
