//! Calls to a service over HTTP, repeated while that may help. An answer of the service itself is told apart
//! from an answer of something in between.

use std::{borrow::Cow, io::Read, time::Duration};

use admit::api::error::ApiError;
use admit_snapshot::limits::OBJECT_MAX_BYTES;
use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};
use ureq::http::{self, HeaderMap, HeaderName, Method, StatusCode, header};

use crate::{
    bearer::Bearer,
    peer::{
        Outside, Unheard, address, clock, describe, is_page,
        retry::Patience,
        retry_after,
        wire::{Limits, Request},
    },
};

/// A service, and the tokens for it.
pub struct Http {
    outside: Outside,
    base_url: String,
    bearer: Bearer,
    service: Service,
    clock: clock::Watch,
}

/// How one service differs from another.
#[derive(Clone, Copy)]
pub struct Service {
    /// Its name in messages.
    pub name: &'static str,
    /// An example of its addresses.
    pub example: &'static str,
    /// The longest time for one call.
    pub call_timeout: Duration,
    /// Advice about a status, for messages.
    pub hint: fn(StatusCode, Call<'_>) -> Cow<'static, str>,
    /// Whether an answer comes from the service itself.
    pub is_own: fn(Expected, &Reply) -> bool,
}

/// The body of a successful answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any bytes but a web page: the value of a key.
    #[default]
    Value,
    /// A confirmation that something was stored.
    Done,
    /// A confirmation that something was deleted.
    Deleted,
    /// A JSON object with this member.
    Report(&'static str),
}

/// One call.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    /// The method; `None` for `GET`.
    pub method: Option<&'a Method>,
    /// The path after the service's address.
    pub path: &'a str,
    /// The body and its media type.
    pub body: Option<(&'a [u8], &'static str)>,
    /// The holder of the lease, for the header `Admit-Holder`.
    pub holder: Option<&'a str>,
    /// The longest time for all attempts together; `None` for no limit.
    pub deadline: Option<Duration>,
    /// The body of a success.
    pub expected: Expected,
}

impl Call<'_> {
    /// The method, which is `GET` by default.
    pub fn method(&self) -> &Method {
        self.method.unwrap_or(&Method::GET)
    }
}

/// A service's answer.
pub struct Reply {
    /// The status. 5xx and 429 are retried and become an error, so they do not occur here.
    pub status: StatusCode,
    /// The body.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Reply {
    /// An answer of this status, type and body.
    #[cfg(test)]
    pub fn new(status: u16, content_type: &'static str, body: &str) -> Self {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
        }
        let status = StatusCode::from_u16(status).unwrap_or_default();
        Self { status, body: body.as_bytes().to_vec(), headers }
    }

    /// The body as a JSON object.
    pub fn object(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether it is this error of a Worker, in its words.
    pub fn says(&self, error: ApiError) -> bool {
        self.status == error.status()
            && self.object().is_some_and(|body| {
                let message = body.get("message").and_then(Value::as_str);
                message.is_some_and(|message| message.starts_with(error.message()))
            })
    }

    /// Whether it is a web page.
    pub fn is_page(&self) -> bool {
        is_page(&self.headers, &self.body)
    }

    /// Whether it may be a stored value: without a type or of type bytes, and not compressed, because no
    /// compression was requested. An empty body must have the type, because much that stands in between
    /// answers with nothing.
    pub fn is_value(&self) -> bool {
        let media_type = self.headers.get(header::CONTENT_TYPE);
        let is_plain = self.headers.get(header::CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
        is_plain && media_type.map_or(!self.body.is_empty(), |it| it == "application/octet-stream")
    }
}

/// The service itself refused a call.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Refusal {
    text: String,
    is_final: bool,
    is_incomplete: bool,
    is_older: bool,
    is_unknown_form: bool,
}

/// Whether the service itself refuses this publisher in a way that waiting does not change: the right is
/// missing, or a token has ended that is not renewed.
pub fn is_shut_out(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.is_final)
}

