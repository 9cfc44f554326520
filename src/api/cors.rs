//! Which web pages may read answers (CORS). The headers are on every response, errors included: without them a browser
//! shows a page a 402 as a network error without a status.

use std::borrow::Cow;

use super::{list, media_type::is_token, page_origin::PageOrigin};
use crate::limits::PREFLIGHT_HEADERS_MAX_BYTES;

/// The `CORS_ORIGINS` variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Every page. A page must hold a token to send it, so it gains nothing from a visitor's browser.
    Any,
    /// Pages of these origins only.
    Origins(Vec<PageOrigin>),
}

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, entitlement-min-seq";
const RESPONSE_HEADERS: &str =
    "x-request-id, server-timing, retry-after, entitlement-seq, idempotency-replayed, content-disposition";
/// A day. Chromium keeps a preflight for at most two hours, Firefox for a day.
const MAX_AGE_SECS: &str = "86400";

impl Cors {
    /// Reads `*`, a list of origins separated by commas, semicolons or blanks, or a JSON array of origins: wrangler passes a
    /// list in `wrangler.toml` on as one.
    ///
    /// # Errors
    /// The first invalid value, and why it is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        let list = list::parts(text, "origins")?;
        let mut origins = Vec::with_capacity(list.len());
        for value in list {
            let origin = PageOrigin::parse(&value).map_err(|error| format!("{value:?} {error}"))?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        if origins.is_empty() {
            return Err("expected * or origins such as https://tv.example.com, found none".to_owned());
        }
        Ok(Self::Origins(origins))
    }

    /// Whether answers depend on the `Origin` header.
    #[must_use]
    pub const fn needs_origin(&self) -> bool {
        matches!(self, Self::Origins(_))
    }

    /// The headers of an answer to a page of `origin`, which is empty if the request has no such header.
    #[must_use]
    pub fn headers(&self, origin: &str) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut headers = Vec::with_capacity(3);
        match self {
            Self::Any => headers.push(("access-control-allow-origin", Cow::Borrowed("*"))),
            Self::Origins(origins) => {
                headers.push(("vary", Cow::Borrowed("Origin")));
                // The configured spelling is the browsers'. Repeating the client's would make a new set of headers each time.
                let Some(known) = origins.iter().find(|known| known.is(origin)) else {
                    return headers;
                };
                headers.push(("access-control-allow-origin", Cow::Owned(known.as_str().to_owned())));
            }
        }
        headers.push(("access-control-expose-headers", Cow::Borrowed(RESPONSE_HEADERS)));
        headers
    }

    /// Further headers of the answer to a preflight. `requested` is its `Access-Control-Request-Headers`: names separated
    /// by commas. Every header is allowed: the API has no cookies that a header could misuse, and tracing libraries add
    /// their own headers to every request.
    #[must_use]
    pub fn preflight_headers(requested: &str) -> [(&'static str, Cow<'static, str>); 3] {
        [
            ("access-control-allow-methods", Cow::Borrowed(METHODS)),
            ("access-control-allow-headers", allowed_headers(requested)),
            ("access-control-max-age", Cow::Borrowed(MAX_AGE_SECS)),
        ]
    }

    /// The header that lets a public page reach this service in a private network, if the preflight asks for it.
    #[must_use]
    pub fn private_network_header(requested: &str) -> Option<(&'static str, Cow<'static, str>)> {
        let is_asked = requested.trim_ascii().eq_ignore_ascii_case("true");
        is_asked.then_some(("access-control-allow-private-network", Cow::Borrowed("true")))
    }
}

