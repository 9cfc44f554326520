//! `docs/publish-schema.json` and `docs/change-schema.json` match the code, and a validator with only these
//! files accepts and refuses the same lines as the reader.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use admit_publish::{
    build::MemorySink,
    change::parse,
    source::{Problems, Source, SpillPlan, Strictness},
};
use admit_snapshot::schema::json;
use jsonschema::Validator;
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn admit(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_admit")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A validator with the committed file.
fn validator(file: &str) -> Validator {
    let schema = serde_json::from_str(&fs::read_to_string(root().join(file)).unwrap()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn of_lines() -> Validator {
    validator("docs/publish-schema.json")
}

fn of_changes() -> Validator {
    validator("docs/change-schema.json")
}

/// The complete example of the reference: one line of each type.
fn example() -> Vec<Value> {
    let reference = fs::read_to_string(root().join("docs/publish-schema.md")).unwrap();
    let example = reference.split_once("```ndjson\n").unwrap().1.split_once("```").unwrap().0;
    example.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn samples() -> Vec<Value> {
    let files = fs::read_dir(root().join("samples/catalogue")).unwrap();
    let texts: Vec<_> = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The reader's errors: of each line alone, and of all lines together.
fn errors(lines: &[Value]) -> (Vec<String>, Vec<String>) {
    let texts: Vec<_> = lines.iter().map(Value::to_string).collect();
    let mut source = Source::new(NOW, Strictness::Refuse, SpillPlan::default());
    source.read("f", texts.join("\n").as_bytes()).unwrap();
    let errors = |problems: &Problems| problems.errors.kept().iter().map(ToString::to_string).collect();
    let alone = errors(&source.problems);
    (alone, errors(&source.build(None, &MemorySink::default()).unwrap().problems))
}

#[test]
fn the_committed_schemas_are_those_of_the_code() {
    for (file, schema, args) in [
        ("docs/publish-schema.json", json::lines(), &["schema"][..]),
        ("docs/change-schema.json", json::changes(), &["schema", "changes"]),
    ] {
        let printed = admit(args);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), schema.to_value(), "{args:?}");
        let committed = fs::read_to_string(root().join(file)).unwrap();
        assert!(committed == printed, "{file} is out of date: `admit {}` prints it", args.join(" "));
    }
}

#[test]
fn every_line_that_is_published_is_valid() {
    let validator = of_lines();
    let generated = admit(&["generate", "--customers", "300"]);
    let generated = generated.lines().map(|line| serde_json::from_str(line).unwrap());
    let all: Vec<Value> = samples().into_iter().chain(example()).chain(generated).collect();
    assert!(all.len() > 500, "{}", all.len());
    for line in &all {
        let errors: Vec<_> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
    // The same lines as changes.
    let (validator, changes) = (of_changes(), all.iter().filter(|line| line["type"] != "snapshot"));
    for (seq, record) in changes.enumerate() {
        let change = json!({ "seq": seq, "put": [record] });
        assert!(validator.is_valid(&change), "{change}");
    }
}

/// The example with `value` at `pointer` of its line of type `kind`, or with that member removed.
fn altered(kind: &str, pointer: &str, value: Option<Value>) -> (Vec<Value>, Value) {
    let mut lines = example();
    let line = lines.iter_mut().find(|line| line["type"] == kind).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = line.pointer_mut(parent).unwrap_or_else(|| panic!("{kind} has no {pointer}"));
    let place = parent.as_object_mut().unwrap();
    match value {
        Some(value) => place.insert(name.to_owned(), value),
        None => Some(place.remove(name).unwrap()),
    };
    let line = line.clone();
    (lines, line)
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = of_lines();
    let some = |value| Some(json!(value));
    let cases = [
        ("merchant", "/nmae", some("unknown field")),
        ("item", "/fees/0/expires", some("unknown field within")),
        ("customer", "/accesses/0/expired_at", some("unknown field within")),
        ("merchant", "/id", None),
        ("customer", "/accesses/0/created_at", None),
        ("item", "/fees/0/currency", None),
        ("snapshot", "/seq", Some(json!(-1))),
        ("merchant", "/id", some("21.0")),
        ("merchant", "/id", Some(json!(21.5))),
        ("merchant", "/id", Some(json!(u64::MAX))),
        ("merchant", "/name", Some(Value::Null)),
        ("merchant", "/uuid", some("e5ac2013")),
        ("item", "/is_active", some("yes")),
        ("item", "/fees", Some(json!({}))),
        ("item", "/fees/0/amount", some("4.99")),
        ("license", "/status", some("Live")),
        ("license", "/id", some("b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c1")),
        ("app", "/clients/0/mode", some("production")),
        ("app", "/clients/0/client_id", some("")),
        ("customer", "/licenses/0/status", some("active")),
        ("customer", "/licenses/0/license_id", some("KS001")),
        ("customer", "/licenses/0/interval_length", Some(json!(1_u64 << 32))),
        ("customer", "/licenses/0/interval_length", Some(json!(-1))),
        ("customer", "/subject", some("")),
        ("customer", "/subject", Some(json!("a".repeat(257)))),
        ("customer", "/subject", some("a\0")),
        ("customer", "/accesses/0/expires_at", some("tomorrow")),
        ("customer", "/accesses/0/expires_at", Some(json!(1_893_628_800_000_i64))),
        ("customer", "/accesses/0/expires_at", some("1893628800000")),
        ("customer", "/accesses/0/expires_at", Some(json!(i64::MIN))),
        ("customer", "/accesses/0/expires_at", some("2026-02-02T12:00:00")),
        ("customer", "/accesses/0/expires_at", some("2026-13-02T12:00:00Z")),
        ("customer", "/accesses/0/expires_at", some("2026-02-02T24:00:00Z")),
        ("customer", "/accesses/0/expires_at", some("now+1w")),
        ("customer", "/accesses/0/expires_at", some("now1d")),
        ("customer", "/accesses/0/expires_at", Some(json!(1.5))),
        ("item", "/id", Some(json!(0))),
        ("item", "/id", Some(json!(1_i64 << 53))),
        ("item", "/fees/0/id", Some(json!(-7))),
        ("item", "/fees/0/geo_restriction", Some(json!({ "id": 1, "type": "whitelist" }))),
        (
            "item",
            "/fees/0/geo_restriction",
            Some(json!({ "id": 1, "type": "whitelist", "country_iso": "CH", "country_set_id": 3 })),
        ),
        ("item", "/type", some("Item")),
        ("item", "/type", some("merchant")),
        ("item", "/type", None),
    ];
    for (kind, pointer, value) in cases {
        let place = format!("{kind}{pointer} = {value:?}");
        let (lines, line) = altered(kind, pointer, value);
        assert!(!errors(&lines).1.is_empty(), "the reader takes {place}");
        assert!(!validator.is_valid(&line), "the schema takes {place}");
    }
    let good = [
        ("merchant", "/id", some("21")),
        ("merchant", "/id", Some(json!(21.0))),
        ("merchant", "/id", some(" 021 ")),
        ("item", "/id", Some(json!(33.0))),
        ("item", "/id", some("33")),
        ("customer", "/accesses/0/item_id", Some(json!(33.0))),
        ("customer", "/licenses/0/interval_length", some("1")),
        ("customer", "/subject", Some(json!(88005))),
        ("customer", "/subject", Some(json!(88005.0))),
        ("customer", "/namespace", Some(json!(7))),
        ("app", "/clients/0/client_id", Some(json!(7))),
        ("customer", "/accesses/0/expires_at", some("2026-02-02t12:00:00.123456+05:30")),
        ("customer", "/accesses/0/expires_at", some("now")),
        ("customer", "/accesses/0/expires_at", some("now-90m")),
        ("customer", "/accesses/0/expires_at", some("2026-02-02")),
        ("customer", "/accesses/0/expires_at", some("2026-02-02 12:00 +0530")),
        ("customer", "/accesses/0/expires_at", some("1893628800")),
        ("customer", "/accesses/0/expires_at", Some(json!(-62_135_596_800_i64))),
        ("customer", "/accesses/0/expires_at", Some(json!(253_402_300_799_i64))),
        ("customer", "/accesses/0/expires_at", Some(Value::Null)),
        ("customer", "/licenses/0/license_id", some("{B90831A7-2F6D-4C3E-8A41-0D5E7F9B6C12}")),
        ("customer", "/licenses/0/license_id", some("b90831a72f6d4c3e8a410d5e7f9b6c12")),
        ("customer", "/licenses/0/license_id", some("urn:uuid:b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12")),
        ("customer", "/licenses", None),
        ("customer", "/subject", Some(json!("\u{e9}".repeat(128)))),
        ("license", "/price_tier", Some(json!({ "any": ["thing", 1] }))),
        (
            "item",
            "/fees/0/geo_restriction",
            Some(json!({ "id": 1, "type": "whitelist", "country_iso": Value::Null, "country_set_id": 3 })),
        ),
    ];
    for (kind, pointer, value) in good {
        let place = format!("{kind}{pointer} = {value:?}");
        let (lines, line) = altered(kind, pointer, value);
        assert_eq!(errors(&lines).1, [""; 0], "{place}");
        assert!(validator.is_valid(&line), "the schema refuses {place}");
    }
}

/// The pointers to all values within `value`.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointers(value, &format!("{at}/{name}"), all);
            }
        }
        Value::Array(values) => {
            for (position, value) in values.iter().enumerate() {
                pointers(value, &format!("{at}/{position}"), all);
            }
        }
        _ => {}
    }
}

