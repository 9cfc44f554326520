//! The rendered details of a published item.

use crate::item::ItemRecord;
use serde_json::{Map, Value};

/// An item's title.
#[must_use]
pub fn title(item: &ItemRecord<'_>) -> Option<String> {
    item.title()
}

/// Parses a JSON object that was rendered without its opening brace.
#[must_use]
pub fn object(details: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(["{", details].concat().as_bytes()).ok()
}
