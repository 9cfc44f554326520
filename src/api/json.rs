//! The one JSON writer of the service.

use serde::Serialize;

/// `value` as JSON text. `Display` of `Value` would add two more writers to the Worker, one of them with indentation.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    // Serializing fails only for maps whose keys are not text, and no caller has one.
    serde_json::to_string(value).unwrap_or_default()
}
