//! JSON of what we write ourselves.

use serde::Serialize;

/// `value` as JSON. By `serde_json::to_string`, because `Display` of its `Value` would bring two more writers along,
/// the pretty one among them.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    // It fails only for maps with other keys than text, and there are none.
    serde_json::to_string(value).unwrap_or_default()
}
