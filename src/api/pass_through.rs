//! Pass-through: which requests beyond the edge's own go to the origin as they are, and what of them.
//!
//! An SDK has one base URL, and asks it for accounts, payments and more that the edge cannot answer. `PASS_THROUGH` names
//! path prefixes for them. These are all the rules (docs/adr/0047):
//!
//! | subject | rule | home |
//! | --- | --- | --- |
//! | paths | the edge's own methods come first; a prefix covers whole segments; ambiguous spellings are refused | here |
//! | methods | those of [`METHODS`]; `OPTIONS` is the edge's | here |
//! | token | verified if there is one, and of an issuer with `view` or `write` | `app/answer.rs`, `app/permission.rs` |
//! | headers of the request | [`PASSED_HEADERS`](super::write::PASSED_HEADERS), and ours | `app/upstream/sent.rs` |
//! | headers of the answer | [`ANSWER_HEADERS`] | here |
//! | bodies | any type, no coding, 1 MiB each way | here, `app/upstream/pass.rs` |
//! | time, circuits, places, repetition | of their own; nothing is sent twice | `app/upstream/pass.rs` |
//!
//! ```
//! use admit::api::pass_through::PassThrough;
//!
//! let prefixes = PassThrough::parse("/accounts, /payments")?;
//! assert_eq!(prefixes.admits("/payments/methods"), Some(1));
//! assert_eq!(prefixes.admits("/accountsx"), None);
//! assert_eq!(prefixes.admits("/accounts/%2e%2e/export"), None);
//! assert!(PassThrough::parse("/items").unwrap_err().contains("/items/{id}/access"));
//! # Ok::<(), String>(())
//! ```

use uuid::Uuid;

use super::{
    contract::{Auth, ENDPOINTS, Endpoint, Id, Kind, Methods, Server, table},
    error::ApiError,
    list, query,
    reply::Request,
    write::check_content_encoding,
};
use crate::limits::PASS_THROUGH_PREFIXES_MAX;

/// The methods that pass. Others are answered 405.
pub const METHODS: Methods =
    Methods::READ.and(Methods::POST).and(Methods::PUT).and(Methods::PATCH).and(Methods::DELETE);

/// The headers of the origin's answer that the client gets. No other one comes back: no cookies, no `access-control-*`,
/// nothing of the origin's connection.
pub const ANSWER_HEADERS: [&str; 10] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "location",
    "retry-after",
    "entitlement-seq",
    "idempotency-replayed",
    "www-authenticate",
    "allow",
];

/// `PASS_THROUGH`: the prefixes whose requests the origin gets. No prefix covers another one. Empty if it is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassThrough(Vec<String>);

impl PassThrough {
    /// No prefix: nothing passes.
    pub const NONE: Self = Self(Vec::new());

    /// Reads a list of prefixes, separated by commas or blanks, or a JSON array.
    ///
    /// # Errors
    /// The first invalid prefix, and why it is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let list = list::parts(text, "path prefixes")?;
        if list.is_empty() {
            return Err("expected path prefixes such as /accounts, found none".to_owned());
        }
        if list.len() > PASS_THROUGH_PREFIXES_MAX {
            return Err(format!("expected at most {PASS_THROUGH_PREFIXES_MAX} path prefixes"));
        }
        let mut prefixes: Vec<String> = Vec::with_capacity(list.len());
        for prefix in list {
            check_prefix(&prefix).map_err(|problem| format!("{prefix:?} {problem}"))?;
            let overlaps = |known: &&String| covers(known, &prefix) || covers(&prefix, known);
            match prefixes.iter().find(overlaps) {
                Some(known) if *known == prefix => return Err(format!("{prefix:?} is there twice")),
                Some(known) => {
                    return Err(format!("{prefix:?} and {known:?} cover the same paths: keep one"));
                }
                None => prefixes.push(prefix),
            }
        }
        Ok(Self(prefixes))
    }

    /// The position of the prefix that covers a path, if it may be passed through: its spelling must mean the same to
    /// every server. The caller has found that the edge does not answer the request itself.
    #[must_use]
    pub fn admits(&self, path: &str) -> Option<usize> {
        let position = self.0.iter().position(|prefix| covers(prefix, path))?;
        (is_unambiguous(path) && !reads_as_own(path)).then_some(position)
    }

    /// A request as logs may show it: behind the prefix, a path may have a secret, such as the token of a new password.
    #[must_use]
    pub fn logged<'r>(&self, request: &Request<'r>) -> Request<'r> {
        let covering = self.0.iter().find(|prefix| covers(prefix, request.path));
        let Some(prefix) = covering.filter(|_| Server::Edge.route(request.path).is_none()) else {
            return *request;
        };
        // With the slash that follows, which tells a path below the prefix from the prefix itself.
        let path = request.path.get(..=prefix.len()).unwrap_or(request.path);
        Request { path, ..*request }
    }
}

