//! The rules for claims: verified claims in, a principal or the reason against it out.
//!
//! An optional claim that is absent or `null` grants nothing. One of the wrong type refuses the token: half
//! of what such a token says would otherwise decide.

use std::rc::Rc;

use jwt_compact::Claims;
use serde_json::{Map, Value};

use super::{
    config::{AudienceRule, IssuerConfig},
    error::ClaimsError,
    principal::{Asked, Principal, Roles, ValidTimes, VerifiedToken},
    unique::ClaimSet,
};
use crate::{limits::CUSTOMER_MAX_BYTES, snapshot::key::EntryKey};

const PUBLISH_SCOPE: &str = "snapshot:publish";
const READ_SCOPE: &str = "snapshot:read";

/// Judges the claims of a token whose signature is `issuer`'s.
pub(super) fn check(
    claims: &Claims<ClaimSet>,
    index: usize,
    issuer: &IssuerConfig,
    now: i64,
) -> Result<VerifiedToken, ClaimsError> {
    let issued_at = claims.issued_at.map(|time| time.timestamp());
    let times = ValidTimes {
        not_before: claims.not_before.map(|time| time.timestamp()).max(issued_at),
        expires_at: claims.expiration.ok_or(ClaimsError::NoExpiry)?.timestamp(),
    };
    if issued_at.is_some_and(|time| time > now.saturating_add(issuer.leeway_secs.into())) {
        return Err(ClaimsError::IssuedInFuture);
    }
    times.check(now, issuer.leeway_secs)?;
    let set = &claims.custom.0;
    let audience = texts(set, "aud", |text| vec![text.to_owned()])?;
    if let AudienceRule::AnyOf(allowed) = &issuer.audience
        && !audience.iter().any(|audience| allowed.contains(audience))
    {
        return Err(ClaimsError::Audience);
    }
    let principal = principal(set, issuer, audience)?;
    Ok(VerifiedToken { issuer: index, principal, times, asked: Asked::default() })
}

fn principal(
    claims: &Map<String, Value>,
    issuer: &IssuerConfig,
    mut audience: Vec<String>,
) -> Result<Principal, ClaimsError> {
    let subject = customer(claims.get(&issuer.customer_claim))?;
    let only_audience = if audience.len() == 1 { audience.pop() } else { None };
    let client_id = match text(claims, "client_id")? {
        Some(client_id) => Some(client_id),
        None => text(claims, "azp")?.or(only_audience),
    };
    let contexts = texts(claims, "ctx", |text| vec![text.to_owned()])?;
    // RFC 8693 §4.2: names with spaces between them.
    let scopes = texts(claims, "scope", |text| text.split_ascii_whitespace().map(str::to_owned).collect())?;
    let has_scope = |name: &str| issuer.may_publish && scopes.iter().any(|scope| scope == name);
    let may_publish = has_scope(PUBLISH_SCOPE);
    Ok(Principal {
        customer_key: EntryKey::customer(&issuer.namespace, &subject),
        namespace: Rc::from(issuer.namespace.as_str()),
        subject,
        client_id,
        merchant_id: integer(claims, "mid")?,
        merchant_uuid: text(claims, "mui")?,
        account_id: integer(claims, "aid")?,
        roles: Roles {
            consumer: contexts.iter().any(|context| context == "consumer"),
            merchant: contexts.iter().any(|context| context == "merchant"),
        },
        may_publish,
        may_read_snapshot: may_publish || has_scope(READ_SCOPE),
        scopes,
        merchants: issuer.merchants.clone(),
    })
}

/// The customer's name: text, or an integer in decimal. A fraction or an exponent has no single spelling.
fn customer(value: Option<&Value>) -> Result<String, ClaimsError> {
    let name = match value {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        _ => return Err(ClaimsError::Customer),
    };
    if name.is_empty() || name.len() > CUSTOMER_MAX_BYTES || name.contains('\0') {
        return Err(ClaimsError::Customer);
    }
    Ok(name)
}

fn present<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| !value.is_null())
}

fn text(claims: &Map<String, Value>, name: &'static str) -> Result<Option<String>, ClaimsError> {
    match present(claims, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ClaimsError::Malformed(name)),
    }
}

/// A number, or one in quotes, as vendors send ids either way.
fn integer(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, ClaimsError> {
    let number = match present(claims, name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    number.map(Some).ok_or(ClaimsError::Malformed(name))
}

/// An array of texts, or one text, which `split` takes apart.
fn texts(
    claims: &Map<String, Value>,
    name: &'static str,
    split: impl Fn(&str) -> Vec<String>,
) -> Result<Vec<String>, ClaimsError> {
    match present(claims, name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(split(text)),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(ClaimsError::Malformed(name)),
        Some(_) => Err(ClaimsError::Malformed(name)),
    }
}
