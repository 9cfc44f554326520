//! `application/x-www-form-urlencoded` with PHP's nesting: `metadata[foo]=bar`, `add_asset_ids[]=7`,
//! `access_fees[0][amount]=2`. Every value is text; a list is an object whose names are its positions.

use serde_json::{Map, Value};

use super::Refused;
use crate::limits::{FORM_MAX_DEPTH, FORM_MAX_FIELDS};

/// Reads a form. Of two values of the same name the last one counts, as in PHP.
///
/// # Errors
/// 422 when it has too many fields, or they are nested too deeply.
pub fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    let mut form = Map::new();
    for (position, (name, value)) in form_urlencoded::parse(bytes).enumerate() {
        if position >= FORM_MAX_FIELDS {
            return Err(Refused::field("body", "The body has too many fields"));
        }
        let path = path(&name);
        if path.len() > FORM_MAX_DEPTH + 1 {
            return Err(Refused::field("body", "The body is nested too deeply"));
        }
        insert(&mut form, &path, value.into_owned());
    }
    Ok(form)
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
                path.push(segment);
                rest = after;
            }
            None => return vec![name],
        }
    }
    path
}

fn insert(object: &mut Map<String, Value>, path: &[&str], value: String) {
    let Some((first, rest)) = path.split_first() else { return };
    let name = if first.is_empty() { next_position(object) } else { (*first).to_owned() };
    if rest.is_empty() {
        object.insert(name, Value::String(value));
        return;
    }
    let entry = object.entry(name).or_insert(Value::Null);
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    if let Value::Object(inner) = entry {
        insert(inner, rest, value);
    }
}

/// What `[]` stands for: one more than the largest position so far.
fn next_position(object: &Map<String, Value>) -> String {
    let largest = object.keys().filter_map(|name| name.parse::<u32>().ok()).max();
    largest.map_or(0, |largest| u64::from(largest) + 1).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Value {
        Value::Object(parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn nesting_as_php_has_it() {
        let table = [
            ("", json!({})),
            ("a=1&b=x+y%26z", json!({"a": "1", "b": "x y&z"})),
            ("metadata[foo]=bar&metadata[x]=", json!({"metadata": {"foo": "bar", "x": ""}})),
            ("ids[0]=7&ids[1]=8", json!({"ids": {"0": "7", "1": "8"}})),
            ("ids[]=7&ids[]=8&ids[5]=9&ids[]=10", json!({"ids": {"0": "7", "1": "8", "5": "9", "6": "10"}})),
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
        ];
        for (text, expected) in table {
            assert_eq!(parsed(text), expected, "{text}");
        }
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

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in any::<Vec<u8>>(), text in "[a\\[\\]=&%0-9]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
