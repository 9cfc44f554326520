//! What changed between two versions, record by record.
//!
//! A tree is compared part by part. A part holds the keys that share their leading bits: one shard of the version with
//! fewer shards beside several of the other, or one shard of the version with more shards beside a piece of the other's.
//! [`Comparison::part`] compares a part whose shards are at hand. [`Comparison::walk`] finds the parts that differ, and
//! passes over those whose shards have equal names, because objects are named by their content.
//!
//! `admit diff` lists all parts and reads them in parallel; the edge walks, a bounded number of parts for each page.

mod change;
mod directory;
mod walk;

use std::cmp::Ordering;

pub use self::{
    change::{Grants, HeldAccess, HeldSubscription, Holdings, How, LISTED_GRANTS_MAX, RecordChange},
    directory::{Counts, DirectoryChanges, VersionFacts},
    walk::{Bounds, Compared, Page, WHOLE_TREE_SHARDS_MAX},
};
use super::{
    delta,
    heap_sort::heap_sort,
    index::{Index, Tree},
    key::{EntryKey, ItemSalt},
    object::{FormatError, ObjectName},
    table::{Entry, Table},
    version::Version,
};

/// Both versions of a tree, divided into parts.
pub struct Comparison<'a> {
    tree: Tree,
    /// How many leading bits of a key are the number of its part.
    bits: u8,
    indexes: [&'a Index; 2],
    deltas: [Table<'a>; 2],
    /// Another salt gives the items of the version before other keys than those of the version after.
    is_rekeyed: bool,
    /// Whether both versions have the same shards throughout.
    has_equal_shards: bool,
}

/// Records of a part, in ascending order of their keys.
type Records<'a> = Vec<(EntryKey, &'a [u8])>;

/// A part and the shards that hold its keys, as far as the trees have any there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The leading bits of its keys.
    pub number: usize,
    /// Its shards in the version before, in the order of their keys.
    pub before: Vec<ObjectName>,
    /// Its shards in the version after, in the order of their keys.
    pub after: Vec<ObjectName>,
}

/// How large parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartSize {
    /// Each has one shard of the version with fewer shards: every shard is read once.
    Large,
    /// Each has one shard of the version with more shards: a part has at most two shards.
    Small,
}

impl<'a> Comparison<'a> {
    /// Compares a tree of two versions.
    ///
    /// # Errors
    /// A delta is corrupt.
    pub fn new(
        tree: Tree,
        before: &'a Version,
        after: &'a Version,
        size: PartSize,
    ) -> Result<Self, FormatError> {
        let is_rekeyed = tree == Tree::Items && before.index.salt() != after.index.salt();
        let [bits_before, bits_after] = [before, after].map(|version| version.index.shard_bits(tree));
        let bits = match size {
            // With another key an item is in another shard, so the whole tree is one part.
            _ if is_rekeyed => 0,
            PartSize::Large => bits_before.min(bits_after),
            PartSize::Small => bits_before.max(bits_after),
        };
        let delta = |version: &'a Version| match &version.delta {
            Some(delta) => Ok(delta::tables(delta)?.of(tree)),
            None => Ok(Table::default()),
        };
        let deltas = [delta(before)?, delta(after)?];
        let indexes = [&*before.index, &*after.index];
        let has_equal_shards = !is_rekeyed && before.index.has_equal_shards(&after.index, tree)?;
        Ok(Self { tree, bits, indexes, deltas, is_rekeyed, has_equal_shards })
    }

    /// How many leading bits of a key are the number of its part.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// The parts that a delta has entries for: some may come twice.
    pub fn touched(&self) -> impl Iterator<Item = usize> {
        self.deltas.iter().flat_map(Table::iter).map(|(key, _)| key.shard(self.bits))
    }

    /// Whether both deltas have the same entries for a part. Over equal shards these give equal records.
    ///
    /// # Errors
    /// An entry points outside of its delta.
    pub fn has_equal_deltas(&self, number: usize) -> Result<bool, FormatError> {
        let [mut before, mut after] = self.deltas.map(|delta| self.within(delta, number).iter());
        loop {
            match (before.next(), after.next()) {
                (None, None) => return Ok(true),
                (Some((key, entry)), Some((other, other_entry)))
                    if key == other && entry? == other_entry? => {}
                _ => return Ok(false),
            }
        }
    }

    /// Compares a part. `shards` are its shards of both versions, in the order of their keys.
    ///
    /// # Errors
    /// An object or a record is corrupt.
    pub fn part(&self, number: usize, shards: [&[Table<'_>]; 2]) -> Result<Vec<RecordChange>, FormatError> {
        let [before, after] = shards;
        let [delta_before, delta_after] = self.deltas;
        let mut before = self.records(number, before, delta_before)?;
        let after = self.records(number, after, delta_after)?;
        if self.is_rekeyed {
            let salt = self.salt();
            for (key, _) in &mut before {
                *key = EntryKey::item(salt, key.item_id());
            }
            heap_sort(&mut before, |(left, _), (right, _)| left < right);
        }
        let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
        let mut changes = Vec::new();
        loop {
            // The lowest key comes next, with the record of each side that has it.
            let order = match (before.peek(), after.peek()) {
                (None, None) => return Ok(changes),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some((other, _))) => key.cmp(other),
            };
            let old = if order == Ordering::Greater { None } else { before.next() };
            let new = if order == Ordering::Less { None } else { after.next() };
            let Some((key, _)) = old.or(new) else { return Ok(changes) };
            let [old, new] = [old, new].map(|side| side.map(|(_, record)| record));
            if old != new {
                changes.push(RecordChange::between(self.tree, key, old, new)?);
            }
        }
    }

    /// The records of a part as an edge finds them: those of the delta replace those of the shards, and its removals take
    /// them out.
    fn records<'r>(
        &self,
        number: usize,
        shards: &[Table<'r>],
        delta: Table<'r>,
    ) -> Result<Records<'r>, FormatError> {
        let mut records = Records::new();
        let mut take = |key, entry: Result<Entry<'r>, FormatError>| -> Result<(), FormatError> {
            if let Entry::Record(record) = entry? {
                records.push((key, record));
            }
            Ok(())
        };
        let mut newer = self.within(delta, number).iter().peekable();
        for (key, entry) in shards.iter().flat_map(|shard| self.within(*shard, number).iter()) {
            let mut is_replaced = false;
            while let Some((changed, entry)) = newer.next_if(|(changed, _)| *changed <= key) {
                is_replaced |= changed == key;
                take(changed, entry)?;
            }
            if !is_replaced {
                take(key, entry)?;
            }
        }
        for (key, entry) in newer {
            take(key, entry)?;
        }
        Ok(records)
    }

    /// The entries of a table for a part.
    fn within<'t>(&self, table: Table<'t>, number: usize) -> Table<'t> {
        table.within(EntryKey::first_of(number, self.bits), self.last_of(number))
    }

    fn last_of(&self, number: usize) -> EntryKey {
        match number + 1 {
            end if end < self.count() => EntryKey::last_before(end, self.bits),
            _ => EntryKey([0xff; 16]),
        }
    }

    /// Number of parts.
    const fn count(&self) -> usize {
        1 << self.bits
    }

    const fn salt(&self) -> ItemSalt {
        let [_, after] = self.indexes;
        after.salt()
    }
}

#[cfg(test)]
mod tests;
