//! Items for which their shard has no room.
//!
//! Items are checked before they are published, in a whole publish and in a delta, so that a compaction can
//! always write them: if each of 2^12 shards fits, the shards of a finer division fit as well.

use std::collections::BTreeMap;

use admit_snapshot::key::EntryKey;

use super::{
    catalogue::Catalogue,
    check::Finding,
    problems::Problems,
    set_aside::{About, RecordKey},
    size::finding,
};
use crate::{
    build::{Rendered, Sizes, entry_bytes, no_room},
    limits::{RAISED_SHARD_BITS_MAX, SHARD_MAX_BYTES},
};

/// The items of an overfull shard by number, with the length of their entries in bytes.
type Shard = BTreeMap<i64, usize>;

impl Catalogue {
    /// Whether a shard is overfull.
    pub(super) fn is_crowded(&self, rendered: &Rendered) -> bool {
        !self.crowded_shards(rendered).is_empty()
    }

    /// Reports the items for which their shards have no room.
    pub(super) fn check_crowded(&self, rendered: &Rendered, problems: &mut Problems) {
        for Finding { key, at, problem, .. } in self.crowded(rendered) {
            problems.error(&at, About::key(key), problem);
        }
    }

    /// The items that must be left out: the largest of each overfull shard, as few as possible.
    pub(super) fn crowded(&self, rendered: &Rendered) -> Vec<Finding> {
        let mut findings = Vec::new();
        for shard in self.crowded_shards(rendered).into_values() {
            let shard_bytes: usize = shard.values().sum();
            let mut excess = shard_bytes.saturating_sub(SHARD_MAX_BYTES);
            // Largest first, so that the fewest items give way.
            let mut order: Vec<_> = shard.into_iter().map(|(id, bytes)| (bytes, id)).collect();
            order.sort_unstable_by(|left, right| right.cmp(left));
            for (bytes, id) in order {
                if excess == 0 {
                    break;
                }
                excess = excess.saturating_sub(bytes);
                if let (Some(item), Some(record)) = (self.items.get(&id), rendered.items.get(&id)) {
                    let problem = no_room(record.len(), shard_bytes);
                    findings.push(finding(RecordKey::Item(id), &item.at, problem));
                }
            }
        }
        findings
    }

    /// The overfull shards, by their numbers among 2^12.
    fn crowded_shards(&self, rendered: &Rendered) -> BTreeMap<usize, Shard> {
        let mut crowded: BTreeMap<usize, Shard> = BTreeMap::new();
        let total: usize = rendered.items.values().map(|record| entry_bytes(record)).sum();
        // If all items fit into one shard, no shard can be overfull.
        if total <= SHARD_MAX_BYTES {
            return crowded;
        }
        let mut sizes = Sizes::default();
        let key = |id: &i64| EntryKey::item(self.salt, *id);
        rendered.items.iter().for_each(|(id, record)| sizes.add(key(id), entry_bytes(record)));
        let is_crowded = |number: usize| sizes.part(number) > SHARD_MAX_BYTES as u64;
        if (0..1 << RAISED_SHARD_BITS_MAX).any(is_crowded) {
            for (id, record) in &rendered.items {
                let number = key(id).shard(RAISED_SHARD_BITS_MAX);
                if is_crowded(number) {
                    crowded.entry(number).or_default().insert(*id, entry_bytes(record));
                }
            }
        }
        crowded
    }
}
