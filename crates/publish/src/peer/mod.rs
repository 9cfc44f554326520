//! Peers - an origin, a Worker, Cloudflare's API - and which of their answers count.
//!
//! Proxies, ingresses, load balancers and challenge pages stand between this command and a peer, and each of
//! them sometimes answers in the peer's place. An answer counts as the peer's own only if its body has the
//! peer's form. Every other answer is [`Unheard`]: it is ignored, and a later attempt may succeed.
//!
//! `wire` sends requests. `origin.rs` and `store/` judge the answers, each for its peer. `outage` and `retry`
//! decide how long to wait and what to report, `clock` notices that a peer's clock differs, `address` refuses
//! unsafe URLs.

pub mod address;
pub mod clock;
pub mod outage;
pub mod retry;
pub mod time;
pub mod wire;

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use admit_snapshot::time::UnixSecs;
use chrono::DateTime;
use ureq::http::{HeaderMap, StatusCode, header};

use self::{
    time::{Machine, Time},
    wire::{Http, Wire},
};
use crate::build::BuildError;

/// How much of an unusable body a message shows.
const EXCERPT_BYTES: usize = 60;

/// The world outside of this process: the network, and time.
#[derive(Clone)]
pub struct Outside {
    /// Sends requests.
    pub wire: Arc<dyn Wire>,
    /// Tells the time and waits.
    pub time: Arc<dyn Time>,
}

impl Default for Outside {
    fn default() -> Self {
        Self { wire: Arc::new(Http::default()), time: Arc::new(Machine::default()) }
    }
}

/// The peer did not answer, another machine answered in its place, or the peer asks for a pause.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Unheard {
    /// The request, and the answer.
    pub text: String,
    /// How long the peer asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Unheard {
    /// Without a requested pause.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), retry_after: None }
    }
}

/// The [`Unheard`] in the chain of `error`, if there is one.
pub fn unheard(error: &anyhow::Error) -> Option<&Unheard> {
    error.chain().find_map(|cause| {
        let io = match cause.downcast_ref::<BuildError>() {
            Some(BuildError::Io(error)) => Some(error),
            _ => cause.downcast_ref::<io::Error>(),
        };
        cause.downcast_ref::<Unheard>().or_else(|| io?.get_ref()?.downcast_ref())
    })
}

/// Wraps an error for the library, whose readers know only `io::Error`. [`unheard`] still finds the
/// [`Unheard`] in it.
pub fn into_io(error: anyhow::Error) -> io::Error {
    let text = format!("{error:#}");
    match unheard(&error) {
        Some(unheard) => io::Error::other(Unheard { text, retry_after: unheard.retry_after }),
        None => io::Error::other(text),
    }
}

/// How long the peer asks to be left alone: `Retry-After`, in seconds or as a date.
pub fn retry_after(headers: &HeaderMap, now: UnixSecs) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let secs = value.parse().ok().or_else(|| {
        let date = DateTime::parse_from_rfc2822(value).ok()?.timestamp();
        u64::try_from(date.saturating_sub(now)).ok()
    });
    secs.map(Duration::from_secs)
}

/// Whether a body is a web page, by its type or its beginning.
pub fn is_page(headers: &HeaderMap, beginning: &[u8]) -> bool {
    let is_typed = content_type(headers).is_some_and(|media_type| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        ["text/html", "application/xhtml+xml"].iter().any(|page| media_type.eq_ignore_ascii_case(page))
    });
    is_typed || text_of(beginning).starts_with('<')
}

/// Describes an answer that is not the peer's own: its status, type, redirect and beginning.
pub fn describe(status: StatusCode, headers: &HeaderMap, beginning: &[u8]) -> String {
    let mut text = status.to_string();
    if let Some(location) = headers.get(header::LOCATION).and_then(|location| location.to_str().ok()) {
        // Without the query, which may hold a token.
        let place = location.split(['?', '#']).next().unwrap_or_default();
        text += &format!(" to {place} (redirects are not followed: the token is meant for one host)");
    }
    let mut details = Vec::new();
    details.extend(content_type(headers).map(str::to_owned));
    let excerpt = excerpt(beginning);
    if !excerpt.is_empty() {
        details.push(format!("begins with {excerpt:?}"));
    }
    if !details.is_empty() {
        text += &format!(" ({})", details.join(", "));
    }
    text
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

/// The beginning as text, without a byte order mark and white space.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).to_owned()
}

fn excerpt(bytes: &[u8]) -> String {
    let text = text_of(bytes.get(..bytes.len().min(4 * EXCERPT_BYTES)).unwrap_or_default());
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT_BYTES).collect();
    line.trim_end().to_owned()
}

/// A body whose read errors are [`Unheard`]: the answer broke off.
pub struct Unbroken<R>(pub R);

impl<R: Read> Read for Unbroken<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            io::Error::new(error.kind(), Unheard::new(format!("the answer broke off: {error}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        let asked = |value| retry_after(&headers(&[(header::RETRY_AFTER, value)]), 784_111_700);
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(77)));
        // In the past, or not a date.
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), None);
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), 0), None);
    }

    #[test]
    fn pages_for_people_are_known_by_type_or_beginning() {
        let typed = |value| headers(&[(header::CONTENT_TYPE, value)]);
        for (headers, body) in [
            (typed("text/html; charset=utf-8"), &b""[..]),
            (typed("Text/HTML"), b"{}"),
            (typed("application/x-ndjson"), b"\n <!DOCTYPE html>"),
            (HeaderMap::new(), b"\xef\xbb\xbf<html>"),
        ] {
            assert!(is_page(&headers, body), "{headers:?}");
        }
        assert!(!is_page(&typed("text/plain"), b"{\"seq\":1}"));
        assert!(!is_page(&HeaderMap::new(), b""));
    }

    #[test]
    fn what_came_instead_is_described_without_secrets() {
        let login = headers(&[(header::LOCATION, "https://login.example/in?state=secret")]);
        let said = describe(StatusCode::FOUND, &login, b"");
        assert!(
            said.starts_with("302 Found to https://login.example/in (redirects are not followed"),
            "{said}"
        );
        let page = headers(&[(header::CONTENT_TYPE, "text/html")]);
        let said = describe(StatusCode::FORBIDDEN, &page, "<title>Just a\nmoment…</title>".as_bytes());
        assert_eq!(said, "403 Forbidden (text/html, begins with \"<title>Just a moment…</title>\")");
    }

    #[test]
    fn a_body_that_breaks_off_is_unheard_wherever_it_is_noticed() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("reset"))
            }
        }
        let error = Unbroken(Broken).read(&mut [0]).unwrap_err();
        let error = anyhow::Error::new(error).context("cannot read").context("--from");
        assert!(unheard(&error).unwrap().text.contains("the answer broke off: reset"));
        assert!(unheard(&anyhow::anyhow!("something else")).is_none());
    }
}
