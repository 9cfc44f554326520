//! Which version of the snapshot answers, and when the head is to be read again.

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    limits::{
        DEGRADED_SECS, HEAD_BEHIND_SECS, HEAD_FRESH_SECS, HEAD_MISSING_RETRY_SECS, HEAD_RETRY_SECS,
        HEAD_STALE_SECS, OBJECT_CACHE_BYTES, REFRESH_LOST_SECS, UNREADABLE_MAX, UNREADABLE_SECS,
    },
    snapshot::{
        head::Head,
        object::ObjectName,
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
};

/// What to do about the head before a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadState {
    /// Answer.
    Fresh,
    /// Answer, and read the head again behind the request.
    Stale,
    /// Read the head first; if that fails, answer from the old one.
    Expired,
    /// There is none yet: read it first.
    Missing,
    /// There is none, and reading it failed a moment ago.
    Unavailable,
}

/// The versions that an isolate holds, and what it knows of the store.
#[derive(Debug)]
pub struct Snapshots {
    current: Option<Rc<Version>>,
    /// The version before. It answers while objects of the current one cannot be read.
    previous: Option<Rc<Version>>,
    /// When the head was last known to be the newest.
    checked_at: UnixSecs,
    /// When a head was read last that may be used, whatever became of what it names.
    read_at: UnixSecs,
    /// `seq` and `as_of` of the head whose denylist is in use. What that head names may not be readable yet.
    denied_by: Option<(u64, UnixSecs)>,
    /// When an attempt to read the head failed last.
    failed_at: UnixSecs,
    /// No further attempt before this moment, after one that failed.
    retry_at: UnixSecs,
    /// Counts how often the head was made to expire: what was read before that confirms nothing.
    generation: u32,
    /// Counts the versions that took over.
    epoch: u32,
    /// When a refresh began that has not ended.
    refreshing_since: Option<UnixSecs>,
    /// Objects that a request is loading, and since when.
    loading: BTreeMap<ObjectName, UnixSecs>,
    /// Objects that could not be read, and when that was.
    unreadable: BTreeMap<ObjectName, UnixSecs>,
    /// How many changes the origin has committed, as it said when no head reflected them yet, and when it said so.
    origin_at: Option<(u64, UnixSecs)>,
    /// Shards and pages of all versions.
    pub objects: ObjectCache,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            current: None,
            previous: None,
            checked_at: UnixSecs::MIN,
            read_at: UnixSecs::MIN,
            denied_by: None,
            failed_at: UnixSecs::MIN,
            retry_at: UnixSecs::MIN,
            generation: 0,
            epoch: 0,
            refreshing_since: None,
            loading: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            origin_at: None,
            objects: ObjectCache::new(OBJECT_CACHE_BYTES),
        }
    }
}

impl Snapshots {
    /// The newest version.
    #[must_use]
    pub const fn current(&self) -> Option<&Rc<Version>> {
        self.current.as_ref()
    }

    /// The versions that may answer, newest first.
    pub fn versions(&self) -> impl Iterator<Item = Rc<Version>> + use<> {
        [self.current.clone(), self.previous.clone()].into_iter().flatten()
    }

    /// What to do about the head at `now`.
    #[must_use]
    pub fn head_state(&self, now: UnixSecs) -> HeadState {
        let is_waiting = now < self.retry_at;
        if self.current.is_none() {
            return if is_waiting { HeadState::Unavailable } else { HeadState::Missing };
        }
        let age_secs = now.saturating_sub(self.checked_at);
        if age_secs < HEAD_FRESH_SECS || is_waiting {
            HeadState::Fresh
        } else if age_secs < HEAD_STALE_SECS || now.saturating_sub(self.failed_at) < HEAD_STALE_SECS {
            // A store that has just failed keeps no further request waiting.
            HeadState::Stale
        } else {
            HeadState::Expired
        }
    }

    /// Whether the versions at hand answer, without a look at the store first.
    #[must_use]
    pub fn may_answer(&self, now: UnixSecs) -> bool {
        matches!(self.head_state(now), HeadState::Fresh | HeadState::Stale)
    }

