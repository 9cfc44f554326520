//! The JSON writers of the service.

use serde::Serialize;

/// `value` as JSON text. `Display` of `Value` would add two more writers to the Worker, one of them with indentation.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    // Serializing fails only for maps whose keys are not text, and no caller has one.
    serde_json::to_string(value).unwrap_or_default()
}

/// A JSON object that is written member by member.
#[derive(Debug, Default)]
pub struct Object(String);

impl Object {
    /// Adds a member that is text, or `null`.
    pub fn text(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.raw(name, &json(text)),
            None => self.raw(name, "null"),
        }
    }

    /// Adds a member that is a number, or `null`.
    pub fn number(&mut self, name: &str, number: Option<i64>) -> &mut Self {
        match number {
            Some(number) => self.raw(name, itoa::Buffer::new().format(number)),
            None => self.raw(name, "null"),
        }
    }

    /// Adds a member that is a boolean.
    pub fn flag(&mut self, name: &str, flag: bool) -> &mut Self {
        self.raw(name, if flag { "true" } else { "false" })
    }

    /// Adds a member whose value is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        for part in [",\"", name, "\":", json] {
            self.0.push_str(part);
        }
        self
    }

    /// The members, each with a comma before it.
    #[must_use]
    pub fn members(self) -> String {
        self.0
    }

    /// The object.
    #[must_use]
    pub fn end(&self) -> String {
        ["{", self.0.strip_prefix(',').unwrap_or_default(), "}"].concat()
    }
}

/// A JSON array of values that are JSON already.
#[must_use]
pub fn array(values: &[String]) -> String {
    ["[", &values.join(","), "]"].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn objects_are_written_member_by_member() {
        assert_eq!(Object::default().end(), "{}");
        let mut object = Object::default();
        object.text("a", Some("\"\n")).text("b", None).number("c", Some(-1)).number("d", None);
        object.flag("e", true).raw("f", &array(&["1".to_owned(), "{}".to_owned()])).raw("g", &array(&[]));
        let expected = json!({"a": "\"\n", "b": null, "c": -1, "d": null, "e": true, "f": [1, {}], "g": []});
        assert_eq!(serde_json::from_str::<Value>(&object.end()).unwrap(), expected);
    }
}
