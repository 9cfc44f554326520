//! Readers with arbitrary bytes: truncated, flipped, extreme, mutated, and random.

use proptest::{collection::vec, prelude::*, sample::Index as Place};

use super::*;

/// Reads bytes with every reader. Returns how many values could be read.
fn read_everything(object: &[u8], page: &[u8]) -> usize {
    let keys = [
        anna(),
        EntryKey::item(ItemSalt::NONE, 33),
        EntryKey::item(SALT, 33),
        EntryKey([0; 16]),
        EntryKey([0xff; 16]),
    ];
    let mut count = 0;
    let mut read_table = |table: Table<'_>| {
        for (key, entry) in table.iter() {
            count += usize::from(table.get(key).is_ok());
            if let Ok(Entry::Record(record)) = entry {
                count += read_record(record);
            }
        }
        for key in keys {
            let _ = table.get(key);
        }
    };
    if let Ok(table) = Table::of_shard(object) {
        read_table(table);
    }
    if let Ok(tables) = delta::tables(object) {
        read_table(tables.customers);
        read_table(tables.items);
        read_table(tables.external_ids);
    }
    for tree in Tree::ALL {
        for key in keys {
            let _ = delta::look_up(object, tree, key);
        }
    }
    if let Ok(index) = Index::decode(object.to_vec()) {
        for tree in Tree::ALL {
            for key in keys {
                count += usize::from(index.place(tree, key, |_| Some(page)).is_ok());
                let _ = index.place(tree, key, |_| None::<&[u8]>);
            }
            let _ = index.pages(tree).map(|pages| pages.len());
            let _ = index.shards(tree, |_| Some(page));
            let _ = index.shard_count(tree);
        }
    }
    if let Ok(directory) = Directory::decode(object) {
        let _ = (directory.client("web"), Directory::decode(&directory.encode()));
        count += directory.licenses.len();
    }
    for kind in ObjectKind::ALL {
        let _ = ObjectName::of(kind, object).check(object);
    }
    count + read_record(object)
}

fn read_record(record: &[u8]) -> usize {
    let mut count = 0;
    if let Ok(customer) = CustomerRecord::new(record) {
        count += customer.purchases().filter(Result::is_ok).count();
        count += customer.used_trials().map_or(0, |items| items.iter().count());
        for license in customer.licenses().unwrap_or_default() {
            count += license.date_added.to_string().len();
        }
    }
    if let Ok(item) = ItemRecord::new(record) {
        count += item.packages.iter().count() + item.licenses.len();
        count += item.fees().map_or(0, |fees| fees.len());
        count += item.members().map_or(0, |members| members.iter().count());
    }
    if let Ok(external) = ExternalRecord::new(record) {
        count += external.iter().count();
    }
    count
}

/// Objects of every kind, including a page, with more than one entry each.
fn valid_objects() -> Vec<Vec<u8>> {
    let built = example();
    let mut objects: Vec<_> = expected_objects().into_iter().map(|(_, object)| object).collect();
    let records: Vec<Vec<(EntryKey, Vec<u8>)>> = of_kind(&built, ObjectKind::Shard)
        .into_iter()
        .map(|shard| {
            let entries = Table::of_shard(shard).unwrap().iter().map(|(key, entry)| match entry {
                Ok(Entry::Record(record)) => (key, record.to_vec()),
                other => panic!("{other:?}"),
            });
            entries.collect()
        })
        .collect();
    objects.push(encode_delta([&records[0], &records[1], &records[2]]).unwrap());
    objects
}

#[test]
fn every_truncation_of_a_valid_object_is_read_without_panic() {
    let objects = valid_objects();
    let page = &objects[5];
    for object in &objects {
        assert!(read_everything(object, page) > 0 || object[..4] == *b"ADMP", "the intact one is read");
        for len in 0..object.len() {
            read_everything(&object[..len], page);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_valid_object_is_read_without_panic_and_noticed() {
    let objects = valid_objects();
    for object in &objects {
        let names = ObjectKind::ALL.map(|kind| ObjectName::of(kind, object));
        let mut flipped = object.clone();
        for bit in 0..object.len() * 8 {
            flipped[bit / 8] ^= 1 << (bit % 8);
            read_everything(&flipped, &flipped);
            // Hashing is slow in a debug build, so a sample is checked.
            if bit % 61 == 0 {
                assert!(names.iter().all(|name| name.check(&flipped).is_err()));
            }
            flipped[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Counts, lengths and offsets at their extremes, where arithmetic could overflow.
#[test]
fn extreme_words_are_read_without_panic() {
    let objects = valid_objects();
    for object in &objects {
        for at in HEADER_LEN..object.len().saturating_sub(4).min(HEADER_LEN + 64) {
            for word in [u32::MAX, u32::MAX - 1, 1 << 31, (1 << 31) - 1, 1 << 27, 0x1e1e_1e1e, 0] {
                let mut changed = object.clone();
                changed[at..at + 4].copy_from_slice(&word.to_le_bytes());
                read_everything(&changed, object);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(
        bytes in vec(any::<u8>(), 0..300), page in vec(any::<u8>(), 0..100),
    ) {
        read_everything(&bytes, &page);
        for kind in ObjectKind::ALL {
            let header = kind.header();
            read_everything(&[&header, bytes.as_slice()].concat(), &[&ObjectKind::Page.header(), page.as_slice()].concat());
        }
    }

    #[test]
    fn mutated_objects_are_read_without_panic(
        which in any::<Place>(), edits in vec((any::<Place>(), any::<u8>()), 1..8), cut in any::<Place>(),
        splice in any::<(Place, Place)>(), other in any::<Place>(),
    ) {
        let objects = valid_objects();
        let mut object = which.get(&objects).clone();
        for (at, byte) in edits {
            let at = at.index(object.len());
            object[at] = byte;
        }
        object.truncate(cut.index(object.len() * 4).max(HEADER_LEN));
        // The tail of another object after a piece of this one.
        let donor = other.get(&objects);
        let (start, from) = (splice.0.index(object.len()), splice.1.index(donor.len()));
        let spliced = [&object[..start], &donor[from..]].concat();
        read_everything(&object, donor);
        read_everything(&spliced, &object);
    }

    /// A head that is any text.
    #[test]
    fn any_head_is_read_without_panic(jws in "[a-zA-Z0-9_.-]{0,200}", json in ".{0,60}") {
        let keys = KeySet::from_inline_jwks(JWKS, &NativeVerifier).unwrap();
        prop_assert!(verify_jws::<Head, _>(&jws, &keys, HEAD_TYPE, &NativeVerifier).is_err());
        let _ = serde_json::from_str::<Head>(&json);
        let _ = ObjectName::parse(&json);
        let _ = ObjectName::parse(&jws);
    }
}
