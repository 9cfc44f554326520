//! Counts what a new version takes away of what the published one grants.
//!
//! A grant is counted as a decision would see it. Lost access is therefore noticed whatever caused the loss:
//! the record, its dates, the item, the licence, or a change of merchant.
//!
//! Keys are hashes, so the customers of a shard are a random sample of all customers. 32 shards hold some
//! 10,000 customers, which show to about one hundredth whether half of something is gone, however large the
//! snapshot is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use admit_snapshot::{
    customer::CustomerRecord,
    directory::Directory,
    index::Tree,
    item::ItemRecord,
    object::FormatError,
    schema::{ClientMode, SubscriptionStatus},
    time::UnixSecs,
};

use super::PublishedRecords;
use crate::build::BuildError;

/// Number of shards to compare in each tree. A tree with no more is compared as a whole.
pub const SAMPLE_SHARDS: usize = 32;

/// The version that could not be read.
#[derive(Debug)]
pub enum Side {
    /// The published version.
    Before(BuildError),
    /// The new version.
    After(BuildError),
}

/// The number of grants of one kind, and how many of them are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Number in the published version.
    pub before: u64,
    /// Number of those that the new version lacks.
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

/// The losses of each kind of grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Customers by namespace and subject.
    pub customers: Loss,
    /// Open accesses to items of the customer's merchant, by customer and item.
    pub accesses: Loss,
    /// Subscriptions that unlock something now, by customer and licence.
    pub subscriptions: Loss,
    /// Active items.
    pub items: Loss,
    /// Memberships of items in packages and licences.
    pub unlocks: Loss,
    /// Licences that unlock items for their holders.
    pub licenses: Loss,
    /// Clients of apps, by merchant and mode.
    pub clients: Loss,
    /// Number of shards that were compared, and number of all shards, over both trees.
    pub sample: (usize, usize),
}

impl Losses {
    /// All losses, with names for people.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, Loss); 7] {
        [
            ("customers", self.customers),
            ("accesses", self.accesses),
            ("subscriptions to licences", self.subscriptions),
            ("active items", self.items),
            ("items in packages and licences", self.unlocks),
            ("available licences", self.licenses),
            ("clients of apps", self.clients),
        ]
    }

    /// Compares two versions at the moment `now`. Grants that have expired or not begun do not count.
    ///
    /// # Errors
    /// An object of one version cannot be read.
    pub fn between(
        before: &PublishedRecords<'_>,
        after: &PublishedRecords<'_>,
        now: UnixSecs,
    ) -> Result<Self, Side> {
        let mut losses = Self::default();
        losses.compare_directories(&before.directory, &after.directory);
        let (mut old_items, mut new_items) = (Items::new(before), Items::new(after));
        let bits = before.shard_bits();
        for number in losses.sample(bits.customers) {
            let old = before.records(Tree::Customers, number, bits.customers).map_err(Side::Before)?;
            let new = after.records(Tree::Customers, number, bits.customers).map_err(Side::After)?;
            for (key, record) in &old {
                let new = new.get(key).map(Vec::as_slice);
                losses.add_customer(record, new, (&mut old_items, &mut new_items), now)?;
            }
        }
        let mut old = BTreeMap::new();
        for number in losses.sample(bits.items) {
            let records = before.records(Tree::Items, number, bits.items).map_err(Side::Before)?;
            // With another salt, the new version has its items in other shards.
            old.extend(records.into_iter().map(|(key, record)| (after.item_key(key.item_id()), record)));
        }
        // Sorted by key, so that each shard of the new version is read once.
        let old: Vec<_> = old.into_iter().collect();
        for part in old.chunk_by(|(left, _), (right, _)| left.shard(bits.items) == right.shard(bits.items)) {
            let number = part.first().map_or(0, |(key, _)| key.shard(bits.items));
            let new = after.records(Tree::Items, number, bits.items).map_err(Side::After)?;
            for (key, record) in part {
                let new = new.get(key).map(Vec::as_slice);
                losses.add_item(record, new).map_err(|error| Side::Before(error.into()))?;
            }
        }
        Ok(losses)
    }

    /// The numbers of the shards to compare in a tree of `1 << bits`, evenly spread.
    fn sample(&mut self, bits: u8) -> impl Iterator<Item = usize> + use<> {
        let total = 1_usize << bits;
        let count = total.min(SAMPLE_SHARDS);
        self.sample = (self.sample.0 + count, self.sample.1 + total);
        // Both are powers of two, so this takes every (total / count)-th shard.
        (0..count).map(move |number| number * (total / count))
    }

    fn compare_directories(&mut self, before: &Directory, after: &Directory) {
        for (id, _) in before.licenses.iter().filter(|(_, license)| license.is_for_holders()) {
            let is_there = after.licenses.get(id).is_some_and(|license| license.is_for_holders());
            self.licenses.count(!is_there);
        }
        let new: BTreeMap<_, _> = clients(after).collect();
        for (client_id, old) in clients(before) {
            self.clients.count(new.get(client_id) != Some(&old));
        }
    }

    /// Counts a customer's accesses and licences. An access that the new version grants counts as granted
    /// before; items of the published version are read only for accesses that seem lost, because each read is
    /// a request.
    fn add_customer(
        &mut self,
        old: &[u8],
        new: Option<&[u8]>,
        (old_items, new_items): (&mut Items<'_>, &mut Items<'_>),
        now: UnixSecs,
    ) -> Result<(), Side> {
        self.customers.count(new.is_none());
        let before = |error: FormatError| Side::Before(error.into());
        let after = |error: FormatError| Side::After(error.into());
        let old = Held::new(old, &old_items.published.directory, now).map_err(before)?;
        let new = new.map(|new| Held::new(new, &new_items.published.directory, now)).transpose();
        let new = new.map_err(after)?.unwrap_or_default();
        for item in &old.items {
            // Ask the new version first: reading items of the published one costs a request per shard.
            let is_granted = new.items.contains(item)
                && new_items.merchant(*item).map_err(Side::After)? == Some(new.merchant_id);
            if is_granted || old_items.merchant(*item).map_err(Side::Before)? == Some(old.merchant_id) {
                self.accesses.count(!is_granted);
            }
        }
        old.licenses.iter().for_each(|license| self.subscriptions.count(!new.licenses.contains(license)));
        Ok(())
    }

    fn add_item(&mut self, old: &[u8], new: Option<&[u8]>) -> Result<(), FormatError> {
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
        Ok(())
    }
}

