//! The delta: customers, items and external ids that changed since the shards were written. Look-ups ask it before
//! the shard.
//!
//! Layout: the length of the customers' table (u32), the customers' table, the length of the items' table (u32), the
//! items' table, the external ids' table. Formats 1 and 2 end with the items' table, and do not say how long it is.
//!
//! ```
//! use admit_snapshot::{
//!     delta::{encode_delta, look_up},
//!     index::Tree,
//!     key::EntryKey,
//!     table::Entry,
//! };
//!
//! let (changed, removed) = (EntryKey([1; 16]), EntryKey([2; 16]));
//! let delta = encode_delta([&[(changed, "new record"), (removed, "")], &[], &[]])?;
//!
//! assert_eq!(look_up(&delta, Tree::Customers, changed)?, Entry::Record(b"new record"));
//! assert_eq!(look_up(&delta, Tree::Customers, removed)?, Entry::Removed);
//! assert_eq!(look_up(&delta, Tree::Items, changed)?, Entry::Unknown); // ask the shard
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use super::{
    index::Tree,
    key::EntryKey,
    object::{Format, FormatError, ObjectKind, versioned_body},
    table::{Entry, Table, word, write_table},
    wire::Cursor,
};

/// Looks `key` up in the table of a tree.
///
/// # Errors
/// The bytes are not a delta.
pub fn look_up(delta: &[u8], tree: Tree, key: EntryKey) -> Result<Entry<'_>, FormatError> {
    tables(delta)?.of(tree).get(key)
}

/// The tables of a delta, one for each tree.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Customers, by [`EntryKey::customer`].
    pub customers: Table<'a>,
    /// Items, by [`EntryKey::item`].
    pub items: Table<'a>,
    /// External ids, by [`EntryKey::external_id`].
    pub external_ids: Table<'a>,
}

impl<'a> Tables<'a> {
    /// The table of a tree.
    #[must_use]
    pub const fn of(&self, tree: Tree) -> Table<'a> {
        match tree {
            Tree::Customers => self.customers,
            Tree::Items => self.items,
            Tree::ExternalIds => self.external_ids,
        }
    }
}

/// Reads the tables of a delta.
///
/// # Errors
/// The bytes are not a delta.
pub fn tables(delta: &[u8]) -> Result<Tables<'_>, FormatError> {
    let (format, content) = versioned_body(ObjectKind::Delta, delta)?;
    let mut cursor = Cursor::new(content);
    let customers_len = cursor.word()?;
    let customers = Table::new(cursor.take(customers_len)?)?;
    let items = match format {
        Format::One | Format::Two => {
            return Ok(Tables {
                customers,
                items: Table::new(cursor.rest())?,
                external_ids: Table::default(),
            });
        }
        Format::Three => {
            let items_len = cursor.word()?;
            Table::new(cursor.take(items_len)?)?
        }
    };
    Ok(Tables { customers, items, external_ids: Table::new(cursor.rest())? })
}

/// Encodes a delta from the entries of the trees, in the order of [`Tree::ALL`]. Entries must be in ascending order of
/// key; an empty record marks a removed key.
///
/// # Errors
/// The order is not ascending, or a table exceeds 4 GiB.
pub fn encode_delta<R: AsRef<[u8]>>(
    [customers, items, external_ids]: [&[(EntryKey, R)]; Tree::ALL.len()],
) -> Result<Vec<u8>, FormatError> {
    let mut object = ObjectKind::Delta.header().to_vec();
    for entries in [customers, items] {
        let mut table = Vec::new();
        write_table(&mut table, entries)?;
        object.extend(word(table.len())?);
        object.append(&mut table);
    }
    write_table(&mut object, external_ids)?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [&[(EntryKey, &[u8])]; 3] =
        [&[(EntryKey([1; 16]), b"a")], &[(EntryKey([2; 16]), b"")], &[(EntryKey([3; 16]), b"xy")]];

    /// Pins the layout of published deltas: a change here changes the format and needs a migration plan.
    #[test]
    fn layout_is_pinned() {
        let object = encode_delta(ENTRIES).unwrap();
        let mut expected = b"ADMD\x03\0\0\0\x1d\0\0\0".to_vec();
        expected.extend([[1, 0, 0, 0].as_slice(), &[1; 16], &[0, 0, 0, 0, 1, 0, 0, 0], b"a"].concat());
        expected.extend([[28, 0, 0, 0, 1, 0, 0, 0].as_slice(), &[2; 16], &[0; 8]].concat());
        expected.extend([[1, 0, 0, 0].as_slice(), &[3; 16], &[0, 0, 0, 0, 2, 0, 0, 0], b"xy"].concat());
        assert_eq!(object, expected);
    }

    /// Deltas published in formats 1 and 2 can still be read: they end with the items.
    #[test]
    fn deltas_of_earlier_formats_are_read() {
        for format in [1, 2] {
            let mut object = [b"ADMD", [format, 0, 0, 0].as_slice(), &[0x1d, 0, 0, 0]].concat();
            object.extend([[1, 0, 0, 0].as_slice(), &[1; 16], &[0, 0, 0, 0, 1, 0, 0, 0], b"a"].concat());
            object.extend([[1, 0, 0, 0].as_slice(), &[2; 16], &[0; 8]].concat());
            let ask = |tree, key| look_up(&object, tree, EntryKey([key; 16])).unwrap();
            assert_eq!(ask(Tree::Customers, 1), Entry::Record(b"a"));
            assert_eq!(ask(Tree::Items, 2), Entry::Removed);
            assert_eq!(ask(Tree::ExternalIds, 3), Entry::Unknown);
        }
    }

    #[test]
    fn each_tree_has_its_own_table() {
        let object = encode_delta(ENTRIES).unwrap();
        let ask = |tree, key| look_up(&object, tree, EntryKey([key; 16])).unwrap();
        assert_eq!(ask(Tree::Customers, 1), Entry::Record(b"a"));
        assert_eq!(ask(Tree::Items, 1), Entry::Unknown);
        assert_eq!(ask(Tree::Items, 2), Entry::Removed);
        assert_eq!(ask(Tree::ExternalIds, 3), Entry::Record(b"xy"));
        for len in 0..object.len() {
            assert!(look_up(&object[..len], Tree::ExternalIds, EntryKey([3; 16])).is_err(), "{len}");
        }
    }
}
