use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use admit_snapshot::index::Index;
use serde_json::{Value, json};

use super::*;
use crate::{
    build::MemorySink,
    change,
    run::changes::{next_head, objects},
    source::{Problems, Source, SpillPlan, Strictness},
    update::Content,
};

const NOW: i64 = 1_800_000_000;
const UUID: &str = "528b1b80-5868-4abc-a9b6-4d3455d719c8";

/// A business with some customers, who may play item 1, each until a moment.
struct World {
    objects: HashMap<ObjectName, Object>,
    content: Content,
    head: Head,
    shards_read: AtomicUsize,
}

fn customer(number: usize, item: i64, expires_at: i64) -> Value {
    json!({
        "type": "customer", "namespace": "v", "subject": format!("s{number}"), "id": number, "uuid": UUID,
        "merchant_id": 21, "accesses": [{"id": 1, "item_id": item, "created_at": 1, "expires_at": expires_at}],
    })
}

fn item(id: i64, is_active: bool) -> Value {
    json!({
        "type": "item", "id": id, "merchant_id": 21, "title": "t", "is_active": is_active,
        "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {"id": 1, "name": "jw_asset", "content_type": "ovp", "host": "h", "description": "d"},
        "content": "c", "created_at": 1, "updated_at": 9,
    })
}

impl World {
    fn new(customers: usize) -> Self {
        let mut lines =
            vec![json!({"type": "merchant", "id": 21, "uuid": UUID}), item(1, true), item(2, true)];
        lines.extend((0..customers).map(|number| customer(number, 1, NOW + 1_000)));
        let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
        let mut source = Source::new(NOW, Strictness::Refuse, SpillPlan::default());
        source.read("all", lines.join("\n").as_bytes()).unwrap();
        let sink = MemorySink::default();
        let outcome = source.build(None, &sink).unwrap();
        let built = outcome.built.as_ref().unwrap();
        let head = built.head(1, NOW);
        let objects = built.objects.iter().map(|(name, _)| (*name, Arc::new(sink.take(*name).unwrap())));
        Self {
            objects: objects.collect(),
            content: Content::built(outcome.catalogue).unwrap(),
            head,
            shards_read: AtomicUsize::new(0),
        }
    }

    /// Publishes a change, and says whether it takes something away and how many shards were read to tell.
    fn change(&mut self, change: &Value) -> (bool, usize) {
        let mut change = change.clone();
        change["seq"] = json!(self.head.seq + 1);
        let change = change::parse(change.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error:?}"));
        self.content.apply(&[change], "feed", NOW, &mut Problems::default()).unwrap();
        let index = self.objects[&ObjectName { kind: ObjectKind::Index, digest: self.head.index }].to_vec();
        let salt = Index::decode(index).unwrap().salt();
        let (named, new) = objects(&self.content, self.head.directory, salt).unwrap();
        self.objects.extend(new.into_iter().map(|(name, object)| (name, Arc::new(object))));
        let next = next_head(&self.head, &named, self.head.seq + 1, NOW);
        self.compare(next, SHARDS_MAX)
    }

    fn compare(&mut self, next: Head, shards_max: usize) -> (bool, usize) {
        self.shards_read.store(0, Ordering::Relaxed);
        let read = |name: ObjectName| {
            if name.kind == ObjectKind::Shard {
                self.shards_read.fetch_add(1, Ordering::Relaxed);
            }
            self.objects.get(&name).cloned().with_context(|| name.to_string())
        };
        let takes = takes_away(&self.head, &next, &read, shards_max).unwrap();
        self.head = next;
        (takes, self.shards_read.load(Ordering::Relaxed))
    }
}

