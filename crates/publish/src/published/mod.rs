//! What is published, read back: the last good state of records that are set aside, and what a new version is
//! compared with. Native only.

mod catalogue;
mod loss;

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

pub use self::loss::{Loss, Losses, Side};
use super::{
    build::{BuildError, Layout, ShardBits, keyed},
    source::Catalogue,
    update::Delta,
};

/// Shards that are kept for the next group of customers that lies in them: 16 MiB.
const KEPT_SHARDS_MAX: usize = 256;

/// Records by key.
pub type Records = BTreeMap<EntryKey, Vec<u8>>;

/// Reads an object by its name.
pub type ReadObject<'a> = Box<dyn Fn(ObjectName) -> io::Result<Vec<u8>> + Sync + 'a>;

/// A published version.
pub struct Published<'a> {
    index: Index,
    directory: Directory,
    /// What changed since the shards were written, per tree. An empty record says that the key is gone.
    delta: [Records; 2],
    read: ReadObject<'a>,
    /// The names of shards, per tree.
    names: [Vec<Option<ObjectName>>; 2],
    shards: Mutex<BTreeMap<ObjectName, Arc<Vec<u8>>>>,
}

/// What a head leads to.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// The index.
    pub index: admit_snapshot::object::Digest,
    /// The directory.
    pub directory: admit_snapshot::object::Digest,
    /// What changed since the shards were written.
    pub delta: Option<admit_snapshot::object::Digest>,
}

impl<'a> Published<'a> {
    /// The version of these objects, which `read` reads.
    ///
    /// # Errors
    /// Index, a page of it, directory or delta cannot be read or are not what they should be.
    pub fn new(named: Named, read: ReadObject<'a>) -> Result<Self, BuildError> {
        let object = |kind, digest| read_checked(&read, ObjectName { kind, digest });
        let index = Index::decode(object(ObjectKind::Index, named.index)?)?;
        let directory = Directory::decode(&object(ObjectKind::Directory, named.directory)?)?;
        let delta = match named.delta {
            Some(digest) => Delta::decode(&object(ObjectKind::Delta, digest)?)?,
            None => Delta::default(),
        };
        let delta = [delta.customers, keyed(delta.items, index.salt())];
        let names = [shard_names(&index, Tree::Customers, &read)?, shard_names(&index, Tree::Items, &read)?];
        Ok(Self { index, directory, delta, read, names, shards: Mutex::default() })
    }

    /// How many shards it has.
    #[must_use]
    pub fn shard_bits(&self) -> ShardBits {
        ShardBits::of(&self.index)
    }

    /// How it is laid out, for the version that follows it. One of format 1 has no salt: then it is `fresh`.
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

    /// The records whose keys have these leading `bits`.
    ///
    /// # Errors
    /// A shard cannot be read, or is not what it should be.
    pub fn records(&self, tree: Tree, prefix: usize, bits: u8) -> Result<Records, BuildError> {
        let names = self.names(tree);
        let own_bits = u8::try_from(names.len().trailing_zeros()).unwrap_or(u8::MAX);
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
        let [customers, items] = &self.delta;
        let delta = match tree {
            Tree::Customers => customers,
            Tree::Items => items,
        };
        for (key, record) in delta {
            if key.shard(bits) != prefix {
                continue;
            }
            if record.is_empty() {
                records.remove(key);
            } else {
                records.insert(*key, record.clone());
            }
        }
        Ok(records)
    }

    /// The catalogue: what a publish of it would publish again. Names that edges do not read are not in it.
    ///
    /// # Errors
    /// An object cannot be read, or is not what it should be.
    pub fn catalogue(&self) -> Result<Catalogue, BuildError> {
        let mut items = Records::new();
        let bits = self.shard_bits().items;
        for shard in 0..self.names(Tree::Items).len() {
            items.append(&mut self.records(Tree::Items, shard, bits)?);
        }
        catalogue::of(&self.directory, &items)
    }

    fn names(&self, tree: Tree) -> &[Option<ObjectName>] {
        let [customers, items] = &self.names;
        match tree {
            Tree::Customers => customers,
            Tree::Items => items,
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
    let mut shards = index.top_shards(tree)?;
    for (position, name) in index.pages(tree)?.into_iter().enumerate() {
        shards.extend(index.page_shards(tree, position, &read_checked(read, name)?)?);
    }
    let mut names = vec![None; index.shard_count(tree)];
    for (number, name) in shards {
        *names.get_mut(number).ok_or(BuildError::Unresolved("shard"))? = Some(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
