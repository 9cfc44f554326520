//! Finds out which field of a line is wrong. The fast parser cannot tell, so a failed line is parsed again,
//! slowly.

use admit_snapshot::{
    number,
    schema::{AccessType, App, Customer, Item, License, Line, Merchant, Removal, SnapshotLine, read::Name},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Problem,
    set_aside::{About, RecordKind},
    text,
};

/// The types of lines, as errors list them.
const TYPES: &str = "snapshot, merchant, app, license, access_type, item or customer";

const MISSING: &str = "expected this field, but it is missing";

/// A line that cannot be read.
pub(super) struct Explained {
    /// The problem with the line.
    pub problem: Problem,
    /// The record that it concerns, as far as that can be read.
    pub about: About,
}

/// Explains why the line `bytes` gave `error`.
pub(super) fn explain(bytes: &[u8], error: &serde_json::Error) -> Explained {
    let mut line = match read_object(bytes) {
        Ok(line) => line,
        Err(problem) => return Explained { problem, about: About::default() },
    };
    let kind = match take_kind(&mut line, TYPES) {
        Ok(kind) => kind,
        Err(problem) => return Explained { problem, about: About::default() },
    };
    // If a name occurs twice, the map holds only one of the two, and the other could be meant.
    let is_doubtful = ["type", "id", "namespace", "subject"].iter().any(|field| is_twice(error, field));
    let about = if is_doubtful { About::kind_only(RecordKind::parse(&kind)) } else { about(&kind, &line) };
    let line = Value::Object(line);
    let explained = match kind.as_str() {
        "snapshot" => explain_as::<SnapshotLine>(line),
        _ => match explain_record(&kind, line) {
            Some(explained) => explained,
            None => return Explained { problem: unknown_kind(&kind, TYPES), about },
        },
    };
    // A repeated field is lost when the line is read into a map; serde's message names it.
    Explained { problem: explained.unwrap_or_else(|| Problem::new("", without_place(error))), about }
}

fn is_twice(error: &serde_json::Error, field: &str) -> bool {
    without_place(error) == format!("duplicate field `{field}`")
}

/// Repairs the text of a line as far as allowed and parses it. `None` if the text needs no repair.
pub(super) fn repair(line: &[u8]) -> Option<Result<Line, Explained>> {
    let line = text::repaired(line)?;
    let read = serde_json::from_slice::<Line>(&line);
    Some(read.map_err(|error| explain(&line, &error)).and_then(|record| {
        let checked = match serde_json::from_slice(&line) {
            Ok(value) => text::check_repaired(&value),
            Err(error) => Err(Problem::new("", without_place(&error))),
        };
        // A name with repaired text does not identify the record.
        let kind = record.name().and_then(|name| About::record(&name).kind());
        let about = |problem: &Problem| match problem.field.as_str() {
            "id" | "namespace" | "subject" => About::kind_only(kind),
            _ => record.name().map_or_else(|| About::kind_only(kind), |name| About::record(&name)),
        };
        checked.map_err(|problem| Explained { about: about(&problem), problem })?;
        Ok(record)
    }))
}

/// The warning that the text of a line was repaired.
pub(crate) fn repaired() -> Problem {
    Problem::new("", "invalid Unicode was repaired: U+FFFD stands for unreadable characters")
}

/// The record that an object of type `kind` concerns, as far as its fields tell.
pub(crate) fn about(kind: &str, fields: &Map<String, Value>) -> About {
    let Some(kind) = RecordKind::parse(kind) else { return About::default() };
    name(kind, fields).map_or_else(|| About::kind_only(Some(kind)), |name| About::record(&name))
}

/// The name in a value, if it is one.
pub(crate) fn name_of(value: &Value) -> Option<String> {
    Name::deserialize(value).ok().map(|Name(name)| name)
}

fn name(kind: RecordKind, fields: &Map<String, Value>) -> Option<Removal> {
    let number = || number::whole(fields.get("id")?);
    let text = |field: &str| name_of(fields.get(field)?);
    Some(match kind {
        RecordKind::Snapshot => return None,
        RecordKind::Merchant => Removal::Merchant { id: number()? },
        RecordKind::App => Removal::App { id: text("id")? },
        RecordKind::AccessType => Removal::AccessType { id: number()? },
        RecordKind::Item => Removal::Item { id: number()? },
        RecordKind::License => Removal::License { id: text("id")? },
        RecordKind::Customer => {
            Removal::Customer { namespace: text("namespace")?, subject: text("subject")? }
        }
    })
}

/// Parses the line `bytes` into a map.
pub(crate) fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Problem::new(
            "",
            format!("expected UTF-8 text, byte {} is invalid", error.valid_up_to() + 1),
        ));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::new("", "expected a JSON object")),
        Err(error) => {
            let (message, column) = (without_place(&error), error.column());
            Err(Problem::new("", format!("expected a JSON object; column {column}: {message}")))
        }
    }
}

/// Removes `type` from `object`. `expected` lists the allowed types for the error.
pub(crate) fn take_kind(object: &mut Map<String, Value>, expected: &str) -> Result<String, Problem> {
    match object.remove("type") {
        Some(Value::String(kind)) => Ok(kind),
        Some(_) | None => Err(Problem::new("type", format!("expected {expected}"))),
    }
}

/// The problem of an unknown type.
pub(crate) fn unknown_kind(kind: &str, expected: &str) -> Problem {
    Problem::new("type", format!("expected {expected}, found {kind:?}"))
}

/// Explains the problem with a record without its `type`, if it has one. `None` if `kind` is unknown.
pub(crate) fn explain_record(kind: &str, record: Value) -> Option<Option<Problem>> {
    Some(match kind {
        "merchant" => explain_as::<Merchant>(record),
        "app" => explain_as::<App>(record),
        "license" => explain_as::<License>(record),
        "access_type" => explain_as::<AccessType>(record),
        "item" => explain_as::<Item>(record),
        "customer" => explain_as::<Customer>(record),
        _ => return None,
    })
}

/// Explains why a value is not a valid `T`, if so.
pub(crate) fn explain_as<T: DeserializeOwned>(line: Value) -> Option<Problem> {
    let error = serde_path_to_error::deserialize::<_, T>(line).err()?;
    let path = error.path().to_string();
    let path = if path == "." { "" } else { &path };
    let message = without_place(error.inner());
    // For a missing field, serde gives the path of the object that lacks it.
    match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        Some(name) if path.is_empty() => Some(Problem::new(name, MISSING)),
        Some(name) => Some(Problem::new(format!("{path}.{name}"), MISSING)),
        None => Some(Problem::new(path, message)),
    }
}

/// The text of an error without its place: for the parser, each line is line 1.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
