//! Writes a delta into the shards that it touches, and the new index. All other shards stay.

use std::{collections::BTreeMap, io};

use admit_snapshot::{
    index::{Index, NewTree, Tree, encode_index},
    key::{EntryKey, ItemSalt},
    object::{Digest, ObjectKind, ObjectName},
    table::{Entry, Table},
};

use super::delta::{Delta, ItemRecords};
use crate::{
    build::{
        BuildError, ExternalIds, GivenWay, ObjectSink, PAGE_ABOVE_BITS, ShardBits, Sizes, build_records,
        check_size, entry_bytes, keyed, make_room, shard_bits, shard_bytes, write_shard,
    },
    limits::{RAISED_SHARD_BITS_MAX, SHARD_MAX_BYTES},
    parallel,
    source::{LineError, Location, Standing},
};

/// Number of shards read at the same time. Most of the time is spent on the way to the store.
const THREADS: usize = 8;

/// Result of a compaction.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The new objects with their lengths in bytes, each before those that refer to it.
    pub objects: Vec<(ObjectName, u64)>,
    /// Name of the new index.
    pub index: Digest,
    /// Growth of the number of customers in the shards. May be negative.
    pub customers: i64,
    /// Growth of the number of items in the shards. May be negative.
    pub items: i64,
    /// Records for which their shards had no room.
    pub set_aside: Vec<SetAsideRecord>,
}

/// A record for which its shard had no room. The shard holds its last good state instead, or nothing.
#[derive(Clone, Debug)]
pub struct SetAsideRecord {
    /// The record, and the problem with it.
    pub error: LineError,
    /// What the shard holds in its place.
    pub standing: Standing,
}

/// Writes `delta` into the shards that `index` names. `read` returns a published object; new ones go to
/// `sink`.
///
/// The number of shards stays unless the touched ones have outgrown their target; then all shards are read
/// and split. If a shard does not fit into an object even then, its largest records are set aside: one record
/// must not keep others from being published. The salt stays, too. An index of format 1 has none; then all
/// items move to the shards of their keys under `fresh`. To an index of format 1 or 2, the items' external ids are
/// added.
///
/// # Errors
/// An object cannot be read or is corrupt, or a new one cannot be written.
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
    let (items, external_ids) = if index.has_external_ids() {
        let changes = delta.items_by_key(salt).into_iter();
        let items = compact_tree(index, Tree::Items, changes, read, sink, &mut objects)?;
        let changes = delta.external_ids.iter().map(|(key, record)| (*key, record.as_slice()));
        (items, compact_tree(index, Tree::ExternalIds, changes, read, sink, &mut objects)?)
    } else {
        // An earlier format: with a new salt, all items have other keys and move to other shards, and their external
        // ids are not in the index yet.
        move_items(index, &delta.items, salt, read, sink, &mut objects)?
    };
    let trees = [&customers.tree, &items.tree, &external_ids.tree];
    let (new_index, pages) = encode_index(salt, trees, PAGE_ABOVE_BITS)?;
    let mut store = |kind, object: Vec<u8>| {
        check_size(kind, object.len())?;
        let name = ObjectName::of(kind, &object);
        objects.push((name, object.len() as u64));
        sink.store(name, object)?;
        Ok::<_, BuildError>(name.digest)
    };
    for page in pages {
        store(ObjectKind::Page, page)?;
    }
    let index = store(ObjectKind::Index, new_index)?;
    let set_aside = customers.set_aside.into_iter().chain(items.set_aside).chain(external_ids.set_aside);
    Ok(Compacted {
        objects,
        index,
        customers: customers.grown,
        items: items.grown,
        set_aside: set_aside.collect(),
    })
}

impl SetAsideRecord {
    fn of(given_way: &GivenWay<impl AsRef<[u8]>>, tree: Tree) -> Self {
        let at = Location { file: "compaction".into(), line: 0 };
        Self { error: given_way.error(tree, at), standing: given_way.standing }
    }
}

struct NewShards {
    tree: NewTree,
    grown: i64,
    set_aside: Vec<SetAsideRecord>,
}