#[test]
fn a_change_that_only_gives_is_not_urgent_and_one_that_takes_is() {
    let mut world = World::new(20);
    let put = |record: Value| json!({"put": [record]});
    let remove =
        |subject: &str| json!({"remove": [{"type": "customer", "namespace": "v", "subject": subject}]});
    for (what, change, expected, shards) in [
        ("a longer access, against the shard", put(customer(1, 1, NOW + 2_000)), false, 1),
        ("longer still, against the delta", put(customer(1, 1, NOW + 3_000)), false, 0),
        ("shorter, against the delta", put(customer(1, 1, NOW + 2_000)), true, 0),
        ("shorter, against the shard", put(customer(2, 1, NOW + 10)), true, 1),
        ("another item", put(customer(3, 2, NOW + 9_000)), true, 1),
        ("a new customer", put(customer(99, 1, NOW + 5)), false, 1),
        ("removed, of the delta", remove("s99"), true, 0),
        ("given back", put(customer(99, 1, NOW + 5)), false, 0),
        ("removed, of a shard", remove("s5"), true, 0),
        ("an item that is deactivated", put(item(1, false)), true, 1),
        // The delta no longer has it, and its state in the shard is not looked up.
        ("and as it was", put(item(1, true)), true, 0),
        ("a new item", put(item(7, true)), false, 1),
        ("nothing new", put(item(7, true)), false, 0),
    ] {
        assert_eq!(world.change(&change), (expected, shards), "{what}");
    }
}

/// Ids are told apart by case, as questions are: another spelling is another id, and the first one is gone.
#[test]
fn an_external_id_that_leads_elsewhere_or_nowhere_is_urgent() {
    let mut world = World::new(2);
    let named = |id: i64, external_id: Option<&str>, title: &str| {
        let mut item = item(id, true);
        item["external_asset_id"] = json!(external_id);
        item["title"] = json!(title);
        json!({"put": [item]})
    };
    for (what, change, expected, shards) in [
        ("a new item without an id", named(7, None, "t"), false, 1),
        (
            "an id that the delta did not have: it may have led to another item",
            named(7, Some("Film"), "t"),
            true,
            0,
        ),
        ("the same again", named(7, Some("Film"), "t"), false, 0),
        ("another title", named(7, Some("Film"), "u"), false, 0),
        ("lower case", named(7, Some("film"), "u"), true, 0),
        ("and upper case again", named(7, Some("Film"), "u"), true, 0),
        ("the other spelling, of another item", named(8, Some("FILM"), "u"), true, 0),
        ("no id any more", named(7, None, "u"), true, 0),
        ("an item whose id the delta has, out of reach", json!({"put": [item(8, false)]}), true, 0),
    ] {
        assert_eq!(world.change(&change), (expected, shards), "{what}");
    }
}

#[test]
fn many_customers_who_are_new_to_the_delta_are_not_looked_up() {
    let mut world = World::new(20);
    let before = world.head.clone();
    assert_eq!(world.change(&json!({"put": [customer(1, 1, NOW + 2_000)]})), (false, 1));
    let next = std::mem::replace(&mut world.head, before);
    assert_eq!(world.compare(next, 0), (true, 0), "the shard may have said otherwise");
}

#[test]
fn other_shards_and_older_content_are_not_compared() {
    let mut world = World::new(2);
    let head = world.head.clone();
    let renewed = head.renewed(NOW + 60);
    assert_eq!(world.compare(renewed, 0), (false, 0));
    let older = Head { seq: 9, origin_seq: Some(0), ..head.clone() };
    assert_eq!(world.compare(older, SHARDS_MAX), (true, 0));
    world.head = head.clone();
    let compacted = Head { index: Digest([7; 32]), ..head };
    assert_eq!(world.compare(compacted, SHARDS_MAX), (true, 0));
}

#[test]
fn an_object_that_cannot_be_read_leaves_it_unknown() {
    let world = World::new(2);
    let next = Head { delta: Some(Digest([9; 32])), ..world.head.clone() };
    let read = |_: ObjectName| anyhow::bail!("the store is away");
    assert!(takes_away(&world.head, &next, &read, SHARDS_MAX).is_err());
}
