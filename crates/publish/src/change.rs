//! Reads a change feed: lines of [`Change`], one for each change that the origin committed.
//!
//! ```
//! use admit_publish::change::{Feed, parse};
//!
//! let feed = concat!(
//!     r#"{"seq":2,"put":[{"type":"merchant","id":21,"uuid":"3b39b5ab-b5fc-4ba3-b770-73155d20e61f"}]}"#, "\n",
//!     r#"{"seq":3,"remove":[{"type":"item","id":5101}]}"#, "\n",
//!     r#"{"seq":4,"rem"#, // the origin was interrupted
//! );
//! let mut changes = Feed::new("changes.ndjson", feed.as_bytes());
//! let mut seqs = Vec::new();
//! while let Some(change) = changes.next_change()? {
//!     seqs.push(change.map_err(|error| std::io::Error::other(error.to_string()))?.seq);
//! }
//! assert_eq!(seqs, [2, 3]);
//!
//! let problem = parse(br#"{"seq":5,"put":[{"type":"film"}]}"#).unwrap_err();
//! assert_eq!(problem.field, "put[0].type");
//! # Ok::<(), std::io::Error>(())
//! ```

mod lenient;
mod repeated;

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
    sync::Arc,
};

use admit_snapshot::schema::{
    Change, Customer, Merchant, Record, Removal,
    read::{Name, Whole},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::source::{
    About, LINE_MAX_BYTES, LineError, Location, Problem, Problems, customer_key, explain,
    explain::{explain_as, explain_record, read_object, take_kind, unknown_kind, without_place},
    parse_uuid, text,
};

/// The types of records, as errors list them.
const TYPES: &str = "merchant, app, license, access_type, item or customer";

/// Parses one line of a feed and checks all that a single line can show. References are checked later,
/// against the published records.
///
/// # Errors
/// The line is not a change, or names a record twice. The problem names the field and the expected value.
pub fn parse(line: &[u8]) -> Result<Change, Problem> {
    let change: Change = serde_json::from_slice(line).map_err(|error| explain(line, &error))?;
    check(&change)?;
    Ok(change)
}

/// Reads the changes of a feed, in the order of its lines.
#[derive(Debug)]
pub struct Feed<R> {
    reader: R,
    at: Location,
    bytes: Vec<u8>,
    is_at_start: bool,
    is_lenient: bool,
    left_out: Vec<LeftOut>,
    problems: Problems,
}

/// A record of a change that cannot be used and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// `seq` of the change.
    pub seq: u64,
    /// The problem with the record.
    pub error: LineError,
}

impl<R: BufRead> Feed<R> {
    /// Reads from `reader`. Errors name the feed `name`.
    pub fn new(name: &str, reader: R) -> Self {
        let at = Location { file: Arc::from(name), line: 0 };
        let (left_out, problems) = (Vec::new(), Problems::default());
        Self { reader, at, bytes: Vec::new(), is_at_start: true, is_lenient: false, left_out, problems }
    }

    /// Numbers the lines from the one after `line` on.
    #[must_use]
    pub fn after_line(mut self, line: u64) -> Self {
        self.at.line = line;
        self
    }

    /// From now on leaves unusable records out of their changes, if they can be identified.
    pub const fn leave_out_wrong_records(&mut self) {
        self.is_lenient = true;
    }

    /// Returns the records left out and the problems since the last call.
    pub fn take_left_out(&mut self) -> (Vec<LeftOut>, Problems) {
        (std::mem::take(&mut self.left_out), std::mem::take(&mut self.problems))
    }

