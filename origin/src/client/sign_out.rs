//! Sign-out: the session of a token ends, with its refresh tokens.
//!
//! The origin refuses the session's access tokens from the next request on. Edges verify tokens themselves, so a copy
//! of an access token works there until it ends or until `admit revoke` names it.

use std::borrow::Cow;

use admit::api::reply::{Body, Caching, Reply};
use rusqlite::{OptionalExtension, TransactionBehavior};

use super::{Job, done};
use crate::{
    db::{
        from_json,
        revoked::{self, Tokens},
        sessions,
    },
    limits::TEXT_MAX_BYTES,
    tokens::redirect,
    wire::{Fields, OriginError, Refused, form},
};

/// `GET /accounts/logout`
///
/// # Errors
/// If the database cannot be written.
pub fn sign_out(job: &mut Job<'_>) -> Result<Reply, Refused> {
    end(job)?;
    Ok(done("Signed out"))
}

/// `GET /logout?client_id=&logout_uri=`: a page of the app sends its viewer here, and gets the viewer back at an
/// address that is registered for it. Without a token only the redirect is left: the sign-in page keeps no session.
///
/// # Errors
/// 400 if the address is not registered for the client.
pub fn page(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let parameters = form::parse(job.incoming.query.as_bytes()).map_err(Refused::into_bad_request)?;
    let fields = Fields::new(&parameters);
    let client_id = fields.required_text("client_id", TEXT_MAX_BYTES);
    let logout_uri = fields.required_text("logout_uri", TEXT_MAX_BYTES);
    fields.finish().map_err(Refused::into_bad_request)?;
    let (client_id, logout_uri) = (client_id.unwrap_or_default(), logout_uri.unwrap_or_default());
    let sql = "SELECT redirect_uris_json FROM clients WHERE client_id = ?1";
    let registered: Option<String> =
        job.connection.prepare_cached(sql)?.query_row([&client_id], |row| row.get(0)).optional()?;
    let registered: Vec<String> = registered.as_deref().map(from_json).transpose()?.unwrap_or_default();
    if !redirect::is_registered(&registered, &logout_uri) {
        return Err(OriginError::LogoutUri.into());
    }
    if job.token.is_some() {
        end(job)?;
    }
    Ok(Reply {
        status: 302,
        body: Body::Empty,
        caching: Caching::Private,
        headers: vec![
            ("location", Cow::Owned(logout_uri)),
            ("referrer-policy", Cow::Borrowed("no-referrer")),
        ],
        reason: Cow::Borrowed("signed out"),
        detail: String::new(),
        is_unapplied: false,
        lasts_until: None,
    })
}

/// Ends the session of the token. A token without one is refused by its name instead: another issuer's, or one of an
/// earlier version.
fn end(job: &mut Job<'_>) -> Result<(), Refused> {
    let Some(token) = job.token else { return Ok(()) };
    let names = token.names();
    let session = names.session.filter(|_| token.verified.issuer == 0);
    let _writing = job.shared.lock();
    let transaction = job.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match (&session, &names.jti) {
        (Some(session), _) => drop(sessions::end(&transaction, session)?),
        (None, Some(jti)) => {
            let tokens = Tokens::Id { issuer: Some(token.issuer), jti };
            revoked::revoke(&transaction, tokens, job.now)?;
        }
        (None, None) => {}
    }
    transaction.commit()?;
    Ok(())
}
