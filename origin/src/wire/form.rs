//! `application/x-www-form-urlencoded` with PHP's nesting: `metadata[foo]=bar`, `add_asset_ids[]=7`,
//! `access_fees[0][amount]=2`. Every value is text; a list is an object whose names are its positions.
//!
//! Bodies and queries follow the same rules: names and values are UTF-8, and of several values of one name the last
//! one counts, as in PHP. An escape that is not followed by two hexadecimal digits stands for itself. A field without
//! a name is left out.

use std::{borrow::Cow, collections::BTreeMap};

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::{Refused, UTF8_BOM};
use crate::limits::{FORM_MAX_DEPTH, FORM_MAX_FIELDS};

/// Reads the form of a write.
///
/// # Errors
/// As [`parse_up_to`].
pub fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    parse_up_to(bytes, FORM_MAX_FIELDS)
}

/// Reads a form of at most `max_fields` fields. The time it takes follows the length of the form, whatever is in it.
///
/// # Errors
/// 422 when the form has too many fields, when they are nested too deeply, or when a name or a value is not UTF-8.
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

/// Whether a form has more than `max` fields. Nothing is decoded, and no more is read than tells it.
#[must_use]
pub fn has_more_fields(bytes: &[u8], max: usize) -> bool {
    pairs(bytes).nth(max).is_some()
}

/// What a body with more than `max` fields is refused with.
#[must_use]
pub fn too_many_fields(max: usize) -> Refused {
    Refused::field("body", &format!("The body has more than {max} fields"))
}

/// The value of a parameter in a query, if the query has it. Other parameters are not judged.
///
/// # Errors
/// 422 when the value is not UTF-8.
pub fn parameter(query: &str, name: &str) -> Result<Option<String>, Refused> {
    let of_name = pairs(query.as_bytes()).filter(|(sent, _)| decoded(sent).is_ok_and(|sent| sent == name));
    let Some((_, value)) = of_name.last() else { return Ok(None) };
    match decoded(value) {
        Ok(value) => Ok(Some(value.into_owned())),
        Err(invalid) => Err(Refused::field(name, &not_utf8(name, &invalid))),
    }
}

/// The parameters of a query as bytes: what two queries must have in common to mean the same.
#[must_use]
pub fn parameters(query: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    pairs(query.as_bytes()).map(|(name, value)| (unescaped(name), unescaped(value))).collect()
}

/// A text that was escaped as a form's values are. Nothing when it is not UTF-8.
#[must_use]
pub fn text(escaped: &str) -> Option<String> {
    decoded(escaped.as_bytes()).ok().map(Cow::into_owned)
}

/// The position that a name in brackets stands for, if it is one: decimal digits without leading zeros.
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

/// Bytes that are not UTF-8 from a place on.
struct Invalid {
    bytes: Vec<u8>,
    at: usize,
}

impl Invalid {
    /// How much of a name an answer repeats.
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

/// `a[b][]` as `["a", "b", ""]`. A name whose brackets do not match is taken as it is.
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

/// An object or a list while it is read.
///
/// A field whose position is the next one, as each `[]` has, is appended to the list. All others are found by name.
#[derive(Default)]
struct Entries {
    /// The positions from 0 on, without gaps.
    list: Vec<Node>,
    /// Names, and positions beyond the list.
    named: BTreeMap<Name, Node>,
    /// What `[]` stands for: one more than the largest position so far.
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
        if let Node::Text(_) = node {
            *node = Node::Entries(Self::default());
        }
        if let Node::Entries(entries) = node {
            entries.insert(rest, value);
        }
    }

