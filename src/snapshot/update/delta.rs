//! A delta that grows: what changed since the shards were written, by key.

use std::collections::BTreeMap;

use crate::snapshot::{
    delta,
    index::Tree,
    key::EntryKey,
    object::{FormatError, HEADER_LEN},
    table::{ENTRY_LEN, Entry},
};

/// Records by key. An empty one says that the key is gone.
pub type Records = BTreeMap<EntryKey, Vec<u8>>;

/// What changed since the shards were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Customers.
    pub customers: Records,
    /// Items.
    pub items: Records,
}

impl Delta {
    /// Reads a delta object.
    ///
    /// # Errors
    /// When the bytes are no delta.
    pub fn decode(object: &[u8]) -> Result<Self, FormatError> {
        let tables = delta::tables(object)?;
        let records = |tree| {
            let entries = tables.of(tree).iter();
            entries.map(|(key, entry)| Ok((key, record(entry?).to_vec()))).collect::<Result<_, _>>()
        };
        Ok(Self { customers: records(Tree::Customers)?, items: records(Tree::Items)? })
    }

    /// The delta object; none when nothing changed.
    ///
    /// # Errors
    /// When a table would be longer than its words can say.
    pub fn encode(&self) -> Result<Option<Vec<u8>>, FormatError> {
        if self.is_empty() {
            return Ok(None);
        }
        let [customers, items] = [&self.customers, &self.items]
            .map(|records| records.iter().map(|(key, record)| (*key, record.as_slice())).collect::<Vec<_>>());
        delta::encode_delta(&customers, &items).map(Some)
    }

    /// What the object takes, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let entries = self.customers.values().chain(self.items.values());
        HEADER_LEN + 3 * size_of::<u32>() + entries.map(|record| ENTRY_LEN + record.len()).sum::<usize>()
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.items.is_empty()
    }

    /// One of the two.
    #[must_use]
    pub const fn of(&self, tree: Tree) -> &Records {
        match tree {
            Tree::Customers => &self.customers,
            Tree::Items => &self.items,
        }
    }
}

/// A record as a delta holds it.
const fn record(entry: Entry<'_>) -> &[u8] {
    match entry {
        Entry::Record(record) => record,
        Entry::Removed | Entry::Unknown => &[],
    }
}

/// What turns `before` into `after`: records that are new or other, and empty ones for those that are gone.
#[must_use]
pub fn difference(before: &Records, after: &Records) -> Records {
    let changed = after.iter().filter(|(key, record)| before.get(*key) != Some(*record));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    changed.map(|(key, record)| (*key, record.clone())).chain(gone.map(|key| (*key, Vec::new()))).collect()
}
