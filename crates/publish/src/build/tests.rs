//! Looks built snapshots up the way an edge does: through [`Version`], with the objects in memory.

mod properties;

use std::{collections::BTreeMap, fs, path::Path, rc::Rc};

use admit::{
    entitlement::{Decision, Question, Reason, decide},
    limits::OBJECT_CACHE_BYTES,
};
use admit_snapshot::{
    customer::{Access, CustomerRecord},
    directory::Directory,
    index::{Index, Tree},
    item::ItemRecord,
    key::EntryKey,
    limits::LICENSE_MAX_BYTES,
    schema::Line,
    table::Table,
    version::{Found, ObjectCache, Record, Version},
};
use admit_token::Principal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const NOW: UnixSecs = 1_800_000_000;

/// A built snapshot as an edge holds it.
struct Edge {
    version: Version,
    objects: BTreeMap<ObjectName, Vec<u8>>,
    cache: ObjectCache,
}

impl Edge {
    fn of(built: Built) -> Self {
        let head = built.head(1, NOW);
        let objects: BTreeMap<_, _> = built.objects.into_iter().collect();
        let object = |kind, digest| objects[&ObjectName { kind, digest }].clone();
        let index = Index::decode(object(ObjectKind::Index, head.index)).unwrap();
        let directory = Directory::decode(&object(ObjectKind::Directory, head.directory)).unwrap();
        let version = Version { head, index: index.into(), directory: directory.into(), delta: None };
        Self { version, objects, cache: ObjectCache::new(OBJECT_CACHE_BYTES) }
    }

    fn look_up(&mut self, tree: Tree, key: EntryKey) -> Option<Record> {
        loop {
            match self.version.look_up(tree, key, &mut self.cache).unwrap() {
                Found::Record(record) => return Some(record),
                Found::Absent => return None,
                Found::Load(name) => {
                    let object = &self.objects[&name];
                    name.check(object).unwrap();
                    self.cache.insert(name, Rc::from(object.as_slice()));
                }
            }
        }
    }

    fn item(&mut self, id: i64) -> Option<Record> {
        self.look_up(Tree::Items, self.version.index.item_key(id))
    }

    fn customer(&mut self, namespace: &str, subject: &str) -> Option<Record> {
        self.look_up(Tree::Customers, EntryKey::customer(namespace, subject))
    }

    /// The packages that hold an item, and the licences that unlock it.
    fn links(&mut self, id: i64) -> (Vec<i64>, Vec<u128>) {
        let record = self.item(id).unwrap();
        let item = ItemRecord::new(record.bytes()).unwrap();
        (item.packages.iter().collect(), item.licenses.iter().map(|id| u128::from_be_bytes(*id)).collect())
    }

    fn decide(&mut self, namespace: &str, subject: &str, item_id: i64) -> Decision {
        let (customer, item) = (self.customer(namespace, subject), self.item(item_id).unwrap());
        let customer = customer.as_ref().map(|record| CustomerRecord::new(record.bytes()).unwrap());
        let principal = Principal { may_test: true, ..Principal::named(namespace, subject) };
        decide(&Question {
            principal: &principal,
            customer: customer.as_ref(),
            item: &ItemRecord::new(item.bytes()).unwrap(),
            directory: &self.version.directory,
            now: NOW,
        })
        .unwrap()
        .decision
    }
}

fn build_text(text: &str) -> Built {
    build_ndjson(text.as_bytes(), NOW).unwrap()
}

