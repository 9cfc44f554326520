//! Origins of web pages (RFC 6454), as `CORS_ORIGINS` lists them and as browsers send them.
//!
//! Browsers write the origin of a page in one form: the scheme and the host in lower case, international names in
//! Punycode, no default port. The operator's spelling is converted to that form, so that the two can be compared.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::punycode;

/// Schemes with the default port that browsers leave out.
const DEFAULT_PORTS: [(&str, u16); 4] = [("http", 80), ("https", 443), ("ws", 80), ("wss", 443)];

/// The origin of a page or of an app in a web view: `https://tv.example`, `capacitor://localhost`, `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOrigin(String);

impl PageOrigin {
    /// Reads an origin: `scheme://host` with an optional port and an optional slash at the end, or `null`, which pages
    /// from files and in sandboxes send.
    ///
    /// # Errors
    /// Why no page can have this origin.
    pub fn parse(text: &str) -> Result<Self, PageOriginError> {
        if text.eq_ignore_ascii_case("null") {
            return Ok(Self("null".to_owned()));
        }
        if text.contains('*') {
            return Err(PageOriginError::Wildcard);
        }
        let (scheme, rest) = text.split_once("://").ok_or(PageOriginError::NoScheme)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return Err(PageOriginError::NoScheme);
        }
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(PageOriginError::Path);
        }
        if authority.contains('@') {
            return Err(PageOriginError::Credentials);
        }
        if authority.is_empty() {
            // Some Android web views send `file://` for pages from files.
            return if scheme == "file" {
                Ok(Self("file://".to_owned()))
            } else {
                Err(PageOriginError::NoHost)
            };
        }
        let (host, port) = host_and_port(authority)?;
        let port = port.filter(|port| !DEFAULT_PORTS.contains(&(scheme.as_str(), *port)));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self([&scheme, "://", &host, &port].concat()))
    }

    /// The origin in the form that browsers send.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an `Origin` header names this origin.
    #[must_use]
    pub fn is(&self, header: &str) -> bool {
        self.0.eq_ignore_ascii_case(header)
    }
}

/// Why no page can have an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOriginError {
    /// It has no scheme.
    NoScheme,
    /// It has no host.
    NoHost,
    /// The host is invalid.
    Host,
    /// Browsers read the host as an IPv4 address, and write it in another form.
    Ipv4,
    /// The port is not a number from 0 to 65535.
    Port,
    /// It has a path, a query or a fragment.
    Path,
    /// It has a user or a password.
    Credentials,
    /// It has a wildcard.
    Wildcard,
}

impl fmt::Display for PageOriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoScheme => "has no scheme: write it like https://tv.example.com",
            Self::NoHost => "has no host: write it like https://tv.example.com",
            Self::Host => "has an invalid host; an international name may have to be written as xn--…",
            Self::Ipv4 => {
                "has a host that browsers read as an IPv4 address: write it as four decimal numbers, like 127.0.0.1"
            }
            Self::Port => "has an invalid port: expected a number up to 65535",
            Self::Path => "has a path or a query, which no origin of a page has: leave it out",
            Self::Credentials => "has a user name, which no origin of a page has: leave it out",
            Self::Wildcard => {
                "has a wildcard: only * alone allows more than one page; list each origin instead"
            }
        })
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), PageOriginError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(PageOriginError::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| PageOriginError::Host)?;
            (ipv6(address), port.strip_prefix(':').or(Some(port).filter(|port| port.is_empty())))
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            (domain(host)?, Some(port))
        }
    };
    match port.ok_or(PageOriginError::Port)? {
        "" => Ok((host, None)),
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok((host, Some(port.parse().map_err(|_| PageOriginError::Port)?)))
        }
        _ => Err(PageOriginError::Port),
    }
}

/// An IPv6 address as the URL standard writes it: unlike Rust, it has no dots in an address that maps IPv4.
fn ipv6(address: Ipv6Addr) -> String {
    match (address.to_ipv4_mapped(), address.segments()) {
        (Some(_), [.., high, low]) => format!("[::ffff:{high:x}:{low:x}]"),
        _ => format!("[{address}]"),
    }
}

/// A name in lower case, with international labels in Punycode. A name whose last label is a number must be an IPv4
/// address in its usual form, because browsers read it as one.
fn domain(host: &str) -> Result<String, PageOriginError> {
    let labels: Option<Vec<_>> = host.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).map(label).collect();
    let labels = labels.ok_or(PageOriginError::Host)?;
    // A dot at the end of a name makes a different origin of the same host; addresses have none.
    let names = match labels.split_last() {
        Some((last, others)) if last.is_empty() => others,
        _ => labels.as_slice(),
    };
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err(PageOriginError::Host);
    }
    let host = labels.join(".");
    let is_address = names.last().is_some_and(|last| is_number(last));
    if is_address && host.parse::<Ipv4Addr>().is_err() {
        return Err(PageOriginError::Ipv4);
    }
    Ok(host)
}

