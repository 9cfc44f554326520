//! An export and the changes after it give the state of a later export, for any writes in any order.

use std::collections::BTreeMap;

use admit::snapshot::object::Digest;
use admit_publish::{
    build::{MemorySink, build_ndjson},
    change,
    source::{Problems, Source, SpillPlan, Strictness},
    update::Content,
};
use origin::db::customers;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::Value;

use crate::support::Origin;

/// A write, which may fail. The numbers choose among few records, so that writes meet.
#[derive(Clone, Debug)]
enum Write {
    Make(bool),
    Change(usize),
    Delete(usize),
    Grant(usize, usize),
    Revoke(usize, usize),
    AddFee(usize),
    DeleteFee(usize),
    Members(usize, usize, usize),
    Forget(usize),
}

const CUSTOMERS: [i64; 4] = [88_001, 88_002, 88_005, 88_011];

fn write() -> impl Strategy<Value = Write> {
    let number = 0..6_usize;
    prop_oneof![
        any::<bool>().prop_map(Write::Make),
        number.clone().prop_map(Write::Change),
        number.clone().prop_map(Write::Delete),
        (number.clone(), number.clone()).prop_map(|(item, customer)| Write::Grant(item, customer)),
        (number.clone(), number.clone()).prop_map(|(item, customer)| Write::Revoke(item, customer)),
        number.clone().prop_map(Write::AddFee),
        number.clone().prop_map(Write::DeleteFee),
        (number.clone(), number.clone(), number.clone())
            .prop_map(|(to, add, remove)| Write::Members(to, add, remove)),
        number.prop_map(Write::Forget),
    ]
}

fn make(origin: &Origin, made: &mut Vec<i64>, write: &Write) {
    // First the items that the test created, then the catalogue's; both include packages.
    let items = |number: usize| {
        made.iter().rev().chain(&[5001, 5101, 5102, 5110, 5005, 5113]).nth(number).copied().unwrap()
    };
    let customer = |number: usize| CUSTOMERS[number % CUSTOMERS.len()];
    let path = |number: usize| format!("/v2/items/{}", items(number));
    match write {
        Write::Make(is_package) => {
            let kind = if *is_package { "package" } else { "jw_asset" };
            let item =
                origin.write("POST", "/v2/items", &format!("item_type={kind}&title=x")).expect(201).json();
            made.push(item["id"].as_i64().unwrap());
        }
        Write::Change(item) => drop(origin.write("PATCH", &path(*item), "title=y&metadata[a]=b")),
        Write::Delete(item) => drop(origin.write("DELETE", &path(*item), "")),
        Write::Grant(item, number) => {
            let (item, consumer) = (items(*item), customer(*number));
            let form = format!("item_id={item}&consumer_id={consumer}&expires_at=2100-01-01T00:00:00Z");
            drop(origin.write("POST", "/items/access", &form));
        }
        Write::Revoke(item, number) => {
            let path = format!("/items/{}/access?consumer_id={}", items(*item), customer(*number));
            drop(origin.write("DELETE", &path, ""));
        }
        Write::AddFee(item) => {
            let form = "access_type_id=101&amount=1&currency=EUR&description=x";
            drop(origin.write("POST", &format!("{}/access-fees", path(*item)), form));
        }
        Write::DeleteFee(item) => {
            let fees = origin.ask("GET", &format!("/items/{}/access-fees", items(*item))).send().json();
            if let Some(id) = fees[0]["id"].as_i64() {
                drop(origin.write("DELETE", &format!("{}/access-fees/{id}", path(*item)), ""));
            }
        }
        Write::Members(to, add, remove) => {
            let form = format!("add_asset_ids[]={}&remove_asset_ids[]={}", items(*add), items(*remove));
            drop(origin.write("PATCH", &format!("/v2/items/packages/{}/bulk", items(*to)), &form));
        }
        Write::Forget(number) => forget(origin, customer(*number)),
    }
}

/// Removes a customer; if it does not exist, adds it without accesses.
fn forget(origin: &Origin, id: i64) {
    let mut connection = origin.connection();
    let subject = format!("come-and-go-{id}");
    if !customers::remove(&mut connection, "vendor", &subject, origin.now()).unwrap() {
        customers::add(&mut connection, 2101, "vendor", &subject, origin.now()).unwrap();
    }
}

/// A follower's state: records by type and name.
type State = BTreeMap<String, Value>;

/// A customer's name consists of namespace and subject, as in tokens; the number is not part of it.
fn name(record: &Value) -> String {
    match record["type"].as_str() {
        Some("customer") => format!("customer/{}/{}", record["namespace"], record["subject"]),
        _ => format!("{}/{}", record["type"], record["id"]),
    }
}

fn exported(origin: &Origin) -> (u64, State) {
    let mut lines = origin.feed("/export").expect(200).lines();
    let snapshot = lines.remove(0);
    (snapshot["seq"].as_u64().unwrap(), lines.into_iter().map(|line| (name(&line), line)).collect())
}

/// The first state of a publisher that follows the origin.
fn published(origin: &Origin) -> Content {
    let export = origin.feed("/export").expect(200).text;
    let mut source = Source::new(origin.now(), Strictness::Refuse, SpillPlan::default());
    source.read("export", export.as_bytes()).unwrap();
    Content::built(source.build(None, &MemorySink::default()).unwrap().catalogue).unwrap()
}

#[test]
fn an_export_and_the_changes_after_it_give_the_next_export() {
    let origin = Origin::start();
    let mut made = Vec::new();
    let mut removed = 0;
    let mut runner = TestRunner::default();
    for _ in 0..12 {
        let writes = prop::collection::vec(write(), 1..30).new_tree(&mut runner).unwrap().current();
        let (mut seq, mut state) = exported(&origin);
        let mut content = published(&origin);
        for write in &writes {
            make(&origin, &mut made, write);
        }
        let feed = origin.feed(&format!("/changes?after={seq}")).expect(200);
        let changes: Vec<_> = feed.text.lines().map(|line| change::parse(line.as_bytes()).unwrap()).collect();
        for change in feed.lines() {
            seq += 1;
            assert_eq!(change["seq"], seq);
            for record in change["put"].as_array().unwrap() {
                state.insert(name(record), record.clone());
            }
            for record in change["remove"].as_array().unwrap() {
                // A customer who was added and removed within one answer never appears.
                removed += u32::from(state.remove(&name(record)).is_some());
            }
        }
        assert_eq!((seq, state), exported(&origin), "{writes:?}");
        // A publisher accepts every export.
        let export = origin.feed("/export").expect(200).text;
        let whole = build_ndjson(export.as_bytes(), origin.now()).unwrap();
        // A publisher that follows reaches the same state.
        content.apply(&changes, "feed", origin.now(), &mut Problems::default()).unwrap();
        assert_eq!(Digest::of(content.directory()), whole.directory, "{writes:?}");
    }
    assert!(removed > 0, "some customers went");
}
