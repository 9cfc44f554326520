//! Mark and sweep in two phases, so that no object is deleted that an edge may still request.
//!
//! A run marks the objects that no head reaches now. A later run, after the grace, deletes those that are
//! marked and still unreferenced. A publisher unmarks the objects that it is about to refer to before it
//! publishes, so no marked object has been referred to since it was marked. An edge that holds a replaced
//! head for less than the grace therefore finds every object of it.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::Path,
};

use admit_snapshot::{
    head::Head,
    object::{ObjectKind, ObjectName},
    time::{UnixSecs, iso8601},
};
use anyhow::{Context, Result};
use indicatif::HumanCount;
use serde::Serialize;

use crate::{
    head::SignedHead,
    progress::Progress,
    store::{Store, reach::reach},
};

/// The shortest grace: how long an edge may answer from a replaced version, with a margin. KV shows a new
/// head everywhere in about a minute, an isolate looks for it within another minute, and where KV has cached
/// that a new object is missing, the version before answers for another half minute.
pub const GRACE_MIN_SECS: i64 = 600;

/// The default number of versions to keep.
pub const KEEP_DEFAULT: usize = 10;

/// The default grace.
pub const GRACE_DEFAULT_SECS: i64 = 3_600;

/// Options of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long an object stays after it was found unreferenced, in seconds.
    pub grace_secs: i64,
    /// How many of the newest versions to keep, at least one.
    pub keep: usize,
    /// Whether to report without writing.
    pub is_dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace_secs: GRACE_DEFAULT_SECS, keep: KEEP_DEFAULT, is_dry_run: false }
    }
}

/// The result of a run. In a dry run, what a run would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CollectReport {
    /// The published version.
    pub seq: u64,
    /// Versions that can still be rolled back to.
    pub versions_kept: Vec<u64>,
    /// Versions whose record was deleted.
    pub versions_dropped: Vec<u64>,
    /// Objects that the store had before.
    pub stored: usize,
    /// Objects that the published head or a kept version reaches.
    pub live: usize,
    /// Objects that were deleted.
    pub deleted: usize,
    /// Objects that this run has marked.
    pub newly_marked: usize,
    /// Objects that are marked after this run.
    pub marked: usize,
    /// When the oldest marked object can be deleted, unix seconds.
    pub next_at: Option<UnixSecs>,
    /// Whether nothing was written.
    pub is_dry_run: bool,
}

/// Deletes objects that were marked before the grace and are still unreferenced, marks those that are
/// unreferenced now, and drops old versions. The caller holds the lease. If there is a `key`, heads must be
/// signed by it.
///
/// # Errors
/// Nothing is published, a kept object cannot be read (then nothing is written), or the store does not answer
/// or refuses.
pub fn collect(store: &Store, key: Option<&Path>, options: Options) -> Result<CollectReport> {
    let now = store.now()?;
    let head = published_head(store, key)?;
    let versions = versions(store, key)?;
    let (kept, dropped) = choose(&versions, options, now);
    let live = live(store, &head, kept.iter().filter_map(|seq| versions.get(seq)?.as_ref()))?;
    let mut stored = HashSet::new();
    for kind in ObjectKind::ALL {
        stored.extend(store.objects(kind)?);
    }
    // Two steps on the list in memory: mark the unreferenced objects, then take the marks that are old
    // enough. In a dry run the list is not stored.
    let unreferenced: HashSet<ObjectName> = stored.difference(&live).copied().collect();
    let mut garbage = store.garbage()?;
    let newly_marked = garbage.mark(&unreferenced, now);
    let doomed = garbage.marked_before(now.saturating_sub(options.grace_secs));
    if !options.is_dry_run {
        // Records of versions go first, so that none is listed whose objects are gone.
        dropped.iter().try_for_each(|seq| store.delete_version(*seq))?;
        let progress = Progress::of_objects(doomed.len());
        let deleted = store.delete_objects(&doomed, &|count| (0..count).for_each(|_| progress.advance(0)));
        progress.finish();
        deleted?;
    }
    garbage.delete(&doomed, now);
    if !options.is_dry_run {
        store.put_garbage(&garbage)?;
    }
    Ok(CollectReport {
        seq: head.seq,
        versions_kept: kept,
        versions_dropped: dropped,
        stored: stored.len(),
        live: stored.intersection(&live).count(),
        deleted: doomed.len(),
        newly_marked,
        marked: garbage.marked(),
        next_at: garbage.oldest_mark().map(|at| at.saturating_add(options.grace_secs)),
        is_dry_run: options.is_dry_run,
    })
}

