//! The answers to `OPTIONS`, among them the preflights of browsers (CORS).

use std::borrow::Cow;

use admit::api::{
    contract::{Route, Server},
    cors::Cors,
    reply::{Body, Caching, Reply},
};

/// The answer to a preflight that asks for the headers `requested`, or to a plain `OPTIONS`.
pub fn reply(route: Option<Route<'_>>, requested: &str) -> Reply {
    let mut headers = Cors::preflight_headers(requested).to_vec();
    if let Some(route) = route {
        headers.push(("allow", Cow::Owned(route.methods(Server::Origin).to_string())));
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
    }
}
