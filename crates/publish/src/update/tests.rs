//! However changes arrive and whenever they are compacted, an edge reads the same as after a publish of the
//! whole.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
};

use admit_snapshot::{
    directory::Directory,
    head::Head,
    index::{Index, Tree},
    key::{EntryKey, ItemSalt},
    object::{Digest, ObjectKind, ObjectName},
    schema::Change,
    version::{Found, ObjectCache, Version},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    build::{MemorySink, ObjectSink, SHARD_TARGET_BYTES, ShardBits, build_ndjson},
    change,
    source::{Problems, Source, SpillPlan, Strictness},
};

mod crowded;
mod formats;
mod model;
mod set_aside;

const NOW: i64 = 1_800_000_000;

fn uuid(number: usize) -> String {
    Uuid::from_u128(number as u128).to_string()
}

fn fixed() -> Vec<Value> {
    vec![
        json!({"type": "merchant", "id": 21, "uuid": uuid(21)}),
        json!({"type": "app", "id": "a", "merchant_id": 21, "plan_id": "p"}),
        json!({"type": "access_type", "id": 1, "account_id": 21, "name": "ppv", "quantity": 1, "period": "day", "created_at": 0, "updated_at": 0}),
    ]
}

fn item(id: i64, title: &str, members: &[i64]) -> Value {
    let kind = if id >= 100 { "package" } else { "jw_asset" };
    json!({
        "type": "item", "id": id, "merchant_id": 21, "title": title, "is_active": true,
        "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {"id": 1, "name": kind, "content_type": "ovp", "host": "h", "description": "d"},
        "fees": [{"id": 7, "amount": 1, "currency": "EUR", "description": "d", "access_type_id": 1, "created_at": "now", "updated_at": 0}],
        "content": "c", "item_ids": members, "created_at": "now-1d", "updated_at": 9,
    })
}

/// An item that plays a film: another one may play the same. Films with an even number are kaltura's, and their items
/// have an id of their own too.
fn item_of_film(id: i64, film: u8, is_active: bool) -> Value {
    let mut item = item(id, "t", &[]);
    item["is_active"] = json!(is_active);
    let member = if film.is_multiple_of(2) { "entry_id" } else { "media_id" };
    item["content"] = json!(json!({member: format!("film-{film}")}).to_string());
    if film.is_multiple_of(2) {
        item["item_type"]["name"] = json!("kaltura_asset");
        item["external_asset_id"] = json!(format!("e{id}"));
    }
    item
}

fn license(number: usize, item_ids: &[i64]) -> Value {
    json!({"type": "license", "id": uuid(number), "internal_id": "x", "app_id": "a", "name": "n", "status": "live", "item_ids": item_ids})
}

fn customer(number: usize, created_at: i64, accesses: usize) -> Value {
    let accesses: Vec<_> =
        (0..accesses).map(|id| json!({"id": id, "item_id": 1, "created_at": created_at})).collect();
    json!({"type": "customer", "namespace": "v", "subject": format!("s{number}"), "id": number, "uuid": uuid(number), "merchant_id": 21, "accesses": accesses})
}

/// Salt for compactions of an index without one. These tests have no such index.
const FRESH: ItemSalt = ItemSalt::new([9; 16]);

/// A store, and the version that is published in it.
struct Edge {
    objects: Mutex<BTreeMap<ObjectName, Vec<u8>>>,
    head: Head,
    delta: Delta,
}

impl ObjectSink for Edge {
    fn store(&self, name: ObjectName, object: Vec<u8>) -> io::Result<()> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(name, object);
        Ok(())
    }
}

