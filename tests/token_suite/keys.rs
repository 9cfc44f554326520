//! Which key is a token's, and which keys are none.

use admit::token::{JwsError, KeySet, KeySetError, NativeVerifier, UnusableKey, verify_jws};
use serde::Deserialize;
use serde_json::{Value, json};

use super::support::{Signer, World, b64, good_claims};

const ONE: Signer = Signer::EdDsa(1);
const TWO: Signer = Signer::EdDsa(2);
const EC: Signer = Signer::Es256(3);
const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn set(keys: &[Value]) -> Result<KeySet<NativeVerifier>, KeySetError> {
    KeySet::from_inline_jwks(&json!({"keys": keys}).to_string(), &NativeVerifier)
}

fn fetched(keys: &[Value]) -> Result<KeySet<NativeVerifier>, KeySetError> {
    KeySet::from_fetched_jwks(json!({"keys": keys}).to_string().as_bytes(), &NativeVerifier)
}

fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

#[test]
fn the_kid_selects_the_key() {
    let mut world = World::with_jwks(&[ONE.jwk(Some("1")), TWO.jwk(Some("2")), EC.jwk(Some("3"))]);
    for (signer, kid, expected) in [
        (ONE, Some("1"), "ok"),
        (TWO, Some("2"), "ok"),
        (EC, Some("3"), "ok"),
        (ONE, Some("2"), "bad_signature"),
        (ONE, Some("3"), "algorithm_mismatch"),
        (EC, Some("1"), "algorithm_mismatch"),
        (ONE, Some("4"), "unknown_kid"),
        (ONE, Some(""), "unknown_kid"),
        (ONE, Some("1 "), "unknown_kid"),
        (ONE, None, "ambiguous_key"),
        (EC, None, "ok"),
    ] {
        assert_eq!(world.code(&signer.token(kid, &good_claims())), expected, "{kid:?} {}", signer.alg());
    }
}

#[test]
fn one_key_takes_tokens_without_kid() {
    let mut world = World::with_jwks(&[ONE.jwk(Some("1"))]);
    assert_eq!(world.code(&ONE.token(None, &good_claims())), "ok");
    assert_eq!(world.code(&TWO.token(None, &good_claims())), "bad_signature");
    assert_eq!(world.code(&EC.token(None, &good_claims())), "algorithm_mismatch");
}

#[test]
fn a_set_without_names_takes_any_kid_but_never_guesses() {
    let mut world = World::with_jwks(&[ONE.jwk(None), EC.jwk(None)]);
    for kid in [None, Some("any")] {
        assert_eq!(world.code(&ONE.token(kid, &good_claims())), "ok");
        assert_eq!(world.code(&EC.token(kid, &good_claims())), "ok");
    }
    let mut world = World::with_jwks(&[ONE.jwk(None), TWO.jwk(None)]);
    for kid in [None, Some("any")] {
        assert_eq!(world.code(&ONE.token(kid, &good_claims())), "ambiguous_key");
    }
    let mut world = World::with_jwks(&[ONE.jwk(None), TWO.jwk(Some("2"))]);
    assert_eq!(world.code(&ONE.token(Some("1"), &good_claims())), "unknown_kid");
    assert_eq!(world.code(&TWO.token(Some("2"), &good_claims())), "ok");
}

#[test]
fn a_name_that_two_keys_share_selects_neither() {
    let mut world = World::with_jwks(&[ONE.jwk(Some("1")), TWO.jwk(Some("1")), EC.jwk(Some("1"))]);
    assert_eq!(world.code(&ONE.token(Some("1"), &good_claims())), "ambiguous_key");
    assert_eq!(world.code(&TWO.token(Some("1"), &good_claims())), "ambiguous_key");
    assert_eq!(world.code(&EC.token(Some("1"), &good_claims())), "ok", "the algorithm tells it apart");
}