    /// The place that `segment` names, empty if it is new.
    fn node(&mut self, segment: &str) -> &mut Node {
        let at = if segment.is_empty() { Some(self.next) } else { position(segment).map(u64::from) };
        if let Some(at) = at {
            self.next = self.next.max(at.saturating_add(1));
            // Once there is a gap, what comes behind it is found by name.
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

/// A name among others. Its comparisons count as steps.
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

/// Counts what reading a form costs, for tests: bytes looked at, places visited, names compared. Otherwise nothing.
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

    /// The steps that `work` takes.
    #[cfg(test)]
    pub(super) fn of<T>(work: impl FnOnce() -> T) -> usize {
        let before = TAKEN.get();
        work();
        TAKEN.get() - before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Value {
        Value::Object(parse(text.as_bytes()).unwrap())
    }

    fn problems(bytes: &[u8]) -> Vec<(String, String)> {
        match parse(bytes).unwrap_err() {
            Refused::Fields(problems) => problems.into_iter().collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn nesting_as_php_has_it() {
        let table = [
            ("", json!({})),
            ("a=1&b=x+y%26z", json!({"a": "1", "b": "x y&z"})),
            ("metadata[foo]=bar&metadata[x]=", json!({"metadata": {"foo": "bar", "x": ""}})),
            ("ids[0]=7&ids[1]=8", json!({"ids": {"0": "7", "1": "8"}})),
            ("ids[]=7&ids[]=8&ids[5]=9&ids[]=10", json!({"ids": {"0": "7", "1": "8", "5": "9", "6": "10"}})),
            // Only decimal digits without leading zeros are positions.
            ("ids[07]=7&ids[+3]=8&ids[]=9", json!({"ids": {"07": "7", " 3": "8", "0": "9"}})),
            ("a[]=1&a=x&a[]=2", json!({"a": {"0": "2"}})),
            (
                "access_fees%5B0%5D%5Bamount%5D=2&access_fees%5B0%5D%5Bcurrency%5D=EUR",
                json!({"access_fees": {"0": {"amount": "2", "currency": "EUR"}}}),
            ),
            ("a=1&a=2", json!({"a": "2"})),
            ("a=1&a[b]=2", json!({"a": {"b": "2"}})),
            ("a[b]=2&a=1", json!({"a": "1"})),
            // Brackets that do not match are part of a name.
            ("a[b=1&]c=2&[d]=3&e[f]g=4", json!({"a[b": "1", "]c": "2", "[d]": "3", "e[f]g": "4"})),
            ("caf%C3%A9=%F0%9F%A6%89", json!({"café": "🦉"})),
            ("\u{feff}title=x", json!({"title": "x"})),
            ("&&a&b=&=c&d=1=2&", json!({"a": "", "b": "", "d": "1=2"})),
            // An invalid escape stands for itself, as in browsers and PHP.
            ("a=100%&b=%zz&c=%4", json!({"a": "100%", "b": "%zz", "c": "%4"})),
        ];
        for (text, expected) in table {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_under_its_name() {
        let table: [(&[u8], &str, &str); 6] = [
            (b"title=Caf%E9", "title", "The title is not UTF-8: byte 4 is 0xE9"),
            (b"title=Caf\xe9&x=1", "title", "The title is not UTF-8: byte 4 is 0xE9"),
            (
                b"metadata[genre]=%C3%28",
                "metadata[genre]",
                "The metadata[genre] is not UTF-8: byte 1 is 0xC3",
            ),
            (b"a=%ED%A0%80", "a", "The a is not UTF-8: byte 1 is 0xED"),
            (
                b"metadata[Caf%E9]=x",
                "metadata[Caf\u{fffd}]",
                "The name metadata[Caf\u{fffd}] is not UTF-8: byte 13 is 0xE9",
            ),
            (b"%FF=x", "\u{fffd}", "The name \u{fffd} is not UTF-8: byte 1 is 0xFF"),
        ];
        for (bytes, name, problem) in table {
            assert_eq!(problems(bytes), [(name.to_owned(), problem.to_owned())]);
        }
        let both = problems(b"title=%E9&content=%FF&item_type=x");
        assert_eq!(both.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["content", "title"]);
    }

    #[test]
    fn the_last_parameter_of_a_name_counts() {
        let value = |query| parameter(query, "consumer_id").unwrap();
        assert_eq!(value("consumer_id=1&x=2&consumer_id=3"), Some("3".to_owned()));
        assert_eq!(value("consumer%5Fid=+7"), Some(" 7".to_owned()));
        assert_eq!(value("consumer_id"), Some(String::new()));
        assert_eq!(value("Consumer_id=1&x=%FF"), None);
        assert!(matches!(parameter("consumer_id=%FF", "consumer_id"), Err(Refused::Fields(_))));
        assert_eq!(parameters("b=1&a=+&b=2"), parameters("a=%20&b=2"));
        assert_ne!(parameters("a=1"), parameters("a=1&b"));
    }

    #[test]
    fn what_would_grow_without_bound_is_refused() {
        let deep = format!("a{}=1", "[b]".repeat(FORM_MAX_DEPTH));
        assert!(parse(deep.as_bytes()).is_ok());
        let deeper = format!("a{}=1", "[b]".repeat(FORM_MAX_DEPTH + 1));
        assert!(parse(deeper.as_bytes()).is_err());
        let many = "a&".repeat(FORM_MAX_FIELDS + 1);
        assert!(parse(many.as_bytes()).is_err());
    }

    #[test]
    fn a_form_with_one_field_too_many_is_refused_before_any_is_read() {
        let form = |fields: usize| "a[]=x&".repeat(fields);
        assert!(parse_up_to(form(32).as_bytes(), 32).is_ok());
        let (bomb, mut answer) = (form(FORM_MAX_FIELDS), None);
        let steps = steps::of(|| answer = Some(parse_up_to(bomb.as_bytes(), 32)));
        assert!(
            matches!(answer, Some(Err(Refused::Fields(problems))) if problems["body"].contains("more than 32"))
        );
        assert!(steps <= 33 * 6, "{steps}");
    }

    /// Per byte of the form: each is looked at a few times, and a name is compared with the logarithm of the number of
    /// names, which 20,000 fields bound.
    const STEPS_PER_BYTE: usize = 40;

    #[test]
    fn what_a_form_costs_follows_its_length() {
        let numbered =
            |name: &str| (0..FORM_MAX_FIELDS).map(|n| name.replace('#', &n.to_string())).collect::<Vec<_>>();
        let backwards: Vec<_> = (0..FORM_MAX_FIELDS).rev().map(|n| format!("a[{n}]")).collect();
        let mut gaps = numbered("a[]");
        gaps.insert(0, "a[7]".to_owned());
        gaps.truncate(FORM_MAX_FIELDS);
        for (label, names) in [
            ("a[]", numbered("a[]")),
            ("a[][]", numbered("a[][]")),
            ("a[][][][][]", numbered("a[][][][][]")),
            ("a[n]", numbered("a[#]")),
            ("a[n] backwards", backwards),
            ("a[] after a gap", gaps),
            ("names", numbered("name-#")),
            ("one name", numbered("a")),
            (
                "text and list by turns",
                (0..FORM_MAX_FIELDS).map(|n| ["a", "a[]"][n % 2].to_owned()).collect(),
            ),
            ("escapes", numbered("%61%5B%5D")),
            ("unreadable names", numbered("%FF#")),
            ("open brackets", numbered("a[[[[[[[[")),
        ] {
            let form = names.join("&");
            let steps = steps::of(|| parse(form.as_bytes()).is_ok());
            assert!(steps <= STEPS_PER_BYTE * form.len(), "{label}: {steps} steps for {} bytes", form.len());
            // Twice the fields cost little more than twice as much.
            let half = names[..FORM_MAX_FIELDS / 2].join("&");
            let steps_of_half = steps::of(|| parse(half.as_bytes()).is_ok());
            assert!(steps <= steps_of_half * 5 / 2, "{label}: {steps_of_half}, then {steps}");
        }
        let deep = format!("a{}", "[b]".repeat(100_000));
        let steps = steps::of(|| parse(deep.as_bytes()).is_ok());
        assert!(steps <= STEPS_PER_BYTE * deep.len(), "{steps}");
    }

    #[test]
    fn a_list_is_appended_to_as_cheaply_as_a_list_of_positions() {
        let form = |name: fn(usize) -> String| (0..FORM_MAX_FIELDS).map(name).collect::<Vec<_>>().join("&");
        let appended = form(|_| "a[]".to_owned());
        let placed = form(|n| format!("a[{n}]"));
        let [appended, placed] = [appended, placed].map(|form| steps::of(|| parse(form.as_bytes()).is_ok()));
        assert!(appended <= placed && placed <= 3 * appended, "{appended} and {placed}");
    }

    #[test]
    fn each_list_counts_its_own_positions() {
        let form = "a[][]=1&a[][]=2&b[x][]=3&b[x][]=4&b[y][]=5";
        let expected = json!({
            "a": {"0": {"0": "1"}, "1": {"0": "2"}},
            "b": {"x": {"0": "3", "1": "4"}, "y": {"0": "5"}},
        });
        assert_eq!(parsed(form), expected);
        assert_eq!(parsed("a[4294967295]=1&a[]=2"), json!({"a": {"4294967295": "1", "4294967296": "2"}}));
    }

    proptest! {
        #[test]
        fn no_form_costs_more_than_its_length(
            names in proptest::collection::vec("[ab]{0,2}(\\[[0-9a]{0,2}\\]){0,7}|[a\\[\\]%0-9]{0,12}", 0..400),
        ) {
            let form = names.join("&");
            let steps = steps::of(|| parse(form.as_bytes()).is_ok());
            prop_assert!(steps <= STEPS_PER_BYTE * (form.len() + 1), "{} steps for {}", steps, form);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in any::<Vec<u8>>(), text in "[a\\[\\]=&%0-9]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn what_was_escaped_comes_back(pairs in proptest::collection::btree_map("[a-zé]{1,5}", any::<String>(), 0..8)) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let expected: Map<_, _> = pairs.into_iter().map(|(name, value)| (name, value.into())).collect();
            prop_assert_eq!(parse(text.as_bytes()).unwrap(), expected);
        }
    }
}
