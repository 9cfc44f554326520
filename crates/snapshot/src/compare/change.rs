//! How one record changed, and what its customer gained and lost by it.

use serde::Serialize;
use uuid::Uuid;

use crate::{
    customer::CustomerRecord, details::title, external_id::ExternalRecord, heap_sort::heap_sort, index::Tree,
    item::ItemRecord, key::EntryKey, object::FormatError, schema::SubscriptionStatus, time::UnixSecs,
};

/// Number of accesses, and of subscriptions, that a change lists as gained or lost. A customer may hold many thousands; few
/// have more than ten.
pub const LISTED_GRANTS_MAX: usize = 20;

/// How a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Only in the version after.
    Added,
    /// Only in the version before.
    Removed,
    /// In both, with different content.
    Changed,
}

/// A customer or an item that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordChange {
    /// How it changed.
    pub how: How,
    /// The record's key in the snapshot.
    #[serde(skip)]
    pub key: EntryKey,
    /// The customer's or the item's number.
    pub id: i64,
    /// The customer's UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// The item's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the customer held before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Holdings>,
    /// What the customer holds after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Holdings>,
    /// What the customer holds only after.
    #[serde(skip_serializing_if = "Grants::is_empty")]
    pub gained: Grants,
    /// What the customer held only before.
    #[serde(skip_serializing_if = "Grants::is_empty")]
    pub lost: Grants,
}

/// How much a customer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// Accesses to items and packages.
    pub accesses: usize,
    /// Subscriptions to licences.
    pub licenses: usize,
}

/// What only one of two versions of a customer holds, the first of it listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// Accesses, at most [`LISTED_GRANTS_MAX`], by item.
    pub accesses: Vec<HeldAccess>,
    /// Subscriptions, at most [`LISTED_GRANTS_MAX`], by licence.
    pub licenses: Vec<HeldSubscription>,
    /// Number of those that are not listed.
    pub unlisted: usize,
}

impl Grants {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.accesses.is_empty() && self.licenses.is_empty()
    }
}

/// An access, as far as it decides what its customer may play. Two that differ in any of this are not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HeldAccess {
    /// Number of the access.
    pub id: i64,
    /// Number of the item or package.
    pub item_id: i64,
    /// First second at which it counts. `None`: from the beginning.
    pub starts_at: Option<UnixSecs>,
    /// First second at which it no longer counts. `None`: it never ends.
    pub expires_at: Option<UnixSecs>,
}

/// A subscription, as far as it decides what its customer may play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HeldSubscription {
    /// The licence's UUID.
    pub license_id: Uuid,
    /// The status that the origin gives it.
    pub status: SubscriptionStatus,
    /// First second at which it unlocks items. `None`: from the beginning.
    pub starts_at: Option<UnixSecs>,
    /// First second at which it no longer unlocks items. `None`: it never ends.
    pub expires_at: Option<UnixSecs>,
}

/// All that a customer holds, in order.
#[derive(Default)]
struct Held {
    accesses: Vec<HeldAccess>,
    licenses: Vec<HeldSubscription>,
}

impl Held {
    fn read(record: &CustomerRecord<'_>) -> Result<Self, FormatError> {
        let mut held = Self::default();
        for access in record.accesses() {
            let access = access?;
            held.accesses.push(HeldAccess {
                id: access.id,
                item_id: access.item_id,
                starts_at: access.starts_at,
                expires_at: access.expires_at,
            });
        }
        for license in record.held()? {
            let license = license?;
            held.licenses.push(HeldSubscription {
                license_id: Uuid::from_u128(license.license_id),
                status: license.status,
                starts_at: license.starts_at,
                expires_at: license.expires_at,
            });
        }
        heap_sort(&mut held.accesses, |left, right| left < right);
        heap_sort(&mut held.licenses, |left, right| left < right);
        Ok(held)
    }

    const fn holdings(&self) -> Holdings {
        Holdings { accesses: self.accesses.len(), licenses: self.licenses.len() }
    }

    /// What `self` has and `other` lacks.
    fn beyond(&self, other: &Self) -> Grants {
        let mut unlisted = 0;
        let accesses = beyond(&self.accesses, &other.accesses, &mut unlisted);
        let licenses = beyond(&self.licenses, &other.licenses, &mut unlisted);
        Grants { accesses, licenses, unlisted }
    }
}

/// The first elements of `all` that `others` lacks. Both are in order. Adds the number of all further ones.
fn beyond<T: Ord + Copy>(all: &[T], others: &[T], unlisted: &mut usize) -> Vec<T> {
    let mut listed = Vec::new();
    for one in all.iter().filter(|one| others.binary_search(one).is_err()) {
        if listed.len() < LISTED_GRANTS_MAX {
            listed.push(*one);
        } else {
            *unlisted += 1;
        }
    }
    listed
}

impl RecordChange {
    /// Describes a record that differs. At least one side has it.
    pub(super) fn between(
        tree: Tree,
        key: EntryKey,
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) -> Result<Self, FormatError> {
        let how = match (before, after) {
            (None, _) => How::Added,
            (_, None) => How::Removed,
            _ => How::Changed,
        };
        let record = after.or(before).unwrap_or_default();
        let (gained, lost) = (Grants::default(), Grants::default());
        let mut change =
            Self { how, key, id: 0, uuid: None, title: None, before: None, after: None, gained, lost };
        match tree {
            Tree::Customers => {
                let read = |record: Option<&[u8]>| -> Result<Option<Held>, FormatError> {
                    let Some(record) = record else { return Ok(None) };
                    Held::read(&CustomerRecord::new(record)?).map(Some)
                };
                let customer = CustomerRecord::new(record)?;
                let (before, after) = (read(before)?, read(after)?);
                (change.id, change.uuid) = (customer.id, Some(customer.uuid));
                change.before = before.as_ref().map(Held::holdings);
                change.after = after.as_ref().map(Held::holdings);
                let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
                (change.gained, change.lost) = (after.beyond(&before), before.beyond(&after));
            }
            Tree::Items => {
                let item = ItemRecord::new(record)?;
                (change.id, change.title) = (item.id, title(&item));
            }
            // External ids follow from the items, whose changes are listed.
            Tree::ExternalIds => {
                let first = ExternalRecord::new(record)?.iter().next();
                change.id = first.map_or(0, |(_, item_id)| item_id);
            }
        }
        Ok(change)
    }
}
