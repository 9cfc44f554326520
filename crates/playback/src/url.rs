//! URLs of media: which may be signed, and their parts.

use admit_token::check_url;

use crate::{error::SignError, limits::URL_MAX_BYTES};

/// A URL of media that an entry may sign: `https` (or `http` on this machine), a plain path, perhaps a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediaUrl<'a> {
    text: &'a str,
    scheme: &'a str,
    authority: &'a str,
    path: &'a str,
}

impl<'a> MediaUrl<'a> {
    /// Splits a URL into its parts.
    ///
    /// Paths that two servers may read in two ways are refused: `..`, `//`, `\`, encoded slashes and dots, and the
    /// characters that are wildcards or delimiters in signed policies (`*`, `!`, `~`, `|`).
    pub fn parse(text: &'a str) -> Result<Self, SignError> {
        let malformed = |problem| SignError::Malformed(problem);
        if text.len() > URL_MAX_BYTES {
            return Err(malformed("the URL is longer than 2048 bytes"));
        }
        check_url(text).map_err(|_| malformed("expected an https URL without credentials or a fragment"))?;
        let (scheme, rest) = text.split_once("://").ok_or(malformed("expected an https URL"))?;
        let (target, query) = rest.split_once('?').unwrap_or((rest, ""));
        let slash = target.find('/').ok_or(malformed("the URL has no path"))?;
        let (authority, path) = target.split_at(slash);
        if !path.bytes().all(is_plain) {
            return Err(malformed("the URL's path has unusual characters"));
        }
        let lower = path.to_ascii_lowercase();
        let is_ambiguous = ["//", "/./", "/../", "%2f", "%5c", "%2e", "%25", "%00"];
        if is_ambiguous.iter().any(|part| lower.contains(part))
            || lower.ends_with("/.")
            || lower.ends_with("/..")
        {
            return Err(malformed("the URL's path can be read in two ways"));
        }
        if !has_complete_escapes(path.as_bytes()) {
            return Err(malformed("the URL's path has an incomplete escape"));
        }
        if query.bytes().any(|byte| matches!(byte, b'*' | b'?' | b'\'' | b'|' | b'`')) {
            return Err(malformed("the URL's query has unusual characters"));
        }
        Ok(Self { text, scheme, authority, path })
    }

    /// The whole URL.
    pub const fn text(self) -> &'a str {
        self.text
    }

    /// Host, and port if the URL has one, as written.
    pub const fn authority(self) -> &'a str {
        self.authority
    }

    /// The path, from its first slash on.
    pub const fn path(self) -> &'a str {
        self.path
    }

    /// Where the path begins in the text.
    pub const fn path_at(self) -> usize {
        self.scheme.len() + "://".len() + self.authority.len()
    }

    /// The path up to and including its last slash.
    pub fn folder(self) -> &'a str {
        self.path.rfind('/').and_then(|slash| self.path.get(..=slash)).unwrap_or("/")
    }

    /// The URL up to the end of its folder.
    pub fn folder_url(self) -> String {
        [self.scheme, "://", self.authority, self.folder()].concat()
    }

    /// The URL with parameters behind those that it has.
    pub fn with_query(self, parameters: &str) -> String {
        let separator = if self.text.contains('?') { "&" } else { "?" };
        [self.text, separator, parameters].concat()
    }
}

/// Characters of paths that all signers and policies treat as themselves.
pub(crate) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'/' | b'%' | b'+' | b'=' | b',' | b':')
}

/// Whether every `%` begins two hexadecimal digits.
fn has_complete_escapes(path: &[u8]) -> bool {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        path.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether a text can be one of `hosts`: a name or address, perhaps with a port, in lower case.
pub(crate) fn is_host(text: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']')
    };
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let url = MediaUrl::parse("https://media.example.com:8443/a/b%20c/main.m3u8?x=1").unwrap();
        assert_eq!((url.authority(), url.path()), ("media.example.com:8443", "/a/b%20c/main.m3u8"));
        assert_eq!(url.folder(), "/a/b%20c/");
        assert!(url.text()[url.path_at()..].starts_with(url.path()));
        assert_eq!(url.folder_url(), "https://media.example.com:8443/a/b%20c/");
        assert_eq!(url.with_query("y=2"), "https://media.example.com:8443/a/b%20c/main.m3u8?x=1&y=2");
        let bare = MediaUrl::parse("http://127.0.0.1:8789/main.m3u8").unwrap();
        assert_eq!(
            (bare.folder(), bare.with_query("y=2")),
            ("/", "http://127.0.0.1:8789/main.m3u8?y=2".to_owned())
        );
    }

    #[test]
    fn urls_that_two_servers_may_read_in_two_ways() {
        let host = "https://media.example.com";
        let paths = "/a/../b /a/.. /./a /. //a /a//b /a%2fb /a%2F..%2Fb /%2e%2e/a /..;/a /a%5cb /a\\b /a% /a%4 /a%zz /a%252e \
                     /a%00 /é /a* /a!b /a~b /a|b /a#b /a?x=* /a?x=? /a?x=' /a@b /a\"b /a<b ?x=/";
        for path in paths.split(' ').chain(["", "/a b", "/a\nb"]) {
            let url = [host, path].concat();
            assert!(matches!(MediaUrl::parse(&url), Err(SignError::Malformed(_))), "{url:?}");
        }
        let others = "media.example.com/a http://media.example.com/a ftp://media.example.com/a https:///a \
                      //media.example.com/a https://a@media.example.com/a javascript:x";
        for url in others.split(' ') {
            assert!(matches!(MediaUrl::parse(url), Err(SignError::Malformed(_))), "{url:?}");
        }
        let long = format!("{host}/{}", "a".repeat(URL_MAX_BYTES));
        assert!(matches!(MediaUrl::parse(&long), Err(SignError::Malformed(_))));
    }
}
