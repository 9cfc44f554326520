//! Sign-in and tokens.
//!
//! ```text
//! sign_in (older SDKs) ─┐            ┌─► issue + keys: access token, id_token
//! authorize (code) ─────┼─► identity ┼─► refresh: a family of refresh tokens
//! oauth (token) ────────┘            └─► trail: audit entry or count
//! ```
//!
//! An [`attempt`] is what the server knows about a sign-in before a thread starts on it.

pub mod attempt;
mod authorize;
pub mod client;
mod discovery;
pub(crate) mod identity;
mod issue;
pub mod keys;
mod oauth;
pub mod oauth_error;
pub mod password;
pub mod redirect;
mod refresh;
pub mod secret;
pub(crate) mod sign_in;
mod trail;

use std::borrow::Cow;

use admit::api::{
    contract::Route,
    error::ApiError,
    reply::{Caching, Reply},
};
use rusqlite::Connection;

use crate::{request::Incoming, state::Shared, wire::Refused};

/// Lifetime of an authorization code: one redirect and one request.
const CODE_TTL_SECS: i64 = 60;

/// The answer to a password during a delay. It is the same for existing and unknown accounts.
#[must_use]
pub fn delayed(
    shared: &Shared,
    grant: attempt::GrantType,
    incoming: &Incoming,
    wait_secs: u32,
    now: i64,
) -> Reply {
    shared.counts.add(0, "sign_in", "429 too many", now);
    let mut reply = match grant {
        attempt::GrantType::Page => authorize::delayed(incoming, wait_secs),
        _ => Reply::error(ApiError::TooManyRequests, "delayed"),
    };
    // Replaces the `Retry-After` that every 429 has.
    reply.take_header("retry-after");
    reply.headers.push(("retry-after", Cow::Owned(wait_secs.to_string())));
    reply
}

/// Answers the routes of sign-in and tokens.
///
/// # Errors
/// If the request is refused.
pub fn answer(
    shared: &Shared,
    connection: &mut Connection,
    route: Route<'_>,
    incoming: &Incoming,
    now: i64,
) -> Result<Reply, Refused> {
    let settings = &shared.settings;
    let answer = match route {
        Route::Jwks => Ok(Reply::ok(keys::public_set(connection, now)?.to_string(), Caching::Public)),
        Route::OpenIdConfiguration => {
            Ok(Reply::ok(discovery::document(settings).to_string(), Caching::Public))
        }
        Route::Authenticate => sign_in::authenticate(shared, connection, incoming, now),
        Route::Token | Route::LegacyToken => oauth::token(shared, connection, incoming, now),
        Route::Authorize => authorize::answer(shared, connection, incoming, now),
        _ => Err(ApiError::RouteNotFound.into()),
    };
    let refused = match &answer {
        Ok(reply) if reply.status == 401 => Some("401 wrong credentials"),
        Err(Refused::Own(error)) if error.status() == 401 => Some("401 wrong credentials"),
        Ok(reply) if reply.reason.starts_with("invalid_grant") => Some("400 invalid grant"),
        _ => None,
    };
    // Failures of strangers are counted: an entry for each would fill the audit trail.
    if let Some(outcome) = refused {
        shared.counts.add(0, "sign_in", outcome, now);
    }
    answer
}
