//! Divides entries into shards, and the shards' digests into a tree.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    thread,
};

use admit_snapshot::{
    customer::CustomerRecord,
    index::{Index, NewTree, Tree},
    key::{EntryKey, ItemSalt},
    object::{Digest, FormatError, HEADER_LEN, ObjectKind, ObjectName},
    table::write_table,
};

use super::{
    BuildError, ObjectSink, check_size,
    fit::{Sizes, entry_bytes, make_room, shard_bytes},
};
use crate::{
    limits::SHARD_MAX_BYTES,
    parallel,
    published::PublishedRecords,
    source::{
        About, Entry, Location, Problem, Problems, RecordKey, RecordKind, References, Source, Strictness,
        spill,
    },
};

/// Target length of a shard in bytes. Small enough to be loaded and hashed in a fraction of a millisecond,
/// and for hundreds of requests at once to load one each when KV is slow. A shard's few hundred customers do
/// not keep it in an isolate's memory, nor, at most points of presence, in KV's cache for longer than some
/// hours: `docs/scale.md` has the numbers, and the effect of 256 KiB.
pub const SHARD_TARGET_BYTES: usize = 64 * 1024;

/// Length of a shard without entries: the header and the number of entries.
const EMPTY_SHARD_LEN: usize = HEADER_LEN + size_of::<u32>();

/// Numbers of shards of a snapshot, as powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardBits {
    /// Shards of the customers' tree.
    pub customers: u8,
    /// Shards of the items' tree.
    pub items: u8,
    /// Shards of the external ids' tree.
    pub external_ids: u8,
}

impl ShardBits {
    /// The numbers of shards of a published index.
    #[must_use]
    pub fn of(index: &Index) -> Self {
        let bits = |tree| u8::try_from(index.shard_count(tree).trailing_zeros()).unwrap_or(u8::MAX);
        Self {
            customers: bits(Tree::Customers),
            items: bits(Tree::Items),
            external_ids: bits(Tree::ExternalIds),
        }
    }
}

/// Layout of a new snapshot. It follows the published one, if there is one, so that records stay in their
/// shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Numbers of shards of the published snapshot. They stay while they fit.
    pub bits: Option<ShardBits>,
    /// The salt from which the keys of items are derived.
    pub salt: ItemSalt,
}

impl Layout {
    /// Layout of a store's first snapshot, with this salt.
    #[must_use]
    pub const fn new(salt: ItemSalt) -> Self {
        Self { bits: None, salt }
    }

    /// Layout of a published index. An index of format 1 has no salt and gets `fresh`.
    #[must_use]
    pub fn of(index: &Index, fresh: ItemSalt) -> Self {
        Self { bits: Some(ShardBits::of(index)), salt: index.salt().or(fresh) }
    }
}

/// Number of shards, as a power of two, for entries of `total_bytes`. The published number stays while the
/// average shard has 3/8 to 3/2 of its target length: data that hovers about a power of two must not move
/// every customer to another shard at each publish.
pub fn shard_bits(total_bytes: u64, published: Option<u8>) -> Result<u8, FormatError> {
    let target = SHARD_TARGET_BYTES as u64;
    if let Some(bits) = published.filter(|bits| *bits < 64) {
        let average = total_bytes >> bits;
        // Keep the number while the average shard has 3/8 to 3/2 of the target.
        if average <= target / 2 * 3 && (bits == 0 || average >= target / 8 * 3) {
            return Ok(bits);
        }
    }
    // The least power of two of shards whose average is at most the target.
    let count = total_bytes.div_ceil(target).next_power_of_two();
    u8::try_from(count.trailing_zeros()).map_err(|_| FormatError::Invalid("number of shards"))
}

/// Encodes the shard of `entries`, which must be in strictly ascending order of key. `None` if there are no
/// entries.
///
/// # Errors
/// The order is wrong, or the shard is too large for an edge.
pub fn write_shard(
    entries: &[(EntryKey, impl AsRef<[u8]>)],
) -> Result<Option<(ObjectName, Vec<u8>)>, BuildError> {
    if entries.is_empty() {
        return Ok(None);
    }
    check_size(ObjectKind::Shard, EMPTY_SHARD_LEN + shard_bytes(entries))?;
    let mut object = ObjectKind::Shard.header().to_vec();
    write_table(&mut object, entries)?;
    Ok(Some((ObjectName::of(ObjectKind::Shard, &object), object)))
}

