//! One of the two versions, loaded for look-ups.

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

/// A version: its head, index, directory and delta.
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
    /// Loads a version.
    ///
    /// # Errors
    /// The version is not kept, is not signed by `key` (if given), or cannot be read.
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

    /// Loads the version that `head` describes.
    ///
    /// # Errors
    /// An object of the version cannot be read.
    pub fn of(store: &Store, head: Head) -> Result<Self> {
        let object = |kind, digest| read(store, ObjectName { kind, digest });
        let index = object(ObjectKind::Index, head.index)?;
        let directory = object(ObjectKind::Directory, head.directory)?;
        let delta = head.delta.map(|digest| object(ObjectKind::Delta, digest)).transpose()?;
        // Check the delta once, so that later look-ups cannot fail on it.
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

    /// The version's part of the report.
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

    /// The number of places for shards in a tree, as a power of two.
    pub fn shard_bits(&self, tree: Tree) -> u8 {
        shard_bits(&self.index, tree)
    }

    /// The salt of item keys.
    pub const fn salt(&self) -> ItemSalt {
        self.index.salt()
    }

    /// The delta, if there is one.
    pub fn delta(&self) -> Option<Tables<'_>> {
        // `of` has checked the delta.
        delta::tables(self.delta.as_ref()?).ok()
    }

    /// The shards of a tree that have entries, by position.
    ///
    /// # Errors
    /// A page cannot be read.
    pub fn shards(&self, store: &Store, tree: Tree) -> Result<BTreeMap<usize, ObjectName>> {
        shards(store, &self.index, tree)
    }

    /// The number of records in a tree. With a delta, the shards that it touches are read to count them;
    /// without one the head has the number.
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

/// The head of a version: a kept one, or the published one, whose version may be a delta and have no record.
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
    Err(anyhow!("unknown version {seq}: expected one of {}, or head", versions.join(", ")))
}
