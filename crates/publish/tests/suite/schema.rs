//! `docs/publish-schema.md` names every field, its example is valid, and its rules of strictness hold.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use admit_publish::{
    build::{BuildOutcome, MemorySink},
    change::{Feed, parse},
    source::{Source, SpillPlan, Strictness},
};
use admit_snapshot::schema::{Change, Line};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn reference() -> String {
    fs::read_to_string(root().join("docs/publish-schema.md")).unwrap()
}

#[test]
fn the_reference_names_every_field() {
    fn names(value: &Value, all: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| *name != "type") {
                    all.insert(name.clone());
                    if name != "price_tier" {
                        names(value, all);
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| names(value, all)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    for file in fs::read_dir(root().join("samples/catalogue")).unwrap() {
        for json in fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            // Parsed and written again, so that fields that the example omits are named too.
            let line: Line = serde_json::from_str(json).unwrap();
            names(&serde_json::to_value(&line).unwrap(), &mut all);
        }
    }
    assert!(all.contains("price_tier") && all.contains("min_age") && all.len() > 50);
    let reference = reference();
    for name in all {
        let is_named = [format!("`{name}`"), format!(".{name}`")].iter().any(|text| reference.contains(text));
        assert!(is_named, "docs/publish-schema.md does not name {name}");
    }
}

/// The complete example of the reference.
fn example() -> String {
    let reference = reference();
    let (_, after) = reference.split_once("```ndjson\n").unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

/// The result of publishing lines.
fn published(ndjson: &str) -> BuildOutcome {
    let mut source = Source::new(1_800_000_000, Strictness::Refuse, SpillPlan::default());
    source.read("example", ndjson.as_bytes()).unwrap();
    source.build(None, &MemorySink::default()).unwrap()
}

#[test]
fn the_example_of_the_reference_can_be_published() {
    let BuildOutcome { built, problems, .. } = published(&example());
    assert!(problems.warnings.is_empty(), "{problems:?}");
    let built = built.unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!((built.customers, built.items), (1, 2));
}

#[test]
fn the_example_of_the_reference_is_valid() {
    let example = example();
    let mut types = BTreeSet::new();
    for json in example.lines() {
        serde_json::from_str::<Line>(json).unwrap_or_else(|error| panic!("{error}: {json}"));
        types.insert(serde_json::from_str::<Value>(json).unwrap()["type"].to_string());
    }
    assert_eq!(types.len(), 7, "a line of every type: {types:?}");
}

/// The part of the reference on change feeds, and the changes of its example.
fn feed_of_the_reference() -> (String, Vec<Change>) {
    let reference = reference();
    let (_, feed) = reference.split_once("\n## Change feed\n").unwrap();
    let feed = feed.split_once("\n## ").unwrap().0;
    let example = feed.split_once("```ndjson\n").unwrap().1.split_once("```").unwrap().0;
    let mut changes = Feed::new("example", example.as_bytes());
    let mut read = Vec::new();
    while let Some(change) = changes.next_change().unwrap() {
        read.push(change.unwrap());
    }
    (feed.to_owned(), read)
}

/// Reads the changes as a publish file after the example's own lines; each record replaces the one with its name.
#[test]
fn the_changes_of_the_reference_follow_its_example() {
    let (_, changes) = feed_of_the_reference();
    let mut records = Vec::new();
    let mut seq = 0;
    for json in example().lines() {
        match serde_json::from_str::<Line>(json).unwrap() {
            Line::Snapshot(line) => seq = line.seq,
            _ => records.push(serde_json::from_str(json).unwrap()),
        }
    }
    for change in changes {
        seq += 1;
        assert_eq!(change.seq, seq);
        for record in change.put {
            records.retain(|old: &admit_snapshot::schema::Record| old.name() != record.name());
            records.push(record);
        }
        for name in change.remove {
            records.retain(|old| old.name() != name);
        }
        let text: Vec<_> = records
            .iter()
            .map(|record| serde_json::to_string(&Line::from(record.clone())).unwrap())
            .collect();
        let outcome = published(&text.join(
            "
",
        ));
        assert!(outcome.built.is_some() && outcome.problems.warnings.is_empty(), "{:?}", outcome.problems);
    }
    assert_eq!(seq, 5);
    assert_eq!(records.len(), 8, "a film more than at first");
}

#[test]
fn the_reference_names_the_fields_of_changes_and_every_removal() {
    let (feed, changes) = feed_of_the_reference();
    for name in ["seq", "as_of", "put", "remove"] {
        assert!(feed.contains(&format!("\n| `{name}` |")), "{name}");
        let all = serde_json::to_value(&changes).unwrap().to_string();
        assert!(all.contains(&format!("\"{name}\"")), "the example has no {name}");
    }
    let rows = feed.lines().filter_map(|line| line.split_once("| `{\"type\"")?.1.split_once("` |"));
    let mut kinds = BTreeSet::new();
    for (removal, _) in rows {
        let line = format!("{{\"seq\":1,\"remove\":[{{\"type\"{removal}]}}");
        let change = parse(line.as_bytes()).unwrap_or_else(|problem| panic!("{line}: {problem:?}"));
        kinds.insert(format!("{:?}", std::mem::discriminant(&change.remove[0])));
    }
    assert_eq!(kinds.len(), 6);
}

#[test]
fn lines_are_read_strictly() {
    let good = r#"{"type":"merchant","id":1,"uuid":"u","name":"n"}"#;
    assert!(serde_json::from_str::<Line>(good).is_ok());
    for bad in [
        r#"{"type":"merchant","id":1,"uuid":"u","name":"n","nmae":"n"}"#,
        r#"{"type":"merchant","id":1,"uuid":"u","uuid":"v"}"#,
        r#"{"type":"merchant","id":1,"uuid":"u","name":null}"#,
        r#"{"type":"merchant","id":1.5,"uuid":"u"}"#,
        r#"{"type":"merchant","uuid":"u"}"#,
        r#"{"type":"Merchant","id":1,"uuid":"u"}"#,
        r#"{"id":1,"uuid":"u"}"#,
    ] {
        assert!(serde_json::from_str::<Line>(bad).is_err(), "{bad}");
    }
}
