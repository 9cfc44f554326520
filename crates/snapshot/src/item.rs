//! An item's record: the values that decisions need, and the item's JSON rendered in advance.
//!
//! Layout: flags, id, merchant id; the packages that hold the item; the licences that unlock it; the JSON
//! string `content`; the rest of the item's JSON object; the fees; the members, for a package.
//!
//! JSON is stored as fragments, so that one rendering serves answers with `content`, without it, and inside
//! fees:
//! - `details` is the item's object without its opening brace: `"id":33,…}`
//! - a fee is an object without its opening brace and without `item`: `"id":5,…}`
//!
//! ```
//! use admit_snapshot::item::{ItemRecord, NewItem};
//!
//! let new = NewItem { id: 5101, is_active: true, packages: vec![40], details: r#""id":5101}"#, ..NewItem::default() };
//! let bytes = new.encode();
//!
//! let item = ItemRecord::new(&bytes)?;
//! assert!(item.is_active && !item.is_free);
//! assert_eq!(item.packages.iter().collect::<Vec<_>>(), [40]);
//! assert_eq!(format!("{{{}", item.details), r#"{"id":5101}"#);
//! assert!(item.fee_list()?.is_empty());
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use serde_json::{Deserializer, Value};

use super::{
    object::FormatError,
    wire::{Cursor, Put},
};

const ACTIVE: u8 = 1;
const FREE: u8 = 1 << 1;
const PACKAGE: u8 = 1 << 2;

const UUID_LEN: usize = 16;

/// An item's record, read in place. Fees and members are decoded when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct ItemRecord<'a> {
    /// Number of the item.
    pub id: i64,
    /// Number of the merchant that owns the item.
    pub merchant_id: i64,
    /// Whether the item exists for clients. An inactive item is answered like an unknown one.
    pub is_active: bool,
    /// Whether the item is free for every signed-in customer of the merchant.
    pub is_free: bool,
    /// Whether the item is a package.
    pub is_package: bool,
    /// Numbers of the packages that hold the item, ascending.
    pub packages: IdList<'a>,
    /// UUIDs (big-endian) of the licences that unlock the item, directly or through a package, ascending.
    pub licenses: &'a [[u8; 16]],
    /// `content` as a JSON string, with its quotes.
    pub content: &'a str,
    /// The item's JSON object without `content` and without its opening brace.
    pub details: &'a str,
    tail: Cursor<'a>,
}

/// A fee, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRecord<'a> {
    /// Number of the fee.
    pub id: i64,
    /// The fee's JSON object without `item` and without its opening brace.
    pub details: &'a str,
}

impl<'a> ItemRecord<'a> {
    /// Reads the part of a record that decisions need.
    ///
    /// # Errors
    /// The bytes are not an item record.
    pub fn new(record: &'a [u8]) -> Result<Self, FormatError> {
        Self::read(record, Cursor::text)
    }

    /// As [`new`](Self::new), for callers that only decide: the texts, which are most of a record, are empty and unchecked.
    ///
    /// # Errors
    /// The bytes are not an item record.
    pub fn without_texts(record: &'a [u8]) -> Result<Self, FormatError> {
        Self::read(record, |cursor| {
            let len = cursor.count(1)?;
            cursor.take(len).map(|_| "")
        })
    }

    fn read(
        record: &'a [u8],
        mut text: impl FnMut(&mut Cursor<'a>) -> Result<&'a str, FormatError>,
    ) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(record);
        let flags = cursor.u8()?;
        if flags & !(ACTIVE | FREE | PACKAGE) != 0 {
            return Err(FormatError::Invalid("item flags"));
        }
        Ok(Self {
            is_active: flags & ACTIVE != 0,
            is_free: flags & FREE != 0,
            is_package: flags & PACKAGE != 0,
            id: cursor.signed()?,
            merchant_id: cursor.signed()?,
            packages: IdList::read(&mut cursor)?,
            // Sixteen bytes each, so the list can be borrowed as an array of arrays.
            licenses: {
                let count = cursor.count(UUID_LEN)?;
                cursor.take(count.saturating_mul(UUID_LEN))?.as_chunks().0
            },
            content: text(&mut cursor)?,
            details: text(&mut cursor)?,
            tail: cursor,
        })
    }

