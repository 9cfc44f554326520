//! What an isolate holds of the snapshot, and the rules about it that concern more than one part.

use super::{
    head_watch::HeadWatch,
    lag::Lag,
    lane_watch::{LaneState, LaneWatch},
    objects::Objects,
    store_lag::StoreLag,
    versions::{HeadSource, Versions},
};
use crate::{
    limits::DEGRADED_SECS,
    snapshot::{head::Head, object::Digest, time::UnixSecs},
};

pub use super::head_watch::HeadState;

/// Which heads are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The one in the store.
    pub store: bool,
    /// The one in the fresh lane.
    pub lane: bool,
}

impl Due {
    const fn is_any(self) -> bool {
        self.store || self.lane
    }
}

/// The versions that an isolate holds, and what it knows of the store.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// The version in use and the one before.
    pub versions: Versions,
    /// When the head was read, and when it is due again.
    pub watch: HeadWatch,
    /// When the fresh lane was asked, and when it is due again.
    pub lane: LaneWatch,
    /// Shards and pages of all versions.
    pub objects: Objects,
    /// Index and directory of the starting value that this isolate has stored last, for a publisher.
    pub start_stored: Option<(Digest, Digest)>,
    /// Whether the versions fall behind the upstream.
    lag: Lag,
    /// Whether the store falls behind the lane.
    store_lag: StoreLag,
}

impl Snapshots {
    /// What to do about the head at `now`.
    #[must_use]
    pub fn head_state(&self, now: UnixSecs) -> HeadState {
        match (self.stored_state(now), self.lane.state(now)) {
            (HeadState::Fresh | HeadState::Stale, LaneState::Slept) => HeadState::Expired,
            (HeadState::Fresh, LaneState::Due) => HeadState::Stale,
            (state, _) => state,
        }
    }

    /// What to do about the stored head at `now`, whatever the lane says.
    fn stored_state(&self, now: UnixSecs) -> HeadState {
        self.watch.state(self.versions.current().is_some(), now)
    }

    /// Whether the versions at hand answer, without a look at the store first.
    #[must_use]
    pub fn may_answer(&self, now: UnixSecs) -> bool {
        matches!(self.head_state(now), HeadState::Fresh | HeadState::Stale)
    }

    /// Whether a head is due behind the request, and no other request is reading it.
    #[must_use]
    pub fn refresh_due(&self, now: UnixSecs) -> bool {
        self.head_state(now) == HeadState::Stale && self.due_behind(now).is_any()
    }

    fn due_behind(&self, now: UnixSecs) -> Due {
        Due {
            store: self.stored_state(now) == HeadState::Stale && !self.watch.is_refreshing(now),
            lane: self.lane.state(now) == LaneState::Due && !self.lane.is_asking(now),
        }
    }

    /// The heads that are due behind a request. They count as being read from now on.
    pub fn begin_behind(&mut self, now: UnixSecs) -> Option<Due> {
        self.refresh_due(now).then(|| self.begins(self.due_behind(now), now))
    }

    /// The heads that are due before a request is answered; the stored one if none is. They count as being read from now
    /// on.
    pub fn begin_before(&mut self, now: UnixSecs) -> Due {
        let (stored, lane) = (self.stored_state(now), self.lane.state(now));
        let lane = match stored {
            // No answer waits for a lane that keeps failing, or whose objects the store does not have.
            HeadState::Expired => lane == LaneState::Slept,
            _ => lane != LaneState::Quiet,
        };
        let store = match stored {
            HeadState::Fresh => !lane,
            // The lane alone is waited for: the store, which may be slow, is read behind the request.
            HeadState::Stale => !lane && !self.watch.is_refreshing(now),
            HeadState::Expired | HeadState::Missing | HeadState::Unavailable => true,
        };
        self.begins(Due { store, lane }, now)
    }

    fn begins(&mut self, due: Due, now: UnixSecs) -> Due {
        if due.store {
            self.watch.refresh_begins(now);
        }
        if due.lane {
            self.lane.begins(now);
        }
        due
    }

    /// Whether another request is reading what is due before this one is answered.
    #[must_use]
    pub fn is_read_elsewhere(&self, now: UnixSecs) -> bool {
        let is_lane_alone = matches!(self.stored_state(now), HeadState::Fresh | HeadState::Stale)
            && self.lane.state(now) == LaneState::Slept;
        if is_lane_alone { self.lane.is_asking(now) } else { self.watch.is_refreshing(now) }
    }

