//! A walk through a tree: all records in the order of their keys, some shards at a time.

use std::rc::Rc;

use super::{ObjectCache, Record, Version};
use crate::{
    delta,
    index::{Place, Tree},
    key::EntryKey,
    object::{FormatError, ObjectName},
    table::{Entry, Table},
};

/// The outcome of one step of a walk.
#[derive(Clone, Debug)]
pub enum Walked {
    /// The records, in the order of their keys, and the key after which the walk goes on. `None`: there are no others.
    Records(Vec<(EntryKey, Record)>, Option<EntryKey>),
    /// These objects must be loaded before.
    Load(Vec<ObjectName>),
}

impl Version {
    /// Reads the records of a tree after `after`, or from the first one on, up to the end of the `shards_max`th shard. A
    /// walk that goes on in a later version sees each record that both versions have.
    ///
    /// # Errors
    /// A loaded object is corrupt.
    pub fn walk(
        &self,
        tree: Tree,
        after: Option<EntryKey>,
        shards_max: usize,
        objects: &mut ObjectCache,
    ) -> Result<Walked, FormatError> {
        let bits = self.index.shard_bits(tree);
        // The shard of the next key: the one of `after` may have no further ones.
        let from = match after {
            Some(EntryKey(after)) => u128::from_be_bytes(after).checked_add(1),
            None => Some(0),
        };
        let Some(from) = from else { return Ok(Walked::Records(Vec::new(), None)) };
        let (first, count) = (EntryKey(from.to_be_bytes()).shard(bits), self.index.shard_count(tree));
        let end = count.min(first.saturating_add(shards_max));
        let (mut shards, mut missing) = (Vec::new(), Vec::new());
        for number in first..end {
            match self.index.place(tree, EntryKey::first_of(number, bits), |page| objects.get(page))? {
                Place::Nowhere => shards.push(None),
                Place::Shard(name) => match objects.get(name) {
                    Some(object) => shards.push(Some(object)),
                    None => missing.push(name),
                },
                Place::Page(name) if missing.contains(&name) => {}
                Place::Page(name) => missing.push(name),
            }
        }
        if !missing.is_empty() {
            return Ok(Walked::Load(missing));
        }
        let changes = match &self.delta {
            Some(delta) => delta::tables(delta)?.of(tree),
            None => Table::default(),
        };
        let mut records = Vec::new();
        for (number, shard) in (first..).zip(&shards) {
            let is_here =
                |key: &EntryKey| after.is_none_or(|after| *key > after) && key.shard(bits) == number;
            // Both are in ascending order: the delta's entries come between those of the shard, or in their place.
            let mut changed = changes.iter().filter(|(key, _)| is_here(key)).peekable();
            let mut take = |object: Option<&Rc<[u8]>>, key, entry| {
                if let (Some(object), Entry::Record(record)) = (object, entry) {
                    records.push((key, Record::within(object, record)));
                }
            };
            let table = match shard {
                Some(object) => Table::of_shard(object)?,
                None => Table::default(),
            };
            for (key, entry) in table.iter().filter(|(key, _)| is_here(key)) {
                let mut is_replaced = false;
                while let Some((newer, entry)) = changed.next_if(|(newer, _)| *newer <= key) {
                    is_replaced |= newer == key;
                    take(self.delta.as_ref(), newer, entry?);
                }
                if !is_replaced {
                    take(shard.as_ref(), key, entry?);
                }
            }
            for (newer, entry) in changed {
                take(self.delta.as_ref(), newer, entry?);
            }
        }
        let last = (end < count).then(|| EntryKey::last_before(end, bits));
        Ok(Walked::Records(records, last))
    }
}
