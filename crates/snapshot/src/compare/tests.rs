use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};

use super::*;
use crate::{
    customer::{Access, NewCustomer},
    delta::encode_delta,
    directory::Directory,
    head::Head,
    index::{NewTree, encode_index},
    item::NewItem,
    object::{Digest, ObjectKind},
    table::write_table,
    version::ObjectCache,
};

type Store = HashMap<ObjectName, Rc<[u8]>>;

/// The records of a version: those of the shards, and the delta, in which an empty record removes.
#[derive(Clone, Debug, Default)]
struct World {
    shards: BTreeMap<EntryKey, Vec<u8>>,
    delta: BTreeMap<EntryKey, Vec<u8>>,
    bits: u8,
    page_above_bits: u8,
}

impl World {
    fn records(&self) -> BTreeMap<EntryKey, Vec<u8>> {
        let mut records = self.shards.clone();
        for (key, record) in &self.delta {
            if record.is_empty() {
                records.remove(key);
            } else {
                records.insert(*key, record.clone());
            }
        }
        records
    }

    /// Puts the objects into the store. `salt` is that of the items' keys.
    fn version(&self, tree: Tree, salt: ItemSalt, store: &mut Store) -> Version {
        let shard = |number: usize| {
            let entries: Vec<_> =
                self.shards.iter().filter(|(key, _)| key.shard(self.bits) == number).collect();
            let entries: Vec<_> = entries.into_iter().map(|(key, record)| (*key, record)).collect();
            (!entries.is_empty()).then(|| {
                let mut object = ObjectKind::Shard.header().to_vec();
                write_table(&mut object, &entries).unwrap();
                object
            })
        };
        let mut put = |kind, object: Vec<u8>| {
            let name = ObjectName::of(kind, &object);
            store.insert(name, object.into());
            name.digest
        };
        let shards = (0..1 << self.bits).map(|number| Some(put(ObjectKind::Shard, shard(number)?))).collect();
        let (full, empty) = (NewTree::new(shards).unwrap(), NewTree::new(vec![None]).unwrap());
        let trees = Tree::ALL.map(|other| if other == tree { &full } else { &empty });
        let (index, pages) = encode_index(salt, trees, self.page_above_bits).unwrap();
        for page in pages {
            put(ObjectKind::Page, page);
        }
        let delta: Vec<_> = self.delta.iter().map(|(key, record)| (*key, record)).collect();
        let tables = Tree::ALL.map(|other| if other == tree { delta.as_slice() } else { &[] });
        let digest = Digest::of(&index);
        Version {
            head: Head::new(1, 0, digest, digest),
            index: Rc::new(Index::decode(index).unwrap()),
            directory: Rc::new(Directory::default()),
            delta: (!delta.is_empty()).then(|| encode_delta(tables).unwrap().into()),
        }
    }
}

/// Walks to the end, and loads each object that the walk asks for. Returns the changes and the number of objects that
/// were loaded.
fn walked(comparison: &Comparison<'_>, bounds: Bounds, store: &Store) -> (Vec<RecordChange>, usize) {
    let (mut changes, mut after, mut loads) = (Vec::new(), None, 0);
    let mut objects = ObjectCache::new(usize::MAX);
    loop {
        match comparison.walk(after, bounds, &mut objects).unwrap() {
            Compared::Load(names) => {
                assert!(!names.is_empty());
                for name in names {
                    loads += 1;
                    assert!(objects.get(name).is_none(), "{name} was loaded already");
                    objects.insert(name, Rc::clone(&store[&name]));
                }
            }
            Compared::TooLarge => panic!("the trees are small"),
            Compared::Page(page) => {
                assert!(page.parts <= bounds.parts_max);
                changes.extend(page.changes);
                assert!(page.next.is_none() || page.next > after, "the walk goes on");
                after = page.next;
                if after.is_none() {
                    return (changes, loads);
                }
            }
        }
    }
}

/// What a plain comparison of all records finds.
fn expected(tree: Tree, before: &World, after: &World) -> Vec<RecordChange> {
    let (before, after) = (before.records(), after.records());
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let sides = keys.into_iter().map(|key| (*key, before.get(key), after.get(key)));
    let of = |record: Option<&Vec<u8>>| record.cloned();
    sides
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| {
            RecordChange::between(tree, key, of(old).as_deref(), of(new).as_deref()).unwrap()
        })
        .collect()
}

fn customer(accesses: &[(i64, i64)]) -> Vec<u8> {
    let access = |(id, expires_at): &(i64, i64)| Access {
        id: *id,
        item_id: 33,
        created_at: 5,
        expires_at: Some(*expires_at),
        ..Access::default()
    };
    NewCustomer { id: 7, accesses: accesses.iter().map(access).collect(), ..NewCustomer::default() }.encode()
}

