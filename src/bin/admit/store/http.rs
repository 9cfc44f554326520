//! Calls to a service over HTTP, tried again while that may help.

use std::time::Duration;

use admit::{http_client, limits::OBJECT_MAX_BYTES};
use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};
use ureq::{
    Agent,
    http::{self, Method, StatusCode},
};

use super::retry::Patience;
use crate::progress::now;
use crate::{USER_AGENT, bearer::Bearer};

/// A connection that is not there after this long will not be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A service, and the token that it lets in.
pub struct Http {
    agent: Agent,
    base_url: String,
    bearer: Bearer,
    service: Service,
}

/// What is particular to a service.
#[derive(Clone, Copy)]
pub struct Service {
    /// Its name in messages.
    pub name: &'static str,
    /// What its addresses look like.
    pub example: &'static str,
    /// How long one call may take in all.
    pub call_timeout: Duration,
    /// What may be done about a status, for people.
    pub hint: fn(StatusCode) -> &'static str,
}

/// One call.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    /// The method; `GET` unless it is set.
    pub method: Option<&'a Method>,
    /// What follows the service's address.
    pub path: &'a str,
    /// The body and its media type.
    pub body: Option<(&'a [u8], &'static str)>,
    /// Who holds the lease: the header `Admit-Holder`.
    pub holder: Option<&'a str>,
    /// How long all attempts together may take, unless as long as they need.
    pub deadline: Option<Duration>,
}

impl Call<'_> {
    fn method(&self) -> &Method {
        self.method.unwrap_or(&Method::GET)
    }
}

/// What a service answered.
pub struct Reply {
    /// The status: no 5xx and no 429, which are tried again until they are an error.
    pub status: StatusCode,
    /// The body.
    pub body: Vec<u8>,
}

/// What a service said when it did not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Refusal {
    status: StatusCode,
    text: String,
}