    /// The head could not be read, or an object that it names cannot be read yet: the version in use stays.
    pub fn refresh_failed(&mut self, now: UnixSecs) {
        self.watch.failed(self.versions.current().is_some(), now);
    }

    /// The store shows a head. Returns whether it should have shown a later one by now, which the lane has.
    pub fn store_shows(&mut self, head: &Head, now: UnixSecs) -> bool {
        let order = |head: &Head| (head.seq, head.as_of);
        let lane =
            self.versions.current().filter(|_| self.is_from_lane()).map(|current| order(&current.head));
        self.store_lag.is_behind(order(head), lane, now)
    }

    /// Whether the head in use was read in the lane first.
    #[must_use]
    pub fn is_from_lane(&self) -> bool {
        self.versions.source() == HeadSource::Lane
    }

    /// Whether the version in use is older than `max_age_secs`, so that its grants need the upstream's confirmation.
    #[must_use]
    pub fn is_stale(&self, max_age_secs: Option<u32>, now: UnixSecs) -> bool {
        self.stale_from(max_age_secs).is_some_and(|from| now >= from)
    }

    /// From when on the current version is stale, if it will ever be.
    #[must_use]
    pub fn stale_from(&self, max_age_secs: Option<u32>) -> Option<UnixSecs> {
        let as_of = self.versions.current()?.head.as_of;
        max_age_secs.map(|secs| as_of.saturating_add(secs.into()))
    }

    /// The upstream says that it has committed `seq` changes.
    pub fn upstream_is_at(&mut self, seq: u64, now: UnixSecs) {
        self.lag.upstream_is_at(seq, self.published(), now);
    }

    /// How many changes the upstream had committed a while ago, if the current version does not reflect them although
    /// it should.
    #[must_use]
    pub fn is_behind(&self, now: UnixSecs) -> Option<u64> {
        self.lag.is_behind(self.published(), now)
    }

    /// How many of the upstream's changes the current version reflects.
    fn published(&self) -> Option<u64> {
        self.versions.current().map(|current| current.head.origin_seq())
    }

