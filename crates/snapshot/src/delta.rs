//! The delta: customers and items that changed since the shards were written. Look-ups ask it before the
//! shard.
//!
//! Layout: the length of the customers' table (u32), the customers' table, the items' table.
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
//! let no_items: [(EntryKey, &str); 0] = [];
//! let delta = encode_delta(&[(changed, "new record"), (removed, "")], &no_items)?;
//!
//! assert_eq!(look_up(&delta, Tree::Customers, changed)?, Entry::Record(b"new record"));
//! assert_eq!(look_up(&delta, Tree::Customers, removed)?, Entry::Removed);
//! assert_eq!(look_up(&delta, Tree::Items, changed)?, Entry::Unknown); // ask the shard
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use super::{
    index::Tree,
    key::EntryKey,
    object::{FormatError, ObjectKind, body},
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

/// The two tables of a delta, one for each tree.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Customers, by [`EntryKey::customer`].
    pub customers: Table<'a>,
    /// Items, by [`EntryKey::item`].
    pub items: Table<'a>,
}

impl<'a> Tables<'a> {
    /// The table of a tree.
    #[must_use]
    pub const fn of(&self, tree: Tree) -> Table<'a> {
        match tree {
            Tree::Customers => self.customers,
            Tree::Items => self.items,
        }
    }
}

/// Reads the two tables of a delta.
///
/// # Errors
/// The bytes are not a delta.
pub fn tables(delta: &[u8]) -> Result<Tables<'_>, FormatError> {
    let mut cursor = Cursor::new(body(ObjectKind::Delta, delta)?);
    let customers_len = cursor.word()?;
    Ok(Tables { customers: Table::new(cursor.take(customers_len)?)?, items: Table::new(cursor.rest())? })
}

/// Encodes a delta. Entries must be in ascending order of key; an empty record marks a removed key.
///
/// # Errors
/// The order is not ascending.
pub fn encode_delta(
    customers: &[(EntryKey, impl AsRef<[u8]>)],
    items: &[(EntryKey, impl AsRef<[u8]>)],
) -> Result<Vec<u8>, FormatError> {
    let mut customers_table = Vec::new();
    write_table(&mut customers_table, customers)?;
    let mut object = ObjectKind::Delta.header().to_vec();
    object.extend(word(customers_table.len())?);
    object.extend(customers_table);
    write_table(&mut object, items)?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pins the layout of published deltas: a change here changes the format and needs a migration plan.
    #[test]
    fn layout_is_pinned() {
        let object = encode_delta(&[(EntryKey([1; 16]), b"a")], &[(EntryKey([2; 16]), b"")]).unwrap();
        let mut expected = b"ADMD\x02\0\0\0\x1d\0\0\0".to_vec();
        expected.extend([[1, 0, 0, 0].as_slice(), &[1; 16], &[0, 0, 0, 0, 1, 0, 0, 0], b"a"].concat());
        expected.extend([[1, 0, 0, 0].as_slice(), &[2; 16], &[0; 8]].concat());
        assert_eq!(object, expected);
    }

    #[test]
    fn each_tree_has_its_own_table() {
        let object = encode_delta(&[(EntryKey([1; 16]), b"a")], &[(EntryKey([2; 16]), b"")]).unwrap();
        let ask = |tree, key| look_up(&object, tree, EntryKey([key; 16])).unwrap();
        assert_eq!(ask(Tree::Customers, 1), Entry::Record(b"a"));
        assert_eq!(ask(Tree::Items, 1), Entry::Unknown);
        assert_eq!(ask(Tree::Items, 2), Entry::Removed);
        for len in 0..object.len() {
            assert!(look_up(&object[..len], Tree::Items, EntryKey([2; 16])).is_err(), "{len}");
        }
    }
}