    /// Whether the head is to be read before a token is believed that asks for more than a read: the head has the
    /// denylist. A store that has failed a moment ago stops no write.
    #[must_use]
    pub fn is_denylist_due(&self, now: UnixSecs) -> bool {
        let is_long_ago = |moment: UnixSecs| now.saturating_sub(moment) >= HEAD_STALE_SECS;
        is_long_ago(self.read_at) && is_long_ago(self.failed_at) && now >= self.retry_at
    }

    /// A head was read that may be used.
    pub const fn head_was_read(&mut self, now: UnixSecs) {
        self.read_at = now;
    }

    /// Whether the denylist of a head is to be used from now on: unless a later head's is.
    pub fn denies_by(&mut self, head: &Head) -> bool {
        let order = Some((head.seq, head.as_of));
        let is_latest = order >= self.denied_by;
        if is_latest {
            self.denied_by = order;
        }
        is_latest
    }

    /// Whether what answers is older than `max_age_secs`, so that its grants need the origin's word.
    #[must_use]
    pub fn is_stale(&self, max_age_secs: Option<u32>, now: UnixSecs) -> bool {
        self.stale_from(max_age_secs).is_some_and(|from| now >= from)
    }

    /// From when on the current version is stale, if it will ever be.
    #[must_use]
    pub fn stale_from(&self, max_age_secs: Option<u32>) -> Option<UnixSecs> {
        let as_of = self.current.as_ref()?.head.as_of;
        max_age_secs.map(|secs| as_of.saturating_add(secs.into()))
    }

    /// The origin says that it has committed `seq` changes.
    pub fn origin_is_at(&mut self, seq: u64, now: UnixSecs) {
        self.forget_what_is_published();
        let is_published = self.current.as_ref().is_none_or(|current| current.head.origin_seq() >= seq);
        // The first that is not published yet: of what came later it is no wonder.
        if !is_published && self.origin_at.is_none() {
            self.origin_at = Some((seq, now));
        }
    }

    /// What the origin had committed a while ago, if the current version does not reflect it although it should.
    #[must_use]
    pub fn is_behind(&self, now: UnixSecs) -> Option<u64> {
        let (seq, since) = self.origin_at?;
        let is_due = now.saturating_sub(since) >= HEAD_BEHIND_SECS;
        let is_missing = self.current.as_ref().is_some_and(|current| current.head.origin_seq() < seq);
        (is_due && is_missing).then_some(seq)
    }

    fn forget_what_is_published(&mut self) {
        let published = self.current.as_ref().map_or(0, |current| current.head.origin_seq());
        self.origin_at = self.origin_at.filter(|(seq, _)| *seq > published);
    }

