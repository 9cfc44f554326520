//! Media types as `Content-Type` names them (RFC 9110 §8.3), read the same way in requests and in answers.
//!
//! ```
//! use admit::api::media_type::MediaType;
//!
//! let json = MediaType::parse(r#"APPLICATION/Problem+JSON; Charset="UTF-8""#).unwrap();
//! assert!(json.is_json() && json.is_utf8());
//! assert!(MediaType::parse("json").is_none());
//! ```

/// A media type with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    main: &'a str,
    subtype: &'a str,
    /// What follows the first semicolon.
    parameters: &'a str,
}

impl<'a> MediaType<'a> {
    /// Reads the value of a `Content-Type` header. `None` if it is not `type/subtype`, or if the header was sent
    /// several times with different types.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        // Runtimes join the values of a repeated header with commas.
        let (first, mut rest) = split_unquoted(value, b',');
        let media_type = Self::parse_one(first)?;
        while let Some(others) = rest {
            let (other, further) = split_unquoted(others, b',');
            let other = Self::parse_one(other)?;
            if !other.has_same_type(media_type) || other.is_utf8() != media_type.is_utf8() {
                return None;
            }
            rest = further;
        }
        Some(media_type)
    }

    fn parse_one(value: &'a str) -> Option<Self> {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let (main, subtype) = essence.trim_ascii().split_once('/')?;
        let is_valid = is_token(main) && is_token(subtype);
        is_valid.then_some(Self { main, subtype, parameters })
    }

    fn has_same_type(self, other: Self) -> bool {
        self.main.eq_ignore_ascii_case(other.main) && self.subtype.eq_ignore_ascii_case(other.subtype)
    }

    /// Whether the body is JSON: `application/json`, `text/json`, or any type with the suffix `+json`, such as
    /// `application/problem+json` (RFC 6839 §3.1).
    #[must_use]
    pub fn is_json(self) -> bool {
        let has_suffix = self
            .subtype
            .rsplit_once('+')
            .is_some_and(|(name, suffix)| !name.is_empty() && suffix.eq_ignore_ascii_case("json"));
        let is_plain = self.subtype.eq_ignore_ascii_case("json")
            && ["application", "text"].iter().any(|main| self.main.eq_ignore_ascii_case(main));
        has_suffix || is_plain
    }

    /// Whether the body is `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn is_form(self) -> bool {
        self.main.eq_ignore_ascii_case("application")
            && self.subtype.eq_ignore_ascii_case("x-www-form-urlencoded")
    }

    /// Whether it is this type and no other name of it.
    #[must_use]
    pub fn is(self, main: &str, subtype: &str) -> bool {
        self.main.eq_ignore_ascii_case(main) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// Whether the body is plain text.
    #[must_use]
    pub fn is_plain_text(self) -> bool {
        self.is("text", "plain")
    }

    /// Whether the body is UTF-8 as far as the `charset` parameter says: it is absent, UTF-8, or ASCII, which is a
    /// part of UTF-8.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        let mut rest = Some(self.parameters);
        while let Some(parameters) = rest {
            let (parameter, further) = split_unquoted(parameters, b';');
            rest = further;
            let Some((name, value)) = parameter.split_once('=') else { continue };
            if name.trim_ascii().eq_ignore_ascii_case("charset") && !is_utf8_label(value) {
                return false;
            }
        }
        true
    }
}

/// Whether a charset's name, in quotes or not, stands for UTF-8 or a part of it.
fn is_utf8_label(value: &str) -> bool {
    // A quoted string may escape any character; none of these names needs it.
    let unescaped = value.replace('\\', "");
    let label = unescaped.trim_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\''));
    ["", "utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| label.eq_ignore_ascii_case(known))
}

/// `text` up to the first `separator` outside of a quoted string, and what follows it, if there is one.
fn split_unquoted(text: &str, separator: u8) -> (&str, Option<&str>) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                return (text.get(..at).unwrap_or_default(), text.get(at + 1..));
            }
            _ => {}
        }
    }
    (text, None)
}

/// Whether `text` is a token (RFC 9110 §5.6.2): the name of a header, a type, a method.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_char)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_by_any_of_its_names() {
        for value in [
            "application/json",
            "APPLICATION/JSON",
            " application/json ; charset=utf-8",
            "application/json;",
            "application/problem+json",
            "application/vnd.api+json; ext=\"https://jsonapi.org/ext/atomic\"",
            "application/hal+JSON;charset=UTF-8",
            "text/json",
            "application/json, application/json; charset=utf-8",
        ] {
            assert!(MediaType::parse(value).is_some_and(MediaType::is_json), "{value}");
        }
        for value in [
            "",
            "json",
            "/json",
            "application/",
            "application/jsonx",
            "application/+json",
            "application/json-seq",
            "application/x-ndjson",
            "text/html; profile=application/json",
            "text/html; x=\"a, application/json\"",
            "application/json, text/html",
            "application json",
            "application/js\u{f6}n",
        ] {
            assert!(!MediaType::parse(value).is_some_and(MediaType::is_json), "{value}");
        }
    }

    #[test]
    fn forms() {
        let is_form = |value| MediaType::parse(value).is_some_and(MediaType::is_form);
        assert!(is_form("application/x-www-form-urlencoded"));
        assert!(is_form("Application/X-WWW-Form-URLEncoded; charset=UTF-8"));
        assert!(!is_form("multipart/form-data; boundary=x") && !is_form("x-www-form-urlencoded"));
    }

    #[test]
    fn charsets_that_are_utf8() {
        for parameters in [
            "",
            ";",
            "; charset=utf-8",
            ";CHARSET=UTF8",
            "; charset=\"utf-8\"",
            "; charset='utf-8'",
            "; charset = utf-8 ",
            "; charset=\"u\\tf-8\"",
            "; charset=us-ascii",
            "; charset=",
            "; boundary=\"a; charset=latin1\"",
            "; version=1; charset=utf-8; q=1",
        ] {
            let value = ["application/json", parameters].concat();
            assert!(MediaType::parse(&value).unwrap().is_utf8(), "{value}");
        }
        for parameters in [
            "; charset=ISO-8859-1",
            "; charset=\"windows-1252\"",
            "; charset=utf-16",
            "; q=\"a;b\\\"c\"; charset=latin1",
            "; charset=utf-8; charset=latin1",
        ] {
            let value = ["application/json", parameters].concat();
            assert!(!MediaType::parse(&value).unwrap().is_utf8(), "{value}");
        }
        assert!(MediaType::parse("text/plain; charset=utf-8, text/plain; charset=latin1").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), odd in "[a/;=\", \\\\+]{0,30}") {
            for text in [text, odd] {
                let _ = MediaType::parse(&text).map(|found| (found.is_json(), found.is_utf8()));
            }
        }
    }
}
