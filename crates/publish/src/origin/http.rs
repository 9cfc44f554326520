//! An origin's export and its change feed over HTTP: the requests, and which answers count as the origin's
//! own.
//!
//! | answer | meaning |
//! | --- | --- |
//! | 200 with lines of JSON whose first has `type` or `seq`, plain or as gzip | export, changes |
//! | 200 without a body, 204 | no changes; never an export. Only with the origin's own headers the origin was heard |
//! | 410 | the changes are no longer kept |
//! | any other status, web pages, other text, no answer | the origin was not heard |

use std::{io::BufRead, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use ureq::http::{HeaderMap, Method, StatusCode, header};

use super::{Changes, FeedAnswer, WAIT_SECS, is_http};
use crate::{
    bearer::Bearer,
    gunzip::{self, Lines},
    peer::{
        Outside, Unbroken, Unheard, address, clock, describe, is_page, retry_after,
        wire::{Limits, Request, Response},
    },
};

/// How long to wait for an answer to begin: longer than [`WAIT_SECS`].
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest time for an export: 100 GB at 30 MB/s.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// The longest time for an answer of the change feed.
const FEED_TIMEOUT: Duration = Duration::from_secs(120);

/// The media type of lines of JSON.
pub const NDJSON: &str = "application/x-ndjson";

/// An origin's URL, and the token for it.
#[derive(Clone)]
pub struct HttpOrigin {
    outside: Outside,
    url: String,
    bearer: Option<Bearer>,
    clock: Arc<clock::Watch>,
}

impl HttpOrigin {
    /// The origin at `url`, with `token` if given.
    ///
    /// # Errors
    /// `url` is not a URL, or the token contains invalid characters.
    pub fn new(url: &str, token: Option<&str>, outside: &Outside) -> Result<Self> {
        let parsed: ureq::http::Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
        if !is_http(url) || parsed.host().is_none() {
            bail!("{url:?} is not the URL of an origin, such as https://origin.example.com/export");
        }
        address::check(url)?;
        outside.wire.check()?;
        let bearer = token.map(Bearer::new).transpose().context("the origin's token")?;
        Ok(Self { outside: outside.clone(), url: url.to_owned(), bearer, clock: Arc::default() })
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Requests the export.
    ///
    /// # Errors
    /// [`Unheard`]: the origin did not answer, or the answer is not an export whose end can be recognised.
    pub fn export(&self) -> Result<Lines> {
        Ok(self.get(&self.url, EXPORT_TIMEOUT, None).and_then(|response| export(&self.url, response))?)
    }

    /// Requests the changes after the origin's count `after`.
    pub fn changes(&self, after: u64) -> FeedAnswer {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}after={after}", self.url);
        let wait = format!("wait={WAIT_SECS}");
        match self.get(&url, FEED_TIMEOUT, Some(&wait)) {
            Ok(response) => changes(&url, response),
            Err(unheard) => FeedAnswer::Unheard(unheard),
        }
    }

    fn get(&self, url: &str, timeout: Duration, prefer: Option<&str>) -> Result<Asked, Unheard> {
        let text = |value: &str| value.to_owned();
        let mut headers = vec![(header::ACCEPT, text(NDJSON)), (header::ACCEPT_ENCODING, text("gzip"))];
        if let Some(bearer) = &self.bearer {
            let authorization = bearer.header();
            let authorization =
                authorization.map_err(|error| Unheard::new(format!("the origin's token: {error}")))?;
            headers.push((header::AUTHORIZATION, authorization));
        }
        headers.extend(prefer.map(|prefer| (header::HeaderName::from_static("prefer"), text(prefer))));
        let limits = Limits {
            answer: Some(ANSWER_TIMEOUT),
            body: Some(timeout),
            whole: Some(ANSWER_TIMEOUT + timeout),
        };
        let request = Request { method: &Method::GET, url, headers, body: None, limits };
        let response = self.outside.wire.send(&request);
        let response = response.map_err(|error| Unheard::new(format!("GET {url}: {error}")))?;
        let now = self.outside.time.unix_secs().map_err(|error| Unheard::new(error.to_string()))?;
        if let Some(warning) = self.clock.notice(&self.url, &response.headers, now) {
            eprintln!("warning: {warning}");
        }
        let retry_after = retry_after(&response.headers, now);
        Ok(Asked { response, retry_after })
    }
}

/// An answer whose body has not been read.
struct Asked {
    response: Response,
    retry_after: Option<Duration>,
}

/// The lines of an export, if the answer is one.
fn export(url: &str, Asked { response, retry_after }: Asked) -> Result<Lines, Unheard> {
    let Response { status, headers, body } = response;
    let unheard = |text: String| Unheard { text: format!("GET {url}: {text}"), retry_after };
    if status != StatusCode::OK {
        return Err(unheard(not_its_word(status, &headers, b"")));
    }
    if !has_end(&headers) {
        // Records that are missing from an export are removed, so a truncated export must not pass for a
        // complete one.
        return Err(unheard(
            "the origin's answer has neither Content-Length nor chunks, so a truncated export could not be noticed"
                .to_owned(),
        ));
    }
    let mut lines = read_lines(url, &headers, body)?;
    let beginning = lines.fill_buf().map_err(|error| unheard(error.to_string()))?;
    if beginning.is_empty() {
        return Err(unheard("the answer is empty; an export has at least one line".to_owned()));
    }
    if is_page(&headers, beginning) || !may_be_lines(beginning, "type") {
        return Err(unheard(not_its_word(status, &headers, beginning)));
    }
    Ok(lines)
}

/// Classifies the answer to a request for changes.
fn changes(url: &str, Asked { response, retry_after }: Asked) -> FeedAnswer {
    let Response { status, headers, body } = response;
    let unheard =
        |text: String| FeedAnswer::Unheard(Unheard { text: format!("GET {url}: {text}"), retry_after });
    let seq = seq_of(&headers);
    match status {
        StatusCode::NO_CONTENT => FeedAnswer::Changes(Changes {
            seq,
            lines: Box::new(std::io::empty()),
            first_line: 0,
            doubt: doubt(url, status, &headers),
        }),
        StatusCode::GONE => FeedAnswer::Gone,
        StatusCode::OK => {
            let mut lines = match read_lines(url, &headers, body) {
                Ok(lines) => lines,
                Err(unheard) => return FeedAnswer::Unheard(unheard),
            };
            match lines.fill_buf() {
                Err(error) => unheard(error.to_string()),
                Ok([]) => FeedAnswer::Changes(Changes {
                    lines,
                    first_line: 0,
                    doubt: doubt(url, status, &headers),
                    seq,
                }),
                Ok(beginning) if is_page(&headers, beginning) || !may_be_lines(beginning, "seq") => {
                    unheard(not_its_word(status, &headers, beginning))
                }
                Ok(_) => FeedAnswer::Changes(Changes { lines, first_line: 0, doubt: None, seq }),
            }
        }
        _ => unheard(not_its_word(status, &headers, b"")),
    }
}

fn doubt(url: &str, status: StatusCode, headers: &HeaderMap) -> Option<String> {
    (!is_vouched_for(headers)).then(|| {
        format!(
            "GET {url}: an empty {status} without Content-Type: {NDJSON} and without Entitlement-Seq may be another's \
             than the origin's: the head is not renewed by it"
        )
    })
}

/// Whether the headers of an empty answer are those of a change feed, which no proxy makes up.
pub fn is_vouched_for(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_lines = text("content-type").is_some_and(|media_type| {
        media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(NDJSON)
    });
    is_lines || seq_of(headers).is_some()
}

fn seq_of(headers: &HeaderMap) -> Option<u64> {
    headers.get("entitlement-seq")?.to_str().ok()?.trim().parse().ok()
}

fn read_lines(url: &str, headers: &HeaderMap, body: Box<dyn std::io::Read + Send>) -> Result<Lines, Unheard> {
    let name = format!("GET {url}");
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|coding| coding.to_str().ok());
    if let Some(coding) = coding.filter(|coding| !["gzip", "x-gzip", "identity", ""].contains(&coding.trim()))
    {
        return Err(Unheard::new(format!(
            "{name}: the answer is compressed as {coding:?}, which was not asked for; expected gzip or nothing"
        )));
    }
    // The first bytes decide: a proxy may have labelled what it did not compress, or compressed without a
    // label.
    gunzip::decoded(Unbroken(body)).map_err(|error| Unheard::new(format!("{name}: {error}")))
}

