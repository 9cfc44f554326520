//! An origin's export and its change feed, over HTTP.

use std::{
    io::{BufReader, Read},
    time::Duration,
};

use admit::http_client;
use anyhow::{Context, Result, anyhow, bail};
use ureq::{
    Agent,
    http::{HeaderMap, Response, StatusCode, header},
};

use crate::{USER_AGENT, bearer::Bearer};

/// A connection that is not there after this long will not be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an origin may think before it answers: longer than the wait that is asked for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an export may take in all: 100 GB at 30 MB/s.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// How long an answer of the change feed may take in all.
const FEED_TIMEOUT: Duration = Duration::from_secs(120);

/// How long the origin is asked to wait for a change (RFC 7240). Below the 30 s after which many proxies give
/// up.
pub const WAIT_SECS: u64 = 20;

/// An origin's URL, and the token that it lets in.
#[derive(Clone)]
pub struct Origin {
    agent: Agent,
    url: String,
    bearer: Option<Bearer>,
}

/// What an origin's change feed answered.
pub enum Answer {
    /// Lines of changes, none if there is nothing new.
    Changes(Box<dyn Read>),
    /// The changes that were asked for are no longer kept.
    Gone,
    /// It cannot answer now; after this long it may.
    Unavailable(anyhow::Error, Option<Duration>),
}

/// Whether `place` is a URL rather than a path.
pub fn is_url(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

impl Origin {
    /// The origin at `url`, asked with `token` if there is one.
    ///
    /// # Errors
    /// `url` is none, or the token cannot stand in a header.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self> {
        let parsed: ureq::http::Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        if !is_url(url) || parsed.host().is_none() {
            bail!("{url:?} is no URL of an origin, such as https://origin.example.com/export");
        }
        let bearer = token.map(Bearer::new).transpose().context("the origin's token")?;
        let config = http_client::config(USER_AGENT)?
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT));
        Ok(Self { agent: config.build().into(), url: url.to_owned(), bearer })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The export, line by line.
    ///
    /// # Errors
    /// The origin does not answer, or with anything but an export whose end can be told.
    pub fn export(&self) -> Result<impl Read + use<>> {
        let response = self.get(&self.url, EXPORT_TIMEOUT, None)?;
        let status = response.status();
        if status != StatusCode::OK {
            bail!("GET {}: the origin answered {status}", self.url);
        }
        if !has_end(response.headers()) {
            // What is missing from an export is taken away: one that breaks off must not pass for a whole one.
            bail!(
                "GET {}: the origin's answer has neither Content-Length nor chunks, so that its end cannot be told",
                self.url
            );
        }
        Ok(response.into_body().into_reader())
    }

    /// What changed after the origin's count `after`.
    ///
    /// # Errors
    /// The origin refuses: asking again will not help.
    pub fn changes(&self, after: u64) -> Result<Answer> {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}after={after}", self.url);
        let wait = format!("wait={WAIT_SECS}");
        let response = match self.get(&url, FEED_TIMEOUT, Some(&wait)) {
            Ok(response) => response,
            Err(error) => return Ok(Answer::Unavailable(error, None)),
        };
        let status = response.status();
        match status {
            StatusCode::OK => Ok(Answer::Changes(Box::new(response.into_body().into_reader()))),
            StatusCode::NO_CONTENT => Ok(Answer::Changes(Box::new(std::io::empty()))),
            StatusCode::GONE => Ok(Answer::Gone),
            _ if status.is_server_error()
                || status == StatusCode::TOO_MANY_REQUESTS
                || status == StatusCode::REQUEST_TIMEOUT =>
            {
                let retry_after = response.headers().get(header::RETRY_AFTER);
                let retry_after = retry_after.and_then(|secs| secs.to_str().ok()?.trim().parse().ok());
                let error = anyhow!("GET {url}: the origin answered {status}");
                Ok(Answer::Unavailable(error, retry_after.map(Duration::from_secs)))
            }
            _ => bail!("GET {url}: the origin answered {status}"),
        }
    }

    fn get(&self, url: &str, timeout: Duration, prefer: Option<&str>) -> Result<Response<ureq::Body>> {
        let mut request = self.agent.get(url).header(header::ACCEPT, "application/x-ndjson");
        if let Some(bearer) = &self.bearer {
            let authorization = bearer.header().context("the origin's token")?;
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(prefer) = prefer {
            request = request.header("Prefer", prefer);
        }
        let request = request.config().timeout_recv_body(Some(timeout)).build();
        request.call().with_context(|| format!("GET {url}"))
    }
}

/// Whether the end of a body can be told from a connection that broke off.
pub fn has_end(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING)
}

/// A reader of lines over what an origin sends.
pub fn lines(body: Box<dyn Read>) -> BufReader<Box<dyn Read>> {
    BufReader::with_capacity(64 * 1024, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_origins_are_taken() {
        for good in ["http://127.0.0.1:9/export", "https://o.example.com/changes?tenant=1"] {
            assert!(Origin::new(good, Some("t")).is_ok(), "{good}");
        }
        for bad in ["", "export.ndjson", "ftp://example.com", "http://"] {
            assert!(Origin::new(bad, None).is_err(), "{bad}");
        }
        let error = Origin::new("http://127.0.0.1", Some("se\ncret")).err().unwrap();
        assert!(!format!("{error:#}").contains("cret"));
    }
}
