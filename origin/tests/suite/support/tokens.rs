//! Tokens of issuers that share a secret with the origin.

use std::collections::BTreeMap;

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs256Key},
};
use serde_json::{Value, json};

use super::MERCHANT;

const SECRET: &str = "a secret of at least thirty-two bytes";

/// The issuers of the samples, all with a shared secret.
pub fn variables() -> BTreeMap<String, String> {
    let issuer = |issuer: &str, namespace: &str, audience: Value, may: &[&str]| {
        json!({
            "issuer": issuer, "namespace": namespace, "audience": audience, "may": may, "test_clients": true,
            "keys": {"secret": "TEST_SECRET", "alg": "HS256"},
        })
    };
    let dev = json!({"any_of": ["admit-dev"]});
    let issuers = json!([
        issuer("https://vendor.dev.admit.example", "vendor", dev.clone(), &["view", "write"]),
        issuer("https://cognito.dev.admit.example/pool", "cognito", json!("none_required"), &["view"]),
        issuer("https://publisher.dev.admit.example", "publisher", dev, &["publish"]),
    ]);
    BTreeMap::from([
        ("ISSUERS".to_owned(), issuers.to_string()),
        ("TEST_SECRET".to_owned(), SECRET.to_owned()),
        ("LOG_CHECKS".to_owned(), "none".to_owned()),
        ("TRUSTED_COUNTRY_HEADER".to_owned(), "x-country".to_owned()),
    ])
}

pub fn signed(claims: &Value) -> String {
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let head = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = Hs256.sign(&Hs256Key::new(SECRET.as_bytes()), head.as_bytes());
    format!("{head}.{}", Base64UrlUnpadded::encode_string(&signature.as_bytes()))
}

/// A token for writes by the merchant that outlives every test.
pub fn merchant() -> String {
    signed(&json!({
        "iss": "https://vendor.dev.admit.example", "aud": "admit-dev", "sub": "m", "mid": MERCHANT, "ctx": ["merchant"],
        "exp": 4_000_000_000_u32,
    }))
}

/// A part of a token as JSON, without a check of the signature: 0 is the header, 1 the claims.
pub fn part(token: &Value, index: usize) -> Value {
    let part = token.as_str().unwrap().split('.').nth(index).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
}