    /// The fees in the publisher's order, read in place.
    ///
    /// # Errors
    /// The bytes are not an item record.
    pub fn fee_list(&self) -> Result<FeeList<'a>, FormatError> {
        FeeList::read(&mut self.tail.clone())
    }

    /// All fees in the publisher's order. Only for callers with memory to spare: a record may hold millions.
    ///
    /// # Errors
    /// The bytes are not an item record.
    pub fn fees(&self) -> Result<Vec<FeeRecord<'a>>, FormatError> {
        Ok(self.fee_list()?.iter().collect())
    }

    /// The title, for people.
    #[must_use]
    pub fn title(&self) -> Option<String> {
        // Only numbers and a UUID come before it, and the rest, which may be long, is not parsed.
        let (_, rest) = self.details.split_once(r#""title":"#)?;
        match Deserializer::from_slice(rest.as_bytes()).into_iter().next()?.ok()? {
            Value::String(title) => Some(title),
            _ => None,
        }
    }

    /// Numbers of a package's members, in the publisher's order.
    ///
    /// # Errors
    /// The bytes are not an item record.
    pub fn members(&self) -> Result<IdList<'a>, FormatError> {
        let mut cursor = self.tail;
        FeeList::read(&mut cursor)?;
        IdList::read(&mut cursor)
    }
}

/// A list of fees, read in place.
#[derive(Clone, Copy, Debug)]
pub struct FeeList<'a> {
    count: usize,
    details_bytes: usize,
    cursor: Cursor<'a>,
}

impl<'a> FeeList<'a> {
    /// Checks the whole list once, so that iterating cannot fail.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FormatError> {
        let count = cursor.count(2)?;
        let mut list = Self { count, details_bytes: 0, cursor: *cursor };
        for _ in 0..count {
            cursor.signed()?;
            list.details_bytes += cursor.text()?.len();
        }
        Ok(list)
    }

    /// Number of fees.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether the item has no fees.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Length of the details of all fees together, in bytes.
    #[must_use]
    pub const fn details_bytes(&self) -> usize {
        self.details_bytes
    }

    /// The fees in order.
    pub fn iter(&self) -> impl Iterator<Item = FeeRecord<'a>> + use<'a> {
        let mut cursor = self.cursor;
        (0..self.count)
            .map_while(move |_| Some(FeeRecord { id: cursor.signed().ok()?, details: cursor.text().ok()? }))
    }
}

/// A list of numbers, read in place. The default is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdList<'a> {
    count: usize,
    cursor: Cursor<'a>,
}

impl<'a> IdList<'a> {
    /// Checks the whole list once, so that iterating cannot fail.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FormatError> {
        let count = cursor.count(1)?;
        let list = Self { count, cursor: *cursor };
        for _ in 0..count {
            cursor.varint()?;
        }
        Ok(list)
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether the list is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = i64> + use<'a> {
        let mut cursor = self.cursor;
        let mut id = 0_i64;
        (0..self.count).map_while(move |_| {
            id = id.wrapping_add(cursor.signed().ok()?);
            Some(id)
        })
    }
}

/// Content of an item record to be written.
#[derive(Clone, Debug, Default)]
pub struct NewItem<'a> {
    /// Number of the item.
    pub id: i64,
    /// Number of the merchant that owns the item.
    pub merchant_id: i64,
    /// Whether the item exists for clients.
    pub is_active: bool,
    /// Whether the item is free for every signed-in customer of the merchant.
    pub is_free: bool,
    /// Whether the item is a package.
    pub is_package: bool,
    /// Numbers of the packages that hold the item, ascending.
    pub packages: Vec<i64>,
    /// UUIDs of the licences that unlock the item, ascending.
    pub licenses: Vec<u128>,
    /// `content` as a JSON string, with its quotes.
    pub content: &'a str,
    /// The item's JSON object without `content` and without its opening brace.
    pub details: &'a str,
    /// The fees, in the order in which answers list them.
    pub fees: Vec<FeeRecord<'a>>,
    /// Numbers of a package's members, in the order in which answers list them.
    pub members: Vec<i64>,
}

