//! When the head was read, and when it is due again.

use crate::{
    limits::{HEAD_FRESH_SECS, HEAD_MISSING_RETRY_SECS, HEAD_RETRY_SECS, HEAD_STALE_SECS, REFRESH_LOST_SECS},
    snapshot::time::UnixSecs,
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
    /// This isolate has not read a head yet: read it first.
    Missing,
    /// This isolate has not read a head yet, and reading it failed a moment ago.
    Unavailable,
}

/// The clock of the head.
#[derive(Debug)]
pub struct HeadWatch {
    /// When the head in use was last known to be the newest.
    checked_at: UnixSecs,
    /// When a usable head was last read, even if the objects that it names were not.
    read_at: UnixSecs,
    /// When an attempt to read the head last failed.
    failed_at: UnixSecs,
    /// No further attempt before this moment, after one that failed.
    retry_at: UnixSecs,
    /// Counts how often the head was made to expire: a head that was read before that confirms nothing.
    generation: u32,
    /// When a refresh began that has not ended.
    refreshing_since: Option<UnixSecs>,
}

impl Default for HeadWatch {
    fn default() -> Self {
        Self {
            checked_at: UnixSecs::MIN,
            read_at: UnixSecs::MIN,
            failed_at: UnixSecs::MIN,
            retry_at: UnixSecs::MIN,
            generation: 0,
            refreshing_since: None,
        }
    }
}

impl HeadWatch {
    /// What to do about the head at `now`. `has_version` is whether a version is at hand.
    #[must_use]
    pub const fn state(&self, has_version: bool, now: UnixSecs) -> HeadState {
        let is_waiting = now < self.retry_at;
        if !has_version {
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

    /// Whether the head must be read before a token is accepted that asks for more than a read: the head has the
    /// denylist. A store that failed a moment ago stops no write.
    #[must_use]
    pub const fn is_denylist_due(&self, now: UnixSecs) -> bool {
        now.saturating_sub(self.read_at) >= HEAD_STALE_SECS
            && now.saturating_sub(self.failed_at) >= HEAD_STALE_SECS
            && now >= self.retry_at
    }

    /// A usable head was read.
    pub const fn was_read(&mut self, now: UnixSecs) {
        self.read_at = now;
    }

    /// Whether a request is reading the head, and has not been lost.
    #[must_use]
    pub fn is_refreshing(&self, now: UnixSecs) -> bool {
        self.refreshing_since.is_some_and(|since| !is_lost(since, now))
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

    /// A refresh failed.
    pub const fn failed(&mut self, has_version: bool, now: UnixSecs) {
        self.refreshing_since = None;
        self.failed_at = now;
        let pause_secs = if has_version { HEAD_RETRY_SECS } else { HEAD_MISSING_RETRY_SECS };
        self.retry_at = now.saturating_add(pause_secs);
    }

    /// Whether the last attempt to read the head failed.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.failed_at > self.checked_at
    }

    /// The next answer needs the head to be read first, because this isolate has just seen it change.
    pub const fn expire(&mut self) {
        self.checked_at = UnixSecs::MIN;
        self.failed_at = UnixSecs::MIN;
        self.retry_at = UnixSecs::MIN;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Changes with each [`Self::expire`]: a head that was read before one may not be the newest.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }
}

/// Whether work that began at `since` is taken for lost: its request may have been cancelled.
pub(super) const fn is_lost(since: UnixSecs, now: UnixSecs) -> bool {
    now.saturating_sub(since) >= REFRESH_LOST_SECS
}
