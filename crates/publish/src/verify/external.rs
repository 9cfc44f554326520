//! Compares the external ids that are published with those that the published items have.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use admit_snapshot::{
    external_id::ExternalRecord,
    index::Tree,
    item::ItemRecord,
    key::{EntryKey, ItemSalt},
    table::{Entry, Table},
};

use crate::{
    build::{ExternalIds, Use},
    overlay::Part,
};

/// A problem, and the entry that it is about.
pub type External = (Tree, EntryKey, String);

/// The external ids of a walk: those of the items, and those that are published. Records that cannot be read are left
/// out, because they have been reported.
pub struct Crosscheck {
    salt: ItemSalt,
    seen: Mutex<Seen>,
}

struct Seen {
    /// The active items.
    active: BTreeSet<i64>,
    /// Every use of an external id by an item.
    uses: ExternalIds,
    /// Merchants and items that each published id names.
    named: BTreeMap<EntryKey, Vec<(i64, i64)>>,
}

impl Crosscheck {
    pub fn new(salt: ItemSalt) -> Self {
        let seen = Seen { active: BTreeSet::new(), uses: ExternalIds::new(salt), named: BTreeMap::new() };
        Self { salt, seen: Mutex::new(seen) }
    }

    /// Takes the records of a shard that the delta neither replaces nor removes.
    pub fn add_shard(&self, tree: Tree, table: &Table<'_>, overlaid: Option<&Part<'_>>) {
        self.add(tree, table.iter().filter_map(|(key, entry)| Some((key, entry.ok()?))), overlaid);
    }

    /// Takes the records of the delta.
    pub fn add_delta(&self, tree: Tree, table: &Table<'_>) {
        self.add_shard(tree, table, None);
    }

