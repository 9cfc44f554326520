//! `docs/publish-schema.md` names every field, its example is valid, and what it says of strictness is so.

#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use admit::snapshot::{
    build::{MemorySink, Outcome},
    schema::Line,
    source::{Source, SpillPlan, Strictness},
};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
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
            // Through the schema and back, so that fields that were left out are there too.
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

#[test]
fn the_example_of_the_reference_can_be_published() {
    let mut source = Source::new(1_800_000_000, Strictness::ReadOn, SpillPlan::default());
    source.read("example", example().as_bytes()).unwrap();
    let Outcome { built, problems, .. } = source.build(None, &MemorySink::default()).unwrap();
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

#[test]
fn lines_are_read_strictly() {
    let good = r#"{"type":"merchant","id":1,"uuid":"u","name":"n"}"#;
    assert!(serde_json::from_str::<Line>(good).is_ok());
    for bad in [
        r#"{"type":"merchant","id":1,"uuid":"u","name":"n","nmae":"n"}"#,
        r#"{"type":"merchant","id":1,"uuid":"u","uuid":"v"}"#,
        r#"{"type":"merchant","id":1,"uuid":"u","name":null}"#,
        r#"{"type":"merchant","id":1.0,"uuid":"u"}"#,
        r#"{"type":"merchant","uuid":"u"}"#,
        r#"{"type":"Merchant","id":1,"uuid":"u"}"#,
        r#"{"id":1,"uuid":"u"}"#,
    ] {
        assert!(serde_json::from_str::<Line>(bad).is_err(), "{bad}");
    }
}
