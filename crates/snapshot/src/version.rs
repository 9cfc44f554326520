//! A version of the snapshot as an isolate holds it: head, index, directory and delta in memory, shards and
//! pages in a cache that all versions share.
//!
//! ```text
//! look_up(key) ─► delta ─ unknown ─► index (─► page) ─► shard ─► Found::Record or Found::Absent
//!                                      └──────────┴──► Found::Load(name): load the object, then ask again
//! ```
//!
//! ```
//! use std::{collections::HashMap, rc::Rc};
//!
//! use admit_snapshot::{
//!     directory::Directory,
//!     head::Head,
//!     index::{Index, NewTree, Tree, encode_index},
//!     key::{EntryKey, ItemSalt},
//!     object::{Digest, FormatError, ObjectKind, ObjectName},
//!     table::write_table,
//!     version::{Found, ObjectCache, Version},
//! };
//!
//! // A store with one shard, which holds one customer.
//! let key = EntryKey::customer("shop", "42");
//! let mut shard = ObjectKind::Shard.header().to_vec();
//! write_table(&mut shard, &[(key, "a record")])?;
//! let name = ObjectName::of(ObjectKind::Shard, &shard);
//! let store = HashMap::from([(name, Rc::<[u8]>::from(shard))]);
//!
//! let (customers, empty) = (NewTree::new(vec![Some(name.digest)])?, NewTree::new(vec![None])?);
//! let (index, _) = encode_index(ItemSalt::IN_MEMORY, [&customers, &empty, &empty], 15)?;
//! let version = Version {
//!     head: Head::new(1, 0, Digest::of(&index), Digest::of(b"the directory")),
//!     index: Rc::new(Index::decode(index)?),
//!     directory: Rc::new(Directory::default()),
//!     delta: None,
//! };
//!
//! // Ask again after each load, until the look-up ends.
//! let mut cache = ObjectCache::new(1 << 20);
//! let record = loop {
//!     match version.look_up(Tree::Customers, key, &mut cache)? {
//!         Found::Record(record) => break Some(record),
//!         Found::Absent => break None,
//!         Found::Load(name) => cache.insert(name, Rc::clone(&store[&name])),
//!     }
//! };
//! assert_eq!(record.map(|record| record.bytes().to_vec()).as_deref(), Some(&b"a record"[..]));
//! # Ok::<(), FormatError>(())
//! ```

mod cache;
mod walk;

use std::{ops::Range, rc::Rc};

pub use self::{cache::ObjectCache, walk::Walked};
use super::{
    delta,
    directory::Directory,
    head::Head,
    index::{Index, Place, Tree},
    key::EntryKey,
    object::{FormatError, ObjectName},
    table::{Entry, Table},
};

pub use super::source::Source;

/// One version of the snapshot, ready for look-ups.
#[derive(Debug)]
pub struct Version {
    /// The head, as the publisher signed it.
    pub head: Head,
    /// Which shard holds which keys.
    pub index: Rc<Index>,
    /// Merchants, apps, clients and licences.
    pub directory: Rc<Directory>,
    /// The changes since the shards were written, as the object's bytes.
    pub delta: Option<Rc<[u8]>>,
}

/// Outcome of a look-up.
#[derive(Clone, Debug)]
pub enum Found {
    /// The record.
    Record(Record),
    /// The snapshot has no record for the key.
    Absent,
    /// This object must be loaded before the look-up can go on.
    Load(ObjectName),
}

/// A record, with shared ownership of the object that holds it.
#[derive(Clone, Debug)]
pub struct Record {
    object: Rc<[u8]>,
    range: Range<usize>,
}

impl Record {
    fn within(object: &Rc<[u8]>, record: &[u8]) -> Self {
        // `record` is a part of `object`, so its offset is the difference of the addresses.
        let start = record.as_ptr().addr().saturating_sub(object.as_ptr().addr());
        Self { object: Rc::clone(object), range: start..start.saturating_add(record.len()) }
    }

    /// The record's bytes, for [`CustomerRecord`](super::customer::CustomerRecord),
    /// [`ItemRecord`](super::item::ItemRecord) or [`ExternalRecord`](super::external_id::ExternalRecord).
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.object.get(self.range.clone()).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Record {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Version {
    /// Where a record that this version gave was found.
    #[must_use]
    pub fn source(&self, record: &Record) -> Source {
        match &self.delta {
            Some(delta) if Rc::ptr_eq(delta, &record.object) => Source::Delta,
            _ => Source::Shard,
        }
    }

    /// Looks a key up: first in the delta, then in its shard.
    ///
    /// # Errors
    /// A loaded object is corrupt.
    pub fn look_up(
        &self,
        tree: Tree,
        key: EntryKey,
        objects: &mut ObjectCache,
    ) -> Result<Found, FormatError> {
        // The delta is newer than the shards, and its removals count as well.
        if let Some(object) = &self.delta {
            match delta::look_up(object, tree, key)? {
                Entry::Record(record) => return Ok(Found::Record(Record::within(object, record))),
                Entry::Removed => return Ok(Found::Absent),
                Entry::Unknown => {}
            }
        }
        let shard = match self.index.place(tree, key, |page| objects.get(page))? {
            Place::Nowhere => return Ok(Found::Absent),
            Place::Page(name) => return Ok(Found::Load(name)),
            Place::Shard(name) => name,
        };
        let Some(object) = objects.get(shard) else { return Ok(Found::Load(shard)) };
        Ok(match Table::of_shard(&object)?.get(key)? {
            Entry::Record(record) => Found::Record(Record::within(&object, record)),
            Entry::Removed | Entry::Unknown => Found::Absent,
        })
    }
}

#[cfg(test)]
mod tests;
