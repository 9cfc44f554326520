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

use std::{
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
    rc::Rc,
};

use lru::LruCache;

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

/// What a walk came to.
#[derive(Clone, Debug)]
pub enum Walked {
    /// The records, in the order of their keys, and the key after which the walk goes on. `None`: there are no others.
    Records(Vec<(EntryKey, Record)>, Option<EntryKey>),
    /// These objects must be loaded before.
    Load(Vec<ObjectName>),
}

impl Version {
    /// Reads the records of a tree after `after`, or from the first one on, up to the end of the `shards_max`th shard. A
    /// walk that goes on in a later version sees each record that both versions have.
    ///
    /// # Errors
    /// A loaded object is corrupt.
    pub fn walk(
        &self,
        tree: Tree,
        after: Option<EntryKey>,
        shards_max: usize,
        objects: &mut ObjectCache,
    ) -> Result<Walked, FormatError> {
        let bits = self.index.shard_bits(tree);
        // The shard of the next key: the one of `after` may have no further ones.
        let from = match after {
            Some(EntryKey(after)) => u128::from_be_bytes(after).checked_add(1),
            None => Some(0),
        };
        let Some(from) = from else { return Ok(Walked::Records(Vec::new(), None)) };
        let (first, count) = (EntryKey(from.to_be_bytes()).shard(bits), self.index.shard_count(tree));
        let end = count.min(first.saturating_add(shards_max));
        let (mut shards, mut missing) = (Vec::new(), Vec::new());
        for number in first..end {
            match self.index.place(tree, EntryKey::first_of(number, bits), |page| objects.get(page))? {
                Place::Nowhere => shards.push(None),
                Place::Shard(name) => match objects.get(name) {
                    Some(object) => shards.push(Some(object)),
                    None => missing.push(name),
                },
                Place::Page(name) if missing.contains(&name) => {}
                Place::Page(name) => missing.push(name),
            }
        }
        if !missing.is_empty() {
            return Ok(Walked::Load(missing));
        }
        let changes = match &self.delta {
            Some(delta) => delta::tables(delta)?.of(tree),
            None => Table::default(),
        };
        let mut records = Vec::new();
        for (number, shard) in (first..).zip(&shards) {
            let is_here =
                |key: &EntryKey| after.is_none_or(|after| *key > after) && key.shard(bits) == number;
            // Both are in ascending order: the delta's entries come between those of the shard, or in their place.
            let mut changed = changes.iter().filter(|(key, _)| is_here(key)).peekable();
            let mut take = |object: Option<&Rc<[u8]>>, key, entry| {
                if let (Some(object), Entry::Record(record)) = (object, entry) {
                    records.push((key, Record::within(object, record)));
                }
            };
            let table = match shard {
                Some(object) => Table::of_shard(object)?,
                None => Table::default(),
            };
            for (key, entry) in table.iter().filter(|(key, _)| is_here(key)) {
                let mut is_replaced = false;
                while let Some((newer, entry)) = changed.next_if(|(newer, _)| *newer <= key) {
                    is_replaced |= newer == key;
                    take(self.delta.as_ref(), newer, entry?);
                }
                if !is_replaced {
                    take(shard.as_ref(), key, entry?);
                }
            }
            for (newer, entry) in changed {
                take(self.delta.as_ref(), newer, entry?);
            }
        }
        let last = (end < count).then(|| EntryKey::last_before(end, bits));
        Ok(Walked::Records(records, last))
    }
}

/// A cheap hasher. Digests are uniformly distributed, and only the publisher chooses them.
#[derive(Debug, Default)]
struct OfDigest(u64);

impl Hasher for OfDigest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(8) ^ word;
    }

    // What tells the kinds of objects apart.
    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }
}

/// Shards and pages in memory, bounded by their bytes. The least recently used are dropped first.
#[derive(Debug)]
pub struct ObjectCache {
    objects: LruCache<ObjectName, Rc<[u8]>, BuildHasherDefault<OfDigest>>,
    size_bytes: usize,
    limit_bytes: usize,
}

