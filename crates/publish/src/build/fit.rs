//! How many shards a tree needs so that each fits into an object, and which records are replaced where no
//! number of shards helps.
//!
//! Everything here works on lengths, so that shards which will not be written are never put together
//! (docs/adr/0020).

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use admit_snapshot::{
    customer::CustomerRecord, external_id::ExternalRecord, index::Tree, key::EntryKey, table::ENTRY_LEN,
};

use crate::{
    limits::{RAISED_SHARD_BITS_MAX, SHARD_MAX_BYTES},
    source::{About, LineError, Location, Problem, RecordKey, Standing},
};

/// Length of an entry in its shard, in bytes.
pub const fn entry_bytes(record: &[u8]) -> usize {
    ENTRY_LEN + record.len()
}

/// Lengths of a tree's entries in bytes, summed by the leading [`RAISED_SHARD_BITS_MAX`] bits of their keys.
#[derive(Clone, Debug)]
pub struct Sizes(Vec<u64>);

impl Default for Sizes {
    fn default() -> Self {
        Self(vec![0; 1 << RAISED_SHARD_BITS_MAX])
    }
}

impl Sizes {
    /// Adds an entry of this length.
    pub fn add(&mut self, key: EntryKey, bytes: usize) {
        if let Some(part) = self.0.get_mut(key.shard(RAISED_SHARD_BITS_MAX)) {
            *part = part.saturating_add(bytes as u64);
        }
    }

    /// Adds the sums of another part of the same tree.
    pub fn append(&mut self, other: &Self) {
        for (part, more) in self.0.iter_mut().zip(&other.0) {
            *part = part.saturating_add(*more);
        }
    }

    /// Length of all entries together, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Length of the entries in one of 2^12 parts, in bytes.
    pub fn part(&self, number: usize) -> u64 {
        self.0.get(number).copied().unwrap_or(0)
    }

    /// Number of shards, as a power of two, with which the largest shard fits. Starts from `bits`, which
    /// follows from the average, and adds bits only as long as they help.
    #[must_use]
    pub fn fitting_bits(&self, bits: u8) -> u8 {
        // `min_by_key` returns the first of equals, which is the smallest number.
        (bits..=RAISED_SHARD_BITS_MAX).min_by_key(|bits| self.excess(*bits)).unwrap_or(bits)
    }

    /// Number of bytes that do not fit into `1 << bits` shards.
    fn excess(&self, bits: u8) -> u64 {
        // With fewer shards than parts, a shard consists of several consecutive parts.
        let parts_per_shard = 1_usize << RAISED_SHARD_BITS_MAX.saturating_sub(bits);
        let shards = self.0.chunks(parts_per_shard).map(|shard| shard.iter().sum::<u64>());
        shards.map(|bytes| bytes.saturating_sub(SHARD_MAX_BYTES as u64)).sum()
    }
}

/// A record for which its shard has no room.
#[derive(Clone, Debug)]
pub struct GivenWay<R> {
    /// Key of the record.
    pub key: EntryKey,
    /// The record as it is now.
    pub record: R,
    /// The state that is published in its place.
    pub standing: Standing,
    /// Length that all records of its shard would take, in bytes.
    pub shard_bytes: usize,
}

impl<R: AsRef<[u8]>> GivenWay<R> {
    /// Identifies the record in reports. An external id is named by the first of its items.
    pub fn record_key(&self, tree: Tree) -> RecordKey {
        match tree {
            Tree::Customers => RecordKey::Customer(self.key),
            Tree::Items => RecordKey::Item(self.key.item_id()),
            Tree::ExternalIds => {
                let first = ExternalRecord::new(self.record.as_ref()).ok().and_then(|it| it.iter().next());
                RecordKey::Item(first.map_or(0, |(_, item_id)| item_id))
            }
        }
    }

    /// The error about the record, which was read at `at`.
    pub fn error(&self, tree: Tree, at: Location) -> LineError {
        let about = match tree {
            Tree::Customers => {
                let id = CustomerRecord::new(self.record.as_ref()).map_or(0, |customer| customer.id);
                About::customer(self.key, id)
            }
            Tree::Items | Tree::ExternalIds => About::key(self.record_key(tree)),
        };
        LineError { about, at, problem: no_room(self.record.as_ref().len(), self.shard_bytes) }
    }
}