impl Edge {
    fn object(&self, name: ObjectName) -> io::Result<Vec<u8>> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get(&name).cloned().ok_or_else(|| io::Error::other(format!("there is no {name}")))
    }

    fn index(&self) -> Index {
        Index::decode(self.object(ObjectName { kind: ObjectKind::Index, digest: self.head.index }).unwrap())
            .unwrap()
    }

    fn new() -> Self {
        let head = Head::new(1, NOW, Digest([0; 32]), Digest([0; 32]));
        Self { objects: Mutex::default(), head, delta: Delta::default() }
    }

    /// Publishes lines as a whole.
    fn of(lines: &[Value]) -> (Self, Content) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut source = Source::new(NOW, Strictness::Refuse, SpillPlan::default());
        source.read("f", text.as_bytes()).unwrap();
        let mut edge = Self::new();
        let outcome = source.build(None, &edge).unwrap();
        edge.head = outcome.built.unwrap().head(1, NOW);
        (edge, Content::built(outcome.catalogue).unwrap())
    }

    /// Publishes the changes since the shards were written.
    fn sync(&mut self, content: &Content) {
        let directory = content.directory().to_vec();
        let name = ObjectName::of(ObjectKind::Directory, &directory);
        self.store(name, directory).unwrap();
        self.head.directory = name.digest;
        self.delta = content.delta();
        let object = self.delta.encode(self.index().salt()).unwrap();
        assert_eq!(object.as_ref().map_or(self.delta.size_bytes(), Vec::len), self.delta.size_bytes());
        self.head.delta = object.as_deref().map(Digest::of);
        if let Some(object) = object {
            assert_eq!(Delta::decode(&object).unwrap(), self.delta);
            self.store(ObjectName::of(ObjectKind::Delta, &object), object).unwrap();
        }
    }

    /// Writes the delta as it was at `then` into the shards.
    fn compact(&mut self, content: &mut Content, then: &Content) -> Compacted {
        let compacted =
            compact(&self.index(), &then.delta(), FRESH, &|name| self.object(name), self).unwrap();
        self.head.index = compacted.index;
        content.compacted(then, &compacted);
        self.sync(content);
        self.head.customers = self.head.customers.checked_add_signed(compacted.customers).unwrap();
        self.head.items = self.head.items.checked_add_signed(compacted.items).unwrap();
        compacted
    }

    /// All records that an edge finds under `keys`.
    fn records(&self, tree: Tree, keys: &[EntryKey]) -> BTreeMap<EntryKey, Vec<u8>> {
        let directory = ObjectName { kind: ObjectKind::Directory, digest: self.head.directory };
        let delta = self
            .head
            .delta
            .map(|digest| self.object(ObjectName { kind: ObjectKind::Delta, digest }).unwrap());
        let version = Version {
            head: self.head.clone(),
            index: self.index().into(),
            directory: Directory::decode(&self.object(directory).unwrap()).unwrap().into(),
            delta: delta.map(Into::into),
        };
        let mut cache = ObjectCache::new(usize::MAX);
        let mut records = BTreeMap::new();
        for key in keys {
            loop {
                match version.look_up(tree, *key, &mut cache).unwrap() {
                    Found::Record(record) => drop(records.insert(*key, record.bytes().to_vec())),
                    Found::Absent => {}
                    Found::Load(name) => {
                        cache.insert(name, self.object(name).unwrap().into());
                        continue;
                    }
                }
                break;
            }
        }
        records
    }

    /// All items that an edge finds, by number, because salts may differ.
    fn items(&self) -> BTreeMap<i64, Vec<u8>> {
        let index = self.index();
        let keys: Vec<_> = (0..120).map(|id| index.item_key(id)).collect();
        let records = self.records(Tree::Items, &keys).into_iter();
        records.map(|(key, record)| (key.item_id(), record)).collect()
    }

    /// All external ids that an edge finds, by name, because salts may differ.
    fn external_ids(&self) -> BTreeMap<String, Vec<u8>> {
        let index = self.index();
        let names = ["e1", "e2", "e3", "e4", "film-0", "film-1", "film-2", "film-3"];
        let mut found = BTreeMap::new();
        for (item_type, name) in
            ["jw_asset", "kaltura_asset"].into_iter().flat_map(|it| names.map(|name| (it, name)))
        {
            let key = index.external_key(item_type, name);
            let record = self.records(Tree::ExternalIds, &[key]).remove(&key);
            found.extend(record.map(|record| (format!("{item_type} {name}"), record)));
        }
        found
    }

    /// Asserts that an edge reads here what it would read after a publish of `lines`.
    fn assert_is(&self, lines: &[Value]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let whole = build_ndjson(text.as_bytes(), NOW).unwrap();
        let expected = Self {
            head: whole.head(1, NOW),
            objects: Mutex::new(whole.objects.into_iter().collect()),
            delta: Delta::default(),
        };
        let customers: Vec<_> =
            (0..60).map(|number| EntryKey::customer("v", &format!("s{number}"))).collect();
        let found = self.records(Tree::Customers, &customers);
        assert_eq!(found, expected.records(Tree::Customers, &customers), "customers");
        assert_eq!(self.items(), expected.items(), "items");
        if self.index().has_external_ids() {
            assert_eq!(self.external_ids(), expected.external_ids(), "external ids");
        }
        let directory = |edge: &Self| {
            let name = ObjectName { kind: ObjectKind::Directory, digest: edge.head.directory };
            Directory::decode(&edge.object(name).unwrap()).unwrap()
        };
        assert_eq!(directory(self), directory(&expected));
    }
}

