//! Whether a version takes something away that the version before it gives: the signed field `taken_away` of heads, by
//! which an edge knows whether a publish is urgent (docs/adr/0056).
//!
//! The comparison reads what differs between two deltas, and at most some shards: where it cannot tell, something counts
//! as taken away. A publish that is called urgent without need costs one purge of a cache; the opposite would delay a
//! revocation.

mod records;

use std::{collections::BTreeMap, sync::Arc};

use admit_snapshot::{
    directory::Directory,
    head::Head,
    index::{Index, Place, Tree},
    key::EntryKey,
    object::{Digest, ObjectKind, ObjectName},
    table::{Entry, Table},
    time::UnixSecs,
};
use anyhow::{Context, Result};

use crate::{parallel, update::Delta};
use records::{customer_loses, directory_loses, item_loses};

/// How many shards are read for one comparison. A publish that touches more customers who are new to the delta counts as
/// urgent: reading their shards would take longer than the purge that it saves.
pub const SHARDS_MAX: usize = 16;

/// Shards read at once: all of them take two round trips to the store.
const THREADS: usize = 8;

/// An object of a version, as it is read.
pub type Object = Arc<Vec<u8>>;

/// Reads the objects that two heads name, and shards.
pub trait ReadObject: Sync {
    /// The bytes of an object.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, name: ObjectName) -> Result<Object>;
}

impl<F: Fn(ObjectName) -> Result<Object> + Sync> ReadObject for F {
    fn read(&self, name: ObjectName) -> Result<Object> {
        self(name)
    }
}

/// Whether the data of `after` lacks something that the data of `before` gives. It reads at most `shards_max` shards.
///
/// # Errors
/// An object cannot be read or is corrupt. Whether something is taken away is then unknown.
pub fn takes_away(before: &Head, after: &Head, objects: &dyn ReadObject, shards_max: usize) -> Result<bool> {
    // Other shards are not compared: a full publish, a compaction, a rollback.
    if before.index != after.index || after.origin_seq() < before.origin_seq() {
        return Ok(true);
    }
    if before.directory != after.directory {
        let directory = |digest| -> Result<Directory> {
            Ok(Directory::decode(&objects.read(ObjectName { kind: ObjectKind::Directory, digest })?)?)
        };
        if directory_loses(&directory(before.directory)?, &directory(after.directory)?) {
            return Ok(true);
        }
    }
    if before.delta == after.delta {
        return Ok(false);
    }
    let now = after.as_of;
    let deltas = Deltas { before: delta(before.delta, objects)?, after: delta(after.delta, objects)? };
    let Some(unknown) = deltas.unknown(now)? else { return Ok(true) };
    if unknown.is_empty() {
        return Ok(false);
    }
    let index = objects.read(ObjectName { kind: ObjectKind::Index, digest: before.index })?;
    unknown.lose(&Index::decode(index.to_vec())?, objects, shards_max, now)
}

fn delta(digest: Option<Digest>, objects: &dyn ReadObject) -> Result<Delta> {
    let Some(digest) = digest else { return Ok(Delta::default()) };
    Ok(Delta::decode(&objects.read(ObjectName { kind: ObjectKind::Delta, digest })?)?)
}

struct Deltas {
    before: Delta,
    after: Delta,
}

/// Records of the later delta that the earlier one does not have: a shard has their state before, or they are new.
#[derive(Default)]
struct Unknown<'a> {
    customers: Vec<(EntryKey, &'a [u8])>,
    items: Vec<(i64, &'a [u8])>,
}

impl Deltas {
    /// The records whose state before is in shards, if any. `None` if the deltas alone show that something is taken away.
    fn unknown(&self, now: UnixSecs) -> Result<Option<Unknown<'_>>> {
        let Self { before, after } = self;
        let mut unknown = Unknown::default();
        // A removal takes something away, whatever the record was. So does a key that the delta no longer has.
        let is_removed = |record: &[u8]| record.is_empty();
        let is_gone = before.customers.keys().any(|key| !after.customers.contains_key(key))
            || before.items.keys().any(|id| !after.items.contains_key(id))
            || before.external_ids.keys().any(|key| !after.external_ids.contains_key(key));
        if is_gone {
            return Ok(None);
        }
        // An id that leads to other items takes them away from those who asked by it. It changes seldom.
        if after.external_ids.iter().any(|(key, record)| before.external_ids.get(key) != Some(record)) {
            return Ok(None);
        }
        for (key, record) in &after.customers {
            match before.customers.get(key) {
                Some(known) if known == record => {}
                Some(known) if loses(known, record, |known, record| customer_loses(known, record, now))? => {
                    return Ok(None);
                }
                Some(_) => {}
                None if is_removed(record) => return Ok(None),
                None => unknown.customers.push((*key, record)),
            }
        }
        for (id, record) in &after.items {
            match before.items.get(id) {
                Some(known) if known == record => {}
                Some(known) if loses(known, record, item_loses)? => return Ok(None),
                Some(_) => {}
                None if is_removed(record) => return Ok(None),
                None => unknown.items.push((*id, record)),
            }
        }
        Ok(Some(unknown))
    }
}