/// Whether the service itself says that an object of the new version is missing.
pub fn is_incomplete(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.is_incomplete)
}

/// Whether a Worker says that a newer head is published, whose revocations must be taken over.
pub fn is_older(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.is_older)
}

/// Whether a Worker may have refused a head for its form alone: the value is too long for it, or no signed head to it.
pub fn is_unknown_form(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.is_unknown_form)
}

impl Http {
    /// The service at `base_url`, with tokens from `bearer`.
    ///
    /// # Errors
    /// `base_url` is not an HTTP address.
    pub fn new(base_url: &str, bearer: Bearer, service: Service, outside: &Outside) -> Result<Self> {
        let wrong =
            || anyhow!("{base_url:?} is not an address of {}, such as {}", service.name, service.example);
        let url: http::Uri = base_url.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme_str(), Some("http" | "https"))
            || url.host().is_none()
            || url.query().is_some()
        {
            return Err(wrong());
        }
        address::check(base_url)?;
        outside.wire.check()?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { outside: outside.clone(), base_url, bearer, service, clock: clock::Watch::default() })
    }

    /// The network, and time.
    pub const fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Makes a call, repeatedly while that may help. The answer is the service's own.
    ///
    /// # Errors
    /// [`Unheard`]: the service does not answer, keeps failing, or something else keeps answering in its
    /// place.
    pub fn call(&self, call: Call<'_>) -> Result<Reply> {
        let mut patience = Patience::for_calls();
        let time = &self.outside.time;
        let started = time.elapsed();
        loop {
            let spent = || time.elapsed().saturating_sub(started);
            let time_left = call.deadline.map(|deadline| deadline.saturating_sub(spent()));
            let (pause, failure) = match self.try_call(call, time_left) {
                Ok((reply, retry_after)) => match self.unheard(call, &reply) {
                    None => return Ok(reply),
                    Some(text) => (patience.next(retry_after), Unheard { text, retry_after }),
                },
                Err(error) if is_worth_another_try(&error) => {
                    let text = format!("{} {}{}: {error}", call.method(), self.base_url, call.path);
                    (patience.next(None), Unheard::new(text))
                }
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("{} {}{}", call.method(), self.base_url, call.path));
                }
            };
            // Gives up when no attempts are left, or when the pause would pass the deadline.
            let Some(pause) = pause.filter(|pause| time_left.is_none_or(|time_left| *pause < time_left))
            else {
                let Unheard { text, retry_after } = failure;
                let text = format!("gave up after {} attempts: {text}", patience.attempts());
                return Err(Unheard { text, retry_after }.into());
            };
            time.sleep(pause);
        }
    }

    /// Why an answer is not the service's own, if it is not.
    fn unheard(&self, call: Call<'_>, reply: &Reply) -> Option<String> {
        let (name, status) = (self.service.name, reply.status);
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Some(self.refusal_text(call, reply));
        }
        if (self.service.is_own)(call.expected, reply) {
            return None;
        }
        let said = describe(status, &reply.headers, &reply.body);
        let hint = match status {
            StatusCode::NOT_FOUND => (self.service.hint)(status, call),
            _ => Cow::Borrowed(""),
        };
        Some(format!(
            "{} {}{}: {said}: not an answer of {name}; something in between may have answered, such as a proxy, an \
             ingress or a challenge page{hint}",
            call.method(),
            self.base_url,
            call.path
        ))
    }

    /// The error for a refusal by the service itself.
    pub fn refusal(&self, call: Call<'_>, reply: &Reply) -> anyhow::Error {
        let text = self.refusal_text(call, reply);
        if reply.status == StatusCode::UNAUTHORIZED && self.bearer.is_renewed() {
            // The next token may be accepted.
            return Unheard::new(text).into();
        }
        let is_final = matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        // The Worker reports an error in field `body` when an object that the head names is missing.
        let is_incomplete = reply.status == StatusCode::UNPROCESSABLE_ENTITY
            && call.path.ends_with("/head")
            && reply
                .object()
                .is_some_and(|error| error.get("errors").is_some_and(|it| it.get("body").is_some()));
        let is_older = call.path.ends_with("/head") && reply.says(ApiError::OlderHead);
        let is_unknown_form =
            reply.status == StatusCode::PAYLOAD_TOO_LARGE || reply.says(ApiError::NOT_A_HEAD);
        Refusal { text, is_final, is_incomplete, is_older, is_unknown_form }.into()
    }

    fn refusal_text(&self, call: Call<'_>, reply: &Reply) -> String {
        let said = said(&reply.body).unwrap_or_default();
        let (name, hint) = (self.service.name, (self.service.hint)(reply.status, call));
        format!("{} {}: {name} answered {}{said}{hint}", call.method(), call.path, reply.status)
    }

    fn try_call(
        &self,
        call: Call<'_>,
        time_left: Option<Duration>,
    ) -> Result<(Reply, Option<Duration>), ureq::Error> {
        let call_timeout = self.service.call_timeout;
        let timeout = time_left.map_or(call_timeout, |time_left| time_left.min(call_timeout));
        let mut headers = vec![(header::AUTHORIZATION, self.bearer.header()?)];
        if let Some(holder) = call.holder {
            headers.push((HeaderName::from_static("admit-holder"), holder.to_owned()));
        }
        headers.extend(call.body.map(|(_, media_type)| (header::CONTENT_TYPE, media_type.to_owned())));
        let url = format!("{}{}", self.base_url, call.path);
        let body = call.body.map(|(bytes, _)| bytes);
        let limits = Limits { whole: Some(timeout), ..Limits::default() };
        let request = Request { method: call.method(), url: &url, headers, body, limits };
        let response = self.outside.wire.send(&request)?;
        let now = self.outside.time.unix_secs().unwrap_or_default();
        if let Some(warning) = self.clock.notice(&self.base_url, &response.headers, now) {
            eprintln!("warning: {warning}");
        }
        let retry_after = retry_after(&response.headers, now);
        let mut body = Vec::new();
        response.body.take(OBJECT_MAX_BYTES as u64 + 1).read_to_end(&mut body)?;
        Ok((Reply { status: response.status, body, headers: response.headers }, retry_after))
    }
}

