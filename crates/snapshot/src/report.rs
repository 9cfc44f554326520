//! What operators want to know of a published snapshot: the head, the sizes of its objects, the versions that are kept, the
//! lease. `admit inspect` and the edge's report have these members; each reads the objects in its own way.

use serde::Serialize;

use super::{
    delta,
    head::Head,
    heap_sort::heap_sort,
    key::EntryKey,
    lease::Lease,
    object::{FormatError, ObjectName},
    table::{Entry, Table},
    time::{UnixSecs, iso8601},
};
use crate::limits::DELTA_BUDGET_BYTES;

/// Whether the head's signature was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Signed by the key at hand.
    Verified,
    /// No key was given.
    NotChecked,
}

/// The effect of a delta on the records of the shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// Records that only the delta has.
    pub added: u64,
    /// Records of the shards that the delta replaces.
    pub changed: u64,
    /// Records of the shards that the delta removes.
    pub removed: u64,
}

impl Effect {
    /// The effect of a delta's entries on a shard, or on none where the tree has no entries.
    ///
    /// # Errors
    /// An entry points outside of its object.
    pub fn of<'d>(
        entries: impl Iterator<Item = (EntryKey, Result<Entry<'d>, FormatError>)>,
        shard: Option<&Table<'_>>,
    ) -> Result<Self, FormatError> {
        let mut effect = Self::default();
        for (key, entry) in entries {
            let is_in_shard = match shard {
                Some(table) => matches!(table.get(key)?, Entry::Record(_)),
                None => false,
            };
            match (entry?, is_in_shard) {
                (Entry::Record(_), true) => effect.changed += 1,
                (Entry::Record(_), false) => effect.added += 1,
                (Entry::Removed, true) => effect.removed += 1,
                (Entry::Removed, false) | (Entry::Unknown, _) => {}
            }
        }
        Ok(effect)
    }

    /// The number of records, given that the shards have `in_shards`.
    #[must_use]
    pub const fn total(self, in_shards: u64) -> u64 {
        in_shards.saturating_add(self.added).saturating_sub(self.removed)
    }
}

impl std::ops::AddAssign for Effect {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.changed += other.changed;
        self.removed += other.removed;
    }
}

/// The head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeadReport {
    /// Version of the byte format.
    pub format: u8,
    /// The store that the head is for, if it names one.
    pub aud: Option<String>,
    /// The version.
    pub seq: u64,
    /// The origin's count of committed changes that the content reflects.
    pub origin_seq: u64,
    /// When the data was current, unix seconds.
    pub as_of: UnixSecs,
    /// The same as text.
    pub as_of_iso: String,
    /// The age of the head, which a follower renews while the origin answers.
    pub age_secs: i64,
    /// When the data last changed, unix seconds.
    pub changed_at: UnixSecs,
    /// Seconds since then.
    pub unchanged_secs: i64,
    /// When it was published, unix seconds.
    pub published_at: Option<UnixSecs>,
    /// Machine, process and release of the publisher.
    pub published_by: Option<String>,
    /// Number of customers including the delta; `None` when the delta touches more shards than may be read.
    pub customers: Option<u64>,
    /// Number of items including the delta; `None` likewise.
    pub items: Option<u64>,
    /// Number of customers in the shards, as the head says.
    pub customers_in_shards: u64,
    /// Number of items in the shards.
    pub items_in_shards: u64,
    /// The effect of the delta on the customers of the shards.
    pub delta_customers: Option<Effect>,
    /// The effect of the delta on the items.
    pub delta_items: Option<Effect>,
    /// Records of the origin that could not be used. The last usable state of each is published, if there is
    /// one.
    pub set_aside: u64,
    /// Revocations that are in force.
    pub revoked: usize,
    /// Whether the signature was verified.
    pub signature: Signature,
}

impl HeadReport {
    /// Describes the head at the time `now`. `effects` are those of the delta on customers and on items, where they were
    /// counted.
    #[must_use]
    pub fn new(head: &Head, effects: [Option<Effect>; 2], signature: Signature, now: UnixSecs) -> Self {
        let [delta_customers, delta_items] = effects;
        Self {
            format: head.format,
            aud: head.aud.clone(),
            seq: head.seq,
            origin_seq: head.origin_seq(),
            as_of: head.as_of,
            as_of_iso: iso8601(head.as_of, 0),
            age_secs: now.saturating_sub(head.as_of),
            changed_at: head.changed_at(),
            unchanged_secs: now.saturating_sub(head.changed_at()),
            published_at: head.published_at,
            published_by: head.published_by.clone(),
            customers: delta_customers.map(|effect| effect.total(head.customers)),
            items: delta_items.map(|effect| effect.total(head.items)),
            customers_in_shards: head.customers,
            items_in_shards: head.items,
            delta_customers,
            delta_items,
            set_aside: head.set_aside.unwrap_or(0),
            revoked: head.denylist.in_force(now),
            signature,
        }
    }
}

