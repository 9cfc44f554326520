//! External ids: the items that a media id, or another id of the origin's own, names.
//!
//! `GET /items/assets/external/{type}/{external_id}` and the vendors' playback routes know an item by such an id. Its
//! record lies under [`EntryKey::external_id`](super::key::EntryKey::external_id) in the tree
//! [`ExternalIds`](super::index::Tree::ExternalIds), so that a look-up costs what any other costs.
//!
//! Layout: the count of items, then for each, in ascending order of merchant: the number of its merchant, as the difference
//! from the one before, and its own. Two merchants may use one id, and so may several items of one merchant, such as one
//! film that is sold in two ways: these are in the publisher's order of preference, and the first is found.
//!
//! ```
//! use admit_snapshot::external_id::{ExternalRecord, Named, encode};
//!
//! let record = encode(&[(21, 5101), (22, 6203), (22, 6100)]);
//! let record = ExternalRecord::new(&record)?;
//! assert_eq!(record.of_merchant(22), Some(6203));
//! assert!(record.all_of_merchant(22).eq([6203, 6100]));
//! assert_eq!(record.only(), Named::Several);
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use super::{
    object::FormatError,
    wire::{Cursor, Put},
};
use crate::limits::EXTERNAL_ID_MAX_BYTES;

/// Least length of an entry in bytes: merchant and item.
const ENTRY_MIN_LEN: usize = 2;

/// Whether `text` can be an external id: 1 to 256 bytes.
#[must_use]
pub const fn is_external_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= EXTERNAL_ID_MAX_BYTES
}

/// The items that an external id names, read in place.
#[derive(Clone, Copy, Debug)]
pub struct ExternalRecord<'a> {
    count: usize,
    cursor: Cursor<'a>,
}

/// The item that an external id names if no merchant is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// This item, the first of the only merchant.
    Item(i64),
    /// Items of several merchants.
    Several,
}

impl<'a> ExternalRecord<'a> {
    /// Reads a record. The whole list is checked once, so that iterating cannot fail.
    ///
    /// # Errors
    /// The bytes are not the record of an external id.
    pub fn new(record: &'a [u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(record);
        let count = cursor.count(ENTRY_MIN_LEN)?;
        if count == 0 {
            return Err(FormatError::Invalid("external id"));
        }
        let list = Self { count, cursor };
        for _ in 0..count {
            cursor.varint()?;
            cursor.varint()?;
        }
        Ok(list)
    }

    /// Merchant and item of each entry, in ascending order of merchant. Items of one merchant are in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + use<'a> {
        let mut cursor = self.cursor;
        let mut merchant_id = 0_i64;
        (0..self.count).map_while(move |_| {
            merchant_id = merchant_id.wrapping_add(cursor.signed().ok()?);
            Some((merchant_id, cursor.signed().ok()?))
        })
    }

    /// The merchant's items of this id, in order of preference.
    pub fn all_of_merchant(&self, merchant_id: i64) -> impl Iterator<Item = i64> + use<'a> {
        self.iter().filter(move |(merchant, _)| *merchant == merchant_id).map(|(_, item_id)| item_id)
    }

    /// The merchant's item of this id: the first, if it has several.
    #[must_use]
    pub fn of_merchant(&self, merchant_id: i64) -> Option<i64> {
        self.all_of_merchant(merchant_id).next()
    }

    /// The merchant that uses this id, if there is only one.
    #[must_use]
    pub fn only_merchant(&self) -> Option<i64> {
        let (first, _) = self.iter().next()?;
        self.iter().all(|(merchant, _)| merchant == first).then_some(first)
    }

    /// The item of this id, if only one merchant uses it: the first, if the merchant has several.
    #[must_use]
    pub fn only(&self) -> Named {
        let only = self.only_merchant().and_then(|merchant| self.of_merchant(merchant));
        only.map_or(Named::Several, Named::Item)
    }
}

/// Encodes a record from merchants and their items, in ascending order of merchant; items of one merchant are in order of
/// preference.
#[must_use]
pub fn encode(items: &[(i64, i64)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + 8 * items.len());
    out.put_varint(items.len() as u64);
    let mut previous = 0_i64;
    for (merchant_id, item_id) in items {
        out.put_signed(merchant_id.wrapping_sub(previous));
        out.put_signed(*item_id);
        previous = *merchant_id;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    /// Pins the layout of published records: a change here changes the format and needs a migration plan.
    #[test]
    fn layout_is_pinned() {
        assert_eq!(encode(&[(21, 5101), (22, 3), (22, 2)]), [3, 42, 0xda, 0x4f, 2, 6, 0, 4]);
    }

    #[test]
    fn one_merchant_needs_no_name_and_two_do() {
        let bytes = encode(&[(21, 5101)]);
        let record = ExternalRecord::new(&bytes).unwrap();
        assert_eq!((record.only(), record.of_merchant(22)), (Named::Item(5101), None));
        let bytes = encode(&[(21, 5101), (22, 5101)]);
        assert_eq!(ExternalRecord::new(&bytes).unwrap().only(), Named::Several);
        let bytes = encode(&[(21, 5101), (21, 33)]);
        let record = ExternalRecord::new(&bytes).unwrap();
        assert_eq!((record.only(), record.of_merchant(21)), (Named::Item(5101), Some(5101)));
        assert!(ExternalRecord::new(&encode(&[])).is_err());
    }

    #[test]
    fn ids_have_a_length() {
        for (text, is_one) in [("", false), ("x", true), (&"x".repeat(256), true), (&"x".repeat(257), false)]
        {
            assert_eq!(is_external_id(text), is_one, "{}", text.len());
        }
    }

    proptest! {
        #[test]
        fn records_round_trip(
            items in btree_map(any::<i64>(), proptest::collection::vec(any::<i64>(), 1..4), 1..9),
        ) {
            let each = |(merchant, items): (&i64, &Vec<i64>)| {
                items.iter().map(|item| (*merchant, *item)).collect::<Vec<_>>()
            };
            let list: Vec<_> = items.iter().flat_map(each).collect();
            let bytes = encode(&list);
            let record = ExternalRecord::new(&bytes).unwrap();
            prop_assert_eq!(record.iter().collect::<Vec<_>>(), list);
            prop_assert_eq!(record.only_merchant().is_some(), items.len() == 1);
            for (merchant, items) in items {
                prop_assert_eq!(record.of_merchant(merchant), items.first().copied());
                prop_assert_eq!(record.all_of_merchant(merchant).collect::<Vec<_>>(), items);
            }
            for len in 0..bytes.len() {
                prop_assert!(ExternalRecord::new(&bytes[..len]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), merchant in any::<i64>()) {
            if let Ok(record) = ExternalRecord::new(&bytes) {
                let _ = (record.of_merchant(merchant), record.only());
            }
        }
    }
}
