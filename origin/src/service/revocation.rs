//! Valid tokens that this origin refuses: those of ended [`sessions`], and those that are [`revoked`].

use admit::{
    api::{error::ApiError, reply::Request},
    snapshot::time::UnixSecs,
    token::BearerToken,
};
use rusqlite::Connection;

use super::edge::EdgeParts;
use crate::{
    db::{audit::TokenNames, revoked, sessions},
    wire::Refused,
};

/// Refuses a request whose token is revoked or whose session has ended. A missing or invalid token is left to the
/// code that needs one.
///
/// # Errors
/// 401, or if the database cannot be read.
pub fn check(
    edge: &EdgeParts,
    connection: &Connection,
    request: &Request<'_>,
    now: UnixSecs,
) -> Result<(), Refused> {
    let Ok(bearer) = BearerToken::parse(request.authorization) else { return Ok(()) };
    let Ok(token) = edge.verify(request) else { return Ok(()) };
    // The origin's own issuer comes first in its configuration.
    let is_own = token.issuer == 0;
    let names = TokenNames::of(bearer.as_str());
    // Tokens of other issuers may have a `sid` that says nothing here; so may own tokens of earlier versions lack one.
    if is_own
        && let Some(session) = &names.session
        && !sessions::is_live(connection, session)?
    {
        return Err(ApiError::InvalidToken.into());
    }
    if !revoked::are_there(connection)? {
        return Ok(());
    }
    let token = revoked::Token {
        issuer: edge.issuer(&token),
        namespace: &token.principal.namespace,
        is_own,
        subject: &token.principal.subject,
        jti: names.jti.as_deref(),
        issued_at: token.times.not_before,
    };
    match revoked::is_revoked(connection, &token, now)? {
        true => Err(ApiError::InvalidToken.into()),
        false => Ok(()),
    }
}
