//! Splits a JWKS document into its entries. Configured, fetched and cached documents all pass through this
//! reader.

use admit_snapshot::limits::JWKS_MAX_BYTES;
use serde_json::Value;

use super::{keys::KeySetError, lists};

/// First bytes of documents that are not UTF-8 JSON, with the text for the error.
const NOT_JSON: [(&[u8], &str); 5] = [
    (&[0x1f, 0x8b], "compressed with gzip; it needs the header Content-Encoding: gzip, or no compression"),
    (&[0xff, 0xfe], "UTF-16; UTF-8 is expected"),
    (&[0xfe, 0xff], "UTF-16; UTF-8 is expected"),
    (b"<", "HTML or XML, not JSON"),
    (b"-----BEGIN", "PEM, not JSON"),
];

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Splits a document into entries, each to be judged by itself: the elements of the array `keys`, the
/// elements of a bare array, or a bare key.
///
/// # Errors
/// The document is too long, not JSON, or has no list of keys.
pub(super) fn entries(document: &[u8]) -> Result<Vec<Value>, KeySetError> {
    if document.len() > JWKS_MAX_BYTES {
        return Err(KeySetError::TooLong { bytes: document.len() });
    }
    let document = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document).trim_ascii_start();
    if let Some((_, problem)) = NOT_JSON.iter().find(|(beginning, _)| document.starts_with(beginning)) {
        return Err(KeySetError::Malformed(problem));
    }
    // Invalid UTF-8 costs only the entry that contains it.
    let text = String::from_utf8_lossy(document);
    let value = serde_json::from_slice(text.as_bytes()).map_err(|error| {
        KeySetError::Malformed(if error.is_eof() { "cut off, or empty" } else { "not JSON" })
    })?;
    list(value).ok_or(KeySetError::Malformed("not an object whose member keys is an array"))
}

fn list(document: Value) -> Option<Vec<Value>> {
    match document {
        Value::Array(entries) => Some(entries),
        Value::Object(mut members) => match members.remove("keys") {
            // The document is a single key.
            None if members.contains_key("kty") => Some(vec![Value::Object(members)]),
            None => None,
            Some(Value::Array(entries)) => Some(entries),
            Some(other) => lists::elements(&other).map(|entries| entries.into_iter().cloned().collect()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_in_every_shape() {
        let count = |text: &str| entries(text.as_bytes()).map(|entries| entries.len());
        for (text, expected) in [
            (r#"{"keys":[{},1,null]}"#, 3),
            ("\u{feff}{\"keys\":[{}]}", 1),
            (" \n{\"keys\":[{}],\"x\":1}", 1),
            (r#"{"keys":{"0":{},"2":{}}}"#, 2),
            (r#"[{},{}]"#, 2),
            (r#"{"kty":"RSA"}"#, 1),
            (r#"{"keys":[]}"#, 0),
        ] {
            assert_eq!(count(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("", "cut off"),
            (r#"{"keys":["#, "cut off"),
            ("<html>", "HTML"),
            ("<?xml?>", "HTML or XML"),
            ("keys", "not JSON"),
            ("{}", "member keys"),
            ("null", "member keys"),
            (r#"{"keys":1}"#, "member keys"),
            (r#"{"keys":null}"#, "member keys"),
            (r#"{"keys":{"a":{}}}"#, "member keys"),
            ("-----BEGIN PUBLIC KEY-----", "PEM"),
        ] {
            let error = count(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for (bytes, expected) in [(&[0x1f, 0x8b, 8][..], "gzip"), (&[0xff, 0xfe, b'{', 0], "UTF-16")] {
            let error = entries(bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(entries(b"{\"keys\":[{\"kid\":\"\xff\"},{}]}").unwrap().len(), 2);
    }
}
