//! The rules for claims: verified claims in, a principal or a reason to refuse out.
//!
//! An optional claim that is absent, `null`, or empty as PHP leaves it (`""`, `[]`) grants nothing. Spellings
//! that can mean only one value are accepted: numbers in quotes, floats without a fraction, lists with gaps.
//! A claim of any other type refuses the whole token; otherwise the readable half of the token would decide.

use std::{cell::Cell, rc::Rc};

use admit_snapshot::{
    instant::{self, InstantError, UnixSecs},
    key::EntryKey,
    limits::CUSTOMER_MAX_BYTES,
    number,
};
use serde_json::{Map, Value};

use super::{
    capability::{Capability, Scopes},
    config::{AudienceRule, IssuerConfig},
    error::{ClaimsError, Problem, Undecided, UndecidedCause, VerifyError},
    left_out::shortened,
    lists,
    principal::{Asked, Principal, Roles, ValidTimes, VerifiedToken},
};
use crate::limits::{CLOCK_AHEAD_MAX_SECS, CLOCK_RETRY_MAX_SECS};

/// Checks the claims of a token that `issuer` signed. `index` is the issuer's place in the configuration.
pub(super) fn check(
    claims: &Map<String, Value>,
    index: usize,
    issuer: &IssuerConfig,
    now: UnixSecs,
) -> Result<VerifiedToken, VerifyError> {
    let times = check_times(claims, now, issuer.leeway_secs)?;
    let audience = texts(claims, "aud", |text| vec![text.to_owned()])?;
    if let AudienceRule::AnyOf(allowed) = &issuer.audience
        && !audience.iter().any(|audience| allowed.contains(audience))
    {
        let detail = format!("claim aud: {}: one of {} is expected", shown(&audience), shown(allowed));
        return Err(Problem::new(ClaimsError::Audience, detail).into());
    }
    let principal = principal(claims, issuer, audience)?;
    Ok(VerifiedToken { issuer: index, principal, times, asked: Asked::default(), is_known: Cell::default() })
}

fn check_times(
    claims: &Map<String, Value>,
    now: UnixSecs,
    leeway_secs: u32,
) -> Result<ValidTimes, VerifyError> {
    let issued_at = moment(claims, "iat")?;
    let not_before = moment(claims, "nbf")?;
    let expires_at = moment(claims, "exp")?
        .ok_or_else(|| Problem::new(ClaimsError::NoExpiry, "claim exp: missing".to_owned()))?;
    let times = ValidTimes { not_before: not_before.max(issued_at), expires_at };
    // A moment later than this is in the future even with the leeway.
    let latest = now.saturating_add(leeway_secs.into());
    match times.check(now, leeway_secs) {
        Ok(()) => Ok(times),
        Err(ClaimsError::NotYetValid) if issued_at.is_some_and(|time| time > latest) => {
            Err(ahead(ClaimsError::IssuedInFuture, "iat", issued_at.unwrap_or(now), now, leeway_secs))
        }
        // The issuer's clock agrees with ours, so `nbf` is meant as written.
        Err(ClaimsError::NotYetValid) if issued_at.is_some() => {
            let secs = not_before.unwrap_or(now).saturating_sub(now);
            Err(Problem::new(ClaimsError::NotYetValid, format!("claim nbf: {secs} s in the future")).into())
        }
        Err(error) => Err(times_error(error, times, now, leeway_secs)),
    }
}

/// `jti` as text, for the denylist. `None` if it is neither text nor an integer.
pub(super) fn token_id(claims: &Map<String, Value>) -> Option<String> {
    present(claims, "jti").and_then(scalar)
}

/// `iat` of claims whose times have been checked.
pub(super) fn issued_at(claims: &Map<String, Value>) -> Option<UnixSecs> {
    moment(claims, "iat").ok().flatten()
}

/// The answer to a token whose times are wrong.
pub(super) fn times_error(
    error: ClaimsError,
    times: ValidTimes,
    now: UnixSecs,
    leeway_secs: u32,
) -> VerifyError {
    match error {
        ClaimsError::NotYetValid => ahead(error, "nbf", times.not_before.unwrap_or(now), now, leeway_secs),
        ClaimsError::Expired => {
            let secs = now.saturating_sub(times.expires_at);
            Problem::new(error, format!("claim exp: passed {secs} s ago, leeway_secs is {leeway_secs}"))
                .into()
        }
        other => Problem::from(other).into(),
    }
}

/// The answer to a token whose `claim` is in the future. Issuers do not sign ahead of time, so one of the two
/// clocks is wrong (docs/adr/0014). A difference of more than a day cannot be a wrong clock.
fn ahead(error: ClaimsError, claim: &str, time: UnixSecs, now: UnixSecs, leeway_secs: u32) -> VerifyError {
    let secs = time.saturating_sub(now);
    if secs > CLOCK_AHEAD_MAX_SECS {
        return Problem::new(error, format!("claim {claim}: {secs} s in the future")).into();
    }
    let wait_secs = secs.saturating_sub(leeway_secs.into()).clamp(1, CLOCK_RETRY_MAX_SECS);
    VerifyError::Undecided(Undecided {
        cause: UndecidedCause::ClockDiffers,
        retry_after_secs: u32::try_from(wait_secs).unwrap_or(1),
        detail: format!("claim {claim}: clock differs by {secs} s, leeway_secs is {leeway_secs}"),
    })
}