#[test]
fn a_change_says_what_was_gained_and_lost() {
    let key = EntryKey([1; 16]);
    let (before, after) = (customer(&[(1, 100), (2, 100)]), customer(&[(2, 100), (3, 100), (1, 200)]));
    let change = RecordChange::between(Tree::Customers, key, Some(&before), Some(&after)).unwrap();
    let access =
        |id, expires_at| HeldAccess { id, item_id: 33, starts_at: None, expires_at: Some(expires_at) };
    assert_eq!(change.how, How::Changed);
    assert_eq!(change.gained.accesses, [access(1, 200), access(3, 100)]);
    assert_eq!(change.lost.accesses, [access(1, 100)]);
    assert_eq!(change.after, Some(Holdings { accesses: 3, licenses: 0 }));
    // The other way round is the preview of a rollback.
    let back = RecordChange::between(Tree::Customers, key, Some(&after), Some(&before)).unwrap();
    assert_eq!((back.gained, back.lost), (change.lost, change.gained));
    let removed = RecordChange::between(Tree::Customers, key, Some(&before), None).unwrap();
    assert_eq!((removed.how, removed.gained.is_empty()), (How::Removed, true));
    assert_eq!(removed.lost.accesses.len(), 2);
}

#[test]
fn long_lists_are_cut_and_counted() {
    let many: Vec<_> = (1..=50).map(|id| (id, 100)).collect();
    let record = customer(&many);
    let change = RecordChange::between(Tree::Customers, EntryKey([1; 16]), None, Some(&record)).unwrap();
    assert_eq!((change.gained.accesses.len(), change.gained.unlisted), (LISTED_GRANTS_MAX, 30));
}

/// Two versions that share all shards but one.
fn large(changed: u8) -> (World, World) {
    let key = |first: u8| EntryKey(std::array::from_fn(|at| if at == 0 { first } else { 7 }));
    let shards: BTreeMap<_, _> = (0..=255).map(|first| (key(first), customer(&[(1, 100)]))).collect();
    let before = World { shards, bits: 8, page_above_bits: 15, ..World::default() };
    let mut after = before.clone();
    after.shards.insert(key(changed), customer(&[(1, 200)]));
    (before, after)
}

#[test]
fn only_shards_that_differ_are_loaded() {
    let (before, after) = large(200);
    for (page_above_bits, loads) in [(15, 2), (4, 4)] {
        let mut store = Store::new();
        let [before, after] = [&before, &after].map(|world| {
            World { page_above_bits, ..world.clone() }.version(
                Tree::Customers,
                ItemSalt::IN_MEMORY,
                &mut store,
            )
        });
        let comparison = Comparison::new(Tree::Customers, &before, &after, PartSize::Small).unwrap();
        let bounds = Bounds { parts_max: 4, looks_max: 1_000 };
        let (changes, loaded) = walked(&comparison, bounds, &store);
        // Two shards, and the page of each where the index has pages.
        assert_eq!((changes.len(), loaded), (1, loads), "{page_above_bits}");
    }
}

#[test]
fn equal_versions_cost_no_look_at_their_shards() {
    let (before, _) = large(0);
    let mut store = Store::new();
    let version = before.version(Tree::Customers, ItemSalt::IN_MEMORY, &mut store);
    let comparison = Comparison::new(Tree::Customers, &version, &version, PartSize::Small).unwrap();
    let bounds = Bounds { parts_max: 1, looks_max: 2 };
    let page = comparison.walk(None, bounds, &mut ObjectCache::new(0)).unwrap();
    assert_eq!(page, Compared::Page(Page::default()));
}

