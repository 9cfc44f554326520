//! Says which field of a line is wrong. The fast way of reading lines cannot; a line that failed is read
//! again, slowly.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Problem;
use crate::snapshot::schema::{AccessType, App, Customer, Item, License, Merchant, SnapshotLine};

/// The types of lines, as an error lists them.
const TYPES: &str = "snapshot, merchant, app, license, access_type, item or customer";

const MISSING: &str = "expected this field, it is missing";

/// A line that cannot be read.
pub(super) struct Explained {
    /// What is wrong with it.
    pub problem: Problem,
    /// Its type and id, as far as they can be read.
    pub identity: Option<(String, String)>,
}

/// Explains why `bytes`, a line, gave `error`.
pub(super) fn explain(bytes: &[u8], error: &serde_json::Error) -> Explained {
    let unidentified =
        |field: &str, message: String| Explained { problem: Problem::new(field, message), identity: None };
    if let Err(error) = std::str::from_utf8(bytes) {
        return unidentified("", format!("expected UTF-8 text, byte {} is none", error.valid_up_to() + 1));
    }
    let mut line = match serde_json::from_slice(bytes) {
        Ok(Value::Object(line)) => line,
        Ok(_) => return unidentified("", "expected a JSON object".to_owned()),
        Err(error) => {
            let (message, column) = (without_place(&error), error.column());
            return unidentified("", format!("expected a JSON object; column {column}: {message}"));
        }
    };
    let kind = match line.remove("type") {
        Some(Value::String(kind)) => kind,
        Some(_) | None => return unidentified("type", format!("expected {TYPES}")),
    };
    let identity = match line.get("id") {
        Some(Value::String(id)) => Some((kind.clone(), id.to_ascii_lowercase())),
        Some(Value::Number(id)) => Some((kind.clone(), id.to_string())),
        _ => None,
    };
    let line = Value::Object(line);
    let explained = match kind.as_str() {
        "snapshot" => explain_as::<SnapshotLine>(line),
        "merchant" => explain_as::<Merchant>(line),
        "app" => explain_as::<App>(line),
        "license" => explain_as::<License>(line),
        "access_type" => explain_as::<AccessType>(line),
        "item" => explain_as::<Item>(line),
        "customer" => explain_as::<Customer>(line),
        _ => return unidentified("type", format!("expected {TYPES}, found {kind:?}")),
    };
    // A field that comes twice is lost when the line is read into a map.
    Explained { problem: explained.unwrap_or_else(|| Problem::new("", without_place(error))), identity }
}

fn explain_as<T: DeserializeOwned>(line: Value) -> Option<Problem> {
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
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
