//! The records of known viewers and of the items that they ask for, copied out of the snapshot's objects: a check of
//! theirs looks neither into the delta nor for a shard (docs/adr/0046).
//!
//! Copied, because a part of a shard would keep all of it in memory.

use crate::limits::{NEAR_ITEMS_MAX, NEAR_RECORD_MAX_BYTES};

/// A record of one epoch of the versions; none at first.
#[derive(Debug, Default)]
pub(super) struct NearRecord {
    epoch: u32,
    bytes: Option<Box<[u8]>>,
}

impl NearRecord {
    /// The record's bytes in the versions of `epoch`, if they have such a record. `find` looks it up, and gives nothing if
    /// memory cannot tell; `far` holds a record that is too long to be copied.
    pub fn bytes<'a, R: AsRef<[u8]>>(
        &'a mut self,
        epoch: u32,
        far: &'a mut Option<R>,
        find: impl FnOnce() -> Option<Option<R>>,
    ) -> Option<Option<&'a [u8]>> {
        if self.epoch != epoch || self.bytes.is_none() {
            let Some(record) = find()? else { return Some(None) };
            let record = R::as_ref(far.insert(record));
            if record.len() > NEAR_RECORD_MAX_BYTES {
                self.bytes = None;
                return Some(Some(record));
            }
            (self.epoch, self.bytes) = (epoch, Some(record.into()));
        }
        Some(self.bytes.as_deref())
    }
}

/// The records that a check reads.
pub(super) struct NearRecords<'a> {
    /// The epoch of the versions.
    pub epoch: u32,
    pub item: &'a mut NearRecord,
    pub customer: &'a mut NearRecord,
}

/// Items' records, each in the place of its number's remainder.
#[derive(Debug, Default)]
pub(super) struct NearItems(Vec<(i64, NearRecord)>);

impl NearItems {
    /// The place of an item. Another item's record is dropped from it.
    pub fn place(&mut self, item_id: i64) -> Option<&mut NearRecord> {
        if self.0.is_empty() {
            self.0.resize_with(NEAR_ITEMS_MAX, Default::default);
        }
        let place = item_id.cast_unsigned() as usize % NEAR_ITEMS_MAX;
        let (id, record) = self.0.get_mut(place)?;
        if *id != item_id {
            (*id, *record) = (item_id, NearRecord::default());
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(near: &mut NearRecord, epoch: u32, found: Option<&'static [u8]>) -> Option<Vec<u8>> {
        near.bytes(epoch, &mut None, || Some(found)).unwrap().map(<[u8]>::to_vec)
    }

    #[test]
    fn a_record_is_looked_up_once_in_an_epoch() {
        let mut near = NearRecord::default();
        assert_eq!(bytes(&mut near, 0, Some(b"first")), Some(b"first".to_vec()), "an epoch may be 0");
        assert_eq!(bytes(&mut near, 0, None), Some(b"first".to_vec()));
        assert_eq!(bytes(&mut near, 1, None), None, "the record was removed");
        assert_eq!(bytes(&mut near, 1, Some(b"second")), Some(b"second".to_vec()));
    }

    #[test]
    fn memory_that_cannot_tell_says_nothing() {
        let mut near = NearRecord::default();
        assert_eq!(near.bytes::<&[u8]>(1, &mut None, || None), None);
    }

    #[test]
    fn a_long_record_is_given_and_not_copied() {
        const LONG: &[u8] = &[7; NEAR_RECORD_MAX_BYTES + 1];
        let mut near = NearRecord::default();
        assert_eq!(bytes(&mut near, 1, Some(LONG)).as_deref(), Some(LONG));
        assert_eq!(bytes(&mut near, 1, None), None);
    }

    #[test]
    fn an_item_takes_the_place_of_another() {
        let mut items = NearItems::default();
        let other = 5 + NEAR_ITEMS_MAX as i64;
        let mut ask = |item, found| bytes(items.place(item).unwrap(), 1, found);
        assert_eq!(ask(5, Some(b"five")), Some(b"five".to_vec()));
        assert_eq!(ask(6, None), None);
        assert_eq!(ask(5, None), Some(b"five".to_vec()));
        assert_eq!(ask(other, None), None);
        assert_eq!(ask(5, None), None);
    }
}
