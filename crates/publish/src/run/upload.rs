//! Uploads the objects that the store lacks, and checks that each is stored.

use std::{collections::HashSet, thread::sleep};

use admit_snapshot::object::ObjectName;
use anyhow::{Result, bail};

use crate::{
    parallel,
    peer::retry::Patience,
    progress::Progress,
    store::{Batch, Checked, Object, Store, garbage::forget, reach::read},
};

/// Batches in flight: enough to hide the latency to the edge, few enough for any rate limit.
const THREADS: usize = 4;

/// How many objects are uploaded without asking whether they are stored: a pack takes no longer than a list.
const UNASKED_MAX: usize = 8;

/// Keys in one answer of a list, divided by objects in one pack. If fewer objects than this fraction of the
/// store are wanted, uploading those that are stored already takes less time than listing the whole store.
const LIST_GAIN: usize = 1_000 / 40;

/// Objects to publish, in memory or on disk.
pub trait Objects: Sync {
    /// Names and sizes in bytes, each once, in the order of the upload.
    fn names(&self) -> &[(ObjectName, u64)];

    /// The bytes of one object.
    ///
    /// # Errors
    /// The object cannot be read.
    fn read(&self, name: ObjectName) -> Result<Vec<u8>>;
}

/// The result of an upload.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// Objects that the store lacked.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the store had.
    pub skipped: usize,
}

/// Whether to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Upload missing objects.
    Upload,
    /// Only find out which objects are missing.
    DryRun,
}

/// Uploads the `objects` that the store lacks, and checks that they are stored. Those that the published head
/// reaches (`reached`) are trusted. Others that are stored already, such as those of an interrupted run, are
/// looked up and checked as if they had been uploaded now. If `reached` is empty, everything is checked.
///
/// # Errors
/// An object cannot be read, or the store does not answer, refuses, or lacks what it was given.
pub fn upload(
    store: &Store,
    objects: &dyn Objects,
    reached: &HashSet<ObjectName>,
    mode: Mode,
) -> Result<Uploaded> {
    let all = objects.names();
    let mut missing = HashSet::new();
    if mode == Mode::Upload {
        // Before the first upload: from now on a collector must not take them for garbage.
        missing = forget(store, &all.iter().map(|(name, _)| *name).collect())?;
    }
    let is_wanted = |name: &ObjectName| !reached.contains(name) || missing.contains(name);
    let wanted: Vec<_> = all.iter().copied().filter(|(name, _)| is_wanted(name)).collect();
    let mut found = HashSet::new();
    if is_worth_a_list(wanted.len(), reached.len()) {
        found = look_up(store, &wanted)?;
        // Whatever the store shows, these may be about to be deleted.
        found.retain(|name| !missing.contains(name));
    }
    // Without a list, every wanted object counts as missing.
    missing.extend(wanted.iter().map(|(name, _)| *name).filter(|name| !found.contains(name)));
    if mode == Mode::Upload {
        let found: Vec<_> = found.into_iter().collect();
        let Checked { missing: gone, broken } = store.check(&found, &|_| ())?;
        missing.extend(gone.into_iter().chain(broken));
    }
    let missing: Vec<_> = wanted.into_iter().filter(|(name, _)| missing.contains(name)).collect();
    let bytes = missing.iter().map(|(_, bytes)| bytes).sum();
    if mode == Mode::Upload {
        let progress = Progress::new(missing.len(), bytes);
        let sent = parallel::for_each(&batches(&missing, store.batch()), THREADS, |batch| {
            send(store, objects, reached, batch, &progress)
        });
        progress.finish();
        sent?;
        let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
        await_all(store, &names)?;
    }
    Ok(Uploaded { objects: missing.len(), bytes, skipped: all.len() - missing.len() })
}

const fn is_worth_a_list(wanted: usize, reached: usize) -> bool {
    wanted > UNASKED_MAX && wanted.saturating_mul(LIST_GAIN) > reached
}

/// The objects that a list of the store contains. Asking for each would be wrong: KV caches that an object is
/// missing, even after it is stored.
fn look_up(store: &Store, wanted: &[(ObjectName, u64)]) -> Result<HashSet<ObjectName>> {
    let kinds: HashSet<_> = wanted.iter().map(|(name, _)| name.kind).collect();
    let mut there = HashSet::new();
    for kind in kinds {
        there.extend(store.objects(kind)?);
    }
    Ok(wanted.iter().map(|(name, _)| *name).filter(|name| there.contains(name)).collect())
}