fn text_of(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn samples() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/catalogue");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn uuid(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

fn merchant() -> Value {
    json!({"type": "merchant", "id": 21, "uuid": uuid(21)})
}

fn item(id: i64, kind: &str, members: &[i64]) -> Value {
    json!({
        "type": "item", "id": id, "merchant_id": 21, "title": format!("title {id}"), "is_active": true,
        "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {"id": 1, "name": kind, "content_type": "ovp", "host": "h", "description": "d"},
        "content": "{\"video_id\":\"1\"}", "item_ids": members, "created_at": 5, "updated_at": "now-1m",
    })
}

fn customer(number: usize, accesses: &Value) -> Value {
    json!({
        "type": "customer", "namespace": "vendor", "subject": format!("c{number}"), "id": number,
        "uuid": uuid(number as u128), "merchant_id": 21, "accesses": accesses,
    })
}

/// Two items, a package of both, a licence for the package and one for an item alone.
fn linked() -> Vec<Value> {
    let license = |id: u128, item_ids: Value| {
        json!({
            "type": "license", "id": uuid(id), "internal_id": "x", "app_id": "a", "name": "n", "rank": 3,
            "status": "live", "item_ids": item_ids,
        })
    };
    vec![
        merchant(),
        json!({"type": "app", "id": "a", "merchant_id": 21, "plan_id": "p", "clients": [{"client_id": "c", "mode": "live"}]}),
        item(33, "jw_asset", &[]),
        item(34, "jw_asset", &[]),
        item(40, "package", &[34, 33]),
        item(41, "package", &[33]),
        license(0x200, json!([40])),
        license(0x100, json!([33, 40])),
    ]
}

#[test]
fn every_line_of_the_samples_is_found_again() {
    let text = samples();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut edge = Edge::of(build_text(&text));
    let customers =
        lines.iter().filter_map(|line| if let Line::Customer(one) = line { Some(one) } else { None });
    for written in customers {
        let record = edge.customer(&written.namespace, &written.subject).unwrap();
        let found = CustomerRecord::new(record.bytes()).unwrap();
        assert_eq!((found.id, found.merchant_id), (written.id, written.merchant_id));
        assert_eq!(found.uuid.to_string(), written.uuid.to_lowercase());
        assert_eq!(found.accesses().count(), written.accesses.len());
        let names = found.licenses().unwrap();
        let names: Vec<_> = names.iter().map(|license| license.name).collect();
        assert_eq!(names, written.licenses.iter().map(|license| license.name.as_str()).collect::<Vec<_>>());
    }
    let items = lines.iter().filter_map(|line| if let Line::Item(one) = line { Some(one) } else { None });
    for written in items {
        let record = edge.item(written.id).unwrap();
        let found = ItemRecord::new(record.bytes()).unwrap();
        assert_eq!(
            (found.id, found.is_active, found.is_package),
            (written.id, written.is_active, written.is_package())
        );
        let content: String = serde_json::from_str(found.content).unwrap();
        assert_eq!(content, written.content);
        let details: Value = serde_json::from_str(&format!("{{{}", found.details)).unwrap();
        assert_eq!(details["title"], written.title);
        assert_eq!(found.fees().unwrap().len(), written.fees.len());
        let members: Vec<_> = found.members().unwrap().iter().collect();
        assert_eq!(members, written.item_ids);
    }
    assert!(edge.customer("vendor", "nobody").is_none() && edge.item(-1).is_none());
    let counts = (edge.version.head.customers, edge.version.head.items);
    let count = |is: fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count() as u64;
    let written =
        (count(|line| matches!(line, Line::Customer(_))), count(|line| matches!(line, Line::Item(_))));
    assert_eq!(counts, written);
}

#[test]
fn items_know_their_packages_and_licences() {
    let mut edge = Edge::of(build_text(&text_of(&linked())));
    assert_eq!(edge.links(33), (vec![40, 41], vec![0x100, 0x200]));
    assert_eq!(edge.links(34), (vec![40], vec![0x100, 0x200]));
    assert_eq!(edge.links(40), (vec![], vec![0x100, 0x200]));
    assert_eq!(edge.links(41), (vec![], vec![]));
    let license = edge.version.directory.licenses.get(&0x100).unwrap();
    assert_eq!((license.rank, license.app, license.name.as_str()), (3, 0, "n"));
    let json: Value = serde_json::from_str(&license.json).unwrap();
    assert_eq!(json["id"], uuid(0x100));
    assert!(json.get("price_tier").is_none() && json.get("status").is_none());
}

#[test]
fn grants_through_packages_and_licences_are_decided_on() {
    let mut lines = linked();
    lines.push(customer(1, &json!([{"id": 9, "item_id": 40, "created_at": 1}])));
    let mut subscriber = customer(2, &json!([]));
    subscriber["licenses"] = json!([{
        "license_id": uuid(0x200), "license_type": "SINGLE", "name": "n", "status": "OVERDUE",
        "renew_status": "RENEW", "interval_length": 1, "interval_unit": "MONTHS", "date_added": "now-3d",
    }]);
    lines.push(subscriber);
    let mut edge = Edge::of(build_text(&text_of(&lines)));
    let mut reason = |subject, item_id| match edge.decide("vendor", subject, item_id) {
        Decision::Allow(grant) => grant.reason,
        Decision::Deny(reason) => reason,
    };
    assert_eq!(reason("c1", 34), Reason::PackageAccess);
    assert_eq!(reason("c1", 40), Reason::ItemAccess);
    assert_eq!(reason("c1", 41), Reason::NoGrant);
    assert_eq!(reason("c2", 33), Reason::License);
    assert_eq!(reason("c3", 33), Reason::UnknownCustomer);
}

#[test]
fn clients_read_the_rendered_json() {
    let mut lines = linked();
    lines.push(json!({"type": "access_type", "id": 1, "account_id": 21, "name": "ppv", "quantity": 2, "period": "day", "created_at": 1, "updated_at": 2}));
    lines[2]["metadata"] =
        json!([{"id": 1, "name": "a", "value": "x"}, {"id": 2, "name": "a", "value": "y"}]);
    lines[2]["fees"] = json!([{
        "id": 7, "amount": 4.99, "currency": "EUR", "description": "d", "access_type_id": 1,
        "geo_restriction": {"id": 1, "country_iso": "CH", "type": "whitelist"},
        "starts_at": "now+1h", "created_at": 1, "updated_at": 2,
    }]);
    let mut edge = Edge::of(build_text(&text_of(&lines)));
    let record = edge.item(33).unwrap();
    let item = ItemRecord::new(record.bytes()).unwrap();
    let details: Value = serde_json::from_str(&format!("{{{}", item.details)).unwrap();
    assert_eq!(details["merchant_uuid"], uuid(21));
    assert_eq!((&details["is_active"], &details["active"]), (&json!(true), &json!(true)));
    assert_eq!(details["metahash"], json!({"a": "y"}));
    assert_eq!(details["metadata"].as_array().unwrap().len(), 2);
    assert_eq!((&details["created_at"], &details["updated_at"]), (&json!(5), &json!(NOW - 60)));
    assert!(details.get("content").is_none());
    let fees = item.fees().unwrap();
    let fee: Value = serde_json::from_str(&format!("{{{}", fees[0].details)).unwrap();
    assert_eq!(
        (&fee["amount"], &fee["starts_at"], &fee["expires_at"]),
        (&json!(4.99), &json!(NOW + 3_600), &json!(null))
    );
    assert_eq!(
        (&fee["item_id"], &fee["merchant_id"], &fee["access_type"]["account_id"]),
        (&json!(33), &json!(21), &json!(21))
    );
    assert_eq!(fee["geo_restriction"]["type"], "whitelist");
    assert_eq!(fee["trial_period"], Value::Null);
}

#[test]
fn dates_are_counted_from_the_moment_of_publishing() {
    let accesses = json!([{"id": 1, "item_id": 33, "starts_at": "now-1h", "expires_at": "now+1h", "renews_on": "now+2h", "created_at": "now"}]);
    let mut lines = linked();
    let mut bought = customer(1, &accesses);
    bought["used_trials"] = json!([33]);
    lines.push(bought);
    let mut edge = Edge::of(build_text(&text_of(&lines)));
    let record = edge.customer("vendor", "c1").unwrap();
    let found: Vec<_> = CustomerRecord::new(record.bytes()).unwrap().accesses().map(Result::unwrap).collect();
    let expected = Access {
        id: 1,
        item_id: 33,
        created_at: NOW,
        starts_at: Some(NOW - 3_600),
        expires_at: Some(NOW + 3_600),
        renews_on: Some(NOW + 7_200),
    };
    assert!(CustomerRecord::new(record.bytes()).unwrap().has_used_trial(33).unwrap());
    assert_eq!(found, [expected]);
}

fn many(customers: usize) -> Built {
    let accesses = json!([{"id": 1, "item_id": 33, "created_at": 1_700_000_000}, {"id": 2, "item_id": 34, "created_at": 1_700_000_000}]);
    let mut lines = linked();
    lines.extend((0..customers).map(|number| customer(number, &accesses)));
    build_text(&text_of(&lines))
}

#[test]
fn the_number_of_shards_grows_with_the_data() {
    for (customers, shards) in [(0, 1), (1, 1), (800, 1), (3_000, 4), (12_000, 16)] {
        let built = many(customers);
        let mut edge = Edge::of(built.clone());
        assert_eq!(edge.version.index.shard_count(Tree::Customers), shards, "{customers}");
        let names = edge.version.index.shards(Tree::Customers, |_| None::<Vec<u8>>).unwrap();
        assert_eq!(names.len(), if customers == 0 { 0 } else { shards });
        let mut entries = 0;
        for name in &names {
            let object = &edge.objects[name];
            assert!(object.len() < 2 * SHARD_TARGET_BYTES, "{}", object.len());
            entries += Table::of_shard(object).unwrap().len();
        }
        assert_eq!(entries, customers);
        if customers > 0 {
            assert!(edge.customer("vendor", "c0").is_some());
            assert!(edge.customer("vendor", &format!("c{}", customers - 1)).is_some());
        }
        assert!(edge.customer("vendor", &format!("c{customers}")).is_none());
        assert!(built.objects.iter().all(|(name, object)| name.check(object).is_ok()));
    }
}

#[test]
fn the_order_of_lines_changes_nothing() {
    let objects = |text: &str| {
        let built = build_text(text);
        (built.index, built.directory, built.objects)
    };
    let text = samples();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.reverse();
    assert_eq!(objects(&text), objects(&lines.join("\n")));
    let (front, back) = lines.split_at(lines.len() / 3);
    assert_eq!(objects(&text), objects(&[back, front].concat().join("\n")));
}

#[test]
fn objects_come_before_those_that_name_them() {
    let built = many(2_000);
    let position = |kind| built.objects.iter().rposition(|(name, _)| name.kind == kind).unwrap();
    assert!(position(ObjectKind::Shard) < position(ObjectKind::Index));
    let mut names: Vec<_> = built.objects.iter().map(|(name, _)| *name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), built.objects.len(), "no object twice");
}