/// The problem of a record whose shard would take `shard_bytes`.
pub fn no_room(record_bytes: usize, shard_bytes: usize) -> Problem {
    let message = format!(
        "expected at most {SHARD_MAX_BYTES} bytes of all records in its shard, found {shard_bytes}, of which this one \
         has {record_bytes}: the largest are left out"
    );
    Problem::new("", message)
}

/// Length of entries in a shard, in bytes.
pub fn shard_bytes(entries: &[(EntryKey, impl AsRef<[u8]>)]) -> usize {
    entries.iter().map(|(_, record)| entry_bytes(record.as_ref())).sum()
}

/// Makes the entries of a shard fit, and returns the records that had to be replaced. The largest are
/// replaced first, so that small records never pay for large ones: by their last good state if that is
/// smaller, otherwise by nothing.
pub fn make_room<R: AsRef<[u8]> + Clone>(
    entries: &mut Vec<(EntryKey, R)>,
    last_good: impl Fn(EntryKey) -> Option<R>,
) -> Vec<GivenWay<R>> {
    make_room_within(SHARD_MAX_BYTES, entries, last_good)
}

fn make_room_within<R: AsRef<[u8]> + Clone>(
    limit: usize,
    entries: &mut Vec<(EntryKey, R)>,
    last_good: impl Fn(EntryKey) -> Option<R>,
) -> Vec<GivenWay<R>> {
    let shard_bytes = shard_bytes(entries);
    let mut excess = shard_bytes.saturating_sub(limit);
    if excess == 0 {
        return Vec::new();
    }
    let mut given_way: BTreeMap<EntryKey, GivenWay<R>> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    let sizes = entries.iter().enumerate().map(|(position, (_, record))| (record.as_ref().len(), position));
    // A heap with the largest record on top, by the record's position in `entries`.
    let mut by_size: BinaryHeap<(usize, usize)> = sizes.collect();
    while excess > 0
        && let Some((bytes, position)) = by_size.pop()
    {
        let Some((key, record)) = entries.get_mut(position) else { continue };
        // The last good state may have to be removed as well.
        let is_fallen = given_way.contains_key(key);
        let good = last_good(*key).filter(|good| !is_fallen && good.as_ref().len() < bytes);
        let standing = if good.is_some() { Standing::LastGood } else { Standing::Absent };
        let first = || GivenWay { key: *key, record: record.clone(), standing, shard_bytes };
        given_way.entry(*key).or_insert_with(first).standing = standing;
        // A smaller last good state goes back into the heap, because it may have to be removed as well.
        let freed = match good {
            Some(good) => {
                by_size.push((good.as_ref().len(), position));
                let freed = bytes - good.as_ref().len();
                *record = good;
                freed
            }
            None => {
                gone.insert(*key);
                ENTRY_LEN + bytes
            }
        };
        excess = excess.saturating_sub(freed);
    }
    entries.retain(|(key, _)| !gone.contains(key));
    given_way.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn key(first: u8, last: u8) -> EntryKey {
        EntryKey([first, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
    }

    #[test]
    fn bits_rise_until_the_largest_shard_fits_and_no_further() {
        let mut sizes = Sizes::default();
        assert_eq!((sizes.fitting_bits(0), sizes.fitting_bits(20)), (0, 20));
        sizes.add(key(0b0000_0000, 0), SHARD_MAX_BYTES);
        assert_eq!(sizes.fitting_bits(0), 0);
        sizes.add(key(0b1000_0000, 1), 100);
        assert_eq!(sizes.fitting_bits(0), 1);
        sizes.add(key(0b0000_1000, 2), 1);
        assert_eq!((sizes.fitting_bits(0), sizes.fitting_bits(3), sizes.fitting_bits(7)), (5, 5, 7));
        assert_eq!(sizes.total(), SHARD_MAX_BYTES as u64 + 101);
    }

    /// More shards cost all other records something, so they must help.
    #[test]
    fn bits_do_not_rise_for_records_that_no_number_of_shards_parts() {
        let mut sizes = Sizes::default();
        for last in 0..3 {
            sizes.add(key(7, last), SHARD_MAX_BYTES / 2);
        }
        assert_eq!(sizes.fitting_bits(0), 0);
        sizes.add(key(0b1000_0000, 0), 1);
        assert_eq!(sizes.fitting_bits(0), 1, "one byte less does not fit");
        assert_eq!(sizes.fitting_bits(2), 2);
        assert_eq!(sizes.fitting_bits(13), 13);
    }

    /// A limit that suits records small enough for tests.
    const LIMIT: usize = 3_000;

    fn entries(lens: &[usize]) -> Vec<(EntryKey, Vec<u8>)> {
        lens.iter().enumerate().map(|(number, len)| (key(0, number as u8), vec![1; *len])).collect()
    }

    #[test]
    fn the_largest_give_way_and_only_as_many_as_it_takes() {
        let third = LIMIT / 3;
        let mut all = entries(&[10, third, third + 1, third + 2, 20]);
        let given_way = make_room_within(LIMIT, &mut all, |_| None);
        assert_eq!(
            all.iter().map(|(_, record)| record.len()).collect::<Vec<_>>(),
            [10, third, third + 1, 20]
        );
        assert_eq!(
            (given_way.len(), given_way[0].key, given_way[0].standing),
            (1, key(0, 3), Standing::Absent)
        );
        assert!(make_room_within(LIMIT, &mut all, |_| None).is_empty());
    }

    fn good<'a>(was: &'a [(EntryKey, Vec<u8>)]) -> impl Fn(EntryKey) -> Option<Vec<u8>> + 'a {
        |key| was.iter().find(|(it, _)| *it == key).map(|(_, record)| record.clone())
    }

    #[test]
    fn a_last_good_state_that_is_smaller_takes_the_place() {
        let half = LIMIT / 2;
        let mut all = entries(&[half, half + 1]);
        let was = [(key(0, 1), vec![1; 50])];
        let given_way = make_room_within(LIMIT, &mut all, good(&was));
        assert_eq!(all.iter().map(|(_, record)| record.len()).collect::<Vec<_>>(), [half, 50]);
        let told = (given_way.len(), given_way[0].key, given_way[0].standing);
        assert_eq!(told, (1, key(0, 1), Standing::LastGood));
        let error = given_way[0].error(Tree::Items, Location { file: "f".into(), line: 3 }).to_string();
        assert!(
            error.contains(&SHARD_MAX_BYTES.to_string()) && error.contains("the largest are left out"),
            "{error}"
        );
    }

    /// A customer with a large record must not keep out the news of others.
    #[test]
    fn a_large_record_gives_way_to_small_news_even_if_it_is_as_it_was() {
        let mut all = entries(&[LIMIT - 3 * ENTRY_LEN, 1, 2]);
        let was = [(key(0, 0), vec![1; LIMIT - 3 * ENTRY_LEN]), (key(0, 1), vec![1; 1])];
        let given_way = make_room_within(LIMIT, &mut all, good(&was));
        assert_eq!(
            (given_way.len(), given_way[0].key, given_way[0].standing),
            (1, key(0, 0), Standing::Absent)
        );
        assert_eq!(all.iter().map(|(_, record)| record.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_last_good_state_gives_way_too_if_it_must() {
        let mut all = entries(&[LIMIT, 2]);
        let was = [(key(0, 0), vec![1; LIMIT - 1])];
        let given_way = make_room_within(LIMIT, &mut all, good(&was));
        assert_eq!((given_way.len(), given_way[0].standing, all.len()), (1, Standing::Absent, 1));
        assert_eq!(given_way[0].record.len(), LIMIT, "what it is now");
    }

    proptest! {
        #[test]
        fn every_shard_fits_after_making_room(
            lens in vec(0_usize..LIMIT / 2, 0..12), was in vec(0_usize..LIMIT / 2, 0..12),
        ) {
            let mut all = entries(&lens);
            let before = all.len();
            let was = entries(&was);
            let given_way = make_room_within(LIMIT, &mut all, good(&was));
            let bytes: usize = all.iter().map(|(_, record)| entry_bytes(record)).sum();
            prop_assert!(bytes <= LIMIT);
            let gone = given_way.iter().filter(|it| it.standing == Standing::Absent).count();
            prop_assert_eq!(all.len() + gone, before);
            for (key, record) in &all {
                let is_as_it_came = lens.get(usize::from(key.0[15])) == Some(&record.len());
                prop_assert!(is_as_it_came || given_way.iter().any(|it| it.key == *key));
            }
        }
    }
}
