//! Whether published versions fall behind the upstream, which names its count of changes in answers.

use crate::{limits::HEAD_BEHIND_SECS, snapshot::time::UnixSecs};

/// The first count of changes that no head reflected yet when the upstream named it, and when that was.
#[derive(Debug, Default)]
pub struct Lag(Option<(u64, UnixSecs)>);

impl Lag {
    /// The upstream says that it has committed `seq` changes. `published` is how many of them the current version
    /// reflects, if there is one.
    pub fn upstream_is_at(&mut self, seq: u64, published: Option<u64>, now: UnixSecs) {
        self.0 = self.0.filter(|(known, _)| *known > published.unwrap_or(0));
        let is_published = published.is_none_or(|published| published >= seq);
        // The first count that is not published yet: later ones are expected to take longer.
        if !is_published && self.0.is_none() {
            self.0 = Some((seq, now));
        }
    }

    /// The count that should be published by now and is not.
    #[must_use]
    pub fn is_behind(&self, published: Option<u64>, now: UnixSecs) -> Option<u64> {
        let (seq, since) = self.0?;
        let is_due = now.saturating_sub(since) >= HEAD_BEHIND_SECS;
        let is_missing = published.is_some_and(|published| published < seq);
        (is_due && is_missing).then_some(seq)
    }
}