#[test]
fn keys_that_are_not_for_signatures_are_left_out() {
    let good = ONE.jwk(Some("1"));
    for other in [
        with(TWO.jwk(Some("2")), "use", "enc"),
        with(TWO.jwk(Some("2")), "key_ops", json!(["encrypt"])),
        with(TWO.jwk(Some("2")), "alg", "ES256"),
        with(TWO.jwk(Some("2")), "alg", "none"),
        with(TWO.jwk(Some("2")), "crv", "Ed448"),
        json!({"kty": "OKP", "crv": "X25519", "x": b64([1; 32])}),
        json!({"kty": "EC", "crv": "P-384", "x": b64([1; 48]), "y": b64([1; 48])}),
        json!({"kty": "EC", "crv": "secp256k1", "x": b64([1; 32]), "y": b64([1; 32])}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": ""}),
    ] {
        for keys in [set(&[good.clone(), other.clone()]), fetched(&[good.clone(), other.clone()])] {
            let keys = keys.unwrap();
            assert_eq!((keys.len(), keys.skipped()), (1, 1), "{other}");
        }
        assert_eq!(set(std::slice::from_ref(&other)).err(), Some(KeySetError::NoUsableKey), "{other}");
    }
    let good = with(with(good, "use", "sig"), "key_ops", json!(["verify"]));
    let good = with(with(with(good, "alg", "EdDSA"), "x5c", json!(["MII"])), "issuer", "extra");
    assert_eq!(set(&[good]).unwrap().len(), 1);
}

#[test]
fn weak_and_malformed_keys_are_errors_inline_and_left_out_when_fetched() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../vectors/signatures.json")).unwrap();
    let rsa = vectors.iter().find(|vector| vector["alg"] == "RS256").unwrap()["jwk"].clone();
    let mut low = [0xff_u8; 128];
    low[127] = 1;
    let x = EC.jwk(None)["x"].clone();
    for (bad, problem) in [
        (with(rsa.clone(), "n", b64(low)), UnusableKey::Length),
        (with(rsa.clone(), "n", b64([&[0; 200], &low[..]].concat())), UnusableKey::Length),
        (with(rsa.clone(), "n", b64([0xff; 513])), UnusableKey::Length),
        (with(rsa.clone(), "n", ""), UnusableKey::Length),
        (with(rsa.clone(), "e", b64([1])), UnusableKey::Malformed),
        (with(rsa.clone(), "e", b64([1, 0, 0])), UnusableKey::Malformed),
        (with(rsa.clone(), "e", ""), UnusableKey::Malformed),
        (with(rsa.clone(), "e", b64([0xff; 5])), UnusableKey::Malformed),
        (with(rsa.clone(), "n", json!(17)), UnusableKey::Malformed),
        (with(rsa.clone(), "n", "AQAB="), UnusableKey::Malformed),
        (with(rsa.clone(), "kid", json!(1)), UnusableKey::Malformed),
        (with(rsa.clone(), "use", json!(["sig"])), UnusableKey::Malformed),
        (with(rsa, "key_ops", "verify"), UnusableKey::Malformed),
        (with(EC.jwk(None), "y", x.clone()), UnusableKey::Malformed),
        (with(EC.jwk(None), "x", b64([0; 32])), UnusableKey::Malformed),
        (with(EC.jwk(None), "x", b64([1; 33])), UnusableKey::Malformed),
        (with(ONE.jwk(None), "x", b64([1; 31])), UnusableKey::Malformed),
        (with(ONE.jwk(None), "x", b64([1; 64])), UnusableKey::Malformed),
        (json!({"kty": "OKP", "crv": "Ed25519"}), UnusableKey::Malformed),
        (json!({"crv": "Ed25519", "x": b64([1; 32])}), UnusableKey::Malformed),
        (json!({"kty": "oct", "k": b64([1; 31])}), UnusableKey::Length),
        (json!({"kty": "oct", "k": b64([1; 47]), "alg": "HS384"}), UnusableKey::Length),
        (json!({"kty": "oct", "k": b64([1; 63]), "alg": "HS512"}), UnusableKey::Length),
        (json!({"kty": "oct", "k": ""}), UnusableKey::Length),
        (json!({"kty": "oct"}), UnusableKey::Malformed),
    ] {
        let good = TWO.jwk(Some("2"));
        let error = set(&[good.clone(), bad.clone()]).err();
        assert_eq!(error, Some(KeySetError::UnusableKey { index: 1, problem }), "{bad}");
        let keys = fetched(&[bad.clone(), good]).unwrap();
        assert_eq!((keys.len(), keys.skipped()), (1, 1), "{bad}");
        assert_eq!(fetched(&[bad]).err(), Some(KeySetError::NoUsableKey));
    }
}

#[test]
fn a_fetched_symmetric_key_is_left_out() {
    let secret = Signer::Hs256(LONG).jwk(Some("s"));
    assert_eq!(fetched(std::slice::from_ref(&secret)).err(), Some(KeySetError::NoUsableKey));
    assert_eq!(set(&[secret]).unwrap().len(), 1);
}

