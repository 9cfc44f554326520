//! Tables: records that are found by [`EntryKey`] through binary search and read in place.
//!
//! Layout: `count` (u32); then `count` entries of 24 bytes in ascending order of key: key (16), offset (u32)
//! and length (u32) of the record, the offset counted from the first record; then the records. A record of
//! length 0 marks a removed key, which only a delta needs.
//!
//! ```
//! use admit_snapshot::{
//!     key::EntryKey,
//!     table::{Entry, Table, write_table},
//! };
//!
//! let (known, removed) = (EntryKey([1; 16]), EntryKey([2; 16]));
//! let mut bytes = Vec::new();
//! write_table(&mut bytes, &[(known, "record"), (removed, "")])?;
//! let table = Table::new(&bytes)?;
//! assert_eq!(table.get(known)?, Entry::Record(b"record"));
//! assert_eq!(table.get(removed)?, Entry::Removed);
//! assert_eq!(table.get(EntryKey([3; 16]))?, Entry::Unknown);
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use super::{
    key::EntryKey,
    object::{FormatError, ObjectKind, body},
    wire::Cursor,
};

const COUNT_LEN: usize = 4;

/// Length of a table's entry in bytes, without its record.
pub const ENTRY_LEN: usize = 24;

/// What a table knows about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The key's record.
    Record(&'a [u8]),
    /// The key was removed.
    Removed,
    /// The table has no entry for the key.
    Unknown,
}

/// A table over borrowed bytes. Looking a key up allocates nothing. The default has no entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Table<'a> {
    entries: &'a [[u8; ENTRY_LEN]],
    records: &'a [u8],
}

impl<'a> Table<'a> {
    /// Reads the table at the front of `bytes`; its records extend to the end.
    ///
    /// # Errors
    /// `Truncated` if the entries do not fit.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes);
        let count = cursor.word()?;
        let entries = cursor.take(count.checked_mul(ENTRY_LEN).ok_or(FormatError::Truncated)?)?;
        Ok(Self { entries: entries.as_chunks::<ENTRY_LEN>().0, records: cursor.rest() })
    }

    /// Reads the table of a shard.
    ///
    /// # Errors
    /// The bytes are not a shard.
    pub fn of_shard(bytes: &'a [u8]) -> Result<Self, FormatError> {
        Self::new(body(ObjectKind::Shard, bytes)?)
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table has no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries with keys from `first` to `last`, both included.
    #[must_use]
    pub fn within(&self, first: EntryKey, last: EntryKey) -> Self {
        let from = self.entries.partition_point(|entry| entry_key(entry) < first);
        let rest = self.entries.get(from..).unwrap_or_default();
        let count = rest.partition_point(|entry| entry_key(entry) <= last);
        Self { entries: rest.get(..count).unwrap_or_default(), records: self.records }
    }

    /// Looks up `key` by binary search.
    ///
    /// # Errors
    /// The entry points outside the records.
    pub fn get(&self, key: EntryKey) -> Result<Entry<'a>, FormatError> {
        match self.entries.binary_search_by(|entry| entry_key(entry).cmp(&key)) {
            Ok(position) => match self.entries.get(position) {
                Some(entry) => self.record(entry),
                None => Ok(Entry::Unknown),
            },
            Err(_) => Ok(Entry::Unknown),
        }
    }

    /// All entries in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (EntryKey, Result<Entry<'a>, FormatError>)> + use<'a> {
        let table = *self;
        self.entries.iter().map(move |entry| (entry_key(entry), table.record(entry)))
    }

    /// Whether the records lie in the order of their keys, without gaps, up to the end of the bytes.
    #[must_use]
    pub fn is_gapless(&self) -> bool {
        let mut end = 0_usize;
        for entry in self.entries {
            match span(entry) {
                // Each record must begin where the one before ended.
                Ok((offset, len)) if offset == end => end = end.saturating_add(len),
                _ => return false,
            }
        }
        end == self.records.len()
    }

    fn record(&self, entry: &[u8; ENTRY_LEN]) -> Result<Entry<'a>, FormatError> {
        let (offset, len) = span(entry)?;
        if len == 0 {
            return Ok(Entry::Removed);
        }
        let end = offset.checked_add(len).ok_or(FormatError::Truncated)?;
        self.records.get(offset..end).map(Entry::Record).ok_or(FormatError::Truncated)
    }
}

fn entry_key(entry: &[u8; ENTRY_LEN]) -> EntryKey {
    EntryKey(entry.first_chunk::<16>().copied().unwrap_or_default())
}

/// Offset and length of an entry's record, in bytes.
fn span(entry: &[u8; ENTRY_LEN]) -> Result<(usize, usize), FormatError> {
    let mut cursor = Cursor::new(entry);
    cursor.take(16)?;
    Ok((cursor.word()?, cursor.word()?))
}

