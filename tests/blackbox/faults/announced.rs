//! What the fresh lane is told by a publish, and what it has instead: newer heads, and heads that nobody can verify.

use admit::{
    api::reply::Request,
    limits::{HEAD_SKEW_SECS, START_WRITE_TIMEOUT_MS},
    ports::{FreshLane as _, Platform as _},
    snapshot::{head::Head, limits::HEAD_VALUE_MAX_BYTES},
};
use admit_testing::memory::{Fault, MemoryBody, block_on, poll_once};
use serde_json::json;

use crate::faults::{
    edge::{Business, Edge, START, Signer},
    fresh::{check, json_of, lane, laned, logged, publish, store_lags, version},
    joined::revoked_of,
};

/// The value of a head whose numbers no publisher reaches.
fn unreachable(signer: Signer, change: impl FnOnce(&mut Head)) -> Vec<u8> {
    let mut business = version(1, true);
    (business.head.seq, business.head.as_of) = (1_000_000, business.head.as_of + 1);
    change(&mut business.head);
    business.jws(signer).into_bytes()
}

#[test]
fn a_head_that_cannot_be_verified_keeps_no_good_one_out_of_the_lane() {
    let joined = [&unreachable(Signer::Publisher, |_| {})[..], b"\nanother delta"].concat();
    // Signed by a key that was removed, damaged in the lane, or with bytes that are not its delta.
    let mut damaged = unreachable(Signer::Publisher, |_| {});
    let last = damaged.len() - 3;
    damaged[last] ^= 1;
    // Signed, and of no use all the same: of the future, of another format, too long.
    let early = unreachable(Signer::Publisher, |head| head.as_of = START + HEAD_SKEW_SECS + 60);
    let strange = unreachable(Signer::Publisher, |head| head.format = 99);
    let (long, delta) = revoked_of(1_000_000, 8_000);
    let long = long.joined(&delta);
    assert!(long.len() > HEAD_VALUE_MAX_BYTES);
    let stranger = unreachable(Signer::Stranger, |_| {});
    for (position, invalid) in [stranger, damaged, joined, early, strange, long].into_iter().enumerate() {
        let edge = laned();
        let viewers = edge.beside();
        assert_eq!(publish(&edge, &version(1, true)), Some(true));
        assert_eq!(check(&viewers), 200);
        lane(&edge).set(Some(&invalid));
        viewers.advance_secs(2);
        assert_eq!(check(&viewers), 200, "{position}: nobody believes it");
        assert_eq!(logged(&viewers, r#""event":"lane""#), 1, "{position}");
        let next = version(2, false);
        assert_eq!(publish(&edge, &next), Some(true), "{position}");
        assert_eq!(lane(&edge).peek(), Some(next.jws(Signer::Publisher).into_bytes()), "{position}");
        assert_eq!(logged(&edge, "announce: an invalid head was replaced: "), 1, "{position}");
        // The lane alone has it, as far as these viewers see.
        store_lags(&viewers);
        viewers.advance_secs(5);
        check(&viewers);
        assert_eq!(check(&viewers), 402, "{position}");
    }
}

#[test]
fn a_newer_head_that_is_valid_stays_in_the_lane_and_the_publisher_is_told() {
    let edge = laned();
    publish(&edge, &version(1, true));
    let newer = unreachable(Signer::Publisher, |_| {});
    lane(&edge).set(Some(&newer));
    for seq in 2..5 {
        assert_eq!(publish(&edge, &version(seq, true)), Some(false), "{seq}");
    }
    assert_eq!(lane(&edge).peek(), Some(newer));
    assert_eq!(logged(&edge, "announce: the lane has a newer head"), 1, "repetitions are counted");
    assert_eq!(lane(&edge).announced(), 4);
}

#[test]
fn a_head_of_another_store_is_replaced_in_the_lane() {
    let edge = Edge::configured(laned().app.platform().beside(), &[("SNAPSHOT_AUDIENCE", "production")]);
    let of_store = |seq: u64| {
        let mut business: Business = version(seq, true);
        business.head.aud = Some("production".to_owned());
        business
    };
    publish(&edge, &of_store(1));
    lane(&edge).set(Some(&unreachable(Signer::Publisher, |head| head.aud = Some("staging".to_owned()))));
    assert_eq!(publish(&edge, &of_store(2)), Some(true));
    assert_eq!(lane(&edge).peek(), Some(of_store(2).jws(Signer::Publisher).into_bytes()));
}

#[test]
fn a_starting_value_whose_write_hangs_keeps_the_publisher_waiting_for_a_moment_only() {
    let edge = laned();
    let (store, clock) = (edge.platform().store(), edge.platform().clock());
    store.break_on("start", Fault::PutHangs);
    for seq in [1, 2] {
        let before_ms = clock.now_ms();
        assert_eq!(publish(&edge, &version(seq, true)), Some(true), "{seq}");
        assert!(clock.now_ms() - before_ms <= START_WRITE_TIMEOUT_MS, "{seq}");
        assert_eq!(lane(&edge).announced(), usize::try_from(seq).unwrap());
    }
    assert_eq!((edge.check(), store.peek("start")), (200, None));
    store.mend();
    publish(&edge, &version(3, true));
    assert!(store.peek("start").is_some(), "the next head tries again");
    publish(&edge, &version(4, true));
    assert_eq!(store.writes().iter().filter(|key| *key == "start").count(), 3);
}

#[test]
fn announcements_of_two_publishers_that_arrive_reversed_leave_the_newer_head() {
    let first = laned();
    let second = first.beside();
    publish(&first, &version(1, true));
    // Both have stored their heads, the first publisher before the second one. Its announcement is late.
    let [late, early] = [version(2, true), version(3, false)].map(|business| {
        business.publish_objects(first.platform());
        business.jws(Signer::Publisher).into_bytes()
    });
    let authorization = first.publisher_authorization();
    let request = Request {
        method: "PUT",
        path: "/snapshot/head",
        authorization: &authorization,
        ..Request::default()
    };
    // Time limits do not pass meanwhile.
    first.platform().clock().await_pauses();
    lane(&first).hold_next();
    let mut held = Box::pin(first.app.handle(&request, MemoryBody::from(late.clone())));
    while lane(&first).announced() < 2 {
        assert!(poll_once(&mut held).is_pending());
    }
    assert_eq!(publish(&second, &version(3, false)), Some(true));
    lane(&first).release();
    let reply = block_on(held);
    assert_eq!((reply.status, &json_of(&reply)["announced"]), (201, &json!(false)), "it is told");
    assert_eq!(lane(&first).peek(), Some(early.clone()));
    assert_eq!(logged(&first, "announce: the lane has a newer head"), 1);
    let viewers = first.beside();
    store_lags(&viewers);
    assert_eq!(viewers.check(), 402);
    // Once more, past the route: with what the object had before, as a route that was slow to verify would.
    assert_eq!(block_on(lane(&first).announce(&late, Some(&late))), Ok(Some(early)));
}
