//! Which key belongs to a token, and which keys are unusable.

use admit_snapshot::limits::JWKS_MAX_BYTES;
use admit_token::{JwsError, KeySet, KeySetError, NativeVerifier, limits::JWKS_MAX_KEYS, verify_jws};
use base64ct::{Base64, Base64Url, Encoding as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::support::{Signer, World, b64, good_claims, issuer_with, unb64};

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
        (ONE, Some("1 "), "unknown_kid"),
        // Without a `kid`, the keys of the algorithm are tried.
        (ONE, None, "ok"),
        (TWO, None, "ok"),
        (TWO, Some(""), "ok"),
        (EC, None, "ok"),
        (Signer::EdDsa(9), None, "bad_signature"),
    ] {
        assert_eq!(world.code(&signer.token(kid, &good_claims())), expected, "{kid:?} {}", signer.alg());
    }
}

#[test]
fn tokens_of_a_key_that_the_platform_refuses_late_are_undecided() {
    let mut world = World::with_jwks(&[ONE.jwk(Some("1")), EC.jwk(Some("3"))]);
    world.platform.refuses.set(true);
    for (signer, kid, expected) in [
        (ONE, Some("1"), "key_left_out"),
        (EC, None, "key_left_out"),
        // No key of that name or algorithm could have signed these.
        (ONE, Some("4"), "unknown_kid"),
        (EC, Some("1"), "algorithm_mismatch"),
    ] {
        assert_eq!(world.code(&signer.token(kid, &good_claims())), expected, "{kid:?} {}", signer.alg());
    }
    // Its own verdict is not remembered as the token's.
    world.platform.refuses.set(false);
    assert_eq!(world.code(&ONE.token(Some("1"), &good_claims())), "ok");
}

#[test]
fn one_key_takes_tokens_without_kid() {
    let mut world = World::with_jwks(&[ONE.jwk(Some("1"))]);
    assert_eq!(world.code(&ONE.token(None, &good_claims())), "ok");
    assert_eq!(world.code(&TWO.token(None, &good_claims())), "bad_signature");
    assert_eq!(world.code(&EC.token(None, &good_claims())), "algorithm_mismatch");
}

#[test]
fn a_key_without_a_name_takes_any_kid() {
    let mut world = World::with_jwks(&[ONE.jwk(None), EC.jwk(None), Signer::EdDsa(4).jwk(None)]);
    for kid in [None, Some("any")] {
        assert_eq!(world.code(&ONE.token(kid, &good_claims())), "ok");
        assert_eq!(world.code(&EC.token(kid, &good_claims())), "ok");
        assert_eq!(world.code(&TWO.token(kid, &good_claims())), "bad_signature");
    }
    let mut world = World::with_jwks(&[ONE.jwk(None), TWO.jwk(Some("2"))]);
    assert_eq!(world.code(&ONE.token(Some("1"), &good_claims())), "ok");
    assert_eq!(world.code(&ONE.token(Some("2"), &good_claims())), "ok");
    assert_eq!(world.code(&TWO.token(Some("2"), &good_claims())), "ok");
    assert_eq!(
        world.code(&TWO.token(Some("1"), &good_claims())),
        "bad_signature",
        "the key has another name"
    );
}

#[test]
fn keys_that_share_a_name_are_tried() {
    let mut world = World::with_jwks(&[ONE.jwk(Some("1")), TWO.jwk(Some("1")), EC.jwk(Some("1"))]);
    for signer in [ONE, TWO, EC] {
        assert_eq!(world.code(&signer.token(Some("1"), &good_claims())), "ok");
    }
    assert_eq!(world.code(&Signer::EdDsa(9).token(Some("1"), &good_claims())), "bad_signature");
}

/// Otherwise a made-up token would cost one signature for each key.
#[test]
fn at_most_16_keys_are_tried_and_the_rest_causes_no_401() {
    let keys: Vec<Value> = (1..=17).map(|seed| Signer::EdDsa(seed).jwk(None)).collect();
    let mut world = World::with_jwks(&keys);
    assert_eq!(world.code(&Signer::EdDsa(16).token(None, &good_claims())), "ok");
    assert_eq!(world.signatures(), 16);
    assert_eq!(world.code(&Signer::EdDsa(17).token(None, &good_claims())), "ambiguous_key");
    assert_eq!(world.signatures(), 32);
}

/// Why a set leaves keys out.
fn left_out(keys: &KeySet<NativeVerifier>) -> String {
    keys.left_out().to_string()
}

