//! Completes answers: the id of the request, the headers that every answer has, and the log line.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
};

use super::{ServiceReason, event::Event};
use crate::{
    api::{
        authzen,
        cors::Cors,
        error::ApiError,
        reply::{Body, Caching, Reply, Request},
        trace::{TRACEPARENT, trace_id},
    },
    config::{Config, LogChecks},
    limits::LOGGED_PATH_MAX_BYTES,
    ports::{Entropy, Log},
    snapshot::key::EntryKey,
};

/// The part of an answer's time that `Server-Timing` shows. Time stands still in a Worker while it computes, so that an
/// answer that did not wait has no duration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timing {
    /// Answered from memory.
    Memory,
    /// Something was awaited; the sum in milliseconds.
    Loaded { dur_ms: u64 },
}

/// Completes answers, and names requests.
#[derive(Debug)]
pub struct Completion {
    cors: Cors,
    log_checks: LogChecks,
    requests: Cell<u32>,
    instance: OnceCell<u64>,
}

impl Completion {
    /// As the configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let (cors, log_checks) = (config.cors.clone(), config.log_checks);
        Self { cors, log_checks, requests: Cell::new(0), instance: OnceCell::new() }
    }

    /// Whether every granted check has a log line.
    pub(super) fn logs_grants(&self) -> bool {
        self.log_checks == LogChecks::All
    }

    /// Adds the headers that every answer has, and writes the log line. The answer keeps the id of the request if it has
    /// one already.
    #[must_use]
    pub fn complete(
        &self,
        request: &Request<'_>,
        mut reply: Reply,
        log: &dyn Log,
        entropy: &dyn Entropy,
    ) -> Reply {
        let id = reply.take_header("x-request-id").unwrap_or_else(|| self.request_id(entropy));
        self.finish(request, reply, id, Timing::Memory, log)
    }

    pub(super) fn finish(
        &self,
        request: &Request<'_>,
        mut reply: Reply,
        request_id: String,
        timing: Timing,
        log: &dyn Log,
    ) -> Reply {
        self.log_request(request, &reply, &request_id, log);
        // As many as any answer has: growing would cost more than filling.
        reply.headers.reserve(9);
        describe_body(&mut reply);
        let headers = &mut reply.headers;
        headers.push((
            "server-timing",
            match timing {
                Timing::Memory => Cow::Borrowed("memory;desc=\"hit\""),
                Timing::Loaded { dur_ms } => Cow::Owned(format!("load;dur={dur_ms}")),
            },
        ));
        match authzen::request_id(request) {
            Some(own) => {
                headers.push(("x-request-id", Cow::Owned(own.to_owned())));
                headers.push(("admit-request-id", Cow::Owned(request_id)));
            }
            None => headers.push(("x-request-id", Cow::Owned(request_id))),
        }
        headers.extend(self.cors.headers(request.page_origin));
        reply
    }

    /// Names a request in logs and in its answer: random for each instance, counted within it. A client's own value is
    /// not taken: it would let clients write into the log.
    #[must_use]
    pub fn request_id(&self, entropy: &dyn Entropy) -> String {
        let mut id = String::with_capacity(16 + 1 + 8);
        push_hex(&mut id, self.instance(entropy), 16);
        id.push('-');
        push_hex(&mut id, self.count_request().into(), 8);
        id
    }

    /// Random for each instance.
    pub(super) fn instance(&self, entropy: &dyn Entropy) -> u64 {
        *self.instance.get_or_init(|| entropy.random().first_chunk().copied().map_or(0, u64::from_be_bytes))
    }

    /// The number of one more request. Never 0.
    pub(super) fn count_request(&self) -> u32 {
        let count = self.requests.get().wrapping_add(1).max(1);
        self.requests.set(count);
        count
    }

    fn log_request(&self, request: &Request<'_>, reply: &Reply, request_id: &str, log: &dyn Log) {
        let is_logged = match self.log_checks {
            LogChecks::All => true,
            // Refusals beside denials: developers who integrate a client look here for the reason.
            LogChecks::Denied => {
                matches!(reply.status, 400..=403 | 409 | 413 | 415 | 422 | 429 | 500..)
                    || reply.reason == ServiceReason::SomeDenied.code()
            }
            LogChecks::None => reply.status >= 500,
        };
        if is_logged {
            let end = request.path.floor_char_boundary(LOGGED_PATH_MAX_BYTES);
            let event = Event::Request {
                request_id,
                method: known_method(request.method),
                path: request.path.get(..end).unwrap_or_default(),
                status: reply.status,
                reason: &reply.reason,
                detail: &reply.detail,
                trace_id: trace_id(request.passed(TRACEPARENT)).unwrap_or_default(),
            };
            event.log(log);
        }
    }
}

