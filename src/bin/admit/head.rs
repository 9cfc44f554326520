//! The published head, as far as a key at hand can vouch for it.

use std::{fs, path::Path};

use admit::{
    snapshot::head::{HEAD_TYPE, Head},
    token::{JwsError, KeySet, NativeVerifier, verify_jws},
};
use anyhow::{Context, Result, anyhow};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use crate::key::public_members;

/// A published head.
#[derive(Debug)]
pub enum Published {
    /// Signed by the key.
    Verified(Head),
    /// There was no key to verify it with.
    Unverified(Head),
    /// Names another key, which is not at hand.
    OtherKey(Head),
    /// No head, or not signed by the key that it names.
    Broken(String),
}

/// Reads a published head and verifies it with the public half of the JWK in `key`, if there is one.
///
/// # Errors
/// The key cannot be read.
pub fn published(jws: &str, key: Option<&Path>) -> Result<Published> {
    published_by(jws, key.as_slice())
}

/// The same where one of several keys may have signed the head: `--key`, and while a key is replaced `--old-key`. Without
/// any key nothing is verified.
///
/// # Errors
/// A key cannot be read.
pub fn published_by(jws: &str, keys: &[&Path]) -> Result<Published> {
    if keys.is_empty() {
        return Ok(unverified(jws).map_or_else(broken, Published::Unverified));
    }
    let verified = verify_jws::<Head, _>(jws, &public_halves(keys)?, HEAD_TYPE, &NativeVerifier);
    Ok(match verified {
        Ok(head) => Published::Verified(head),
        Err(JwsError::UnknownKey) => unverified(jws).map_or_else(broken, Published::OtherKey),
        Err(error) => broken(error.into()),
    })
}

fn broken(error: anyhow::Error) -> Published {
    Published::Broken(format!("{error:#}"))
}

fn public_halves(paths: &[&Path]) -> Result<KeySet<NativeVerifier>> {
    let mut keys = Vec::new();
    for path in paths {
        keys.extend(public_half(path).with_context(|| path.display().to_string())?);
    }
    KeySet::from_inline_jwks(&json!({ "keys": keys }).to_string(), &NativeVerifier)
        .with_context(|| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))
}

/// The public half of a JWK, or the keys of a JWKS: of an old key perhaps only what `admit keygen --public` printed is left.
fn public_half(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text = fs::read_to_string(path).context("cannot read the key")?;
    let members: Map<String, Value> = serde_json::from_str(&text).context("not a JSON Web Key")?;
    let keys = match members.get("keys").and_then(Value::as_array) {
        Some(keys) => keys.iter().filter_map(Value::as_object).map(public_members).collect(),
        None => public_members(&members).map(|key| vec![key]),
    }?;
    Ok(keys)
}

fn unverified(jws: &str) -> Result<Head> {
    let payload = jws.split('.').nth(1).ok_or_else(|| anyhow!("it is not a JWS"))?;
    let payload = Base64UrlUnpadded::decode_vec(payload).map_err(|_| anyhow!("it is not a JWS"))?;
    serde_json::from_slice(&payload).context("its payload is not a head")
}