fn parsed(seq: u64, put: &[&Value], remove: &[Value]) -> Change {
    change::parse(json!({"seq": seq, "put": put, "remove": remove}).to_string().as_bytes()).unwrap()
}

#[test]
fn the_shards_that_are_touched_are_written_and_no_others() {
    let mut lines = fixed();
    lines.push(item(1, "t", &[]));
    lines.extend((0..6_000).map(|number| customer(number, 5, 4)));
    let (mut edge, mut content) = Edge::of(&lines);
    let shards = edge.index().shard_count(Tree::Customers);
    assert!(shards >= 8, "{shards}");
    let (bought, gone) = (customer(1, 7, 2), json!({"type": "customer", "namespace": "v", "subject": "s2"}));
    content.apply(&[parsed(2, &[&bought], &[gone])], "feed", NOW, &mut Problems::default()).unwrap();
    edge.sync(&content);
    assert_eq!(content.delta().customers.len(), 2);
    let then = content.clone();
    let compacted = edge.compact(&mut content, &then);
    let kinds: Vec<_> = compacted.objects.iter().map(|(name, _)| name.kind).collect();
    assert!(kinds.len() <= 3 && kinds.last() == Some(&ObjectKind::Index), "{kinds:?}");
    assert!(content.delta().is_empty() && edge.head.delta.is_none());
    assert_eq!((compacted.customers, edge.head.customers), (-1, 5_999));
    lines[5] = bought;
    lines.remove(6);
    edge.assert_is(&lines);
    // To the byte the same as after a publish of the whole.
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(edge.head.index, build_ndjson(text.as_bytes(), NOW).unwrap().index);
}

#[test]
fn shards_that_have_grown_are_cut_and_every_customer_is_found_again() {
    let mut lines = fixed();
    lines.push(item(1, "t", &[]));
    lines.extend((0..60).map(|number| customer(number, 5, 4)));
    let (mut edge, mut content) = Edge::of(&lines);
    assert_eq!(ShardBits::of(&edge.index()), ShardBits { customers: 0, items: 0, external_ids: 0 });
    let more: Vec<Value> = (60..9_000).map(|number| customer(number, 5, 4)).collect();
    let change = parsed(2, &more.iter().collect::<Vec<_>>(), &[]);
    content.apply(&[change], "feed", NOW, &mut Problems::default()).unwrap();
    let then = content.clone();
    let compacted = edge.compact(&mut content, &then);
    assert_eq!(compacted.customers, 8_940);
    lines.extend(more);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let whole = build_ndjson(text.as_bytes(), NOW).unwrap();
    assert!(ShardBits::of(&edge.index()).customers >= 4);
    assert_eq!(edge.head.index, whole.index, "as a publish of the whole, to the byte");
    edge.assert_is(&lines);
}

