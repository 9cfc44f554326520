use super::*;
use crate::{
    index::{NewTree, encode_index},
    key::ItemSalt,
    object::{Digest, ObjectKind},
    table::write_table,
};

const KEY: EntryKey = EntryKey([0x10; 16]);
const KEPT: EntryKey = EntryKey([0x50; 16]);
const OTHER: EntryKey = EntryKey([0x90; 16]);

fn shard(entries: &[(EntryKey, &[u8])]) -> (ObjectName, Rc<[u8]>) {
    let mut object = ObjectKind::Shard.header().to_vec();
    write_table(&mut object, entries).unwrap();
    (ObjectName::of(ObjectKind::Shard, &object), object.into())
}

fn version(
    shards: Vec<Option<Digest>>,
    page_above_bits: u8,
    delta: Option<Vec<u8>>,
) -> (Version, Vec<Vec<u8>>) {
    let empty = NewTree::new(vec![None]).unwrap();
    let customers = NewTree::new(shards).unwrap();
    let (index, pages) =
        encode_index(ItemSalt::IN_MEMORY, [&customers, &empty, &empty], page_above_bits).unwrap();
    let digest = Digest::of(&index);
    let head = Head { customers: 1, ..Head::new(1, 1, digest, digest) };
    let index = Rc::new(Index::decode(index).unwrap());
    (Version { head, index, directory: Rc::default(), delta: delta.map(Into::into) }, pages)
}

fn bytes(found: Found) -> Option<Vec<u8>> {
    match found {
        Found::Record(record) => Some(record.bytes().to_vec()),
        Found::Absent => None,
        Found::Load(name) => panic!("{name} is not loaded"),
    }
}

#[test]
fn a_look_up_names_what_it_needs_until_it_has_it() {
    let (name, object) = shard(&[(KEY, b"shard")]);
    let (version, pages) = version(vec![Some(name.digest), None], 0, None);
    let mut objects = ObjectCache::new(1 << 20);
    let Found::Load(page) = version.look_up(Tree::Customers, KEY, &mut objects).unwrap() else { panic!() };
    assert_eq!(page.kind, ObjectKind::Page);
    let bytes_of_page = pages.into_iter().find(|bytes| Digest::of(bytes) == page.digest).unwrap();
    objects.insert(page, bytes_of_page.into());
    let Found::Load(wanted) = version.look_up(Tree::Customers, KEY, &mut objects).unwrap() else { panic!() };
    assert_eq!(wanted, name);
    objects.insert(name, object);
    assert_eq!(bytes(version.look_up(Tree::Customers, KEY, &mut objects).unwrap()), Some(b"shard".to_vec()));
    assert_eq!(bytes(version.look_up(Tree::Items, KEY, &mut objects).unwrap()), None);
}

#[test]
fn the_delta_comes_before_the_shard() {
    let (name, object) = shard(&[(KEY, b"old"), (KEPT, b"kept"), (OTHER, b"gone")]);
    let changes = delta::encode_delta([&[(KEY, b"new".as_slice()), (OTHER, b"")], &[], &[]]);
    let (version, _) = version(vec![Some(name.digest)], 5, Some(changes.unwrap()));
    let mut objects = ObjectCache::new(1 << 20);
    objects.insert(name, object);
    let mut find = |key| match version.look_up(Tree::Customers, key, &mut objects).unwrap() {
        Found::Record(record) => Some((record.bytes().to_vec(), version.source(&record))),
        Found::Absent => None,
        Found::Load(name) => panic!("{name} is not loaded"),
    };
    assert_eq!(find(KEY), Some((b"new".to_vec(), Source::Delta)));
    assert_eq!(find(KEPT), Some((b"kept".to_vec(), Source::Shard)));
    assert_eq!(find(OTHER), None);
}

/// The first bytes of the records of a walk, page by page.
fn walked(version: &Version, shards_max: usize, objects: &mut ObjectCache) -> Vec<Vec<Vec<u8>>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let Walked::Records(records, next) =
            version.walk(Tree::Customers, after, shards_max, objects).unwrap()
        else {
            panic!("everything is loaded")
        };
        assert!(records.is_sorted_by_key(|(key, _)| *key));
        pages.push(records.iter().map(|(_, record)| record.bytes().to_vec()).collect());
        after = next;
        if after.is_none() {
            return pages;
        }
    }
}

#[test]
fn a_walk_sees_each_record_once_and_the_delta_in_its_place() {
    let key = |first: u8| EntryKey([first; 16]);
    let (first, first_object) = shard(&[(key(0x10), b"a"), (key(0x20), b"b"), (key(0x30), b"c")]);
    let (last, last_object) = shard(&[(key(0xf0), b"z")]);
    let changes: [(EntryKey, &[u8]); 5] = [
        (key(0x08), b"new"),
        (key(0x20), b"B"),
        (key(0x30), b""),
        (key(0x50), b"in an empty shard"),
        (key(0xff), b"the last"),
    ];
    let delta = delta::encode_delta([&changes, &[], &[]]).unwrap();
    let shards = || vec![Some(first.digest), None, None, Some(last.digest)];
    for page_above_bits in [0, 5] {
        let (version, pages) = version(shards(), page_above_bits, Some(delta.clone()));
        let mut objects = ObjectCache::new(1 << 20);
        // All that is missing is named: the pages first, then the shards.
        while let Walked::Load(names) = version.walk(Tree::Customers, None, 4, &mut objects).unwrap() {
            for name in names {
                let page = pages.iter().find(|bytes| Digest::of(bytes) == name.digest);
                let object = match page {
                    Some(page) => page.clone().into(),
                    None if name == first => Rc::clone(&first_object),
                    None => Rc::clone(&last_object),
                };
                objects.insert(name, object);
            }
        }
        let all: Vec<&[u8]> = vec![b"new", b"a", b"B", b"in an empty shard", b"z", b"the last"];
        for shards_max in [1, 2, 3, 4, 9] {
            let found = walked(&version, shards_max, &mut objects);
            assert_eq!(found.concat(), all, "{shards_max}");
            assert_eq!(found.len(), 4_usize.div_ceil(shards_max), "{shards_max}");
        }
        // From the middle of a shard.
        let Walked::Records(records, _) =
            version.walk(Tree::Customers, Some(key(0x10)), 1, &mut objects).unwrap()
        else {
            panic!()
        };
        assert_eq!(records.iter().map(|(_, record)| record.bytes()).collect::<Vec<_>>(), [b"B"]);
    }
}

#[test]
fn the_cache_is_bounded_by_bytes_and_drops_the_least_recently_used() {
    let mut objects = ObjectCache::new(250);
    let name = |byte| ObjectName { kind: ObjectKind::Shard, digest: Digest([byte; 32]) };
    for byte in 1..=2 {
        objects.insert(name(byte), vec![byte; 100].into());
    }
    assert!(objects.get(name(1)).is_some());
    objects.insert(name(3), vec![3; 100].into());
    assert!(objects.get(name(2)).is_none());
    assert_eq!((objects.len(), objects.size_bytes()), (2, 200));
    objects.insert(name(3), vec![3; 50].into());
    assert_eq!(objects.size_bytes(), 150);
    objects.insert(name(4), vec![4; 1_000].into());
    assert_eq!((objects.len(), objects.size_bytes()), (1, 1_000));
}
