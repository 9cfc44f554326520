//! Sizes of the objects, and how full the shards are.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

use admit_publish::{limits::DELTA_BUDGET_BYTES, parallel, published::Published, store::reach::read};
use admit_snapshot::{delta, index::Tree, object::ObjectName, table::Table};
use anyhow::{Context, Result};
use serde::Serialize;

/// How many shards of each tree are measured without `--all`: 256 of 64 KiB are 16 MiB to read.
const SAMPLE_MAX: usize = 256;

/// Shards that are read at the same time.
const THREADS: usize = 4;

/// The objects that the head reaches.
#[derive(Debug, Serialize)]
pub struct ObjectsReport {
    /// The index.
    pub index: ObjectReport,
    /// The directory.
    pub directory: ObjectReport,
    /// The delta, if there is one.
    pub delta: Option<DeltaReport>,
    /// Pages of the index.
    pub pages: usize,
    /// Shards of customers.
    pub customers: ShardsReport,
    /// Shards of items.
    pub items: ShardsReport,
}

/// One object.
#[derive(Debug, Serialize)]
pub struct ObjectReport {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
}

/// The delta.
#[derive(Debug, Serialize)]
pub struct DeltaReport {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
    /// The size above which it is written into the shards.
    pub budget_bytes: usize,
    /// Number of customers in it, including removed ones.
    pub customers: usize,
    /// Number of items in it, including removed ones.
    pub items: usize,
}

/// The shards of a tree.
#[derive(Debug, Default, Serialize)]
pub struct ShardsReport {
    /// Number of places for shards.
    pub places: usize,
    /// Number of shards with entries.
    pub shards: usize,
    /// Number of shards that were measured; the following fields are about these.
    pub measured: usize,
    /// Number of entries.
    pub entries: usize,
    /// Size of all.
    pub bytes: usize,
    /// Size of the smallest.
    pub smallest_bytes: usize,
    /// The median size.
    pub median_bytes: usize,
    /// Size of the largest.
    pub largest_bytes: usize,
    /// Number of shards by size.
    pub histogram: Vec<Bucket>,
}

/// Shards of about the same size.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// The largest size in this bucket; the bucket before ends below it.
    pub up_to_bytes: usize,
    /// Number of shards.
    pub shards: usize,
}

/// Measures the objects that the head reaches: all shards, or an even sample.
///
/// # Errors
/// An object cannot be read, or is not what its name says.
pub fn measure(snapshot: &mut Published, all: bool) -> Result<ObjectsReport> {
    let head = snapshot.version.head.clone();
    let report =
        |kind: &str, digest: &dyn Display, bytes| ObjectReport { name: format!("{kind}/{digest}"), bytes };
    let index = &snapshot.version.index;
    let pages = index.pages(Tree::Customers)?.len() + index.pages(Tree::Items)?.len();
    let delta = head.delta.zip(snapshot.version.delta.as_ref());
    let delta = delta.map(|(digest, delta)| -> Result<DeltaReport> {
        let tables = delta::tables(delta).context("delta")?;
        Ok(DeltaReport {
            name: format!("delta/{digest}"),
            bytes: delta.len(),
            budget_bytes: DELTA_BUDGET_BYTES,
            customers: tables.customers.len(),
            items: tables.items.len(),
        })
    });
    Ok(ObjectsReport {
        index: report("index", &head.index, snapshot.index_bytes),
        directory: report("directory", &head.directory, snapshot.directory_bytes),
        delta: delta.transpose()?,
        pages,
        customers: measure_tree(snapshot, Tree::Customers, all)?,
        items: measure_tree(snapshot, Tree::Items, all)?,
    })
}

fn measure_tree(snapshot: &mut Published, tree: Tree, all: bool) -> Result<ShardsReport> {
    let places = snapshot.version.index.shard_count(tree);
    let shards = snapshot.shards(tree)?;
    let total = shards.len();
    // An even sample: every `step`-th shard.
    let step = if all { 1 } else { total.div_ceil(SAMPLE_MAX).max(1) };
    let sample: Vec<ObjectName> = shards.into_values().step_by(step).collect();
    let measured = Mutex::new(Vec::with_capacity(sample.len()));
    let store = &snapshot.store;
    parallel::for_each(&sample, THREADS, |name| {
        let object = read(store, *name)?;
        let entries = Table::of_shard(&object).with_context(|| name.to_string())?.len();
        measured.lock().unwrap_or_else(PoisonError::into_inner).push((object.len(), entries));
        Ok(())
    })?;
    let measured = measured.into_inner().unwrap_or_else(PoisonError::into_inner);
    let entries = measured.iter().map(|(_, entries)| entries).sum();
    let mut sizes: Vec<usize> = measured.into_iter().map(|(bytes, _)| bytes).collect();
    sizes.sort_unstable();
    Ok(ShardsReport {
        places,
        shards: total,
        measured: sizes.len(),
        entries,
        bytes: sizes.iter().sum(),
        smallest_bytes: sizes.first().copied().unwrap_or(0),
        median_bytes: sizes.get(sizes.len() / 2).copied().unwrap_or(0),
        largest_bytes: sizes.last().copied().unwrap_or(0),
        histogram: histogram(&sizes),
    })
}

/// Counts sizes by powers of two, from the smallest size to the largest.
fn histogram(sorted: &[usize]) -> Vec<Bucket> {
    let (Some(smallest), Some(largest)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let mut buckets = Vec::new();
    let mut up_to_bytes = smallest.next_power_of_two();
    loop {
        let from = up_to_bytes / 2;
        let shards = sorted.iter().filter(|size| **size <= up_to_bytes && **size > from).count();
        buckets.push(Bucket { up_to_bytes, shards });
        if up_to_bytes >= *largest {
            return buckets;
        }
        up_to_bytes *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_by_powers_of_two() {
        let counts = |sizes: &[usize]| -> Vec<(usize, usize)> {
            histogram(sizes).into_iter().map(|bucket| (bucket.up_to_bytes, bucket.shards)).collect()
        };
        assert_eq!(counts(&[]), []);
        assert_eq!(counts(&[64]), [(64, 1)]);
        assert_eq!(counts(&[33, 64, 65, 128, 300]), [(64, 2), (128, 2), (256, 0), (512, 1)]);
    }
}
