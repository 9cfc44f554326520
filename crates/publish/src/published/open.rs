//! A published version, opened for commands that look things up in it.

use std::{collections::BTreeMap, path::Path, rc::Rc};

use admit::limits::OBJECT_CACHE_BYTES;
use admit_snapshot::{
    delta::{self, Tables},
    directory::Directory,
    external_id::ExternalRecord,
    head::Head,
    index::Tree,
    key::EntryKey,
    object::{ObjectKind, ObjectName},
    report::Effect,
    version::{Found, ObjectCache, Record, Source, Version},
};
use anyhow::{Context, Result};

use crate::{
    head::SignedHead,
    overlay,
    store::{
        Store,
        reach::{self, read},
    },
};

/// A published version: its head, and the objects that the head names, decoded. Shards are read when they are looked up.
///
/// ```no_run
/// use admit_publish::{bearer::Credentials, published::Published, store::Store};
///
/// let store = Store::open("dir:store", &Credentials::default())?;
/// let mut published = Published::open(&store, None)?;
/// if let Some(known) = published.item(33)? {
///     println!("item 33 is in a {}", known.found_in.name());
/// }
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Published {
    /// The store that the version is read from.
    pub store: Store,
    /// Head, index, directory and delta.
    pub version: Version,
    /// Bytes of the index.
    pub index_bytes: usize,
    /// Bytes of the directory.
    pub directory_bytes: usize,
    objects: ObjectCache,
}

/// A record, and where it was found.
pub struct FoundRecord {
    /// The record.
    pub record: Record,
    /// Whether it is in the delta or in a shard.
    pub found_in: Source,
}

impl Published {
    /// Opens the version that the store's head describes. If there is a `key`, it must have signed the head.
    ///
    /// # Errors
    /// The store does not answer, nothing is published, the head cannot be trusted, or an object does not match the head
    /// or its digest.
    pub fn open(store: &Store, key: Option<&Path>) -> Result<Self> {
        let jws = store.head()?.context("nothing is published yet: `admit publish` does that")?;
        Self::at(store, SignedHead::read(&jws, key)?.trusted("the published head")?)
    }

    /// Opens the version that `head` describes.
    ///
    /// # Errors
    /// An object of the version cannot be read.
    pub fn at(store: &Store, head: Head) -> Result<Self> {
        let index = read(store, ObjectName { kind: ObjectKind::Index, digest: head.index })?;
        let index_bytes = index.len();
        let directory = read(store, ObjectName { kind: ObjectKind::Directory, digest: head.directory })?;
        let delta = head.delta.map(|digest| ObjectName { kind: ObjectKind::Delta, digest });
        let delta: Option<Rc<[u8]>> = delta.map(|name| read(store, name)).transpose()?.map(Rc::from);
        // Checked once, so that later look-ups do not fail on it.
        if let Some(delta) = &delta {
            delta::tables(delta).context("delta")?;
        }
        Ok(Self {
            store: store.clone(),
            index_bytes,
            directory_bytes: directory.len(),
            version: Version {
                index: reach::decode_index(index)?.into(),
                directory: Directory::decode(&directory).context("directory")?.into(),
                delta,
                head,
            },
            objects: ObjectCache::new(OBJECT_CACHE_BYTES),
        })
    }

    /// The head.
    pub const fn head(&self) -> &Head {
        &self.version.head
    }

    /// The number of places for shards in a tree, as a power of two.
    pub fn shard_bits(&self, tree: Tree) -> u8 {
        reach::shard_bits(&self.version.index, tree)
    }

    /// The shards of a tree that have entries, by position.
    ///
    /// # Errors
    /// A page cannot be read.
    pub fn shards(&self, tree: Tree) -> Result<BTreeMap<usize, ObjectName>> {
        reach::shards(&self.store, &self.version.index, tree)
    }

    /// The delta, if there is one.
    pub fn delta(&self) -> Option<Tables<'_>> {
        // `at` has checked the delta.
        delta::tables(self.version.delta.as_deref()?).ok()
    }

    /// The effect of the delta on the records of a tree, by reading the shards that it touches. `None` if these are more
    /// than `shards_max`.
    ///
    /// # Errors
    /// A shard cannot be read.
    pub fn effect(&self, tree: Tree, shards_max: usize) -> Result<Option<Effect>> {
        overlay::count(&self.store, &self.version.index, self.delta(), tree, shards_max)
    }

    /// The number of records in a tree. With a delta, the shards that it touches are read to count them; without one the
    /// head has the number.
    ///
    /// # Errors
    /// A shard that the delta touches cannot be read.
    pub fn total(&self, tree: Tree) -> Result<u64> {
        let in_shards = match tree {
            Tree::Customers => self.head().customers,
            Tree::Items => self.head().items,
            // The head does not count external ids.
            Tree::ExternalIds => 0,
        };
        Ok(self.effect(tree, usize::MAX)?.unwrap_or_default().total(in_shards))
    }

    /// The record of a customer, if there is one.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn customer(&mut self, key: EntryKey) -> Result<Option<FoundRecord>> {
        self.find(Tree::Customers, key)
    }

    /// The record of an item, if there is one.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn item(&mut self, id: i64) -> Result<Option<FoundRecord>> {
        self.find(Tree::Items, self.version.index.item_key(id))
    }

    /// Merchants and items that an external id names, in ascending order of merchant, the preferred item of each first. `None` if the version does not know
    /// external ids: it has format 1 or 2.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn external(&mut self, item_type: &str, external_id: &str) -> Result<Option<Vec<(i64, i64)>>> {
        if !self.version.index.has_external_ids() {
            return Ok(None);
        }
        let key = self.version.index.external_key(item_type, external_id);
        let Some(found) = self.find(Tree::ExternalIds, key)? else { return Ok(Some(Vec::new())) };
        Ok(Some(ExternalRecord::new(found.record.bytes())?.iter().collect()))
    }

    fn find(&mut self, tree: Tree, key: EntryKey) -> Result<Option<FoundRecord>> {
        loop {
            match self.version.look_up(tree, key, &mut self.objects)? {
                Found::Record(record) => {
                    let found_in = self.version.source(&record);
                    return Ok(Some(FoundRecord { record, found_in }));
                }
                Found::Absent => return Ok(None),
                Found::Load(name) => {
                    let object = read(&self.store, name)?;
                    self.objects.insert(name, object.into());
                }
            }
        }
    }
}
