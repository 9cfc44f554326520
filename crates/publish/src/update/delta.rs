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

/// The changes since the shards were written. Items are held by number: only the encoded object depends on the
/// snapshot's salt, so keys under different salts never mix. External ids are held by key, under the salt of the index;
/// an index without a salt has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Changed and removed customers.
    pub customers: Records,
    /// Changed and removed items.
    pub items: ItemRecords,
    /// Changed and removed external ids.
    pub external_ids: Records,
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
        let external_ids = tables.external_ids.iter().map(|(key, entry)| Ok((key, record(entry?).to_vec())));
        Ok(Self {
            customers: customers.collect::<Result<_, FormatError>>()?,
            items: items.collect::<Result<_, FormatError>>()?,
            external_ids: external_ids.collect::<Result<_, FormatError>>()?,
        })
    }

    /// Encodes the delta object for an index with this salt. `None` if nothing has changed.
    ///
    /// # Errors
    /// A table exceeds the 4 GiB that its words can express.
    pub fn encode<'a>(&'a self, salt: ItemSalt) -> Result<Option<Vec<u8>>, FormatError> {
        if self.is_empty() {
            return Ok(None);
        }
        let slices = |records: &'a Records| -> Vec<(EntryKey, &'a [u8])> {
            records.iter().map(|(key, record)| (*key, record.as_slice())).collect()
        };
        let (customers, external_ids) = (slices(&self.customers), slices(&self.external_ids));
        let items: Vec<_> = self.items_by_key(salt).into_iter().collect();
        delta::encode_delta([&customers, &items, &external_ids]).map(Some)
    }

    /// The changed items by their keys under `salt`.
    #[must_use]
    pub fn items_by_key(&self, salt: ItemSalt) -> BTreeMap<EntryKey, &[u8]> {
        self.items.iter().map(|(id, record)| (EntryKey::item(salt, *id), record.as_slice())).collect()
    }

    /// Length of the object in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let entries = self.customers.values().chain(self.items.values()).chain(self.external_ids.values());
        // Five words: the lengths of two tables, and the number of entries of each of the three.
        HEADER_LEN + 5 * size_of::<u32>() + entries.map(|record| ENTRY_LEN + record.len()).sum::<usize>()
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.items.is_empty() && self.external_ids.is_empty()
    }
}

/// The record in a delta's entry; empty if the key was removed.
const fn record(entry: Entry<'_>) -> &[u8] {
    match entry {
        Entry::Record(record) => record,
        Entry::Removed | Entry::Unknown => &[],
    }
}

/// The changes that turn `before` into `after`: new and changed records, and empty ones for removed keys.
#[must_use]
pub fn difference<K: Ord + Copy>(
    before: &BTreeMap<K, Vec<u8>>,
    after: &BTreeMap<K, Vec<u8>>,
) -> BTreeMap<K, Vec<u8>> {
    let changed = after.iter().filter(|(key, record)| before.get(*key) != Some(*record));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    changed.map(|(key, record)| (*key, record.clone())).chain(gone.map(|key| (*key, Vec::new()))).collect()
}
