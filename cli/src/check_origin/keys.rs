//! The issuer's keys, which the edge verifies tokens with.

use std::collections::BTreeMap;

use admit::api::contract::table;
use admit_token::{KeySet, KeySetError, NativeVerifier, limits::JWKS_MAX_KEYS};
use serde_json::{Value, json};

use super::{
    checks::{KEYS_ALGORITHMS, KEYS_DOCUMENT, KEYS_ISSUER, KEYS_KIDS},
    client::{Ask, OriginAnswer, OriginClient},
    report::ConformanceReport,
};

/// Checks the keys of `issuer`.
pub fn check(report: &mut ConformanceReport, client: &OriginClient, issuer: &str) {
    let Some(url) = document_url(report, client, issuer) else {
        return report.skip_rest("keys.", "the address of the keys is unknown");
    };
    let keys = match client.send(Ask::get(&url)) {
        Err(problem) => Err(problem),
        Ok(answer) => keys_of(&answer).map_err(|problem| format!("{url}: {problem}")),
    };
    match keys {
        Err(problem) => report.fail(&KEYS_DOCUMENT, problem),
        Ok(keys) => {
            report.pass(&KEYS_DOCUMENT, format!("{} keys at {url}", keys.len()));
            check_keys(report, &keys);
        }
    }
    report.skip_rest("keys.", "the keys could not be fetched");
}

/// The URL of the key set: from the discovery document if there is one, otherwise the well-known path.
fn document_url(report: &mut ConformanceReport, client: &OriginClient, issuer: &str) -> Option<String> {
    let base = issuer.trim_end_matches('/');
    let discovery = format!("{base}{}", table::OPENID_CONFIGURATION.path(&[]));
    let answer = match client.send(Ask::get(&discovery)) {
        Ok(answer) => answer,
        Err(problem) => {
            report.fail(&KEYS_DOCUMENT, problem);
            return None;
        }
    };
    if answer.status == 404 {
        report.skip(&KEYS_ISSUER, "no /.well-known/openid-configuration, which the edge does not need");
        return Some(format!("{base}{}", table::JWKS.path(&[])));
    }
    let document = answer.json().unwrap_or_default();
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let (Some(named), Some(url)) = (text("issuer"), text("jwks_uri")) else {
        let found =
            answer.other_than(&[200]).unwrap_or("expected a JSON object with issuer and jwks_uri".to_owned());
        report.fail(&KEYS_DOCUMENT, format!("{discovery}: {found}"));
        return None;
    };
    // Compared as text, as at the edge: a trailing slash makes another issuer.
    let problem = (named != issuer).then(|| format!("{named:?}"));
    report.judge(&KEYS_ISSUER, problem, named);
    Some(url.to_owned())
}

fn keys_of(answer: &OriginAnswer) -> Result<Vec<Value>, String> {
    if let Some(problem) = answer.other_than(&[200]) {
        return Err(problem);
    }
    // The edge's own reader judges the document; `check_keys` judges each key.
    match KeySet::from_fetched_jwks(&answer.body, &NativeVerifier) {
        Ok(_) | Err(KeySetError::NoUsableKey(_)) => {}
        Err(error) => return Err(error.to_string()),
    }
    let keys = answer.json().and_then(|document| document.get("keys")?.as_array().cloned());
    keys.ok_or_else(|| "expected a JSON object whose keys is an array".to_owned())
}

fn check_keys(report: &mut ConformanceReport, keys: &[Value]) {
    let (mut usable, mut problems, mut unnamed) = (0, Vec::new(), 0);
    let mut named: BTreeMap<&str, &Value> = BTreeMap::new();
    let (mut ambiguous, mut repeated) = (Vec::new(), Vec::new());
    for (position, key) in keys.iter().enumerate() {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let set = json!({"keys": [key]}).to_string();
        match KeySet::from_fetched_jwks(set.as_bytes(), &NativeVerifier) {
            Ok(_) => usable += 1,
            // A set may hold keys for other purposes.
            Err(KeySetError::NoUsableKey(_)) if text("use").is_some_and(|usage| usage != "sig") => continue,
            Err(error) => {
                let describe = |name: &str| text(name).map(|value| format!("{name} {value}"));
                let described: Vec<_> =
                    ["kid", "kty", "crv", "alg"].into_iter().filter_map(describe).collect();
                problems.push(format!("key {position} cannot be used ({}): {error}", described.join(", ")));
                continue;
            }
        }
        match text("kid") {
            None => unnamed += 1,
            Some(kid) => match named.insert(kid, key) {
                None => {}
                Some(other) if material(other) == material(key) => {
                    repeated.push(format!("{kid:?} is listed twice, with the same key"));
                }
                Some(_) => ambiguous.push(format!("{kid:?} names two keys")),
            },
        }
    }
    if usable == 0 && problems.is_empty() {
        problems.push("no key for signatures".to_owned());
    }
    if usable > JWKS_MAX_KEYS {
        problems.push(format!("{usable} keys for signatures: the edge keeps {JWKS_MAX_KEYS}"));
    }
    let problem = (!problems.is_empty()).then(|| problems.join("; "));
    report.judge(&KEYS_ALGORITHMS, problem, format!("{usable} of {} keys are for signatures", keys.len()));
    if unnamed > 0 {
        ambiguous.push(format!("{unnamed} without kid"));
    }
    if !ambiguous.is_empty() {
        report.fail(&KEYS_KIDS, ambiguous.join("; "));
    } else if !repeated.is_empty() {
        report.warn(&KEYS_KIDS, repeated.join("; "));
    } else {
        report.pass(&KEYS_KIDS, named.into_keys().collect::<Vec<_>>().join(", "));
    }
}

/// The members that determine the key itself, for telling a repeated key from another one.
fn material(key: &Value) -> Vec<Option<&Value>> {
    ["kty", "crv", "n", "e", "x", "y"].map(|name| key.get(name)).to_vec()
}