#[test]
fn one_large_customer_does_not_cut_every_shard() {
    let mut lines = fixed();
    lines.push(item(1, "t", &[]));
    lines.extend((0..9_000).map(|number| customer(number, 5, 4)));
    let (mut edge, mut content) = Edge::of(&lines);
    let before = ShardBits::of(&edge.index());
    assert!(before.customers >= 4);
    let large = customer(9_000, 5, 60_000);
    content.apply(&[parsed(2, &[&large], &[])], "feed", NOW, &mut Problems::default()).unwrap();
    let bytes = content.delta().size_bytes();
    assert!(bytes > 4 * SHARD_TARGET_BYTES, "{bytes}");
    let then = content.clone();
    let compacted = edge.compact(&mut content, &then);
    assert_eq!(ShardBits::of(&edge.index()), before);
    let shards = compacted.objects.iter().filter(|(name, _)| name.kind == ObjectKind::Shard).count();
    assert_eq!(shards, 1);
    lines.push(large);
    edge.assert_is(&lines);
}

#[test]
fn a_change_that_is_wrong_changes_nothing() {
    let mut lines = fixed();
    lines.extend([item(1, "t", &[]), customer(1, 5, 1)]);
    let (_, mut content) = Edge::of(&lines);
    let before = content.delta();
    let good = parsed(2, &[&customer(1, 6, 2)], &[]);
    let stranger = {
        let mut stranger = customer(2, 5, 0);
        stranger["merchant_id"] = json!(99);
        stranger
    };
    for (wrong, expected) in [
        (parsed(3, &[&stranger], &[]), "feed:3: merchant_id: unknown merchant 99"),
        (parsed(3, &[&license(900, &[5])], &[]), "feed:3: item_ids[0]: unknown item 5"),
        (
            parsed(3, &[], &[json!({"type": "access_type", "id": 1})]),
            "f:4: fees[0].access_type_id: unknown access type 1",
        ),
    ] {
        let error = content.apply(&[good.clone(), wrong], "feed", NOW, &mut Problems::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(content.delta(), before);
    }
    let mut odd = customer(1, 6, 2);
    odd["accesses"][0]["item_id"] = json!(77);
    let mut problems = Problems::default();
    content.apply(&[parsed(2, &[&odd], &[])], "feed", NOW, &mut problems).unwrap();
    assert_eq!(problems.warnings.total(), 1);
}

#[test]
fn without_the_catalogue_only_customers_can_be_changed() {
    let mut lines = fixed();
    lines.extend([item(1, "t", &[]), customer(1, 5, 1)]);
    let (edge, built) = Edge::of(&lines);
    let directory =
        edge.object(ObjectName { kind: ObjectKind::Directory, digest: edge.head.directory }).unwrap();
    let mut content = Content::published(directory.clone(), built.delta()).unwrap();
    let apply =
        |content: &mut Content, change| content.apply(&[change], "feed", NOW, &mut Problems::default());
    let error = apply(&mut content, parsed(2, &[&item(1, "other", &[])], &[])).unwrap_err();
    assert!(error.to_string().contains("feed:2: expected changes of customers only"), "{error}");
    let mut stranger = customer(2, 5, 0);
    stranger["merchant_id"] = json!(99);
    let error = apply(&mut content, parsed(2, &[&stranger], &[])).unwrap_err();
    assert!(error.to_string().contains("unknown merchant 99"), "{error}");
    apply(&mut content, parsed(2, &[&customer(1, 9, 2)], &[])).unwrap();
    assert_eq!((content.delta().customers.len(), content.directory()), (1, directory.as_slice()));
}

/// Compaction checks the objects that it reads, because the store may return other bytes.
#[test]
fn a_shard_with_a_wrong_digest_is_not_compacted() {
    let mut lines = fixed();
    lines.extend([item(1, "t", &[]), customer(1, 5, 1)]);
    let (edge, mut content) = Edge::of(&lines);
    content.apply(&[parsed(2, &[&customer(1, 9, 2)], &[])], "feed", NOW, &mut Problems::default()).unwrap();
    let flipped = |name: ObjectName| {
        let mut object = edge.object(name)?;
        *object.last_mut().unwrap() ^= 1;
        Ok(object)
    };
    let error =
        compact(&edge.index(), &content.delta(), FRESH, &flipped, &MemorySink::default()).unwrap_err();
    assert!(error.to_string().contains("digest of the bytes differs"), "{error}");
    let missing = |_| Err(io::Error::other("gone"));
    let error =
        compact(&edge.index(), &content.delta(), FRESH, &missing, &MemorySink::default()).unwrap_err();
    assert_eq!(error.to_string(), "gone");
}
