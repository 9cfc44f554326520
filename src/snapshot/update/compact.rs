//! Writes a delta into the shards: those that it touches, and the index. The others stay as they are.

use std::{collections::BTreeMap, io};

use super::delta::{Delta, ItemRecords};
use crate::{
    parallel,
    snapshot::{
        build::{
            BuildError, ObjectSink, PAGE_ABOVE_BITS, build_records, check_size, keyed, shard_bits,
            write_shard,
        },
        index::{Index, NewTree, Tree, encode_index},
        key::{EntryKey, ItemSalt},
        object::{Digest, ObjectKind, ObjectName},
        table::{Entry, Table},
    },
};

/// Shards that are read at the same time: the way to the store takes most of the time.
const THREADS: usize = 8;

/// What a compaction came to.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The new objects, each before those that refer to it, and their sizes in bytes.
    pub objects: Vec<(ObjectName, u64)>,
    /// The new index.
    pub index: Digest,
    /// By how many customers the shards have grown.
    pub customers: i64,
    /// By how many items the shards have grown.
    pub items: i64,
}

/// Writes `delta` into the shards that `index` names. `read` gets a published object; new ones go to `sink`.
///
/// The number of shards stays unless those that are touched have outgrown their size: then every shard is read
/// and cut in two, or more. The salt stays. An index of format 1 has none: then all items move to other shards, those
/// of their keys under the salt `fresh`.
///
/// # Errors
/// When an object cannot be read, is not what it should be, or a new one cannot be written.
pub fn compact(
    index: &Index,
    delta: &Delta,
    fresh: ItemSalt,
    read: &(impl Fn(ObjectName) -> io::Result<Vec<u8>> + Sync),
    sink: &impl ObjectSink,
) -> Result<Compacted, BuildError> {
    let mut objects = Vec::new();
    let changes = delta.customers.iter().map(|(key, record)| (*key, record.as_slice()));
    let customers = compact_tree(index, Tree::Customers, changes, read, sink, &mut objects)?;
    let salt = index.salt().or(fresh);
    let items = if salt == index.salt() {
        let changes = delta.items_by_key(salt).into_iter();
        compact_tree(index, Tree::Items, changes, read, sink, &mut objects)?
    } else {
        move_items(index, &delta.items, salt, read, sink, &mut objects)?
    };
    let (new_index, pages) = encode_index(salt, &customers.tree, &items.tree, PAGE_ABOVE_BITS)?;
    let mut store = |kind, object: Vec<u8>| {
        check_size(kind, &object)?;
        let name = ObjectName::of(kind, &object);
        objects.push((name, object.len() as u64));
        sink.store(name, object)?;
        Ok::<_, BuildError>(name.digest)
    };
    for page in pages {
        store(ObjectKind::Page, page)?;
    }
    let index = store(ObjectKind::Index, new_index)?;
    Ok(Compacted { objects, index, customers: customers.grown, items: items.grown })
}

struct NewShards {
    tree: NewTree,
    grown: i64,
}

/// Writes all items anew, by their keys under another salt.
fn move_items(
    index: &Index,
    changes: &ItemRecords,
    salt: ItemSalt,
    read: &impl Fn(ObjectName) -> io::Result<Vec<u8>>,
    sink: &impl ObjectSink,
    objects: &mut Vec<(ObjectName, u64)>,
) -> Result<NewShards, BuildError> {
    let mut items = ItemRecords::new();
    for (_, name) in published_shards(index, Tree::Items, read)? {
        let object = read(name)?;
        name.check(&object)?;
        for (key, entry) in Table::of_shard(&object)?.iter() {
            if let Entry::Record(record) = entry? {
                items.insert(key.item_id(), record.to_vec());
            }
        }
    }
    let before = i64::try_from(items.len()).unwrap_or(i64::MAX);
    for (id, record) in changes {
        if record.is_empty() {
            items.remove(id);
        } else {
            items.insert(*id, record.clone());
        }
    }
    let grown = i64::try_from(items.len()).unwrap_or(i64::MAX).saturating_sub(before);
    let tree = build_records(&keyed(items, salt), None, &mut |_, object: Vec<u8>| {
        let name = ObjectName::of(ObjectKind::Shard, &object);
        objects.push((name, object.len() as u64));
        sink.store(name, object)?;
        Ok(name.digest)
    })?;
    Ok(NewShards { tree, grown })
}

