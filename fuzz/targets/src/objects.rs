//! Readers of the snapshot's objects, and of the small values beside them.

use std::collections::BTreeSet;

use admit::snapshot::{
    customer::{CustomerRecord, NewCustomer},
    delta,
    directory::Directory,
    external_id::{ExternalRecord, Named, encode},
    head::{Head, check_named},
    head_value::HeadValue,
    index::{Index, Tree},
    item::{ItemRecord, NewItem},
    key::ItemSalt,
    lease::Lease,
    object::{Digest, FORMAT_VERSION, ObjectKind, body},
    pack::{Pack, unpack},
    store_key::StoreKey,
    table::{Entry, Table, write_table},
};
use admit_publish::update::Delta;

/// The first byte chooses the reader (low half) and the format (high half).
pub fn any(data: &[u8]) -> bool {
    let Some((reader, bytes)) = data.split_first() else { return false };
    let format = 1 + (reader >> 4) % FORMAT_VERSION;
    match reader % 16 {
        0 => directory(format, bytes),
        1 => index(format, bytes),
        2 => shard(format, bytes),
        3 => changes(format, bytes),
        4 => customer(bytes),
        5 => item(bytes),
        6 => pack(bytes),
        7 => lease(bytes),
        8 => store_key(bytes),
        9 => external_id(bytes),
        10 => head_value(bytes),
        _ => named(bytes),
    }
}

/// Prepends the header, so that the fuzzer need not find it first.
fn object(kind: ObjectKind, format: u8, body: &[u8]) -> Vec<u8> {
    let [magic @ .., _, _, _, _] = kind.header();
    [magic.as_slice(), &[format, 0, 0, 0], body].concat()
}

fn directory(format: u8, bytes: &[u8]) -> bool {
    let Ok(directory) = Directory::decode(&object(ObjectKind::Directory, format, bytes)) else {
        return false;
    };
    assert_eq!(
        Directory::decode(&directory.encode()),
        Ok(directory),
        "a directory that is not read as written"
    );
    true
}

fn index(format: u8, bytes: &[u8]) -> bool {
    let Ok(index) = Index::decode(object(ObjectKind::Index, format, bytes)) else { return false };
    let page = object(ObjectKind::Page, format, bytes);
    for tree in Tree::ALL {
        let listed = index.shards(tree, |_| Some(page.as_slice()));
        let pages = index.pages(tree).unwrap_or_default();
        let _ = index.top_shards(tree);
        for position in 0..pages.len() {
            let _ = index.page_shards(tree, position, &page);
        }
        for id in [0, 1, 7, i64::MAX] {
            let _ = index.place(tree, index.item_key(id), |_| Some(page.as_slice()));
            let _ = index.place(tree, index.item_key(id), |_| None::<Vec<u8>>);
        }
        if let Ok(listed) = listed {
            assert!(listed.len() <= index.shard_count(tree), "more shards than the index has");
        }
    }
    true
}

fn shard(format: u8, bytes: &[u8]) -> bool {
    let object = object(ObjectKind::Shard, format, bytes);
    let Ok(table) = Table::of_shard(&object) else { return false };
    check_table(&table, bytes);
    true
}

fn check_table(table: &Table<'_>, bytes: &[u8]) {
    let entries: Vec<_> = table.iter().collect();
    assert_eq!(entries.len(), table.len());
    let is_sorted = entries.is_sorted_by(|(left, _), (right, _)| left < right);
    if !is_sorted {
        // The builder never writes such a table, but reading it must not panic.
        let _ = entries.iter().map(|(key, _)| table.get(*key)).filter(Result::is_ok).count();
        return;
    }
    for (key, entry) in &entries {
        assert_eq!(table.get(*key), *entry, "a key is found elsewhere than it is listed");
    }
    let records = entries.iter().map(|(key, entry)| match entry {
        Ok(Entry::Record(record)) => Some((*key, *record)),
        Ok(Entry::Removed) => Some((*key, &[][..])),
        _ => None,
    });
    if let Some(records) = records.collect::<Option<Vec<_>>>()
        && table.is_gapless()
    {
        let mut written = Vec::new();
        assert!(write_table(&mut written, &records).is_ok());
        assert_eq!(written, bytes, "a table that is not written as read");
    }
}

fn changes(format: u8, bytes: &[u8]) -> bool {
    let object = object(ObjectKind::Delta, format, bytes);
    let Ok(tables) = delta::tables(&object) else { return false };
    for tree in Tree::ALL {
        let keys: BTreeSet<_> = tables.of(tree).iter().map(|(key, _)| key).collect();
        for key in keys {
            assert_eq!(delta::look_up(&object, tree, key), tables.of(tree).get(key));
        }
    }
    if let Ok(delta) = Delta::decode(&object)
        && let Ok(Some(encoded)) = delta.encode(ItemSalt::IN_MEMORY)
    {
        assert_eq!(
            Delta::decode(&encoded).ok().as_ref(),
            Some(&delta),
            "a delta that is not read as written"
        );
    }
    true
}

