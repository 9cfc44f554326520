//! `GET /healthz`: for monitors, which need no token, and for operators, whose token shows the numbers of the business.

use super::library::{HeadSource, LaneReport};
use crate::{
    api::reply::{Caching, Reply},
    limits::{HEALTH_AGE_STEP_SECS, HEALTH_STALE_SECS},
    snapshot::{
        head::Head,
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
};

/// The snapshot that this isolate answers from, and its state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health<'a> {
    pub version: &'a Version,
    pub objects: &'a ObjectCache,
    pub condition: Condition,
}

/// The state of the snapshot and of the head in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// In a word: `ok`, or the worst problem.
    pub word: &'static str,
    /// Where the head in use was read.
    pub source: HeadSource,
    /// The fresh lane, if there is one.
    pub lane: Option<LaneReport>,
}

impl Condition {
    /// Nothing is wrong, as far as it matters.
    pub const OK: Self = Self { word: "ok", source: HeadSource::Store, lane: None };
}

impl Health<'_> {
    /// The answer; `is_detailed` for those who may read the snapshot anyway. A stranger learns whether it works, and how
    /// old the head is in whole minutes: not how much there is, nor how often it changes.
    #[inline(never)]
    pub fn reply(self, is_detailed: bool, now: UnixSecs) -> Reply {
        let Head { seq, as_of, customers, items, .. } = self.version.head;
        // The age of the head: how long ago the origin was heard. How long ago the data changed is another question.
        let age_secs = now.saturating_sub(as_of);
        let is_old = self.condition.word == "ok" && age_secs >= HEALTH_STALE_SECS;
        let status = if is_old { "stale" } else { self.condition.word };
        if !is_detailed {
            let age_secs = age_secs.max(0) / HEALTH_AGE_STEP_SECS * HEALTH_AGE_STEP_SECS;
            let body = format!(r#"{{"age_secs":{age_secs},"status":"{status}"}}"#);
            return Reply::ok(body, Caching::Private);
        }
        let changed_at = self.version.head.changed_at();
        let unchanged_secs = now.saturating_sub(changed_at);
        let (objects_in_memory, bytes_in_memory) = (self.objects.len(), self.objects.size_bytes());
        let head_from = self.condition.source.name();
        let lane = self.condition.lane.map(LaneReport::member).unwrap_or_default();
        let body = format!(
            r#"{{"age_secs":{age_secs},"as_of":{as_of},"bytes_in_memory":{bytes_in_memory},"changed_at":{changed_at},"customers":{customers},"head_from":"{head_from}","items":{items}{lane},"objects_in_memory":{objects_in_memory},"seq":{seq},"status":"{status}","unchanged_secs":{unchanged_secs}}}"#
        );
        Reply::ok(body, Caching::Private)
    }
}