/// Checks the headers that describe a request's body, and those that could not be sent on.
///
/// # Errors
/// 415 for a compressed body, whose length says nothing of what the origin would unpack, or for a type that is not ASCII;
/// 422 for such an `Idempotency-Key`.
pub fn check_headers(request: &Request<'_>) -> Result<(), ApiError> {
    check_content_encoding(request.passed("content-encoding"))?;
    if !request.passed("content-type").is_ascii() {
        return Err(ApiError::UnsupportedMediaType);
    }
    if request.passed("idempotency-key").is_ascii() { Ok(()) } else { Err(ApiError::INVALID_IDEMPOTENCY_KEY) }
}

/// Why a prefix is invalid, as the rest of a sentence.
fn check_prefix(prefix: &str) -> Result<(), String> {
    if !prefix.starts_with('/') {
        return Err("does not begin with /".to_owned());
    }
    if prefix == "/" {
        return Err("covers every path: name the prefixes".to_owned());
    }
    if prefix.ends_with('/') {
        return Err("ends with /: a prefix covers whole segments anyway".to_owned());
    }
    if prefix.contains(['%', ';', '*']) || !is_unambiguous(prefix) {
        return Err("must be a path of plain segments, without encoding, wildcards or query".to_owned());
    }
    match owned(prefix) {
        Some(pattern) => Err(format!("covers {pattern}, which the edge answers itself")),
        None => Ok(()),
    }
}

/// Whether a path is the prefix, or below it.
fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path below the prefix that no deployment may hand to the origin: checks, playback and the publish API are the
/// edge's, and the feed is every merchant's data.
fn owned(prefix: &str) -> Option<&'static str> {
    if covers("/snapshot", prefix) {
        return Some("/snapshot");
    }
    let is_owned = |endpoint: &Endpoint| {
        let kinds = endpoint.operations.iter().map(|operation| operation.kind);
        let is_asked = endpoint.operations.iter().any(|operation| operation.auth == Auth::Asker);
        let is_check = is_asked || *endpoint == table::ACCESS || *endpoint == table::LICENSE;
        is_check
            || kinds.into_iter().any(|kind| {
                matches!(kind, Kind::Health | Kind::Publish | Kind::Playback | Kind::Checks | Kind::Feed)
            })
    };
    let owned = ENDPOINTS.iter().filter(|endpoint| is_owned(endpoint));
    owned.flat_map(|endpoint| endpoint.patterns).copied().find(|pattern| reaches(prefix, pattern))
}

/// Whether a prefix covers paths of a pattern of the table.
fn reaches(prefix: &str, pattern: &str) -> bool {
    let is_value = |word: &str| Id::from(word).number().is_some() || Uuid::try_parse(word).is_ok();
    let mut pattern = pattern.split('/');
    prefix.split('/').all(|word| {
        pattern.next().is_some_and(|known| known == word || (known.starts_with('{') && is_value(word)))
    })
}

/// Whether every server reads the same segments out of a path, decoded or not: no `.` or `..`, no empty segment but the
/// last, no slash, backslash, percent sign or control character behind an encoding, and only characters that RFC 3986
/// §3.3 has in paths, which URL parsers leave as they are.
fn is_unambiguous(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte);
    let is_segment = |segment: &str| {
        let Some(word) = query::decoded(segment) else { return false };
        let is_hidden = |c: char| c.is_control() || matches!(c, '/' | '\\' | '%');
        !matches!(without_parameters(&word), "." | "..") && !word.contains(is_hidden)
    };
    path.bytes().all(is_plain) && !path.contains("//") && path.split('/').all(is_segment)
}

/// Whether a lenient server takes a path for one of the edge's own in another spelling: encoded letters, capitals, a
/// trailing slash, path parameters. It would be served there past the edge's checks and limits.
fn reads_as_own(path: &str) -> bool {
    let segments = path.trim_end_matches('/').split('/').map(|segment| {
        let word = query::decoded(segment).unwrap_or_default();
        without_parameters(&word).to_ascii_lowercase()
    });
    let plain = segments.collect::<Vec<_>>().join("/");
    plain != path && Server::Edge.route(&plain).is_some()
}