/// Whether browsers read a label as a number, decimal, octal or hexadecimal, which makes the host an IPv4 address.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").map(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hex.unwrap_or_else(|| label.bytes().all(|byte| byte.is_ascii_digit()))
}

fn label(label: &str) -> Option<String> {
    let lower = label.to_lowercase();
    if lower.is_ascii() {
        let is_valid = lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        return is_valid.then_some(lower);
    }
    // Marks that browsers compose with the letter before them, and forms that they replace by ordinary letters.
    let is_plain = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || c == '-'
        } else {
            !c.is_whitespace()
                && !c.is_control()
                && !matches!(c, '\u{300}'..='\u{36f}' | '\u{2000}'..='\u{206f}' | '\u{fe00}'..='\u{ffff}')
        }
    };
    if !lower.chars().all(is_plain) {
        return None;
    }
    Some(["xn--", &punycode::encode(&lower)?].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn origins_are_brought_into_the_form_of_browsers() {
        for (text, expected) in [
            ("https://tv.example.com", "https://tv.example.com"),
            ("https://tv.example.com/", "https://tv.example.com"),
            ("HTTPS://TV.Example.COM", "https://tv.example.com"),
            ("https://tv.example.com:443", "https://tv.example.com"),
            ("https://tv.example.com:0443/", "https://tv.example.com"),
            ("https://tv.example.com:", "https://tv.example.com"),
            ("https://tv.example.com:80", "https://tv.example.com:80"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
            ("https://[::FFFF:203.0.113.7]", "https://[::ffff:cb00:7107]"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("https://例え.テスト", "https://xn--r8jz45g.xn--zckzah"),
            ("https://a.example.", "https://a.example."),
            ("https://0x7g.example", "https://0x7g.example"),
            ("https://1.0x7f.example", "https://1.0x7f.example"),
            ("https://under_score.example", "https://under_score.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("ionic://localhost/", "ionic://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("app+x.y-1://Main", "app+x.y-1://main"),
            ("capacitor://localhost:443", "capacitor://localhost:443"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            ("file://", "file://"),
            ("file:///", "file://"),
            ("null", "null"),
            ("NULL", "null"),
        ] {
            let parsed = PageOrigin::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.as_str(), expected, "{text}");
            assert!(parsed.is(expected) && !parsed.is("https://other.example"));
        }
    }

    #[test]
    fn an_origin_that_no_page_has_is_refused_with_the_reason() {
        use PageOriginError::{Credentials, Host, Ipv4, NoHost, NoScheme, Path, Port, Wildcard};
        for (text, expected) in [
            ("tv.example.com", NoScheme),
            ("//tv.example.com", NoScheme),
            ("://tv.example.com", NoScheme),
            ("1x://tv.example.com", NoScheme),
            ("ht tp://tv.example.com", NoScheme),
            ("mailto:a@example.com", NoScheme),
            ("", NoScheme),
            ("https://", NoHost),
            ("https:///", NoHost),
            ("https://:443", Host),
            ("https://.example.com", Host),
            ("https://a..example", Host),
            ("https://a b.example", Host),
            ("https://a%20b.example", Host),
            ("https://127.1", Ipv4),
            ("https://1.2.3.4.5", Ipv4),
            ("http://0x7f000001", Ipv4),
            ("http://0X7F.0.0.0x1:8080", Ipv4),
            ("http://2130706433", Ipv4),
            ("http://0177.0.0.1", Ipv4),
            ("http://127.0.0.1.", Ipv4),
            ("http://a.example.0x", Ipv4),
            ("http://.", Host),
            ("https://[::1", Host),
            ("https://[::g]", Host),
            ("https://::1", Host),
            ("https://cafe\u{301}.example", Host),
            ("https://\u{ff41}.example", Host),
            ("https://a.example:http", Port),
            ("https://a.example:65536", Port),
            ("https://a.example:+1", Port),
            ("https://a.example:1:2", Port),
            ("https://[::1]8080", Port),
            ("https://a.example/tv", Path),
            ("https://a.example//", Path),
            ("https://a.example?x", Path),
            ("https://a.example/#x", Path),
            ("https://a.example\\", Path),
            ("https://user@a.example", Credentials),
            ("https://user:pass@a.example", Credentials),
            ("https://*.example.com", Wildcard),
            ("*://a.example", Wildcard),
        ] {
            assert_eq!(PageOrigin::parse(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_is_read_the_same_again(
            text in "[a-z+]{0,8}://[\\[\\]a-zA-Z0-9.:@é例-]{0,20}/?",
            any in any::<String>(),
        ) {
            for text in [text, any] {
                if let Ok(origin) = PageOrigin::parse(&text) {
                    prop_assert!(origin.as_str().is_ascii());
                    prop_assert_eq!(PageOrigin::parse(origin.as_str()), Ok(origin));
                }
            }
        }
    }
}
