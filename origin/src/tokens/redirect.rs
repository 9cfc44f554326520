//! Where an authorization code may be sent: addresses that `origin client redirect` has registered.
//!
//! An address must be the registered one, character by character. The exception is RFC 8252 §7.3: an app on the
//! viewer's machine listens on whatever port is free, so the port of a loopback address does not count. That holds for
//! `http://127.0.0.1` and `http://[::1]` only: `localhost` is a name, which may lead elsewhere (§8.3), and is
//! compared like any other address.

/// Whether a code may be sent to `sent`.
#[must_use]
pub fn is_registered(registered: &[String], sent: &str) -> bool {
    registered.iter().any(|known| known == sent || is_same_loopback(known, sent))
}

fn is_same_loopback(known: &str, sent: &str) -> bool {
    without_port(sent).is_some_and(|sent| without_port(known) == Some(sent))
}

/// A loopback address as host, and path with query. The port is checked and left out.
fn without_port(uri: &str) -> Option<(&'static str, &str)> {
    let (host, rest) = ["127.0.0.1", "[::1]"]
        .into_iter()
        .find_map(|host| Some((host, uri.strip_prefix("http://")?.strip_prefix(host)?)))?;
    // The authority ends here: neither `127.0.0.1.example` nor `127.0.0.1:80@example` is this host.
    let (port, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !port.is_empty() {
        let digits = port.strip_prefix(':')?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|port: &u16| is_number && *port > 0)?;
    }
    Some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_may_have_any_port() {
        for (registered, sent, is_same) in [
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback", true),
            ("http://127.0.0.1/callback", "http://127.0.0.1/callback", true),
            ("http://127.0.0.1:8080/callback", "http://127.0.0.1:53219/callback", true),
            ("http://127.0.0.1:8080/callback", "http://127.0.0.1/callback", true),
            ("http://127.0.0.1", "http://127.0.0.1:53219", true),
            ("http://[::1]/callback?app=tv", "http://[::1]:53219/callback?app=tv", true),
            // Host, path and query count.
            ("http://127.0.0.1/callback", "http://[::1]:53219/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.2:53219/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback/", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/Callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback?x=y", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback#x", false),
            ("http://127.0.0.1/callback", "https://127.0.0.1:53219/callback", false),
            ("http://127.0.0.1", "http://127.0.0.1:53219/", false),
            // Other hosts that begin alike.
            ("http://127.0.0.1/callback", "http://127.0.0.1.evil.example/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219@evil.example/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1@evil.example/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1\\@evil.example/callback", false),
            ("http://127.0.0.1/callback", "http://user@127.0.0.1/callback", false),
            // Invalid ports.
            ("http://127.0.0.1/callback", "http://127.0.0.1:/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:0/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:+80/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:65536/callback", false),
            // A name is compared like any other address.
            ("http://localhost/callback", "http://localhost/callback", true),
            ("http://localhost/callback", "http://localhost:53219/callback", false),
            ("http://localhost/callback", "http://127.0.0.1:53219/callback", false),
            ("https://tv.example/return", "https://tv.example:53219/return", false),
        ] {
            assert_eq!(is_registered(&[registered.to_owned()], sent), is_same, "{registered} {sent}");
        }
        assert!(!is_registered(&[], "http://127.0.0.1/callback"));
    }
}
