//! The publish schema and the change feed as JSON Schema (draft 2020-12), generated from the types that read
//! them: `docs/publish-schema.json` and `docs/change-schema.json`.
//!
//! What the types leave to later checks of a single line, such as the form of a UUID, is added here as far as
//! JSON Schema can say it.

use std::borrow::Cow;

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema, transform::RecursiveTransform,
};
use serde_json::{Value, json};

use super::{Change, Line};
use crate::{
    instant::{EARLIEST, LATEST},
    limits::{CUSTOMER_MAX_BYTES, EXTERNAL_ID_MAX_BYTES},
    time::{Timestamp, ZonedTime},
};

/// The schema of a line of a publish file.
#[must_use]
pub fn lines() -> Schema {
    generate::<Line>("One line of a publish file of Admit: docs/publish-schema.md")
}

/// The schema of a line of a change feed.
#[must_use]
pub fn changes() -> Schema {
    generate::<Change>("One line of a change feed of Admit: docs/publish-schema.md")
}

fn generate<T: JsonSchema>(title: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(bound_integers));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema
}

/// Replaces the `format` of an integer, which the draft lacks, by its range, and allows the integer in
/// quotes.
fn bound_integers(schema: &mut Schema) {
    let (minimum, maximum, digits) = match schema.get("format").and_then(|format| format.as_str()) {
        Some("int64") => (json!(i64::MIN), json!(i64::MAX), "-?0*[0-9]{1,19}"),
        Some("uint32") => (json!(0), json!(u32::MAX), "0*[0-9]{1,10}"),
        Some("uint64") => (json!(0), json!(u64::MAX), "0*[0-9]{1,19}"),
        _ => return,
    };
    let schema = schema.ensure_object();
    schema.remove("format");
    let is_nullable = schema.remove("type").is_some_and(|kind| kind.is_array());
    let minimum = schema.remove("minimum").unwrap_or(minimum);
    let maximum = schema.remove("maximum").unwrap_or(maximum);
    let mut spellings = spellings(&minimum, &maximum, digits);
    if is_nullable {
        spellings.push(json!({ "type": "null" }));
    }
    schema.insert("anyOf".to_owned(), spellings.into());
}

/// A whole number, plain or in quotes.
fn spellings(minimum: &Value, maximum: &Value, digits: &str) -> Vec<Value> {
    vec![
        json!({ "type": "integer", "minimum": minimum, "maximum": maximum }),
        json!({ "type": "string", "pattern": format!("^[ \\t\\n\\f\\r]*{digits}[ \\t\\n\\f\\r]*$") }),
    ]
}

/// A number in place of a name; its digits are the name.
fn name_as_number() -> Value {
    json!({ "type": "integer", "minimum": i64::MIN, "maximum": u64::MAX })
}

/// Text that names something, or a whole number.
pub(super) struct Name;

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, name_as_number()] })
    }
}

/// As [`Name`], but not empty.
pub(super) struct ClientName;

impl JsonSchema for ClientName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClientName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string", "minLength": 1 }, name_as_number()] })
    }
}

/// Exactly one of the two selectors of a geo restriction is set.
pub(super) fn one_selector(schema: &mut Schema) {
    let set =
        |field: &str| json!({ "required": [field], "properties": { field: { "not": { "type": "null" } } } });
    schema.insert("oneOf".to_owned(), json!([set("country_iso"), set("country_set_id")]));
}

/// A number that clients use in paths.
pub(super) struct PathId;

impl JsonSchema for PathId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PathId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let digits = "0*[1-9][0-9]{0,15}";
        json_schema!({ "anyOf": spellings(&json!(1), &json!((1_i64 << 53) - 1), digits) })
    }
}

/// The text of a UUID.
pub(super) struct UuidText;

impl JsonSchema for UuidText {
    fn schema_name() -> Cow<'static, str> {
        "Uuid".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        const HYPHENS: &str = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
        json_schema!({
            "description": "A UUID, in either case, with hyphens or without.",
            "type": "string",
            "pattern": format!("^((urn:uuid:)?{HYPHENS}|\\{{{HYPHENS}\\}}|[0-9A-Fa-f]{{32}})$"),
        })
    }
}

/// Namespace or subject of a customer.
pub(super) struct NamePart;

impl JsonSchema for NamePart {
    fn schema_name() -> Cow<'static, str> {
        "NamePart".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description":
                format!("1 to {CUSTOMER_MAX_BYTES} bytes of UTF-8, none of them zero; `maxLength` counts characters."),
            "anyOf": [
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": CUSTOMER_MAX_BYTES,
                    "pattern": "^[^\\u0000]*$",
                },
                name_as_number(),
            ],
        })
    }
}

/// An external id of an item. Empty text stands for none.
pub(super) struct ExternalId;

impl JsonSchema for ExternalId {
    fn schema_name() -> Cow<'static, str> {
        "ExternalId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": format!("At most {EXTERNAL_ID_MAX_BYTES} bytes of UTF-8; `maxLength` counts characters."),
            "anyOf": [{ "type": "string", "maxLength": EXTERNAL_ID_MAX_BYTES }, name_as_number()],
        })
    }
}

/// The spellings of a moment that [`instant`](crate::instant) reads.
fn moment(description: &str) -> Schema {
    const DATE: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
    const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.,][0-9]+)?)?";
    const OFFSET: &str = " *([Zz]|[Uu][Tt][Cc]|[Gg][Mm][Tt]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)";
    json_schema!({
        "description": description,
        "anyOf": [
            {
                "description": "Unix seconds.",
                "type": "integer",
                "minimum": EARLIEST,
                "maximum": LATEST,
            },
            {
                "description": "Unix seconds in quotes.",
                "type": "string",
                "pattern": "^-?[0-9]{1,12}$",
            },
            {
                "description":
                    "RFC 3339, such as 2026-01-31T12:00:00Z. Fractions of a second are dropped; a date alone is midnight UTC.",
                "type": "string",
                "pattern": format!("^{DATE}([Tt ]{TIME}{OFFSET})?$"),
            },
            {
                "description": "Relative to publishing, such as now, now+1d, now-90m: s, m, h or d.",
                "type": "string",
                "pattern": "^now([+-][0-9]{1,14}[smhd])?$",
            },
        ],
    })
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        moment("A moment.")
    }
}

impl JsonSchema for ZonedTime {
    fn schema_name() -> Cow<'static, str> {
        "ZonedTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        moment("A moment in the years 1 to 9999 that keeps the UTC offset it was written with.")
    }
}
