//! HTTP as this command speaks it: one request, one answer. Nothing is judged here, and nothing is asked twice.

use std::{io::Read, sync::LazyLock, time::Duration};

use admit_native::http_client::{self, RootsError};
use ureq::{
    Agent,
    http::{self, HeaderMap, HeaderName, Method, StatusCode},
};

use super::address;
use crate::USER_AGENT;

/// A connection that is not there after this long will not be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests. Tests put a peer of their own in its place.
pub trait Wire: Send + Sync {
    /// Whether anything can be sent at all.
    ///
    /// # Errors
    /// The certificates that the environment names cannot be used.
    fn check(&self) -> Result<(), RootsError> {
        Ok(())
    }

    /// The answer to `request`, whose body may still be on its way.
    ///
    /// # Errors
    /// There is none, or the request cannot be sent at all.
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
    /// How long it may take.
    pub limits: Limits,
}

/// How long a request may take; without a limit as long as it does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Until the answer begins.
    pub answer: Option<Duration>,
    /// From there to the end of the answer.
    pub body: Option<Duration>,
    /// All in all.
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

/// The network. It is set up by the first request: many commands make none.
pub struct Http(LazyLock<Result<Agent, RootsError>>);

impl Http {
    /// Follows no redirects: a token is meant for one host only.
    pub const fn new() -> Self {
        Self(LazyLock::new(|| {
            let config = http_client::config(USER_AGENT)?;
            Ok(config.timeout_connect(Some(CONNECT_TIMEOUT)).build().into())
        }))
    }

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
