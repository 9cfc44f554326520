//! Variables that hold a list.

use serde_json::Value;

/// The parts of a list: separated by commas, semicolons or blanks, or a JSON array of texts, as which wrangler passes a
/// list in `wrangler.toml` on. `of` names the parts in messages.
///
/// # Errors
/// The text begins like an array and is not an array of texts.
pub fn parts(text: &str, of: &str) -> Result<Vec<String>, String> {
    let text = text.trim();
    if !text.starts_with('[') {
        let parts = text.split(|c: char| matches!(c, ',' | ';') || c.is_whitespace());
        return Ok(parts.filter(|part| !part.is_empty()).map(str::to_owned).collect());
    }
    let array = serde_json::from_slice::<Value>(text.as_bytes());
    let array = array.map_err(|error| format!("expected a list of {of}: {error}"))?;
    let values = array.as_array().into_iter().flatten();
    let quoted = |value: &Value| value.as_str().map(|text| text.trim().to_owned());
    values.map(quoted).collect::<Option<_>>().ok_or_else(|| format!("expected a list of {of} in quotes"))
}