fn customer(bytes: &[u8]) -> bool {
    let Ok(record) = CustomerRecord::new(bytes) else { return false };
    let accesses: Result<Vec<_>, _> = record.purchases().collect();
    let licenses = record.licenses();
    let (Ok(accesses), Ok(licenses), Ok(used_trials)) = (accesses, licenses, record.used_trials()) else {
        return false;
    };
    let used_trials = used_trials.iter().collect();
    assert!(accesses.len() + licenses.len() <= bytes.len(), "more grants than bytes");
    let (id, uuid, merchant_id) = (record.id, record.uuid, record.merchant_id);
    let mut sorted = accesses.clone();
    sorted.sort_by_key(|(access, _)| (access.item_id, access.id));
    let (accesses, purchases) = accesses.into_iter().unzip();
    let written = NewCustomer { id, uuid, merchant_id, accesses, purchases, licenses, used_trials };
    let encoded = written.clone().encode();
    let read = CustomerRecord::new(&encoded);
    let read = read.and_then(|read| {
        let trials: BTreeSet<_> = read.used_trials()?.iter().collect();
        Ok((read.purchases().collect::<Result<Vec<_>, _>>()?, read.licenses()?, trials))
    });
    let trials = written.used_trials.into_iter().collect();
    assert_eq!(read, Ok((sorted, written.licenses, trials)), "a customer who is not read as written");
    true
}

fn item(bytes: &[u8]) -> bool {
    let Ok(record) = ItemRecord::new(bytes) else { return false };
    let packages: Vec<_> = record.packages.iter().collect();
    assert_eq!(packages.len(), record.packages.len(), "a list that ends early");
    let (Ok(fees), Ok(members)) = (record.fees(), record.members()) else { return false };
    let members: Vec<_> = members.iter().collect();
    let written = NewItem {
        id: record.id,
        merchant_id: record.merchant_id,
        is_active: record.is_active,
        is_free: record.is_free,
        is_package: record.is_package,
        packages,
        licenses: record.licenses.iter().map(|id| u128::from_be_bytes(*id)).collect(),
        content: record.content,
        details: record.details,
        fees,
        members,
    };
    let encoded = written.encode();
    let read = ItemRecord::new(&encoded);
    assert!(read.is_ok(), "an item that is not read as written");
    if let Ok(read) = read {
        let lists = (read.packages.iter().collect::<Vec<_>>(), read.licenses, read.content, read.details);
        assert_eq!(lists, (written.packages, record.licenses, record.content, record.details));
        assert_eq!(read.fees(), Ok(written.fees));
        assert_eq!(read.members().map(|members| members.iter().collect::<Vec<_>>()), Ok(written.members));
    }
    true
}

fn external_id(bytes: &[u8]) -> bool {
    let Ok(record) = ExternalRecord::new(bytes) else { return false };
    let items: Vec<_> = record.iter().collect();
    assert!(!items.is_empty() && items.len() <= bytes.len(), "more items than bytes");
    for (merchant, _) in &items {
        assert!(record.of_merchant(*merchant).is_some(), "a merchant that is not found");
    }
    let is_shared = items.iter().any(|(merchant, _)| items.first().is_some_and(|first| first.0 != *merchant));
    assert_eq!(record.only() == Named::Several, is_shared);
    let encoded = encode(&items);
    let read = ExternalRecord::new(&encoded).map(|read| read.iter().collect::<Vec<_>>());
    assert_eq!(read, Ok(items), "an external id that is not read as written");
    true
}

fn pack(bytes: &[u8]) -> bool {
    let Ok(objects) = unpack(bytes) else { return false };
    let mut pack = Pack::default();
    for (name, object) in objects {
        assert_eq!(name.check(object), Ok(()), "an object under another one's name");
        assert!(pack.push(object), "a pack that was read is too large to be written");
    }
    assert_eq!(pack.into_bytes(), bytes, "a pack that is not written as read");
    true
}

fn lease(bytes: &[u8]) -> bool {
    const NOW: i64 = 1_800_000_000;
    let Ok(lease) = Lease::parse(bytes) else { return false };
    let json = serde_json::to_vec(&lease).unwrap_or_default();
    assert_eq!(Lease::parse(&json), Ok(lease.clone()), "a lease that is not read as written");
    assert!(!lease.excludes(Some(&lease.holder), NOW), "a lease keeps its own holder away");
    assert_eq!(lease.excludes(None, NOW), lease.is_held(NOW));
    assert!(lease.check(NOW).is_err() || lease.is_held(NOW), "a lease that may be taken holds nobody off");
    true
}

fn store_key(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(key) = StoreKey::parse(text) else { return false };
    assert_eq!(key.to_string(), text, "a key with two spellings");
    true
}

/// A head with its delta: the parts are found again, and only the delta that the head names is accepted.
fn head_value(bytes: &[u8]) -> bool {
    let value = HeadValue::split(bytes);
    assert_eq!(value.join(), bytes, "a value that is not joined as it was split");
    assert!(!value.jws.contains(&b'\n'), "a JWS of two lines");
    let head = |delta| Head { delta, ..Head::new(1, 0, Digest([1; 32]), Digest([2; 32])) };
    let Some(delta) = value.delta else {
        assert_eq!(value.check(&head(Some(Digest([3; 32])))), Ok(()));
        return true;
    };
    assert!(value.check(&head(None)).is_err() && value.check(&head(Some(Digest([3; 32])))).is_err());
    let is_delta = body(ObjectKind::Delta, delta).is_ok();
    assert_eq!(value.check(&head(Some(Digest::of(delta)))).is_ok(), is_delta);
    is_delta
}

/// The bytes under the name of every kind.
fn named(bytes: &[u8]) -> bool {
    let accepted = ObjectKind::ALL.into_iter().filter(|kind| body(*kind, bytes).is_ok());
    assert!(accepted.count() <= 1, "an object of two kinds");
    ObjectKind::ALL.into_iter().filter(|kind| check_named(*kind, bytes.to_vec()).is_ok()).count() > 0
}