/// Divides a list into batches.
fn batches(objects: &[(ObjectName, u64)], batch: Batch) -> Vec<Vec<(ObjectName, u64)>> {
    let mut batches: Vec<Vec<_>> = Vec::new();
    let mut room = 0;
    for (name, bytes) in objects {
        let cost = batch.cost(*bytes);
        // The current batch if it has room for this object, otherwise a new one. The first object of a batch
        // is always accepted, so that a large one is sent alone.
        match batches.last_mut().filter(|last| last.len() < batch.objects && cost <= room) {
            Some(last) => {
                last.push((*name, *bytes));
                room -= cost;
            }
            None => {
                batches.push(vec![(*name, *bytes)]);
                room = batch.bytes.saturating_sub(cost);
            }
        }
    }
    batches
}

fn send(
    store: &Store,
    objects: &dyn Objects,
    reached: &HashSet<ObjectName>,
    batch: &[(ObjectName, u64)],
    progress: &Progress,
) -> Result<()> {
    // A published object was not kept here. It is on the list of garbage by mistake, so it is stored again
    // from where it is.
    let bytes = |name| if reached.contains(&name) { read(store, name) } else { objects.read(name) };
    let read = batch.iter().map(|(name, _)| Ok((*name, bytes(*name)?)));
    store.put_objects(&read.collect::<Result<Vec<Object>>>()?)?;
    batch.iter().for_each(|(_, bytes)| progress.advance(*bytes));
    Ok(())
}

/// Checks the uploaded objects until all are visible: the store may have cached that they were missing.
fn await_all(store: &Store, names: &[ObjectName]) -> Result<()> {
    let mut patience = Patience::for_objects();
    let mut left = names.to_vec();
    loop {
        let Checked { missing, broken } = store.check(&left, &|_| ())?;
        if let Some(name) = broken.first() {
            bail!(
                "{name} was uploaded, but the stored bytes do not match its digest; {} in all",
                broken.len()
            );
        }
        let Some(name) = missing.first() else { return Ok(()) };
        match patience.next(None) {
            Some(pause) => sleep(pause),
            None => {
                bail!("{name} was uploaded, but is still missing in the store; {} in all", missing.len())
            }
        }
        left = missing;
    }
}

#[cfg(test)]
mod tests {
    use admit_snapshot::object::{Digest, ObjectKind};

    use super::*;

    fn sizes(sizes: &[u64], batch: Batch) -> Vec<Vec<u64>> {
        let name = ObjectName { kind: ObjectKind::Shard, digest: Digest([0; 32]) };
        let objects: Vec<_> = sizes.iter().map(|bytes| (name, *bytes)).collect();
        let batches = batches(&objects, batch);
        batches.into_iter().map(|batch| batch.into_iter().map(|(_, bytes)| bytes).collect()).collect()
    }

    #[test]
    fn batches_are_bounded_and_in_order() {
        let batch = Batch { objects: 3, bytes: 100, overhead: 4, bytes_of_three: 3 };
        assert_eq!(sizes(&[], batch), [[0; 0]; 0]);
        assert_eq!(sizes(&[3, 3, 3, 3], batch), [vec![3, 3, 3], vec![3]]);
        assert_eq!(sizes(&[60, 30, 3], batch), [vec![60, 30], vec![3]]);
        assert_eq!(sizes(&[60, 33, 3], batch), [vec![60], vec![33, 3]]);
        // An object larger than a batch is sent alone.
        assert_eq!(sizes(&[3, 300, 3], batch), [[3], [300], [3]]);
        let base64 = Batch { bytes_of_three: 4, ..batch };
        assert_eq!(sizes(&[33, 33], base64), [vec![33, 33]]);
        assert_eq!(sizes(&[36, 36], base64), [[36], [36]]);
    }

    #[test]
    fn a_long_list_is_not_read_for_a_few_objects() {
        assert!(is_worth_a_list(9, 0));
        assert!(is_worth_a_list(5_000, 60_000));
        assert!(!is_worth_a_list(8, 0));
        assert!(!is_worth_a_list(1_000, 60_000));
    }
}
