//! Claims that the verifier does not keep, read from a token's text.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;

use crate::token::BearerToken;

/// A claim of a token that has been verified. `authorization` is the header that holds it.
pub fn claim(authorization: &str, name: &str) -> Option<Value> {
    let token = BearerToken::parse(authorization).ok()?;
    let payload = Base64UrlUnpadded::decode_vec(token.as_str().split('.').nth(1)?).ok()?;
    let mut claims: Value = serde_json::from_slice(&payload).ok()?;
    claims.get_mut(name).map(Value::take)
}
