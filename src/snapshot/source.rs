//! Reads lines of the publish schema and checks that they belong together.

mod check;
pub(super) mod explain;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt,
    io::{BufRead, Read},
    rc::Rc,
};

use uuid::Uuid;

use super::schema::{AccessType, App, Customer, Item, License, Line, Merchant, SnapshotLine};
use crate::limits::CUSTOMER_MAX_BYTES;

/// Longest line: a customer with some 150,000 accesses of 100 bytes each. Without a bound, a file without
/// line ends would be read into memory whole.
pub const LINE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// U+FEFF in UTF-8, which some editors and spreadsheets put before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file's name as it was given.
    pub file: Rc<str>,
    /// The line's number, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: Location,
}

/// A merchant whose UUID has been read.
#[derive(Clone, Copy, Debug)]
pub struct KnownMerchant {
    /// `merchant_uuid` in answers.
    pub uuid: Uuid,
}

/// Something wrong with a field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, as a path such as `fees[0].amount`; empty when it is the line as a whole.
    pub field: String,
    /// What was found or expected.
    pub message: String,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Something wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Which line.
    pub at: Location,
    /// Which field, and what is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, problem: Problem { field, message } } = self;
        if field.is_empty() {
            write!(formatter, "{at}: {message}")
        } else {
            write!(formatter, "{at}: {field}: {message}")
        }
    }
}

/// When to stop reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// At the end, so that all errors are reported together.
    ReadOn,
    /// At the first line that is wrong.
    StopAtFirst,
}

/// The lines of a publish, in no particular order, and everything that is wrong with them.
#[derive(Debug, Default)]
pub struct Lines {
    /// Where the data stands in the origin's history.
    pub snapshot: Option<Located<SnapshotLine>>,
    /// By id.
    pub merchants: BTreeMap<i64, Located<KnownMerchant>>,
    /// By id.
    pub apps: BTreeMap<String, Located<App>>,
    /// By UUID.
    pub licenses: BTreeMap<Uuid, Located<License>>,
    /// By id.
    pub access_types: BTreeMap<i64, Located<AccessType>>,
    /// By id.
    pub items: BTreeMap<i64, Located<Item>>,
    /// By namespace and subject.
    pub customers: BTreeMap<(String, String), Located<Customer>>,
    /// What makes the lines unpublishable.
    pub errors: Vec<LineError>,
    /// What is odd but harmless.
    pub warnings: Vec<LineError>,
    /// Type and id of lines that could not be read: references to them are not errors on top.
    unreadable: BTreeSet<(String, String)>,
}

impl Lines {
    /// Adds the lines of a file. Blank lines are passed over; every other line that cannot be read is an error.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn read(
        &mut self,
        file: &str,
        mut reader: impl BufRead,
        strictness: Strictness,
    ) -> std::io::Result<()> {
        let file: Rc<str> = file.into();
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            // One byte more than is allowed, to tell a line that is too long from one that just fits.
            if reader.by_ref().take(LINE_MAX_BYTES as u64 + 1).read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            let at = Location { file: Rc::clone(&file), line };
            let is_too_long = bytes.len() > LINE_MAX_BYTES && bytes.last() != Some(&b'\n');
            let outcome = if is_too_long {
                reader.skip_until(b'\n')?;
                Err(Problem::new("", format!("expected at most {LINE_MAX_BYTES} bytes in a line")))
            } else if line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                Err(Problem::new("", "expected UTF-8 without a byte order mark"))
            } else {
                self.read_line(&bytes, &at)
            };
            if let Err(problem) = outcome {
                self.errors.push(LineError { at, problem });
                if strictness == Strictness::StopAtFirst {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether there is an item of this number and it is active.
    #[must_use]
    pub fn is_active(&self, item_id: i64) -> bool {
        self.items.get(&item_id).is_some_and(|item| item.value.is_active)
    }

    fn read_line(&mut self, bytes: &[u8], at: &Location) -> Result<(), Problem> {
        if bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        match serde_json::from_slice(bytes) {
            Ok(line) => self.add(line, at),
            Err(error) => {
                let explained = explain::explain(bytes, &error);
                self.unreadable.extend(explained.identity);
                Err(explained.problem)
            }
        }
    }

    fn add(&mut self, line: Line, at: &Location) -> Result<(), Problem> {
        match line {
            Line::Snapshot(snapshot) => match &self.snapshot {
                Some(first) => {
                    Err(Problem::new("type", format!("a second snapshot line; first: {}", first.at)))
                }
                None => {
                    self.snapshot = Some(Located { value: snapshot, at: at.clone() });
                    Ok(())
                }
            },
            Line::Merchant(Merchant { id, uuid, .. }) => {
                let uuid = parse_uuid("uuid", &uuid).inspect_err(|_| self.remember("merchant", id))?;
                insert(&mut self.merchants, "id", id, KnownMerchant { uuid }, at)
            }
            Line::App(app) => insert(&mut self.apps, "id", app.id.clone(), app, at),
            Line::License(license) => {
                insert(&mut self.licenses, "id", parse_uuid("id", &license.id)?, license, at)
            }
            Line::AccessType(access_type) => {
                insert(&mut self.access_types, "id", access_type.id, access_type, at)
            }
            Line::Item(item) => insert(&mut self.items, "id", item.id, item, at),
            Line::Customer(customer) => {
                for (field, value) in [("namespace", &customer.namespace), ("subject", &customer.subject)] {
                    // As of tokens: a longer value, or one with a zero byte, names nobody.
                    if value.is_empty() || value.len() > CUSTOMER_MAX_BYTES || value.contains('\0') {
                        let expected = format!("expected 1 to {CUSTOMER_MAX_BYTES} bytes, none of them zero");
                        return Err(Problem::new(field, expected));
                    }
                }
                parse_uuid("uuid", &customer.uuid)?;
                let key = (customer.namespace.clone(), customer.subject.clone());
                insert(&mut self.customers, "subject", key, customer, at)
            }
        }
    }

    fn remember(&mut self, kind: &str, id: impl ToString) {
        self.unreadable.insert((kind.to_owned(), id.to_string()));
    }
}

pub(super) fn parse_uuid(field: &str, text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::new(field, format!("expected a UUID, found {text:?}")))
}

/// Keeps the first of two with the same key: which of them is meant would be chance.
fn insert<K: Ord + fmt::Debug, T>(
    map: &mut BTreeMap<K, Located<T>>,
    field: &str,
    key: K,
    value: T,
    at: &Location,
) -> Result<(), Problem> {
    match map.entry(key) {
        Entry::Vacant(vacant) => {
            vacant.insert(Located { value, at: at.clone() });
            Ok(())
        }
        Entry::Occupied(first) => {
            Err(Problem::new(field, format!("{:?} again; first: {}", first.key(), first.get().at)))
        }
    }
}

#[cfg(test)]
mod tests;
