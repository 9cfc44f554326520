//! Failure counts in bounded memory.

use admit::instant::UnixSecs;

use crate::limits::Guesses;

/// Failure counts by key, in sets of four entries. In a full set, the weakest entry makes room.
#[derive(Debug)]
pub struct Table {
    pub(super) sets: Vec<[Entry; 4]>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    /// The hash of an account, address or pair.
    key: u64,
    failures: u32,
    /// When failures last decayed.
    since: UnixSecs,
    /// Attempts before this moment are refused.
    until: UnixSecs,
}

impl Entry {
    /// Decays the count: one failure less for each `forgotten_secs` since the last decay.
    fn forget_old(&mut self, rule: Guesses, now: UnixSecs) {
        let forgotten = now.saturating_sub(self.since).max(0) / rule.forgotten_secs.max(1);
        self.failures = self.failures.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        self.since = if self.failures == 0 { now } else { self.since + forgotten * rule.forgotten_secs };
    }

    fn fail(&mut self, rule: Guesses, now: UnixSecs) {
        self.forget_old(rule, now);
        self.failures = self.failures.saturating_add(1);
        let beyond = self.failures.saturating_sub(rule.free);
        if beyond > 0 {
            let delay_secs = rule.first_secs.checked_shl(beyond - 1).unwrap_or(i64::MAX);
            // The shift overflowed if shifting back does not give the first delay; the longest delay then
            // applies.
            let is_exact = delay_secs.checked_shr(beyond - 1) == Some(rule.first_secs);
            self.until =
                now.saturating_add(if is_exact { delay_secs.min(rule.max_secs) } else { rule.max_secs });
        }
    }
}

impl Table {
    /// An empty table of `sets` sets, at least one.
    pub fn new(sets: usize) -> Self {
        Self { sets: vec![<[Entry; 4]>::default(); sets.max(1)] }
    }

    fn set(&mut self, key: u64) -> Option<&mut [Entry; 4]> {
        let count = self.sets.len() as u64;
        let at = usize::try_from(key.checked_rem(count)?).ok()?;
        self.sets.get_mut(at)
    }

    fn find(&mut self, key: u64) -> Option<&mut Entry> {
        self.set(key)?.iter_mut().find(|entry| entry.key == key && entry.failures > 0)
    }

    /// Seconds until the next attempt is allowed; 0 if it is allowed now.
    pub fn wait_secs(&mut self, key: u64, now: UnixSecs) -> i64 {
        self.find(key).map_or(0, |entry| entry.until.saturating_sub(now).max(0))
    }

    /// The failures that have not decayed by `now`.
    pub fn failures(&mut self, key: u64, rule: Guesses, now: UnixSecs) -> u32 {
        let Some(entry) = self.find(key) else { return 0 };
        entry.forget_old(rule, now);
        entry.failures
    }

    /// Counts a failure, and delays the next attempt as `rule` says.
    pub fn fail(&mut self, key: u64, rule: Guesses, now: UnixSecs) {
        let Some(set) = self.set(key) else { return };
        if let Some(entry) = set.iter_mut().find(|entry| entry.key == key) {
            return entry.fail(rule, now);
        }
        let weakest = set.iter_mut().min_by_key(|entry| (entry.failures, entry.until));
        if let Some(entry) = weakest {
            *entry = Entry { key, failures: 0, since: now, until: 0 };
            entry.fail(rule, now);
        }
    }

    /// Takes one failure back, with the delay that it began.
    pub fn take_back(&mut self, key: u64) {
        if let Some(entry) = self.find(key) {
            entry.failures -= 1;
            entry.until = 0;
        }
    }

    /// Clears the key's failures.
    pub fn forget(&mut self, key: u64) {
        if let Some(entry) = self.find(key) {
            *entry = Entry::default();
        }
    }
}