/// Appends a table of `entries`, which must be in strictly ascending order of key. An empty record marks a
/// removed key.
///
/// # Errors
/// `Invalid` if the order is not ascending, or a record would start beyond 4 GiB.
pub fn write_table(out: &mut Vec<u8>, entries: &[(EntryKey, impl AsRef<[u8]>)]) -> Result<(), FormatError> {
    if !entries.is_sorted_by(|(left, _), (right, _)| left < right) {
        return Err(FormatError::Invalid("order of keys"));
    }
    out.reserve(
        COUNT_LEN + entries.iter().map(|(_, record)| ENTRY_LEN + record.as_ref().len()).sum::<usize>(),
    );
    out.extend_from_slice(&word(entries.len())?);
    let mut offset = 0;
    for (key, record) in entries {
        out.extend_from_slice(&key.0);
        out.extend_from_slice(&word(offset)?);
        out.extend_from_slice(&word(record.as_ref().len())?);
        offset += record.as_ref().len();
    }
    for (_, record) in entries {
        out.extend_from_slice(record.as_ref());
    }
    Ok(())
}

/// Encodes a length or an offset as a 32-bit word.
///
/// # Errors
/// `Invalid` if it exceeds 32 bits.
pub fn word(value: usize) -> Result<[u8; 4], FormatError> {
    u32::try_from(value).map(u32::to_le_bytes).map_err(|_| FormatError::Invalid("word"))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn table(entries: &[(EntryKey, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        write_table(&mut out, entries).unwrap();
        out
    }

    #[test]
    fn layout_is_pinned() {
        let bytes =
            table(&[(EntryKey([1; 16]), b"abc"), (EntryKey([2; 16]), b""), (EntryKey([3; 16]), b"d")]);
        let mut expected = vec![3, 0, 0, 0];
        expected.extend([[1; 16].as_slice(), &[0, 0, 0, 0, 3, 0, 0, 0]].concat());
        expected.extend([[2; 16].as_slice(), &[3, 0, 0, 0, 0, 0, 0, 0]].concat());
        expected.extend([[3; 16].as_slice(), &[3, 0, 0, 0, 1, 0, 0, 0]].concat());
        expected.extend(b"abcd");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_removed_key_is_told_from_an_unknown_one() {
        let bytes = table(&[(EntryKey([1; 16]), b"abc"), (EntryKey([2; 16]), b"")]);
        let table = Table::new(&bytes).unwrap();
        assert_eq!(table.get(EntryKey([1; 16])), Ok(Entry::Record(b"abc")));
        assert_eq!(table.get(EntryKey([2; 16])), Ok(Entry::Removed));
        assert_eq!(table.get(EntryKey([3; 16])), Ok(Entry::Unknown));
    }

    #[test]
    fn gaps_overlaps_and_tails_are_seen() {
        let bytes =
            table(&[(EntryKey([1; 16]), b"abc"), (EntryKey([2; 16]), b""), (EntryKey([3; 16]), b"d")]);
        assert!(Table::new(&bytes).unwrap().is_gapless());
        let tail = [bytes.as_slice(), b"x"].concat();
        assert!(!Table::new(&tail).unwrap().is_gapless());
        let overlap_at = COUNT_LEN + 2 * ENTRY_LEN + 16;
        for offset in [2, 4] {
            let mut moved = bytes.clone();
            moved[overlap_at] = offset;
            assert!(!Table::new(&moved).unwrap().is_gapless(), "{offset}");
        }
    }

    #[test]
    fn keys_out_of_order_are_refused() {
        let twice = [(EntryKey([1; 16]), b"a"), (EntryKey([1; 16]), b"b")];
        assert_eq!(write_table(&mut Vec::new(), &twice), Err(FormatError::Invalid("order of keys")));
    }

    proptest! {
        #[test]
        fn every_key_is_found(entries in btree_map(any::<[u8; 16]>(), "[a-z]{1,9}", 0..50), other in any::<[u8; 16]>()) {
            let list: Vec<_> = entries.iter().map(|(key, record)| (EntryKey(*key), record.as_bytes())).collect();
            let bytes = table(&list);
            let table = Table::new(&bytes).unwrap();
            prop_assert_eq!(table.len(), entries.len());
            for (key, record) in &list {
                prop_assert_eq!(table.get(*key), Ok(Entry::Record(record)));
            }
            if !entries.contains_key(&other) {
                prop_assert_eq!(table.get(EntryKey(other)), Ok(Entry::Unknown));
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), key in any::<[u8; 16]>()) {
            if let Ok(table) = Table::new(&bytes) {
                let _ = table.get(EntryKey(key));
                for (_, record) in table.iter() {
                    let _ = record;
                }
            }
        }
    }
}
