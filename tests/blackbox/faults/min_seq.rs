//! `Entitlement-Min-Seq`: a client that knows of a change gets no answer from before it.

use admit_testing::memory::OriginFault;
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, START, Signer},
    origin::Pair,
};
const FOREVER: Option<i64> = Some(START + 1_000_000);

#[test]
fn what_is_newer_than_the_snapshot_is_asked_of_the_origin() {
    let pair = Pair::new(&[]);
    Business::new(2, FOREVER).publish(pair.edge.platform());
    // The snapshot grants, but the origin has revoked the access since.
    let check = |min_seq| pair.check_with_min_seq("/items/1/access", min_seq).status;
    assert_eq!((check(0), check(2), pair.asked()), (200, 200, 0));
    assert_eq!((check(3), pair.asked()), (402, 1));
    let license = |min_seq| {
        let reply = pair.check_with_min_seq("/license", min_seq);
        (reply.status, serde_json::from_slice::<Value>(reply.body.as_bytes()).unwrap())
    };
    assert_ne!(license(2).1, json!({"of": "the origin"}));
    assert_eq!(license(3), (200, json!({"of": "the origin"})));
    let public = pair.check_with_min_seq("/items/1", 3);
    assert_eq!(public.header("cache-control"), Some("private, no-store"));
    // Public reads are passed on without a token, even if the client sends one; the other reads carry theirs.
    let mut seen = pair.origin().seen();
    assert_eq!(seen.pop().unwrap().header("authorization"), "");
    assert!(seen.pop().unwrap().header("authorization").starts_with("Bearer "));
    // Once the snapshot has caught up, the origin is not asked.
    Business::new(3, None).publish(pair.edge.platform());
    pair.edge.advance_secs(61);
    let asked = pair.asked();
    assert_eq!(license(3).1["items"], json!([]));
    assert_eq!(pair.asked(), asked);
}

#[test]
fn the_content_counts_not_the_version() {
    let pair = Pair::new(&[]);
    let mut rolled_back = Business::new(9, FOREVER);
    rolled_back.head.origin_seq = Some(4);
    rolled_back.publish(pair.edge.platform());
    assert_eq!(pair.check_with_min_seq("/items/1/access", 4).status, 200);
    assert_eq!(pair.check_with_min_seq("/items/1/access", 5).status, 402);
    assert!(rolled_back.jws(Signer::Publisher).len() > 100);
}

#[test]
fn what_is_remembered_will_not_do() {
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    pair.revoked();
    assert_eq!(pair.status(1), 200, "remembered");
    assert_eq!(pair.check_with_min_seq("/items/1/access", 3).status, 402);
}

#[test]
fn without_the_origin_the_snapshot_answers() {
    let pair = Pair::new(&[]);
    Business::new(2, FOREVER).publish(pair.edge.platform());
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    assert_eq!(pair.check_with_min_seq("/items/1/access", 9).status, 200);
    assert_eq!(pair.check_with_min_seq("/license", 9).status, 200);
    assert_eq!(pair.check_with_min_seq("/healthz", 9).status, 200);
}
