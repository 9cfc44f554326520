//! Cuts entries into shards, and the shards' digests into a tree.

use std::{collections::BTreeMap, num::NonZero, thread};

use super::{BuildError, ObjectSink, check_size};
use crate::{
    parallel,
    snapshot::{
        index::{Index, NewTree, Tree},
        key::EntryKey,
        object::{Digest, FormatError, ObjectKind, ObjectName},
        source::{Entry, Problem, Problems, References, Source, spill},
        table::{ENTRY_LEN, write_table},
    },
};

/// A shard is about this large: small enough to load and hash in a fraction of a millisecond, and for hundreds
/// of requests at once to load one each when KV is slow. Its few hundred customers do not keep it in an
/// isolate's memory, nor, at most points of presence, in KV's cache for longer than some hours:
/// `docs/scale.md` has the numbers, and what 256 KiB would change.
pub const SHARD_TARGET_BYTES: usize = 64 * 1024;

/// How many shards a snapshot has, as powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardBits {
    /// Of customers.
    pub customers: u8,
    /// Of items.
    pub items: u8,
}

impl ShardBits {
    /// Those of a published index.
    #[must_use]
    pub fn of(index: &Index) -> Self {
        let bits = |tree| u8::try_from(index.shard_count(tree).trailing_zeros()).unwrap_or(u8::MAX);
        Self { customers: bits(Tree::Customers), items: bits(Tree::Items) }
    }
}

/// The number of shards for entries of `total_bytes`, as a power of two. The published number stays while
/// shards are 3/8 to 3/2 of their target: data that hovers about a power of two must not move every customer
/// to another shard at each publish.
pub fn shard_bits(total_bytes: u64, published: Option<u8>) -> Result<u8, FormatError> {
    let target = SHARD_TARGET_BYTES as u64;
    if let Some(bits) = published.filter(|bits| *bits < 64) {
        let average = total_bytes >> bits;
        if average <= target / 2 * 3 && (bits == 0 || average >= target / 8 * 3) {
            return Ok(bits);
        }
    }
    let count = total_bytes.div_ceil(target).next_power_of_two();
    u8::try_from(count.trailing_zeros()).map_err(|_| FormatError::Invalid("number of shards"))
}

/// Writes the shard of `entries`, which are in strictly ascending order of key; `None` for no entries.
///
/// # Errors
/// When they are not, or the shard is too large for an edge.
pub fn write_shard(
    entries: &[(EntryKey, impl AsRef<[u8]>)],
) -> Result<Option<(ObjectName, Vec<u8>)>, BuildError> {
    if entries.is_empty() {
        return Ok(None);
    }
    let mut object = ObjectKind::Shard.header().to_vec();
    write_table(&mut object, entries)?;
    check_size(ObjectKind::Shard, &object)?;
    Ok(Some((ObjectName::of(ObjectKind::Shard, &object), object)))
}

/// The tree of records that are in memory.
pub(super) fn build_records(
    records: &BTreeMap<EntryKey, Vec<u8>>,
    published: Option<u8>,
    store: &mut impl FnMut(ObjectKind, Vec<u8>) -> Result<Digest, BuildError>,
) -> Result<NewTree, BuildError> {
    let total_bytes: usize = records.values().map(|record| ENTRY_LEN + record.len()).sum();
    let bits = shard_bits(total_bytes as u64, published)?;
    let entries: Vec<_> = records.iter().map(|(key, record)| (*key, record)).collect();
    let mut shards = vec![None; 1 << bits];
    for part in entries.chunk_by(|(left, _), (right, _)| left.shard(bits) == right.shard(bits)) {
        let Some((_, object)) = write_shard(part)? else { continue };
        let number = part.first().map(|(key, _)| key.shard(bits));
        let slot = number.and_then(|number| shards.get_mut(number));
        *slot.ok_or(BuildError::Unresolved("shard"))? = Some(store(ObjectKind::Shard, object)?);
    }
    Ok(NewTree::new(shards)?)
}

/// The tree of customers, and what was found on the way.
pub(super) struct CustomerTree {
    pub tree: NewTree,
    pub count: u64,
    pub problems: Problems,
}

/// Builds the shards of all customers, bucket by bucket on all processors, and checks what they refer to.
pub(super) fn build_customers(
    source: &Source,
    published: Option<u8>,
    sink: &impl ObjectSink,
    objects: &mut Vec<(ObjectName, u64)>,
) -> Result<CustomerTree, BuildError> {
    let bits = shard_bits(source.customers.tables_bytes(), published)?;
    // A group is what whole shards need: one bucket with some shards, or some buckets with one shard.
    let group_bits = bits.min(spill::BUCKET_BITS);
    let groups = 1 << group_bits;
    let build = Build { source, references: References::new(&source.catalogue), bits, group_bits, sink };
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
        // Of two lines for one customer the first counts, whichever thread was quicker.
        entries.sort_unstable_by_key(|entry| (entry.key, entry.file, entry.line));
        let mut group = Group::default();
        let mut kept: Vec<(EntryKey, &[u8])> = Vec::with_capacity(entries.len());
        let mut first: Option<&Entry<'_>> = None;
        let mut at = self.source.location(0, 0);
        let mut file = 0;
        for entry in &entries {
            if entry.file != file {
                at = self.source.location(entry.file, 0);
                file = entry.file;
            }
            at.line = entry.line;
            match first {
                Some(first) if first.key == entry.key => {
                    let first = self.source.location(first.file, first.line);
                    let message = format!("this customer again; first: {first}");
                    group.problems.error(&at, Problem::new("subject", message));
                }
                _ => {
                    first = Some(entry);
                    self.references.check(entry.record, &at, &mut group.problems)?;
                    kept.push((entry.key, entry.record));
                }
            }
        }
        group.count = kept.len() as u64;
        // Nothing will be published when lines are wrong: what is written then is written in vain.
        if !self.source.problems.errors.is_empty() || !group.problems.errors.is_empty() {
            return Ok(group);
        }
        for part in kept.chunk_by(|(left, _), (right, _)| left.shard(self.bits) == right.shard(self.bits)) {
            let Some((name, object)) = write_shard(part)? else { continue };
            let number = part.first().map_or(0, |(key, _)| key.shard(self.bits));
            group.shards.push((number, name, object.len() as u64));
            self.sink.store(name, object)?;
        }
        Ok(group)
    }
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
