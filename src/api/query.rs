//! Readers of query parameters and of numbers in headers. If a parameter is repeated, the last value counts, as in a
//! form.

use std::borrow::Cow;

use serde_json::Value;

use super::media_type::MediaType;

/// The decoded value of the last parameter with this name. The inner `None` is a value that is not percent-encoded UTF-8.
/// A parameter without `=` has an empty value. A `+` stands for itself.
#[must_use]
pub fn last<'q>(query: &'q str, name: &str) -> Option<Option<Cow<'q, str>>> {
    // From the end, so that the first match is the last parameter.
    let mut pairs = query.rsplit('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| decoded(value))
}

/// The decoded value of the last field with this name in a form's body, as servers read forms: names are decoded too, `+`
/// is a blank, a percent sign without two digits stands for itself, and a byte order mark is skipped. `None` if the form
/// has no such field, or if its value is not UTF-8.
#[must_use]
pub fn last_of_form(body: &[u8], name: &str) -> Option<String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value = body.rsplit(|byte| *byte == b'&').find_map(|field| {
        let mut parts = field.splitn(2, |byte| *byte == b'=');
        let known = unescaped(parts.next().unwrap_or_default());
        (known == name.as_bytes()).then(|| parts.next().unwrap_or_default())
    });
    String::from_utf8(unescaped(value?)).ok()
}

/// The text of a field of a form's or a JSON object's body.
#[must_use]
pub fn field_of_body(content_type: &str, body: &[u8], name: &str) -> Option<String> {
    if MediaType::parse(content_type)?.is_form() {
        return last_of_form(body, name);
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.get(name)?.as_str()?.to_owned())
}

fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.split_first_chunk::<2>().filter(|_| *byte == b'%');
        let code = escaped.and_then(|(digits, after)| Some((hex(digits)?, after)));
        let (byte, after) = code.unwrap_or((if *byte == b'+' { b' ' } else { *byte }, after));
        plain.push(byte);
        rest = after;
    }
    plain
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low] = *digits;
    Some(digit(high)? << 4 | digit(low)?)
}

/// A positive whole number in decimal digits, with or without leading zeros, that fits into 32 bits.
#[must_use]
pub fn positive(text: &str) -> Option<u32> {
    // `parse` alone would accept a sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number > 0)
}

/// The number in a header such as `Entitlement-Seq`. Runtimes join the values of a repeated header with commas; the last
/// one counts.
#[must_use]
pub fn seq(header: &str) -> Option<u64> {
    let last = header.rsplit(',').next()?.trim_ascii();
    if !last.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    last.parse().ok()
}

/// Decodes the percent signs of a query and leaves all else as it is. `None` if the result is not UTF-8, or if a percent
/// sign is not followed by two hexadecimal digits.
pub fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // `from_str_radix` alone would accept a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(query: &str) -> Option<Option<String>> {
        last(query, "a").map(|value| value.map(Cow::into_owned))
    }

    #[test]
    fn the_last_parameter_counts() {
        let text = |text: &str| Some(Some(text.to_owned()));
        for (query, expected) in [
            ("", None),
            ("b=1&A=2&aa=3", None),
            ("a=1", text("1")),
            ("a=1&b=2&a=3", text("3")),
            ("a=%&a=3", text("3")),
            ("a", text("")),
            ("a=", text("")),
            ("a=b=c", text("b=c")),
            ("a=%32%35", text("25")),
            ("a=x+y", text("x+y")),
            ("a=%c3%A9", text("é")),
            ("a=%", Some(None)),
            ("a=%+1", Some(None)),
            ("a=%ff", Some(None)),
        ] {
            assert_eq!(value(query), expected, "{query}");
        }
    }

    #[test]
    fn forms_are_read_as_servers_read_them() {
        for (body, expected) in [
            ("a=1&a=3", Some("3")),
            ("a=x+y%2B%c3%A9", Some("x y+é")),
            ("%61=5", Some("5")),
            ("\u{feff}a=5", Some("5")),
            ("a=%", Some("%")),
            ("a=%4", Some("%4")),
            ("a=%+1", Some("% 1")),
            ("a=%zz&&b", Some("%zz")),
            ("a", Some("")),
            ("a=b=c", Some("b=c")),
            ("b=1", None),
            ("", None),
            ("a=%ff", None),
        ] {
            assert_eq!(last_of_form(body.as_bytes(), "a").as_deref(), expected, "{body}");
        }
        assert_eq!(last_of_form(b"a=\xff", "a"), None);
    }

    #[test]
    fn numbers() {
        for (text, expected) in [
            ("1", Some(1)),
            ("007", Some(7)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("0", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1.0", None),
            ("1e3", None),
            (" 1", None),
            ("٣", None),
        ] {
            assert_eq!(positive(text), expected, "{text}");
        }
    }

    #[test]
    fn counts_of_changes() {
        for (header, expected) in [
            ("5", Some(5)),
            (" 5 ", Some(5)),
            ("5, 7", Some(7)),
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("-5", None),
            ("+5", None),
            ("5.0", None),
            ("x", None),
        ] {
            assert_eq!(seq(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_panic(query in "[a=&%0-9é+]{0,30}") {
            let _ = (last(&query, "a"), last_of_form(query.as_bytes(), "a"), seq(&query), positive(&query));
        }

        #[test]
        fn what_is_encoded_is_decoded(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(last_of_form(format!("a={encoded}").as_bytes(), "a"), Some(text.clone()));
            prop_assert_eq!(value(&format!("a={encoded}")), Some(Some(text)));
        }
    }
}
