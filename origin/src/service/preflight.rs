//! The answers to `OPTIONS`, among them the preflights of browsers (CORS).

use std::borrow::Cow;

use admit::api::{
    cors::Cors,
    reply::{Body, Caching, Reply},
};

use crate::target::Target;

/// The answer to a preflight that asks for the headers `requested`, or to a plain `OPTIONS`.
pub fn reply(target: Option<Target<'_>>, requested: &str) -> Reply {
    let mut headers = Cors::preflight_headers(requested).to_vec();
    if let Some(target) = target {
        headers.push(("allow", Cow::Owned(target.methods().to_string())));
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
        is_unapplied: false,
        lasts_until: None,
    }
}