/// The clients of all apps, with the values that a decision uses.
fn clients(directory: &Directory) -> impl Iterator<Item = (&str, (i64, ClientMode))> {
    directory.apps.iter().flat_map(|app| {
        app.clients.iter().map(|(client_id, mode)| (client_id.as_str(), (app.merchant_id, *mode)))
    })
}

/// What a customer's record grants at a moment, before the items are looked at.
#[derive(Default)]
struct Held {
    merchant_id: i64,
    /// Items with an open access.
    items: BTreeSet<i64>,
    /// Licences whose subscription unlocks items.
    licenses: BTreeSet<u128>,
}

impl Held {
    fn new(record: &[u8], directory: &Directory, now: UnixSecs) -> Result<Self, FormatError> {
        let customer = CustomerRecord::new(record)?;
        let merchant_id = customer.merchant_id;
        let is_open = |starts_at: Option<UnixSecs>, expires_at: Option<UnixSecs>| {
            starts_at.is_none_or(|start| start <= now) && expires_at.is_none_or(|end| now < end)
        };
        let mut items = BTreeSet::new();
        for access in customer.accesses() {
            let access = access?;
            if is_open(access.starts_at, access.expires_at) {
                items.insert(access.item_id);
            }
        }
        let unlocks = |id: &u128| {
            let license = directory.licenses.get(id).filter(|license| license.is_for_holders());
            let app = license.and_then(|license| directory.apps.get(license.app));
            app.is_some_and(|app| app.merchant_id == merchant_id)
        };
        let licenses = customer.licenses()?.into_iter();
        let licenses = licenses.filter(|held| {
            held.status != SubscriptionStatus::Cancelled && is_open(held.starts_at, held.expires_at)
        });
        let licenses = licenses.map(|held| held.license_id).filter(unlocks).collect();
        Ok(Self { merchant_id, items, licenses })
    }
}

/// The items of a version. A shard is read when the first of its items is needed, and only once.
struct Items<'a> {
    published: &'a PublishedRecords<'a>,
    read: BTreeSet<usize>,
    merchants: BTreeMap<i64, i64>,
}

impl<'a> Items<'a> {
    const fn new(published: &'a PublishedRecords<'a>) -> Self {
        Self { published, read: BTreeSet::new(), merchants: BTreeMap::new() }
    }

    /// The merchant of the item, if an access to the item grants something: the item is active, or it is a
    /// package, whose members an access unlocks in any case.
    fn merchant(&mut self, id: i64) -> Result<Option<i64>, BuildError> {
        let bits = self.published.shard_bits().items;
        let shard = self.published.item_key(id).shard(bits);
        if self.read.insert(shard) {
            for record in self.published.records(Tree::Items, shard, bits)?.values() {
                let item = ItemRecord::new(record)?;
                if item.is_active || item.is_package {
                    self.merchants.insert(item.id, item.merchant_id);
                }
            }
        }
        Ok(self.merchants.get(&id).copied())
    }
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