#[test]
fn documents_that_are_no_jwk_sets() {
    let parse = |json: &str| KeySet::from_fetched_jwks(json.as_bytes(), &NativeVerifier).err();
    for json in ["", "{", "[]", "null", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, "<html></html>"] {
        assert_eq!(parse(json), Some(KeySetError::Malformed), "{json}");
    }
    assert_eq!(parse(r#"{"keys":[]}"#), Some(KeySetError::NoUsableKey));
    let nested = format!(r#"{{"keys":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(parse(&nested), Some(KeySetError::Malformed));
}

#[test]
fn documents_are_bounded() {
    let keys = |count: u8| -> Vec<Value> { (1..=count).map(|seed| Signer::EdDsa(seed).jwk(None)).collect() };
    assert_eq!(fetched(&keys(32)).unwrap().len(), 32);
    assert_eq!(fetched(&keys(33)).err(), Some(KeySetError::TooManyKeys));
    let document = json!({"keys": [ONE.jwk(None)]}).to_string();
    let padded = |length: usize| format!("{document}{}", " ".repeat(length - document.len()));
    let parse = |json: String| KeySet::from_fetched_jwks(json.as_bytes(), &NativeVerifier);
    assert_eq!(parse(padded(64 * 1024)).unwrap().len(), 1);
    assert_eq!(parse(padded(64 * 1024 + 1)).err(), Some(KeySetError::TooLong));
}

#[test]
fn debug_shows_names_but_no_keys() {
    let text = format!("{:?}", set(&[Signer::Hs256(LONG).jwk(Some("name"))]).unwrap());
    assert!(text.contains("name") && !text.contains(&b64(LONG)) && !text.contains(LONG), "{text}");
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    seq: u64,
    exp: String,
}

/// The snapshot's head: no claims that a token has, but a type of its own.
#[test]
fn a_jws_of_the_right_type_gives_its_payload() {
    let keys = set(&[ONE.jwk(Some("1"))]).unwrap();
    let verify = |jws: &str| verify_jws::<Head, _>(jws, &keys, "admit-head+jwt", &NativeVerifier);
    let header = r#"{"alg":"EdDSA","kid":"1","typ":"admit-head+jwt"}"#;
    for (signer, header, payload, expected) in [
        (ONE, header, r#"{"seq":7}"#, Err(JwsError::Payload)),
        (ONE, header, r#"{"seq":7,"x":1}"#, Err(JwsError::Payload)),
        (ONE, header, "7", Err(JwsError::Payload)),
        (TWO, header, r#"{"seq":7}"#, Err(JwsError::BadSignature)),
        (ONE, r#"{"alg":"EdDSA","kid":"1","typ":"JWT"}"#, r#"{"seq":7}"#, Err(JwsError::WrongType)),
        (
            ONE,
            r#"{"alg":"EdDSA","kid":"1","typ":"ADMIT-HEAD+JWT"}"#,
            r#"{"seq":7}"#,
            Err(JwsError::WrongType),
        ),
        (ONE, r#"{"alg":"EdDSA","kid":"1"}"#, r#"{"seq":7}"#, Err(JwsError::WrongType)),
        (ONE, r#"{"alg":"EdDSA","kid":"2","typ":"admit-head+jwt"}"#, "{}", Err(JwsError::UnknownKey)),
        (EC, r#"{"alg":"ES256","kid":"1","typ":"admit-head+jwt"}"#, "{}", Err(JwsError::AlgorithmMismatch)),
    ] {
        assert_eq!(verify(&signer.sign(header, payload)), expected, "{header} {payload}");
    }
    assert_eq!(verify("x"), Err(JwsError::Malformed));
    assert_eq!(verify(&"x".repeat(20_000)), Err(JwsError::TooLong));
}

#[test]
fn a_head_is_no_token_and_a_token_no_head() {
    let keys = set(&[ONE.jwk(Some("1"))]).unwrap();
    let mut world = World::with_jwks(&[ONE.jwk(Some("1"))]);
    let head = ONE.sign(r#"{"alg":"EdDSA","kid":"1","typ":"admit-head+jwt"}"#, good_claims().to_string());
    assert_eq!(world.code(&head), "wrong_type");
    let token = ONE.token(Some("1"), &good_claims());
    let result = verify_jws::<Value, _>(&token, &keys, "admit-head+jwt", &NativeVerifier);
    assert_eq!(result, Err(JwsError::WrongType));
}
