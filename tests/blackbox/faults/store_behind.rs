//! The store behind the fresh lane: it does not have a head's objects yet.

use admit::ports::Platform as _;

use crate::faults::{
    edge::Signer,
    fresh::{check, health, lane, laned, logged, publish, version},
};

#[test]
fn a_lane_that_is_ahead_of_the_store_is_asked_as_usual_and_not_counted_as_failed() {
    let edge = laned();
    publish(&edge, &version(1, true));
    assert_eq!(check(&edge), 200);
    // Its head arrives by the lane, and the objects of that do not.
    let next = version(2, false);
    lane(&edge).set(Some(next.jws(Signer::Publisher).as_bytes()));
    let asked = lane(&edge).asked();
    for second in 0..120 {
        edge.advance_secs(1);
        assert_eq!(check(&edge), 200, "{second}: the version before answers");
    }
    assert_eq!(lane(&edge).asked() - asked, 60);
    assert_eq!(health(&edge)["lane"]["failed"], 0);
    assert!(logged(&edge, r#""event":"lane","problem":"ahead: not found""#) >= 1);
    next.publish_objects(edge.platform());
    edge.advance_secs(2);
    check(&edge);
    assert_eq!(check(&edge), 402);
}

#[test]
fn no_request_waits_for_a_store_that_cannot_be_read_because_the_lane_is_ahead() {
    let edge = laned();
    publish(&edge, &version(1, true));
    assert_eq!(check(&edge), 200);
    let next = version(2, false);
    lane(&edge).set(Some(next.jws(Signer::Publisher).as_bytes()));
    edge.advance_secs(2);
    check(&edge);
    // The isolate sleeps, but not for so long that it has to read the store.
    edge.advance_secs(20);
    let reads = edge.platform().store().reads().len();
    assert_eq!(edge.check(), 200);
    assert_eq!(edge.platform().store().reads().len(), reads);
}
