//! A published version, read back.
//!
//! [`Published`] opens one for look-ups; [`walk_shards`] leads through its index. [`PublishedRecords`] gives its records
//! to a build, which takes over the last good state of those that are set aside, and [`Losses`] compares two versions.
//!
//! ```
//! use std::{collections::HashMap, io};
//!
//! use admit_publish::{
//!     build::build_ndjson,
//!     published::{Losses, Named, PublishedRecords},
//! };
//!
//! let now = 1_900_000_000;
//! let lines = concat!(
//!     r#"{"type":"merchant","id":21,"uuid":"3b39b5ab-b5fc-4ba3-b770-73155d20e61f"}"#, "\n",
//!     r#"{"type":"customer","namespace":"shop","subject":"42","id":42,"uuid":"528b1b80-5868-4abc-a9b6-4d3455d719c8","merchant_id":21}"#, "\n",
//! );
//! let (merchant, _) = lines.split_at(lines.find('\n').unwrap_or(0));
//! let (before, after) = (build_ndjson(lines.as_bytes(), now)?, build_ndjson(merchant.as_bytes(), now)?);
//!
//! let objects: HashMap<_, _> = before.objects.into_iter().chain(after.objects).collect();
//! let open = |index, directory| {
//!     let read = |name| objects.get(&name).cloned().ok_or_else(|| io::Error::other("no such object"));
//!     PublishedRecords::new(Named { index, directory, delta: None }, Box::new(read))
//! };
//! let (before, after) = (open(before.index, before.directory)?, open(after.index, after.directory)?);
//! let losses = Losses::between(&before, &after, now).map_err(|side| format!("{side:?}"))?;
//! assert_eq!(losses.to_string(), "1 of 1 customers");
//! assert!(losses.customers.is_most());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod catalogue;
mod loss;
mod open;
mod walk;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use admit_snapshot::{
    directory::Directory,
    index::{Index, Tree},
    key::{EntryKey, ItemSalt},
    object::{ObjectKind, ObjectName},
    table::{Entry, Table},
};

pub use self::{
    loss::{Loss, Losses, Side},
    open::{FoundRecord, Published},
    walk::{Shards, walk_shards},
};
use super::{
    build::{BuildError, Layout, ShardBits, keyed},
    source::Catalogue,
    update::Delta,
};

/// Number of shards kept for the next group of customers in them: 256 × 64 KiB are 16 MiB.
const KEPT_SHARDS_MAX: usize = 256;

/// Records by key.
pub type Records = BTreeMap<EntryKey, Vec<u8>>;

/// Reads an object by its name.
pub type ReadObject<'a> = Box<dyn Fn(ObjectName) -> io::Result<Vec<u8>> + Sync + 'a>;

/// A published version, with its index, directory and delta in memory.
pub struct PublishedRecords<'a> {
    index: Index,
    directory: Directory,
    /// Changes since the shards were written, for each tree. An empty record marks a removed key.
    delta: [Records; Tree::ALL.len()],
    read: ReadObject<'a>,
    /// Names of all shards, for each tree.
    names: [Vec<Option<ObjectName>>; Tree::ALL.len()],
    shards: Mutex<BTreeMap<ObjectName, Arc<Vec<u8>>>>,
}

/// The objects that a head names.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// Name of the index.
    pub index: admit_snapshot::object::Digest,
    /// Name of the directory.
    pub directory: admit_snapshot::object::Digest,
    /// Name of the delta, if there is one.
    pub delta: Option<admit_snapshot::object::Digest>,
}

impl<'a> PublishedRecords<'a> {
    /// Loads the version with these objects. `read` reads an object by its name.
    ///
    /// # Errors
    /// Index, page, directory or delta cannot be read or is corrupt.
    pub fn new(named: Named, read: ReadObject<'a>) -> Result<Self, BuildError> {
        let object = |kind, digest| read_checked(&read, ObjectName { kind, digest });
        let index = Index::decode(object(ObjectKind::Index, named.index)?)?;
        let directory = Directory::decode(&object(ObjectKind::Directory, named.directory)?)?;
        let delta = match named.delta {
            Some(digest) => Delta::decode(&object(ObjectKind::Delta, digest)?)?,
            None => Delta::default(),
        };
        let delta = [delta.customers, keyed(delta.items, index.salt()), delta.external_ids];
        let [customers, items, external_ids] = Tree::ALL.map(|tree| shard_names(&index, tree, &read));
        let names = [customers?, items?, external_ids?];
        Ok(Self { index, directory, delta, read, names, shards: Mutex::default() })
    }

