//! Reads a change feed: lines of [`Change`], one for each change that the origin committed.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
    sync::Arc,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    schema::{Change, Customer, Merchant, Record, Removal},
    source::{
        LINE_MAX_BYTES, LineError, Location, Problem, customer_key,
        explain::{explain_as, explain_record, read_object, take_kind, unknown_kind, without_place},
        parse_uuid,
    },
};

/// The types of records, as an error lists them.
const TYPES: &str = "merchant, app, license, access_type, item or customer";

/// U+FEFF in UTF-8, which some editors put before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads one line of a feed and checks what it alone can show; references are to what was published.
///
/// # Errors
/// When it is no change, or names a record twice; the problem says which field, and what was expected.
pub fn parse(line: &[u8]) -> Result<Change, Problem> {
    let change: Change = serde_json::from_slice(line).map_err(|error| explain(line, &error))?;
    check(&change)?;
    Ok(change)
}

/// The changes of a feed, in the order of its lines.
#[derive(Debug)]
pub struct Feed<R> {
    reader: R,
    at: Location,
    bytes: Vec<u8>,
}

impl<R: BufRead> Feed<R> {
    /// Reads from `reader`; errors name it `name`.
    pub fn new(name: &str, reader: R) -> Self {
        Self { reader, at: Location { file: Arc::from(name), line: 0 }, bytes: Vec::new() }
    }

    /// The next change, or what is wrong with its line; `None` at the end. Blank lines are passed over. A
    /// last line that breaks off is not a change: the origin was interrupted, and sends it again.
    ///
    /// # Errors
    /// When the feed cannot be read on.
    pub fn next_change(&mut self) -> io::Result<Option<Result<Change, LineError>>> {
        loop {
            self.bytes.clear();
            // One byte more than is allowed, to tell a line that is too long from one that just fits.
            let mut limited = self.reader.by_ref().take(LINE_MAX_BYTES as u64 + 1);
            if limited.read_until(b'\n', &mut self.bytes)? == 0 {
                return Ok(None);
            }
            self.at.line += 1;
            let is_ended = self.bytes.last() == Some(&b'\n');
            let outcome = if self.bytes.len() > LINE_MAX_BYTES && !is_ended {
                self.reader.skip_until(b'\n')?;
                Err(Problem::new("", format!("expected at most {LINE_MAX_BYTES} bytes in a line")))
            } else if self.at.line == 1 && self.bytes.starts_with(BYTE_ORDER_MARK) {
                Err(Problem::new("", "expected UTF-8 without a byte order mark"))
            } else if self.bytes.trim_ascii().is_empty() {
                continue;
            } else if !is_ended && is_cut(&self.bytes) {
                return Ok(None);
            } else {
                parse(&self.bytes)
            };
            return Ok(Some(outcome.map_err(|problem| LineError { at: self.at.clone(), problem })));
        }
    }
}

/// Whether a line breaks off. An object ends with its last brace, so nothing shorter is one.
fn is_cut(line: &[u8]) -> bool {
    match std::str::from_utf8(line) {
        // Not `IgnoredAny`, which takes the sign of a number that breaks off for a wrong one.
        Ok(text) => serde_json::from_str::<Value>(text).is_err_and(|error| error.is_eof()),
        // Within a character.
        Err(error) => error.error_len().is_none(),
    }
}

/// Explains why `line` gave `error`.
fn explain(line: &[u8], error: &serde_json::Error) -> Problem {
    let mut object = match read_object(line) {
        Ok(object) => object,
        Err(problem) => return problem,
    };
    // Tagged values lose the path of an error, so each is read by itself.
    let mut elements = |list: &str| match object.get_mut(list) {
        Some(Value::Array(elements)) => std::mem::take(elements),
        _ => Vec::new(),
    };
    let (put, remove) = (elements("put"), elements("remove"));
    explain_as::<Change>(Value::Object(object))
        .or_else(|| explain_elements("put", put, explain_record))
        .or_else(|| explain_elements("remove", remove, explain_removal))
        // A field that comes twice is lost when the line is read into a map.
        .unwrap_or_else(|| Problem::new("", without_place(error)))
}

fn explain_elements(
    list: &str,
    elements: Vec<Value>,
    explain_one: impl Fn(&str, Value) -> Option<Option<Problem>>,
) -> Option<Problem> {
    elements.into_iter().enumerate().find_map(|(position, element)| {
        let Value::Object(mut fields) = element else {
            return Some(Problem::new(format!("{list}[{position}]"), "expected a JSON object"));
        };
        let problem = match take_kind(&mut fields, TYPES) {
            Err(problem) => Some(problem),
            Ok(kind) => match explain_one(&kind, Value::Object(fields)) {
                Some(problem) => problem,
                None => Some(unknown_kind(&kind, TYPES)),
            },
        };
        problem.map(|problem| within(list, position, problem))
    })
}

/// A problem of an element as one of the list's line.
fn within(list: &str, position: usize, Problem { field, message }: Problem) -> Problem {
    let separator = if field.is_empty() { "" } else { "." };
    Problem { field: format!("{list}[{position}]{separator}{field}"), message }
}

/// As in [`Removal`], without the tag.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ById<T> {
    #[serde(rename = "id")]
    _id: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByName {
    #[serde(rename = "namespace")]
    _namespace: String,
    #[serde(rename = "subject")]
    _subject: String,
}

fn explain_removal(kind: &str, removal: Value) -> Option<Option<Problem>> {
    fn by_id<T: DeserializeOwned>(removal: Value) -> Option<Problem> {
        explain_as::<ById<T>>(removal)
    }
    Some(match kind {
        "customer" => explain_as::<ByName>(removal),
        "item" | "merchant" | "access_type" => by_id::<i64>(removal),
        "app" | "license" => by_id::<String>(removal),
        _ => return None,
    })
}

fn check(change: &Change) -> Result<(), Problem> {
    let mut named = BTreeMap::new();
    for (position, record) in change.put.iter().enumerate() {
        let name = check_record(record).map_err(|problem| within("put", position, problem))?;
        once(&mut named, name, format!("put[{position}]"))?;
    }
    for (position, removal) in change.remove.iter().enumerate() {
        let name = check_name(removal.clone()).map_err(|problem| within("remove", position, problem))?;
        once(&mut named, name, format!("remove[{position}]"))?;
    }
    Ok(())
}

/// A change says what is true after it. A record that it names twice would be chance.
fn once(named: &mut BTreeMap<Removal, String>, name: Removal, field: String) -> Result<(), Problem> {
    match named.get(&name) {
        Some(first) => Err(Problem::new(field, format!("the same record again; first: {first}"))),
        None => {
            named.insert(name, field);
            Ok(())
        }
    }
}

/// Checks what names a record, and gives it in its one form.
fn check_record(record: &Record) -> Result<Removal, Problem> {
    if let Record::Merchant(Merchant { uuid, .. }) | Record::Customer(Customer { uuid, .. }) = record {
        parse_uuid("uuid", uuid)?;
    }
    check_name(record.name())
}

fn check_name(name: Removal) -> Result<Removal, Problem> {
    if let Removal::Customer { namespace, subject } = &name {
        customer_key(namespace, subject)?;
    }
    match name {
        Removal::License { id } => Ok(Removal::License { id: parse_uuid("id", &id)?.to_string() }),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests;
