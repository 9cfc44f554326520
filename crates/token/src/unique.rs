//! JSON objects without duplicate members. Parsers disagree on which of two duplicates counts, and a token
//! must mean the same thing to every reader (RFC 7515 §4, RFC 7519 §4).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, error::Category};

use super::left_out::shortened;

/// Prefix of the error about a duplicate member. The member's name and its position follow.
const TWICE: &str = "member twice: ";

/// Reads a JSON object whose members are all distinct.
///
/// # Errors
/// The problem with the text, without any of its values.
pub(super) fn unique_members(json: &[u8]) -> Result<Map<String, Value>, String> {
    let Unique(members) = serde_json::from_slice(json).map_err(|error| {
        let text = error.to_string();
        match error.classify() {
            // Show the name of a duplicate member, but none of its values.
            Category::Data if text.starts_with(TWICE) => text,
            // Do not repeat the value that was found: it may be a secret in the wrong place.
            Category::Data => "not a JSON object".to_owned(),
            Category::Eof => "JSON that ends too early".to_owned(),
            Category::Syntax | Category::Io => format!("not JSON at byte {}", error.column()),
        }
    })?;
    Ok(members)
}

struct Unique(Map<String, Value>);

/// Its text does not matter: [`unique_members`] names the problem.
fn no_object<E: Error>() -> E {
    E::custom("not an object")
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            // By default each of these would describe the value, which links a printer of floating-point numbers.

            fn visit_bool<E: Error>(self, _: bool) -> Result<Unique, E> {
                Err(no_object())
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Unique, E> {
                Err(no_object())
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Unique, E> {
                Err(no_object())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Unique, E> {
                Err(no_object())
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Unique, E> {
                Err(no_object())
            }

            fn visit_unit<E: Error>(self) -> Result<Unique, E> {
                Err(no_object())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Unique, A::Error> {
                Err(no_object())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.contains_key(&name) {
                        return Err(Error::custom(format!("{TWICE}{:?}", shortened(&name))));
                    }
                    members.insert(name, value);
                }
                Ok(Unique(members))
            }
        }

        deserializer.deserialize_any(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_named_and_no_value_is_shown() {
        for (json, expected) in [
            (r#"{"sub":"secret","sub":"secret"}"#, r#"member twice: "sub""#),
            (r#"{"sub":"secret","\u0073ub":1}"#, r#"member twice: "sub""#),
            (r#""secret""#, "not a JSON object"),
            ("null", "not a JSON object"),
            (r#"["secret"]"#, "not a JSON object"),
            (r#"{"sub":"secret""#, "ends too early"),
            ("", "ends too early"),
            (r#"{"sub":secret}"#, "not JSON at byte 8"),
            (r#"{"sub":"secret"}secret"#, "not JSON at byte"),
        ] {
            let problem = unique_members(json.as_bytes()).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("secret"), "{json}: {problem}");
        }
        assert_eq!(unique_members(br#"{"a":{"x":1,"x":2},"b":null}"#).unwrap().len(), 2);
    }
}
