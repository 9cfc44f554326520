//! The records that a decision has weighed, for people who ask why.

use super::{Grant, Reason};
use crate::snapshot::version::Source;

/// A record that leads to the item, and whether it grants the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    /// The grant that it would give.
    pub grant: Grant,
    /// UUID of the licence, if the grant comes from one.
    pub license_id: Option<u128>,
    /// Why it does not grant the check. `None` if it does.
    pub obstacle: Option<Reason>,
}

impl Considered {
    /// Where the grant was found. `customer` is where the customer's record is, if there is one, and `item` the item's.
    #[must_use]
    pub const fn found_in(&self, customer: Option<Source>, item: Source) -> Source {
        match (self.grant.reason, customer) {
            // Pending test licences have no record of a purchase.
            (Reason::TestLicense, _) => Source::Directory,
            (Reason::ItemAccess | Reason::PackageAccess | Reason::License, Some(customer)) => customer,
            _ => item,
        }
    }
}
