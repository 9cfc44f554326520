//! The objects that a head reaches.

use std::collections::{BTreeMap, HashSet};

use admit_snapshot::{
    head::Head,
    index::{Index, Tree},
    object::{ObjectKind, ObjectName},
};
use anyhow::{Context, Result};

use super::Store;

/// The objects that `head` reaches: all that it names, the pages of the index, and the shards. The index and
/// its pages are read, shards are not.
///
/// # Errors
/// The index or a page is missing, cannot be read, or does not match its name.
pub fn reach(store: &Store, head: &Head) -> Result<HashSet<ObjectName>> {
    let mut reached: HashSet<_> = head.named().collect();
    let index_name = ObjectName { kind: ObjectKind::Index, digest: head.index };
    let index = Index::decode(read(store, index_name)?).with_context(|| index_name.to_string())?;
    for tree in [Tree::Customers, Tree::Items] {
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
    let mut shards: BTreeMap<_, _> = index.top_shards(tree)?.into_iter().collect();
    for (position, name) in index.pages(tree)?.into_iter().enumerate() {
        shards.extend(index.page_shards(tree, position, &read(store, name)?)?);
    }
    Ok(shards)
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