/// As `compare`, for records of a delta, of which an empty one stands for none.
fn loses(before: &[u8], after: &[u8], compare: impl Fn(&[u8], &[u8]) -> Result<bool>) -> Result<bool> {
    match (before.is_empty(), after.is_empty()) {
        (true, _) => Ok(false),
        (false, true) => Ok(true),
        (false, false) => compare(before, after),
    }
}

impl Unknown<'_> {
    const fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.items.is_empty()
    }

    /// Whether one of the records loses something against its state in the shards of `index`.
    fn lose(
        &self,
        index: &Index,
        objects: &dyn ReadObject,
        shards_max: usize,
        now: UnixSecs,
    ) -> Result<bool> {
        let customers = self.customers.iter().map(|(key, _)| (Tree::Customers, *key));
        let items = self.items.iter().map(|(id, _)| (Tree::Items, index.item_key(*id)));
        let keys: Vec<_> = customers.chain(items).collect();
        let Some(shards) = Shards::read(index, &keys, objects, shards_max)? else { return Ok(true) };
        for (key, record) in &self.customers {
            let before = shards.record(Tree::Customers, *key)?;
            if before.is_some_and(|before| customer_loses(before, record, now).unwrap_or(true)) {
                return Ok(true);
            }
        }
        for (id, record) in &self.items {
            let before = shards.record(Tree::Items, index.item_key(*id))?;
            if before.is_some_and(|before| item_loses(before, record).unwrap_or(true)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The shards of some keys.
struct Shards<'a> {
    index: &'a Index,
    objects: BTreeMap<ObjectName, Object>,
}

impl<'a> Shards<'a> {
    /// Reads the pages and shards of `keys`. `None` if they are more than `most`.
    fn read(
        index: &'a Index,
        keys: &[(Tree, EntryKey)],
        objects: &dyn ReadObject,
        most: usize,
    ) -> Result<Option<Self>> {
        let mut shards = Self { index, objects: BTreeMap::new() };
        // Pages first, then the shards that they name: two rounds at most.
        for _ in 0..2 {
            let mut missing = Vec::new();
            for (tree, key) in keys {
                if let Place::Page(name) | Place::Shard(name) = shards.place(*tree, *key)?
                    && !shards.objects.contains_key(&name)
                    && !missing.contains(&name)
                {
                    missing.push(name);
                }
                if missing.len() > most {
                    return Ok(None);
                }
            }
            let read = parallel::try_map(&missing, THREADS, |name| objects.read(*name))?;
            shards.objects.extend(missing.into_iter().zip(read));
        }
        Ok(Some(shards))
    }

    fn place(&self, tree: Tree, key: EntryKey) -> Result<Place> {
        Ok(self.index.place(tree, key, |page| self.objects.get(&page).map(|page| page.as_slice()))?)
    }

    /// The record of a key, if there is one.
    fn record(&self, tree: Tree, key: EntryKey) -> Result<Option<&[u8]>> {
        let Place::Shard(name) = self.place(tree, key)? else { return Ok(None) };
        let shard = self.objects.get(&name).context("a shard that was not read")?;
        Ok(match Table::of_shard(shard)?.get(key)? {
            Entry::Record(record) => Some(record),
            Entry::Removed | Entry::Unknown => None,
        })
    }
}

#[cfg(test)]
mod tests;