    /// The next change, or the problem with its line; `None` at the end. Blank lines are skipped. A last line
    /// that breaks off is not a change: the origin was interrupted, and sends the change again.
    ///
    /// # Errors
    /// The feed cannot be read.
    pub fn next_change(&mut self) -> io::Result<Option<Result<Change, LineError>>> {
        loop {
            self.bytes.clear();
            // One byte more than is allowed, to tell a line that is too long from one that just fits.
            let mut limited = self.reader.by_ref().take(LINE_MAX_BYTES as u64 + 1);
            if limited.read_until(b'\n', &mut self.bytes)? == 0 {
                return Ok(None);
            }
            self.at.line += 1;
            // The last line may lack its end: either it is complete, or the origin was interrupted.
            let is_ended = self.bytes.last() == Some(&b'\n');
            let is_first = std::mem::take(&mut self.is_at_start);
            let format = if is_first { text::other_format(&self.bytes) } else { None };
            let outcome = if let Some(found) = format {
                Err(Problem::new("", found))
            } else if self.bytes.len() > LINE_MAX_BYTES && !is_ended {
                self.reader.skip_until(b'\n')?;
                Err(Problem::new("", format!("expected at most {LINE_MAX_BYTES} bytes in a line")))
            } else {
                let line = text::without_mark(&mut self.bytes);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                if !is_ended && is_cut(line) {
                    return Ok(None);
                }
                match parse(line) {
                    Err(_) if self.is_lenient => {
                        lenient::parse(line, &self.at, &mut self.problems, &mut self.left_out)
                    }
                    outcome => outcome,
                }
            };
            let error = |problem| LineError { about: About::default(), at: self.at.clone(), problem };
            return Ok(Some(outcome.map_err(error)));
        }
    }
}

/// Whether a line breaks off. An object ends with its last brace, so no shorter text is a complete change.
fn is_cut(line: &[u8]) -> bool {
    match std::str::from_utf8(line) {
        // Not `IgnoredAny`: it takes the sign of a number that breaks off for a syntax error.
        Ok(text) => serde_json::from_str::<Value>(text).is_err_and(|error| error.is_eof()),
        // The line breaks off within a character.
        Err(error) => error.error_len().is_none(),
    }
}

/// Explains why `line` gave `error`.
fn explain(line: &[u8], error: &serde_json::Error) -> Problem {
    let mut object = match read_object(line) {
        Ok(object) => object,
        Err(problem) => return problem,
    };
    // Errors in tagged values have no path, so each element is parsed by itself.
    let mut elements = |list: &str| match object.get_mut(list) {
        Some(Value::Array(elements)) => std::mem::take(elements),
        _ => Vec::new(),
    };
    let (put, remove) = (elements("put"), elements("remove"));
    explain_as::<Change>(Value::Object(object))
        .or_else(|| explain_elements("put", put, explain_record))
        .or_else(|| explain_elements("remove", remove, explain_removal))
        // A repeated field is lost when the line is read into a map; serde's message names it.
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

/// Prefixes the field of an element's problem with the element's place in the list.
fn within(list: &str, position: usize, Problem { field, message }: Problem) -> Problem {
    let separator = if field.is_empty() { "" } else { "." };
    Problem { field: format!("{list}[{position}]{separator}{field}"), message }
}

/// The fields of a [`Removal`] by id, without the tag.
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
    _namespace: Name,
    #[serde(rename = "subject")]
    _subject: Name,
}

fn explain_removal(kind: &str, removal: Value) -> Option<Option<Problem>> {
    fn by_id<T: DeserializeOwned>(removal: Value) -> Option<Problem> {
        explain_as::<ById<T>>(removal)
    }
    Some(match kind {
        "customer" => explain_as::<ByName>(removal),
        "item" | "merchant" | "access_type" => by_id::<Whole<i64>>(removal),
        "app" => by_id::<Name>(removal),
        "license" => by_id::<String>(removal),
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

/// Checks that a change names a record only once. Which of two states holds after the change would be a
/// matter of chance.
fn once(named: &mut BTreeMap<Removal, String>, name: Removal, field: String) -> Result<(), Problem> {
    match named.get(&name) {
        Some(first) => Err(Problem::new(field, format!("duplicate record; first: {first}"))),
        None => {
            named.insert(name, field);
            Ok(())
        }
    }
}

/// Checks the name of a record, and returns it in canonical form.
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
