//! A record that is too large is set aside, whatever made it so, and everything else is published.

use std::collections::BTreeSet;

use admit_snapshot::{
    limits::{ACCESS_TYPE_MAX_BYTES, OBJECT_MAX_BYTES},
    schema::Line,
};

use super::*;
use crate::build::build_part;

#[test]
fn a_record_that_is_too_large_is_set_aside() {
    let case = Case::new();
    let outcome = case.with(
        |line| is("item", 1)(line) || is("customer", 1)(line),
        |line| {
            if line["type"] == "item" {
                line["content"] = json!("x".repeat(3 << 20));
            } else {
                let accesses = (0..400_000).map(|id| json!({"id": id, "item_id": 1, "created_at": 5}));
                line["accesses"] = accesses.collect();
            }
        },
    );
    assert_eq!((outcome.catalogue.set_aside.total(), outcome.catalogue.set_aside.last_good()), (2, 2));
    // With more shards, too: the length of the sent record counts.
    let records = |built, tree| case.store.published(built).records(tree, 0, 0).unwrap();
    let built = outcome.built.unwrap();
    for tree in [Tree::Customers, Tree::Items] {
        assert_eq!(records(&built, tree), records(&case.before, tree));
    }
}

fn about(outcome: &BuildOutcome) -> Vec<String> {
    outcome.problems.errors.kept().iter().map(|error| error.about.to_string()).collect()
}

/// A licence of the app `a` whose description has this number of bytes.
fn long_license(number: usize, bytes: usize) -> Value {
    let mut license = license(&[]);
    license["id"] = json!(format!("b90831a7-2f6d-4c3e-8a41-{number:012}"));
    license["description"] = json!("x".repeat(bytes));
    license
}

#[test]
fn a_record_of_any_type_that_is_too_large_goes_on_as_it_was() {
    let case = Case::new();
    for (kind, field) in [("access_type", "name"), ("license", "description"), ("app", "plan_id")] {
        let wrong = json!("x".repeat(21 << 17));
        let outcome = case.with(|line| line["type"] == kind, |line| line[field] = wrong.clone());
        let set_aside = &outcome.catalogue.set_aside;
        assert_eq!((set_aside.total(), set_aside.last_good()), (1, 1), "{kind}");
        let built = outcome.built.unwrap();
        let before = (case.before.index, case.before.directory);
        assert_eq!((built.index, built.directory), before, "{kind}");
    }
}

#[test]
fn an_access_type_that_makes_an_item_too_large_goes_on_as_it_was() {
    let mut lines = business();
    let fee = item(3, &[])["fees"][0].clone();
    let fees = (1..=200).map(|id| {
        let mut fee = fee.clone();
        fee["id"] = json!(id);
        fee
    });
    lines
        .iter_mut()
        .filter(|line| is("item", 3)(line))
        .for_each(|line| line["fees"] = fees.clone().collect());
    let store = Store::default();
    let before = build(&store, None, &text(&lines)).built.unwrap();
    let publish = |lines: &[Value]| build(&store, Some(&store.published(&before)), &text(lines));
    let long = json!("x".repeat(ACCESS_TYPE_MAX_BYTES - 512));
    lines.iter_mut().filter(|line| is("access_type", 1)(line)).for_each(|line| line["name"] = long.clone());
    let outcome = publish(&lines);
    assert_eq!(about(&outcome), ["access_type 1"]);
    assert_eq!(outcome.catalogue.set_aside.last_good(), 1);
    assert_eq!(outcome.built.unwrap().index, before.index);
    // An item that has changed as well is replaced first, which does not help here.
    lines.iter_mut().filter(|line| is("item", 3)(line)).for_each(|line| line["title"] = json!("new"));
    let outcome = publish(&lines);
    assert_eq!(about(&outcome), ["access_type 1", "item 3"]);
    assert_eq!(outcome.built.unwrap().index, before.index);
}

/// A state that an older release without the bound has published.
#[test]
fn an_item_with_an_oversized_last_good_state_is_left_out() {
    let mut lines = business();
    lines.iter_mut().filter(|line| is("item", 3)(line)).for_each(|line| {
        line["content"] = json!("x".repeat(3 << 20));
    });
    let part = lines.iter().map(|line| serde_json::from_value::<Line>(line.clone()).unwrap());
    let Built { objects, index, directory, customers, items } = build_part(part, NOW).unwrap();
    let store = Store::default();
    for (name, object) in objects {
        store.store(name, object).unwrap();
    }
    let before = Built { objects: Vec::new(), index, directory, customers, items };
    let outcome = build(&store, Some(&store.published(&before)), &text(&lines));
    assert_eq!(about(&outcome), ["item 3"]);
    let set_aside = &outcome.catalogue.set_aside;
    assert_eq!((set_aside.total(), set_aside.last_good(), set_aside.dependents()), (1, 0, 1));
    let built = outcome.built.unwrap();
    assert_eq!((built.customers, built.items), (100, 4));
}

#[test]
fn an_oversized_directory_loses_as_few_records_as_needed() {
    let case = Case::new();
    let lines = |sizes: &[usize]| {
        let more = sizes.iter().enumerate().map(|(number, bytes)| long_license(number, *bytes));
        text(&business().into_iter().chain(more).collect::<Vec<_>>())
    };
    // Some 560 of these licences are 8 MiB.
    let sizes: Vec<_> = (1..=580).map(|number| 14_000 + number).collect();
    let outcome = case.publish(&lines(&sizes));
    // The licences that have grown most; one less would not be enough.
    let count = about(&outcome).len();
    let last = (sizes.len() - count..sizes.len())
        .map(|number| format!("license b90831a7-2f6d-4c3e-8a41-{number:012}"));
    assert_eq!(about(&outcome).into_iter().collect::<BTreeSet<_>>(), last.collect());
    assert_eq!(outcome.catalogue.licenses.len(), 1 + sizes.len() - count);
    let built = outcome.built.unwrap();
    assert_eq!((built.index, built.customers), (case.before.index, 100));
    let bytes = case.store.0.lock().unwrap()
        [&ObjectName { kind: ObjectKind::Directory, digest: built.directory }]
        .len();
    assert!((OBJECT_MAX_BYTES - 30_000..=OBJECT_MAX_BYTES).contains(&bytes), "{bytes}");
    // Without published states to fall back on, the same records are left out.
    let first = build(&Store::default(), None, &lines(&sizes));
    assert_eq!(first.built.unwrap().directory, built.directory);
}

#[test]
fn a_strict_publish_says_which_item_is_too_large() {
    let mut lines = business();
    lines.iter_mut().filter(|line| is("item", 3)(line)).for_each(|line| {
        line["content"] = json!("x".repeat(3 << 20));
    });
    let mut source = Source::new(NOW, Strictness::Refuse, SpillPlan::default());
    source.read("f", text(&lines).as_slice()).unwrap();
    let outcome = source.build(None, &Store::default()).unwrap();
    assert!(outcome.built.is_none());
    assert_eq!(about(&outcome), ["item 3"]);
}
