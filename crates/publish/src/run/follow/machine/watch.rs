//! Watches the store between publishes: the stored head must be the one that the follower has put, and
//! everything that it reaches must be intact. Damage is reported, and repaired from memory or by a full
//! publish.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use admit::limits::CHECK_MAX_OBJECTS;
use admit_snapshot::{
    head::Head,
    object::{Digest, ObjectName},
    time::UnixSecs,
};

use super::{
    Failure, Follower, HEAD_REPLACED, Hold, Moment, NeedsWhole, Phase, Request,
    event::Cause,
    renew::{Then, beyond},
};
use crate::{output::Notice, run::publisher::Stray, store::LAG};

/// Between two looks at the head: as often as the lease is renewed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Between two slices of objects that are checked.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// Everything is checked in at most this number of slices, so within a day.
const SLICES_MAX: usize = 1_440;

/// The expected content of the store, and the last findings.
pub struct Watch {
    /// The heads that were published, and when. The oldest is the last that the store cannot show any more.
    heads: VecDeque<(Order, Duration)>,
    looked_at: Duration,
    checked_at: Duration,
    /// The index whose objects are in `names`.
    index: Option<Digest>,
    /// The objects that are still to be checked in this pass.
    names: Vec<ObjectName>,
    slice: usize,
    /// Objects that were not intact in the last check: they may still have been on their way.
    suspects: Vec<ObjectName>,
}

type Order = (u64, UnixSecs);

const fn order(head: &Head) -> Order {
    (head.seq, head.as_of)
}

impl Watch {
    /// Starts with `head`, published at `now` on the monotonic clock.
    pub fn new(head: &Head, now: Duration) -> Self {
        Self {
            heads: VecDeque::from([(order(head), now)]),
            looked_at: now,
            checked_at: now,
            index: None,
            names: Vec::new(),
            slice: 0,
            suspects: Vec::new(),
        }
    }

    /// Notes that `head` was published at `now`.
    pub fn have_published(&mut self, head: &Head, now: Duration) {
        self.heads.push_back((order(head), now));
        self.forget(now);
    }

    /// Forgets heads that were replaced too long ago for the store to show them.
    fn forget(&mut self, now: Duration) {
        // The second head replaced the first one; after `LAG` the store cannot show the first.
        while self.heads.get(1).is_some_and(|(_, replaced_at)| now.saturating_sub(*replaced_at) >= LAG) {
            self.heads.pop_front();
        }
    }

    /// Whether the store may still show a head of this order at `now`, because of its caches. A missing head,
    /// `None`, comes before any other.
    fn may_be_shown(&mut self, shown: Option<Order>, now: Duration) -> bool {
        self.forget(now);
        match self.heads.front() {
            Some((oldest, published_at)) => {
                shown.is_some_and(|shown| shown >= *oldest) || now.saturating_sub(*published_at) < LAG
            }
            None => true,
        }
    }

    /// The next objects of `names` to check. Suspects come first.
    fn next_slice(
        &mut self,
        named: impl Iterator<Item = ObjectName>,
        all: impl FnOnce() -> Vec<ObjectName>,
    ) -> Vec<ObjectName> {
        if self.names.is_empty() {
            self.names = all();
            self.slice = self.names.len().div_ceil(SLICES_MAX).max(CHECK_MAX_OBJECTS);
        }
        // Takes the last `slice` names, after suspects and what every check needs, each once.
        let rest = self.names.len().saturating_sub(self.slice);
        let mut slice: Vec<_> =
            self.suspects.iter().copied().chain(named).chain(self.names.drain(rest..)).collect();
        let mut seen = HashSet::new();
        slice.retain(|name| seen.insert(*name));
        slice
    }
}

impl Follower {
    /// The next check that is due, if any.
    pub(super) fn look_after(&mut self, now: Moment) -> Option<Request> {
        let elapsed = now.elapsed;
        if elapsed.saturating_sub(self.watch.looked_at) >= LOOK_EVERY {
            self.watch.looked_at = elapsed;
            return Some(self.await_as(Phase::Looking, Request::Look));
        }
        if elapsed.saturating_sub(self.watch.checked_at) >= CHECK_EVERY {
            self.watch.checked_at = elapsed;
            return Some(self.begin_check());
        }
        None
    }

    /// Puts the head back if the stored one is older, or is not this publisher's for this store.
    pub(super) fn looked(&mut self, found: Option<Result<Head, Stray>>, now: Moment) -> Request {
        // A store that is not heard is reported at the next publish.
        let Some(found) = found else { return self.tend(now) };
        let shown = found.as_ref().ok().map(order);
        if self.watch.may_be_shown(shown, now.elapsed) {
            return self.tend(now);
        }
        let what = match found {
            Ok(head) => format!("it is seq {} as of {}", head.seq, head.as_of),
            Err(stray) => {
                self.head = beyond(stray.seq, &self.head);
                stray.text
            }
        };
        let seq = self.head.seq;
        let text = format!(
            "warning: the published head is not the one of seq {seq} that this publisher has put: {what}. Putting it back"
        );
        self.warn(Notice::new(HEAD_REPLACED, text).with("seq", seq).with("found", what));
        self.renew(now.unix_secs.max(self.head.as_of.saturating_add(1)), Then::Tend, now)
    }

