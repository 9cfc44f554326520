//! Reads the fields of a body one by one. Problems are collected by field, so that a client learns all of
//! them at once.
//!
//! Forms and JSON are read alike: text may stand for a number and a number for text. Blanks around numbers,
//! moments and words are ignored, and so is the letter case of words. A value that could mean two things, or
//! would not be stored as sent, is refused.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use admit::{
    instant::{self, UnixSecs},
    number,
};
use serde_json::{Map, Number, Value};

use super::{Refused, form::position};
use crate::{limits::LIST_MAX, text::shown};

/// The fields of an object, and the problems found so far.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// The path of a nested object, such as `access_fees[0]`; empty at the top.
    path: String,
    problems: Rc<RefCell<BTreeMap<String, String>>>,
}

impl<'a> Fields<'a> {
    /// The fields of a whole body.
    #[must_use]
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, path: String::new(), problems: Rc::default() }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 with all problems that were noted.
    pub fn finish(&self) -> Result<(), Refused> {
        let problems = self.problems.take();
        if problems.is_empty() { Ok(()) } else { Err(Refused::Fields(problems)) }
    }

    /// Notes a problem with a field.
    pub fn wrong(&self, name: &str, expected: &str) {
        let field = self.name_of(name);
        let problem = format!("The {field} {expected}");
        self.problems.borrow_mut().entry(field).or_insert(problem);
    }

    /// Whether the field was sent, even as null or empty text.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// The value, unless it is null or empty text: a form can only send nothing as empty text.
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn required<T>(&self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.wrong(name, "is required");
        }
        value
    }

    /// Text of at most `max_bytes` without zero bytes, at which some later readers would end the text.
    pub fn text(&self, name: &str, max_bytes: usize) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if text.contains('\0') => self.no(name, "must not contain a zero byte"),
            Value::String(text) if text.len() <= max_bytes => Some(text.clone()),
            Value::String(text) => {
                self.no(name, &format!("must have at most {max_bytes} bytes, not {}", text.len()))
            }
            Value::Number(number) => Some(number.to_string()),
            other => self.no(name, &format!("must be text, not {}", found(other))),
        }
    }

    /// Text; its absence is a problem.
    pub fn required_text(&self, name: &str, max_bytes: usize) -> Option<String> {
        self.required(name, self.text(name, max_bytes))
    }

    /// A short code of a standard: without blanks around it, in upper case.
    pub fn code(&self, name: &str, max_bytes: usize) -> Option<String> {
        Some(self.text(name, max_bytes)?.trim_ascii().to_ascii_uppercase())
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        let value = self.value(name)?;
        number::whole(value).or_else(|| self.no(name, &format!("must be an integer, not {}", found(value))))
    }

    /// A whole number; its absence is a problem.
    pub fn required_integer(&self, name: &str) -> Option<i64> {
        self.required(name, self.integer(name))
    }

    /// A number in JSON's notation. `None` for other values, without noting a problem: the caller does that.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<Number> {
        match self.value(name)? {
            Value::Number(number) => Some(number.clone()),
            // JSON's parser refuses a leading `+`, `inf`, blanks and hexadecimal digits.
            Value::String(text) if text.trim() == text => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    /// A moment as RFC 3339 or unix seconds, in any spelling with one meaning.
    pub fn moment(&self, name: &str) -> Option<UnixSecs> {
        match instant::from_json(self.value(name)?) {
            Ok(moment) => Some(moment.at),
            Err(problem) => self.no(name, &problem.to_string()),
        }
    }

    /// One of `words`; letter case is ignored.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.value(name)?;
        let sent = value.as_str().unwrap_or_default().trim_ascii();
        let known = words.iter().find(|(word, _)| sent.eq_ignore_ascii_case(word));
        known.map(|(_, value)| *value).or_else(|| {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.no(name, &format!("must be one of {}, not {}", names.join(", "), found(value)))
        })
    }

    /// Pairs of name and text: an object, or a list of objects with `name` and `value`.
    pub fn texts(&self, name: &str, max_bytes: usize) -> Option<Vec<(String, String)>> {
        if self.object.get(name)?.as_array().is_some_and(|list| list.iter().all(Value::is_object)) {
            let list = self.objects(name)?;
            return list
                .iter()
                .map(|entry| {
                    let text = entry.text("value", max_bytes).unwrap_or_default();
                    Some((entry.required_text("name", max_bytes)?, text))
                })
                .collect();
        }
        match self.value(name) {
            None => Some(Vec::new()),
            Some(Value::Object(object)) if object.len() <= LIST_MAX => {
                let inner = self.inner(name, object);
                let texts = object.keys().map(|key| {
                    if key.contains('\0') {
                        self.wrong(name, "must not have a name with a zero byte");
                    }
                    (key.clone(), inner.text(key, max_bytes).unwrap_or_default())
                });
                Some(texts.collect())
            }
            Some(_) => self.no(name, &format!("must have at most {LIST_MAX} names with values")),
        }
    }

    /// A list of whole numbers, in order.
    pub fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let values = self.list(name)?;
        let mut numbers = Vec::with_capacity(values.len());
        for (position, value) in values {
            match number::whole(value) {
                Some(number) => numbers.push(number),
                None => {
                    let problem =
                        format!("must be a list of integers, but has {} at {position}", found(value));
                    return self.no(name, &problem);
                }
            }
        }
        Some(numbers)
    }

    /// A list of objects, in order.
    pub fn objects(&self, name: &str) -> Option<Vec<Fields<'a>>> {
        let values = self.list(name)?;
        let objects = values
            .iter()
            .map(|(position, value)| Some(self.inner(&format!("{name}[{position}]"), value.as_object()?)));
        objects.collect::<Option<_>>().or_else(|| self.no(name, "must be a list of objects"))
    }

    /// A list with positions: an array, or, in a form, an object whose names are positions.
    fn list(&self, name: &str) -> Option<Vec<(u32, &'a Value)>> {
        let list: Option<Vec<_>> = match self.value(name)? {
            Value::Array(values) => Some((0..).zip(values).collect()),
            Value::Object(object) => {
                let entries = object.iter().map(|(name, value)| Some((position(name)?, value)));
                entries.collect::<Option<Vec<_>>>().map(|mut entries| {
                    entries.sort_by_key(|(position, _)| *position);
                    entries
                })
            }
            _ => None,
        };
        list.filter(|list| list.len() <= LIST_MAX)
            .or_else(|| self.no(name, &format!("must be a list of at most {LIST_MAX}")))
    }

    fn inner(&self, name: &str, object: &'a Map<String, Value>) -> Fields<'a> {
        Fields { object, path: self.name_of(name), problems: Rc::clone(&self.problems) }
    }

    /// The field's full name in a form: `access_fees[0][amount]`.
    #[must_use]
    pub fn name_of(&self, name: &str) -> String {
        match (self.path.is_empty(), name.split_once('[')) {
            (true, _) => name.to_owned(),
            (false, None) => format!("{}[{name}]", self.path),
            (false, Some((first, rest))) => format!("{}[{first}][{rest}", self.path),
        }
    }

    fn no<T>(&self, name: &str, expected: &str) -> Option<T> {
        self.wrong(name, expected);
        None
    }
}

