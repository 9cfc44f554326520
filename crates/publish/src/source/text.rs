//! Repairs lines as real exports write them: byte order marks, halves of surrogate pairs, invalid UTF-8.
//!
//! Text that is only passed on is repaired, with U+FFFD in place of the damage. Text that names a record is
//! never repaired.

use serde_json::Value;

use super::problems::Problem;

/// U+FEFF in UTF-8. Some editors, spreadsheets and joined files put it before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// First bytes of files that are not UTF-8 text, with a description for the error.
const OTHER_FORMATS: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "a file compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "a file compressed with zstd"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
];

/// Paths of fields whose text is passed on and decides nothing. Positions in lists are left out.
const PASSED_ON: [&str; 15] = [
    "title",
    "name",
    "description",
    "content",
    "metadata[].value",
    "access_control_type.name",
    "item_type.description",
    "fees[].description",
    "fees[].trial_period.description",
    "fees[].setup_fee.description",
    "locales[].name",
    "licenses[].name",
    "accesses[].purchase.payment_method",
    "price_tier",
    "price_tier.",
];

/// The line without a leading byte order mark.
pub(crate) fn without_mark(line: &mut [u8]) -> &mut [u8] {
    let start = if line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    line.get_mut(start..).unwrap_or_default()
}

/// Describes a file that begins with `start` if it is not UTF-8 text.
pub(crate) fn other_format(start: &[u8]) -> Option<String> {
    let (_, found) = OTHER_FORMATS.iter().find(|(magic, _)| start.starts_with(magic))?;
    Some(format!("expected one JSON object a line in UTF-8, found {found}"))
}

/// The line with U+FFFD in place of invalid Unicode, and with control characters escaped. `None` if it needs
/// no repair.
pub(crate) fn repaired(line: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(line);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let (mut rest, mut is_text) = (bytes, false);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                is_text = !is_text;
                out.push(b'"');
            }
            b'\\' if is_text => rest = escape(after, &mut out),
            // JSON requires tabs and line ends inside text to be escaped.
            0..0x20 if is_text => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    (out != line).then_some(out)
}

/// Writes the escape at the front of `rest`, whose backslash has been read, and returns what follows it.
fn escape<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let keep = |length: usize, out: &mut Vec<u8>| {
        let (escape, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        out.push(b'\\');
        out.extend_from_slice(escape);
        after
    };
    match unit(rest) {
        // Not `\u` with four digits: leave it to the parser, which refuses it.
        None => keep(1, out),
        // The first half of a pair. With the second half, the pair has 11 characters after its first
        // backslash.
        Some(0xd800..0xdc00) => match rest.get(5..).and_then(|next| unit(next.strip_prefix(b"\\")?)) {
            Some(0xdc00..0xe000) => keep(11, out),
            _ => {
                out.extend_from_slice(b"\\ufffd");
                rest.get(5..).unwrap_or_default()
            }
        },
        Some(0xdc00..0xe000) => {
            out.extend_from_slice(b"\\ufffd");
            rest.get(5..).unwrap_or_default()
        }
        Some(_) => keep(5, out),
    }
}

/// The UTF-16 code unit of an escape such as `u00e9`.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Checks a repaired record: text that names something must not have been repaired.
///
/// # Errors
/// The first such field that contains U+FFFD.
pub(crate) fn check_repaired(record: &Value) -> Result<(), Problem> {
    check(record, &mut String::new(), &mut String::new())
}

fn check(value: &Value, place: &mut String, path: &mut String) -> Result<(), Problem> {
    let is_broken = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
    match value {
        Value::String(text) if is_broken(text) && !is_passed_on(path) => {
            let message = "expected Unicode text, found half a surrogate pair or bytes that are not UTF-8";
            return Err(Problem::new(place.clone(), message));
        }
        Value::Array(values) => {
            for (position, value) in values.iter().enumerate() {
                let lengths = (place.len(), path.len());
                place.push_str(&format!("[{position}]"));
                path.push_str("[]");
                check(value, place, path)?;
                place.truncate(lengths.0);
                path.truncate(lengths.1);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let lengths = (place.len(), path.len());
                // `place` is for messages and has positions; `path` is compared with `PASSED_ON` and has
                // none.
                let separator = if path.is_empty() { "" } else { "." };
                for text in [&mut *place, &mut *path] {
                    text.push_str(separator);
                    text.push_str(name);
                }
                check(value, place, path)?;
                place.truncate(lengths.0);
                path.truncate(lengths.1);
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_passed_on(path: &str) -> bool {
    PASSED_ON.iter().any(|field| if field.ends_with('.') { path.starts_with(field) } else { path == *field })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn repaired_text(line: &str) -> Option<String> {
        repaired(line.as_bytes()).map(|line| String::from_utf8(line).unwrap())
    }

    #[test]
    fn halves_of_surrogate_pairs_are_replaced_and_whole_ones_stay() {
        for (line, expected) in [
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\ude00""#, Some(r#""\ufffd""#)),
            (r#""a\uD83Db""#, Some(r#""a\ufffdb""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ude00\ud83d""#, Some(r#""\ufffd\ufffd""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\u00e9 \" \\ é""#, None),
            (r#""\ud8""#, None),
            (r#""\"#, None),
            ("\"a\tb\"", Some(r#""a\u0009b""#)),
            ("{\t\"a\":\t1}", None),
        ] {
            assert_eq!(repaired_text(line).as_deref(), expected, "{line}");
        }
        assert_eq!(repaired(b"\"caf\xe9\"").unwrap(), "\"caf\u{fffd}\"".as_bytes());
    }

    #[test]
    fn names_are_not_repaired() {
        let broken = "\u{fffd}";
        for good in [
            json!({"title": broken, "content": broken, "metadata": [{"name": "n", "value": broken}]}),
            json!({"fees": [{"description": broken, "trial_period": {"description": broken}}]}),
            json!({"licenses": [{"name": broken}], "price_tier": {"any": [broken]}}),
        ] {
            check_repaired(&good).unwrap();
        }
        for (wrong, field) in [
            (json!({"subject": broken}), "subject"),
            (json!({"clients": [{"client_id": "a"}, {"client_id": broken}]}), "clients[1].client_id"),
            (json!({"metadata": [{"name": broken}]}), "metadata[0].name"),
            (json!({"item_type": {"name": broken}}), "item_type.name"),
        ] {
            assert_eq!(check_repaired(&wrong).unwrap_err().field, field);
        }
    }

    #[test]
    fn other_formats_are_named() {
        assert!(other_format(b"\x1f\x8b\x08").unwrap().contains("gzip"));
        assert!(other_format(b"\xff\xfe{\0").unwrap().contains("UTF-16"));
        assert!(other_format(b"{\"type\"").is_none() && other_format(b"\xef\xbb\xbf{").is_none());
    }

    proptest! {
        #[test]
        fn repaired_text_is_unicode_and_stays_so(line in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(again) = repaired(&line) {
                prop_assert!(std::str::from_utf8(&again).is_ok());
                prop_assert_eq!(repaired(&again), None);
            }
        }

        #[test]
        fn a_readable_line_stays_as_it_is(text in ".*") {
            let line = serde_json::to_vec(&text).unwrap();
            prop_assert_eq!(repaired(&line), None);
        }
    }
}