    /// How the snapshot is, in a word for `/healthz`: `ok`, or what is worst about it.
    #[must_use]
    pub fn condition(&self, max_age_secs: Option<u32>, now: UnixSecs) -> &'static str {
        let is_recent = |failed_at: &UnixSecs| now.saturating_sub(*failed_at) < DEGRADED_SECS;
        if self.is_stale(max_age_secs, now) {
            "stale"
        } else if self.is_behind(now).is_some() {
            "behind"
        } else if self.failed_at > self.checked_at || self.unreadable.values().any(is_recent) {
            "degraded"
        } else {
            "ok"
        }
    }

    /// Changes with each version that takes over.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether the head is to be read behind the request, and nobody does so already.
    #[must_use]
    pub fn refresh_due(&self, now: UnixSecs) -> bool {
        self.head_state(now) == HeadState::Stale && !self.is_refreshing(now)
    }

    /// Whether somebody is reading the head, and has not been lost.
    #[must_use]
    pub fn is_refreshing(&self, now: UnixSecs) -> bool {
        self.refreshing_since.is_some_and(|since| !is_lost(since, now))
    }

    /// Which of `names` nobody is loading. They count as being loaded from now on.
    pub fn begin_loading(&mut self, names: &[ObjectName], now: UnixSecs) -> Vec<ObjectName> {
        self.loading.retain(|_, since| !is_lost(*since, now));
        names.iter().copied().filter(|name| self.loading.insert(*name, now).is_none()).collect()
    }

    /// An object was loaded, or could not be.
    pub fn end_loading(&mut self, name: ObjectName) {
        self.loading.remove(&name);
    }

    /// A refresh begins.
    pub const fn refresh_begins(&mut self, now: UnixSecs) {
        self.refreshing_since = Some(now);
    }

    /// The head was read and is the one in use.
    pub const fn confirmed(&mut self, now: UnixSecs) {
        self.refreshing_since = None;
        self.checked_at = now;
    }

    /// The head could not be read, or names what cannot be read yet: the version in use stays.
    pub const fn refresh_failed(&mut self, now: UnixSecs) {
        self.refreshing_since = None;
        self.failed_at = now;
        let pause_secs = if self.current.is_some() { HEAD_RETRY_SECS } else { HEAD_MISSING_RETRY_SECS };
        self.retry_at = now.saturating_add(pause_secs);
    }

    /// A newer version takes over, unless another refresh has been quicker: with a newer one still, or with
    /// the same, which must not push out the version before.
    pub fn install(&mut self, version: Version, now: UnixSecs) {
        self.confirmed(now);
        let is_newer = |current: &Rc<Version>| {
            (version.head.seq, version.head.as_of) >= (current.head.seq, current.head.as_of)
                && version.head != current.head
        };
        if !self.current.as_ref().is_none_or(is_newer) {
            return;
        }
        if self.current.as_ref().is_some_and(|current| current.head.says_the_same(&version.head)) {
            // A head that was renewed: the version before stays at hand, and kept answers stay right.
            self.current = Some(Rc::new(version));
            return;
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.previous = self.current.replace(Rc::new(version));
    }

    /// The head is to be read before the next answer, because this isolate has just seen it change.
    pub const fn expire(&mut self) {
        self.checked_at = UnixSecs::MIN;
        self.failed_at = UnixSecs::MIN;
        self.retry_at = UnixSecs::MIN;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Changes with each [`Self::expire`]: a head that was read before one is not the newest for certain.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// An object could not be read.
    pub fn mark_unreadable(&mut self, name: ObjectName, now: UnixSecs) {
        if self.unreadable.len() >= UNREADABLE_MAX {
            self.unreadable.clear();
        }
        self.unreadable.insert(name, now);
    }

    /// An object was read.
    pub fn mark_readable(&mut self, name: ObjectName) {
        self.unreadable.remove(&name);
    }

    /// Whether an object could not be read a moment ago.
    #[must_use]
    pub fn is_unreadable(&self, name: ObjectName, now: UnixSecs) -> bool {
        self.unreadable.get(&name).is_some_and(|failed_at| now.saturating_sub(*failed_at) < UNREADABLE_SECS)
    }
}

/// Whether what began at `since` will not end: its request may have been cancelled.
const fn is_lost(since: UnixSecs, now: UnixSecs) -> bool {
    now.saturating_sub(since) >= REFRESH_LOST_SECS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{
        head::Head,
        index::{Index, NewTree, encode_index},
        key::ItemSalt,
        object::{Digest, ObjectKind},
    };

    fn version(seq: u64) -> Version {
        let tree = NewTree::new(vec![None]).unwrap();
        let index = Index::decode(encode_index(ItemSalt::IN_MEMORY, &tree, &tree, 4).unwrap().0).unwrap();
        let digest = Digest([0; 32]);
        let head = Head::new(seq, 0, digest, digest);
        Version { head, index: Rc::new(index), directory: Rc::default(), delta: None }
    }

    fn seqs(snapshots: &Snapshots) -> Vec<u64> {
        snapshots.versions().map(|version| version.head.seq).collect()
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
        snapshots.confirmed(1_040);
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
        let generation = snapshots.generation();
        snapshots.expire();
        assert_eq!(snapshots.head_state(1_011), HeadState::Expired);
        assert_ne!(snapshots.generation(), generation);
    }

    #[test]
    fn one_refresh_at_a_time_until_it_is_lost() {
        let mut snapshots = Snapshots::default();
        snapshots.install(version(1), 1_000);
        assert!(!snapshots.refresh_due(1_020));
        assert!(snapshots.refresh_due(1_031));
        snapshots.refresh_begins(1_031);
        assert!(!snapshots.refresh_due(1_032));
        assert!(snapshots.refresh_due(1_041));
        snapshots.confirmed(1_041);
        assert!(!snapshots.refresh_due(1_042));
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
        let epoch = snapshots.epoch();
        let renewed = Version { head: version(2).head.renewed(60), ..version(2) };
        snapshots.install(renewed, 60);
        assert_eq!((seqs(&snapshots), snapshots.epoch()), (vec![2, 1], epoch));
        assert_eq!(snapshots.current().map(|current| current.head.as_of), Some(60));
        // A stale read of the head before is not the newest.
        snapshots.install(version(2), 61);
        assert_eq!(snapshots.current().map(|current| current.head.as_of), Some(60));
    }

    #[test]
    fn unreadable_objects_are_asked_for_again_after_a_while() {
        let mut snapshots = Snapshots::default();
        let name = |byte| ObjectName { kind: ObjectKind::Shard, digest: Digest([byte; 32]) };
        snapshots.mark_unreadable(name(1), 1_000);
        assert!(snapshots.is_unreadable(name(1), 1_004));
        assert!(!snapshots.is_unreadable(name(2), 1_004));
        assert!(!snapshots.is_unreadable(name(1), 1_005));
    }

    #[test]
    fn the_worst_is_said() {
        let mut snapshots = Snapshots::default();
        let name = |byte| ObjectName { kind: ObjectKind::Shard, digest: Digest([byte; 32]) };
        snapshots.install(version(5), 1_000);
        assert_eq!(snapshots.condition(None, 1_000), "ok");
        snapshots.mark_unreadable(name(1), 1_001);
        assert_eq!(snapshots.condition(None, 1_001 + DEGRADED_SECS - 1), "degraded");
        assert_eq!(snapshots.condition(None, 1_001 + DEGRADED_SECS), "ok");
        snapshots.mark_unreadable(name(1), 2_000);
        snapshots.mark_readable(name(1));
        assert_eq!(snapshots.condition(None, 2_000), "ok");
        snapshots.refresh_failed(2_001);
        assert_eq!(snapshots.condition(None, 2_001), "degraded");
        snapshots.confirmed(2_002);
        assert_eq!(snapshots.condition(None, 2_002), "ok");
        // `as_of` is 0.
        assert_eq!(snapshots.condition(Some(2_003), 2_002), "ok");
        assert_eq!(snapshots.condition(Some(2_003), 2_003), "stale");
    }

    #[test]
    fn a_head_that_does_not_come_after_the_origins_count_is_behind() {
        let mut snapshots = Snapshots::default();
        snapshots.origin_is_at(9, 100);
        snapshots.install(version(5), 1_000);
        for seq in [4, 5] {
            snapshots.origin_is_at(seq, 1_000);
        }
        assert_eq!(snapshots.is_behind(9_000), None, "all that is known is published");
        snapshots.origin_is_at(6, 1_000);
        // A busy origin counts on: that does not put the moment off.
        snapshots.origin_is_at(7, 1_000 + HEAD_BEHIND_SECS - 1);
        assert_eq!(snapshots.is_behind(1_000 + HEAD_BEHIND_SECS - 1), None);
        assert_eq!(snapshots.is_behind(1_000 + HEAD_BEHIND_SECS), Some(6));
        assert_eq!(snapshots.condition(None, 1_000 + HEAD_BEHIND_SECS), "behind");
        snapshots.install(version(6), 1_400);
        assert_eq!(snapshots.is_behind(9_000), None);
        snapshots.origin_is_at(7, 1_500);
        assert_eq!(snapshots.is_behind(1_500 + HEAD_BEHIND_SECS), Some(7));
    }

    #[test]
    fn writes_wait_for_the_denylist_once_a_minute_and_not_for_a_store_that_fails() {
        let mut snapshots = Snapshots::default();
        assert!(snapshots.is_denylist_due(1_000));
        snapshots.refresh_failed(1_000);
        assert!(!snapshots.is_denylist_due(1_059));
        assert!(snapshots.is_denylist_due(1_060));
        snapshots.head_was_read(1_060);
        snapshots.expire();
        assert!(!snapshots.is_denylist_due(1_119), "a publisher is not kept waiting by its own heads");
        assert!(snapshots.is_denylist_due(1_120));
    }
}
