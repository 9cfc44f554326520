//! Which web pages may read answers. On every response, errors too: without it a browser turns a 402 into a
//! network error that has no status.

use std::borrow::Cow;

/// The `CORS_ORIGINS` variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Every page. Tokens travel in a header that a page must hold itself, so no page gains anything.
    Any,
    /// These origins only.
    Origins(Vec<String>),
}

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, entitlement-min-seq";
const RESPONSE_HEADERS: &str =
    "x-request-id, server-timing, retry-after, entitlement-seq, idempotency-replayed";
/// A day; Chromium keeps a preflight for two hours at most, Firefox for a day.
const MAX_AGE_SECS: &str = "86400";

impl Cors {
    /// Reads `*` or origins separated by commas.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let origins = text.split(',').map(str::trim).map(|origin| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            match host {
                Some(host) if !host.is_empty() && !host.contains(['/', '*', ' ']) => {
                    Ok(origin.to_ascii_lowercase())
                }
                _ => Err(format!("expected * or origins such as https://tv.example.com, found {origin:?}")),
            }
        });
        origins.collect::<Result<_, _>>().map(Self::Origins)
    }

    /// Whether answers depend on the `Origin` header.
    #[must_use]
    pub const fn needs_origin(&self) -> bool {
        matches!(self, Self::Origins(_))
    }

    /// Headers for an answer to a page of `origin` (empty when there is none).
    #[must_use]
    pub fn headers(&self, origin: &str) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut headers = Vec::with_capacity(3);
        match self {
            Self::Any => headers.push(("access-control-allow-origin", Cow::Borrowed("*"))),
            Self::Origins(origins) => {
                headers.push(("vary", Cow::Borrowed("Origin")));
                // As it is configured, which is as browsers spell it: what clients can vary would be many sets of headers.
                let Some(known) = origins.iter().find(|known| known.eq_ignore_ascii_case(origin)) else {
                    return headers;
                };
                headers.push(("access-control-allow-origin", Cow::Owned(known.clone())));
            }
        }
        headers.push(("access-control-expose-headers", Cow::Borrowed(RESPONSE_HEADERS)));
        headers
    }

    /// Further headers for the answer to a preflight.
    #[must_use]
    pub fn preflight_headers() -> [(&'static str, Cow<'static, str>); 3] {
        [
            ("access-control-allow-methods", Cow::Borrowed(METHODS)),
            ("access-control-allow-headers", Cow::Borrowed(REQUEST_HEADERS)),
            ("access-control-max-age", Cow::Borrowed(MAX_AGE_SECS)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_or_a_list() {
        assert_eq!(Cors::parse(" * "), Ok(Cors::Any));
        let list = Cors::parse("https://a.example, http://localhost:3000").unwrap();
        assert_eq!(list, Cors::Origins(vec!["https://a.example".into(), "http://localhost:3000".into()]));
        for wrong in [
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://*.example",
            "https://a.example,",
            "*,https://a.example",
        ] {
            assert!(Cors::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_origin_is_answered_never_a_list() {
        let list = Cors::parse("https://a.example,https://b.example").unwrap();
        let allowed = |origin| {
            let headers = list.headers(origin);
            assert!(headers.contains(&("vary", Cow::Borrowed("Origin"))));
            headers
                .into_iter()
                .find(|(name, _)| *name == "access-control-allow-origin")
                .map(|(_, value)| value.into_owned())
        };
        assert_eq!(allowed("https://b.example").as_deref(), Some("https://b.example"));
        assert_eq!(allowed("https://B.Example").as_deref(), Some("https://b.example"));
        assert_eq!(allowed("https://c.example"), None);
        assert_eq!(allowed(""), None);
        assert_eq!(Cors::Any.headers("https://c.example")[0].1, "*");
    }
}
