//! Tokens for somebody who has shown who they are.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{identity::Identity, keys::Signer, refresh::Remembered};
use crate::{db::DbError, settings::Settings};

/// An access token: the claims that the edge reads. `client_id` is the OAuth client, if it is one.
///
/// # Errors
/// None in practice.
pub fn access_token(
    settings: &Settings,
    signer: &Signer,
    identity: &Identity,
    client_id: Option<&str>,
    scope: &str,
    now: i64,
) -> Result<String, DbError> {
    let mut claims = Map::new();
    let always = json!({
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": identity.subject,
        "iat": now,
        "exp": now.saturating_add(settings.access_ttl_secs),
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
    if !scope.is_empty() {
        claims.insert("scope".to_owned(), scope.into());
    }
    // Not the type of an id_token, which the same key signs.
    signer.sign("at+jwt", &claims)
}

/// An `id_token` (OpenID Connect Core 1.0 §2): for the client, not for an API, which its audience says.
///
/// # Errors
/// None in practice.
pub fn id_token(
    settings: &Settings,
    signer: &Signer,
    identity: &Identity,
    remembered: &Remembered,
    nonce: Option<&str>,
    now: i64,
) -> Result<String, DbError> {
    let mut claims = Map::new();
    let always = json!({
        "iss": settings.issuer,
        "aud": remembered.client_id,
        "auth_time": remembered.signed_in_at,
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

/// The scopes that are granted of those that were asked for; all that there are when none were.
pub fn granted(asked: Option<&str>, identity: &Identity) -> String {
    let has = |scope: &str| identity.scopes.iter().any(|own| own == scope) || scope == "openid";
    match asked {
        None => identity.scopes.join(" "),
        Some(asked) => {
            asked.split_ascii_whitespace().filter(|scope| has(scope)).collect::<Vec<_>>().join(" ")
        }
    }
}
