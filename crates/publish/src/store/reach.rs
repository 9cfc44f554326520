//! The objects that a head reaches.

use std::collections::{BTreeMap, HashSet};

use admit_snapshot::{
    head::Head,
    index::{Index, Tree},
    object::{Digest, ObjectKind, ObjectName},
};
use anyhow::{Context, Result};

use super::Store;
use crate::published::walk_shards;

/// The objects that `head` reaches: all that it names, the pages of the index, and the shards. The index and
/// its pages are read, shards are not.
///
/// # Errors
/// The index or a page is missing, cannot be read, or does not match its name.
pub fn reach(store: &Store, head: &Head) -> Result<HashSet<ObjectName>> {
    let mut reached: HashSet<_> = head.named().collect();
    let index = index(store, head.index)?;
    for tree in Tree::ALL {
        let mut pages = BTreeMap::new();
        for name in index.pages(tree)? {
            pages.insert(name, read(store, name)?);
        }
        // A shard is named by the index itself or by one of its pages.
        reached.extend(index.shards(tree, |name| pages.get(&name))?);
        reached.extend(pages.into_keys());
    }
    Ok(reached)
}

/// The shards of a tree that have entries, by position.
///
/// # Errors
/// A page cannot be read.
pub fn shards(store: &Store, index: &Index, tree: Tree) -> Result<BTreeMap<usize, ObjectName>> {
    let mut shards = BTreeMap::new();
    let page = |position, name| Ok(index.page_shards(tree, position, &read(store, name)?)?);
    walk_shards(index, tree, page, |found| {
        shards.extend(found);
        anyhow::Ok(())
    })?;
    Ok(shards)
}

/// The index of this digest.
///
/// # Errors
/// It is missing, cannot be read, or does not match its name.
pub fn index(store: &Store, digest: Digest) -> Result<Index> {
    decode_index(read(store, ObjectName { kind: ObjectKind::Index, digest })?)
}

/// The index in `object`.
///
/// # Errors
/// It is corrupt.
pub fn decode_index(object: Vec<u8>) -> Result<Index> {
    Index::decode(object).context("index")
}

/// The number of places for shards in a tree, as a power of two: at most 30.
pub fn shard_bits(index: &Index, tree: Tree) -> u8 {
    u8::try_from(index.shard_count(tree).trailing_zeros()).unwrap_or(u8::MAX)
}

/// Reads an object that a published object names.
///
/// # Errors
/// The object is missing, cannot be read, or does not match its name.
pub fn read(store: &Store, name: ObjectName) -> Result<Vec<u8>> {
    store.object(name)?.with_context(|| format!("{name} is missing, although a published object names it"))
}
