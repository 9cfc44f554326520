//! JSON Web Tokens (RFC 7519) in compact form.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value};

use crate::error::SignError;

/// Signs a token with `alg` and, if the vendor looks for it, `kid` in the header.
pub(super) fn sign<S: AsRef<[u8]>>(
    alg: &str,
    kid: Option<&str>,
    claims: Map<String, Value>,
    signature: impl FnOnce(&[u8]) -> Result<S, SignError>,
) -> Result<String, SignError> {
    let mut header = Map::new();
    header.insert("alg".to_owned(), alg.into());
    header.insert("typ".to_owned(), "JWT".into());
    header.extend(kid.map(|kid| ("kid".to_owned(), kid.into())));
    let part = |members: Map<String, Value>| {
        // A map of texts and numbers always serialises.
        let json = serde_json::to_string(&Value::Object(members)).unwrap_or_default();
        Base64UrlUnpadded::encode_string(json.as_bytes())
    };
    let mut token = [part(header), part(claims)].join(".");
    let signature = signature(token.as_bytes())?;
    token.push('.');
    token.push_str(&Base64UrlUnpadded::encode_string(signature.as_ref()));
    Ok(token)
}

/// Claims by name.
pub(super) fn claims<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
