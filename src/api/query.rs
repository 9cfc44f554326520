//! Reads parameters of a query, and numbers in headers. Of a parameter that comes several times the last one
//! counts, as in a form.

use std::borrow::Cow;

/// The decoded value of the last parameter with this name; `None` inside when it is not percent-encoded UTF-8.
/// A parameter without `=` has an empty value. A `+` stands for itself.
#[must_use]
pub fn last<'q>(query: &'q str, name: &str) -> Option<Option<Cow<'q, str>>> {
    // The last one is the first from the end.
    let mut pairs = query.rsplit('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| decoded(value))
}

/// A positive whole number in decimal digits, with or without leading zeros, that fits into 32 bits.
#[must_use]
pub fn positive(text: &str) -> Option<u32> {
    // `parse` alone would take a sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number > 0)
}

/// How many changes a header such as `Entitlement-Seq` counts. Of several values, which runtimes join with commas,
/// the last one counts.
#[must_use]
pub fn seq(header: &str) -> Option<u64> {
    let last = header.rsplit(',').next()?.trim_ascii();
    if !last.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    last.parse().ok()
}

/// Text of a query: `%2F` is a slash, and everything else is itself. `None` when it is not UTF-8, or a percent
/// sign stands alone.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // `from_str_radix` alone would take a sign.
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
            let _ = (last(&query, "a"), seq(&query), positive(&query));
        }

        #[test]
        fn what_is_encoded_is_decoded(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(value(&format!("a={encoded}")), Some(Some(text)));
        }
    }
}