fn compact_tree<'a>(
    index: &Index,
    tree: Tree,
    changes: impl Iterator<Item = (EntryKey, &'a [u8])>,
    read: &(impl Fn(ObjectName) -> io::Result<Vec<u8>> + Sync),
    sink: &impl ObjectSink,
    objects: &mut Vec<(ObjectName, u64)>,
) -> Result<NewShards, BuildError> {
    let bits = u8::try_from(index.shard_count(tree).trailing_zeros()).unwrap_or(u8::MAX);
    let mut shards = vec![None; index.shard_count(tree)];
    for (number, name) in published_shards(index, tree, read)? {
        *shards.get_mut(number).ok_or(BuildError::Unresolved("shard"))? = Some(name);
    }
    let mut touched: BTreeMap<usize, Vec<(EntryKey, &[u8])>> = BTreeMap::new();
    for (key, record) in changes {
        touched.entry(key.shard(bits)).or_default().push((key, record));
    }
    let merge = Merge { shards: &shards, touched: &touched, read, sink, bits };
    let numbers: Vec<usize> = touched.keys().copied().collect();
    let written = merge.all(&numbers, bits)?;
    let written_bytes: u64 = written.iter().flat_map(|shard| &shard.parts).map(|(_, _, bytes)| bytes).sum();
    // For those that were not touched stands the average of what the others were before: what one customer has
    // brought must not be counted for every shard.
    let old_bytes: u64 = written.iter().map(|shard| shard.old_bytes).sum();
    let untouched = (shards.len() - numbers.len()) as u64;
    let estimated_bytes = written_bytes + old_bytes * untouched / (numbers.len() as u64).max(1);
    let wanted_bits = shard_bits(estimated_bytes, Some(bits))?;
    let (written, new_bits) = if wanted_bits > bits {
        (merge.all(&(0..shards.len()).collect::<Vec<_>>(), wanted_bits)?, wanted_bits)
    } else {
        (written, bits)
    };
    let mut digests: Vec<Option<Digest>> = if new_bits == bits {
        shards.iter().map(|name| name.map(|name| name.digest)).collect()
    } else {
        vec![None; 1 << new_bits]
    };
    let mut grown = 0;
    for shard in written {
        grown += shard.grown;
        if let (true, Some(slot)) = (new_bits == bits, digests.get_mut(shard.number)) {
            *slot = None;
        }
        for (number, name, bytes) in shard.parts {
            *digests.get_mut(number).ok_or(BuildError::Unresolved("shard"))? = Some(name.digest);
            objects.push((name, bytes));
        }
    }
    Ok(NewShards { tree: NewTree::new(digests)?, grown })
}

/// The shards with entries, each with its number.
fn published_shards(
    index: &Index,
    tree: Tree,
    read: &impl Fn(ObjectName) -> io::Result<Vec<u8>>,
) -> Result<Vec<(usize, ObjectName)>, BuildError> {
    let mut shards = index.top_shards(tree)?;
    for (position, name) in index.pages(tree)?.into_iter().enumerate() {
        shards.extend(index.page_shards(tree, position, &read(name)?)?);
    }
    Ok(shards)
}

struct Merge<'a, R, S> {
    shards: &'a [Option<ObjectName>],
    touched: &'a BTreeMap<usize, Vec<(EntryKey, &'a [u8])>>,
    read: &'a R,
    sink: &'a S,
    bits: u8,
}

/// What became of a shard.
struct Merged {
    number: usize,
    /// The shards that it was written to: number, name, size in bytes.
    parts: Vec<(usize, ObjectName, u64)>,
    /// What it was before, in bytes.
    old_bytes: u64,
    grown: i64,
}

impl<R: Fn(ObjectName) -> io::Result<Vec<u8>> + Sync, S: ObjectSink> Merge<'_, R, S> {
    /// Merges shards with what changed, a few at a time; in the order of their numbers.
    fn all(&self, numbers: &[usize], new_bits: u8) -> Result<Vec<Merged>, BuildError> {
        parallel::try_map(numbers, THREADS, |number| self.one(*number, new_bits))
    }

    fn one(&self, number: usize, new_bits: u8) -> Result<Merged, BuildError> {
        let name = self.shards.get(number).copied().flatten();
        let object = match name {
            Some(name) => {
                let object = (self.read)(name)?;
                // Whoever reads it from somewhere else may not have looked.
                name.check(&object)?;
                Some(object)
            }
            None => None,
        };
        let old: BTreeMap<EntryKey, &[u8]> = match &object {
            Some(object) => Table::of_shard(object)?
                .iter()
                .filter_map(|(key, entry)| match entry {
                    Ok(Entry::Record(record)) => Some(Ok((key, record))),
                    Ok(Entry::Removed | Entry::Unknown) => None,
                    Err(error) => Some(Err(error)),
                })
                .collect::<Result<_, _>>()?,
            None => BTreeMap::new(),
        };
        let before = i64::try_from(old.len()).unwrap_or(i64::MAX);
        let mut new = old;
        for (key, record) in self.touched.get(&number).into_iter().flatten() {
            if record.is_empty() {
                new.remove(key);
            } else {
                new.insert(*key, record);
            }
        }
        let grown = i64::try_from(new.len()).unwrap_or(i64::MAX).saturating_sub(before);
        let entries: Vec<(EntryKey, &[u8])> = new.into_iter().collect();
        debug_assert!(entries.iter().all(|(key, _)| key.shard(self.bits) == number));
        let mut parts = Vec::new();
        for part in entries.chunk_by(|(left, _), (right, _)| left.shard(new_bits) == right.shard(new_bits)) {
            let Some((name, object)) = write_shard(part)? else { continue };
            let number = part.first().map_or(0, |(key, _)| key.shard(new_bits));
            parts.push((number, name, object.len() as u64));
            self.sink.store(name, object)?;
        }
        let old_bytes = object.as_ref().map_or(0, Vec::len) as u64;
        Ok(Merged { number, parts, old_bytes, grown })
    }
}
