//! Uploads the objects that the store lacks, and makes sure of each that it is there.

use std::{collections::HashSet, thread::sleep};

use admit_snapshot::object::ObjectName;
use anyhow::{Result, bail};

use crate::{
    parallel,
    peer::retry::Patience,
    progress::Progress,
    store::{Batch, Checked, Object, Store, garbage::forget, reach::read},
};

/// Batches that travel at the same time: enough to hide the way to the edge, few enough for any rate limit.
const THREADS: usize = 4;

/// Objects that are uploaded without asking whether they are there already: a pack takes no longer than a
/// list.
const UNASKED_MAX: usize = 8;

/// Keys in one answer of a list, over objects in one pack: when fewer objects than this part of the store's
/// are wanted, to upload those that are there already takes less than to list all of it.
const LIST_GAIN: usize = 1_000 / 40;

/// Objects that are to be published, in memory or on disk.
pub trait Objects: Sync {
    /// Their names and sizes in bytes, each once, in the order in which they are to be uploaded.
    fn names(&self) -> &[(ObjectName, u64)];

    /// The bytes of one of them.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, name: ObjectName) -> Result<Vec<u8>>;
}

/// What an upload came to.
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
    /// Upload what is missing.
    Upload,
    /// Only find out what is missing.
    DryRun,
}

/// Uploads what the store lacks of `objects`, and makes sure that it is there. What the published head reaches
/// (`reached`) is taken for granted; what else there is, such as what an interrupted run has left, is looked up
/// and checked as if it had been uploaded now. Nothing reached at all means that everything is checked.
///
/// # Errors
/// An object cannot be read, or the store does not answer, refuses, or does not have what it was given.
pub fn upload(
    store: &Store,
    objects: &dyn Objects,
    reached: &HashSet<ObjectName>,
    mode: Mode,
) -> Result<Uploaded> {
    let all = objects.names();
    let mut missing = HashSet::new();
    if mode == Mode::Upload {
        // Before the first of them is there: nobody may take them for garbage from now on.
        missing = forget(store, &all.iter().map(|(name, _)| *name).collect())?;
    }
    let is_wanted = |name: &ObjectName| !reached.contains(name) || missing.contains(name);
    let wanted: Vec<_> = all.iter().copied().filter(|(name, _)| is_wanted(name)).collect();
    let mut found = HashSet::new();
    if is_worth_a_list(wanted.len(), reached.len()) {
        found = look_up(store, &wanted)?;
        // Whatever the store shows: they may be on their way out.
        found.retain(|name| !missing.contains(name));
    }
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

/// Those objects that the store lists. It is not asked for each: KV would remember of those that are not there
/// that they are not, beyond the moment when they are.
fn look_up(store: &Store, wanted: &[(ObjectName, u64)]) -> Result<HashSet<ObjectName>> {
    let kinds: HashSet<_> = wanted.iter().map(|(name, _)| name.kind).collect();
    let mut there = HashSet::new();
    for kind in kinds {
        there.extend(store.objects(kind)?);
    }
    Ok(wanted.iter().map(|(name, _)| *name).filter(|name| there.contains(name)).collect())
}

/// Cuts a list into parts that travel together.
fn batches(objects: &[(ObjectName, u64)], batch: Batch) -> Vec<Vec<(ObjectName, u64)>> {
    let mut batches: Vec<Vec<_>> = Vec::new();
    let mut room = 0;
    for (name, bytes) in objects {
        let cost = batch.cost(*bytes);
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
    // What is published was not kept, and is stored again from where it is: the list of garbage has it in error.
    let bytes = |name| if reached.contains(&name) { read(store, name) } else { objects.read(name) };
    let read = batch.iter().map(|(name, _)| Ok((*name, bytes(*name)?)));
    store.put_objects(&read.collect::<Result<Vec<Object>>>()?)?;
    batch.iter().for_each(|(_, bytes)| progress.advance(*bytes));
    Ok(())
}

/// Checks what was uploaded, until all of it is there: the store may know for a while that it was not.
fn await_all(store: &Store, names: &[ObjectName]) -> Result<()> {
    let mut patience = Patience::for_objects();
    let mut left = names.to_vec();
    loop {
        let Checked { missing, broken } = store.check(&left, &|_| ())?;
        if let Some(name) = broken.first() {
            bail!(
                "{name} was uploaded, but what the store has is not what its digest says; {} in all",
                broken.len()
            );
        }
        let Some(name) = missing.first() else { return Ok(()) };
        match patience.next(None) {
            Some(pause) => sleep(pause),
            None => {
                bail!("{name} was uploaded, but the store still does not have it; {} in all", missing.len())
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
        // What is larger than a batch travels alone.
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