#[test]
fn keys_that_cannot_be_used_are_left_out_with_the_reason() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/vectors/signatures.json")).unwrap();
    let mut rsa = vectors.iter().find(|vector| vector["alg"] == "RS256").unwrap()["jwk"].clone();
    rsa["kid"] = "r".into();
    let mut low = [0xff_u8; 128];
    low[127] = 1;
    let (two, ec) = (TWO.jwk(Some("2")), EC.jwk(Some("e")));
    let x = ec["x"].clone();
    for (odd, reason) in [
        (json!(1), "a key without kid: not a JSON object"),
        (json!(null), "a key without kid: not a JSON object"),
        (json!({}), "a key without kid: kty is missing"),
        (with(two.clone(), "use", "enc"), r#"kid "2": use "enc": not a key for signatures"#),
        (with(two.clone(), "use", json!(["enc"])), r#"kid "2": use "enc": not a key for signatures"#),
        (with(two.clone(), "use", json!(1)), r#"kid "2": use is not text"#),
        (
            with(two.clone(), "key_ops", json!(["encrypt"])),
            r#"kid "2": key_ops without "verify": not a key for signatures"#,
        ),
        (with(two.clone(), "key_ops", json!(1)), r#"kid "2": key_ops is not a list of texts"#),
        (with(two.clone(), "alg", "ES256"), r#"kid "2": alg "ES256" does not fit kty and crv"#),
        (with(two.clone(), "alg", "none"), r#"kid "2": alg "none" is not supported"#),
        (with(two.clone(), "alg", json!({})), r#"kid "2": alg is not text"#),
        (with(two.clone(), "crv", "Ed448"), r#"kid "2": crv "Ed448" is not supported"#),
        (with(two.clone(), "crv", json!(null)), r#"kid "2": crv is missing"#),
        (with(two.clone(), "kid", json!(1.5)), "a key without kid: kid is not text"),
        (with(two.clone(), "x", b64([1; 31])), r#"kid "2": x is not 32 octets"#),
        (with(two.clone(), "x", b64([1; 64])), r#"kid "2": x is not 32 octets"#),
        (with(two.clone(), "x", "%"), r#"kid "2": x is not base64url"#),
        (with(two, "x", ""), r#"kid "2": x is missing"#),
        (with(ec.clone(), "crv", "secp256k1"), r#"kid "e": crv "secp256k1" is not supported"#),
        (with(ec.clone(), "y", x), r#"kid "e": the platform refuses the key's numbers"#),
        (with(ec.clone(), "x", b64([0; 32])), r#"kid "e": the platform refuses the key's numbers"#),
        (with(ec.clone(), "x", b64([1; 33])), r#"kid "e": x is not a coordinate of its curve"#),
        (with(ec, "alg", "ECDH-ES"), r#"kid "e": alg "ECDH-ES" is not supported"#),
        (json!({"kty": "AKP", "alg": "ML-DSA-44"}), r#"a key without kid: kty "AKP" is not supported"#),
        (with(rsa.clone(), "n", b64(low)), r#"kid "r": n has 1024 bits, expected 2048 to 4096"#),
        (
            with(rsa.clone(), "n", b64([&[0; 200], &low[..]].concat())),
            r#"kid "r": n has 1024 bits, expected 2048 to 4096"#,
        ),
        (with(rsa.clone(), "n", b64([0xff; 513])), r#"kid "r": n has 4104 bits, expected 2048 to 4096"#),
        (with(rsa.clone(), "n", json!(17)), r#"kid "r": n is not text"#),
        (with(rsa.clone(), "e", b64([1])), r#"kid "r": e is not an odd number from 3 to 2^32"#),
        (with(rsa.clone(), "e", b64([1, 0, 0])), r#"kid "r": e is not an odd number from 3 to 2^32"#),
        (with(rsa.clone(), "e", b64([0xff; 5])), r#"kid "r": e is not an odd number from 3 to 2^32"#),
        (with(rsa, "e", json!(null)), r#"kid "r": e is missing"#),
    ] {
        let keys = [ONE.jwk(Some("1")), odd.clone()];
        for set in [set(&keys), fetched(&keys)] {
            let set = set.unwrap();
            assert_eq!((set.len(), left_out(&set)), (1, reason.to_owned()), "{odd}");
        }
        let error = fetched(&[odd]).unwrap_err().to_string();
        assert_eq!(error, format!("no key of the set can be used: {reason}"));
        let mut world = World::with_jwks(&keys);
        assert_eq!(world.code(&ONE.token(Some("1"), &good_claims())), "ok", "{reason}");
    }
    for (secret, reason) in [
        (json!({"kty": "oct", "k": b64([1; 31])}), "k has 31 bytes, expected at least 32"),
        (json!({"kty": "oct", "k": b64([1; 47]), "alg": "HS384"}), "k has 47 bytes, expected at least 48"),
        (json!({"kty": "oct", "k": b64([1; 63]), "alg": "HS512"}), "k has 63 bytes, expected at least 64"),
        (json!({"kty": "oct"}), "k is missing"),
    ] {
        let set = set(&[ONE.jwk(Some("1")), secret]).unwrap();
        assert_eq!(left_out(&set), format!("a key without kid: {reason}"));
    }
}

#[test]
fn left_out_keys_are_listed_up_to_a_bound_and_counted() {
    let mut keys: Vec<Value> =
        (0..1_000).map(|number| json!({"kty": "x".repeat(500), "kid": number})).collect();
    keys.push(ONE.jwk(Some("1")));
    let set = fetched(&keys).unwrap();
    assert_eq!((set.len(), set.left_out().len()), (1, 1_000));
    assert_eq!(set.left_out().listed().len() + set.left_out().unlisted(), 1_000);
    let line = left_out(&set);
    assert!(line.len() < 12_000 && line.ends_with("; and 936 more"), "{line}");
}

/// Forms that issuers publish. Each is the same key, and verifies its tokens.
#[test]
fn keys_in_every_spelling() {
    let good = ONE.jwk(Some("1"));
    let spellings = [
        good.clone(),
        with(good.clone(), "use", "sig"),
        with(good.clone(), "use", "SIG"),
        with(good.clone(), "use", json!(["enc", "sig"])),
        with(good.clone(), "use", ""),
        with(good.clone(), "alg", "EdDSA"),
        with(good.clone(), "alg", "Ed25519"),
        with(good.clone(), "alg", ""),
        with(good.clone(), "key_ops", json!(["verify"])),
        with(good.clone(), "key_ops", json!(["sign", "verify"])),
        with(good.clone(), "key_ops", json!(["sign"])),
        with(good.clone(), "key_ops", json!([])),
        with(good.clone(), "key_ops", json!({"1": "verify"})),
        with(good.clone(), "key_ops", "verify"),
        with(good.clone(), "x5c", json!(["MII"])),
        with(good.clone(), "x5t", json!(17)),
        with(good.clone(), "exp", json!({"deep": [{}]})),
        with(good.clone(), "d", b64([1; 32])),
        ["use", "alg", "key_ops", "x5c", "x5u", "ext"]
            .into_iter()
            .fold(good, |jwk, name| with(jwk, name, json!(null))),
    ];
    for jwk in &spellings {
        let mut world = World::with_jwks(std::slice::from_ref(jwk));
        assert_eq!(world.code(&ONE.token(Some("1"), &good_claims())), "ok", "{jwk}");
        assert_eq!(fetched(std::slice::from_ref(jwk)).unwrap().left_out().len(), 0, "{jwk}");
    }
    // All of them together are one key.
    let set = fetched(&spellings).unwrap();
    assert_eq!((set.len(), set.left_out().len()), (1, 0));
}

#[test]
fn a_name_that_is_a_number_is_its_digits() {
    let mut world = World::with_jwks(&[with(ONE.jwk(None), "kid", json!(7)), TWO.jwk(Some("8"))]);
    let claims = good_claims().to_string();
    for header in [r#"{"alg":"EdDSA","kid":"7"}"#, r#"{"alg":"EdDSA","kid":7}"#] {
        assert_eq!(world.code(&ONE.sign(header, &claims)), "ok", "{header}");
        assert_eq!(world.code(&TWO.sign(header, &claims)), "bad_signature", "{header}");
    }
    assert_eq!(world.code(&ONE.sign(r#"{"alg":"EdDSA","kid":null}"#, &claims)), "ok");
    let mut world =
        World::with_jwks(&[with(ONE.jwk(None), "kid", json!(null)), with(EC.jwk(None), "kid", "")]);
    assert_eq!(world.code(&ONE.token(Some("x"), &good_claims())), "ok");
    assert_eq!(world.code(&EC.token(None, &good_claims())), "ok");
}

/// The vectors of OpenSSL, with their keys in other spellings.
#[test]
fn octets_in_every_spelling() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/vectors/signatures.json")).unwrap();
    let zeros = |value: &str| b64([&[0; 3][..], &unb64(value)].concat());
    let short = |value: &str| {
        let octets = unb64(value);
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        b64(&octets[zeros..])
    };
    let padded = |value: &str| Base64Url::encode_string(&unb64(value));
    let ordinary = |value: &str| Base64::encode_string(&unb64(value));
    let wrapped = |value: &str| format!(" {}\r\n{}\n", &value[..10], &value[10..]);
    let mut seen = 0;
    for vector in vectors.iter().filter(|vector| vector["name"].as_str().unwrap().ends_with(": good")) {
        let (alg, jwk) = (vector["alg"].as_str().unwrap(), &vector["jwk"]);
        if alg.starts_with("HS") {
            continue;
        }
        let spell = |members: &[&str], spelling: &dyn Fn(&str) -> String| {
            members.iter().filter(|member| jwk.get(**member).is_some()).fold(jwk.clone(), |spelt, member| {
                with(spelt, member, spelling(jwk[*member].as_str().unwrap()))
            })
        };
        let mut spellings = vec![
            spell(&["n", "e", "x", "y"], &padded),
            spell(&["n", "e", "x", "y"], &ordinary),
            spell(&["n", "x", "y"], &wrapped),
        ];
        // An Ed25519 key consists of octets, not of a number.
        if alg != "EdDSA" {
            spellings.push(spell(&["n", "e", "x", "y"], &zeros));
            spellings.push(spell(&["n", "e", "x", "y"], &short));
        }
        for spelt in &spellings {
            let issuer = json!({"issuer": "https://issuer.example", "keys": {"jwks": {"keys": [spelt]}}});
            let mut world = World::new(&[issuer_with(&issuer)]);
            assert_eq!(world.code(vector["jws"].as_str().unwrap()), "ok", "{alg}: {spelt}");
            seen += 1;
        }
        // Each spelling is the same key.
        spellings.push(jwk.clone());
        assert_eq!(fetched(&spellings).unwrap().len(), 1, "{alg}");
    }
    assert_eq!(seen, 3 + 9 * 5);
}

#[test]
fn a_fetched_symmetric_key_is_left_out() {
    let secret = Signer::Hs256(LONG).jwk(Some("s"));
    let error = fetched(std::slice::from_ref(&secret)).unwrap_err().to_string();
    assert!(error.ends_with(r#"kid "s": a symmetric key in a public document"#), "{error}");
    assert_eq!(set(&[secret]).unwrap().len(), 1);
}

#[test]
fn documents_that_are_not_jwk_sets() {
    let parse = |json: &str| KeySet::from_fetched_jwks(json.as_bytes(), &NativeVerifier).err();
    let nested = format!(r#"{{"keys":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for json in ["", "{", "null", "{}", r#"{"keys":{"a":1}}"#, "<html></html>", &nested] {
        assert!(matches!(parse(json), Some(KeySetError::Malformed(_))), "{json}");
    }
    for json in [r#"{"keys":[]}"#, r#"{"keys":{}}"#, "[]", r#"{"keys":[1]}"#] {
        assert!(matches!(parse(json), Some(KeySetError::NoUsableKey(_))), "{json}");
    }
}

#[test]
fn documents_are_bounded_by_what_is_kept() {
    let keys = |count: u8| -> Vec<Value> { (1..=count).map(|seed| Signer::EdDsa(seed).jwk(None)).collect() };
    let many = fetched(&keys(200)).unwrap();
    assert_eq!((many.len(), many.left_out().len()), (JWKS_MAX_KEYS, 200 - JWKS_MAX_KEYS));
    assert!(left_out(&many).contains("more usable keys than are kept"));
    // Unkept keys do not count: those for other purposes, repetitions, and invalid ones.
    let mut odd: Vec<Value> = Vec::new();
    for number in 0..1_000 {
        odd.extend([json!(number), json!({"kty": "oct", "k": LONG}), with(ONE.jwk(None), "x5u", number)]);
    }
    odd.extend(keys(50));
    let set = fetched(&odd).unwrap();
    assert_eq!((set.len(), set.left_out().len()), (50, 2_000));
    let document = json!({"keys": [ONE.jwk(None)]}).to_string();
    let padded = |length: usize| format!("{document}{}", " ".repeat(length - document.len()));
    let parse = |json: String| KeySet::from_fetched_jwks(json.as_bytes(), &NativeVerifier);
    assert_eq!(parse(padded(JWKS_MAX_BYTES)).unwrap().len(), 1);
    let bytes = JWKS_MAX_BYTES + 1;
    assert_eq!(parse(padded(bytes)).err(), Some(KeySetError::TooLong { bytes }));
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

/// The snapshot's head has a type of its own, and none of a token's claims.
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
    // A head may be longer than a viewer's token, by its denylist.
    assert_eq!(verify(&"x".repeat(64 * 1024)), Err(JwsError::Malformed));
    assert_eq!(verify(&"x".repeat(64 * 1024 + 1)), Err(JwsError::TooLong));
}

#[test]
fn a_head_is_not_a_token_and_a_token_is_not_a_head() {
    let keys = set(&[ONE.jwk(Some("1"))]).unwrap();
    let mut world = World::with_jwks(&[ONE.jwk(Some("1"))]);
    let head = ONE.sign(r#"{"alg":"EdDSA","kid":"1","typ":"admit-head+jwt"}"#, good_claims().to_string());
    assert_eq!(world.code(&head), "wrong_type");
    let token = ONE.token(Some("1"), &good_claims());
    let result = verify_jws::<Value, _>(&token, &keys, "admit-head+jwt", &NativeVerifier);
    assert_eq!(result, Err(JwsError::WrongType));
}