#[test]
fn one_change_touches_one_shard_and_the_index() {
    let changed = {
        let accesses = json!([{"id": 1, "item_id": 33, "created_at": 1_700_000_000}, {"id": 2, "item_id": 34, "created_at": 1_700_000_000}]);
        let mut lines = linked();
        lines.extend((0..3_000).map(|number| customer(number, &accesses)));
        lines.last_mut().unwrap()["accesses"][0]["expires_at"] = json!(1_900_000_000);
        build_text(&text_of(&lines))
    };
    let before: BTreeMap<_, _> = many(3_000).objects.into_iter().collect();
    let new: Vec<_> = changed.objects.iter().filter(|(name, _)| !before.contains_key(name)).collect();
    let kinds: Vec<_> = new.iter().map(|(name, _)| name.kind).collect();
    assert_eq!(kinds, [ObjectKind::Shard, ObjectKind::Index]);
}

#[test]
fn an_oversized_object_is_refused_before_its_upload() {
    let mut lines = linked();
    let mut long = lines.iter().find(|line| line["type"] == "license").unwrap().clone();
    long["description"] = json!("x".repeat(LICENSE_MAX_BYTES - 512));
    lines.extend((1_000..1_540).map(|number| {
        long["id"] = json!(Uuid::from_u128(number).to_string());
        long.clone()
    }));
    let error = build_ndjson(text_of(&lines).as_bytes(), NOW).unwrap_err().to_string();
    assert!(error.contains("a directory of 8") && error.contains("8388608"), "{error}");
    lines[2]["content"] = json!("x".repeat(OBJECT_MAX_BYTES));
    let error = build_ndjson(text_of(&lines).as_bytes(), NOW).unwrap_err().to_string();
    assert_eq!(error, "invalid lines: 1");
}

/// The builder, too, refuses a reference that the checks would have found. It never guesses.
#[test]
fn unchecked_lines_are_not_built() {
    for (without, expected) in [(0, "merchant"), (1, "app")] {
        let mut lines = linked();
        lines.remove(without);
        let mut unchecked = Source::new(NOW, Strictness::Refuse, SpillPlan::default());
        unchecked.read("f", text_of(&lines).as_bytes()).unwrap();
        let error = Rendered::of(&unchecked.catalogue).unwrap_err().to_string();
        assert_eq!(error, format!("unresolved {expected}"));
    }
}
