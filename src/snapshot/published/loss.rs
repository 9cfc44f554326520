//! What a new version takes away of what the published one grants.
//!
//! Keys are hashes, so that the customers of a shard are a random sample of all customers: 32 shards, some 10,000
//! customers, tell whether half of something is gone to about a hundredth, however large the snapshot is.

use std::{collections::BTreeSet, fmt};

use super::Published;
use crate::snapshot::{
    build::BuildError,
    customer::CustomerRecord,
    index::Tree,
    item::ItemRecord,
    object::FormatError,
    schema::{LicenseState, SubscriptionStatus},
    time::UnixSecs,
};

/// Shards that are compared, of customers and of items. A snapshot of no more is compared as a whole.
pub const SAMPLE_SHARDS: usize = 32;

/// Which of the two versions could not be read.
#[derive(Debug)]
pub enum Side {
    /// The published one.
    Before(BuildError),
    /// The new one.
    After(BuildError),
}

/// How much of one kind of thing there was, and how much of that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// In the published version.
    pub before: u64,
    /// Of these, not in the new version.
    pub gone: u64,
}

impl Loss {
    /// Whether more than half is gone.
    #[must_use]
    pub const fn is_most(self) -> bool {
        self.gone > self.before / 2
    }

    const fn count(&mut self, is_gone: bool) {
        self.before += 1;
        self.gone += is_gone as u64;
    }
}

/// What is gone of what was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Customers, by namespace and subject.
    pub customers: Loss,
    /// Items that a customer has access to now, by customer and item.
    pub accesses: Loss,
    /// Subscriptions that unlock something now, by customer and licence.
    pub subscriptions: Loss,
    /// Items that are active.
    pub items: Loss,
    /// Places of items in packages and licences.
    pub unlocks: Loss,
    /// Licences that are available.
    pub licenses: Loss,
    /// Shards that were compared, and how many there are, of customers and of items.
    pub sample: (usize, usize),
}

impl Losses {
    /// Each of them with a name for people.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, Loss); 6] {
        [
            ("customers", self.customers),
            ("accesses", self.accesses),
            ("subscriptions to licences", self.subscriptions),
            ("active items", self.items),
            ("items in packages and licences", self.unlocks),
            ("available licences", self.licenses),
        ]
    }

    /// Compares two versions at the moment `now`: what has expired is not lost.
    ///
    /// # Errors
    /// An object of either cannot be read.
    pub fn between(before: &Published<'_>, after: &Published<'_>, now: UnixSecs) -> Result<Self, Side> {
        let mut losses = Self::default();
        let bits = before.shard_bits();
        for (tree, bits) in [(Tree::Customers, bits.customers), (Tree::Items, bits.items)] {
            let total = 1_usize << bits;
            let count = total.min(SAMPLE_SHARDS);
            losses.sample = (losses.sample.0 + count, losses.sample.1 + total);
            for number in (0..count).map(|number| number * (total / count)) {
                let old = before.records(tree, number, bits).map_err(Side::Before)?;
                let new = after.records(tree, number, bits).map_err(Side::After)?;
                for (key, record) in &old {
                    let new = new.get(key).map(Vec::as_slice);
                    losses.add(tree, record, new, now).map_err(|error| Side::Before(error.into()))?;
                }
            }
        }
        let available = |state| matches!(state, LicenseState::Live | LicenseState::Inactive);
        for (id, license) in &before.directory.licenses {
            if available(license.state) {
                let new = after.directory.licenses.get(id);
                losses.licenses.count(!new.is_some_and(|license| available(license.state)));
            }
        }
        Ok(losses)
    }

    fn add(&mut self, tree: Tree, old: &[u8], new: Option<&[u8]>, now: UnixSecs) -> Result<(), FormatError> {
        match tree {
            Tree::Customers => {
                self.customers.count(new.is_none());
                let (old, new) = (granted(old, now)?, new.map(|new| granted(new, now)).transpose()?);
                let (accesses, subscriptions) = new.unwrap_or_default();
                old.0.iter().for_each(|item| self.accesses.count(!accesses.contains(item)));
                old.1.iter().for_each(|license| self.subscriptions.count(!subscriptions.contains(license)));
            }
            Tree::Items => {
                let (old, new) = (ItemRecord::new(old)?, new.map(ItemRecord::new).transpose()?);
                if !old.is_active {
                    return Ok(());
                }
                let new = new.filter(|new| new.is_active);
                self.items.count(new.is_none());
                let packages: BTreeSet<_> = new.iter().flat_map(|new| new.packages.iter()).collect();
                let licenses: BTreeSet<_> = new.iter().flat_map(|new| new.licenses).collect();
                old.packages.iter().for_each(|package| self.unlocks.count(!packages.contains(&package)));
                old.licenses.iter().for_each(|license| self.unlocks.count(!licenses.contains(license)));
            }
        }
        Ok(())
    }
}

/// The items and licences that a customer has access to and subscribes to at `now`, or will later.
fn granted(record: &[u8], now: UnixSecs) -> Result<(BTreeSet<i64>, BTreeSet<u128>), FormatError> {
    let customer = CustomerRecord::new(record)?;
    let is_open = |expires_at: Option<UnixSecs>| expires_at.is_none_or(|end| now < end);
    let mut items = BTreeSet::new();
    for access in customer.accesses() {
        let access = access?;
        if is_open(access.expires_at) {
            items.insert(access.item_id);
        }
    }
    let licenses = customer.licenses()?.into_iter();
    let licenses =
        licenses.filter(|held| held.status != SubscriptionStatus::Cancelled && is_open(held.expires_at));
    Ok((items, licenses.map(|held| held.license_id).collect()))
}

impl fmt::Display for Losses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there_were = self.named().into_iter().filter(|(_, loss)| loss.before > 0);
        for (position, (name, Loss { before, gone })) in there_were.enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(formatter, "{separator}{gone} of {before} {name}")?;
        }
        let (compared, total) = self.sample;
        if compared < total {
            write!(formatter, " (in a sample of {compared} of {total} shards)")?;
        }
        Ok(())
    }
}
