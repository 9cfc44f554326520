//! What the fresh lane is told by a publish, and what it has instead: newer heads, and heads that nobody can verify.

use admit::snapshot::head::Head;

use crate::faults::{
    edge::{Business, Edge, Signer},
    fresh::{check, lane, laned, logged, publish, store_lags, version},
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
    for (position, invalid) in
        [unreachable(Signer::Stranger, |_| {}), damaged, joined].into_iter().enumerate()
    {
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