    fn add<'r>(
        &self,
        tree: Tree,
        entries: impl Iterator<Item = (EntryKey, Entry<'r>)>,
        overlaid: Option<&Part<'_>>,
    ) {
        if tree == Tree::Customers {
            return;
        }
        // Parsed without the lock, because the content of items is JSON.
        let (mut active, mut uses, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for (key, entry) in entries {
            let Entry::Record(record) = entry else { continue };
            if overlaid.is_some_and(|part| part.contains_key(&key)) {
                continue;
            }
            if tree == Tree::ExternalIds {
                named.extend(ExternalRecord::new(record).map(|record| (key, record.iter().collect())));
            } else if let Ok(item) = ItemRecord::new(record)
                && item.is_active
            {
                active.push(item.id);
                uses.extend(Use::of_record(self.salt, &item));
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.active.extend(active);
        seen.uses.extend(uses);
        seen.named.extend(named);
    }

    /// Every id that names an item which does not have it, and every item that its id does not name.
    pub fn problems(self) -> Vec<External> {
        let Seen { active, uses, named } = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let wanted = uses.named();
        let mut problems = Vec::new();
        let set = |items: &[(i64, i64)]| items.iter().copied().collect::<BTreeSet<_>>();
        for key in named.keys().chain(wanted.keys().filter(|key| !named.contains_key(key))) {
            let of_id = |ids: &BTreeMap<_, Vec<_>>| ids.get(key).cloned().unwrap_or_default();
            let (in_order, preferred) = (of_id(&named), of_id(&wanted));
            let (named, wanted) = (set(&in_order), set(&preferred));
            if named == wanted && in_order != preferred {
                let what = "its items are not in order of preference".to_owned();
                problems.push((Tree::ExternalIds, *key, what));
            }
            for (merchant_id, item_id) in named.difference(&wanted) {
                let what = if active.contains(item_id) {
                    format!("it names item {item_id} of merchant {merchant_id}, which does not have this id")
                } else {
                    format!("it names item {item_id}, and there is no such active item")
                };
                problems.push((Tree::ExternalIds, *key, what));
            }
            for (_, item_id) in wanted.difference(&named) {
                let what = "one of its external ids does not lead to it".to_owned();
                problems.push((Tree::Items, EntryKey::item(self.salt, *item_id), what));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use admit_snapshot::{external_id, item::NewItem, table::write_table};

    use super::*;

    const SALT: ItemSalt = ItemSalt::new([5; 16]);

    fn item(id: i64, is_active: bool, external: &str) -> (EntryKey, Vec<u8>) {
        let details =
            format!(r#""id":{id},"item_type":{{"name":"jw_asset"}},"external_asset_id":"{external}"}}"#);
        let content = "\"\"";
        let record =
            NewItem { id, merchant_id: 21, is_active, details: &details, content, ..NewItem::default() };
        (EntryKey::item(SALT, id), record.encode())
    }

    fn id(external: &str, item_id: i64) -> (EntryKey, Vec<u8>) {
        (EntryKey::external_id(SALT, "jw_asset", external), external_id::encode(&[(21, item_id)]))
    }

    fn table(mut entries: Vec<(EntryKey, Vec<u8>)>) -> Vec<u8> {
        entries.sort();
        let mut bytes = Vec::new();
        write_table(&mut bytes, &entries).unwrap();
        bytes
    }

    fn problems(items: Vec<(EntryKey, Vec<u8>)>, ids: Vec<(EntryKey, Vec<u8>)>) -> Vec<String> {
        let crosscheck = Crosscheck::new(SALT);
        for (tree, entries) in [(Tree::Items, items), (Tree::ExternalIds, ids)] {
            crosscheck.add_shard(tree, &Table::new(&table(entries)).unwrap(), None);
        }
        crosscheck.problems().into_iter().map(|(_, _, what)| what).collect()
    }

    #[test]
    fn ids_and_items_agree_or_each_difference_is_told() {
        let items = || vec![item(33, true, "film"), item(34, false, "old")];
        assert_eq!(problems(items(), vec![id("film", 33)]), [""; 0]);
        assert_eq!(problems(items(), vec![]), ["one of its external ids does not lead to it"]);
        assert_eq!(
            problems(items(), vec![id("film", 33), id("other", 33)]),
            ["it names item 33 of merchant 21, which does not have this id"]
        );
        let inactive = problems(items(), vec![id("film", 33), id("old", 34)]);
        assert_eq!(inactive, ["it names item 34, and there is no such active item"]);
        let gone = problems(items(), vec![id("film", 35)]);
        assert_eq!(
            gone,
            [
                "it names item 35, and there is no such active item",
                "one of its external ids does not lead to it"
            ]
        );
    }

    #[test]
    fn items_that_share_an_id_are_all_named_and_in_order() {
        let items = || vec![item(33, true, "film"), item(34, true, "film")];
        let both = |first, second| {
            let record = external_id::encode(&[(21, first), (21, second)]);
            vec![(EntryKey::external_id(SALT, "jw_asset", "film"), record)]
        };
        assert_eq!(problems(items(), both(33, 34)), [""; 0]);
        assert_eq!(problems(items(), both(34, 33)), ["its items are not in order of preference"]);
        assert_eq!(problems(items(), vec![id("film", 33)]), ["one of its external ids does not lead to it"]);
    }

    #[test]
    fn the_delta_replaces_the_records_of_shards() {
        let crosscheck = Crosscheck::new(SALT);
        let (old, new) = (item(33, true, "before"), item(33, true, "after"));
        let (shard, delta) = (table(vec![old]), table(vec![new]));
        let delta = Table::new(&delta).unwrap();
        let part: Part<'_> = delta.iter().map(|(key, entry)| (key, entry.unwrap())).collect();
        crosscheck.add_shard(Tree::Items, &Table::new(&shard).unwrap(), Some(&part));
        crosscheck.add_delta(Tree::Items, &delta);
        crosscheck.add_shard(Tree::ExternalIds, &Table::new(&table(vec![id("after", 33)])).unwrap(), None);
        assert_eq!(crosscheck.problems(), []);
    }
}
