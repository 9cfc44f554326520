//! Vectors of the RFCs and of OpenSSL. The same file serves every other implementation of signatures.

use admit_token::{
    HmacAlgorithm, JoseAlgorithm, KeySet, NativeVerifier, ports::SignatureVerifier, verify_jws,
};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs384, Hs512},
    jwk::JsonWebKey,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::support::{World, b64, issuer_with, unb64};

#[derive(Deserialize)]
struct Vector {
    name: String,
    source: String,
    alg: String,
    jwk: Value,
    jws: String,
    valid: bool,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../../../tests/vectors/signatures.json")).unwrap()
}

fn vector(source: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.source == source).unwrap()
}

fn hmac<A>(algorithm: &A, jwk: &JsonWebKey<'_>, message: &[u8], signature: &[u8]) -> bool
where
    A: Algorithm,
    A::VerifyingKey: for<'a> TryFrom<&'a JsonWebKey<'a>>,
{
    let Ok(key) = A::VerifyingKey::try_from(jwk) else { return false };
    A::Signature::LENGTH.is_none_or(|length| length.get() == signature.len())
        && algorithm.verify_signature(&A::Signature::try_from_slice(signature).unwrap(), &key, message)
}

#[test]
fn every_vector_has_its_answer_below_the_token_layer() {
    for vector in vectors() {
        let (message, signature) = vector.jws.rsplit_once('.').unwrap();
        let (message, signature) = (message.as_bytes(), unb64(signature));
        let jwk: JsonWebKey<'static> = serde_json::from_value(vector.jwk).unwrap();
        let valid = match JoseAlgorithm::from_name(&vector.alg).unwrap() {
            JoseAlgorithm::Hmac(HmacAlgorithm::Hs256) => hmac(&Hs256, &jwk, message, &signature),
            JoseAlgorithm::Hmac(HmacAlgorithm::Hs384) => hmac(&Hs384, &jwk, message, &signature),
            JoseAlgorithm::Hmac(HmacAlgorithm::Hs512) => hmac(&Hs512, &jwk, message, &signature),
            JoseAlgorithm::Signature(algorithm) => {
                let key = NativeVerifier.import(algorithm, &jwk).unwrap();
                NativeVerifier.verify(&key, message, &signature)
            }
        };
        assert_eq!(valid, vector.valid, "{} {}", vector.source, vector.name);
    }
}

fn openssl_world() -> World {
    let mut keys: Vec<Value> = Vec::new();
    for vector in vectors().into_iter().filter(|vector| vector.source == "OpenSSL") {
        if !vector.name.contains("3072") && !keys.contains(&vector.jwk) {
            keys.push(vector.jwk);
        }
    }
    let issuer = json!({"issuer": "https://issuer.example", "keys": {"jwks": {"keys": keys}}});
    World::new(&[issuer_with(&issuer)])
}

#[test]
fn every_openssl_vector_has_its_answer_as_a_token() {
    let mut world = openssl_world();
    for vector in vectors().into_iter().filter(|vector| vector.source == "OpenSSL") {
        if vector.name.contains("3072") {
            continue;
        }
        let expected = if vector.valid { "ok" } else { "bad_signature" };
        assert_eq!(world.code(&vector.jws), expected, "{}", vector.name);
    }
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let mut world = openssl_world();
    for vector in vectors().into_iter().filter(|vector| vector.name.ends_with(": good")) {
        let (input, signature) = vector.jws.rsplit_once('.').unwrap();
        let signature = unb64(signature);
        // The pure implementations of the two larger curves take a millisecond for each signature.
        let step = if matches!(&*vector.alg, "ES384" | "ES512") { 13 } else { 1 };
        for bit in (0..8 * signature.len()).step_by(step) {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let token = format!("{input}.{}", b64(&flipped));
            assert_eq!(world.code(&token), "bad_signature", "{} bit {bit}", vector.name);
        }
        assert_eq!(world.code(&vector.jws), "ok", "{}", vector.name);
    }
}

/// The claims of the examples name no customer, so that is the error once the signature is right.
#[test]
fn rfc7515_a1_a2_a3_are_verified_until_they_expire() {
    const EXP: i64 = 1_300_819_380;
    for source in ["RFC 7515 A.1", "RFC 7515 A.2", "RFC 7515 A.3"] {
        let vector = vector(source);
        let issuer = issuer_with(&json!({
            "issuer": "joe", "audience": "none_required", "leeway_secs": 0,
            "keys": {"jwks": {"keys": [vector.jwk]}},
        }));
        let mut world = World::new(&[issuer]);
        assert_eq!(world.code_at(&vector.jws, EXP - 1), "no_customer", "{source}");
        assert_eq!(world.code_at(&vector.jws, EXP), "expired", "{source}");
        let mut other = vector.jws.clone();
        let middle = other.len() / 2;
        other.replace_range(middle..=middle, if other[middle..].starts_with('A') { "B" } else { "A" });
        assert_ne!(world.code_at(&other, EXP - 1), "no_customer", "{source}");
    }
}

/// RFC 7519 §3.1 is the same token as RFC 7515 A.1.
#[test]
fn rfc7519_3_1_has_the_claims_that_it_prints() {
    let vector = vector("RFC 7515 A.1");
    let keys = json!({"keys": [vector.jwk]}).to_string();
    let keys = KeySet::from_inline_jwks(&keys, &NativeVerifier).unwrap();
    let claims: Value = verify_jws(&vector.jws, &keys, "JWT", &NativeVerifier).unwrap();
    assert_eq!(claims, json!({"iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true}));
}

/// RFC 7515 A.5 and RFC 7519 §6.1 are the same token.
#[test]
fn rfc7515_a5_unsecured_is_refused() {
    let mut world = openssl_world();
    let claims = vector("RFC 7515 A.1").jws.split('.').nth(1).unwrap().to_owned();
    let token = format!("eyJhbGciOiJub25lIn0.{claims}.");
    assert_eq!(world.code(&token), "unsupported_algorithm");
}
