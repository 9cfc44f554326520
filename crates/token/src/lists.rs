//! Lists as JSON writers spell them: arrays, PHP's objects with numbered names, and single values.

use serde_json::Value;

/// The elements of an array, or of an object whose names are numbers. PHP writes a list with a gap as
/// `{"0":"a","2":"b"}`, and an empty list as `{}` when it is told to write objects. `null` elements are left
/// out.
pub(super) fn elements(value: &Value) -> Option<Vec<&Value>> {
    let present = |value: &&Value| !value.is_null();
    match value {
        Value::Array(values) => Some(values.iter().filter(present).collect()),
        Value::Object(members) => {
            // Sort by number: the map sorts by text, which puts "10" before "2".
            let mut numbered: Vec<(u32, &Value)> =
                members.iter().map(|(name, value)| Some((index(name)?, value))).collect::<Option<_>>()?;
            numbered.sort_unstable_by_key(|(index, _)| *index);
            Some(numbered.into_iter().map(|(_, value)| value).filter(present).collect())
        }
        _ => None,
    }
}

/// A list of texts, or one text. `null` is an empty list.
pub(super) fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(vec![text]),
        other => elements(other)?.into_iter().map(Value::as_str).collect(),
    }
}

/// Reads a number in PHP's canonical form: without a sign or leading zeros.
fn index(name: &str) -> Option<u32> {
    // PHP turns a name into a number only in this form.
    let is_canonical = name == "0" || !name.starts_with('0');
    if is_canonical && name.bytes().all(|byte| byte.is_ascii_digit()) { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_in_every_spelling() {
        for (value, expected) in [
            (json!(["a", "b"]), Some(vec!["a", "b"])),
            (json!({"0": "a", "2": "b"}), Some(vec!["a", "b"])),
            (json!({"10": "b", "2": "a"}), Some(vec!["a", "b"])),
            (json!(["a", null, "b"]), Some(vec!["a", "b"])),
            (json!([]), Some(vec![])),
            (json!({}), Some(vec![])),
            (json!(null), Some(vec![])),
            (json!("a b"), Some(vec!["a b"])),
            (json!({"a": "b"}), None),
            (json!({"0": "a", "x": "b"}), None),
            (json!({"00": "a"}), None),
            (json!({"-1": "a"}), None),
            (json!({"": "a"}), None),
            (json!({"4294967296": "a"}), None),
            (json!(["a", 1]), None),
            (json!([["a"]]), None),
            (json!(1), None),
            (json!(true), None),
        ] {
            assert_eq!(texts(&value), expected, "{value}");
        }
    }
}
