//! One of the two versions.

use std::{collections::BTreeMap, path::Path};

use admit_snapshot::{
    delta::{self, Tables},
    directory::Directory,
    head::Head,
    index::{Index, Tree},
    key::ItemSalt,
    object::{ObjectKind, ObjectName},
};
use anyhow::{Context, Result, anyhow, bail};

use super::{Which, report::VersionReport};
use crate::{
    head::{Published, published},
    overlay,
    store::{
        Store,
        reach::{read, shard_bits, shards},
    },
};

/// A version: its head, and what every look-up needs.
pub struct Side {
    head: Head,
    index: Index,
    index_bytes: usize,
    directory_bytes: usize,
    delta: Option<Vec<u8>>,
    /// Merchants, apps, licences.
    pub directory: Directory,
}

impl Side {
    /// Reads a version.
    ///
    /// # Errors
    /// It is not kept, not signed by `key` if there is one, or cannot be read.
    pub fn load(store: &Store, which: Which, key: Option<&Path>) -> Result<Self> {
        let (name, jws) = match which {
            Which::Head => {
                ("the published head".to_owned(), store.head()?.context("nothing is published yet")?)
            }
            Which::Seq(seq) => (format!("version {seq}"), version(store, seq)?),
        };
        let head = match published(&jws, key)? {
            Published::Verified(head) | Published::Unverified(head) => head,
            Published::OtherKey(_) => bail!("{name} is signed by another key than --key"),
            Published::Broken(reason) => bail!("{name} cannot be trusted: {reason}"),
        };
        Self::of(store, head).with_context(|| format!("{name} cannot be read"))
    }

    /// Reads the version that `head` names.
    ///
    /// # Errors
    /// Something of it cannot be read.
    pub fn of(store: &Store, head: Head) -> Result<Self> {
        let object = |kind, digest| read(store, ObjectName { kind, digest });
        let index = object(ObjectKind::Index, head.index)?;
        let directory = object(ObjectKind::Directory, head.directory)?;
        let delta = head.delta.map(|digest| object(ObjectKind::Delta, digest)).transpose()?;
        // So that later look-ups need not expect otherwise.
        if let Some(delta) = &delta {
            delta::tables(delta)?;
        }
        Ok(Self {
            index_bytes: index.len(),
            index: Index::decode(index)?,
            directory_bytes: directory.len(),
            directory: Directory::decode(&directory)?,
            delta,
            head,
        })
    }

    /// What is said of the version as such.
    ///
    /// # Errors
    /// A shard that the delta touches cannot be read.
    pub fn report(&self, store: &Store) -> Result<VersionReport> {
        Ok(VersionReport {
            aud: self.head.aud.clone(),
            denylist: self.head.denylist.entries().len(),
            seq: self.head.seq,
            origin_seq: self.head.origin_seq(),
            as_of: self.head.as_of,
            published_at: self.head.published_at,
            customers: self.total(store, Tree::Customers)?,
            items: self.total(store, Tree::Items)?,
            index_bytes: self.index_bytes,
            directory_bytes: self.directory_bytes,
            delta_bytes: self.delta.as_ref().map_or(0, Vec::len),
        })
    }

    /// How many places for shards a tree has, as a power of two.
    pub fn shard_bits(&self, tree: Tree) -> u8 {
        shard_bits(&self.index, tree)
    }

    /// What the keys of its items are derived with.
    pub const fn salt(&self) -> ItemSalt {
        self.index.salt()
    }

    /// The delta, if there is one.
    pub fn delta(&self) -> Option<Tables<'_>> {
        // Checked when it was read.
        delta::tables(self.delta.as_ref()?).ok()
    }

    /// The shards of a tree that have entries, by their numbers.
    ///
    /// # Errors
    /// A page cannot be read.
    pub fn shards(&self, store: &Store, tree: Tree) -> Result<BTreeMap<usize, ObjectName>> {
        shards(store, &self.index, tree)
    }

    /// How many records a tree has, the delta included: without one, as the head says.
    ///
    /// # Errors
    /// A shard that the delta touches cannot be read.
    pub fn total(&self, store: &Store, tree: Tree) -> Result<u64> {
        let in_shards = match tree {
            Tree::Customers => self.head.customers,
            Tree::Items => self.head.items,
        };
        let effect = overlay::count(store, &self.index, self.delta.as_deref(), tree, usize::MAX)?;
        Ok(effect.unwrap_or_default().total(in_shards))
    }
}

/// The head of a version: of one that is kept, or of the published one, which a sync may have made.
fn version(store: &Store, seq: u64) -> Result<String> {
    if let Some(jws) = store.version(seq)? {
        return Ok(jws);
    }
    if let Some(jws) = store.head()?
        && let Published::Unverified(head) = published(&jws, None)?
        && head.seq == seq
    {
        return Ok(jws);
    }
    let versions: Vec<_> = store.versions()?.iter().map(ToString::to_string).collect();
    Err(anyhow!("there is no version {seq}: there are {}, and head", versions.join(", ")))
}
