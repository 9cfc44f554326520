//! Requests to an origin, each bounded in time.

use std::{cell::Cell, io::Read, time::Duration};

use admit::ports::{ANSWER_HEADERS, UpstreamAnswer};
use admit_native::http_client;
use admit_publish::{
    USER_AGENT,
    clock::{now, now_unix_secs},
    origin::{has_end, is_url},
    peer,
};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::{
    Agent, Body,
    http::{self, HeaderMap, Method, Response, header},
};

use super::clock::Clock;

/// The longest answer that is read. An answer of the reference origin's feed has at most 16 MiB and a line.
const ANSWER_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The UTF-8 byte order mark, which some servers put before the text.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// After this number of requests in a row without an answer no more are sent: each would take its whole
/// timeout.
const UNANSWERED_MAX: u32 = 3;

/// An HTTP client for one origin. It counts unanswered requests and notes the origin's clock.
pub struct OriginClient {
    agent: Agent,
    timeout: Duration,
    unanswered: Cell<u32>,
    /// What the `Date` headers say about the origin's clock.
    pub clock: Clock,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    method: Method,
    url: &'a str,
    token: Option<&'a str>,
    wait_secs: Option<u64>,
    idempotency_key: Option<&'a str>,
    body: Option<(&'static str, String)>,
}

impl<'a> Ask<'a> {
    /// `GET url`.
    pub const fn get(url: &'a str) -> Self {
        Self::new(Method::GET, url)
    }

    /// A request without body and token.
    pub const fn new(method: Method, url: &'a str) -> Self {
        Self { method, url, token: None, wait_secs: None, idempotency_key: None, body: None }
    }

    /// Adds a bearer, if there is one.
    pub fn bearer(self, token: Option<&'a str>) -> Self {
        Self { token, ..self }
    }

    /// Adds `Prefer: wait`, which asks the origin to hold the answer for up to `secs`.
    pub fn wait(self, secs: u64) -> Self {
        Self { wait_secs: Some(secs), ..self }
    }

    /// Adds an `Idempotency-Key`.
    pub fn key(self, key: &'a str) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    /// Adds a body.
    pub fn body(self, content_type: &'static str, body: impl Into<String>) -> Self {
        Self { body: Some((content_type, body.into())), ..self }
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct OriginAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it arrived.
    pub body: Vec<u8>,
    /// Why the body is incomplete.
    pub broken: Option<String>,
    /// The time from the request to the end of the answer.
    pub elapsed: Duration,
}

impl OriginAnswer {
    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer as the edge gets it.
    pub fn at_the_edge(&self) -> UpstreamAnswer {
        let header = |name| Some((name, self.header(name)?.to_owned()));
        let headers = ANSWER_HEADERS.into_iter().filter_map(header).collect();
        UpstreamAnswer { status: self.status, headers, body: self.body.clone() }
    }

    /// The body as JSON, if it is valid. A byte order mark is skipped, as at the edge.
    pub fn json(&self) -> Option<Value> {
        let body = self.body.as_slice();
        serde_json::from_slice(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)).ok()
    }

    /// The status, with where it redirects to and whether it breaks off.
    pub fn describe(&self) -> String {
        let mut text = self.status.to_string();
        if let Some(location) = self.header("location") {
            text += &format!(" to {location} (redirects are not followed: the token is meant for this host)");
        }
        if let Some(broken) = &self.broken {
            text += &format!(", and the answer breaks off ({broken})");
        }
        text
    }

    /// The problem with the answer, if its status is not in `statuses` or it is incomplete.
    pub fn other_than(&self, statuses: &[u16]) -> Option<String> {
        (!statuses.contains(&self.status) || self.broken.is_some()).then(|| self.describe())
    }
}

impl OriginClient {
    /// A client that gives each answer `timeout`.
    ///
    /// # Errors
    /// The environment names root certificates that cannot be read.
    pub fn new(timeout: Duration) -> Result<Self> {
        let config =
            http_client::config(USER_AGENT)?.allow_non_standard_methods(true).timeout_connect(Some(timeout));
        Ok(Self { agent: config.build().into(), timeout, unanswered: Cell::new(0), clock: Clock::default() })
    }

    /// Sends a request and reads the whole answer. The error says why it failed.
    pub fn send(&self, ask: Ask<'_>) -> Result<OriginAnswer, String> {
        let began = now();
        let patience = self.patience(&ask);
        let response = self.call(ask, patience)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader().take(ANSWER_MAX_BYTES);
        let broken = reader.read_to_end(&mut body).err().map(|error| error.to_string());
        Ok(OriginAnswer { status, headers, body, broken, elapsed: began.elapsed() })
    }