    /// The state of the snapshot for `/healthz`, in a word: `ok`, or the worst that is wrong with it.
    #[must_use]
    pub fn condition(&self, max_age_secs: Option<u32>, now: UnixSecs) -> &'static str {
        if self.is_stale(max_age_secs, now) {
            "stale"
        } else if self.is_behind(now).is_some() {
            "behind"
        } else if self.watch.has_failed() || self.objects.has_failed_within(DEGRADED_SECS, now) {
            "degraded"
        } else {
            "ok"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{
        limits::HEAD_BEHIND_SECS,
        snapshot::{
            head::Head,
            index::{Index, NewTree, encode_index},
            key::ItemSalt,
            object::{ObjectKind, ObjectName},
            version::Version,
        },
    };

    impl Snapshots {
        fn install(&mut self, version: Version, now: UnixSecs) {
            self.watch.confirmed(now);
            self.versions.install(version, HeadSource::Store);
        }
    }

    fn version(seq: u64) -> Version {
        let tree = NewTree::new(vec![None]).unwrap();
        let index = Index::decode(encode_index(ItemSalt::IN_MEMORY, [&tree; 3], 4).unwrap().0).unwrap();
        let digest = Digest([0; 32]);
        let head = Head::new(seq, 0, digest, digest);
        Version { head, index: Rc::new(index), directory: Rc::default(), delta: None }
    }

    fn seqs(snapshots: &Snapshots) -> Vec<u64> {
        snapshots.versions.all().map(|version| version.head.seq).collect()
    }

    #[test]
    fn the_three_ages_of_a_head() {
        let mut snapshots = Snapshots::default();
        assert_eq!(snapshots.head_state(1_000), HeadState::Missing);
        snapshots.install(version(1), 1_000);
        for (now, state) in [
            (1_000, HeadState::Fresh),
            (1_029, HeadState::Fresh),
            (1_030, HeadState::Stale),
            (1_059, HeadState::Stale),
            (1_060, HeadState::Expired),
            (9_000, HeadState::Expired),
        ] {
            assert_eq!(snapshots.head_state(now), state, "{now}");
        }
        snapshots.watch.confirmed(1_040);
        assert_eq!(snapshots.head_state(1_069), HeadState::Fresh);
    }

    #[test]
    fn a_store_that_fails_is_left_alone_for_a_while() {
        let mut snapshots = Snapshots::default();
        snapshots.refresh_failed(1_000);
        assert_eq!(snapshots.head_state(1_000), HeadState::Unavailable);
        assert_eq!(snapshots.head_state(1_001), HeadState::Missing);
        snapshots.install(version(1), 1_001);
        snapshots.refresh_failed(1_100);
        assert_eq!(snapshots.head_state(1_104), HeadState::Fresh);
        // Tried again, but behind the answers.
        assert_eq!(snapshots.head_state(1_105), HeadState::Stale);
        assert_eq!(snapshots.head_state(1_160), HeadState::Expired);
    }

    #[test]
    fn a_head_that_was_seen_to_change_is_read_first_whatever_failed_before() {
        let mut snapshots = Snapshots::default();
        snapshots.install(version(1), 1_000);
        snapshots.refresh_failed(1_010);
        let generation = snapshots.watch.generation();
        snapshots.watch.expire();
        assert_eq!(snapshots.head_state(1_011), HeadState::Expired);
        assert_ne!(snapshots.watch.generation(), generation);
    }

    #[test]
    fn one_refresh_at_a_time_until_it_is_lost() {
        let mut snapshots = Snapshots::default();
        snapshots.install(version(1), 1_000);
        assert!(!snapshots.refresh_due(1_020));
        assert!(snapshots.refresh_due(1_031));
        assert!(snapshots.begin_behind(1_031).is_some());
        assert!(!snapshots.refresh_due(1_032));
        assert!(snapshots.refresh_due(1_041));
        snapshots.watch.confirmed(1_041);
        assert!(!snapshots.refresh_due(1_042));
    }

    #[test]
    fn the_lane_and_the_store_are_read_by_their_own_clocks() {
        let mut snapshots = Snapshots::default();
        snapshots.lane.open(2);
        assert_eq!(snapshots.head_state(1_000), HeadState::Missing);
        assert_eq!(snapshots.begin_before(1_000), Due { store: true, lane: true });
        assert!(snapshots.is_read_elsewhere(1_000));
        snapshots.install(version(1), 1_000);
        snapshots.lane.answered(1_000);
        assert_eq!((snapshots.head_state(1_001), snapshots.begin_behind(1_001)), (HeadState::Fresh, None));
        assert_eq!(snapshots.head_state(1_002), HeadState::Stale);
        assert_eq!(snapshots.begin_behind(1_002), Some(Due { store: false, lane: true }));
        assert_eq!(snapshots.begin_behind(1_002), None, "a request is asking it");
        snapshots.lane.answered(1_002);
        // The isolate slept: the lane is waited for, and not the store, which is due behind the request.
        assert_eq!(snapshots.head_state(1_040), HeadState::Expired);
        assert!(!snapshots.is_read_elsewhere(1_040));
        assert_eq!(snapshots.begin_before(1_040), Due { store: false, lane: true });
        assert!(snapshots.is_read_elsewhere(1_040));
        snapshots.lane.failed("no answer", 1_040);
        assert_eq!(snapshots.head_state(1_040), HeadState::Stale);
        assert_eq!(snapshots.begin_behind(1_040), Some(Due { store: true, lane: false }));
        assert!(!snapshots.refresh_due(1_040), "the store's head is being read");
        snapshots.watch.confirmed(1_040);
        assert_eq!(snapshots.head_state(1_040), HeadState::Fresh);
    }

    #[test]
    fn the_version_before_is_kept_and_an_older_one_never_takes_over() {
        let mut snapshots = Snapshots::default();
        snapshots.install(version(1), 0);
        snapshots.install(version(3), 0);
        assert_eq!(seqs(&snapshots), [3, 1]);
        snapshots.install(version(2), 0);
        assert_eq!(seqs(&snapshots), [3, 1]);
        // Two requests that read the same new head at the same time.
        snapshots.install(version(3), 0);
        assert_eq!(seqs(&snapshots), [3, 1]);
    }

    #[test]
    fn a_renewed_head_pushes_out_neither_the_version_before_nor_what_is_kept() {
        let mut snapshots = Snapshots::default();
        snapshots.install(version(1), 0);
        snapshots.install(version(2), 0);
        let epoch = snapshots.versions.epoch();
        let renewed = Version { head: version(2).head.renewed(60), ..version(2) };
        snapshots.install(renewed, 60);
        assert_eq!((seqs(&snapshots), snapshots.versions.epoch()), (vec![2, 1], epoch));
        assert_eq!(snapshots.versions.current().map(|current| current.head.as_of), Some(60));
        // A stale read of the head before is not the newest.
        snapshots.install(version(2), 61);
        assert_eq!(snapshots.versions.current().map(|current| current.head.as_of), Some(60));
    }

    #[test]
    fn unreadable_objects_are_asked_for_again_after_a_while() {
        let mut snapshots = Snapshots::default();
        let name = |byte| ObjectName { kind: ObjectKind::Shard, digest: Digest([byte; 32]) };
        snapshots.objects.failed(name(1), 1_000);
        assert!(snapshots.objects.is_unreadable(name(1), 1_004));
        assert!(!snapshots.objects.is_unreadable(name(2), 1_004));
        assert!(!snapshots.objects.is_unreadable(name(1), 1_005));
    }

    #[test]
    fn the_worst_is_said() {
        let mut snapshots = Snapshots::default();
        let name = |byte| ObjectName { kind: ObjectKind::Shard, digest: Digest([byte; 32]) };
        snapshots.install(version(5), 1_000);
        assert_eq!(snapshots.condition(None, 1_000), "ok");
        snapshots.objects.failed(name(1), 1_001);
        assert_eq!(snapshots.condition(None, 1_001 + DEGRADED_SECS - 1), "degraded");
        assert_eq!(snapshots.condition(None, 1_001 + DEGRADED_SECS), "ok");
        snapshots.objects.failed(name(1), 2_000);
        snapshots.objects.loaded(name(1), Rc::from([]));
        assert_eq!(snapshots.condition(None, 2_000), "ok");
        snapshots.refresh_failed(2_001);
        assert_eq!(snapshots.condition(None, 2_001), "degraded");
        snapshots.watch.confirmed(2_002);
        assert_eq!(snapshots.condition(None, 2_002), "ok");
        // `as_of` is 0.
        assert_eq!(snapshots.condition(Some(2_003), 2_002), "ok");
        assert_eq!(snapshots.condition(Some(2_003), 2_003), "stale");
    }

    #[test]
    fn a_head_that_does_not_come_after_the_origins_count_is_behind() {
        let mut snapshots = Snapshots::default();
        snapshots.upstream_is_at(9, 100);
        snapshots.install(version(5), 1_000);
        for seq in [4, 5] {
            snapshots.upstream_is_at(seq, 1_000);
        }
        assert_eq!(snapshots.is_behind(9_000), None, "all that is known is published");
        snapshots.upstream_is_at(6, 1_000);
        // A busy origin counts on: that does not put the moment off.
        snapshots.upstream_is_at(7, 1_000 + HEAD_BEHIND_SECS - 1);
        assert_eq!(snapshots.is_behind(1_000 + HEAD_BEHIND_SECS - 1), None);
        assert_eq!(snapshots.is_behind(1_000 + HEAD_BEHIND_SECS), Some(6));
        assert_eq!(snapshots.condition(None, 1_000 + HEAD_BEHIND_SECS), "behind");
        snapshots.install(version(6), 1_400);
        assert_eq!(snapshots.is_behind(9_000), None);
        snapshots.upstream_is_at(7, 1_500);
        assert_eq!(snapshots.is_behind(1_500 + HEAD_BEHIND_SECS), Some(7));
    }

    #[test]
    fn writes_wait_for_the_denylist_once_a_minute_and_not_for_a_store_that_fails() {
        let mut snapshots = Snapshots::default();
        assert!(snapshots.watch.is_denylist_due(1_000));
        snapshots.refresh_failed(1_000);
        assert!(!snapshots.watch.is_denylist_due(1_059));
        assert!(snapshots.watch.is_denylist_due(1_060));
        snapshots.watch.was_read(1_060);
        snapshots.watch.expire();
        assert!(!snapshots.watch.is_denylist_due(1_119), "a publisher is not kept waiting by its own heads");
        assert!(snapshots.watch.is_denylist_due(1_120));
    }
}
