//! `POST /oauth2/token`: OAuth 2 (RFC 6749) with PKCE (RFC 7636).

use admit::api::reply::{Caching, Reply};
use base64ct::{Base64UrlUnpadded, Encoding};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    CODE_TTL_SECS,
    client::{self, PresentedClient},
    identity::{self, Identity, RegisteredClient},
    issue::{self, Terms},
    keys::Signer,
    oauth_error::{OAuthError, TokenFailure},
    refresh::{self, Session},
    secret,
    sign_in::refreshed,
    trail,
};
use crate::{
    db::{DbError, audit::Via},
    limits::TEXT_MAX_BYTES,
    request::Incoming,
    settings::Settings,
    state::Shared,
    wire::{Fields, Refused},
};

/// Answers `POST /oauth2/token`. OAuth errors have the bodies of RFC 6749.
///
/// # Errors
/// 413, 415, or if the database fails.
pub fn token(
    shared: &Shared,
    connection: &mut Connection,
    incoming: &Incoming,
    now: i64,
) -> Result<Reply, Refused> {
    match granted(shared, connection, incoming, now) {
        Ok(body) => Ok(Reply::ok(body.to_string(), Caching::Private)),
        Err(TokenFailure::OAuth(error)) => Ok(error.reply()),
        Err(TokenFailure::Refused(refused)) => Err(refused),
    }
}

fn granted(
    shared: &Shared,
    connection: &mut Connection,
    incoming: &Incoming,
    now: i64,
) -> Result<Value, TokenFailure> {
    let body = match incoming.payload.read() {
        Err(Refused::Fields(problems)) => return Err(OAuthError::unreadable(&problems).into()),
        body => body?,
    };
    let fields = Fields::new(&body);
    let text = |name| fields.text(name, TEXT_MAX_BYTES);
    let required = |name, description| text(name).ok_or_else(|| OAuthError::missing(&fields, description));
    let PresentedClient { client_id, secret } = client::presented(&incoming.authorization, &fields)?;
    // A secret that is sent must be correct, even with a grant that needs none (RFC 6749 §3.2.1).
    let program = match &secret {
        Some(secret) => {
            let program = identity::by_secret(&shared.settings, connection, &client_id, secret)?;
            Some(program.ok_or_else(|| OAuthError::invalid_client(UNKNOWN_CLIENT))?)
        }
        None => None,
    };
    let grant = match required("grant_type", "grant_type is required")?.as_str() {
        "authorization_code" => {
            let code = required("code", "code is required")?;
            TokenGrant::Code(
                code,
                required("code_verifier", "code_verifier is required")?,
                text("redirect_uri"),
            )
        }
        "refresh_token" => TokenGrant::Refresh(required("refresh_token", "refresh_token is required")?),
        "client_credentials" => {
            let program = program.as_ref().ok_or_else(|| OAuthError::invalid_client(UNKNOWN_CLIENT))?;
            return program_token(shared, connection, program, text("scope").as_deref(), incoming.via(), now);
        }
        _ => return Err(OAuthError::unsupported_grant_type().into()),
    };
    // Unknown codes and tokens are refused before the lock is taken, so that strangers cannot hold up writes.
    let is_known = match &grant {
        TokenGrant::Code(code, ..) => is_known_code(connection, code)?,
        TokenGrant::Refresh(token) => refresh::is_known(connection, token)?,
    };
    if !is_known {
        return Err(OAuthError::invalid_grant().into());
    }
    let settings = &shared.settings;
    let _writing = shared.lock();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let via = incoming.via();
    let granted = match &grant {
        TokenGrant::Code(code, verifier, redirect_uri) => {
            let redemption =
                Redemption { client_id: &client_id, verifier, redirect_uri: redirect_uri.as_deref(), via };
            redeemed(settings, &transaction, code, &redemption, now)?
        }
        TokenGrant::Refresh(token) => refreshed(settings, &transaction, token, &client_id, via, now)?
            .map(|(identity, session, successor)| (identity, session, successor, None)),
    };
    let Some((identity, session, refresh_token, nonce)) = granted else {
        // Commits, because a reused code or token has ended its family.
        transaction.commit()?;
        return Err(OAuthError::invalid_grant().into());
    };
    let client = identity::client(&transaction, &client_id)?;
    let Some(identity) = identity.through(client.as_ref(), program.is_some()) else {
        transaction.commit()?;
        return Err(OAuthError::invalid_grant().into());
    };
    let signer = Signer::current(&transaction, now)?;
    let named = RegisteredClient::name(client.as_ref(), &client_id);
    let scope = issue::granted(Some(&session.scope), &identity);
    let terms =
        Terms { client_id: named, scope: &scope, session: session.id(), ttl_secs: settings.access_ttl_secs };
    let body = json!({
        "access_token": issue::access_token(settings, &signer, &identity, terms, now)?,
        "id_token": issue::id_token(settings, &signer, &identity, &session, nonce.as_deref(), now)?,
        "refresh_token": refresh_token,
        "token_type": "Bearer",
        "expires_in": settings.access_ttl_secs,
    });
    transaction.commit()?;
    Ok(body)
}

const UNKNOWN_CLIENT: &str = "Unknown client, or wrong secret";