/// A segment up to its first `;`, where some servers begin path parameters.
fn without_parameters(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDK: &str = "/accounts, /subscriptions, /payments, /v2/accounts, /branding";

    fn sdk() -> PassThrough {
        PassThrough::parse(SDK).unwrap()
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        let prefixes = sdk();
        for (path, position) in [
            ("/accounts", Some(0)),
            ("/accounts/", Some(0)),
            ("/accounts/a:b/c~d/e@f;g=h", Some(0)),
            ("/accounts/forgot-password/a%20b%C3%A9%3d", Some(0)),
            ("/v2/accounts/x", Some(3)),
            ("/payments/1/receipt.pdf", Some(2)),
            ("/accounts/...", Some(0)),
            ("/accountsx", None),
            ("/Accounts", None),
            ("/account", None),
            ("/v2", None),
            ("/%61ccounts", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(prefixes.admits(path), position, "{path}");
        }
        assert_eq!(PassThrough::default().admits("/accounts"), None);
    }

    #[test]
    fn ambiguous_spellings_are_refused() {
        for rest in [
            "..",
            ".",
            "../export",
            "x/../../export",
            "%2e%2e/export",
            ".%2E/export",
            "%2e",
            "..;/export",
            "..;a=b",
            "x%2fy",
            "x%2Fy",
            "x\\y",
            "x%5cy",
            "/x",
            "x//y",
            "x/",
            "x%00",
            "x\0",
            "x%0d%0aA:b",
            "x%7f",
            "x%252e",
            "x%",
            "x%2",
            "x%zz",
            "%c0%af",
            "%ff",
            "x y",
            "x\"y",
            "x<y",
            "x|y",
            "x^y",
            "x`y",
            "x{y}",
            "x[y]",
            "é",
            "x?y",
            "x#y",
        ] {
            let path = format!("/accounts/{rest}");
            let expected = (rest == "x/").then_some(0);
            assert_eq!(sdk().admits(&path), expected, "{path}");
        }
    }

    /// Guesses of passwords have a limit of their own, which no spelling gets around.
    #[test]
    fn other_spellings_of_the_edges_own_paths_are_refused() {
        for path in [
            "/accounts/authenticate/",
            "/accounts/%61uthenticate",
            "/accounts/Authenticate",
            "/accounts/authenticate;x=1",
            "/accounts;x/authenticate",
            "/v2/accounts/authenticate/",
        ] {
            assert_eq!(sdk().admits(path), None, "{path}");
        }
        assert_eq!(sdk().admits("/accounts/authenticate"), Some(0), "its other methods pass");
    }

    #[test]
    fn lists_in_every_form() {
        for text in ["/a,/b/c", " /a , /b/c ", "/a\n/b/c", r#"["/a", "/b/c"]"#] {
            assert_eq!(PassThrough::parse(text), Ok(PassThrough(vec!["/a".into(), "/b/c".into()])), "{text}");
        }
        let many: Vec<_> = (0..=PASS_THROUGH_PREFIXES_MAX).map(|number| format!("/p{number}")).collect();
        assert!(PassThrough::parse(&many.join(",")).unwrap_err().contains("at most"));
    }

    #[test]
    fn every_wrong_prefix_is_named() {
        for (text, told) in [
            ("", "found none"),
            (" , ", "found none"),
            ("[]", "found none"),
            (r#"[""]"#, r#""" does not begin with /"#),
            ("[1]", "in quotes"),
            ("[", "expected a list of path prefixes"),
            ("accounts", r#""accounts" does not begin with /"#),
            ("/accounts https://x", r#""https://x" does not begin with /"#),
            ("/", r#""/" covers every path"#),
            ("//", r#""//" ends with /"#),
            ("/accounts/", r#""/accounts/" ends with /"#),
            ("/accounts/*", "plain segments"),
            ("/accounts/../x", "plain segments"),
            ("/a//b", "plain segments"),
            ("/a%2fb", "plain segments"),
            ("/a?b", "plain segments"),
            ("/a, /a", r#""/a" is there twice"#),
            ("/a, /a/b", r#""/a/b" and "/a" cover the same paths"#),
            ("/a/b, /a", r#""/a" and "/a/b" cover the same paths"#),
            ("/items", "covers /items/{id}/access"),
            ("/items/5101", "covers /items/{id}/access"),
            ("/items/5101/access", "covers /items/{id}/access"),
            ("/license", "covers /license"),
            ("/v2/items", "which the edge answers itself"),
            ("/v2", "which the edge answers itself"),
            ("/snapshot", "covers /snapshot"),
            ("/snapshot/anything", "covers /snapshot"),
            ("/healthz", "covers /healthz"),
            ("/export", "covers /export"),
            ("/changes", "covers /changes"),
        ] {
            let error = PassThrough::parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        for right in
            ["/oauth2", "/items/used-trial-period", "/items/access/customers", "/v3/accounts", "/healthzx"]
        {
            assert!(PassThrough::parse(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn logs_show_the_prefix_alone() {
        let logged = |path| sdk().logged(&Request { path, ..Request::default() }).path.to_owned();
        for (path, shown) in [
            ("/accounts/forgot-password/secret", "/accounts/"),
            ("/accounts/x//secret", "/accounts/"),
            ("/accounts", "/accounts"),
            ("/accounts/authenticate", "/accounts/authenticate"),
            ("/items/33/access", "/items/33/access"),
        ] {
            assert_eq!(logged(path), shown, "{path}");
        }
    }
}