/// Whether text begins like lines of JSON objects with `member`. Blank lines may come first. A first line
/// that is incomplete or not JSON is left to the reader of lines, which reports its place.
fn may_be_lines(beginning: &[u8], member: &str) -> bool {
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice::<Map<String, Value>>(line) {
        Ok(object) => object.contains_key(member),
        Err(_) => matches!(text.first(), Some(b'{') | None),
    }
}

fn not_its_word(status: StatusCode, headers: &HeaderMap, beginning: &[u8]) -> String {
    let said = describe(status, headers, beginning);
    match status {
        StatusCode::OK => {
            format!("{said}: expected lines of JSON; something else may have answered in the origin's place")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!(
                "the origin, or something before it, answered {said}. Is --origin-token right, and not expired?"
            )
        }
        _ => format!("the origin, or something before it, answered {said}"),
    }
}

/// Whether the headers say where the body ends, so that a broken connection can be noticed.
pub fn has_end(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use ureq::http::HeaderValue;

    use super::*;

    #[test]
    fn only_urls_of_origins_are_accepted() {
        let new = |url, token| HttpOrigin::new(url, token, &Outside::default());
        for good in ["http://127.0.0.1:9/export", "https://o.example.com/changes?tenant=1"] {
            assert!(new(good, Some("t")).is_ok(), "{good}");
        }
        for bad in ["", "export.ndjson", "ftp://example.com", "http://"] {
            assert!(new(bad, None).is_err(), "{bad}");
        }
        let error = new("http://127.0.0.1", Some("se\ncret")).err().unwrap();
        assert!(!format!("{error:#}").contains("cret"));
    }

    fn asked(status: u16, headers: &[(header::HeaderName, &str)], body: &[u8]) -> Asked {
        let mut all = HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from(body.len()))]);
        all.extend(headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())));
        let body = Box::new(std::io::Cursor::new(body.to_vec()));
        let response = Response { status: StatusCode::from_u16(status).unwrap(), headers: all, body };
        Asked { response, retry_after: Some(Duration::from_secs(7)) }
    }

    /// A line that both an export and a feed could contain.
    const BOTH: &[u8] = b"{\"type\":\"merchant\",\"seq\":2}\n";

    const HTML: &[u8] = b"<!DOCTYPE html><title>Sign in</title>";

    #[test]
    fn answers_of_others_are_waited_out() {
        let html = (header::CONTENT_TYPE, "text/html; charset=utf-8");
        let ndjson = (header::CONTENT_TYPE, "application/x-ndjson");
        let login = (header::LOCATION, "https://login.example/?next=secret");
        for (status, headers, body, said) in [
            (404, vec![html.clone()], HTML, "answered 404 Not Found"),
            (302, vec![login], b"", "302 Found to https://login.example/"),
            (401, vec![ndjson.clone()], b"{}", "Is --origin-token right"),
            (403, vec![html.clone()], HTML, "Is --origin-token right"),
            (400, vec![ndjson.clone()], b"{}", "400"),
            (503, vec![], b"", "503"),
            (429, vec![], b"", "429"),
            (200, vec![html.clone()], HTML, "expected lines of JSON"),
            (200, vec![ndjson.clone()], HTML, "begins with \"<!DOCTYPE html>"),
            (200, vec![ndjson.clone()], b"upstream error", "begins with \"upstream error\""),
            (200, vec![ndjson.clone()], b"[]", "expected lines of JSON"),
            (200, vec![], b"{\"error\":\"sign in\"}\n", "begins with \"{\\\"error\\\":"),
            (200, vec![(header::CONTENT_ENCODING, "br")], b"\x0b\x02", "compressed as \"br\""),
        ] {
            let FeedAnswer::Unheard(unheard) = changes("http://o/x", asked(status, &headers, body)) else {
                panic!("{status} {headers:?} was taken for the origin's word")
            };
            assert!(unheard.text.contains(said) && !unheard.text.contains("secret"), "{}", unheard.text);
            assert!(export("http://o/x", asked(status, &headers, body)).is_err(), "{status} {headers:?}");
        }
    }

    #[test]
    fn the_feeds_answer_counts_whatever_its_content_type() {
        let read = |answer| {
            let FeedAnswer::Changes(changes) = answer else { panic!("no changes") };
            let (mut text, mut lines) = (String::new(), changes.lines);
            lines.read_to_string(&mut text).unwrap();
            (text, changes.doubt.is_none())
        };
        let typed = |media_type| [(header::CONTENT_TYPE, media_type)];
        for media_type in ["application/x-ndjson", "text/plain", "application/octet-stream"] {
            let answer = changes("http://o/x", asked(200, &typed(media_type), b"\r\n{\"seq\":2}\n"));
            assert_eq!(read(answer), ("\r\n{\"seq\":2}\n".to_owned(), true));
        }
        // For an empty answer only the headers tell who sent it.
        let seq = |seq| [(header::HeaderName::from_static("entitlement-seq"), seq)];
        for status in [200, 204] {
            for (headers, is_vouched_for) in [
                (typed("application/x-ndjson"), true),
                (typed("Application/X-NDJSON; charset=utf-8"), true),
                (seq("0"), true),
                (seq(" 41 "), true),
                (seq("none"), false),
                (typed("text/html"), false),
                (typed("text/plain"), false),
                (typed("application/json"), false),
            ] {
                let answer = read(changes("u", asked(status, &headers, b"")));
                assert_eq!(answer, (String::new(), is_vouched_for), "{status} {headers:?}");
            }
            assert_eq!(read(changes("u", asked(status, &[], b""))), (String::new(), false), "{status}");
        }
        assert!(matches!(changes("u", asked(410, &typed("text/html"), HTML)), FeedAnswer::Gone));
        // Compressed by a proxy without a label.
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(BOTH).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(read(changes("u", asked(200, &[], &packed))).0.as_bytes(), BOTH);
        let gzip = [(header::CONTENT_ENCODING, "gzip")];
        for body in [&packed[..], BOTH] {
            let mut text = String::new();
            export("u", asked(200, &gzip, body)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text.as_bytes(), BOTH);
        }
        // A truncated answer is an error.
        let mut cut = export("u", asked(200, &gzip, &packed[..packed.len() - 4])).unwrap();
        assert!(cut.read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn an_export_has_lines_and_an_end() {
        assert!(export("u", asked(200, &[], b"{\"type\":\"snapshot\",\"seq\":1}\n")).is_ok());
        assert!(export("u", asked(200, &[], b"")).err().unwrap().text.contains("the answer is empty"));
        assert!(export("u", asked(204, &[], b"")).is_err());
        // Only part of the first line has arrived, or it is invalid: the reader of lines reports the place.
        assert!(export("u", asked(200, &[], b"{\"ty")).is_ok());
        assert!(export("u", asked(200, &[], b"{\"type\":oops}\n{}")).is_ok());
        let mut endless = asked(200, &[], b"{}");
        endless.response.headers.clear();
        assert!(export("u", endless).err().unwrap().text.contains("neither Content-Length nor chunks"));
        let asked_for = export("u", asked(503, &[], b"")).err().unwrap().retry_after;
        assert_eq!(asked_for, Some(Duration::from_secs(7)));
    }
}
