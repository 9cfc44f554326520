//! Addresses to which an authorization code may be sent, as `origin client redirect` registers them.
//!
//! An address must equal the registered one, character by character. RFC 8252 §7.3 has one exception: an app
//! on the viewer's machine listens on any free port, so the port of a loopback address is ignored. The
//! exception applies only to `http://127.0.0.1` and `http://[::1]`. `localhost` is a name that may resolve
//! elsewhere (§8.3), so it is compared like any other address.

/// Checks an address before it is registered: it must be absolute, without a fragment (RFC 6749 §3.1.2), and
/// only the app may listen to it. Valid are `https`, `http` on the viewer's own machine, and the app's own
/// scheme if it contains a reversed domain name, so that no other app takes it by chance (RFC 8252 §7.1).
///
/// # Errors
/// The expected form.
pub fn check(uri: &str) -> Result<(), String> {
    const EXPECTED: &str = "https://…, http:// with 127.0.0.1, [::1] or localhost, or a scheme of the app's own such as \
                            com.example.tv:/callback";
    let wrong = || Err(format!("expected {EXPECTED}, found {uri:?}"));
    let Some((scheme, rest)) = uri.split_once(':') else { return wrong() };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !is_scheme || uri.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return wrong();
    }
    if uri.contains('#') {
        return Err(format!("expected an address without a fragment, found {uri:?}"));
    }
    match (scheme, rest.strip_prefix("//")) {
        ("https", Some(rest)) if !authority(rest).is_empty() && !authority(rest).contains(['@', '\\']) => {
            Ok(())
        }
        ("http", Some(rest)) if without_port(uri).is_some() || host(authority(rest)) == "localhost" => Ok(()),
        ("https" | "http", _) => wrong(),
        // A scheme with a dot: no scheme of browsers and systems has one.
        _ if scheme.trim_matches('.').contains('.') && !rest.is_empty() => Ok(()),
        _ => wrong(),
    }
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn host(authority: &str) -> &str {
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
}

/// Whether a code may be sent to `sent`, by the registered addresses.
#[must_use]
pub fn is_registered(registered: &[String], sent: &str) -> bool {
    registered.iter().any(|known| known == sent || is_same_loopback(known, sent))
}

fn is_same_loopback(known: &str, sent: &str) -> bool {
    without_port(sent).is_some_and(|sent| without_port(known) == Some(sent))
}

/// Splits a loopback address into host, and path with query; its port is checked and dropped.
fn without_port(uri: &str) -> Option<(&'static str, &str)> {
    let (host, rest) = ["127.0.0.1", "[::1]"]
        .into_iter()
        .find_map(|host| Some((host, uri.strip_prefix("http://")?.strip_prefix(host)?)))?;
    // The authority must end here: `127.0.0.1.example` and `127.0.0.1:80@example` are other hosts.
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
    fn only_addresses_of_the_app_itself_are_registered() {
        for (uri, is_good) in [
            ("https://tv.example/return", true),
            ("https://tv.example", true),
            ("https://tv.example:8443/return?app=1", true),
            ("http://127.0.0.1/callback", true),
            ("http://127.0.0.1:8080/callback", true),
            ("http://[::1]/callback", true),
            ("http://localhost:3000/callback", true),
            ("com.example.tv:/callback", true),
            ("com.example.tv://callback", true),
            ("", false),
            ("tv.example/return", false),
            ("https:", false),
            ("https:///return", false),
            ("https://tv.example/return#x", false),
            ("https://user@tv.example/return", false),
            ("https://tv.example\\@evil.example/", false),
            ("HTTPS://tv.example/return", false),
            ("http://tv.example/return", false),
            ("http://127.0.0.1.evil.example/", false),
            ("http://127.0.0.1:80@evil.example/", false),
            ("http://localhost@evil.example/", false),
            ("http://localhost.evil.example/", false),
            ("http://localhost:x@evil.example/", false),
            ("http://192.168.1.7/callback", false),
            ("javascript:alert(1)", false),
            ("JavaScript:alert(1)", false),
            ("data:text/html,x", false),
            ("file:///etc/passwd", false),
            ("blob:https://tv.example/x", false),
            ("ws://tv.example", false),
            ("tv:/callback", false),
            (".tv:/callback", false),
            ("com.example.tv:", false),
            ("com.example.tv:/a b", false),
            ("1.example:/x", false),
            ("https://tv.example/\u{e9}", false),
        ] {
            assert_eq!(check(uri).is_ok(), is_good, "{uri}");
        }
    }

    #[test]
    fn a_loopback_address_may_have_any_port() {
        for (registered, sent, is_same) in [
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback", true),
            ("http://127.0.0.1/callback", "http://127.0.0.1/callback", true),
            ("http://127.0.0.1:8080/callback", "http://127.0.0.1:53219/callback", true),
            ("http://127.0.0.1:8080/callback", "http://127.0.0.1/callback", true),
            ("http://127.0.0.1", "http://127.0.0.1:53219", true),
            ("http://[::1]/callback?app=tv", "http://[::1]:53219/callback?app=tv", true),
            // Host, path and query must match.
            ("http://127.0.0.1/callback", "http://[::1]:53219/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.2:53219/callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback/", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/Callback", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback?x=y", false),
            ("http://127.0.0.1/callback", "http://127.0.0.1:53219/callback#x", false),
            ("http://127.0.0.1/callback", "https://127.0.0.1:53219/callback", false),
            ("http://127.0.0.1", "http://127.0.0.1:53219/", false),
            // Other hosts with the same beginning.
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
