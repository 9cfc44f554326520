//! A customer's record: identity, accesses with their purchases, licences and used trials.
//!
//! Layout: id, UUID, merchant id; the count of accesses, then the accesses in ascending order of item; the count of
//! licences, then the licences; the items whose trial was used, left out if there are no such items. Integers are
//! zigzag LEB128. An item id is written as the difference from the one before, a date as the difference from
//! `created_at`; both differences are small, so most take one to three bytes.
//!
//! ```
//! use admit_snapshot::customer::{Access, CustomerRecord, NewCustomer};
//!
//! let access = Access { id: 1, item_id: 5101, created_at: 1_900_000_000, ..Access::default() };
//! let bytes = NewCustomer { id: 42, merchant_id: 21, accesses: vec![access], ..NewCustomer::default() }.encode();
//!
//! let record = CustomerRecord::new(&bytes)?;
//! assert_eq!((record.id, record.merchant_id), (42, 21));
//! assert_eq!(record.accesses().collect::<Result<Vec<_>, _>>()?, [access]);
//! assert_eq!(record.held()?.len(), 0, "no subscriptions");
//! assert!(!record.has_used_trial(5101)?);
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

mod access;
mod license;

use uuid::Uuid;

use self::{
    access::{ACCESS_MIN_LEN, AccessReader, write_access},
    license::{HeldReader, LICENSE_MIN_LEN, write_license},
};
pub use self::{
    access::{Access, Purchase},
    license::HeldLicense,
};
use super::{
    item::{IdList, write_ids},
    object::FormatError,
    wire::{Cursor, Put},
};

/// A customer's record, read in place. Accesses and licences are decoded when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct CustomerRecord<'a> {
    /// Number of the customer, `customer_id` in answers.
    pub id: i64,
    /// UUID of the customer, `customer_uuid` in answers.
    pub uuid: Uuid,
    /// Number of the merchant that the customer belongs to.
    pub merchant_id: i64,
    access_count: usize,
    accesses: Cursor<'a>,
}

impl<'a> CustomerRecord<'a> {
    /// Reads the fixed part of a record.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn new(record: &'a [u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(record);
        let id = cursor.signed()?;
        let uuid = Uuid::from_u128(cursor.uuid()?);
        let merchant_id = cursor.signed()?;
        let access_count = cursor.count(ACCESS_MIN_LEN)?;
        Ok(Self { id, uuid, merchant_id, access_count, accesses: cursor })
    }

    /// The accesses, in ascending order of item.
    pub fn accesses(&self) -> impl Iterator<Item = Result<Access, FormatError>> + use<'a> {
        let mut reader = AccessReader::new(self.accesses);
        // Stop after an error: the position of all further accesses is unknown.
        let mut failed = false;
        (0..self.access_count).map_while(move |_| {
            if failed {
                return None;
            }
            let next = reader.next();
            failed = next.is_err();
            Some(next)
        })
    }

    /// The accesses, in ascending order of item, each with its purchase if the origin says how it was bought. An error
    /// ends the iteration.
    pub fn purchases(
        &self,
    ) -> impl Iterator<Item = Result<(Access, Option<Purchase<'a>>), FormatError>> + use<'a> {
        let mut reader = AccessReader::new(self.accesses);
        let mut left = self.access_count;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let next = reader.next_with_purchase();
            // Stop after an error: the position of all further accesses is unknown.
            left = if next.is_ok() { left } else { 0 };
            Some(next)
        })
    }

    /// Numbers of the items whose trial the customer has used, ascending.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn used_trials(&self) -> Result<IdList<'a>, FormatError> {
        let mut reader = self.licenses_reader()?;
        for license in reader.by_ref() {
            license?;
        }
        // Formats 1 and 2, and records without used trials, end with the licences.
        if reader.cursor.rest().is_empty() {
            return Ok(IdList::default());
        }
        IdList::read(&mut reader.cursor)
    }

    /// Whether the customer has used the trial of an item.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn has_used_trial(&self, item_id: i64) -> Result<bool, FormatError> {
        Ok(self.used_trials()?.iter().any(|used| used == item_id))
    }

    /// All subscriptions, in the publisher's order. Only for callers with memory to spare: a record may hold
    /// many thousands.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn licenses(&self) -> Result<Vec<HeldLicense<'a>>, FormatError> {
        self.held()?.collect()
    }

    /// The subscriptions one by one, in the publisher's order. An error ends the iteration.
    ///
    /// # Errors
    /// The bytes are not a customer record.
    pub fn held(
        &self,
    ) -> Result<impl ExactSizeIterator<Item = Result<HeldLicense<'a>, FormatError>> + use<'a>, FormatError>
    {
        self.licenses_reader()
    }

    fn licenses_reader(&self) -> Result<HeldReader<'a>, FormatError> {
        let mut reader = AccessReader::new(self.accesses);
        for _ in 0..self.access_count {
            reader.next()?;
        }
        let mut cursor = reader.cursor;
        let count = cursor.count(LICENSE_MIN_LEN)?;
        Ok(HeldReader::new(cursor, count))
    }
}

/// Content of a customer record to be written.
#[derive(Clone, Debug, Default)]
pub struct NewCustomer<'a> {
    /// Number of the customer, `customer_id` in answers.
    pub id: i64,
    /// UUID of the customer, `customer_uuid` in answers.
    pub uuid: Uuid,
    /// Number of the merchant that the customer belongs to.
    pub merchant_id: i64,
    /// The accesses, in any order.
    pub accesses: Vec<Access>,
    /// How each access was bought, in the order of `accesses`. May be shorter; nothing is known about the rest.
    pub purchases: Vec<Option<Purchase<'a>>>,
    /// The subscriptions, in the order in which answers list them.
    pub licenses: Vec<HeldLicense<'a>>,
    /// Numbers of the items whose trial was used, in any order.
    pub used_trials: Vec<i64>,
}

impl NewCustomer<'_> {
    /// Encodes the record.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + 20 * self.accesses.len());
        self.encode_into(&mut out);
        out
    }

    /// Encodes the record at the end of `out`.
    pub fn encode_into(mut self, out: &mut Vec<u8>) {
        self.purchases.resize(self.accesses.len(), None);
        let mut accesses: Vec<_> = self.accesses.iter().zip(&self.purchases).collect();
        accesses.sort_by_key(|(access, _)| (access.item_id, access.id));
        out.put_signed(self.id);
        out.put_uuid(self.uuid.as_u128());
        out.put_signed(self.merchant_id);
        out.put_varint(self.accesses.len() as u64);
        let mut item_id = 0_i64;
        for (access, purchase) in accesses {
            write_access(out, access, purchase.as_ref(), item_id);
            item_id = access.item_id;
        }
        out.put_varint(self.licenses.len() as u64);
        for license in &self.licenses {
            write_license(out, license);
        }
        self.used_trials.sort_unstable();
        self.used_trials.dedup();
        if !self.used_trials.is_empty() {
            write_ids(out, &self.used_trials);
        }
    }
}

#[cfg(test)]
mod tests;
