//! The way through the parts that differ, as far as the objects are at hand.

use std::rc::Rc;

use super::{Comparison, Part, RecordChange};
use crate::{
    index::{Index, Place},
    key::EntryKey,
    object::{FormatError, ObjectName},
    table::Table,
    version::ObjectCache,
};

/// Number of shards of both versions up to which items with other keys are compared. All of them are in memory at the same
/// time: 4 MiB.
pub const WHOLE_TREE_SHARDS_MAX: usize = 64;

/// How far a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Number of parts that differ.
    pub parts_max: usize,
    /// Number of parts, or of stretches of equal parts, that are looked at.
    pub looks_max: usize,
}

/// What a walk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The changes of some parts.
    Page(Page),
    /// These objects must be loaded before.
    Load(Vec<ObjectName>),
    /// The items of both versions have different keys, and more than [`WHOLE_TREE_SHARDS_MAX`] shards.
    TooLarge,
}

/// The changes of some parts, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The changes.
    pub changes: Vec<RecordChange>,
    /// Number of parts that were compared.
    pub parts: usize,
    /// The key after which the walk goes on. `None`: there are no other changes.
    pub next: Option<EntryKey>,
}

impl Comparison<'_> {
    /// Compares parts from the one after `after` on, or from the first one on, up to `bounds`.
    ///
    /// # Errors
    /// A loaded object is corrupt.
    pub fn walk(
        &self,
        after: Option<EntryKey>,
        bounds: Bounds,
        objects: &mut ObjectCache,
    ) -> Result<Compared, FormatError> {
        let from = match after {
            Some(EntryKey(after)) => u128::from_be_bytes(after).checked_add(1),
            None => Some(0),
        };
        let Some(from) = from else { return Ok(Compared::Page(Page::default())) };
        let mut number = EntryKey(from.to_be_bytes()).shard(self.bits);
        let (mut parts, mut missing) = (Vec::new(), Vec::new());
        for _ in 0..bounds.looks_max {
            if number >= self.count() || parts.len() >= bounds.parts_max || !missing.is_empty() {
                break;
            }
            let next = self.next_unequal(number)?;
            if next > number {
                number = next;
                continue;
            }
            let part =
                if self.is_rekeyed { self.whole()? } else { self.find(number, objects, &mut missing)? };
            let Some(part) = part else { return Ok(Compared::TooLarge) };
            if part.before != part.after || !self.has_equal_deltas(number)? {
                parts.push(part);
            }
            number += 1;
        }
        let mut pairs = Vec::new();
        for part in &parts {
            let [before, after] =
                [&part.before, &part.after].map(|names| loaded(names, objects, &mut missing));
            pairs.push((part.number, before, after));
        }
        if !missing.is_empty() {
            return Ok(Compared::Load(missing));
        }
        let mut page = Page { parts: parts.len(), ..Page::default() };
        for (number, before, over) in &pairs {
            let changes = self.part(*number, [&tables(before)?, &tables(over)?])?;
            // The page before may have ended within a part.
            page.changes.extend(changes.into_iter().filter(|change| Some(change.key) > after));
        }
        page.next = (number < self.count()).then(|| EntryKey::last_before(number, self.bits));
        Ok(Compared::Page(page))
    }

    /// The first part from `number` on that may differ.
    fn next_unequal(&self, number: usize) -> Result<usize, FormatError> {
        let Some(end) = self.equal_until(number)? else { return Ok(number) };
        let rest = |delta: &Table<'_>| {
            let changed = delta.within(EntryKey::first_of(number, self.bits), EntryKey([0xff; 16]));
            changed.iter().next().map(|(key, _)| key.shard(self.bits))
        };
        let touched = self.deltas.iter().filter_map(rest).min().unwrap_or(end);
        Ok(end.min(touched))
    }

    /// The end of a stretch in which both versions have the same shards, if `number` is in one: one page of the index, or
    /// all shards.
    fn equal_until(&self, number: usize) -> Result<Option<usize>, FormatError> {
        if self.has_equal_shards {
            return Ok(Some(self.count()));
        }
        if self.is_rekeyed {
            return Ok(None);
        }
        let key = EntryKey::first_of(number, self.bits);
        let [before, after] = self.indexes.map(|index| index.page_of(self.tree, key));
        let (before, after) = (before?, after?);
        let same = before.filter(|_| before == after);
        Ok(same.map(|(_, bits)| ((number >> bits) + 1) << bits))
    }

    /// The shards of a part. Pages that are needed to tell them are added to `missing`.
    fn find(
        &self,
        number: usize,
        objects: &mut ObjectCache,
        missing: &mut Vec<ObjectName>,
    ) -> Result<Option<Part>, FormatError> {
        let key = EntryKey::first_of(number, self.bits);
        let mut shard = |index: &Index| -> Result<Vec<ObjectName>, FormatError> {
            Ok(match index.place(self.tree, key, |page| objects.get(page))? {
                Place::Nowhere => Vec::new(),
                Place::Shard(name) => vec![name],
                Place::Page(name) => {
                    if !missing.contains(&name) {
                        missing.push(name);
                    }
                    Vec::new()
                }
            })
        };
        let [before, after] = self.indexes;
        Ok(Some(Part { number, before: shard(before)?, after: shard(after)? }))
    }

    /// All shards, as one part. `None` if they are too many.
    fn whole(&self) -> Result<Option<Part>, FormatError> {
        let mut part = Part::default();
        let [before, after] = self.indexes;
        for (index, names) in [(before, &mut part.before), (after, &mut part.after)] {
            if index.shard_count(self.tree) > WHOLE_TREE_SHARDS_MAX {
                return Ok(None);
            }
            names.extend(index.top_shards(self.tree)?.into_iter().map(|(_, name)| name));
        }
        let is_small = part.before.len() + part.after.len() <= WHOLE_TREE_SHARDS_MAX;
        Ok(is_small.then_some(part))
    }
}

/// The objects of these names. Those that are not at hand are added to `missing`.
fn loaded(names: &[ObjectName], objects: &mut ObjectCache, missing: &mut Vec<ObjectName>) -> Vec<Rc<[u8]>> {
    let mut found = Vec::new();
    for name in names {
        match objects.get(*name) {
            Some(object) => found.push(object),
            None if missing.contains(name) => {}
            None => missing.push(*name),
        }
    }
    found
}

fn tables(shards: &[Rc<[u8]>]) -> Result<Vec<Table<'_>>, FormatError> {
    shards.iter().map(|shard| Table::of_shard(shard)).collect()
}
