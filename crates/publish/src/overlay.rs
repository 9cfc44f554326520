//! Lays a delta over the shards, so that commands see the records that an edge sees.
//!
//! A tree is divided into parts by the leading bits of its keys. With the index's own number of bits a part
//! is one shard; with fewer bits it is several shards side by side.

use std::collections::BTreeMap;

use admit_snapshot::{
    delta::Tables,
    index::{Index, Tree},
    key::EntryKey,
    object::{FormatError, ObjectName},
    report::Effect,
    table::{Entry, Table},
};
use anyhow::{Context, Result};
use indicatif::HumanCount;

use crate::{
    parallel,
    store::{
        Store,
        reach::{read, shard_bits, shards},
    },
};

/// Shards that are read at the same time.
const THREADS: usize = 8;

/// The delta's entries for the keys of one part.
pub type Part<'d> = BTreeMap<EntryKey, Entry<'d>>;

/// The delta's entries for a tree, by part.
#[derive(Debug, Default)]
pub struct Overlay<'d> {
    parts: BTreeMap<usize, Part<'d>>,
}

/// The effect of a delta as text to follow a total; empty without an effect.
pub fn note(effect: Effect) -> String {
    if effect == Effect::default() {
        return String::new();
    }
    let [added, changed, removed] = [effect.added, effect.changed, effect.removed].map(HumanCount);
    format!(" (the delta adds {added}, changes {changed}, removes {removed})")
}

impl<'d> Overlay<'d> {
    /// The entries of `delta` for `tree`, divided by the first `bits` bits of a key.
    ///
    /// # Errors
    /// The delta does not match its tables.
    pub fn new(delta: Option<Tables<'d>>, tree: Tree, bits: u8) -> Result<Self, FormatError> {
        let mut parts: BTreeMap<usize, Part<'d>> = BTreeMap::new();
        for (key, entry) in delta.iter().flat_map(|tables| tables.of(tree).iter()) {
            parts.entry(key.shard(bits)).or_default().insert(key, entry?);
        }
        Ok(Self { parts })
    }

    /// The parts that the delta has entries for, in order.
    pub fn parts(&self) -> impl Iterator<Item = usize> {
        self.parts.keys().copied()
    }

    /// The delta's entries for a part.
    pub fn part(&self, number: usize) -> Option<&Part<'d>> {
        self.parts.get(&number)
    }

    /// The records of a part as an edge finds them. `objects` are the part's shards.
    ///
    /// # Errors
    /// An object is not a shard, or an entry points outside of its shard.
    pub fn records<'o>(
        &self,
        number: usize,
        objects: impl IntoIterator<Item = (ObjectName, &'o [u8])>,
    ) -> Result<BTreeMap<EntryKey, &'o [u8]>>
    where
        'd: 'o,
    {
        let mut records = BTreeMap::new();
        for (name, object) in objects {
            for (key, entry) in Table::of_shard(object).with_context(|| name.to_string())?.iter() {
                if let Entry::Record(record) = entry.with_context(|| name.to_string())? {
                    records.insert(key, record);
                }
            }
        }
        // The delta comes last: its records replace those of the shards, and its removals take them out.
        for (key, entry) in self.part(number).into_iter().flatten() {
            match entry {
                Entry::Record(record) => {
                    records.insert(*key, *record);
                }
                Entry::Removed | Entry::Unknown => {
                    records.remove(key);
                }
            }
        }
        Ok(records)
    }

    /// The effect of the delta on a part of one shard, or of none where the tree has no entries.
    ///
    /// # Errors
    /// An entry points outside of its shard.
    pub fn effect(&self, number: usize, shard: Option<&Table<'_>>) -> Result<Effect, FormatError> {
        let entries = self.part(number).into_iter().flatten();
        Effect::of(entries.map(|(key, entry)| (*key, Ok(*entry))), shard)
    }
}

/// Counts the effect of a delta on a tree, by reading the shards that it touches. `None` if these are more
/// than `shards_max`.
///
/// # Errors
/// An object cannot be read, or does not match its name.
pub fn count(
    store: &Store,
    index: &Index,
    delta: Option<Tables<'_>>,
    tree: Tree,
    shards_max: usize,
) -> Result<Option<Effect>> {
    if delta.is_none() {
        return Ok(Some(Effect::default()));
    }
    let overlay = Overlay::new(delta, tree, shard_bits(index, tree)).context("delta")?;
    let parts: Vec<_> = overlay.parts().collect();
    if parts.len() > shards_max {
        return Ok(None);
    }
    // Without changes the pages of a large index need not be read.
    let shards = if parts.is_empty() { BTreeMap::new() } else { shards(store, index, tree)? };
    let effects = parallel::try_map(&parts, THREADS, |number| -> Result<Effect> {
        let object = shards.get(number).map(|name| read(store, *name)).transpose()?;
        let table = object.as_deref().map(Table::of_shard).transpose()?;
        Ok(overlay.effect(*number, table.as_ref())?)
    })?;
    let mut total = Effect::default();
    effects.into_iter().for_each(|effect| total += effect);
    Ok(Some(total))
}

#[cfg(test)]
mod tests {
    use admit_snapshot::{
        delta::{self, encode_delta},
        object::ObjectKind,
        table::write_table,
    };

    use super::*;

    const LOW: EntryKey = EntryKey([0x10; 16]);
    const MIDDLE: EntryKey = EntryKey([0x20; 16]);
    const HIGH: EntryKey = EntryKey([0x90; 16]);

    fn shard(entries: &[(EntryKey, &[u8])]) -> Vec<u8> {
        let mut object = ObjectKind::Shard.header().to_vec();
        write_table(&mut object, entries).unwrap();
        object
    }

    #[test]
    fn the_delta_adds_changes_and_removes() {
        let object = shard(&[(LOW, b"old"), (MIDDLE, b"gone")]);
        let changes = [(LOW, b"new".as_slice()), (MIDDLE, b""), (HIGH, b"first")];
        let delta = encode_delta([&changes, &[], &[]]).unwrap();
        let overlay = Overlay::new(Some(delta::tables(&delta).unwrap()), Tree::Customers, 1).unwrap();
        assert_eq!(overlay.parts().collect::<Vec<_>>(), [0, 1]);
        let table = Table::of_shard(&object).unwrap();
        let effect = overlay.effect(0, Some(&table)).unwrap();
        assert_eq!(effect, Effect { added: 0, changed: 1, removed: 1 });
        let mut total = effect;
        total += overlay.effect(1, None).unwrap();
        assert_eq!((total, total.total(2)), (Effect { added: 1, changed: 1, removed: 1 }, 2));
        let name = ObjectName::of(ObjectKind::Shard, &object);
        let records = overlay.records(0, [(name, object.as_slice())]).unwrap();
        assert_eq!(records, BTreeMap::from([(LOW, b"new".as_slice())]));
        assert_eq!(overlay.records(1, []).unwrap(), BTreeMap::from([(HIGH, b"first".as_slice())]));
    }

    #[test]
    fn removing_what_is_not_there_is_no_effect() {
        let delta = encode_delta([&[(HIGH, b"")], &[], &[]]).unwrap();
        let overlay = Overlay::new(Some(delta::tables(&delta).unwrap()), Tree::Customers, 0).unwrap();
        assert_eq!(overlay.effect(0, None).unwrap(), Effect::default());
        let other = Overlay::new(Some(delta::tables(&delta).unwrap()), Tree::Items, 0).unwrap();
        assert_eq!(other.parts().count(), 0);
    }
}