/// The last `digits` hexadecimal digits. By hand: formatting machinery would cost a tenth of a check.
pub(super) fn push_hex(text: &mut String, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let nibble = (number >> (4 * digit)) & 0xf;
        text.push(u32::try_from(nibble).ok().and_then(|nibble| char::from_digit(nibble, 16)).unwrap_or('0'));
    }
}

/// A hash that names a customer in logs and tokens, in hexadecimal digits.
pub(super) fn subject_hash(customer_key: EntryKey) -> String {
    let mut hash = String::with_capacity(32);
    for byte in customer_key.0 {
        push_hex(&mut hash, byte.into(), 2);
    }
    hash
}

/// The answer of a service whose configuration is wrong: to every request a fixed body that any page may read, and to a
/// preflight the headers without which no page could.
#[must_use]
pub fn unconfigured(request: &Request<'_>) -> Reply {
    let mut reply =
        if request.method == "OPTIONS" { preflight(request) } else { Reply::from(ApiError::Internal) };
    describe_body(&mut reply);
    reply.headers.extend(Cors::Any.headers(""));
    reply
}

/// The answer to `OPTIONS`, without the route's methods.
pub(super) fn preflight(request: &Request<'_>) -> Reply {
    let mut headers = Cors::preflight_headers(request.passed("access-control-request-headers")).to_vec();
    let private_network = request.passed("access-control-request-private-network");
    headers.extend(Cors::private_network_header(private_network));
    Reply {
        status: 204,
        body: Body::Empty,
        caching: Caching::Private,
        headers,
        reason: Cow::Borrowed("preflight"),
        detail: String::new(),
        is_unapplied: false,
        lasts_until: None,
    }
}

fn describe_body(reply: &mut Reply) {
    let caching = if reply.status == 200 { reply.caching } else { Caching::Private };
    if let Some(content_type) = reply.body.content_type() {
        reply.headers.push(("content-type", Cow::Borrowed(content_type)));
    }
    reply.headers.push(("cache-control", Cow::Borrowed(caching.header())));
    reply.headers.push(("x-content-type-options", Cow::Borrowed("nosniff")));
}

pub(super) fn known_method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "OPTIONS" | "PUT" | "POST" | "PATCH" | "DELETE" => method,
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits() {
        for (number, digits) in
            [(0, 8), (0xabc, 8), (u64::MAX, 16), (0x0123_4567_89ab_cdef, 16), (1 << 60, 16)]
        {
            let mut text = String::new();
            push_hex(&mut text, number, digits);
            assert_eq!(text, format!("{number:0width$x}", width = digits as usize));
        }
    }

    #[test]
    fn a_wrong_configuration_is_a_fixed_500_that_pages_can_read() {
        for method in ["GET", "HEAD", "PUT", "BREW"] {
            let reply = unconfigured(&Request { method, ..Request::default() });
            assert_eq!(reply.status, 500);
            let body = r#"{"code":500,"message":"Internal error","errors":{"500":"Internal error"}}"#;
            assert_eq!(reply.body.as_bytes(), body.as_bytes());
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
            assert_eq!(reply.header("cache-control"), Some("private, no-store"));
        }
        let passed = [("access-control-request-headers", "traceparent".to_owned())];
        let preflight = unconfigured(&Request { method: "OPTIONS", passed: &passed, ..Request::default() });
        assert_eq!((preflight.status, preflight.body.as_bytes().len()), (204, 0));
        assert!(preflight.header("access-control-allow-headers").unwrap().ends_with(", traceparent"));
    }
}
