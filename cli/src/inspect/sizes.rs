//! Reads the objects whose sizes are reported.

use std::sync::{Mutex, PoisonError};

use admit_publish::{parallel, published::Published, store::reach::read};
use admit_snapshot::{
    index::Tree,
    object::{ObjectKind, ObjectName},
    report::{DeltaReport, Measured, ObjectReport, ObjectsReport, ShardsReport, sample},
};
use anyhow::{Context, Result};

/// How many shards of each tree are measured without `--all`: 256 of 64 KiB are 16 MiB to read.
const SAMPLE_MAX: usize = 256;

/// Shards that are read at the same time.
const THREADS: usize = 4;

/// Measures the objects that the head reaches: all shards, or an even sample.
///
/// # Errors
/// An object cannot be read, or is not what its name says.
pub fn measure(snapshot: &mut Published, all: bool) -> Result<ObjectsReport> {
    let head = snapshot.version.head.clone();
    let index = &snapshot.version.index;
    let pages = index.pages(Tree::Customers)?.len() + index.pages(Tree::Items)?.len();
    let delta = head.delta.zip(snapshot.version.delta.as_ref()).map(|(digest, delta)| {
        DeltaReport::new(ObjectName { kind: ObjectKind::Delta, digest }, delta).context("delta")
    });
    let named = |kind, digest, bytes| ObjectReport::new(ObjectName { kind, digest }, bytes);
    Ok(ObjectsReport {
        index: named(ObjectKind::Index, head.index, snapshot.index_bytes),
        directory: named(ObjectKind::Directory, head.directory, snapshot.directory_bytes),
        delta: delta.transpose()?,
        pages,
        customers: measure_tree(snapshot, Tree::Customers, all)?,
        items: measure_tree(snapshot, Tree::Items, all)?,
    })
}

fn measure_tree(snapshot: &mut Published, tree: Tree, all: bool) -> Result<ShardsReport> {
    let places = snapshot.version.index.shard_count(tree);
    let shards: Vec<ObjectName> = snapshot.shards(tree)?.into_values().collect();
    let total = shards.len();
    let sample = sample(shards, if all { usize::MAX } else { SAMPLE_MAX });
    let measured = Mutex::new(Vec::with_capacity(sample.len()));
    let store = &snapshot.store;
    parallel::for_each(&sample, THREADS, |name| {
        let object = Measured::shard(&read(store, *name)?).with_context(|| name.to_string())?;
        measured.lock().unwrap_or_else(PoisonError::into_inner).push(object);
        Ok(())
    })?;
    let measured = measured.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(ShardsReport::new(places, Some(total), measured))
}