    /// How long to wait for the first byte of an answer.
    fn patience(&self, ask: &Ask<'_>) -> Duration {
        self.timeout + Duration::from_secs(ask.wait_secs.unwrap_or_default())
    }

    /// Sends a request. The answer is read as it arrives and may take `total`; the error says why there is
    /// none.
    pub fn call(&self, ask: Ask<'_>, total: Duration) -> Result<Response<Body>, String> {
        let patience = self.patience(&ask);
        let what = format!("{} {}", ask.method, ask.url);
        if self.unanswered.get() >= UNANSWERED_MAX {
            return Err(format!("{what} was not sent: {UNANSWERED_MAX} requests before it had no answer"));
        }
        let began = now();
        match self.try_call(ask, patience, total) {
            Ok(response) => {
                self.unanswered.set(0);
                // If this machine has no usable clock, the origin's is not judged.
                if let Ok(now) = now_unix_secs() {
                    self.clock.note(response.headers(), now, began.elapsed());
                }
                Ok(response)
            }
            Err(error) => {
                self.unanswered.set(self.unanswered.get() + 1);
                Err(format!("{what} had no answer: {}", reason(&error, patience)))
            }
        }
    }

    fn try_call(
        &self,
        ask: Ask<'_>,
        patience: Duration,
        total: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        // URLs also come from the issuer's documents.
        peer::address::check(ask.url).map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let mut request = http::Request::builder().method(ask.method).uri(ask.url);
        if let Some(token) = ask.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(secs) = ask.wait_secs {
            request = request.header("prefer", format!("wait={secs}"));
        }
        if let Some(key) = ask.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        // The headers of a long answer arrive early too.
        let patience = Some(patience);
        match ask.body {
            None => {
                let request = request.body(())?;
                let config = self.agent.configure_request(request).timeout_recv_response(patience);
                let request = config.timeout_global(Some(total)).build();
                self.agent.run(request)
            }
            Some((content_type, body)) => {
                let request = request.header(header::CONTENT_TYPE, content_type).body(body)?;
                let config = self.agent.configure_request(request).timeout_recv_response(patience);
                let request = config.timeout_global(Some(total)).build();
                self.agent.run(request)
            }
        }
    }
}

fn reason(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("it took longer than {} s", timeout.as_secs()),
        error => error.to_string(),
    }
}

/// Whether the headers say where the body ends, so that a broken connection can be noticed.
pub fn tells_its_end(headers: &HeaderMap) -> bool {
    has_end(headers)
}

/// The URL of `place`: `place` itself if it is a URL, otherwise a path below `base`.
///
/// # Errors
/// `place` is neither a URL nor a path.
pub fn address(base: &str, place: &str) -> Result<String> {
    let address = match place.strip_prefix('/') {
        Some(path) => format!("{}/{path}", base.trim_end_matches('/')),
        None if is_url(place) => place.to_owned(),
        None => bail!("{place:?} is neither a URL nor a path that begins with a slash"),
    };
    let uri: http::Uri = address.parse().with_context(|| format!("{address:?} is not a URL"))?;
    if !is_url(&address) || uri.host().is_none() {
        bail!("{address:?} is not a URL such as https://origin.example.com");
    }
    peer::address::check(&address)?;
    Ok(address)
}

/// `url` with one more parameter.
pub fn with_parameter(url: &str, name: &str, value: impl std::fmt::Display) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{name}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_urls_or_paths() {
        for (base, place, expected) in [
            ("https://o.example", "/export", "https://o.example/export"),
            ("https://o.example/v1/", "/export?a=1", "https://o.example/v1/export?a=1"),
            ("http://localhost:1", "https://feed.example/x", "https://feed.example/x"),
        ] {
            assert_eq!(address(base, place).unwrap(), expected);
        }
        for (base, place) in [
            ("https://o.example", "export"),
            ("o.example", "/export"),
            ("http://", "/x"),
            ("http://o.example", "/x"),
            ("https://o.example", "http://feed.example/x"),
        ] {
            assert!(address(base, place).is_err(), "{base} {place}");
        }
        assert_eq!(with_parameter("http://o/x", "after", 1), "http://o/x?after=1");
        assert_eq!(with_parameter("http://o/x?a=1", "after", 1), "http://o/x?a=1&after=1");
    }
}