/// Builds the tree of records that are in memory. The caller has made sure that they fit into their shards,
/// at the latest with 2^12 shards.
///
/// # Errors
/// A shard does not fit, or cannot be stored.
pub(crate) fn build_records(
    records: &BTreeMap<EntryKey, Vec<u8>>,
    published: Option<u8>,
    store: &mut impl FnMut(ObjectKind, Vec<u8>) -> Result<Digest, BuildError>,
) -> Result<NewTree, BuildError> {
    let mut sizes = Sizes::default();
    records.iter().for_each(|(key, record)| sizes.add(*key, entry_bytes(record)));
    let bits = sizes.fitting_bits(shard_bits(sizes.total(), published)?);
    let entries: Vec<_> = records.iter().map(|(key, record)| (*key, record)).collect();
    let mut shards = vec![None; 1 << bits];
    // Entries are sorted by key, so those of one shard are adjacent.
    for part in entries.chunk_by(|(left, _), (right, _)| left.shard(bits) == right.shard(bits)) {
        let Some((_, object)) = write_shard(part)? else { continue };
        let number = part.first().map(|(key, _)| key.shard(bits));
        let slot = number.and_then(|number| shards.get_mut(number));
        *slot.ok_or(BuildError::Unresolved("shard"))? = Some(store(ObjectKind::Shard, object)?);
    }
    Ok(NewTree::new(shards)?)
}

/// The customers' tree, with the problems found on the way.
pub(super) struct CustomerTree {
    pub tree: NewTree,
    pub count: u64,
    pub problems: Problems,
}

/// Builds the shards of all customers, bucket by bucket on all processors, and checks the customers'
/// references. The last good state of customers that are set aside comes from `published`.
pub(super) fn build_customers(
    source: &Source,
    published_bits: Option<u8>,
    published: Option<&PublishedRecords<'_>>,
    sink: &impl ObjectSink,
    objects: &mut Vec<(ObjectName, u64)>,
) -> Result<CustomerTree, BuildError> {
    let sizes = source.customers.sizes();
    let mut total_bytes = sizes.total();
    let set_aside = &source.problems.set_aside;
    if let Some(bits) = published_bits.filter(|_| set_aside.may_hide(RecordKind::Customer)) {
        // Customers that stay although the lines lack them count as well: never reduce the number of shards.
        total_bytes = total_bytes.max((SHARD_TARGET_BYTES as u64 / 2) << bits.min(32));
    }
    let bits = sizes.fitting_bits(shard_bits(total_bytes, published_bits)?);
    // A group consists of whole shards: one bucket with several shards, or several buckets with one shard.
    let group_bits = bits.min(spill::BUCKET_BITS);
    let groups = 1 << group_bits;
    let references = References::new(&source.catalogue);
    let build = Build { source, references, published, bits, group_bits, sink };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let groups: Vec<usize> = (0..groups).collect();
    let done = parallel::try_map(&groups, workers, |group| build.group(*group))?;
    let mut shards = vec![None; 1 << bits];
    let (mut count, mut problems) = (0, Problems::default());
    for group in done {
        count += group.count;
        problems.append(group.problems);
        for (number, name, bytes) in group.shards {
            *shards.get_mut(number).ok_or(BuildError::Unresolved("shard"))? = Some(name.digest);
            objects.push((name, bytes));
        }
    }
    Ok(CustomerTree { tree: NewTree::new(shards)?, count, problems })
}

struct Build<'a, S> {
    source: &'a Source,
    references: References<'a>,
    published: Option<&'a PublishedRecords<'a>>,
    bits: u8,
    group_bits: u8,
    sink: &'a S,
}

#[derive(Default)]
struct Group {
    shards: Vec<(usize, ObjectName, u64)>,
    count: u64,
    problems: Problems,
}