/// The principal that the claims name. Claims become a [`Principal`] only here, so a token never has a role,
/// scope or capability that its issuer lacks.
fn principal(
    claims: &Map<String, Value>,
    issuer: &IssuerConfig,
    mut audience: Vec<String>,
) -> Result<Principal, Problem<ClaimsError>> {
    let subject = customer(claims, &issuer.customer_claim)?;
    // The client is `client_id`, else `azp`, else the only audience.
    let only_audience = if audience.len() == 1 { audience.pop() } else { None };
    let client_id = match text(claims, "client_id")? {
        Some(client_id) => Some(client_id),
        None => text(claims, "azp")?.or(only_audience),
    };
    let contexts = texts(claims, "ctx", |text| vec![text.to_owned()])?;
    // RFC 8693 §4.2: scopes are separated by spaces.
    let scopes = texts(claims, "scope", |text| text.split_ascii_whitespace().map(str::to_owned).collect())?;
    let (may, merchant_id) = (issuer.may, integer(claims, "mid")?);
    // A role needs both: the issuer's capability and the word in `ctx`.
    let has_role =
        |role, capability| may.has(capability) && contexts.iter().any(|context| context.as_str() == role);
    let mut principal = Principal {
        customer_key: EntryKey::customer(&issuer.namespace, &subject),
        namespace: Rc::from(issuer.namespace.as_str()),
        subject,
        client_id,
        merchant_id,
        merchant_uuid: text(claims, "mui")?,
        account_id: integer(claims, "aid")?,
        roles: Roles {
            consumer: has_role("consumer", Capability::View),
            merchant: has_role("merchant", Capability::Write),
        },
        scopes: Scopes::granted(scopes.iter().map(String::as_str), may, issuer.merchants.is_some()),
        may,
        may_test: issuer.test_clients,
        merchants: issuer.merchants.clone(),
    };
    // An issuer that is bound to merchants must name one of them, or the token gets no merchant role.
    principal.roles.merchant &= principal.may_act_as_merchant();
    Ok(principal)
}

/// The customer's name: text, or an integer in decimal. A fraction or an exponent has more than one spelling,
/// so it is refused.
fn customer(claims: &Map<String, Value>, claim: &str) -> Result<String, Problem<ClaimsError>> {
    let wrong = |problem: &str| Err(Problem::new(ClaimsError::Customer, format!("claim {claim}: {problem}")));
    let name = match claims.get(claim) {
        None | Some(Value::Null) => return wrong("missing, and it names the customer"),
        Some(value) => match scalar(value) {
            Some(name) => name,
            None => return wrong(&format!("{}: text or an integer is expected", kind(value))),
        },
    };
    if name.is_empty() {
        return wrong("empty, and it names the customer");
    }
    if name.len() > CUSTOMER_MAX_BYTES {
        return wrong(&format!("longer than {CUSTOMER_MAX_BYTES} bytes"));
    }
    if name.contains('\0') {
        return wrong("contains a zero byte");
    }
    Ok(name)
}

/// The value of a claim, unless it is `null` or an empty value that PHP writes for "not set".
fn present<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim_ascii().is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    })
}

/// Text as it is, or an integer in decimal digits.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        Value::Number(number) => number::whole_number(number).map(|whole| whole.to_string()),
        _ => None,
    }
}

fn malformed(name: &'static str, value: &Value, expected: &str) -> Problem<ClaimsError> {
    let detail = format!("claim {name}: {}: {expected} is expected", kind(value));
    Problem::new(ClaimsError::Malformed(name), detail)
}

/// Names the type of a value for a log line, which must not show the value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction, or too large",
        Value::Number(_) => "a number",
        Value::String(_) => "other text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Lists the first few texts, for a log line.
fn shown(texts: &[String]) -> String {
    const SHOWN_MAX: usize = 4;
    let first: Vec<_> = texts.iter().take(SHOWN_MAX).map(|text| format!("{:?}", shortened(text))).collect();
    match texts.len() {
        0 => "missing".to_owned(),
        len if len > SHOWN_MAX => format!("{} and {} more", first.join(", "), len - SHOWN_MAX),
        _ => first.join(", "),
    }
}

fn text(claims: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Problem<ClaimsError>> {
    let Some(value) = present(claims, name) else { return Ok(None) };
    scalar(value).map(Some).ok_or_else(|| malformed(name, value, "text"))
}

/// An integer. Vendors send ids as numbers and as text.
fn integer(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, Problem<ClaimsError>> {
    let Some(value) = present(claims, name) else { return Ok(None) };
    number::whole(value).map(Some).ok_or_else(|| malformed(name, value, "a whole number"))
}

/// Unix seconds. A NumericDate may have a fraction (RFC 7519 §2), which is dropped.
fn moment(claims: &Map<String, Value>, name: &'static str) -> Result<Option<UnixSecs>, Problem<ClaimsError>> {
    let Some(value) = present(claims, name) else { return Ok(None) };
    let moment = match (instant::from_json(value), value) {
        // A number with a fraction is rounded down, then checked like any other number of seconds.
        (Err(InstantError::Fraction(_)), Value::Number(number)) => number
            .as_f64()
            .map(f64::floor)
            .and_then(number::whole_float)
            .map_or_else(|| Err(InstantError::NotSeconds(number.to_string())), instant::from_secs),
        (moment, _) => moment.map(|moment| moment.at),
    };
    moment
        .map(Some)
        .map_err(|error| Problem::new(ClaimsError::Malformed(name), format!("claim {name}: {error}")))
}

/// A list of texts. A single text is split by `split`.
fn texts(
    claims: &Map<String, Value>,
    name: &'static str,
    split: impl Fn(&str) -> Vec<String>,
) -> Result<Vec<String>, Problem<ClaimsError>> {
    let Some(value) = present(claims, name) else { return Ok(Vec::new()) };
    let texts = match value {
        Value::String(text) => Some(split(text)),
        Value::Number(_) => scalar(value).map(|text| vec![text]),
        other => lists::elements(other).and_then(|values| values.into_iter().map(scalar).collect()),
    };
    texts.ok_or_else(|| malformed(name, value, "text or a list of texts"))
}
