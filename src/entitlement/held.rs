//! What a customer holds, decoded once for many questions.

use super::Access;
use crate::snapshot::{
    customer::{CustomerRecord, HeldLicense},
    item::ItemRecord,
    object::FormatError,
};

/// What a customer holds. A single check reads the record in place, from its beginning to its end; with many checks of one
/// customer this costs less. The default is nothing.
#[derive(Debug, Default)]
pub struct Held<'a> {
    /// Ascending by item.
    accesses: Vec<Access>,
    /// In the publisher's order.
    licenses: Vec<HeldLicense<'a>>,
}

impl<'a> Held<'a> {
    /// Decodes a customer's accesses and licences.
    ///
    /// # Errors
    /// The record is corrupt.
    pub fn of(customer: &CustomerRecord<'a>) -> Result<Self, FormatError> {
        let accesses = customer.accesses().collect::<Result<Vec<_>, _>>()?;
        if !accesses.is_sorted_by_key(|access| access.item_id) {
            return Err(FormatError::Invalid("order of accesses"));
        }
        Ok(Self { accesses, licenses: customer.licenses()? })
    }

    /// The accesses, ascending by item.
    #[must_use]
    pub fn accesses(&self) -> &[Access] {
        &self.accesses
    }

    /// The licences, in the publisher's order.
    #[must_use]
    pub fn licenses(&self) -> &[HeldLicense<'a>] {
        &self.licenses
    }

    /// The accesses on this item or package.
    fn on(&self, item_id: i64) -> &[Access] {
        let before = self.accesses.partition_point(|access| access.item_id < item_id);
        let from = self.accesses.get(before..).unwrap_or_default();
        let count = from.iter().take_while(|access| access.item_id == item_id).count();
        from.get(..count).unwrap_or_default()
    }

    /// The accesses that lead to the item, on itself or on one of its packages, ascending by item.
    pub(super) fn leading_to(&self, item: &ItemRecord<'_>) -> impl Iterator<Item = Access> {
        let (before, after) = (item.packages, item.packages);
        let before = before.iter().take_while(|package| *package < item.id);
        let after = after.iter().skip_while(|package| *package <= item.id);
        before.chain([item.id]).chain(after).flat_map(|id| self.on(id)).copied()
    }

    /// The first item or package, by number, that the customer has an access on and that leads to the item.
    #[must_use]
    pub fn first_leading_to(&self, item: &ItemRecord<'_>) -> Option<i64> {
        self.leading_to(item).next().map(|access| access.item_id)
    }
}