    /// Checks the next objects of the published version: index, directory and delta each time, the others in
    /// turn.
    fn begin_check(&mut self) -> Request {
        if self.watch.index != Some(self.published.index) {
            (self.watch.index, self.watch.names) = (Some(self.published.index), Vec::new());
            self.watch.suspects.clear();
        }
        if self.watch.names.is_empty() {
            let head = self.published.clone();
            return self.await_as(Phase::Reaching, Request::Reach(Box::new(head)));
        }
        self.check(Vec::new)
    }

    /// Checks the next slice. `all` has the names for a new pass.
    pub(super) fn check(&mut self, all: impl FnOnce() -> Vec<ObjectName>) -> Request {
        let slice = self.watch.next_slice(self.published.named(), all);
        self.await_as(Phase::Checking, Request::Check(slice))
    }

    /// Before objects are uploaded again, the lease must be held.
    pub(super) fn checked(&mut self, bad: Option<Vec<ObjectName>>, now: Moment) -> Request {
        match bad {
            None => self.tend(now),
            Some(bad) if bad.is_empty() => {
                self.watch.suspects.clear();
                self.tend(now)
            }
            Some(bad) => self.await_as(Phase::Securing(bad), Request::HoldLease),
        }
    }

    pub(super) fn secured(
        &mut self,
        bad: Vec<ObjectName>,
        hold: Result<Hold, Failure>,
        now: Moment,
    ) -> Request {
        match hold {
            Ok(hold) if !self.note_hold(hold) => return self.need_whole(&NeedsWhole::StaleShards, now),
            Err(failure) if failure.cause == Cause::Final => return Request::Fail(failure.error),
            // Without a lease the upload fails, which is reported.
            Ok(_) | Err(_) => {}
        }
        let request = Request::Repair(bad.clone());
        self.await_as(Phase::Repairing(bad), request)
    }

    /// Publishes everything if an object is missing for the second time in a row: it is not on its way.
    pub(super) fn repaired(
        &mut self,
        mut bad: Vec<ObjectName>,
        repaired: &[ObjectName],
        now: Moment,
    ) -> Request {
        bad.retain(|name| !repaired.contains(name));
        let lost = bad.iter().find(|name| self.watch.suspects.contains(name)).copied();
        let Some(name) = lost else {
            self.watch.suspects = bad;
            return self.tend(now);
        };
        self.watch.suspects.clear();
        self.watch.names.clear();
        let more = if bad.len() > 1 { format!(", and {} more", bad.len() - 1) } else { String::new() };
        self.need_whole(&NeedsWhole::Incomplete(format!("{name}{more}")), now)
    }
}

#[cfg(test)]
mod tests {
    use admit_snapshot::object::ObjectKind;

    use super::*;

    fn head(seq: u64, as_of: UnixSecs) -> Head {
        Head::new(seq, as_of, Digest([0; 32]), Digest([1; 32]))
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn an_old_head_is_shown_for_a_while_and_not_longer() {
        let mut watch = Watch::new(&head(1, 0), secs(0));
        assert!(watch.may_be_shown(None, secs(89)), "a store may show nothing at first");
        assert!(!watch.may_be_shown(None, secs(90)));
        watch.have_published(&head(2, 100), secs(100));
        for (shown, until) in [(Some((1, 0)), 190), (Some((2, 100)), 1_000), (Some((2, 130)), 1_000)] {
            assert!(watch.may_be_shown(shown, secs(until - 1)), "{shown:?}");
        }
        assert!(!watch.may_be_shown(Some((1, 0)), secs(190)));
        // However often it is renewed.
        for minute in 2..20_u32 {
            watch.have_published(&head(2, 100 + i64::from(minute)), secs(100 + 60 * u64::from(minute)));
            assert!(!watch.may_be_shown(Some((1, 0)), secs(100 + 60 * u64::from(minute))), "{minute}");
        }
        assert!(watch.heads.len() <= 3, "{}", watch.heads.len());
    }

    #[test]
    fn everything_is_checked_in_a_bounded_number_of_slices() {
        let name =
            |number: usize| ObjectName { kind: ObjectKind::Shard, digest: Digest::of(&number.to_le_bytes()) };
        for count in [0, 1, CHECK_MAX_OBJECTS, CHECK_MAX_OBJECTS + 1, 100_000] {
            let all: Vec<_> = (0..count).map(name).collect();
            let mut watch = Watch::new(&head(1, 0), secs(0));
            let named = ObjectName { kind: ObjectKind::Index, digest: Digest([0; 32]) };
            let mut checked = HashSet::new();
            let mut slices = 0;
            while slices == 0 || !watch.names.is_empty() {
                let slice = watch.next_slice([named].into_iter(), || all.clone());
                assert!(slice.contains(&named));
                checked.extend(slice);
                slices += 1;
            }
            assert_eq!(checked.len(), count + 1, "{count}");
            assert!(slices <= count.div_ceil(CHECK_MAX_OBJECTS).clamp(1, SLICES_MAX), "{count}: {slices}");
        }
    }
}
