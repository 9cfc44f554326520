//! HTTP for this command: one request, one answer. Answers are not judged here, and requests are not
//! repeated.

use std::{io::Read, sync::LazyLock, time::Duration};

use admit_native::http_client::{self, RootsError};
use ureq::{
    Agent,
    http::{self, HeaderMap, HeaderName, Method, StatusCode},
};

use super::address;
use crate::USER_AGENT;

/// How long setting up a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests. Tests replace it by a peer of their own.
pub trait Wire: Send + Sync {
    /// Checks that requests can be sent at all.
    ///
    /// # Errors
    /// The certificates that the environment names cannot be used.
    fn check(&self) -> Result<(), RootsError> {
        Ok(())
    }

    /// Sends `request`. The body of the answer may still be on its way.
    ///
    /// # Errors
    /// The peer did not answer, or the request cannot be sent.
    fn send(&self, request: &Request<'_>) -> Result<Response, ureq::Error>;
}

/// One request.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole URL.
    pub url: &'a str,
    /// Its headers.
    pub headers: Vec<(HeaderName, String)>,
    /// The body, if it has one.
    pub body: Option<&'a [u8]>,
    /// How long the exchange may take.
    pub limits: Limits,
}

/// Time limits of a request; `None` for no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Until the answer begins.
    pub answer: Option<Duration>,
    /// From the beginning of the answer to its end.
    pub body: Option<Duration>,
    /// For everything.
    pub whole: Option<Duration>,
}

/// An answer.
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it arrives.
    pub body: Box<dyn Read + Send>,
}

/// The network. It is set up at the first request, because many commands make none.
pub struct Http(LazyLock<Result<Agent, RootsError>>);

impl Default for Http {
    /// Redirects are not followed: a token is meant for one host only.
    fn default() -> Self {
        Self(LazyLock::new(|| {
            let config = http_client::config(USER_AGENT)?;
            Ok(config.timeout_connect(Some(CONNECT_TIMEOUT)).build().into())
        }))
    }
}

impl Http {
    fn run<B: ureq::AsSendBody>(
        agent: &Agent,
        request: http::Request<B>,
        limits: Limits,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let config = agent.configure_request(request).timeout_recv_response(limits.answer);
        agent.run(config.timeout_recv_body(limits.body).timeout_global(limits.whole).build())
    }
}

impl Wire for Http {
    fn check(&self) -> Result<(), RootsError> {
        self.0.as_ref().map(drop).map_err(Clone::clone)
    }

    fn send(&self, request: &Request<'_>) -> Result<Response, ureq::Error> {
        address::check(request.url).map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let agent = self.0.as_ref().map_err(|error| ureq::Error::Other(Box::new(error.clone())))?;
        let mut built = http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let response = match request.body {
            Some(body) => Self::run(agent, built.body(body)?, request.limits)?,
            None => Self::run(agent, built.body(())?, request.limits)?,
        };
        let (head, body) = response.into_parts();
        Ok(Response { status: head.status, headers: head.headers, body: Box::new(body.into_reader()) })
    }
}
