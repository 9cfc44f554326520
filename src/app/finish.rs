//! The headers that every answer has, the log line, and the audit event.

use std::borrow::Cow;

use super::{
    App,
    audit::{AuditEvent, Audited, Begun, HEAD_SEQ},
    event::Event,
};
use crate::{
    api::{
        cors::Cors,
        error::ApiError,
        reply::{Body, Caching, Reply, Request},
    },
    config::LogChecks,
    limits::LOGGED_PATH_MAX_BYTES,
    ports::Platform,
};

/// Where the time went, for `Server-Timing`. Time stands still in a Worker while it computes, so what did
/// not wait has no duration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timing {
    /// Answered from memory.
    Memory,
    /// Something was awaited, for so long in all.
    Loaded { dur_ms: u64 },
}

impl<P: Platform> App<P> {
    /// Completes an answer of the edge, and writes the audit event of what changes something. `begun` is a change that
    /// was tried; one that was refused before has its event, too, if a token says who asked for it.
    pub(super) fn finish_audited(
        &self,
        request: &Request<'_>,
        mut reply: Reply,
        timing: Timing,
        begun: Option<Begun<'_, P>>,
    ) -> Reply {
        let audited = match begun {
            Some(begun) => {
                if reply.header("x-request-id").is_none() {
                    reply.headers.push(("x-request-id", Cow::Owned(begun.id.clone())));
                }
                begun.end()
            }
            None => Audited::of(request, self.config.origin.is_some())
                .filter(|what| matches!(reply.status, 400 | 402..=499) && !what.is_sign_in())
                .map(|what| {
                    let actor = self.actor(&what, request);
                    (what, actor)
                }),
        };
        let seq = reply.take_header(HEAD_SEQ);
        let reply = self.finish(request, reply, timing);
        if let Some((what, actor)) = audited {
            let id = reply.header("x-request-id").unwrap_or_default();
            let seq = seq.as_deref().or_else(|| reply.header("entitlement-seq"));
            let seq = seq.and_then(|seq| seq.parse().ok());
            let (what, actor, reply) = (&what, &actor, Some(&reply));
            let event = AuditEvent { request_id: id, what, actor, request, reply, seq };
            // `LOG_CHECKS` cannot switch audit events off.
            Event::Audit(&event).log(self.platform.log());
        }
        reply
    }

    pub(super) fn finish(&self, request: &Request<'_>, mut reply: Reply, timing: Timing) -> Reply {
        // What was passed on to the origin has its id already.
        let request_id = reply.take_header("x-request-id").unwrap_or_else(|| self.request_id());
        let is_logged = self.log_request(request, &reply, &request_id);
        // The next request is to be logged as well, and waits for nothing.
        if is_logged || matches!(timing, Timing::Loaded { .. }) {
            reply.validity = None;
        }
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
        headers.push(("x-request-id", Cow::Owned(request_id)));
        headers.extend(self.config.cors.headers(request.origin));
        reply
    }

    /// Names a request in logs and in its answer: random for each isolate, counted within it. A client's own
    /// value is not taken: it would let clients write into the log.
    pub(super) fn request_id(&self) -> String {
        let prefix = self.request_prefix();
        let count = self.count_request();
        let mut id = String::with_capacity(16 + 1 + 8);
        push_hex(&mut id, prefix, 16);
        id.push('-');
        push_hex(&mut id, count.into(), 8);
        id
    }

    /// Random for each instance.
    pub(super) fn request_prefix(&self) -> u64 {
        self.request_prefix.get().unwrap_or_else(|| {
            let random = self.platform.entropy().random();
            let prefix = random.first_chunk().copied().map_or(0, u64::from_be_bytes);
            self.request_prefix.set(Some(prefix));
            prefix
        })
    }

    /// The number of one more request. Never 0.
    pub(super) fn count_request(&self) -> u32 {
        let count = self.requests.get().wrapping_add(1).max(1);
        self.requests.set(count);
        count
    }

    /// Says whether it logged anything.
    fn log_request(&self, request: &Request<'_>, reply: &Reply, request_id: &str) -> bool {
        let is_logged = match self.config.log_checks {
            LogChecks::All => true,
            // A refusal beside a denial is told as well: somebody integrates, and looks here for the reason.
            LogChecks::Denied => matches!(reply.status, 400..=403 | 409 | 413 | 415 | 422 | 429 | 500..),
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
            };
            event.log(self.platform.log());
        }
        is_logged
    }
}

/// The last `digits` hexadecimal digits. By hand: formatting machinery would cost a tenth of a check.
pub(super) fn push_hex(text: &mut String, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let nibble = (number >> (4 * digit)) & 0xf;
        text.push(u32::try_from(nibble).ok().and_then(|nibble| char::from_digit(nibble, 16)).unwrap_or('0'));
    }
}

/// What a service answers that cannot read its configuration: whatever was asked, a fixed body that any page
/// may read, and the preflight without which no page could.
#[must_use]
pub fn unconfigured(request: &Request<'_>) -> Reply {
    let mut reply =
        if request.method == "OPTIONS" { preflight(request) } else { Reply::from(ApiError::Internal) };
    describe_body(&mut reply);
    reply.headers.extend(Cors::Any.headers(""));
    reply
}

/// The answer to a preflight, or to whoever asks for the methods.
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
        validity: None,
        is_unapplied: false,
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
