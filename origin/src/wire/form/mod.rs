//! `application/x-www-form-urlencoded` with PHP's nesting: `metadata[foo]=bar`, `add_asset_ids[]=7`,
//! `access_fees[0][amount]=2`. Every value is text; a list is an object whose names are its positions.
//!
//! Bodies and queries follow the same rules. Names and values are UTF-8. If a name has several values, the
//! last one counts, as in PHP. An escape without two hexadecimal digits stands for itself. A field without a
//! name is dropped.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap};

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::Refused;
use crate::{
    limits::{FORM_MAX_DEPTH, FORM_MAX_FIELDS},
    text::UTF8_BOM,
};

/// Parses the form of a write.
///
/// # Errors
/// As [`parse_up_to`].
pub fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    parse_up_to(bytes, FORM_MAX_FIELDS)
}

/// Parses a form of at most `max_fields` fields, in time proportional to its length.
///
/// # Errors
/// 422 if the form has too many fields, if they are nested too deeply, or if a name or a value is not UTF-8.
pub fn parse_up_to(bytes: &[u8], max_fields: usize) -> Result<Map<String, Value>, Refused> {
    if has_more_fields(bytes, max_fields) {
        return Err(too_many_fields(max_fields));
    }
    let mut form = Entries::default();
    let mut unreadable = BTreeMap::new();
    for (name, value) in pairs(bytes) {
        let (name, value) = match (decoded(name), decoded(value)) {
            (Ok(name), Ok(value)) => (name, value),
            (Err(invalid), _) => {
                let name = invalid.shown();
                let problem = format!("The name {name} is not UTF-8: {invalid}");
                unreadable.entry(name).or_insert(problem);
                continue;
            }
            (Ok(name), Err(invalid)) => {
                let problem = not_utf8(&name, &invalid);
                unreadable.entry(name.into_owned()).or_insert(problem);
                continue;
            }
        };
        if name.is_empty() {
            continue;
        }
        let path = path(&name);
        if path.len() > FORM_MAX_DEPTH + 1 {
            let problem = format!("The body has a field with more than {FORM_MAX_DEPTH} brackets");
            return Err(Refused::field("body", &problem));
        }
        form.insert(&path, value.into_owned());
    }
    if unreadable.is_empty() { Ok(form.into_map()) } else { Err(Refused::Fields(unreadable)) }
}

/// Whether a form has more than `max` fields. Counts separators without decoding, and stops at the bound.
#[must_use]
pub fn has_more_fields(bytes: &[u8], max: usize) -> bool {
    pairs(bytes).nth(max).is_some()
}

/// The refusal of a body with more than `max` fields.
#[must_use]
pub fn too_many_fields(max: usize) -> Refused {
    Refused::field("body", &format!("The body has more than {max} fields"))
}

/// The value of a query parameter, if present; other parameters are not checked.
///
/// # Errors
/// 422 if the value is not UTF-8.
pub fn parameter(query: &str, name: &str) -> Result<Option<String>, Refused> {
    let of_name = pairs(query.as_bytes()).filter(|(sent, _)| decoded(sent).is_ok_and(|sent| sent == name));
    let Some((_, value)) = of_name.last() else { return Ok(None) };
    match decoded(value) {
        Ok(value) => Ok(Some(value.into_owned())),
        Err(invalid) => Err(Refused::field(name, &not_utf8(name, &invalid))),
    }
}

/// The parameters of a query as bytes; two queries with equal parameters have the same meaning.
#[must_use]
pub fn parameters(query: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    pairs(query.as_bytes()).map(|(name, value)| (unescaped(name), unescaped(value))).collect()
}

/// Unescapes a form value; `None` if the result is not UTF-8.
#[must_use]
pub fn text(escaped: &str) -> Option<String> {
    decoded(escaped.as_bytes()).ok().map(Cow::into_owned)
}

/// The position that a name in brackets stands for: decimal digits without leading zeros.
#[must_use]
pub fn position(name: &str) -> Option<u32> {
    let is_canonical = name == "0" || !name.starts_with(['0', '+']);
    if is_canonical { name.parse().ok() } else { None }
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let bytes = bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes);
    let fields = bytes.split(|byte| *byte == b'&').filter(|field| !field.is_empty());
    fields.inspect(|field| steps::add(field.len())).map(|field| {
        match field.iter().position(|byte| *byte == b'=') {
            Some(at) => (field.get(..at).unwrap_or_default(), field.get(at + 1..).unwrap_or_default()),
            None => (field, &[][..]),
        }
    })
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    steps::add(bytes.len());
    let blanks: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&blanks).collect()
}

fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, Invalid> {
    if !bytes.iter().any(|byte| matches!(byte, b'+' | b'%'))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Ok(Cow::Borrowed(text));
    }
    String::from_utf8(unescaped(bytes))
        .map(Cow::Owned)
        .map_err(|error| Invalid { at: error.utf8_error().valid_up_to(), bytes: error.into_bytes() })
}

/// Bytes that stop being UTF-8 at some place.
struct Invalid {
    bytes: Vec<u8>,
    at: usize,
}

impl Invalid {
    /// Longest beginning of a name in an error message.
    const SHOWN_MAX_BYTES: usize = 80;

    fn shown(&self) -> String {
        let shown = self.bytes.get(..Self::SHOWN_MAX_BYTES).unwrap_or(&self.bytes);
        String::from_utf8_lossy(shown).into_owned()
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        write!(f, "byte {} is 0x{byte:02X}", self.at + 1)
    }
}

fn not_utf8(name: &str, invalid: &Invalid) -> String {
    format!("The {name} is not UTF-8: {invalid}")
}

/// Splits `a[b][]` into `["a", "b", ""]`. A name with unbalanced brackets is one part.
fn path(name: &str) -> Vec<&str> {
    let Some((first, mut rest)) = name.find('[').filter(|at| *at > 0).map(|at| name.split_at(at)) else {
        return vec![name];
    };
    let mut path = vec![first];
    while !rest.is_empty() {
        match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((segment, after)) => {
                steps::add(segment.len() + 2);
                path.push(segment);
                rest = after;
            }
            None => return vec![name],
        }
    }
    path
}

/// An object or a list under construction.
///
/// A field at the next position, as each `[]` is, extends `list`. All other fields are in `named`.
#[derive(Default)]
struct Entries {
    /// The values of the positions 0, 1, 2 and so on, without gaps.
    list: Vec<Node>,
    /// The values of names, and of positions after a gap.
    named: BTreeMap<Name, Node>,
    /// The position of the next `[]`: one more than the largest position so far.
    next: u64,
}

enum Node {
    Text(String),
    Entries(Entries),
}

impl Entries {
    fn insert(&mut self, path: &[&str], value: String) {
        let Some((first, rest)) = path.split_first() else { return };
        steps::add(1);
        let node = self.node(first);
        if rest.is_empty() {
            *node = Node::Text(value);
            return;
        }
        // The node is new, or was text before: as in PHP, the later object replaces it.
        if let Node::Text(_) = node {
            *node = Node::Entries(Self::default());
        }
        if let Node::Entries(entries) = node {
            entries.insert(rest, value);
        }
    }

    /// The node for `segment`, created if it is new.
    fn node(&mut self, segment: &str) -> &mut Node {
        // `[]` is the next position; a number is a position; anything else is a name.
        let at = if segment.is_empty() { Some(self.next) } else { position(segment).map(u64::from) };
        if let Some(at) = at {
            self.next = self.next.max(at.saturating_add(1));
            // A position after a gap is found by name.
            let end = self.list.len() as u64;
            if at < end || (at == end && self.named.is_empty()) {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                if at == self.list.len() {
                    self.list.push(Node::Text(String::new()));
                }
                if let Some(node) = self.list.get_mut(at) {
                    return node;
                }
            }
        }
        let name = at.map_or_else(|| segment.to_owned(), |at| at.to_string());
        self.named.entry(Name(name)).or_insert_with(|| Node::Text(String::new()))
    }

    fn into_map(self) -> Map<String, Value> {
        let value = |node| match node {
            Node::Text(text) => Value::String(text),
            Node::Entries(entries) => Value::Object(entries.into_map()),
        };
        let list = self.list.into_iter().enumerate().map(|(at, node)| (at.to_string(), value(node)));
        list.chain(self.named.into_iter().map(|(Name(name), node)| (name, value(node)))).collect()
    }
}

/// A key of the map; its comparisons count as steps in tests.
#[derive(PartialEq, Eq)]
struct Name(String);

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        steps::add(1);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Counts the cost of parsing in tests: bytes read, nodes visited, names compared. Does nothing otherwise.
mod steps {
    #[cfg(test)]
    thread_local! {
        static TAKEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    #[cfg(not(test))]
    pub(super) const fn add(_: usize) {}

    #[cfg(test)]
    pub(super) fn add(count: usize) {
        TAKEN.set(TAKEN.get() + count);
    }

    /// The number of steps that `work` takes.
    #[cfg(test)]
    pub(super) fn of<T>(work: impl FnOnce() -> T) -> usize {
        let before = TAKEN.get();
        work();
        TAKEN.get() - before
    }
}