impl NewItem<'_> {
    /// Encodes the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.content.len() + self.details.len());
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        out.push(flag(self.is_active, ACTIVE) | flag(self.is_free, FREE) | flag(self.is_package, PACKAGE));
        out.put_signed(self.id);
        out.put_signed(self.merchant_id);
        write_ids(&mut out, &self.packages);
        out.put_varint(self.licenses.len() as u64);
        for license in &self.licenses {
            out.put_uuid(*license);
        }
        out.put_text(self.content);
        out.put_text(self.details);
        out.put_varint(self.fees.len() as u64);
        for fee in &self.fees {
            out.put_signed(fee.id);
            out.put_text(fee.details);
        }
        write_ids(&mut out, &self.members);
        out
    }
}

/// Writes a list of numbers for [`IdList`].
pub(super) fn write_ids(out: &mut Vec<u8>, ids: &[i64]) {
    out.put_varint(ids.len() as u64);
    let mut previous = 0_i64;
    for id in ids {
        out.put_signed(id.wrapping_sub(previous));
        previous = *id;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Pins the layout of published records: a change here changes the format and needs a migration plan.
    #[test]
    fn layout_is_pinned() {
        let record = NewItem {
            id: 33,
            merchant_id: 21,
            is_active: true,
            is_free: false,
            is_package: true,
            packages: vec![40, 41],
            licenses: vec![9],
            content: "\"c\"",
            details: "\"id\":33}",
            fees: vec![FeeRecord { id: 5, details: "\"id\":5}" }],
            members: vec![3, 1],
        }
        .encode();
        let mut expected = vec![0b101, 66, 42, 2, 80, 2, 1];
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        expected.extend(b"\x03\"c\"\x08\"id\":33}\x01\x0a\x07\"id\":5}\x02\x06\x03");
        assert_eq!(record, expected);
    }

    proptest! {
        #[test]
        fn records_round_trip(
            numbers in any::<[i64; 2]>(), flags in any::<[bool; 3]>(), packages in vec(any::<i64>(), 0..5),
            licenses in vec(any::<u128>(), 0..4), texts in any::<[String; 3]>(), fees in vec(any::<i64>(), 0..4),
            members in vec(any::<i64>(), 0..5),
        ) {
            let item = NewItem {
                id: numbers[0], merchant_id: numbers[1], is_active: flags[0], is_free: flags[1], is_package: flags[2],
                packages, licenses, content: &texts[0], details: &texts[1],
                fees: fees.into_iter().map(|id| FeeRecord { id, details: &texts[2] }).collect(), members,
            };
            let record = item.encode();
            let read = ItemRecord::new(&record).unwrap();
            prop_assert_eq!((read.id, read.merchant_id), (item.id, item.merchant_id));
            prop_assert_eq!([read.is_active, read.is_free, read.is_package], flags);
            prop_assert_eq!(read.packages.iter().collect::<Vec<_>>(), item.packages);
            prop_assert_eq!(read.licenses.iter().map(|id| u128::from_be_bytes(*id)).collect::<Vec<_>>(), item.licenses);
            prop_assert_eq!((read.content, read.details), (item.content, item.details));
            let decided = ItemRecord::without_texts(&record).unwrap();
            prop_assert_eq!((decided.content, decided.details), ("", ""));
            prop_assert_eq!(format!("{:?}", ItemRecord { content: read.content, details: read.details, ..decided }), format!("{read:?}"));
            let fees = read.fee_list().unwrap();
            prop_assert_eq!((fees.len(), fees.details_bytes()), (item.fees.len(), item.fees.len() * texts[2].len()));
            prop_assert_eq!(read.fees().unwrap(), item.fees);
            prop_assert_eq!(read.members().unwrap().iter().collect::<Vec<_>>(), item.members);
            for len in 0..record.len() {
                let cut = ItemRecord::new(&record[..len]);
                prop_assert!(cut.is_err() || cut.unwrap().members().is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..120)) {
            if let Ok(item) = ItemRecord::new(&bytes) {
                let _ = item.fees();
                let _ = item.members().map(|ids| ids.iter().count());
            }
        }
    }
}
