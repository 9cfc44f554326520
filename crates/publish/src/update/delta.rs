//! A growing delta: the changes since the shards were written, by key.

use std::collections::BTreeMap;

use admit_snapshot::{
    delta,
    key::{EntryKey, ItemSalt},
    object::{FormatError, HEADER_LEN},
    table::{ENTRY_LEN, Entry},
};

/// Records by key. An empty record marks a removed key.
pub type Records = BTreeMap<EntryKey, Vec<u8>>;

/// Records of items by number. An empty record marks a removed item.
pub type ItemRecords = BTreeMap<i64, Vec<u8>>;

/// The changes since the shards were written. Items are held by number. Only the encoded object depends on
/// the snapshot's salt, so keys under different salts never mix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Changed and removed customers.
    pub customers: Records,
    /// Changed and removed items.
    pub items: ItemRecords,
}

impl Delta {
    /// Decodes a delta object.
    ///
    /// # Errors
    /// The bytes are not a delta.
    pub fn decode(object: &[u8]) -> Result<Self, FormatError> {
        let tables = delta::tables(object)?;
        let customers = tables.customers.iter().map(|(key, entry)| Ok((key, record(entry?).to_vec())));
        let items = tables.items.iter().map(|(key, entry)| Ok((key.item_id(), record(entry?).to_vec())));
        Ok(Self {
            customers: customers.collect::<Result<_, FormatError>>()?,
            items: items.collect::<Result<_, FormatError>>()?,
        })
    }

    /// Encodes the delta object for an index with this salt. `None` if nothing has changed.
    ///
    /// # Errors
    /// A table exceeds the 4 GiB that its words can express.
    pub fn encode(&self, salt: ItemSalt) -> Result<Option<Vec<u8>>, FormatError> {
        if self.is_empty() {
            return Ok(None);
        }
        let customers: Vec<_> =
            self.customers.iter().map(|(key, record)| (*key, record.as_slice())).collect();
        let items = self.items_by_key(salt);
        delta::encode_delta(&customers, &items.into_iter().collect::<Vec<_>>()).map(Some)
    }

    /// The changed items by their keys under `salt`.
    #[must_use]
    pub fn items_by_key(&self, salt: ItemSalt) -> BTreeMap<EntryKey, &[u8]> {
        self.items.iter().map(|(id, record)| (EntryKey::item(salt, *id), record.as_slice())).collect()
    }

    /// Length of the object in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let entries = self.customers.values().chain(self.items.values());
        // Three words: the length of the first table, and the number of entries of each.
        HEADER_LEN + 3 * size_of::<u32>() + entries.map(|record| ENTRY_LEN + record.len()).sum::<usize>()
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.items.is_empty()
    }
}

/// The record in a delta's entry; empty if the key was removed.
const fn record(entry: Entry<'_>) -> &[u8] {
    match entry {
        Entry::Record(record) => record,
        Entry::Removed | Entry::Unknown => &[],
    }
}

/// The changes that turn `before` into `after`: new and changed records, and empty ones for removed items.
#[must_use]
pub fn difference(before: &ItemRecords, after: &ItemRecords) -> ItemRecords {
    let changed = after.iter().filter(|(id, record)| before.get(*id) != Some(*record));
    let gone = before.keys().filter(|id| !after.contains_key(*id));
    changed.map(|(id, record)| (*id, record.clone())).chain(gone.map(|id| (*id, Vec::new()))).collect()
}
