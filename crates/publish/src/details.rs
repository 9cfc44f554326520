//! The rendered details of a published item.

use admit_snapshot::item::ItemRecord;
use serde_json::{Map, Value};

/// An item's title.
pub fn title(item: &ItemRecord<'_>) -> Option<String> {
    item.title()
}

/// Parses a JSON object that was rendered without its opening brace.
pub fn object(details: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(&format!("{{{details}")).ok()
}
