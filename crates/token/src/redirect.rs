//! Redirects of a JWKS. The configuration names the scheme, host and port that are trusted for an issuer's
//! keys. Redirects within this origin are followed. A redirect to another host is refused, because that
//! host's response could make any token valid.

use super::config::check_url;

/// Resolves `location`, the header of a response from `url`, to the URL to fetch next.
///
/// # Errors
/// The redirect leads to another origin, or `location` is not a usable URL. The text is for a log line.
///
/// ```
/// use admit_token::redirected;
///
/// let url = "https://issuer.example/old/jwks";
/// assert_eq!(redirected(url, "../v2/jwks")?, "https://issuer.example/old/../v2/jwks");
/// let refused = redirected(url, "https://cdn.example/jwks").unwrap_err();
/// assert!(refused.contains("https://cdn.example"));
/// # Ok::<(), String>(())
/// ```
pub fn redirected(url: &str, location: &str) -> Result<String, String> {
    let location = location.trim_ascii().split('#').next().unwrap_or_default();
    let to = resolve(url, location).ok_or("a redirect without an address")?;
    let (from_origin, to_origin) = (origin_of(url), origin_of(&to));
    if from_origin != to_origin {
        // Show only the host: path and query may contain a secret.
        let host = to_origin
            .map_or_else(|| "somewhere else".to_owned(), |(scheme, host)| format!("{scheme}://{host}"));
        return Err(format!(
            "a redirect to {host}, which is not followed: set keys.jwks_url to its address there"
        ));
    }
    check_url(&to).map_err(|problem| format!("a redirect whose address {problem}"))?;
    Ok(to)
}

/// Resolves a relative reference (RFC 3986 §5.2.2). Dot segments stay; the platform's fetch resolves them.
fn resolve(url: &str, location: &str) -> Option<String> {
    let scheme = url.split_once("://")?.0;
    // The authority begins after `://` and ends at the first `/` or `?`.
    let authority_end = scheme.len() + 3 + url.get(scheme.len() + 3..)?.find(['/', '?']).unwrap_or(url.len());
    let origin = url.get(..authority_end.min(url.len()))?;
    let path = url.get(origin.len()..)?.split('?').next()?;
    // `location` is absolute if a scheme of letters and digits precedes `://`.
    let is_absolute = location.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    Some(match location.as_bytes() {
        [] => return None,
        _ if is_absolute => location.to_owned(),
        // In this order: another host, an absolute path, a query, a path relative to the last slash.
        [b'/', b'/', ..] => [scheme, ":", location].concat(),
        [b'/', ..] => [origin, location].concat(),
        [b'?', ..] => [origin, path, location].concat(),
        _ => {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            [origin, directory, "/", location].concat()
        }
    })
}

/// Scheme and authority in lower case, without the scheme's default port.
fn origin_of(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '\\']).next()?.to_ascii_lowercase();
    let scheme = scheme.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let authority = authority.strip_suffix(port).unwrap_or(&authority).to_owned();
    Some((scheme, authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_within_the_origin_are_followed() {
        let url = "https://id.example.com/a/jwks?x=1";
        for (location, expected) in [
            ("https://id.example.com/keys", "https://id.example.com/keys"),
            ("https://ID.example.com:443/keys", "https://ID.example.com:443/keys"),
            ("/keys.json", "https://id.example.com/keys.json"),
            ("//id.example.com/keys", "https://id.example.com/keys"),
            ("jwks/", "https://id.example.com/a/jwks/"),
            ("?v=2", "https://id.example.com/a/jwks?v=2"),
            (" /keys#part ", "https://id.example.com/keys"),
        ] {
            assert_eq!(redirected(url, location).as_deref(), Ok(expected), "{location}");
        }
        assert_eq!(redirected("http://127.0.0.1:80", "/keys").as_deref(), Ok("http://127.0.0.1:80/keys"));
        assert_eq!(redirected("https://a.example?x", "k").as_deref(), Ok("https://a.example/k"));
    }

    #[test]
    fn redirects_to_other_hosts_are_named_and_refused() {
        let url = "https://id.example.com/jwks";
        for (location, expected) in [
            (
                "https://cdn.example.com/keys?secret",
                "a redirect to https://cdn.example.com, which is not followed",
            ),
            ("http://id.example.com/jwks", "a redirect to http://id.example.com,"),
            ("//evil.example/jwks", "a redirect to https://evil.example,"),
            ("https://id.example.com:8443/jwks", "a redirect to https://id.example.com:8443,"),
            ("https://id.example.com@evil.example/", "a redirect to https://id.example.com@evil.example,"),
            ("https://id.example.com.evil.example/", "a redirect to https://id.example.com.evil.example,"),
            ("https://evil.example\\@id.example.com/", "a redirect to https://evil.example,"),
            ("", "a redirect without an address"),
            ("#x", "a redirect without an address"),
            ("/a b", "a redirect whose address must be an https URL"),
            ("javascript://id.example.com/", "a redirect to javascript://id.example.com,"),
        ] {
            let problem = redirected(url, location).unwrap_err();
            assert!(problem.starts_with(expected) && !problem.contains("secret"), "{location}: {problem}");
        }
    }
}