/// A token for a program, without a refresh token: the program has its secret (RFC 6749 §4.4.3).
fn program_token(
    shared: &Shared,
    connection: &mut Connection,
    identity: &Identity,
    asked: Option<&str>,
    via: Via<'_>,
    now: i64,
) -> Result<Value, TokenFailure> {
    let scope = issue::granted(asked, identity);
    let settings = &shared.settings;
    let _writing = shared.lock();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let signer = Signer::current(&transaction, now)?;
    trail::signed_in(settings, &transaction, identity, &identity.subject, via, now)?;
    transaction.commit()?;
    let terms = Terms { client_id: None, scope: &scope, session: None, ttl_secs: settings.access_ttl_secs };
    Ok(json!({
        "access_token": issue::access_token(settings, &signer, identity, terms, now)?,
        "token_type": "Bearer",
        "expires_in": settings.access_ttl_secs,
        "scope": scope,
    }))
}

/// The grant of a request for tokens.
enum TokenGrant {
    /// Code, verifier, and redirect address.
    Code(String, String, Option<String>),
    /// The refresh token.
    Refresh(String),
}

/// The parameters that must match the code's own.
struct Redemption<'a> {
    client_id: &'a str,
    verifier: &'a str,
    redirect_uri: Option<&'a str>,
    via: Via<'a>,
}

/// The identity that signed in, its session, the first refresh token, and the nonce.
type Redeemed = Option<(Identity, Session, String, Option<String>)>;

/// Redeems an authorization code, once. A code that comes back ends all tokens made from it (RFC 6749
/// §4.1.2). The caller commits the transaction in any case.
fn redeemed(
    settings: &Settings,
    transaction: &Transaction<'_>,
    code: &str,
    redemption: &Redemption<'_>,
    now: i64,
) -> Result<Redeemed, Refused> {
    struct Code {
        session: Session,
        redirect_uri: String,
        challenge: String,
        nonce: Option<String>,
        expires_at: i64,
        used_at: Option<i64>,
    }
    let hash = secret::hash(code);
    let sql = "SELECT family, account_id, client_id, scope, redirect_uri, code_challenge, nonce, expires_at, used_at
               FROM authorization_codes WHERE hash = ?1";
    let found = transaction
        .prepare_cached(sql)?
        .query_row([&hash], |row| {
            let holder = identity::Holder::Account(row.get(1)?);
            let (family, client_id, scope) = (row.get(0)?, row.get(2)?, row.get(3)?);
            let signed_in_at = row.get::<_, i64>(7)?.saturating_sub(CODE_TTL_SECS);
            Ok(Code {
                session: Session { family, holder, client_id, scope, signed_in_at },
                redirect_uri: row.get(4)?,
                challenge: row.get(5)?,
                nonce: row.get(6)?,
                expires_at: row.get(7)?,
                used_at: row.get(8)?,
            })
        })
        .optional()?;
    let Some(code) = found else { return Ok(None) };
    if code.used_at.is_some() {
        refresh::stolen(settings, transaction, &code.session, "authorization_code", redemption.via, now)?;
        return Ok(None);
    }
    // The code is used up even if the checks below fail: its sender did not have the verifier.
    let sql = "UPDATE authorization_codes SET used_at = ?2 WHERE hash = ?1";
    transaction.prepare_cached(sql)?.execute(params![hash, now])?;
    let is_right = code.expires_at > now
        && code.session.client_id == redemption.client_id
        // OAuth 2.1 no longer requires the address; if it is sent, it must be the same.
        && redemption.redirect_uri.is_none_or(|redirect_uri| redirect_uri == code.redirect_uri)
        && is_verifier(redemption.verifier, &code.challenge);
    let identity = match is_right {
        true => identity::reload(settings, transaction, &code.session.holder)?,
        false => None,
    };
    let Some(identity) = identity else { return Ok(None) };
    let refresh_token = refresh::start(settings, transaction, &code.session, now)?;
    trail::signed_in(settings, transaction, &identity, redemption.client_id, redemption.via, now)?;
    Ok(Some((identity, code.session, refresh_token, code.nonce)))
}

/// Whether the code exists, used or not.
fn is_known_code(connection: &Connection, code: &str) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM authorization_codes WHERE hash = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([secret::hash(code)], |row| row.get(0))?)
}

/// Whether the challenge was made from the verifier (RFC 7636 §4.6, S256).
fn is_verifier(verifier: &str, challenge: &str) -> bool {
    let is_verifier = (43..=128).contains(&verifier.len());
    let computed = Base64UrlUnpadded::encode_string(&Sha256::digest(verifier.as_bytes()));
    is_verifier && bool::from(computed.as_bytes().ct_eq(challenge.as_bytes()))
}

/// Stores an authorization code.
///
/// # Errors
/// If the database cannot be written.
pub fn keep_code(
    connection: &Connection,
    code: &str,
    session: &Session,
    account_id: i64,
    request: &super::authorize::AuthorizationRequest,
    expires_at: i64,
) -> Result<(), DbError> {
    let sql =
        "INSERT INTO authorization_codes (hash, family, client_id, account_id, redirect_uri, code_challenge,
               scope, nonce, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    connection.prepare_cached(sql)?.execute(params![
        secret::hash(code),
        session.family,
        session.client_id,
        account_id,
        request.redirect_uri,
        request.code_challenge,
        session.scope,
        request.nonce,
        expires_at
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(is_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge));
        assert!(!is_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", challenge));
        assert!(!is_verifier("", challenge));
    }
}