/// Variants of `line`: many slightly wrong ones, and some that are valid in another form.
fn variants(line: &Value) -> Vec<Value> {
    let mut places = Vec::new();
    pointers(line, "", &mut places);
    let mut all = Vec::new();
    for place in &places {
        let mut put = |value: Value| {
            let mut variant = line.clone();
            *variant.pointer_mut(place).unwrap() = value;
            all.push(variant);
        };
        for value in [
            json!(null),
            json!(true),
            json!(-1),
            json!(7),
            json!(1.5),
            json!(u64::MAX),
            json!(""),
            json!("text"),
            json!("now"),
            json!([]),
            json!(["text"]),
            json!({}),
        ] {
            put(value);
        }
        let mut variant = line.clone();
        if let Some(fields) = variant.pointer_mut(place).unwrap().as_object_mut() {
            fields.insert("unheard_of".to_owned(), json!(1));
            all.push(variant.clone());
            for name in fields_of(line, place) {
                let mut variant = line.clone();
                variant.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(&name);
                all.push(variant);
            }
        }
    }
    all
}

fn fields_of(line: &Value, place: &str) -> Vec<String> {
    line.pointer(place).unwrap().as_object().unwrap().keys().cloned().collect()
}

/// Every field of every type, removed, and with values of other types: thousands of lines on which reader and
/// schema must agree.
#[test]
fn reader_and_schema_agree_on_thousands_of_variants() {
    let (lines, changes) = (of_lines(), of_changes());
    let example = example();
    let (mut taken, mut refused) = (0, 0);
    for (position, line) in example.iter().enumerate() {
        for variant in variants(line) {
            let is_valid = lines.is_valid(&variant);
            let mut all = example.clone();
            all[position] = variant.clone();
            let (alone, together) = errors(&all);
            // Errors of a single line are found by the schema too, and it finds no others.
            assert!(alone.is_empty() || !is_valid, "the schema takes {variant}: {alone:?}");
            assert!(!together.is_empty() || is_valid, "the schema refuses {variant}");
            let change = json!({ "seq": 1, "put": [variant] });
            if parse(change.to_string().as_bytes()).is_err() {
                assert!(!changes.is_valid(&change), "the schema takes {change}");
            }
            *(if is_valid { &mut taken } else { &mut refused }) += 1;
        }
    }
    assert!(taken > 150 && refused > 1_000, "{taken} taken, {refused} refused");
}

#[test]
fn reader_and_schema_agree_on_changes() {
    let validator = of_changes();
    let change = json!({
        "seq": 9,
        "as_of": 1_700_000_000,
        "put": [{ "type": "merchant", "id": 21, "uuid": "e5ac2013-8d10-42ba-abb5-291c5201cea8", "name": "n" }],
        "remove": [
            { "type": "customer", "namespace": "vendor", "subject": "u1" },
            { "type": "item", "id": 7 },
            { "type": "merchant", "id": 22 },
            { "type": "app", "id": "a" },
            { "type": "license", "id": "b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12" },
            { "type": "access_type", "id": 7 },
        ],
    });
    assert!(validator.is_valid(&change) && parse(change.to_string().as_bytes()).is_ok());
    let variants = variants(&change);
    for variant in &variants {
        let read = parse(variant.to_string().as_bytes());
        assert_eq!(validator.is_valid(variant), read.is_ok(), "{variant}: {read:?}");
    }
    assert!(variants.len() > 300, "{}", variants.len());
}
