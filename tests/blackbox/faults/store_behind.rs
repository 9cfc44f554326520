//! The store behind the fresh lane: it is slow, does not have a head's objects yet, or never shows the head.

use admit::{
    limits::{STORE_BEHIND_SECS, STORE_TIMEOUT_MS},
    ports::Platform as _,
};
use admit_testing::memory::{Fault, MemoryBody};

use crate::faults::{
    edge::{Edge, Signer, check_request, viewer},
    fresh::{check, health, lane, laned, logged, publish, store_lags, version},
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
    for _ in 0..2 {
        edge.advance_secs(2);
        check(&edge);
    }
    // The isolate sleeps, but not for so long that it has to read the store.
    edge.advance_secs(20);
    let reads = edge.platform().store().reads().len();
    assert_eq!(edge.check(), 200);
    assert_eq!(edge.platform().store().reads().len(), reads);
}

/// The same after a sleep for which the store's head has to be read: that is waited for, and the objects of the lane's are
/// not.
#[test]
fn a_minutes_sleep_waits_for_the_stores_head_and_not_for_the_lanes_objects() {
    let edge = laned();
    publish(&edge, &version(1, true));
    assert_eq!(check(&edge), 200);
    lane(&edge).set(Some(version(2, false).jws(Signer::Publisher).as_bytes()));
    for _ in 0..2 {
        edge.advance_secs(2);
        check(&edge);
    }
    edge.advance_secs(70);
    let asked = lane(&edge).asked();
    edge.platform().store().forget_operations();
    assert_eq!(edge.check(), 200);
    assert_eq!((edge.platform().store().reads(), lane(&edge).asked()), (vec!["head".to_owned()], asked));
    version(2, false).publish_objects(edge.platform());
    assert_eq!(check(&edge), 200, "it is asked behind this answer");
    assert_eq!((lane(&edge).asked(), edge.check()), (asked + 1, 402));
}

/// One read of the store that fails says nothing of the lane, nor of the store a while later.
#[test]
fn a_single_failed_read_of_the_lanes_objects_is_forgotten_by_an_isolate_that_slept() {
    let publisher = laned();
    publish(&publisher, &version(1, true));
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    publish(&publisher, &version(2, false));
    store_lags(&viewers);
    viewers.platform().store().break_times("index/", Fault::Error, 1);
    viewers.advance_secs(2);
    assert_eq!(check(&viewers), 200);
    assert_eq!(logged(&viewers, r#""problem":"ahead: "#), 1);
    viewers.advance_secs(50);
    assert_eq!(viewers.check(), 402, "the lane is asked before the first answer");
}

/// An isolate whose store and lane are due behind the same answer in two seconds. The newest version takes the access away.
fn soon_due() -> Edge {
    let publisher = laned();
    publish(&publisher, &version(1, true));
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    for _ in 0..14 {
        viewers.advance_secs(2);
        assert_eq!(check(&viewers), 200);
    }
    publish(&publisher, &version(2, false));
    viewers
}

#[test]
fn what_the_lane_says_is_used_while_a_slow_store_is_still_being_read() {
    let viewers = soon_due();
    viewers.advance_secs(2);
    let clock = viewers.platform().clock();
    clock.await_pauses();
    viewers.platform().store().break_on("head", Fault::Slow(STORE_TIMEOUT_MS));
    assert_eq!(viewers.check(), 200);
    let refresh = viewers.app.begin_refresh().unwrap();
    let authorization = format!("Bearer {}", viewer());
    let request = check_request(&authorization);
    let before_ms = clock.now_ms();
    let ended = clock.run(vec![
        Box::pin(async {
            viewers.app.refresh(refresh).await;
            0
        }),
        Box::pin(async {
            viewers.platform().sleep(100).await;
            viewers.app.handle(&request, MemoryBody::default()).await.status
        }),
    ]);
    assert_eq!(ended[0].1 - before_ms, STORE_TIMEOUT_MS, "the store was read as well");
    assert_eq!(ended[1], (402, before_ms + 100));
}

#[test]
fn the_stores_head_is_as_old_as_its_read_however_long_the_lanes_objects_take() {
    const SLOW_MS: u64 = 5_000;
    let viewers = soon_due();
    store_lags(&viewers);
    viewers.advance_secs(2);
    let (clock, store) = (viewers.platform().clock(), viewers.platform().store());
    clock.await_pauses();
    store.break_times("index/", Fault::Slow(SLOW_MS), 1);
    assert_eq!(viewers.check(), 200);
    let refresh = viewers.app.begin_refresh().unwrap();
    let before_ms = clock.now_ms();
    let ended = clock.run(vec![Box::pin(viewers.app.refresh(refresh))]);
    assert_eq!(ended[0].1 - before_ms, SLOW_MS);
    assert_eq!(viewers.check(), 402);
    clock.set_ms(before_ms + 30_000);
    store.forget_operations();
    assert_eq!(viewers.check(), 402);
    while viewers.refresh_behind() {}
    assert_eq!(store.reads(), ["head"], "its 30 s are over");
}

#[test]
fn a_head_that_the_store_never_shows_is_logged() {
    let publisher = laned();
    publish(&publisher, &version(1, true));
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    publish(&publisher, &version(2, false));
    store_lags(&viewers);
    let seen_after = |secs: u64| {
        for _ in 0..secs {
            viewers.advance_secs(1);
            check(&viewers);
        }
        logged(&viewers, "behind: the store has shown an older head")
    };
    // The store is read after 30 s, and again 120 s after that.
    assert_eq!(seen_after(u64::try_from(STORE_BEHIND_SECS).unwrap()), 0);
    assert_eq!(seen_after(70), 1);
    viewers.platform().store().mend();
    let lines = seen_after(40);
    assert_eq!(seen_after(300), lines, "it shows the head now");
    assert_eq!(check(&viewers), 402);
}

#[test]
fn a_busy_publisher_whose_heads_the_store_shows_late_is_no_problem() {
    let publisher = laned();
    publish(&publisher, &version(1, true));
    let viewers = publisher.beside();
    assert_eq!(check(&viewers), 200);
    for seq in 2..200 {
        publish(&publisher, &version(seq, true));
        // Always one head behind the lane.
        store_lags(&viewers);
        viewers.advance_secs(2);
        check(&viewers);
        viewers.platform().store().mend();
    }
    assert_eq!(health(&viewers)["head_from"], "lane");
    assert_eq!(logged(&viewers, "behind: "), 0);
}