impl<S: ObjectSink> Build<'_, S> {
    fn group(&self, number: usize) -> Result<Group, BuildError> {
        // A group is a run of `1 << buckets_bits` buckets, because groups and buckets are both cut by leading
        // bits.
        let buckets_bits = spill::BUCKET_BITS - self.group_bits;
        let mut bytes = Vec::new();
        for bucket in number << buckets_bits..(number + 1) << buckets_bits {
            let bucket = self.source.customers.bucket(bucket)?;
            if bytes.is_empty() {
                bytes = bucket;
            } else {
                bytes.extend_from_slice(&bucket);
            }
        }
        let mut entries: Vec<_> = spill::entries(&bytes).collect();
        // The first of two lines for one customer counts, whichever thread was faster.
        entries.sort_unstable_by_key(|entry| (entry.key, entry.file, entry.line));
        let mut group = Group::default();
        let mut kept: Vec<(EntryKey, Cow<'_, [u8]>)> = Vec::with_capacity(entries.len());
        let mut left_out = Vec::new();
        let mut place = Place { source: self.source, file: 0, at: self.source.location(0, 0) };
        // All lines of one customer are adjacent now; the first one counts.
        for same in entries.chunk_by(|left, right| left.key == right.key) {
            let Some((first, more)) = same.split_first() else { continue };
            if self.is_publishable(first, more, &mut place, &mut group.problems)? {
                kept.push((first.key, Cow::Borrowed(first.record)));
            } else {
                left_out.push(first.key);
            }
        }
        // If lines are invalid, nothing is published, and shards would be written in vain.
        match self.source.strictness {
            Strictness::SetAside => self.add_last_good(number, left_out, &mut kept, &mut group.problems)?,
            Strictness::Refuse
                if self.source.problems.errors.is_empty() && group.problems.errors.is_empty() => {}
            Strictness::Refuse => return Ok(group),
        }
        // Making room reads published records, so it is tried only if a shard does not fit.
        if self.is_crowded(&kept) {
            self.make_room(number, &entries, &mut kept, &mut place, &mut group.problems)?;
            if self.source.strictness == Strictness::Refuse && !group.problems.errors.is_empty() {
                return Ok(group);
            }
        }
        group.count = kept.len() as u64;
        for part in self.parts(&kept) {
            let Some((name, object)) = write_shard(part)? else { continue };
            let number = part.first().map_or(0, |(key, _)| key.shard(self.bits));
            group.shards.push((number, name, object.len() as u64));
            self.sink.store(name, object)?;
        }
        Ok(group)
    }

    /// Splits entries by shard.
    fn parts<'e, R>(
        &self,
        entries: &'e [(EntryKey, R)],
    ) -> impl Iterator<Item = &'e [(EntryKey, R)]> + use<'e, R, S> {
        let bits = self.bits;
        entries.chunk_by(move |(left, _), (right, _)| left.shard(bits) == right.shard(bits))
    }

    /// Whether a shard has too many entries to fit.
    fn is_crowded(&self, entries: &[(EntryKey, Cow<'_, [u8]>)]) -> bool {
        shard_bytes(entries) > SHARD_MAX_BYTES
            && self.parts(entries).any(|part| shard_bytes(part) > SHARD_MAX_BYTES)
    }

    /// Sets aside records for which the shards of a group have no room.
    fn make_room(
        &self,
        number: usize,
        entries: &[Entry<'_>],
        kept: &mut Vec<(EntryKey, Cow<'_, [u8]>)>,
        place: &mut Place<'_>,
        problems: &mut Problems,
    ) -> Result<(), BuildError> {
        let before = match self.published {
            Some(published) => published.records(Tree::Customers, number, self.group_bits)?,
            None => BTreeMap::new(),
        };
        let last_good = |key| before.get(&key).map(|record| Cow::Owned(record.clone()));
        let mut fitting = Vec::with_capacity(kept.len());
        for part in self.parts(kept) {
            let mut part = part.to_vec();
            for given_way in make_room(&mut part, last_good) {
                let line = entries.binary_search_by_key(&given_way.key, |entry| entry.key);
                let at = line.ok().and_then(|line| entries.get(line)).map(|entry| place.of(entry).clone());
                let at = at.unwrap_or_else(|| Location { file: "published".into(), line: 0 });
                problems.add(given_way.error(Tree::Customers, at));
                problems.set_aside.stand(&given_way.record_key(Tree::Customers), given_way.standing);
            }
            fitting.extend(part);
        }
        *kept = fitting;
        Ok(())
    }

    /// Whether a customer can be published. `more` are further lines with the same name.
    fn is_publishable(
        &self,
        first: &Entry<'_>,
        more: &[Entry<'_>],
        place: &mut Place<'_>,
        problems: &mut Problems,
    ) -> Result<bool, BuildError> {
        let errors = problems.errors.total();
        let id = |entry: &Entry<'_>| CustomerRecord::new(entry.record).map_or(0, |record| record.id);
        for again in more {
            let earlier = self.source.location(first.file, first.line);
            let at = place.of(again);
            if again.record == first.record {
                problems.warn(at, Problem::new("", format!("duplicate line; first: {earlier}")));
                continue;
            }
            let problem = Problem::new("subject", format!("duplicate customer; first: {earlier}"));
            problems.error(at, About::customer(again.key, id(again)), problem);
        }
        let at = place.of(first);
        let has_merchant = self.references.check(first.key, first.record, at, problems)?;
        if !has_merchant {
            problems.set_aside.depend(1);
        }
        let key = RecordKey::Customer(first.key);
        Ok(has_merchant
            && problems.errors.total() == errors
            && !self.source.problems.set_aside.contains(&key))
    }

    /// Adds the last good state of customers that cannot be published as they are, and of customers that
    /// unreadable lines may have named.
    fn add_last_good(
        &self,
        number: usize,
        left_out: Vec<EntryKey>,
        kept: &mut Vec<(EntryKey, Cow<'_, [u8]>)>,
        problems: &mut Problems,
    ) -> Result<(), BuildError> {
        let all = &self.source.problems.set_aside;
        let (first, last) = range(number, self.group_bits);
        // Customers of this group that need their last good state: those set aside earlier, and those just
        // left out.
        let mut wrong: BTreeSet<EntryKey> = all.customers(first, last).into_iter().collect();
        wrong.extend(left_out);
        let may_hide = all.may_hide(RecordKind::Customer);
        let Some(published) = self.published.filter(|_| !wrong.is_empty() || may_hide) else {
            return Ok(());
        };
        let here: BTreeSet<EntryKey> = kept.iter().map(|(key, _)| *key).collect();
        for (key, record) in published.records(Tree::Customers, number, self.group_bits)? {
            let is_wrong = wrong.contains(&key);
            // A published customer is added only if it is missing here, needed, and its merchant still
            // exists.
            if here.contains(&key) || !(is_wrong || may_hide) || !self.references.has_merchant(&record)? {
                continue;
            }
            let name = RecordKey::Customer(key);
            if all.contains(&name) || problems.set_aside.contains(&name) {
                problems.set_aside.mark_last_good(name);
            } else if !is_wrong {
                problems.set_aside.keep_missing(1);
            }
            kept.push((key, Cow::Owned(record)));
        }
        kept.sort_unstable_by_key(|(key, _)| *key);
        Ok(())
    }
}

/// The place of an entry's line. Entries come in the order of keys, mostly from the same file, so the file's
/// name is kept.
struct Place<'a> {
    source: &'a Source,
    file: u32,
    at: Location,
}

impl Place<'_> {
    fn of(&mut self, entry: &Entry<'_>) -> &Location {
        if entry.file != self.file {
            self.at = self.source.location(entry.file, 0);
            self.file = entry.file;
        }
        self.at.line = entry.line;
        &self.at
    }
}

/// First and last key with these leading `bits`.
fn range(prefix: usize, bits: u8) -> (EntryKey, EntryKey) {
    // The prefix followed by zeros, and the prefix followed by ones.
    let rest = 128 - u32::from(bits.min(64));
    let first = u128::try_from(prefix).unwrap_or_default().checked_shl(rest).unwrap_or_default();
    let last = first | u128::MAX.checked_shr(u32::from(bits.min(64))).unwrap_or_default();
    (EntryKey(first.to_be_bytes()), EntryKey(last.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_shards_stays_while_they_are_of_a_good_size() {
        let kib = |count: u64| count * 1_024;
        for (total_bytes, published, expected) in [
            (0, None, 0),
            (kib(64), None, 0),
            (kib(65), None, 1),
            (kib(129), None, 2),
            (kib(96), Some(0), 0),
            (kib(97), Some(0), 1),
            (kib(1), Some(0), 0),
            (kib(48), Some(1), 1),
            (kib(47), Some(1), 0),
            (kib(800), Some(3), 4),
            (kib(768), Some(3), 3),
            (kib(64), Some(200), 0),
        ] {
            assert_eq!(shard_bits(total_bytes, published), Ok(expected), "{total_bytes} {published:?}");
        }
    }
}