/// Writes all items again, by their keys under `salt`, and their external ids.
fn move_items(
    index: &Index,
    changes: &ItemRecords,
    salt: ItemSalt,
    read: &impl Fn(ObjectName) -> io::Result<Vec<u8>>,
    sink: &impl ObjectSink,
    objects: &mut Vec<(ObjectName, u64)>,
) -> Result<(NewShards, NewShards), BuildError> {
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
    let external_ids = ExternalIds::of_records(items.values(), salt)?.encode();
    let items: Vec<_> = keyed(items, salt).into_iter().collect();
    let (mut fitting, mut set_aside) = (BTreeMap::new(), Vec::new());
    let bits = RAISED_SHARD_BITS_MAX;
    for part in items.chunk_by(|(left, _), (right, _)| left.shard(bits) == right.shard(bits)) {
        let mut part = part.to_vec();
        set_aside.extend(make_room(&mut part, |_| None).iter().map(|it| SetAsideRecord::of(it, Tree::Items)));
        fitting.extend(part);
    }
    let grown = i64::try_from(fitting.len()).unwrap_or(i64::MAX).saturating_sub(before);
    let mut store = |_, object: Vec<u8>| {
        let name = ObjectName::of(ObjectKind::Shard, &object);
        objects.push((name, object.len() as u64));
        sink.store(name, object)?;
        Ok(name.digest)
    };
    // Where the keys stay, so does the number of shards.
    let bits = (salt == index.salt()).then(|| ShardBits::of(index).items);
    let items = NewShards { tree: build_records(&fitting, bits, &mut store)?, grown, set_aside };
    let external_ids =
        NewShards { tree: build_records(&external_ids, None, &mut store)?, grown: 0, set_aside: Vec::new() };
    Ok((items, external_ids))
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
    let merge = Merge { tree, shards: &shards, touched: &touched, read, sink, bits };
    let numbers: Vec<usize> = touched.keys().copied().collect();
    // First try with the present number of shards. Shards that do not fit are not written yet.
    let merged = merge.all(&numbers, bits, Crowded::Leave)?;
    let new_bits = bits_for(&merged, shards.len(), bits)?;
    // More shards are needed: split all of them. Otherwise write only the ones that did not fit, without
    // their largest records.
    let merged = if new_bits > bits {
        merge.all(&(0..shards.len()).collect::<Vec<_>>(), new_bits, Crowded::MakeRoom)?
    } else {
        let (crowded, mut merged): (Vec<_>, Vec<_>) =
            merged.into_iter().partition(|shard| shard.crowded.is_some());
        let numbers: Vec<_> = crowded.iter().map(|shard| shard.number).collect();
        merged.extend(merge.all(&numbers, bits, Crowded::MakeRoom)?);
        merged
    };
    let mut digests: Vec<Option<Digest>> = if new_bits == bits {
        shards.iter().map(|name| name.map(|name| name.digest)).collect()
    } else {
        vec![None; 1 << new_bits]
    };
    let (mut grown, mut set_aside) = (0, Vec::new());
    for mut shard in merged {
        grown += shard.grown;
        set_aside.append(&mut shard.set_aside);
        if let (true, Some(slot)) = (new_bits == bits, digests.get_mut(shard.number)) {
            *slot = None;
        }
        for (number, name, bytes) in shard.parts {
            *digests.get_mut(number).ok_or(BuildError::Unresolved("shard"))? = Some(name.digest);
            objects.push((name, bytes));
        }
    }
    Ok(NewShards { tree: NewTree::new(digests)?, grown, set_aside })
}