/// Network errors may pass, and so may those of DNS and certificates. Errors of the request itself do not.
const fn is_worth_another_try(error: &ureq::Error) -> bool {
    !matches!(
        error,
        ureq::Error::BadUri(_)
            | ureq::Error::Http(_)
            | ureq::Error::InvalidProxyUrl
            | ureq::Error::RequireHttpsOnly(_)
            | ureq::Error::TlsRequired
    )
}

/// The text of an error body. A Worker's has `message`, and a map `errors` with more; Cloudflare's has a list
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
    use admit_testing::http::{Response, Server};

    use super::*;

    const SERVICE: Service = Service {
        name: "a Worker",
        example: "https://api.example.com",
        call_timeout: Duration::from_secs(10),
        hint: |_, _| Cow::Borrowed(""),
        is_own: |_, _| true,
    };

    fn http(url: &str) -> Result<Http> {
        Http::new(url, Bearer::new("t").unwrap(), SERVICE, &Outside::default())
    }

    #[test]
    fn only_addresses_of_services_are_taken() {
        for good in ["http://127.0.0.1:8787", "https://api.example.com/", "https://example.com/edge"] {
            assert!(http(good).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:8787", "ftp://example.com", "/snapshot", "https://e.com/?a=b", "http://"] {
            assert!(http(bad).is_err(), "{bad}");
        }
    }

    /// The number of calls that a service gets that fails and asks for a pause of `pause_secs`.
    fn attempts(pause_secs: &'static str, deadline: Option<Duration>) -> usize {
        let (asked, questions) = std::sync::mpsc::channel();
        let server = Server::start(move |request| {
            asked.send(()).unwrap();
            request.respond(&Response::new(503, "").header("Retry-After", pause_secs)).unwrap();
        });
        let http = http(&format!("http://{}", server.address)).unwrap();
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
