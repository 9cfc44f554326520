//! JSON of what we write ourselves.

use serde::Serialize;

/// `value` as JSON. Not by `Display` of `Value`, which would bring two more writers into the Worker, one of them for
/// people.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    // It fails only for maps with other keys than text, and there are none.
    serde_json::to_string(value).unwrap_or_default()
}