/// A value as messages repeat it.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => shown(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::form;

    fn problems(fields: &Fields<'_>) -> Vec<String> {
        match fields.finish() {
            Ok(()) => Vec::new(),
            Err(Refused::Fields(problems)) => problems.into_keys().collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn forms_and_json_say_the_same() {
        let form =
            form::parse(b"n=7&x=2.50&t=2026-01-31T12:00:00Z&u=-5&m[k]=v&l[1]=8&l[0]=7&o[0][n]=3&k=whitelist")
                .unwrap();
        let json = json!({
            "n": 7, "x": 2.50, "t": "2026-01-31T14:00:00+02:00", "u": -5, "m": {"k": "v"}, "l": [7, 8],
            "o": [{"n": 3}], "k": "whitelist",
        });
        for object in [&form, json.as_object().unwrap()] {
            let fields = Fields::new(object);
            assert_eq!(fields.integer("n"), Some(7));
            assert_eq!(fields.number("x").unwrap().as_f64(), Some(2.5));
            assert_eq!(fields.moment("t"), Some(1_769_860_800));
            assert_eq!(fields.moment("u"), Some(-5));
            assert_eq!(fields.texts("m", 9), Some(vec![("k".into(), "v".into())]));
            assert_eq!(fields.integers("l"), Some(vec![7, 8]));
            assert_eq!(fields.objects("o").unwrap()[0].integer("n"), Some(3));
            assert_eq!(fields.word("k", &[("blacklist", 0), ("whitelist", 1)]), Some(1));
            assert_eq!((fields.integer("none"), fields.text("none", 9)), (None, None));
            assert_eq!(problems(&fields), [""; 0]);
        }
    }

    #[test]
    fn every_problem_is_reported_under_its_field() {
        let json = json!({
            "n": 1.5, "t": "now+1d", "l": ["a"], "s": "12345", "m": {"k": "12345"}, "e": "",
            "o": [{}, {"n": "x"}], "k": "graylist", "z": "a\0b", "y": {"a\0b": ""},
        });
        let fields = Fields::new(json.as_object().unwrap());
        fields.integer("n");
        fields.text("z", 9);
        fields.texts("y", 9);
        fields.moment("t");
        fields.integers("l");
        fields.text("s", 4);
        fields.texts("m", 4);
        fields.required_text("e", 4);
        fields.word("k", &[("whitelist", 1)]);
        for object in fields.objects("o").unwrap() {
            object.required_integer("n");
        }
        let expected = ["e", "k", "l", "m[k]", "n", "o[0][n]", "o[1][n]", "s", "t", "y", "z"];
        assert_eq!(problems(&fields), expected);
    }

    #[test]
    fn a_message_says_what_was_expected_and_what_was_found() {
        type Read = fn(&Fields<'_>) -> bool;
        let integer: Read = |fields| fields.integer("x").is_none();
        let integers: Read = |fields| fields.integers("x").is_none();
        let moment: Read = |fields| fields.moment("x").is_none();
        let word: Read = |fields| fields.word("x", &[("a", 1), ("b", 2)]).is_none();
        let text: Read = |fields| fields.text("x", 3).is_none();
        let table = [
            (integer, json!("7.5"), "The x must be an integer, not \"7.5\""),
            (integer, json!({}), "The x must be an integer, not an object"),
            (integers, json!([7, "8", "x"]), "The x must be a list of integers, but has \"x\" at 2"),
            (integers, json!({"07": 1}), "The x must be a list of at most 1000"),
            (moment, json!(1_893_628_800_000_i64), "The x looks like milliseconds (1893628800000)"),
            (moment, json!("2030-01-03T00:00:00"), "The x has no time zone"),
            (word, json!("c\u{7}"), "The x must be one of a, b, not \"c\\u{7}\""),
            (text, json!("abcd"), "The x must have at most 3 bytes, not 4"),
            (text, json!(true), "The x must be text, not true"),
        ];
        for (read, value, expected) in table {
            let json = json!({"x": value});
            let fields = Fields::new(json.as_object().unwrap());
            assert!(read(&fields), "{json}");
            let Err(Refused::Fields(problems)) = fields.finish() else { panic!("{json}") };
            assert!(problems["x"].starts_with(expected), "{json}: {}", problems["x"]);
        }
    }

    #[test]
    fn unambiguous_values_are_read() {
        let json = json!({
            "a": "7", "b": 7.0, "c": " 7 ", "d": "2030-01-03", "e": "2030-01-03T02:00:00 02:00", "f": " Whitelist",
            "g": " chf ", "h": ["7", 8.0],
        });
        let fields = Fields::new(json.as_object().unwrap());
        for name in ["a", "b", "c"] {
            assert_eq!(fields.integer(name), Some(7), "{name}");
        }
        assert_eq!(fields.moment("d"), Some(1_893_628_800));
        assert_eq!(fields.moment("e"), Some(1_893_628_800));
        assert_eq!(fields.word("f", &[("whitelist", 1)]), Some(1));
        assert_eq!(fields.code("g", 9).as_deref(), Some("CHF"));
        assert_eq!(fields.integers("h"), Some(vec![7, 8]));
        assert_eq!(problems(&fields), [""; 0]);
    }
}
