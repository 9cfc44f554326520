use std::sync::Mutex;

use admit_snapshot::customer::CustomerRecord;
use serde_json::{Value, json};

use super::*;
use crate::{
    build::{BuildOutcome, Built, Layout, ObjectSink, Rendered},
    source::{Source, SpillPlan, Strictness},
};

mod damage;
mod loss;
mod size;

const NOW: i64 = 1_700_000_000;
const LICENSE: &str = "b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12";

const SALT: ItemSalt = ItemSalt::new([3; 16]);

#[derive(Default)]
struct Store(Mutex<BTreeMap<ObjectName, Vec<u8>>>);

impl ObjectSink for Store {
    fn store(&self, name: ObjectName, object: Vec<u8>) -> io::Result<()> {
        self.0.lock().unwrap().insert(name, object);
        Ok(())
    }
}

impl Store {
    fn published(&self, built: &Built<u64>) -> PublishedRecords<'_> {
        let named = Named { index: built.index, directory: built.directory, delta: None };
        let read = |name: ObjectName| Ok(self.0.lock().unwrap().get(&name).cloned().unwrap_or_default());
        PublishedRecords::new(named, Box::new(read)).unwrap()
    }
}

fn merchant(id: i64) -> Value {
    json!({"type": "merchant", "id": id, "uuid": format!("11a7ed90-65d3-4ee2-9d91-{id:012}")})
}

fn item(id: i64, members: &[i64]) -> Value {
    let kind = if members.is_empty() { "jw_asset" } else { "package" };
    json!({"type": "item", "id": id, "merchant_id": 21, "title": format!("item {id}"), "is_active": true,
        "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {"id": 44, "name": kind, "content_type": "ovp", "host": "h", "description": "d"},
        "item_ids": members, "fees": [{"id": 7, "amount": 4.99, "currency": "EUR", "description": "d",
            "access_type_id": 1, "created_at": 5, "updated_at": 5}],
        "created_at": 5, "updated_at": 5})
}

fn customer(number: i64, items: &[i64]) -> Value {
    let accesses: Vec<_> =
        items.iter().map(|item| json!({"id": item, "item_id": item, "created_at": 5})).collect();
    json!({"type": "customer", "namespace": "v", "subject": format!("s{number}"), "id": number,
        "uuid": format!("11a7ed90-65d3-4ee2-9d91-{number:012}"), "merchant_id": 21, "accesses": accesses})
}

fn license(items: &[i64]) -> Value {
    json!({"type": "license", "id": LICENSE, "internal_id": "x", "app_id": "a", "name": "n", "status": "live",
        "item_ids": items})
}

/// A business: merchant, app, access type, items 1 to 4, package 40 of 1 and 2, a licence, a hundred
/// customers.
fn business() -> Vec<Value> {
    let mut lines = vec![
        json!({"type": "snapshot", "seq": 1}),
        merchant(21),
        json!({"type": "app", "id": "a", "merchant_id": 21, "plan_id": "p",
            "clients": [{"client_id": "c", "mode": "live"}]}),
        json!({"type": "access_type", "id": 1, "account_id": 21, "name": "ppv", "quantity": 1, "period": "day",
            "created_at": 5, "updated_at": 5}),
        license(&[40, 3]),
    ];
    lines.extend((1..=4).map(|id| item(id, &[])));
    lines.push(item(40, &[1, 2]));
    lines.extend((0..100).map(|number| customer(number, &[1, 40])));
    lines
}

