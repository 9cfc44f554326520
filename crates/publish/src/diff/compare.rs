//! Compares a tree of two versions part by part. A part is one shard of the version with fewer shards,
//! together with the shards of the other version in the same range of keys. Only parts that differ are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use admit_snapshot::{
    customer::CustomerRecord,
    external_id::ExternalRecord,
    index::Tree,
    item::ItemRecord,
    key::{EntryKey, ItemSalt},
    object::{FormatError, ObjectName},
};
use anyhow::{Context, Result};

use super::report::{Holdings, How, RecordChange, TreeReport};
use crate::{
    details::title,
    overlay::Overlay,
    parallel,
    progress::Progress,
    published::Published,
    store::{Store, reach::read},
};

/// Parts that are compared at the same time. Each is a few shards of 64 KiB.
const THREADS: usize = 8;

/// A part whose shards differ.
struct Part {
    number: usize,
    before: Vec<ObjectName>,
    after: Vec<ObjectName>,
}

/// The differences so far.
#[derive(Default)]
struct Found {
    added: u64,
    removed: u64,
    changed: u64,
    listed: BTreeMap<EntryKey, RecordChange>,
}

impl Found {
    fn add(&mut self, changes: Vec<(EntryKey, RecordChange)>, list_max: usize) {
        for (key, change) in changes {
            match change.how {
                How::Added => self.added += 1,
                How::Removed => self.removed += 1,
                How::Changed => self.changed += 1,
            }
            self.listed.insert(key, change);
            // Sorted by key, so that two runs print the same list in whichever order parts were compared.
            if self.listed.len() > list_max {
                self.listed.pop_last();
            }
        }
    }
}

/// Compares a tree of two versions. At most `list_max` changes are listed; all are counted.
///
/// # Errors
/// A shard or a page cannot be read.
pub fn compare(tree: Tree, before: &Published, after: &Published, list_max: usize) -> Result<TreeReport> {
    let [salt_before, salt_after] = [before, after].map(|side| side.version.index.salt());
    let bits = match tree {
        // With another salt an item is in another shard, so the whole tree is one part.
        Tree::Items if salt_before != salt_after => 0,
        _ => before.shard_bits(tree).min(after.shard_bits(tree)),
    };
    let (shards_before, shards_after) = (before.shards(tree)?, after.shards(tree)?);
    let [overlay_before, overlay_after] =
        [before, after].map(|side| Overlay::new(side.delta(), tree, bits).context("delta"));
    let overlays = [overlay_before?, overlay_after?];
    let parts = parts(
        by_part(&shards_before, before.shard_bits(tree).saturating_sub(bits)),
        by_part(&shards_after, after.shard_bits(tree).saturating_sub(bits)),
        &overlays,
    );
    let (found, store) = (Mutex::new(Found::default()), &after.store);
    let progress = Progress::of_objects(parts.len());
    let compared = parallel::for_each(&parts, THREADS, |part| {
        let changes = compare_part(store, tree, salt_after, part, &overlays)?;
        found.lock().unwrap_or_else(PoisonError::into_inner).add(changes, list_max);
        progress.advance(0);
        Ok(())
    });
    progress.finish();
    compared?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let names: BTreeSet<_> = shards_before.values().collect();
    Ok(TreeReport {
        shards_before: shards_before.len(),
        shards_after: shards_after.len(),
        shards_shared: shards_after.values().filter(|name| names.contains(name)).count(),
        added: found.added,
        removed: found.removed,
        changed: found.changed,
        changes: found.listed.into_values().collect(),
    })
}

/// The shards of a tree, grouped by part. A part has `1 << shift` places for shards.
fn by_part(shards: &BTreeMap<usize, ObjectName>, shift: u8) -> BTreeMap<usize, Vec<ObjectName>> {
    let mut parts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (number, name) in shards {
        parts.entry(number >> shift).or_default().push(*name);
    }
    parts
}

/// The parts whose shards are not the same.
fn parts(
    mut before: BTreeMap<usize, Vec<ObjectName>>,
    mut after: BTreeMap<usize, Vec<ObjectName>>,
    [overlay_before, overlay_after]: &[Overlay<'_>; 2],
) -> Vec<Part> {
    // Every part that has shards in either version, or that either delta touches.
    let numbers: BTreeSet<usize> = before
        .keys()
        .chain(after.keys())
        .copied()
        .chain(overlay_before.parts())
        .chain(overlay_after.parts())
        .collect();
    // Equal entries of both deltas over equal shards give equal records.
    let is_touched = |number: usize| overlay_before.part(number) != overlay_after.part(number);
    let part = |number| Part {
        number,
        before: before.remove(&number).unwrap_or_default(),
        after: after.remove(&number).unwrap_or_default(),
    };
    let parts = numbers.into_iter().map(part);
    parts.filter(|part| part.before != part.after || is_touched(part.number)).collect()
}

fn compare_part(
    store: &Store,
    tree: Tree,
    salt: ItemSalt,
    part: &Part,
    [overlay_before, overlay_after]: &[Overlay<'_>; 2],
) -> Result<Vec<(EntryKey, RecordChange)>> {
    // A shard that both versions have is read once.
    let mut objects = BTreeMap::new();
    for name in part.before.iter().chain(&part.after) {
        if !objects.contains_key(name) {
            objects.insert(*name, read(store, *name)?);
        }
    }
    let of = |names: &[ObjectName]| -> Vec<_> {
        let object = |name| objects.get(&name).map_or(&[][..], Vec::as_slice);
        names.iter().map(|name| (*name, object(*name))).collect()
    };
    let mut before = overlay_before.records(part.number, of(&part.before))?;
    let after = overlay_after.records(part.number, of(&part.after))?;
    if tree == Tree::Items {
        // Renamed to the keys of the version after, which may have another salt.
        before =
            before.into_iter().map(|(key, record)| (EntryKey::item(salt, key.item_id()), record)).collect();
    }
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let (old, new) = (before.get(key).copied(), after.get(key).copied());
        if old != new {
            changes.push((*key, change(tree, *key, old, new)?));
        }
    }
    Ok(changes)
}

fn change(tree: Tree, key: EntryKey, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<RecordChange> {
    let how = match (before, after) {
        (None, _) => How::Added,
        (_, None) => How::Removed,
        _ => How::Changed,
    };
    let record = after.or(before).unwrap_or_default();
    Ok(match tree {
        Tree::Customers => {
            let customer = CustomerRecord::new(record)?;
            let holdings = |record: Option<&[u8]>| record.map(holdings).transpose();
            RecordChange {
                how,
                key,
                id: customer.id,
                uuid: Some(customer.uuid),
                title: None,
                before: holdings(before)?,
                after: holdings(after)?,
            }
        }
        Tree::Items => {
            let item = ItemRecord::new(record)?;
            RecordChange { how, key, id: item.id, uuid: None, title: title(&item), before: None, after: None }
        }
        // External ids follow from the items, whose changes are listed.
        Tree::ExternalIds => {
            let first = ExternalRecord::new(record)?.iter().next();
            let id = first.map_or(0, |(_, item_id)| item_id);
            RecordChange { how, key, id, uuid: None, title: None, before: None, after: None }
        }
    })
}

fn holdings(record: &[u8]) -> Result<Holdings, FormatError> {
    let customer = CustomerRecord::new(record)?;
    Ok(Holdings { accesses: customer.accesses().count(), licenses: customer.licenses()?.len() })
}