/// The objects that the head reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectsReport {
    /// The index.
    pub index: ObjectReport,
    /// The directory.
    pub directory: ObjectReport,
    /// The delta, if there is one.
    pub delta: Option<DeltaReport>,
    /// Pages of the index.
    pub pages: usize,
    /// Shards of customers.
    pub customers: ShardsReport,
    /// Shards of items.
    pub items: ShardsReport,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectReport {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
}

impl ObjectReport {
    /// Describes an object of `bytes` bytes.
    #[must_use]
    pub fn new(name: ObjectName, bytes: usize) -> Self {
        Self { name: name.to_string(), bytes }
    }
}

/// The delta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeltaReport {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
    /// The size above which it is written into the shards.
    pub budget_bytes: usize,
    /// Number of customers in it, including removed ones.
    pub customers: usize,
    /// Number of items in it, including removed ones.
    pub items: usize,
}

impl DeltaReport {
    /// Describes a delta.
    ///
    /// # Errors
    /// The object is not a delta.
    pub fn new(name: ObjectName, object: &[u8]) -> Result<Self, FormatError> {
        let tables = delta::tables(object)?;
        Ok(Self {
            name: name.to_string(),
            bytes: object.len(),
            budget_bytes: DELTA_BUDGET_BYTES,
            customers: tables.customers.len(),
            items: tables.items.len(),
        })
    }
}

/// The shards of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShardsReport {
    /// Number of places for shards.
    pub places: usize,
    /// Number of shards with entries; `None` if not all pages of the index were read.
    pub shards: Option<usize>,
    /// Number of shards that were measured; the following fields are about these.
    pub measured: usize,
    /// Number of entries.
    pub entries: usize,
    /// Size of all.
    pub bytes: usize,
    /// Size of the smallest.
    pub smallest_bytes: usize,
    /// The median size.
    pub median_bytes: usize,
    /// Size of the largest.
    pub largest_bytes: usize,
    /// Number of shards by size.
    pub histogram: Vec<Bucket>,
}

/// Shards of about the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// The largest size in this bucket; the bucket before ends below it.
    pub up_to_bytes: usize,
    /// Number of shards.
    pub shards: usize,
}

/// The size of a shard, and the number of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measured {
    /// Its size.
    pub bytes: usize,
    /// Number of its entries.
    pub entries: usize,
}

impl Measured {
    /// Measures a shard.
    ///
    /// # Errors
    /// The object is not a shard.
    pub fn shard(object: &[u8]) -> Result<Self, FormatError> {
        Ok(Self { bytes: object.len(), entries: Table::of_shard(object)?.len() })
    }
}

/// An even sample of at most `most` of them: every second, every third and so on.
#[must_use]
pub fn sample<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let step = all.len().div_ceil(most.max(1)).max(1);
    all.into_iter().step_by(step).collect()
}

impl ShardsReport {
    /// Describes a tree with this number of `places`, of which `shards` have entries, by the shards that were measured.
    #[must_use]
    pub fn new(places: usize, shards: Option<usize>, mut measured: Vec<Measured>) -> Self {
        heap_sort(&mut measured, |left, right| left < right);
        let size = |at: usize| measured.get(at).map_or(0, |shard| shard.bytes);
        Self {
            places,
            shards,
            measured: measured.len(),
            entries: measured.iter().map(|shard| shard.entries).sum(),
            bytes: measured.iter().map(|shard| shard.bytes).sum(),
            smallest_bytes: size(0),
            median_bytes: size(measured.len() / 2),
            largest_bytes: size(measured.len().saturating_sub(1)),
            histogram: histogram(&measured),
        }
    }
}