fn text(lines: &[Value]) -> Vec<u8> {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

fn build(store: &Store, before: Option<&PublishedRecords<'_>>, text: &[u8]) -> BuildOutcome {
    let mut source = Source::new(NOW, Strictness::SetAside, SpillPlan::default());
    source.read("f", text).unwrap();
    let layout = before.map_or(Layout::new(SALT), |before| before.layout(SALT));
    source.build_over(layout, before, store).unwrap()
}

/// Publishes over the business after changing a line, and returns the outcome with its messages.
struct Case {
    store: Store,
    before: Built<u64>,
}

impl Case {
    fn new() -> Self {
        let store = Store::default();
        let before = build(&store, None, &text(&business())).built.unwrap();
        Self { store, before }
    }

    fn publish(&self, bytes: &[u8]) -> BuildOutcome {
        build(&self.store, Some(&self.store.published(&self.before)), bytes)
    }

    /// Publishes the business with one line changed or removed.
    fn with(&self, find: impl Fn(&Value) -> bool, change: impl Fn(&mut Value)) -> BuildOutcome {
        let mut lines = business();
        lines.iter_mut().filter(|line| find(line)).for_each(change);
        self.publish(&text(&lines))
    }

    fn record(&self, built: &Built<u64>, key: EntryKey, tree: Tree) -> Option<Vec<u8>> {
        self.store.published(built).records(tree, 0, 0).unwrap().remove(&key)
    }
}

fn is(kind: &str, id: i64) -> impl Fn(&Value) -> bool {
    move |line| line["type"] == kind && line["id"] == id
}

#[test]
fn a_catalogue_that_is_read_back_is_published_as_it_was() {
    let mut lines = business();
    // Values that records express differently: inactive members, used access types, free text.
    lines[5]["is_active"] = json!(false);
    lines[4]["price_tier"] = json!({"any": [1, null]});
    lines[6]["metadata"] = json!([{"id": 1, "name": "n", "value": "v"}]);
    lines[6]["content"] = json!("{\"video\":1}");
    let store = Store::default();
    let BuildOutcome { built, catalogue, .. } = build(&store, None, &text(&lines));
    let again = store.published(&built.unwrap()).catalogue().unwrap();
    assert_eq!(Rendered::of(&again).unwrap(), Rendered::of(&catalogue).unwrap());
}

#[test]
fn a_wrong_record_keeps_its_last_good_state_and_all_others_are_published() {
    let case = Case::new();
    for (kind, id, field, wrong) in [
        ("item", 1, "title", json!(5)),
        ("item", 1, "created_at", json!(1_700_000_000_000_i64)),
        ("item", 40, "item_ids", json!([1, 99])),
        ("item", 1, "fees", json!([{"id": 7}])),
        ("merchant", 21, "uuid", json!("x")),
        ("access_type", 1, "quantity", json!("one")),
    ] {
        let outcome = case.with(
            |line| is(kind, id)(line) || is("item", 2)(line) || is("customer", 5)(line),
            |line| match (line["type"].as_str(), line["id"].as_i64()) {
                (Some("item"), Some(2)) => line["title"] = json!("new"),
                (Some("customer"), _) => line["accesses"] = json!([]),
                _ => line[field] = wrong.clone(),
            },
        );
        let errors: Vec<_> = outcome.problems.errors.kept().iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(outcome.problems.errors.kept()[0].about.id(), id.to_string());
        let set_aside = &outcome.catalogue.set_aside;
        assert_eq!(
            (set_aside.total(), set_aside.last_good(), set_aside.dependents()),
            (1, 1, 0),
            "{errors:?}"
        );
        let built = outcome.built.unwrap();
        // The same result as if the record had not been changed.
        let expected = case.with(
            |line| is("item", 2)(line) || is("customer", 5)(line),
            |line| match line["type"].as_str() {
                Some("item") => line["title"] = json!("new"),
                _ => line["accesses"] = json!([]),
            },
        );
        let expected = expected.built.unwrap();
        assert_eq!((built.index, built.directory), (expected.index, expected.directory), "{kind} {field}");
    }
}

#[test]
fn a_wrong_licence_or_app_goes_on_as_it_was() {
    let case = Case::new();
    for (kind, field, wrong) in [
        ("license", "status", json!("dead")),
        ("app", "plan_id", json!(true)),
        ("license", "item_ids", json!([99])),
    ] {
        let outcome = case.with(|line| line["type"] == kind, |line| line[field] = wrong.clone());
        assert_eq!(outcome.catalogue.set_aside.last_good(), 1, "{kind}");
        let built = outcome.built.unwrap();
        let before = (case.before.index, case.before.directory);
        assert_eq!((built.index, built.directory), before, "{kind} {field}");
    }
}

#[test]
fn a_wrong_customer_keeps_what_it_owns() {
    let case = Case::new();
    let wrong_license = json!([{"license_id": "x", "license_type": "SINGLE", "name": "n", "status": "ACTIVE",
        "renew_status": "RENEW", "interval_length": 1, "interval_unit": "MONTHS", "date_added": 5}]);
    for (field, wrong) in [
        ("accesses", json!([{"id": 1, "item_id": 1, "created_at": 5, "expires_at": 1_800_000_000_000_i64}])),
        ("merchant_id", json!(99)),
        ("uuid", json!("x")),
        ("licenses", wrong_license),
        ("extra", json!(true)),
    ] {
        let outcome = case.with(is("customer", 7), |line| line[field] = wrong.clone());
        let set_aside = &outcome.catalogue.set_aside;
        assert_eq!((set_aside.total(), set_aside.last_good()), (1, 1), "{field}");
        let built = outcome.built.unwrap();
        assert_eq!((built.index, built.customers), (case.before.index, 100), "{field}");
    }
    // A customer who has no published record.
    let outcome = case.publish(
        &[
            text(&business()),
            text(&[{
                let mut stranger = customer(500, &[1]);
                stranger["id"] = json!("x");
                stranger
            }]),
        ]
        .concat(),
    );
    assert_eq!((outcome.catalogue.set_aside.total(), outcome.catalogue.set_aside.last_good()), (1, 0));
    assert_eq!(outcome.built.unwrap().index, case.before.index);
}

#[test]
fn two_lines_that_differ_are_neither_and_two_that_do_not_are_one() {
    let case = Case::new();
    let mut lines = business();
    lines.extend([customer(3, &[]), item(2, &[])]);
    lines.last_mut().unwrap()["title"] = json!("other");
    let outcome = case.publish(&text(&lines));
    assert_eq!((outcome.catalogue.set_aside.total(), outcome.catalogue.set_aside.last_good()), (2, 2));
    assert_eq!(outcome.built.unwrap().index, case.before.index);
    let twice = [business(), business()[1..].to_vec()].concat();
    let outcome = case.publish(&text(&twice));
    assert_eq!((outcome.catalogue.set_aside.total(), outcome.problems.errors.total()), (0, 0));
    assert_eq!(outcome.problems.warnings.total(), business().len() as u64 - 1);
    assert_eq!(outcome.built.unwrap().index, case.before.index);
}

#[test]
fn records_lose_references_to_records_without_a_last_good_state() {
    let case = Case::new();
    let mut lines = business();
    let mut unknown = item(50, &[]);
    unknown["is_active"] = json!("yes");
    lines.push(unknown);
    lines
        .iter_mut()
        .filter(|line| is("item", 40)(line))
        .for_each(|line| line["item_ids"] = json!([50, 1, 3]));
    lines
        .iter_mut()
        .filter(|line| is("customer", 9)(line))
        .for_each(|line| line["accesses"] = customer(9, &[3, 50])["accesses"].clone());
    let outcome = case.publish(&text(&lines));
    assert_eq!(outcome.problems.errors.total(), 1, "{:?}", outcome.problems.errors.kept());
    let set_aside = &outcome.catalogue.set_aside;
    assert_eq!((set_aside.total(), set_aside.last_good(), set_aside.dependents()), (1, 0, 2));
    assert_eq!(outcome.catalogue.items[&40].value.item_ids, [1, 3]);
    let built = outcome.built.unwrap();
    let record = case.record(&built, EntryKey::customer("v", "s9"), Tree::Customers).unwrap();
    let items: Vec<_> =
        CustomerRecord::new(&record).unwrap().accesses().map(|access| access.unwrap().item_id).collect();
    assert_eq!(items, [3, 50], "it grants nothing until the item is there, and need not be sent again then");
}

#[test]
fn nothing_is_removed_where_a_line_cannot_be_attributed() {
    let case = Case::new();
    let mut lines = business();
    // Missing from the export, or hidden in the unreadable line.
    lines.retain(|line| !is("customer", 5)(line) && !is("item", 4)(line));
    let gone = case.publish(&text(&lines));
    assert_eq!(gone.built.as_ref().unwrap().customers, 99);
    let outcome = case.publish(&[text(&lines), b"{\"type\":\"cust".to_vec()].concat());
    let set_aside = &outcome.catalogue.set_aside;
    assert_eq!((set_aside.total(), set_aside.unattributed(), set_aside.kept_missing()), (1, 1, 2));
    assert_eq!(outcome.built.unwrap().index, case.before.index);
    // If the type of the line can be read, only records of this type can be hidden.
    let outcome = case.publish(&[text(&lines), b"{\"type\":\"item\",\"title\":\"t\"}".to_vec()].concat());
    let set_aside = &outcome.catalogue.set_aside;
    assert_eq!((set_aside.unattributed(), set_aside.kept_missing()), (1, 1));
    assert_eq!((outcome.built.as_ref().unwrap().customers, outcome.built.unwrap().items), (99, 5));
}

#[test]
fn a_last_good_state_brings_the_records_it_needs() {
    let case = Case::new();
    let mut lines = business();
    lines.retain(|line| line["type"] != "merchant" && line["type"] != "app");
    lines.push(merchant(22));
    let outcome = case.publish(&text(&lines));
    let built = outcome.built.unwrap();
    assert_eq!((built.index, built.customers), (case.before.index, 100));
    assert_eq!(outcome.catalogue.merchants.len(), 2);
    assert!(outcome.catalogue.apps.contains_key("a") && outcome.catalogue.licenses.len() == 1);
}

#[test]
fn a_newcomer_does_not_take_over_what_another_merchant_has() {
    let case = Case::new();
    let mut lines = business();
    let mut thief = merchant(5);
    thief["uuid"] = merchant(21)["uuid"].clone();
    lines.push(thief);
    lines.push(json!({"type": "app", "id": "A", "merchant_id": 21, "plan_id": "p",
        "clients": [{"client_id": "c", "mode": "test"}]}));
    let outcome = case.publish(&text(&lines));
    let about: Vec<_> = outcome.problems.errors.kept().iter().map(|error| error.about.to_string()).collect();
    assert_eq!(about, ["merchant 5", "app A"]);
    let built = outcome.built.unwrap();
    assert_eq!((built.index, built.directory), (case.before.index, case.before.directory));
}

#[test]
fn without_knowing_where_it_stands_nothing_is_built() {
    let case = Case::new();
    for seq in [json!(-1), json!("x")] {
        let outcome = case.with(|line| line["type"] == "snapshot", |line| line["seq"] = seq.clone());
        assert!(outcome.built.is_none() && outcome.catalogue.set_aside.is_position_lost());
    }
    let twice = [business(), vec![json!({"type": "snapshot", "seq": 2})]].concat();
    assert!(case.publish(&text(&twice)).built.is_none());
}