impl ObjectCache {
    /// An empty cache for at most `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            objects: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            size_bytes: 0,
            limit_bytes,
        }
    }

    /// Returns an object and marks it as used now.
    pub fn get(&mut self, name: ObjectName) -> Option<Rc<[u8]>> {
        self.objects.get(&name).map(Rc::clone)
    }

    /// Keeps an object. The caller has checked its bytes against its name.
    pub fn insert(&mut self, name: ObjectName, object: Rc<[u8]>) {
        self.size_bytes += object.len();
        if let Some(previous) = self.objects.put(name, object) {
            self.size_bytes -= previous.len();
        }
        // The newest object stays even if it exceeds the limit by itself: its request is waiting for it.
        while self.size_bytes > self.limit_bytes && self.objects.len() > 1 {
            let Some((_, oldest)) = self.objects.pop_lru() else { break };
            self.size_bytes -= oldest.len();
        }
    }

    /// Bytes of all objects in the cache.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Number of objects in the cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        index::{NewTree, encode_index},
        key::ItemSalt,
        object::{Digest, ObjectKind},
        table::write_table,
    };

    const KEY: EntryKey = EntryKey([0x10; 16]);
    const KEPT: EntryKey = EntryKey([0x50; 16]);
    const OTHER: EntryKey = EntryKey([0x90; 16]);

    fn shard(entries: &[(EntryKey, &[u8])]) -> (ObjectName, Rc<[u8]>) {
        let mut object = ObjectKind::Shard.header().to_vec();
        write_table(&mut object, entries).unwrap();
        (ObjectName::of(ObjectKind::Shard, &object), object.into())
    }

    fn version(
        shards: Vec<Option<Digest>>,
        page_above_bits: u8,
        delta: Option<Vec<u8>>,
    ) -> (Version, Vec<Vec<u8>>) {
        let empty = NewTree::new(vec![None]).unwrap();
        let customers = NewTree::new(shards).unwrap();
        let (index, pages) =
            encode_index(ItemSalt::IN_MEMORY, [&customers, &empty, &empty], page_above_bits).unwrap();
        let digest = Digest::of(&index);
        let head = Head { customers: 1, ..Head::new(1, 1, digest, digest) };
        let index = Rc::new(Index::decode(index).unwrap());
        (Version { head, index, directory: Rc::default(), delta: delta.map(Into::into) }, pages)
    }

    fn bytes(found: Found) -> Option<Vec<u8>> {
        match found {
            Found::Record(record) => Some(record.bytes().to_vec()),
            Found::Absent => None,
            Found::Load(name) => panic!("{name} is not loaded"),
        }
    }

    #[test]
    fn a_look_up_names_what_it_needs_until_it_has_it() {
        let (name, object) = shard(&[(KEY, b"shard")]);
        let (version, pages) = version(vec![Some(name.digest), None], 0, None);
        let mut objects = ObjectCache::new(1 << 20);
        let Found::Load(page) = version.look_up(Tree::Customers, KEY, &mut objects).unwrap() else {
            panic!()
        };
        assert_eq!(page.kind, ObjectKind::Page);
        let bytes_of_page = pages.into_iter().find(|bytes| Digest::of(bytes) == page.digest).unwrap();
        objects.insert(page, bytes_of_page.into());
        let Found::Load(wanted) = version.look_up(Tree::Customers, KEY, &mut objects).unwrap() else {
            panic!()
        };
        assert_eq!(wanted, name);
        objects.insert(name, object);
        assert_eq!(
            bytes(version.look_up(Tree::Customers, KEY, &mut objects).unwrap()),
            Some(b"shard".to_vec())
        );
        assert_eq!(bytes(version.look_up(Tree::Items, KEY, &mut objects).unwrap()), None);
    }

    #[test]
    fn the_delta_comes_before_the_shard() {
        let (name, object) = shard(&[(KEY, b"old"), (KEPT, b"kept"), (OTHER, b"gone")]);
        let changes = delta::encode_delta([&[(KEY, b"new".as_slice()), (OTHER, b"")], &[], &[]]);
        let (version, _) = version(vec![Some(name.digest)], 5, Some(changes.unwrap()));
        let mut objects = ObjectCache::new(1 << 20);
        objects.insert(name, object);
        let mut find = |key| match version.look_up(Tree::Customers, key, &mut objects).unwrap() {
            Found::Record(record) => Some((record.bytes().to_vec(), version.source(&record))),
            Found::Absent => None,
            Found::Load(name) => panic!("{name} is not loaded"),
        };
        assert_eq!(find(KEY), Some((b"new".to_vec(), Source::Delta)));
        assert_eq!(find(KEPT), Some((b"kept".to_vec(), Source::Shard)));
        assert_eq!(find(OTHER), None);
    }

    /// The first bytes of the records of a walk, page by page.
    fn walked(version: &Version, shards_max: usize, objects: &mut ObjectCache) -> Vec<Vec<Vec<u8>>> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let Walked::Records(records, next) =
                version.walk(Tree::Customers, after, shards_max, objects).unwrap()
            else {
                panic!("everything is loaded")
            };
            assert!(records.is_sorted_by_key(|(key, _)| *key));
            pages.push(records.iter().map(|(_, record)| record.bytes().to_vec()).collect());
            after = next;
            if after.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn a_walk_sees_each_record_once_and_the_delta_in_its_place() {
        let key = |first: u8| EntryKey([first; 16]);
        let (first, first_object) = shard(&[(key(0x10), b"a"), (key(0x20), b"b"), (key(0x30), b"c")]);
        let (last, last_object) = shard(&[(key(0xf0), b"z")]);
        let changes: [(EntryKey, &[u8]); 5] = [
            (key(0x08), b"new"),
            (key(0x20), b"B"),
            (key(0x30), b""),
            (key(0x50), b"in an empty shard"),
            (key(0xff), b"the last"),
        ];
        let delta = delta::encode_delta([&changes, &[], &[]]).unwrap();
        let shards = || vec![Some(first.digest), None, None, Some(last.digest)];
        for page_above_bits in [0, 5] {
            let (version, pages) = version(shards(), page_above_bits, Some(delta.clone()));
            let mut objects = ObjectCache::new(1 << 20);
            // All that is missing is named: the pages first, then the shards.
            while let Walked::Load(names) = version.walk(Tree::Customers, None, 4, &mut objects).unwrap() {
                for name in names {
                    let page = pages.iter().find(|bytes| Digest::of(bytes) == name.digest);
                    let object = match page {
                        Some(page) => page.clone().into(),
                        None if name == first => Rc::clone(&first_object),
                        None => Rc::clone(&last_object),
                    };
                    objects.insert(name, object);
                }
            }
            let all: Vec<&[u8]> = vec![b"new", b"a", b"B", b"in an empty shard", b"z", b"the last"];
            for shards_max in [1, 2, 3, 4, 9] {
                let found = walked(&version, shards_max, &mut objects);
                assert_eq!(found.concat(), all, "{shards_max}");
                assert_eq!(found.len(), 4_usize.div_ceil(shards_max), "{shards_max}");
            }
            // From the middle of a shard.
            let Walked::Records(records, _) =
                version.walk(Tree::Customers, Some(key(0x10)), 1, &mut objects).unwrap()
            else {
                panic!()
            };
            assert_eq!(records.iter().map(|(_, record)| record.bytes()).collect::<Vec<_>>(), [b"B"]);
        }
    }

    #[test]
    fn the_cache_is_bounded_by_bytes_and_drops_the_least_recently_used() {
        let mut objects = ObjectCache::new(250);
        let name = |byte| ObjectName { kind: ObjectKind::Shard, digest: Digest([byte; 32]) };
        for byte in 1..=2 {
            objects.insert(name(byte), vec![byte; 100].into());
        }
        assert!(objects.get(name(1)).is_some());
        objects.insert(name(3), vec![3; 100].into());
        assert!(objects.get(name(2)).is_none());
        assert_eq!((objects.len(), objects.size_bytes()), (2, 200));
        objects.insert(name(3), vec![3; 50].into());
        assert_eq!(objects.size_bytes(), 150);
        objects.insert(name(4), vec![4; 1_000].into());
        assert_eq!((objects.len(), objects.size_bytes()), (1, 1_000));
    }
}