fn published_head(store: &Store, key: Option<&Path>) -> Result<Head> {
    let jws = store.head()?.context("nothing is published yet, so no object is known to be unreferenced")?;
    SignedHead::read(&jws, key)?.trusted("the published head")
}

/// The recorded versions. `None` for a record that is not a head.
fn versions(store: &Store, key: Option<&Path>) -> Result<BTreeMap<u64, Option<Head>>> {
    let mut versions = BTreeMap::new();
    for seq in store.versions()? {
        let Some(jws) = store.version(seq)? else { continue };
        let head = match SignedHead::read(&jws, key)? {
            // A version signed by another key may date from before the key was replaced.
            SignedHead::Verified(head) | SignedHead::Unverified(head) | SignedHead::OtherKey(head) => {
                Some(head)
            }
            SignedHead::Broken(reason) => {
                eprintln!("warning: dropping version {seq}, whose record is not a head: {reason}");
                None
            }
        };
        versions.insert(seq, head);
    }
    Ok(versions)
}

/// Splits the versions into those that are kept and those that are dropped, each in ascending order.
fn choose(versions: &BTreeMap<u64, Option<Head>>, options: Options, now: UnixSecs) -> (Vec<u64>, Vec<u64>) {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    // From the newest version to the oldest: a version was replaced when the next newer one was published. It
    // is kept if it was current within the grace.
    let mut replaced_at = UnixSecs::MAX;
    for (seq, head) in versions.iter().rev() {
        let was_current = replaced_at > now.saturating_sub(options.grace_secs);
        match head {
            Some(head) if kept.len() < options.keep || was_current => {
                kept.push(*seq);
                replaced_at = head.published_at.unwrap_or(head.as_of);
            }
            Some(head) => {
                dropped.push(*seq);
                replaced_at = head.published_at.unwrap_or(head.as_of);
            }
            None => dropped.push(*seq),
        }
    }
    kept.reverse();
    dropped.reverse();
    (kept, dropped)
}

/// The objects that the published head and the kept versions reach.
fn live<'h>(store: &Store, head: &Head, kept: impl Iterator<Item = &'h Head>) -> Result<HashSet<ObjectName>> {
    let mut live = reach(store, head).context("the published version cannot be read: nothing was deleted")?;
    for version in kept {
        let index = ObjectName { kind: ObjectKind::Index, digest: version.index };
        // Versions with the same index have the same shards.
        if live.contains(&index) {
            live.extend(version.named());
        } else {
            live.extend(reach(store, version).with_context(|| {
                format!("version {} is kept, but cannot be read: nothing was deleted", version.seq)
            })?);
        }
    }
    Ok(live)
}

impl fmt::Display for CollectReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize| HumanCount(number as u64);
        let list = |versions: &[u64]| {
            let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
            if versions.is_empty() { "none".to_owned() } else { versions.join(", ") }
        };
        writeln!(formatter, "Published  seq {}", self.seq)?;
        writeln!(formatter, "Kept       versions {}", list(&self.versions_kept))?;
        writeln!(formatter, "Dropped    versions {}", list(&self.versions_dropped))?;
        writeln!(formatter, "Objects    {} stored, {} in use", count(self.stored), count(self.live))?;
        writeln!(formatter, "Deleted    {}", count(self.deleted))?;
        writeln!(formatter, "Marked     {} now, {} in all", count(self.newly_marked), count(self.marked))?;
        if let Some(at) = self.next_at {
            writeln!(formatter, "Next       objects can be deleted from {}", iso8601(at, 0))?;
        }
        if self.is_dry_run {
            writeln!(formatter, "Dry run: nothing was deleted or marked.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
