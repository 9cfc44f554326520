//! A delta that grows: what changed since the shards were written, by key.

use std::collections::BTreeMap;

use admit_snapshot::{
    delta,
    key::{EntryKey, ItemSalt},
    object::{FormatError, HEADER_LEN},
    table::{ENTRY_LEN, Entry},
};

/// Records by key. An empty one says that the key is gone.
pub type Records = BTreeMap<EntryKey, Vec<u8>>;

/// Records of items by the items' numbers. An empty one says that the item is gone.
pub type ItemRecords = BTreeMap<i64, Vec<u8>>;

/// What changed since the shards were written. Only the object that is written of it depends on the salt of the
/// snapshot, so that keys of two salts never meet in a delta.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Customers.
    pub customers: Records,
    /// Items.
    pub items: ItemRecords,
}

impl Delta {
    /// Reads a delta object.
    ///
    /// # Errors
    /// When the bytes are no delta.
    pub fn decode(object: &[u8]) -> Result<Self, FormatError> {
        let tables = delta::tables(object)?;
        let customers = tables.customers.iter().map(|(key, entry)| Ok((key, record(entry?).to_vec())));
        let items = tables.items.iter().map(|(key, entry)| Ok((key.item_id(), record(entry?).to_vec())));
        Ok(Self {
            customers: customers.collect::<Result<_, FormatError>>()?,
            items: items.collect::<Result<_, FormatError>>()?,
        })
    }

    /// The delta object for an index of this salt; none when nothing changed.
    ///
    /// # Errors
    /// When a table would be longer than its words can say.
    pub fn encode(&self, salt: ItemSalt) -> Result<Option<Vec<u8>>, FormatError> {
        if self.is_empty() {
            return Ok(None);
        }
        let customers: Vec<_> =
            self.customers.iter().map(|(key, record)| (*key, record.as_slice())).collect();
        let items = self.items_by_key(salt);
        delta::encode_delta(&customers, &items.into_iter().collect::<Vec<_>>()).map(Some)
    }

    /// The items by their keys under a salt.
    #[must_use]
    pub fn items_by_key(&self, salt: ItemSalt) -> BTreeMap<EntryKey, &[u8]> {
        self.items.iter().map(|(id, record)| (EntryKey::item(salt, *id), record.as_slice())).collect()
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
pub fn difference(before: &ItemRecords, after: &ItemRecords) -> ItemRecords {
    let changed = after.iter().filter(|(id, record)| before.get(*id) != Some(*record));
    let gone = before.keys().filter(|id| !after.contains_key(*id));
    changed.map(|(id, record)| (*id, record.clone())).chain(gone.map(|id| (*id, Vec::new()))).collect()
}
