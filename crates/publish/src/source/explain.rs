//! Says which field of a line is wrong. The fast way of reading lines cannot; a line that failed is read
//! again, slowly.

use admit_snapshot::{
    number,
    schema::{AccessType, App, Customer, Item, License, Line, Merchant, Removal, SnapshotLine, read::Name},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    Problem,
    set_aside::{About, Kind},
    text,
};

/// The types of lines, as an error lists them.
const TYPES: &str = "snapshot, merchant, app, license, access_type, item or customer";

const MISSING: &str = "expected this field, it is missing";

/// A line that cannot be read.
pub(super) struct Explained {
    /// What is wrong with it.
    pub problem: Problem,
    /// Which record it is, as far as that can be read.
    pub about: About,
}

/// Explains why `bytes`, a line, gave `error`.
pub(super) fn explain(bytes: &[u8], error: &serde_json::Error) -> Explained {
    let mut line = match read_object(bytes) {
        Ok(line) => line,
        Err(problem) => return Explained { problem, about: About::default() },
    };
    let kind = match take_kind(&mut line, TYPES) {
        Ok(kind) => kind,
        Err(problem) => return Explained { problem, about: About::default() },
    };
    // Of a field that comes twice the map has one, and which one is meant would be chance.
    let is_doubtful = ["type", "id", "namespace", "subject"].iter().any(|field| is_twice(error, field));
    let about = if is_doubtful { About::kind_only(Kind::parse(&kind)) } else { about(&kind, &line) };
    let line = Value::Object(line);
    let explained = match kind.as_str() {
        "snapshot" => explain_as::<SnapshotLine>(line),
        _ => match explain_record(&kind, line) {
            Some(explained) => explained,
            None => return Explained { problem: unknown_kind(&kind, TYPES), about },
        },
    };
    // A field that comes twice is lost when the line is read into a map.
    Explained { problem: explained.unwrap_or_else(|| Problem::new("", without_place(error))), about }
}

fn is_twice(error: &serde_json::Error, field: &str) -> bool {
    without_place(error) == format!("duplicate field `{field}`")
}

/// The line with its text repaired, as far as that may be done; `None` if its text is not what is wrong with it.
pub(super) fn repair(line: &[u8]) -> Option<Result<Line, Explained>> {
    let line = text::repaired(line)?;
    let read = serde_json::from_slice::<Line>(&line);
    Some(read.map_err(|error| explain(&line, &error)).and_then(|record| {
        let checked = match serde_json::from_slice(&line) {
            Ok(value) => text::check_repaired(&value),
            Err(error) => Err(Problem::new("", without_place(&error))),
        };
        // A name that had to be repaired is not the record's name.
        let kind = record.name().and_then(|name| About::record(&name).kind());
        let about = |problem: &Problem| match problem.field.as_str() {
            "id" | "namespace" | "subject" => About::kind_only(kind),
            _ => record.name().map_or_else(|| About::kind_only(kind), |name| About::record(&name)),
        };
        checked.map_err(|problem| Explained { about: about(&problem), problem })?;
        Ok(record)
    }))
}

/// Says that text of a line was repaired.
pub(crate) fn repaired() -> Problem {
    Problem::new("", "text that is not Unicode was repaired: U+FFFD stands for what could not be read")
}

/// Which record an object is whose type is `kind`, as far as its fields say that.
pub(crate) fn about(kind: &str, fields: &Map<String, Value>) -> About {
    let Some(kind) = Kind::parse(kind) else { return About::default() };
    name(kind, fields).map_or_else(|| About::kind_only(Some(kind)), |name| About::record(&name))
}

/// The name that a value is.
pub(crate) fn name_of(value: &Value) -> Option<String> {
    Name::deserialize(value).ok().map(|Name(name)| name)
}

fn name(kind: Kind, fields: &Map<String, Value>) -> Option<Removal> {
    let number = || number::whole(fields.get("id")?);
    let text = |field: &str| name_of(fields.get(field)?);
    Some(match kind {
        Kind::Snapshot => return None,
        Kind::Merchant => Removal::Merchant { id: number()? },
        Kind::App => Removal::App { id: text("id")? },
        Kind::AccessType => Removal::AccessType { id: number()? },
        Kind::Item => Removal::Item { id: number()? },
        Kind::License => Removal::License { id: text("id")? },
        Kind::Customer => Removal::Customer { namespace: text("namespace")?, subject: text("subject")? },
    })
}

/// Reads `bytes`, a line, into a map.
pub(crate) fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Problem::new(
            "",
            format!("expected UTF-8 text, byte {} is none", error.valid_up_to() + 1),
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

/// Takes `type` out of `object`. `expected` lists the types that may stand there.
pub(crate) fn take_kind(object: &mut Map<String, Value>, expected: &str) -> Result<String, Problem> {
    match object.remove("type") {
        Some(Value::String(kind)) => Ok(kind),
        Some(_) | None => Err(Problem::new("type", format!("expected {expected}"))),
    }
}

/// Says that there is no such type.
pub(crate) fn unknown_kind(kind: &str, expected: &str) -> Problem {
    Problem::new("type", format!("expected {expected}, found {kind:?}"))
}

/// What is wrong with a record without its `type`, if anything is; `None` if there are no records of `kind`.
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

/// What is wrong with a value that should be a `T`, if anything is.
pub(crate) fn explain_as<T: DeserializeOwned>(line: Value) -> Option<Problem> {
    let error = serde_path_to_error::deserialize::<_, T>(line).err()?;
    let path = error.path().to_string();
    let path = if path == "." { "" } else { &path };
    let message = without_place(error.inner());
    // The path of a missing field is that of the object that lacks it.
    match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        Some(name) if path.is_empty() => Some(Problem::new(name, MISSING)),
        Some(name) => Some(Problem::new(format!("{path}.{name}"), MISSING)),
        None => Some(Problem::new(path, message)),
    }
}

/// The error's text without its place: every line is line 1 to the parser.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
