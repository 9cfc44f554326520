//! Issues tokens for an authenticated identity.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{identity::Identity, keys::Signer, refresh::Session};
use crate::{db::DbError, settings::Settings};

/// The part of an access token that depends on the sign-in.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The OAuth client, if there is one.
    pub client_id: Option<&'a str>,
    /// The scopes, separated by spaces.
    pub scope: &'a str,
    /// The session, if an account signed in.
    pub session: Option<&'a str>,
    /// How long the token lives.
    pub ttl_secs: i64,
}

/// How long an access token lives that `identity` gets at the routes of the older SDKs. They never refresh, so an
/// operator may give viewers longer tokens there. Tokens that can write keep the usual lifetime.
#[must_use]
pub fn sdk_ttl_secs(settings: &Settings, identity: &Identity) -> i64 {
    match identity.role {
        Some("consumer") => settings.sdk_access_ttl_secs.max(settings.access_ttl_secs),
        _ => settings.access_ttl_secs,
    }
}

/// An access token with the claims that the edge reads.
///
/// # Errors
/// None in practice.
pub fn access_token(
    settings: &Settings,
    signer: &Signer,
    identity: &Identity,
    Terms { client_id, scope, session, ttl_secs }: Terms<'_>,
    now: i64,
) -> Result<String, DbError> {
    let mut claims = Map::new();
    let always = json!({
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": identity.subject,
        "iat": now,
        "exp": now.saturating_add(ttl_secs),
        "jti": Uuid::new_v4(),
        "mid": identity.merchant_id,
        "mui": identity.merchant_uuid,
        "aid": identity.account_id,
        "ctx": identity.role.as_slice(),
    });
    if let Value::Object(always) = always {
        claims.extend(always);
    }
    if let Some(client_id) = client_id {
        claims.insert("client_id".to_owned(), client_id.into());
    }
    if let Some(session) = session {
        claims.insert("sid".to_owned(), session.into());
    }
    if !scope.is_empty() {
        claims.insert("scope".to_owned(), scope.into());
    }
    // A type of its own keeps an `id_token`, which the same key signs, from passing as an access token.
    signer.sign("at+jwt", &claims)
}

/// An `id_token` (OpenID Connect Core 1.0 §2). Its audience is the client, so that no API accepts it.
///
/// # Errors
/// None in practice.
pub fn id_token(
    settings: &Settings,
    signer: &Signer,
    identity: &Identity,
    session: &Session,
    nonce: Option<&str>,
    now: i64,
) -> Result<String, DbError> {
    let mut claims = Map::new();
    let always = json!({
        "iss": settings.issuer,
        "aud": session.client_id,
        "auth_time": session.signed_in_at,
        "sub": identity.subject,
        "iat": now,
        "exp": now.saturating_add(settings.access_ttl_secs),
        "email": identity.account.get("email"),
        "name": identity.account.get("full_name"),
    });
    if let Value::Object(always) = always {
        claims.extend(always);
    }
    if let Some(nonce) = nonce {
        claims.insert("nonce".to_owned(), nonce.into());
    }
    signer.sign("JWT", &claims)
}

/// The requested scopes that the identity may have; all of its scopes if none were requested.
pub fn granted(asked: Option<&str>, identity: &Identity) -> String {
    let has = |scope: &str| identity.scopes.iter().any(|own| own == scope) || scope == "openid";
    match asked {
        None => identity.scopes.join(" "),
        Some(asked) => {
            asked.split_ascii_whitespace().filter(|scope| has(scope)).collect::<Vec<_>>().join(" ")
        }
    }
}