/// Number of shards, as a power of two, after these `merged` shards have changed. There are `count` shards
/// now, `1 << bits`.
fn bits_for(merged: &[Merged], count: usize, bits: u8) -> Result<u8, BuildError> {
    // Estimate the size of all shards from the touched ones.
    let new_bytes: u64 = merged.iter().map(|shard| shard.new_bytes).sum();
    // Untouched shards count with the average of what the touched ones were before: the growth that one customer has caused must not be counted for every shard.
    let old_bytes: u64 = merged.iter().map(|shard| shard.old_bytes).sum();
    let untouched = count.saturating_sub(merged.len()) as u64;
    // The untouched shards are assumed to be as large as the touched ones were.
    let estimated_bytes = new_bytes + old_bytes * untouched / (merged.len() as u64).max(1);
    let wanted = shard_bits(estimated_bytes, Some(bits))?.max(bits);
    let mut crowded = Sizes::default();
    for (key, bytes) in merged.iter().filter_map(|shard| shard.crowded.as_ref()).flatten() {
        crowded.add(*key, *bytes);
    }
    Ok(crowded.fitting_bits(wanted))
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
    tree: Tree,
    shards: &'a [Option<ObjectName>],
    touched: &'a BTreeMap<usize, Vec<(EntryKey, &'a [u8])>>,
    read: &'a R,
    sink: &'a S,
    bits: u8,
}

/// How to treat a shard whose records do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crowded {
    /// Leave it unwritten: more shards may help.
    Leave,
    /// Set its largest records aside.
    MakeRoom,
}

/// A shard after its changes.
#[derive(Default)]
struct Merged {
    number: usize,
    /// The shards that it was written to: number, name, length in bytes.
    parts: Vec<(usize, ObjectName, u64)>,
    /// Its previous length in bytes.
    old_bytes: u64,
    /// Length of its entries with the changes, in bytes.
    new_bytes: u64,
    grown: i64,
    /// Lengths of its entries, if it was left unwritten because they do not fit.
    crowded: Option<Vec<(EntryKey, usize)>>,
    set_aside: Vec<SetAsideRecord>,
}

impl<R: Fn(ObjectName) -> io::Result<Vec<u8>> + Sync, S: ObjectSink> Merge<'_, R, S> {
    /// Merges shards with their changes, a few at a time. Results are in the order of `numbers`.
    fn all(&self, numbers: &[usize], new_bits: u8, crowded: Crowded) -> Result<Vec<Merged>, BuildError> {
        parallel::try_map(numbers, THREADS, |number| self.one(*number, new_bits, crowded))
    }

    fn one(&self, number: usize, new_bits: u8, crowded: Crowded) -> Result<Merged, BuildError> {
        let name = self.shards.get(number).copied().flatten();
        let object = match name {
            Some(name) => {
                let object = (self.read)(name)?;
                // `read` may return unchecked bytes, for example from another cache.
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
        let mut new = old.clone();
        for (key, record) in self.touched.get(&number).into_iter().flatten() {
            if record.is_empty() {
                new.remove(key);
            } else {
                new.insert(*key, record);
            }
        }
        let entries: Vec<(EntryKey, &[u8])> = new.into_iter().collect();
        debug_assert!(entries.iter().all(|(key, _)| key.shard(self.bits) == number));
        let mut merged = Merged {
            number,
            old_bytes: object.as_ref().map_or(0, Vec::len) as u64,
            new_bytes: shard_bytes(&entries) as u64,
            ..Merged::default()
        };
        if crowded == Crowded::Leave && merged.new_bytes > SHARD_MAX_BYTES as u64 {
            merged.crowded = Some(entries.iter().map(|(key, record)| (*key, entry_bytes(record))).collect());
            return Ok(merged);
        }
        let mut count = 0;
        for part in entries.chunk_by(|(left, _), (right, _)| left.shard(new_bits) == right.shard(new_bits)) {
            let mut part = part.to_vec();
            let given_way = make_room(&mut part, |key| old.get(&key).copied());
            merged.set_aside.extend(given_way.iter().map(|it| SetAsideRecord::of(it, self.tree)));
            count += part.len();
            let Some((name, object)) = write_shard(&part)? else { continue };
            let number = part.first().map_or(0, |(key, _)| key.shard(new_bits));
            merged.parts.push((number, name, object.len() as u64));
            self.sink.store(name, object)?;
        }
        let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        merged.grown = signed(count).saturating_sub(signed(old.len()));
        Ok(merged)
    }
}
