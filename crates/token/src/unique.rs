//! JSON objects in which no member may occur twice. Parsers disagree on which of two counts, and a token must
//! not mean one thing here and another thing elsewhere (RFC 7515 §4, RFC 7519 §4).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value, error::Category};

use super::left_out::shortened;

/// How the error of a member that comes twice begins; its name follows, and where it stands.
const TWICE: &str = "member twice: ";

/// The members of a JSON object, none of which comes twice.
///
/// # Errors
/// What is wrong with it, without any of its values.
pub(super) fn unique_members(json: &[u8]) -> Result<Map<String, Value>, String> {
    let Unique(members) = serde_json::from_slice(json).map_err(|error| {
        let text = error.to_string();
        match error.classify() {
            Category::Data if text.starts_with(TWICE) => text,
            // What was found instead is not repeated: it may be a secret in the wrong place.
            Category::Data => "not a JSON object".to_owned(),
            Category::Eof => "JSON that ends too early".to_owned(),
            Category::Syntax | Category::Io => format!("not JSON at byte {}", error.column()),
        }
    })?;
    Ok(members)
}

struct Unique(Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
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

        deserializer.deserialize_map(Members)
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
