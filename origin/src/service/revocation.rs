//! Valid tokens that this origin refuses: see [`revoked`].

use admit::{
    api::{error::ApiError, reply::Request},
    snapshot::time::UnixSecs,
    token::BearerToken,
};
use rusqlite::Connection;

use super::edge::EdgeParts;
use crate::{
    db::{audit, revoked},
    wire::Refused,
};

/// Refuses a request whose token is revoked. A missing or invalid token is left to the code that needs one.
///
/// # Errors
/// 401, or if the database cannot be read.
pub fn check(
    edge: &EdgeParts,
    connection: &Connection,
    request: &Request<'_>,
    now: UnixSecs,
) -> Result<(), Refused> {
    if request.authorization.is_empty() || !revoked::are_there(connection)? {
        return Ok(());
    }
    let Ok(bearer) = BearerToken::parse(request.authorization) else { return Ok(()) };
    let Ok(token) = edge.verify(request) else { return Ok(()) };
    let jti = audit::jti(bearer.as_str());
    let token = revoked::Token {
        namespace: &token.principal.namespace,
        is_own: token.issuer == 0,
        subject: &token.principal.subject,
        jti: jti.as_deref(),
        issued_at: token.times.not_before,
    };
    match revoked::is_revoked(connection, &token, now)? {
        true => Err(ApiError::InvalidToken.into()),
        false => Ok(()),
    }
}
