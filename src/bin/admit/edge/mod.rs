//! The publish API of a Worker: objects by name, and the head.

mod retry;

use std::time::Duration;

use admit::{
    limits::OBJECT_MAX_BYTES,
    snapshot::object::{HEAD_KEY, ObjectName},
};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};
use ureq::{
    Agent,
    http::{self, Method, StatusCode},
};

pub use retry::Patience;

/// A connection that is not there after this long will not be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One call in all: the largest object, 8 MiB, takes 67 s at 1 Mbit/s.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// A Worker, and the token that it lets in.
pub struct Edge {
    agent: Agent,
    base_url: String,
    authorization: String,
}

/// What the Worker answered.
struct Reply {
    status: StatusCode,
    body: Vec<u8>,
}

impl Edge {
    /// The Worker at `base_url`, asked with `token`.
    ///
    /// # Errors
    /// `base_url` is no HTTP address, or the token cannot stand in a header.
    pub fn new(base_url: &str, token: &str) -> Result<Self> {
        let wrong = || anyhow!("{base_url:?} is no address of a Worker, such as https://api.example.com");
        let url: http::Uri = base_url.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme_str(), Some("http" | "https"))
            || url.host().is_none()
            || url.query().is_some()
        {
            return Err(wrong());
        }
        let authorization = format!("Bearer {}", token.trim());
        if http::HeaderValue::from_str(&authorization).is_err() {
            bail!("the token has characters that no token has");
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The token is meant for this host only.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .user_agent(concat!("admit/", env!("CARGO_PKG_VERSION")))
            .build();
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.into(), base_url, authorization })
    }

    /// The published head, if there is one.
    ///
    /// # Errors
    /// The Worker does not answer, or refuses.
    pub fn head(&self) -> Result<Option<String>> {
        let Some(body) = self.get(HEAD_KEY)? else { return Ok(None) };
        Ok(Some(String::from_utf8(body).context("the published head is no text")?.trim().to_owned()))
    }

    /// Publishes a head.
    ///
    /// # Errors
    /// The Worker does not answer, or refuses: the head is older than the published one, its signature is by
    /// no key that the Worker knows, or an object is missing.
    pub fn put_head(&self, jws: &str) -> Result<()> {
        self.put(HEAD_KEY, jws.as_bytes())
    }

    /// Whether the Worker has an object.
    ///
    /// # Errors
    /// The Worker does not answer, or refuses.
    pub fn has_object(&self, name: ObjectName) -> Result<bool> {
        let path = name.to_string();
        let reply = self.call(&Method::HEAD, &path, None)?;
        match reply.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refusal(&Method::HEAD, &path, &reply)),
        }
    }

    /// An object, whose bytes are what its name says, if the Worker has it.
    ///
    /// # Errors
    /// The Worker does not answer, or refuses, or what it has is not this object.
    pub fn object(&self, name: ObjectName) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.get(&name.to_string())? else { return Ok(None) };
        name.check(&bytes).with_context(|| format!("the Worker's {name}"))?;
        Ok(Some(bytes))
    }

    /// Uploads an object.
    ///
    /// # Errors
    /// The Worker does not answer, or refuses.
    pub fn put_object(&self, name: ObjectName, bytes: &[u8]) -> Result<()> {
        self.put(&name.to_string(), bytes)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let reply = self.call(&Method::GET, path, None)?;
        match reply.status {
            StatusCode::OK => Ok(Some(reply.body)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refusal(&Method::GET, path, &reply)),
        }
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let reply = self.call(&Method::PUT, path, Some(bytes))?;
        if reply.status.is_success() { Ok(()) } else { Err(refusal(&Method::PUT, path, &reply)) }
    }

    /// One call, tried again while that may help.
    fn call(&self, method: &Method, path: &str, body: Option<&[u8]>) -> Result<Reply> {
        let mut patience = Patience::for_calls();
        loop {
            let (pause, failure) = match self.try_call(method, path, body) {
                Ok((reply, retry_after)) => {
                    let status = reply.status;
                    if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                        return Ok(reply);
                    }
                    (patience.next(retry_after), refusal(method, path, &reply))
                }
                Err(error) if is_worth_another_try(&error) => {
                    let failure =
                        anyhow!(error).context(format!("{method} {}/snapshot/{path}", self.base_url));
                    (patience.next(None), failure)
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("{method} {}/snapshot/{path}", self.base_url));
                }
            };
            let Some(pause) = pause else {
                return Err(failure.context(format!("gave up after {} attempts", patience.attempts())));
            };
            std::thread::sleep(pause);
        }
    }

    fn try_call(
        &self,
        method: &Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<(Reply, Option<Duration>), ureq::Error> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/snapshot/{path}", self.base_url))
            .header(http::header::AUTHORIZATION, &self.authorization);
        let mut response = match body {
            Some(bytes) => {
                let request = request.header(http::header::CONTENT_TYPE, "application/octet-stream");
                self.agent.run(request.body(bytes)?)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        let retry_after = response.headers().get(http::header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|secs| secs.to_str().ok()?.trim().parse().ok());
        // An answer to HEAD may name the encoding that GET would have, gzip among them, but has no body to decode.
        let body = if method == Method::HEAD {
            Vec::new()
        } else {
            response.body_mut().with_config().limit(OBJECT_MAX_BYTES as u64 + 1).read_to_vec()?
        };
        Ok((Reply { status: response.status(), body }, retry_after.map(Duration::from_secs)))
    }
}

/// Failures of the network may pass; those of the request never do.
const fn is_worth_another_try(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound
            | ureq::Error::Protocol(_)
    )
}

/// What the Worker said when it did not do as asked.
fn refusal(method: &Method, path: &str, reply: &Reply) -> anyhow::Error {
    let said = said(&reply.body).unwrap_or_default();
    let hint = match reply.status {
        StatusCode::UNAUTHORIZED => " (the token is missing, wrong or expired: `admit token` makes one)",
        StatusCode::FORBIDDEN => {
            " (the token needs the scope snapshot:publish, and an issuer that may publish)"
        }
        StatusCode::CONFLICT => " (another publisher was faster, or --seq is too low)",
        StatusCode::NOT_FOUND => " (is this the address of an Admit Worker?)",
        _ => "",
    };
    anyhow!("{method} /snapshot/{path}: the Worker answered {}{said}{hint}", reply.status)
}

/// The text of an error body: `message`, and what `errors` adds to it.
fn said(body: &[u8]) -> Option<String> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let message = body.get("message")?.as_str()?;
    let mut said = format!(": {message}");
    for (field, text) in body.get("errors").and_then(Value::as_object).into_iter().flatten() {
        if let Some(text) = text.as_str().filter(|text| *text != message) {
            said.push_str(&format!("; {field}: {text}"));
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_workers_are_taken() {
        for good in ["http://127.0.0.1:8787", "https://api.example.com/", "https://example.com/edge"] {
            assert!(Edge::new(good, "t").is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:8787", "ftp://example.com", "/snapshot", "https://e.com/?a=b", "http://"] {
            assert!(Edge::new(bad, "t").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_and_not_shown() {
        let error = Edge::new("http://127.0.0.1", "se\ncret").err().unwrap();
        assert!(!format!("{error:#}").contains("cret"));
    }

    #[test]
    fn the_workers_words_are_shown_once() {
        let text = said(br#"{"code":422,"message":"No","errors":{"422":"No","seq":"too old"}}"#);
        assert_eq!(text.unwrap(), ": No; seq: too old");
        assert_eq!(said(b"<html>"), None);
    }
}