/// The headers that clients of the API send, and the requested ones that are valid names. Strangers send preflights, and
/// each name is compared with all before it, so the part that is read is as bounded as the answer.
fn allowed_headers(requested: &str) -> Cow<'static, str> {
    let mut allowed = Cow::Borrowed(REQUEST_HEADERS);
    let end = requested.floor_char_boundary(PREFLIGHT_HEADERS_MAX_BYTES);
    let (read, rest) = requested.split_at_checked(end).unwrap_or_default();
    // A name that the bound cuts off in the middle is a different name.
    let read = if rest.is_empty() { read } else { read.rsplit_once(',').map_or("", |(whole, _)| whole) };
    for name in read.split(',').map(str::trim_ascii).filter(|name| is_token(name)) {
        if allowed.split(", ").any(|known| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        if allowed.len() + name.len() > PREFLIGHT_HEADERS_MAX_BYTES {
            break;
        }
        let allowed = allowed.to_mut();
        allowed.push_str(", ");
        allowed.push_str(&name.to_ascii_lowercase());
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_or_a_list_of_origins() {
        assert_eq!(Cors::parse(" * "), Ok(Cors::Any));
        for text in [
            "https://a.example,http://localhost:3000",
            " https://A.example/ , http://localhost:3000, ",
            "https://a.example:443\nhttp://localhost:3000\n",
            "https://a.example; http://localhost:3000;",
            "https://a.example, https://a.example/, http://localhost:3000",
            r#"["https://a.example", "http://localhost:3000/"]"#,
        ] {
            let Cors::Origins(list) = Cors::parse(text).unwrap() else { panic!("{text}") };
            let list: Vec<_> = list.iter().map(PageOrigin::as_str).collect();
            assert_eq!(list, ["https://a.example", "http://localhost:3000"], "{text}");
        }
        for (wrong, told) in [
            ("", "found none"),
            (" , ", "found none"),
            ("[]", "found none"),
            ("[1]", "expected a list of origins"),
            ("a.example", "\"a.example\" has no scheme"),
            ("https://b.example, https://a.example/tv", "\"https://a.example/tv\" has a path"),
            ("https://*.example", "\"https://*.example\" has a wildcard"),
            ("*,https://a.example", "\"*\" has a wildcard"),
        ] {
            let error = Cors::parse(wrong).unwrap_err();
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }

    #[test]
    fn requested_headers_are_allowed() {
        for (requested, added) in [
            ("", ""),
            ("authorization,content-type", ""),
            ("traceparent,baggage", ", traceparent, baggage"),
            ("Authorization, Sentry-Trace , X-Requested-With", ", sentry-trace, x-requested-with"),
            ("x-a, x-a, X-A", ", x-a"),
            ("x a, x-b\r\nx-c: 1, é, , *", ", *"),
        ] {
            let [_, (_, allowed), _] = Cors::preflight_headers(requested);
            assert_eq!(allowed, format!("{REQUEST_HEADERS}{added}"), "{requested}");
        }
        let many: Vec<_> = (0..10_000).map(|number| format!("x-{number}")).collect();
        let [_, (_, allowed), _] = Cors::preflight_headers(&many.join(","));
        assert!(allowed.len() <= PREFLIGHT_HEADERS_MAX_BYTES + 2);
        assert!(allowed.split(", ").skip(4).zip(&many).all(|(name, sent)| name == sent), "{allowed}");
        // Names beyond the bound are ignored, and so is the one that the bound cuts.
        let beyond = format!("x-a,{},x-b", "y".repeat(PREFLIGHT_HEADERS_MAX_BYTES));
        let [_, (_, allowed), _] = Cors::preflight_headers(&beyond);
        assert_eq!(allowed, format!("{REQUEST_HEADERS}, x-a"));
        let repeated = format!("{}x-b", "x-a,".repeat(PREFLIGHT_HEADERS_MAX_BYTES));
        let [_, (_, allowed), _] = Cors::preflight_headers(&repeated);
        assert_eq!(allowed, format!("{REQUEST_HEADERS}, x-a"));
    }

    #[test]
    fn a_private_network_is_allowed_where_it_is_asked_for() {
        assert!(Cors::private_network_header("true").is_some());
        assert!(
            Cors::private_network_header("").is_none() && Cors::private_network_header("false").is_none()
        );
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
