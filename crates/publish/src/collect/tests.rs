//! A model test: any sequence of publishing, syncing, rolling back, collecting and being killed, on a
//! directory whose clock is set by the test. Whatever head an edge may hold must stay readable.

mod model;

use std::fs;

use admit::limits;
use admit_snapshot::object::ObjectKind;
use proptest::prelude::*;

use self::model::{Model, OPTIONS, Step, steps};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_goes_that_an_edge_may_ask_for(steps in steps()) {
        let mut model = Model::new();
        for (step, writes) in &steps {
            // A step that was killed, or had nothing to do, is an error; only what it left in the store
            // matters.
            let done = model.step(step, *writes);
            model.check_revoked(step, done.is_ok());
            model.observe();
            model.check(step);
        }
        if model.heads.is_empty() {
            return Ok(());
        }
        // In the end every object that no version needs is deleted.
        for _ in 0..2 {
            model.step(&Step::Pass(OPTIONS.grace_secs), 0).unwrap();
            model.step(&Step::Collect, usize::MAX).unwrap();
        }
        let store = model.store(0);
        let report = collect(&store, None, Options { is_dry_run: true, ..OPTIONS }).unwrap();
        prop_assert_eq!((report.stored, report.marked, report.deleted), (report.live, 0, 0));
        model.check(&Step::Collect);
    }
}

/// The rules by number and age do not cover this case: the record of a version that was never published,
/// because its publisher was killed, makes the version before it look as if it had been replaced long ago.
#[test]
fn what_is_used_again_is_no_longer_marked() {
    let mut model = Model::new();
    for number in 0..4 {
        model.step(&Step::Publish([number; 4], 0), usize::MAX).unwrap();
    }
    model.step(&Step::Pass(600), 0).unwrap();
    model.step(&Step::Collect, usize::MAX).unwrap();
    assert_eq!(model.store(0).garbage().unwrap().marked(), 6, "of versions 1 and 2");
    model.step(&Step::Publish([0; 4], 0), usize::MAX).unwrap();
    model.step(&Step::Pass(1), 0).unwrap();
    // The sixth write would be the head: lease, three objects and version come before it.
    model.step(&Step::Publish([9; 4], 0), 5).unwrap_err();
    assert_eq!(model.store(0).versions().unwrap(), [3, 4, 5, 6]);
    model.step(&Step::Sync(0), usize::MAX).unwrap();
    model.observe();
    model.step(&Step::Pass(599), 0).unwrap();
    model.step(&Step::Publish([8; 4], 0), usize::MAX).unwrap();
    model.observe();
    model.step(&Step::Pass(2), 0).unwrap();
    model.step(&Step::Collect, usize::MAX).unwrap();
    assert_eq!(model.store(0).versions().unwrap(), [6, 7]);
    model.check(&Step::Collect);
}

#[test]
fn versions_go_by_number_and_by_age() {
    let model = Model::new();
    let collect = |store: &Store, keep| {
        let options = Options { grace_secs: 3_600, keep, is_dry_run: false };
        collect(store, Some(&model.key()), options).unwrap()
    };
    for number in 0..4 {
        model.step(&Step::Publish([number; 4], 0), usize::MAX).unwrap();
        model.step(&Step::Pass(1_800), 0).unwrap();
    }
    let store = model.store(usize::MAX);
    // Published 7200, 5400, 3600 and 1800 s ago, so the second one was replaced an hour ago.
    let report = collect(&store, 1);
    assert_eq!((report.versions_kept, report.versions_dropped), (vec![3, 4], vec![1, 2]));
    // Objects of the first two versions: for each a shard, two equal pages and an index.
    assert_eq!((report.deleted, report.newly_marked, report.next_at), (0, 6, Some(model.now() + 3_600)));
    assert_eq!(store.versions().unwrap(), [3, 4]);
    model.step(&Step::Pass(3_599), 0).unwrap();
    assert_eq!(collect(&store, 1).deleted, 0);
    model.step(&Step::Pass(1), 0).unwrap();
    let report = collect(&store, 1);
    assert_eq!((report.deleted, report.versions_kept), (6, vec![4]));
    assert_eq!(collect(&store, 1).stored, report.stored - 6);
}

#[test]
fn what_cannot_be_read_stops_it_before_anything_is_written() {
    let model = Model::new();
    let store = model.store(usize::MAX);
    let error = collect(&store, None, OPTIONS).unwrap_err().to_string();
    assert!(error.contains("nothing is published yet"), "{error}");
    for number in 0..2 {
        model.step(&Step::Publish([number; 4], 0), usize::MAX).unwrap();
    }
    for name in store.objects(ObjectKind::Page).unwrap() {
        fs::write(model.path.join("store").join(name.to_string()), "spoilt").unwrap();
    }
    let error = collect(&model.store(0), None, OPTIONS).unwrap_err().to_string();
    assert!(error.contains("cannot be read: nothing was deleted"), "{error}");
}

#[test]
fn the_least_grace_is_longer_than_an_edge_holds_a_replaced_head() {
    // Three delays add up: KV shows a new head, the edge's KV cache keeps the old one, an isolate looks
    // again. Then an object of the new version may be cached as missing; such an answer is at most as old as
    // the shortest cache time, because the object is requested again. Last, the answer before which the
    // isolate looks again.
    let secs = limits::HEAD_CACHE_TTL_SECS + limits::HEAD_CACHE_TTL_SECS;
    let held = secs.cast_signed() + limits::HEAD_STALE_SECS + 60 + limits::UNREADABLE_SECS;
    assert!(held < GRACE_MIN_SECS, "{held}");
}