#[test]
fn items_with_other_keys_are_compared_by_number_and_not_at_any_price() {
    let item = |id: i64, title: &str| {
        let details = format!(r#""id":{id},"title":"{title}"}}"#);
        NewItem { id, details: &details, ..NewItem::default() }.encode()
    };
    let world = |salt: ItemSalt, titles: &[(i64, &str)], bits| World {
        shards: titles.iter().map(|(id, title)| (EntryKey::item(salt, *id), item(*id, title))).collect(),
        bits,
        page_above_bits: 15,
        ..World::default()
    };
    let (salt, other) = (ItemSalt::IN_MEMORY, ItemSalt::new([9; 16]));
    let titles = [(1, "one"), (2, "two"), (3, "three"), (4, "four")];
    let changed = [(1, "one"), (2, "TWO"), (4, "four"), (5, "five")];
    let mut store = Store::new();
    let before = world(salt, &titles, 2).version(Tree::Items, salt, &mut store);
    let after = world(other, &changed, 1).version(Tree::Items, other, &mut store);
    let comparison = Comparison::new(Tree::Items, &before, &after, PartSize::Small).unwrap();
    let (mut changes, _) = walked(&comparison, Bounds { parts_max: 1, looks_max: 9 }, &store);
    changes.sort_by_key(|change| change.id);
    let found: Vec<_> = changes.iter().map(|change| (change.id, change.how)).collect();
    assert_eq!(found, [(2, How::Changed), (3, How::Removed), (5, How::Added)]);
    assert_eq!(changes[0].title.as_deref(), Some("TWO"));

    let after = world(other, &changed, 7).version(Tree::Items, other, &mut store);
    let comparison = Comparison::new(Tree::Items, &before, &after, PartSize::Small).unwrap();
    let bounds = Bounds { parts_max: 1, looks_max: 9 };
    assert_eq!(comparison.walk(None, bounds, &mut ObjectCache::new(0)), Ok(Compared::TooLarge));
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    (0_i64..4).prop_map(|expires_at| customer(&[(1, expires_at)]))
}

fn keyed(records: BTreeMap<u8, Vec<u8>>) -> BTreeMap<EntryKey, Vec<u8>> {
    records.into_iter().map(|(first, record)| (EntryKey([first; 16]), record)).collect()
}

prop_compose! {
    fn worlds()(
        shards in btree_map(any::<u8>(), record(), 0..40),
        changed in btree_map(any::<u8>(), record(), 0..12),
        removed in vec(any::<u8>(), 0..12),
        deltas in [btree_map(any::<u8>(), record(), 0..8), btree_map(any::<u8>(), record(), 0..8)],
        gone in [vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..4)],
        same_delta in any::<bool>(),
        bits in [0_u8..6, 0..6],
        page_above_bits in [0_u8..7, 0..7],
    ) -> [World; 2] {
        let mut later = shards.clone();
        later.extend(changed);
        removed.iter().for_each(|first| drop(later.remove(first)));
        let [mut delta, mut later_delta] = deltas;
        delta.extend(gone[0].iter().map(|first| (*first, Vec::new())));
        later_delta.extend(gone[1].iter().map(|first| (*first, Vec::new())));
        if same_delta {
            later_delta = delta.clone();
        }
        let world = |shards, delta, at: usize| World {
            shards: keyed(shards), delta: keyed(delta), bits: bits[at], page_above_bits: page_above_bits[at],
        };
        [world(shards, delta, 0), world(later, later_delta, 1)]
    }
}

proptest! {
    #[test]
    fn a_walk_finds_what_a_plain_comparison_finds(
        [before, after] in worlds(),
        parts_max in 1_usize..5,
        looks_max in 1_usize..9,
        is_small: bool,
    ) {
        let expected = expected(Tree::Customers, &before, &after);
        let mut store = Store::new();
        let [before, after] =
            [before, after].map(|world| world.version(Tree::Customers, ItemSalt::IN_MEMORY, &mut store));
        let size = if is_small { PartSize::Small } else { PartSize::Large };
        let comparison = Comparison::new(Tree::Customers, &before, &after, size).unwrap();
        if is_small {
            let (changes, _) = walked(&comparison, Bounds { parts_max, looks_max }, &store);
            prop_assert_eq!(&changes, &expected);
        }
        // The same, part by part, with all shards of a part at once.
        let pages: HashMap<_, _> = store.iter().map(|(name, object)| (*name, Rc::clone(object))).collect();
        let shards = |version: &Version, number: usize| -> Vec<Rc<[u8]>> {
            let bits = version.index.shard_bits(Tree::Customers);
            let mut found = Vec::new();
            for shard in 0..1_usize << bits {
                let key = EntryKey::first_of(shard, bits);
                let place = version.index.place(Tree::Customers, key, |page| pages.get(&page)).unwrap();
                let in_part = if bits >= comparison.bits() {
                    shard >> (bits - comparison.bits()) == number
                } else {
                    number >> (comparison.bits() - bits) == shard
                };
                if let (true, crate::index::Place::Shard(name)) = (in_part, place) {
                    found.push(Rc::clone(&store[&name]));
                }
            }
            found
        };
        let mut changes = Vec::new();
        for number in 0..1_usize << comparison.bits() {
            let [before, after] = [&before, &after].map(|version| shards(version, number));
            let [before, after]: [Vec<_>; 2] =
                [&before, &after].map(|shards| shards.iter().map(|shard| Table::of_shard(shard).unwrap()).collect());
            changes.extend(comparison.part(number, [&before, &after]).unwrap());
        }
        prop_assert_eq!(changes, expected);
    }
}
