//! Mark and sweep in two phases, so that no object goes that an edge may still ask for.
//!
//! A run marks what nothing leads to now. A later one, when the grace is over, deletes what is marked and still
//! unreferenced. A publisher takes what it is about to refer to out of the marks before it publishes, so that
//! nothing which is marked was referred to since. An edge that holds a replaced head for less than the grace
//! therefore finds everything that the head leads to.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use admit_snapshot::{
    head::Head,
    object::{ObjectKind, ObjectName},
    time::UnixSecs,
};
use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::{
    head::{Published, published},
    progress::Progress,
    store::{Store, reach::reach},
};

/// How long an edge may go on answering from a version that was replaced, and some more: KV shows a new head
/// everywhere in about a minute, an isolate looks for it within another, and where KV remembers of a new
/// object that it is not there, for half a minute, the version before goes on answering.
pub const GRACE_MIN_SECS: i64 = 600;

/// How many versions are kept unless another number is asked for.
pub const KEEP_DEFAULT: usize = 10;

/// How long an object stays unless another time is asked for.
pub const GRACE_DEFAULT_SECS: i64 = 3_600;

/// How to collect.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long an object stays after it was found unreferenced.
    pub grace_secs: i64,
    /// How many of the newest versions are kept, at least one.
    pub keep: usize,
    /// Whether nothing is written.
    pub is_dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace_secs: GRACE_DEFAULT_SECS, keep: KEEP_DEFAULT, is_dry_run: false }
    }
}

/// What was done, or would be.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The published version.
    pub seq: u64,
    /// Versions that can be rolled back to.
    pub versions_kept: Vec<u64>,
    /// Versions that no longer can.
    pub versions_dropped: Vec<u64>,
    /// Objects that were there.
    pub stored: usize,
    /// Objects that what is published or kept leads to.
    pub live: usize,
    /// Objects that were deleted.
    pub deleted: usize,
    /// Objects that were marked now.
    pub newly_marked: usize,
    /// Objects that are marked.
    pub marked: usize,
    /// When the oldest of them can be deleted, unix seconds.
    pub next_at: Option<UnixSecs>,
    /// Whether nothing was written.
    pub is_dry_run: bool,
}

/// Deletes what was marked long enough ago and is still unreferenced, marks what is unreferenced now, and drops
/// versions. The caller holds the lease. Heads have to be signed by `key`, if there is one.
///
/// # Errors
/// Nothing is published, something that is kept cannot be read (then nothing is written), or the store does not
/// answer or refuses.
pub fn collect(store: &Store, key: Option<&Path>, options: Options) -> Result<Report> {
    let now = store.now()?;
    let head = published_head(store, key)?;
    let versions = versions(store, key)?;
    let (kept, dropped) = choose(&versions, options, now);
    let live = live(store, &head, kept.iter().filter_map(|seq| versions.get(seq)?.as_ref()))?;
    let mut stored = HashSet::new();
    for kind in ObjectKind::ALL {
        stored.extend(store.objects(kind)?);
    }
    let unreferenced: HashSet<ObjectName> = stored.difference(&live).copied().collect();
    let mut garbage = store.garbage()?;
    let newly_marked = garbage.mark(&unreferenced, now);
    let doomed = garbage.marked_before(now.saturating_sub(options.grace_secs));
    if !options.is_dry_run {
        // First, so that no version is listed whose objects are gone.
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
    Ok(Report {
        seq: head.seq,
        versions_kept: kept,
        versions_dropped: dropped,
        stored: stored.len(),
        live: live.len(),
        deleted: doomed.len(),
        newly_marked,
        marked: garbage.marked(),
        next_at: garbage.oldest_mark().map(|at| at.saturating_add(options.grace_secs)),
        is_dry_run: options.is_dry_run,
    })
}

fn published_head(store: &Store, key: Option<&Path>) -> Result<Head> {
    let jws = store.head()?.context("nothing is published yet, so nothing can be said to be unreferenced")?;
    match published(&jws, key)? {
        Published::Verified(head) | Published::Unverified(head) => Ok(head),
        Published::OtherKey(_) => bail!("the published head is signed by another key than --key"),
        Published::Broken(reason) => bail!("the published head cannot be trusted: {reason}"),
    }
}

/// The versions that are recorded. One whose record is no head leads nowhere.
fn versions(store: &Store, key: Option<&Path>) -> Result<BTreeMap<u64, Option<Head>>> {
    let mut versions = BTreeMap::new();
    for seq in store.versions()? {
        let Some(jws) = store.version(seq)? else { continue };
        let head = match published(&jws, key)? {
            // One by another key may be from before the key was changed.
            Published::Verified(head) | Published::Unverified(head) | Published::OtherKey(head) => Some(head),
            Published::Broken(reason) => {
                eprintln!("warning: version {seq} is no head, and is dropped: {reason}");
                None
            }
        };
        versions.insert(seq, head);
    }
    Ok(versions)
}

/// Which versions are kept and which are not, each in ascending order.
fn choose(versions: &BTreeMap<u64, Option<Head>>, options: Options, now: UnixSecs) -> (Vec<u64>, Vec<u64>) {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
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

/// Everything that the published head and the versions that are kept lead to.
fn live<'h>(store: &Store, head: &Head, kept: impl Iterator<Item = &'h Head>) -> Result<HashSet<ObjectName>> {
    let mut live = reach(store, head).context("what is published cannot be read: nothing was deleted")?;
    for version in kept {
        let index = ObjectName { kind: ObjectKind::Index, digest: version.index };
        // Of versions with one index the shards are the same.
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