    /// Numbers of shards, as powers of two.
    #[must_use]
    pub fn shard_bits(&self) -> ShardBits {
        ShardBits::of(&self.index)
    }

    /// Layout for the version that follows. A version of format 1 has no salt; its successor gets `fresh`.
    #[must_use]
    pub fn layout(&self, fresh: ItemSalt) -> Layout {
        Layout::of(&self.index, fresh)
    }

    /// The key of an item in this version.
    #[must_use]
    pub fn item_key(&self, id: i64) -> EntryKey {
        self.index.item_key(id)
    }

    /// Merchants, apps, clients and licences.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The records whose keys begin with the `bits` bits of `prefix`, with the delta applied.
    ///
    /// # Errors
    /// A shard cannot be read or is corrupt.
    pub fn records(&self, tree: Tree, prefix: usize, bits: u8) -> Result<Records, BuildError> {
        let names = self.names(tree);
        let own_bits = u8::try_from(names.len().trailing_zeros()).unwrap_or(u8::MAX);
        // The prefix covers several whole shards, or lies within a single one.
        let (first, count) = if own_bits >= bits {
            let more = own_bits - bits;
            (prefix << more, 1 << more)
        } else {
            (prefix >> (bits - own_bits), 1)
        };
        let mut records = Records::new();
        for name in names.iter().skip(first).take(count).flatten() {
            let shard = self.shard(*name)?;
            for (key, entry) in Table::of_shard(&shard)?.iter() {
                if let Entry::Record(record) = entry?
                    && key.shard(bits) == prefix
                {
                    records.insert(key, record.to_vec());
                }
            }
        }
        let [customers, items, external_ids] = &self.delta;
        let delta = match tree {
            Tree::Customers => customers,
            Tree::Items => items,
            Tree::ExternalIds => external_ids,
        };
        for (key, record) in delta {
            if key.shard(bits) != prefix {
                continue;
            }
            // The delta overrides the shards; an empty record removes.
            if record.is_empty() {
                records.remove(key);
            } else {
                records.insert(*key, record.clone());
            }
        }
        Ok(records)
    }

    /// The catalogue, such that publishing it would give the same records again. Names that edges do not read
    /// are empty in it.
    ///
    /// # Errors
    /// An object cannot be read or is corrupt.
    pub fn catalogue(&self) -> Result<Catalogue, BuildError> {
        let mut items = Records::new();
        let bits = self.shard_bits().items;
        for shard in 0..self.names(Tree::Items).len() {
            items.append(&mut self.records(Tree::Items, shard, bits)?);
        }
        Ok(Catalogue { salt: self.index.salt(), ..catalogue::of(&self.directory, &items)? })
    }

    fn names(&self, tree: Tree) -> &[Option<ObjectName>] {
        let [customers, items, external_ids] = &self.names;
        match tree {
            Tree::Customers => customers,
            Tree::Items => items,
            Tree::ExternalIds => external_ids,
        }
    }

    fn shard(&self, name: ObjectName) -> Result<Arc<Vec<u8>>, BuildError> {
        let known = self.shards.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(shard) = known {
            return Ok(shard);
        }
        let shard = Arc::new(read_checked(&self.read, name)?);
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if shards.len() >= KEPT_SHARDS_MAX {
            shards.clear();
        }
        shards.insert(name, Arc::clone(&shard));
        Ok(shard)
    }
}

fn read_checked(
    read: &(impl Fn(ObjectName) -> io::Result<Vec<u8>> + ?Sized),
    name: ObjectName,
) -> Result<Vec<u8>, BuildError> {
    let object = read(name)?;
    name.check(&object)?;
    Ok(object)
}

fn shard_names(
    index: &Index,
    tree: Tree,
    read: &ReadObject<'_>,
) -> Result<Vec<Option<ObjectName>>, BuildError> {
    let mut names = vec![None; index.shard_count(tree)];
    let page = |position, name| -> Result<Shards, BuildError> {
        Ok(index.page_shards(tree, position, &read_checked(read, name)?)?)
    };
    walk_shards(index, tree, page, |shards| {
        for (number, name) in shards {
            *names.get_mut(number).ok_or(BuildError::Unresolved("shard"))? = Some(name);
        }
        Ok(())
    })?;
    Ok(names)
}

#[cfg(test)]
mod tests;
