//! The answers to `OPTIONS`, among them the preflights of browsers (CORS).

use std::borrow::Cow;

use admit::api::{
    cors::Cors,
    reply::{Body, Caching, Reply},
};

use super::route::Endpoint;

/// The answer to a preflight that asks for the headers `requested`, or to a plain `OPTIONS`.
pub fn reply(endpoint: Option<Endpoint<'_>>, requested: &str) -> Reply {
    let mut headers = Cors::preflight_headers(requested).to_vec();
    if let Some(endpoint) = endpoint {
        headers.push(("allow", Cow::Owned(endpoint.allow().to_string())));
    }
    let reason = Cow::Borrowed("preflight");
    let detail = String::new();
    Reply {
        status: 204,
        body: Body::Empty,
        caching: Caching::Private,
        headers,
        reason,
        detail,
        validity: None,
        is_unapplied: false,
    }
}
