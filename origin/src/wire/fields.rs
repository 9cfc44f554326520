//! Fields of a body, read one by one; what is wrong with each is collected under its name, so that a client
//! learns all of it at once.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use admit::snapshot::time::{Timestamp, UnixSecs, ZonedTime};
use serde_json::{Map, Number, Value};

use super::Refused;
use crate::limits::LIST_MAX;

/// The fields of an object.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// `access_fees[0]` for what is nested, empty at the top.
    path: String,
    problems: Rc<RefCell<BTreeMap<String, String>>>,
}

impl<'a> Fields<'a> {
    /// The fields of a body.
    #[must_use]
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, path: String::new(), problems: Rc::default() }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 422 with everything that was wrong.
    pub fn finish(&self) -> Result<(), Refused> {
        let problems = self.problems.take();
        if problems.is_empty() { Ok(()) } else { Err(Refused::Fields(problems)) }
    }

    /// Notes what is wrong with a field.
    pub fn wrong(&self, name: &str, expected: &str) {
        let field = self.field(name);
        let problem = format!("The {field} {expected}");
        self.problems.borrow_mut().entry(field).or_insert(problem);
    }

    /// Whether the field was sent, be it as null or empty.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// The value, unless it is null or an empty text: a form has no other way to send nothing.
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn required<T>(&self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.wrong(name, "is required");
        }
        value
    }

    /// Text of at most `max_bytes`.
    pub fn text(&self, name: &str, max_bytes: usize) -> Option<String> {
        match self.value(name)? {
            Value::String(text) if text.len() <= max_bytes => Some(text.clone()),
            Value::String(_) => self.no(name, &format!("must have at most {max_bytes} bytes")),
            Value::Number(number) => Some(number.to_string()),
            _ => self.no(name, "must be text"),
        }
    }

    /// Text that has to be there.
    pub fn required_text(&self, name: &str, max_bytes: usize) -> Option<String> {
        self.required(name, self.text(name, max_bytes))
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        let number = match self.value(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.or_else(|| self.no(name, "must be an integer"))
    }

    /// A whole number that has to be there.
    pub fn required_integer(&self, name: &str) -> Option<i64> {
        self.required(name, self.integer(name))
    }

    /// A number, as JSON has it. Nothing and no problem noted when it is none: see the caller.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<Number> {
        match self.value(name)? {
            Value::Number(number) => Some(number.clone()),
            // Parsed as JSON: no sign `+`, no `inf`, no blanks, no hexadecimals.
            Value::String(text) if text.trim() == text => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    /// Yes or no.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "true" || text == "1" => Some(true),
            Value::String(text) if text == "false" || text == "0" => Some(false),
            _ => self.no(name, "must be true or false"),
        }
    }

    /// A moment: RFC 3339 or unix seconds.
    pub fn moment(&self, name: &str) -> Option<UnixSecs> {
        let value = self.value(name)?;
        let moment = match value {
            Value::String(text) if text.parse::<i64>().is_ok() => text.parse().ok(),
            _ => match serde_json::from_value::<ZonedTime>(value.clone()) {
                Ok(ZonedTime { at: Timestamp::At(secs), .. }) => Some(secs),
                // Moments that are relative to publishing are for samples.
                Ok(_) | Err(_) => None,
            },
        };
        moment.or_else(|| self.no(name, "must be a time in RFC 3339 or unix seconds"))
    }

    /// One of these words.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.value(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(*word));
        found.map(|(_, value)| *value).or_else(|| {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.no(name, &format!("must be one of {}", names.join(", ")))
        })
    }

    /// Names and texts: an object, or a list of objects with `name` and `value`.
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
                object
                    .keys()
                    .map(|key| Some((key.clone(), inner.text(key, max_bytes).unwrap_or_default())))
                    .collect()
            }
            Some(_) => self.no(name, &format!("must have at most {LIST_MAX} names with values")),
        }
    }

    /// Whole numbers, in their order.
    pub fn integers(&self, name: &str) -> Option<Vec<i64>> {
        let values = self.list(name)?;
        let numbers = values.iter().map(|(_, value)| match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        numbers.collect::<Option<_>>().or_else(|| self.no(name, "must be a list of integers"))
    }

    /// Objects, in their order.
    pub fn objects(&self, name: &str) -> Option<Vec<Fields<'a>>> {
        let values = self.list(name)?;
        let objects = values
            .iter()
            .map(|(position, value)| Some(self.inner(&format!("{name}[{position}]"), value.as_object()?)));
        objects.collect::<Option<_>>().or_else(|| self.no(name, "must be a list of objects"))
    }

    /// A list: an array, or - in a form - an object whose names are positions.
    fn list(&self, name: &str) -> Option<Vec<(u32, &'a Value)>> {
        let list: Option<Vec<_>> = match self.value(name)? {
            Value::Array(values) => Some((0..).zip(values).collect()),
            Value::Object(object) => {
                let entries = object.iter().map(|(name, value)| Some((name.parse().ok()?, value)));
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
        Fields { object, path: self.field(name), problems: Rc::clone(&self.problems) }
    }

    fn field(&self, name: &str) -> String {
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
        let form = form::parse(
            b"n=7&x=2.50&b=1&t=2026-01-31T12:00:00Z&u=-5&m[k]=v&l[1]=8&l[0]=7&o[0][n]=3&k=whitelist",
        )
        .unwrap();
        let json = json!({
            "n": 7, "x": 2.50, "b": true, "t": "2026-01-31T14:00:00+02:00", "u": -5, "m": {"k": "v"}, "l": [7, 8],
            "o": [{"n": 3}], "k": "whitelist",
        });
        for object in [&form, json.as_object().unwrap()] {
            let fields = Fields::new(object);
            assert_eq!(fields.integer("n"), Some(7));
            assert_eq!(fields.number("x").unwrap().as_f64(), Some(2.5));
            assert_eq!(fields.boolean("b"), Some(true));
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
    fn everything_that_is_wrong_is_told_under_its_name() {
        let json = json!({
            "n": 1.5, "b": "yes", "t": "now+1d", "l": ["a"], "s": "12345", "m": {"k": "12345"}, "e": "",
            "o": [{}, {"n": "x"}], "k": "Whitelist",
        });
        let fields = Fields::new(json.as_object().unwrap());
        fields.integer("n");
        fields.boolean("b");
        fields.moment("t");
        fields.integers("l");
        fields.text("s", 4);
        fields.texts("m", 4);
        fields.required_text("e", 4);
        fields.word("k", &[("whitelist", 1)]);
        for object in fields.objects("o").unwrap() {
            object.required_integer("n");
        }
        let expected = ["b", "e", "k", "l", "m[k]", "n", "o[0][n]", "o[1][n]", "s", "t"];
        assert_eq!(problems(&fields), expected);
    }
}