/// Whether the token is not, or no longer, let in: that does not pass by waiting.
pub fn is_shut_out(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Refusal>()
        .is_some_and(|refusal| matches!(refusal.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
}

impl Http {
    /// The service at `base_url`, asked with `token`.
    ///
    /// # Errors
    /// `base_url` is no HTTP address, or the token cannot stand in a header.
    pub fn new(base_url: &str, token: &str, service: Service) -> Result<Self> {
        let wrong = || anyhow!("{base_url:?} is no address of {}, such as {}", service.name, service.example);
        let url: http::Uri = base_url.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme_str(), Some("http" | "https"))
            || url.host().is_none()
            || url.query().is_some()
        {
            return Err(wrong());
        }
        let bearer = Bearer::new(token)?;
        let config = http_client::config(USER_AGENT)?.timeout_connect(Some(CONNECT_TIMEOUT)).build();
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.into(), base_url, bearer, service })
    }

    /// Makes a call, again and again while that may help.
    ///
    /// # Errors
    /// The service does not answer, or goes on failing.
    pub fn call(&self, call: Call<'_>) -> Result<Reply> {
        let mut patience = Patience::for_calls();
        let started = now();
        loop {
            let time_left = call.deadline.map(|deadline| deadline.saturating_sub(started.elapsed()));
            let address = || format!("{} {}{}", call.method(), self.base_url, call.path);
            let (pause, failure) = match self.try_call(call, time_left) {
                Ok((reply, retry_after)) => {
                    let status = reply.status;
                    if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                        return Ok(reply);
                    }
                    (patience.next(retry_after), self.refusal(call, &reply))
                }
                Err(error) if is_worth_another_try(&error) => {
                    (patience.next(None), anyhow!(error).context(address()))
                }
                Err(error) => return Err(error).with_context(address),
            };
            let Some(pause) = pause.filter(|pause| time_left.is_none_or(|time_left| *pause < time_left))
            else {
                return Err(failure.context(format!("gave up after {} attempts", patience.attempts())));
            };
            std::thread::sleep(pause);
        }
    }

    /// What the service said when it did not do as asked.
    pub fn refusal(&self, call: Call<'_>, reply: &Reply) -> anyhow::Error {
        let said = said(&reply.body).unwrap_or_default();
        let (name, hint) = (self.service.name, (self.service.hint)(reply.status));
        let text = format!("{} {}: {name} answered {}{said}{hint}", call.method(), call.path, reply.status);
        Refusal { status: reply.status, text }.into()
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: http::Request<B>,
        timeout: Duration,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.configure_request(request).timeout_global(Some(timeout)).build();
        self.agent.run(request)
    }

    fn try_call(
        &self,
        call: Call<'_>,
        time_left: Option<Duration>,
    ) -> Result<(Reply, Option<Duration>), ureq::Error> {
        let call_timeout = self.service.call_timeout;
        let timeout = time_left.map_or(call_timeout, |time_left| time_left.min(call_timeout));
        let method = call.method();
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{}", self.base_url, call.path))
            .header(http::header::AUTHORIZATION, self.bearer.header()?);
        if let Some(holder) = call.holder {
            request = request.header("Admit-Holder", holder);
        }
        let mut response = match call.body {
            Some((bytes, media_type)) => {
                let request = request.header(http::header::CONTENT_TYPE, media_type);
                self.run(request.body(bytes)?, timeout)?
            }
            None => self.run(request.body(())?, timeout)?,
        };
        let retry_after = response.headers().get(http::header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|secs| secs.to_str().ok()?.trim().parse().ok());
        let body = response.body_mut().with_config().limit(OBJECT_MAX_BYTES as u64 + 1).read_to_vec()?;
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

/// The text of an error body. A Worker's has `message`, to which a map `errors` adds; Cloudflare's has a list
/// `errors` of codes and messages.
fn said(body: &[u8]) -> Option<String> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    if let Some(errors) = body.get("errors").and_then(Value::as_array) {
        let text = |error: &Value| {
            let (code, message) = (error.get("code")?.as_i64()?, error.get("message")?.as_str()?);
            Some(format!("{code} {message}"))
        };
        let texts: Vec<_> = errors.iter().filter_map(text).collect();
        return (!texts.is_empty()).then(|| format!(": {}", texts.join("; ")));
    }
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
    use crate::test_server::{Response, Server};

    const SERVICE: Service = Service {
        name: "a Worker",
        example: "https://api.example.com",
        call_timeout: Duration::from_secs(10),
        hint: |_| "",
    };

    #[test]
    fn only_addresses_of_services_are_taken() {
        for good in ["http://127.0.0.1:8787", "https://api.example.com/", "https://example.com/edge"] {
            assert!(Http::new(good, "t", SERVICE).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:8787", "ftp://example.com", "/snapshot", "https://e.com/?a=b", "http://"] {
            assert!(Http::new(bad, "t", SERVICE).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_and_not_shown() {
        let error = Http::new("http://127.0.0.1", "se\ncret", SERVICE).err().unwrap();
        assert!(!format!("{error:#}").contains("cret"));
    }

    /// How many calls a service gets that fails and asks for a pause of so many seconds.
    fn attempts(pause_secs: &'static str, deadline: Option<Duration>) -> usize {
        let (asked, questions) = std::sync::mpsc::channel();
        let server = Server::start(move |request| {
            asked.send(()).unwrap();
            request.respond(&Response::new(503, "").header("Retry-After", pause_secs)).unwrap();
        });
        let http = Http::new(&format!("http://{}", server.address), "t", SERVICE).unwrap();
        assert!(http.call(Call { path: "/x", deadline, ..Call::default() }).is_err());
        questions.try_iter().count()
    }

    #[test]
    fn what_may_not_take_long_is_not_tried_again() {
        assert_eq!(attempts("60", Some(Duration::from_secs(50))), 1);
        assert_eq!(attempts("0", Some(Duration::from_secs(50))), 6);
        assert_eq!(attempts("0", None), 6);
    }

    #[test]
    fn the_services_words_are_shown_once() {
        let text = said(br#"{"code":422,"message":"No","errors":{"422":"No","seq":"too old"}}"#);
        assert_eq!(text.unwrap(), ": No; seq: too old");
        let text = said(br#"{"success":false,"errors":[{"code":10013,"message":"namespace not found"}]}"#);
        assert_eq!(text.unwrap(), ": 10013 namespace not found");
        assert_eq!(said(b"<html>"), None);
        assert_eq!(said(br#"{"errors":[]}"#), None);
    }
}
