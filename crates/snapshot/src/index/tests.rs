use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{key::SALT_LEN, object::HEADER_LEN};

const SALT: ItemSalt = ItemSalt::new([7; SALT_LEN]);

fn tree(count: u8) -> NewTree {
    NewTree::new((0..count).map(|shard| (shard % 3 != 2).then(|| Digest::of(&[shard]))).collect()).unwrap()
}

/// Pins the layout of published indexes: a change here changes the format and needs a migration plan.
#[test]
fn layout_is_pinned() {
    let (object, pages) = encode_index(SALT, [&tree(4), &tree(1), &tree(2)], 10).unwrap();
    let digest = |shard: u8| Digest::of(&[shard]).0.to_vec();
    let head = [b"ADMI\x03\0\0\0".as_slice(), &[7; 16], b"\x02\x00\x00\x00\x01\x00"].concat();
    let customers = [digest(0), digest(1), vec![0; 32], digest(3)].concat();
    assert_eq!(object, [head, customers, digest(0), digest(0), digest(1)].concat());
    assert!(pages.is_empty());

    let (object, pages) = encode_index(SALT, [&tree(4), &tree(1), &tree(1)], 1).unwrap();
    let page = [b"ADMP\x03\0\0\0".to_vec(), digest(0), digest(1)].concat();
    assert_eq!(pages[0], page);
    let head = [b"ADMI\x03\0\0\0".as_slice(), &[7; 16], b"\x02\x01\x00\x00\x00\x00"].concat();
    let customers = [Digest::of(&page).0.to_vec(), Digest::of(&pages[1]).0.to_vec()].concat();
    assert_eq!(object, [head, customers, digest(0), digest(0)].concat());
}

/// Indexes published in formats 1 and 2 can still be read: the same layout without a tree of external ids, and in
/// format 1 without a salt.
#[test]
fn indexes_of_earlier_formats_are_read() {
    let (object, pages) = encode_index(SALT, [&tree(4), &tree(2), &tree(1)], 10).unwrap();
    let index = Index::decode(object.clone()).unwrap();
    assert!(pages.is_empty());
    let mut second = object;
    let shapes_at = HEADER_LEN + SALT_LEN;
    second.drain(shapes_at + 2 * SHAPE_LEN..shapes_at + 3 * SHAPE_LEN);
    second.truncate(second.len() - DIGEST_LEN);
    second[4] = 2;
    let mut first = second.clone();
    first.drain(HEADER_LEN..HEADER_LEN + SALT_LEN);
    first[4] = 1;
    let [first, second] = [first, second].map(|object| Index::decode(object).unwrap());
    assert_eq!([&index, &second, &first].map(Index::salt), [SALT, SALT, ItemSalt::NONE]);
    assert_eq!([&index, &second, &first].map(Index::has_external_ids), [true, false, false]);
    assert_eq!(first.item_key(33), EntryKey::item(ItemSalt::NONE, 33));
    assert_eq!(index.item_key(33), second.item_key(33));
    assert_ne!(index.item_key(33), first.item_key(33));
    for old in [first, second] {
        for tree in [Tree::Customers, Tree::Items] {
            assert_eq!(index.top_shards(tree), old.top_shards(tree));
        }
        let key = EntryKey([9; 16]);
        assert_eq!(old.place(Tree::ExternalIds, key, |_| None::<Vec<u8>>), Ok(Place::Nowhere));
        assert_eq!(
            (old.shard_count(Tree::ExternalIds), old.top_shards(Tree::ExternalIds)),
            (1, Ok(Vec::new()))
        );
    }
}

#[test]
fn an_index_is_written_with_a_salt() {
    assert!(encode_index(ItemSalt::NONE, [&tree(1); 3], 10).is_err());
}

#[test]
fn with_and_without_pages_every_key_leads_to_its_shard() {
    for page_above_bits in [0, 1, 3, 10] {
        let (object, pages) = encode_index(SALT, [&tree(8), &tree(2), &tree(8)], page_above_bits).unwrap();
        let index = Index::decode(object).unwrap();
        let page =
            |name: ObjectName| pages.iter().find(|page| ObjectName::of(ObjectKind::Page, page) == name);
        for shard in 0..8_u8 {
            let key = EntryKey([shard << 5, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let place = index.place(Tree::Customers, key, page).unwrap();
            assert_eq!(index.place(Tree::ExternalIds, key, page), Ok(place));
            let expected = match shard % 3 {
                2 => Place::Nowhere,
                _ => Place::Shard(ObjectName { kind: ObjectKind::Shard, digest: Digest::of(&[shard]) }),
            };
            assert_eq!(place, expected);
            if page_above_bits < 3 {
                let unloaded = index.place(Tree::Customers, key, |_| None::<Vec<u8>>).unwrap();
                assert!(matches!(unloaded, Place::Page(name) if page(name).is_some()));
            }
        }
        assert_eq!(index.shards(Tree::Customers, page).unwrap().len(), 6);
        let mut numbers: Vec<_> = index.top_shards(Tree::Customers).unwrap();
        for (position, page) in pages.iter().enumerate().take(index.pages(Tree::Customers).unwrap().len()) {
            numbers.extend(index.page_shards(Tree::Customers, position, page).unwrap());
            assert!(index.page_shards(Tree::Customers, position, &page[..page.len() - 32]).is_err());
        }
        let numbers: Vec<_> = numbers.into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [0, 1, 3, 4, 6, 7]);
        assert_eq!(index.shards(Tree::Items, page).unwrap().len(), 2);
        assert_eq!(index.shard_count(Tree::Items), 2);
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    assert!(NewTree::new(vec![None; 3]).is_err());
    let (object, _) = encode_index(SALT, [&tree(4), &tree(1), &tree(1)], 10).unwrap();
    for len in 0..object.len() {
        assert!(Index::decode(object[..len].to_vec()).is_err());
    }
    let mut huge = object;
    huge[HEADER_LEN + SALT_LEN] = 31;
    assert!(Index::decode(huge.clone()).is_err());
    huge[HEADER_LEN + SALT_LEN] = 2;
    huge[HEADER_LEN + SALT_LEN + 1] = 3;
    assert!(Index::decode(huge).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200), key in any::<[u8; 16]>()) {
        for format in 1..=3 {
            let mut object = [ObjectKind::Index.header().as_slice(), &bytes].concat();
            object[4] = format;
            if let Ok(index) = Index::decode(object) {
                for tree in Tree::ALL {
                    let _ = index.place(tree, EntryKey(key), |_| Some(&bytes));
                }
            }
        }
    }
}
