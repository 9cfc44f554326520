//! Bodies that clients send, and errors that they get.

pub mod error;
pub mod fields;
pub mod form;

pub use error::Refused;
pub use fields::Fields;

use crate::limits::BODY_MAX_BYTES;
use admit::api::error::ApiError;
use serde_json::{Map, Value};

/// The body of a request, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is longer than [`BODY_MAX_BYTES`].
    TooLarge,
    /// It broke off, or took too long.
    Interrupted,
}

/// Reads a body as an object: a form with PHP's nesting, or JSON. An empty body is an object without fields.
///
/// # Errors
/// 413, 415, or 422 with what is wrong.
pub fn read(content_type: &str, body: &Body) -> Result<Map<String, Value>, Refused> {
    let bytes = match body {
        Body::Whole(bytes) => bytes,
        Body::TooLarge => return Err(ApiError::BodyTooLarge(BODY_MAX_BYTES).into()),
        Body::Interrupted => return Err(Refused::Status(400, "The body broke off")),
    };
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/x-www-form-urlencoded" => form::parse(bytes),
        "application/json" => match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Refused::field("body", "The body must be a JSON object")),
            Err(_) => Err(Refused::field("body", "The body must be JSON")),
        },
        _ => Err(Refused::Status(415, "Unsupported media type")),
    }
}
