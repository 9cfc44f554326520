//! Compares a tree of two versions part by part, several parts at the same time. Only parts that differ are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use admit_snapshot::{
    compare::{Comparison, How, Part, PartSize, RecordChange},
    index::Tree,
    key::EntryKey,
    object::ObjectName,
    table::Table,
};
use anyhow::{Context, Result};

use super::report::TreeReport;
use crate::{
    parallel,
    progress::Progress,
    published::Published,
    store::{Store, reach::read},
};

/// Parts that are compared at the same time. Each is a few shards of 64 KiB.
const THREADS: usize = 8;

/// The differences so far.
#[derive(Default)]
struct Found {
    added: u64,
    removed: u64,
    changed: u64,
    listed: BTreeMap<EntryKey, RecordChange>,
}

impl Found {
    fn add(&mut self, changes: Vec<RecordChange>, list_max: usize) {
        for change in changes {
            match change.how {
                How::Added => self.added += 1,
                How::Removed => self.removed += 1,
                How::Changed => self.changed += 1,
            }
            self.listed.insert(change.key, change);
            // Sorted by key, so that two runs print the same list in whichever order parts were compared.
            if self.listed.len() > list_max {
                self.listed.pop_last();
            }
        }
    }
}

/// Compares a tree of two versions. At most `list_max` changes are listed; all are counted.
///
/// # Errors
/// A shard or a page cannot be read.
pub fn compare(tree: Tree, before: &Published, after: &Published, list_max: usize) -> Result<TreeReport> {
    let (shards_before, shards_after) = (before.shards(tree)?, after.shards(tree)?);
    let comparison =
        Comparison::new(tree, &before.version, &after.version, PartSize::Large).context("delta")?;
    let bits = comparison.bits();
    let parts = parts(
        &comparison,
        by_part(&shards_before, before.shard_bits(tree).saturating_sub(bits)),
        by_part(&shards_after, after.shard_bits(tree).saturating_sub(bits)),
    )?;
    let (found, store) = (Mutex::new(Found::default()), &after.store);
    let progress = Progress::of_objects(parts.len());
    let compared = parallel::for_each(&parts, THREADS, |part| {
        let changes = compare_part(store, &comparison, part)?;
        found.lock().unwrap_or_else(PoisonError::into_inner).add(changes, list_max);
        progress.advance(0);
        Ok(())
    });
    progress.finish();
    compared?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let names: BTreeSet<_> = shards_before.values().collect();
    Ok(TreeReport {
        shards_before: shards_before.len(),
        shards_after: shards_after.len(),
        shards_shared: shards_after.values().filter(|name| names.contains(name)).count(),
        added: found.added,
        removed: found.removed,
        changed: found.changed,
        changes: found.listed.into_values().collect(),
    })
}

/// The shards of a tree, grouped by part. A part has `1 << shift` places for shards.
fn by_part(shards: &BTreeMap<usize, ObjectName>, shift: u8) -> BTreeMap<usize, Vec<ObjectName>> {
    let mut parts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (number, name) in shards {
        parts.entry(number >> shift).or_default().push(*name);
    }
    parts
}

/// The parts that are not the same.
fn parts(
    comparison: &Comparison<'_>,
    mut before: BTreeMap<usize, Vec<ObjectName>>,
    mut after: BTreeMap<usize, Vec<ObjectName>>,
) -> Result<Vec<Part>> {
    // Every part that has shards in either version, or that either delta touches.
    let numbers: BTreeSet<usize> =
        before.keys().chain(after.keys()).copied().chain(comparison.touched()).collect();
    let mut parts = Vec::new();
    for number in numbers {
        let part = Part {
            number,
            before: before.remove(&number).unwrap_or_default(),
            after: after.remove(&number).unwrap_or_default(),
        };
        if part.before != part.after || !comparison.has_equal_deltas(number).context("delta")? {
            parts.push(part);
        }
    }
    Ok(parts)
}

fn compare_part(store: &Store, comparison: &Comparison<'_>, part: &Part) -> Result<Vec<RecordChange>> {
    // A shard that both versions have is read once.
    let mut objects = BTreeMap::new();
    for name in part.before.iter().chain(&part.after) {
        if !objects.contains_key(name) {
            objects.insert(*name, read(store, *name)?);
        }
    }
    let tables = |names: &[ObjectName]| -> Result<Vec<Table<'_>>> {
        let table = |name: &ObjectName| {
            let object = objects.get(name).map_or(&[][..], Vec::as_slice);
            Table::of_shard(object).with_context(|| name.to_string())
        };
        names.iter().map(table).collect()
    };
    let (before, after) = (tables(&part.before)?, tables(&part.after)?);
    let names = || {
        let names: Vec<_> = objects.keys().map(ToString::to_string).collect();
        names.join(", ")
    };
    comparison.part(part.number, [&before, &after]).with_context(names)
}
