//! The published snapshot, read object by object and checked against its digests.

use std::{path::Path, rc::Rc};

use admit::limits::OBJECT_CACHE_BYTES;
use admit_publish::{
    head::{Published, published},
    overlay,
    overlay::Effect,
    store::{
        Store,
        reach::{read, shards},
    },
};
use admit_snapshot::{
    delta::{self, Tables},
    denylist::Denylist,
    directory::Directory,
    head::Head,
    index::{Index, Tree},
    key::EntryKey,
    object::{ObjectKind, ObjectName},
    table::Entry,
    time::{UnixSecs, iso8601},
    version::{Found, ObjectCache, Record, Version},
};
use anyhow::{Context, Result, bail};
use serde::Serialize;

/// A published snapshot.
pub struct Snapshot<'s> {
    /// The store that it is read from.
    pub store: &'s Store,
    /// Head, index, directory and delta.
    pub version: Version,
    /// Bytes of the directory.
    pub directory_bytes: usize,
    /// Bytes of the index.
    pub index_bytes: usize,
    signature: Signature,
    objects: ObjectCache,
}

/// Whether the head's signature was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Signed by the key at hand.
    Verified,
    /// No key was given.
    NotChecked,
}

/// The head.
#[derive(Debug, Serialize)]
pub struct HeadReport {
    /// Version of the byte format.
    pub format: u8,
    /// The store that the head is for, if it names one.
    pub aud: Option<String>,
    /// The version.
    pub seq: u64,
    /// The origin's count of committed changes that the content reflects.
    pub origin_seq: u64,
    /// When the data was current, unix seconds.
    pub as_of: UnixSecs,
    /// The same as text.
    pub as_of_iso: String,
    /// The age of the head, which a follower renews while the origin answers.
    pub age_secs: i64,
    /// When the data last changed, unix seconds.
    pub changed_at: UnixSecs,
    /// Seconds since then.
    pub unchanged_secs: i64,
    /// When it was published, unix seconds.
    pub published_at: Option<UnixSecs>,
    /// Machine, process and release of the publisher.
    pub published_by: Option<String>,
    /// Number of customers including the delta; `None` when the delta touches more shards than may be read.
    pub customers: Option<u64>,
    /// Number of items including the delta; `None` likewise.
    pub items: Option<u64>,
    /// Number of customers in the shards, as the head says.
    pub customers_in_shards: u64,
    /// Number of items in the shards.
    pub items_in_shards: u64,
    /// The effect of the delta on the customers of the shards.
    pub delta_customers: Option<Effect>,
    /// The effect of the delta on the items.
    pub delta_items: Option<Effect>,
    /// Records of the origin that could not be used. The last usable state of each is published, if there is
    /// one.
    pub set_aside: u64,
    /// Revocations that are in force.
    pub revoked: usize,
    /// The denylist in the head.
    pub denylist: Denylist,
    /// Whether the signature was verified.
    pub signature: Signature,
}

/// A record, and where it was found.
pub struct Known {
    /// The record.
    pub record: Record,
    /// `delta` or `shard`.
    pub found_in: &'static str,
}

impl<'s> Snapshot<'s> {
    /// Loads the published version.
    ///
    /// # Errors
    /// The store does not answer, nothing is published, or an object does not match the head or its digest.
    pub fn load(store: &'s Store, key: Option<&Path>) -> Result<Self> {
        let jws = store.head()?.context("nothing is published yet: `admit publish` does that")?;
        let (head, signature) = match published(&jws, key)? {
            Published::Verified(head) => (head, Signature::Verified),
            Published::Unverified(head) => (head, Signature::NotChecked),
            Published::OtherKey(_) => bail!("the published head is signed by another key than --key"),
            Published::Broken(reason) => bail!("the published head cannot be trusted: {reason}"),
        };
        let index = read(store, ObjectName { kind: ObjectKind::Index, digest: head.index })?;
        let directory = read(store, ObjectName { kind: ObjectKind::Directory, digest: head.directory })?;
        let delta = head.delta.map(|digest| ObjectName { kind: ObjectKind::Delta, digest });
        let delta = delta.map(|name| read(store, name)).transpose()?.map(Rc::from);
        Ok(Self {
            store,
            directory_bytes: directory.len(),
            index_bytes: index.len(),
            version: Version {
                head,
                index: Index::decode(index).context("index")?.into(),
                directory: Directory::decode(&directory).context("directory")?.into(),
                delta,
            },
            signature,
            objects: ObjectCache::new(OBJECT_CACHE_BYTES),
        })
    }

    /// Describes the head at the time `now`. At most `shards_max` of the shards that the delta touches are
    /// read, to count what it adds and removes.
    ///
    /// # Errors
    /// One of these shards cannot be read.
    pub fn head_report(&self, now: UnixSecs, shards_max: usize) -> Result<HeadReport> {
        let Head { format, seq, as_of, published_at, customers, items, .. } = self.version.head;
        let Head { aud, published_by, denylist, .. } = self.version.head.clone();
        let delta = self.version.delta.as_deref();
        let count = |tree| overlay::count(self.store, &self.version.index, delta, tree, shards_max);
        let (delta_customers, delta_items) = (count(Tree::Customers)?, count(Tree::Items)?);
        Ok(HeadReport {
            format,
            aud,
            seq,
            origin_seq: self.version.head.origin_seq(),
            as_of,
            as_of_iso: iso8601(as_of, 0),
            age_secs: now.saturating_sub(as_of),
            changed_at: self.version.head.changed_at(),
            unchanged_secs: now.saturating_sub(self.version.head.changed_at()),
            published_at,
            published_by,
            customers: delta_customers.map(|effect| effect.total(customers)),
            items: delta_items.map(|effect| effect.total(items)),
            customers_in_shards: customers,
            items_in_shards: items,
            delta_customers,
            delta_items,
            set_aside: self.version.head.set_aside.unwrap_or(0),
            revoked: denylist.in_force(now),
            denylist,
            signature: self.signature,
        })
    }

    /// The record of a customer, if there is one.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn customer(&mut self, key: EntryKey) -> Result<Option<Known>> {
        self.find(Tree::Customers, key)
    }

    /// The delta, if there is one.
    ///
    /// # Errors
    /// The delta does not match its tables.
    pub fn delta(&self) -> Result<Option<Tables<'_>>> {
        self.version.delta.as_deref().map(delta::tables).transpose().context("delta")
    }

    /// The record of an item, if there is one.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn item(&mut self, id: i64) -> Result<Option<Known>> {
        self.find(Tree::Items, self.version.index.item_key(id))
    }

    fn find(&mut self, tree: Tree, key: EntryKey) -> Result<Option<Known>> {
        let in_delta = match &self.version.delta {
            Some(delta) => delta::look_up(delta, tree, key)? != Entry::Unknown,
            None => false,
        };
        loop {
            match self.version.look_up(tree, key, &mut self.objects)? {
                Found::Record(record) => {
                    return Ok(Some(Known { record, found_in: if in_delta { "delta" } else { "shard" } }));
                }
                Found::Absent => return Ok(None),
                Found::Load(name) => self.load_object(name)?,
            }
        }
    }

    /// The shards of a tree that have entries.
    ///
    /// # Errors
    /// A page cannot be read.
    pub fn shards(&self, tree: Tree) -> Result<Vec<ObjectName>> {
        Ok(shards(self.store, &self.version.index, tree)?.into_values().collect())
    }

    fn load_object(&mut self, name: ObjectName) -> Result<()> {
        let object = read(self.store, name)?;
        self.objects.insert(name, object.into());
        Ok(())
    }
}