/// Counts sizes by powers of two, from the smallest size to the largest.
fn histogram(sorted: &[Measured]) -> Vec<Bucket> {
    let (Some(smallest), Some(largest)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let mut buckets = Vec::new();
    let mut up_to_bytes = smallest.bytes.next_power_of_two();
    loop {
        let from = up_to_bytes / 2;
        let is_here = |shard: &&Measured| shard.bytes <= up_to_bytes && shard.bytes > from;
        buckets.push(Bucket { up_to_bytes, shards: sorted.iter().filter(is_here).count() });
        if up_to_bytes >= largest.bytes {
            return buckets;
        }
        up_to_bytes *= 2;
    }
}

/// Kept versions and the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryReport {
    /// How many versions are kept; `None` if not all keys were listed.
    pub versions_total: Option<usize>,
    /// The newest of them, newest first.
    pub versions: Vec<KeptVersion>,
    /// The publisher that holds the lease, if any.
    pub lease: Option<LeaseReport>,
}

/// A version that can be rolled back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptVersion {
    /// The version.
    pub seq: u64,
    /// The origin's count of changes that its content reflects.
    pub origin_seq: u64,
    /// When the data was true, unix seconds.
    pub as_of: UnixSecs,
    /// When it was published, unix seconds.
    pub published_at: Option<UnixSecs>,
    /// Number of customers.
    pub customers: u64,
    /// Number of items.
    pub items: u64,
    /// Records of the origin that could not be used when the version was published.
    pub set_aside: u64,
}

impl KeptVersion {
    /// Describes the version that is kept under `seq`.
    #[must_use]
    pub fn new(seq: u64, head: &Head) -> Self {
        Self {
            seq,
            origin_seq: head.origin_seq(),
            as_of: head.as_of,
            published_at: head.published_at,
            customers: head.customers,
            items: head.items,
            set_aside: head.set_aside.unwrap_or(0),
        }
    }
}

/// A lease that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseReport {
    /// The publisher's host and process.
    pub host: String,
    /// When the lease ends unless it is renewed.
    pub until: String,
    /// Seconds until then.
    pub secs_left: i64,
}

impl LeaseReport {
    /// Describes a lease that is held at `now`. `None` for one that has ended.
    #[must_use]
    pub fn new(lease: Lease, now: UnixSecs) -> Option<Self> {
        let is_held = lease.is_held(now);
        is_held.then(|| Self {
            host: lease.host,
            until: iso8601(lease.until, 0),
            secs_left: lease.until.saturating_sub(now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{object::ObjectKind, table::write_table};

    #[test]
    fn sizes_are_counted_by_powers_of_two() {
        let counts = |sizes: &[usize]| -> Vec<(usize, usize)> {
            let measured = sizes.iter().map(|bytes| Measured { bytes: *bytes, entries: 1 }).collect();
            let report = ShardsReport::new(8, Some(8), measured);
            report.histogram.iter().map(|bucket| (bucket.up_to_bytes, bucket.shards)).collect()
        };
        assert_eq!(counts(&[]), []);
        assert_eq!(counts(&[64]), [(64, 1)]);
        assert_eq!(counts(&[300, 33, 64, 65, 128]), [(64, 2), (128, 2), (256, 0), (512, 1)]);
    }

    #[test]
    fn a_sample_is_even_and_bounded() {
        assert_eq!(sample((0..10).collect(), 20), (0..10).collect::<Vec<_>>());
        assert_eq!(sample((0..10).collect(), 4), [0, 3, 6, 9]);
        assert_eq!(sample((0..1_000).collect(), 8).len(), 8);
        assert!(sample(Vec::<u8>::new(), 8).is_empty());
    }

    #[test]
    fn the_delta_adds_changes_and_removes() {
        let key = |first: u8| EntryKey([first; 16]);
        let mut shard = ObjectKind::Shard.header().to_vec();
        write_table(&mut shard, &[(key(1), "old"), (key(2), "gone")]).unwrap();
        let changes = [(key(1), "new"), (key(2), ""), (key(3), "first"), (key(4), "")];
        let delta = delta::encode_delta([&changes, &[], &[]]).unwrap();
        let entries = || delta::tables(&delta).unwrap().customers.iter();
        let mut effect = Effect::of(entries(), Some(&Table::of_shard(&shard).unwrap())).unwrap();
        assert_eq!(effect, Effect { added: 1, changed: 1, removed: 1 });
        assert_eq!(Effect::of(entries(), None).unwrap(), Effect { added: 2, changed: 0, removed: 0 });
        effect += effect;
        assert_eq!(effect.total(5), 5);
    }
}
