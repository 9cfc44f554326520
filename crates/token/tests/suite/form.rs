//! Malformed tokens. Each is signed with the right key, so that only its form can be the reason of a refusal.

use admit_snapshot::limits::TOKEN_MAX_BYTES;
use serde_json::{Value, json};

use super::support::{NOW, Signer, VENDOR, World, b64, claims_with, good_claims, issuer_with};

fn signed(header: &str) -> String {
    VENDOR.sign(header, good_claims().to_string())
}

fn good() -> String {
    signed(r#"{"alg":"HS256"}"#)
}

#[test]
fn a_good_token_is_accepted_with_and_without_its_scheme() {
    let mut world = World::vendor();
    let token = good();
    for header in [token.clone(), format!("Bearer {token}"), format!("bearer {token}")] {
        assert_eq!(world.code(&header), "ok");
    }
    let verified = world.verify(&token, NOW).unwrap();
    assert_eq!(verified.principal.subject, "customer-1");
    assert_eq!(verified.times.expires_at, NOW + 3600);
}

#[test]
fn segments() {
    let mut world = World::vendor();
    let token = good();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!() };
    let cases = [
        (format!("{header}.{claims}"), "malformed"),
        (format!("{header}.{claims}."), "bad_signature"),
        (format!("{header}..{signature}"), "malformed_claims"),
        (format!(".{claims}.{signature}"), "malformed"),
        ("..".to_owned(), "malformed"),
        (".".to_owned(), "malformed"),
        ("...".to_owned(), "malformed"),
        (header.to_owned(), "malformed"),
        (format!("{token}."), "malformed"),
        (format!("{token}.."), "malformed"),
        (format!(".{token}"), "malformed"),
        (format!("{token}.{signature}"), "malformed"),
        (format!("{token}.a.b"), "malformed"),
        (format!("{token}="), "malformed"),
        (format!("{header}=.{claims}.{signature}"), "malformed"),
        (format!("{header}.{claims}==.{signature}"), "malformed"),
        (format!("{header}.{claims} .{signature}"), "wrong_scheme"),
        (format!("{header}.\t{claims}.{signature}"), "malformed"),
        (format!("{header}.{claims}.{signature}\n"), "malformed"),
        (format!("{header}.{claims}\0.{signature}"), "malformed"),
        (token.replacen('.', "\u{2024}", 1), "malformed"),
        (format!("{token}\u{e4}"), "malformed"),
        (format!("\u{feff}{token}"), "malformed"),
        (format!("{header}.{claims}.+{}", &signature[1..]), "malformed"),
        (format!("{header}.{claims}./{}", &signature[1..]), "malformed"),
        ("null".to_owned(), "malformed"),
        ("undefined".to_owned(), "malformed"),
    ];
    for (token, expected) in cases {
        assert_eq!(world.code(&token), expected, "{token:?}");
    }
    assert_eq!(world.code(&token), "ok");
}

/// The last character of 32 bytes in base64url has two unused bits, which must be zero; otherwise a token
/// would have four spellings.
#[test]
fn unused_bits_of_base64_are_refused() {
    let mut world = World::vendor();
    let token = good();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(token.chars().last().unwrap()).unwrap();
    for bits in 1..4 {
        let other = &alphabet[last + bits..=last + bits];
        let spelled = format!("{}{other}", &token[..token.len() - 1]);
        assert_eq!(world.code(&spelled), "malformed", "{other}");
    }
}

#[test]
fn header_members() {
    let mut world = World::vendor();
    let deep = format!(r#"{{"alg":"HS256","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let cases = [
        (r#"{"alg":"HS256","typ":"JWT"}"#, "ok"),
        (r#"{"alg":"HS256","typ":""}"#, "ok"),
        (r#"{"alg":"HS256","cty":"","kid":""}"#, "ok"),
        (r#"{"alg":"HS256","typ":"jwt"}"#, "ok"),
        (r#"{"alg":"HS256","typ":"at+JWT"}"#, "ok"),
        (r#"{"alg":"HS256","typ":"application/at+jwt"}"#, "ok"),
        (r#"{"alg":"HS256","typ":"admit-head+jwt"}"#, "wrong_type"),
        (r#"{"alg":"HS256","typ":"logout+jwt"}"#, "wrong_type"),
        (r#"{"alg":"HS256","typ":1}"#, "malformed"),
        (r#"{"alg":"HS256","custom":{"a":[1]},"x5t":"AAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#, "ok"),
        (r#" {"alg" : "HS256"} "#, "ok"),
        (r#"{"alg":"HS\u003256"}"#, "ok"),
        (r#"{"alg":"HS256","cty":"JWT"}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","crit":["b64"],"b64":true}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","crit":[]}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","crit":null}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","crit":"exp"}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","\u0063rit":["x"]}"#, "unsupported_extension"),
        (r#"{"alg":"HS256","b64":false}"#, "unsupported_extension"),
        (r#"{"alg":"none"}"#, "unsupported_algorithm"),
        (r#"{"alg":"None"}"#, "unsupported_algorithm"),
        (r#"{"alg":"nOnE"}"#, "unsupported_algorithm"),
        (r#"{"alg":"NONE"}"#, "unsupported_algorithm"),
        (r#"{"alg":""}"#, "malformed"),
        (r#"{"alg":"hs256"}"#, "unsupported_algorithm"),
        (r#"{"alg":"HS256 "}"#, "unsupported_algorithm"),
        (r#"{"alg":"HS1"}"#, "unsupported_algorithm"),
        (r#"{"alg":"ES256K"}"#, "unsupported_algorithm"),
        (r#"{"alg":"HS384"}"#, "algorithm_mismatch"),
        (r#"{"alg":"HS512"}"#, "algorithm_mismatch"),
        (r#"{"alg":"RS256"}"#, "algorithm_mismatch"),
        (r#"{"alg":"EdDSA"}"#, "algorithm_mismatch"),
        (r#"{"alg":null}"#, "malformed"),
        (r#"{"alg":["HS256"]}"#, "malformed"),
        (r#"{"typ":"JWT"}"#, "malformed"),
        ("{}", "malformed"),
        ("[]", "malformed"),
        (r#""HS256""#, "malformed"),
        ("", "malformed"),
        (r#"{"alg":"HS256","alg":"HS256"}"#, "malformed"),
        (r#"{"alg":"none","alg":"HS256"}"#, "malformed"),
        (r#"{"alg":"HS256","\u0061lg":"none"}"#, "malformed"),
        (r#"{"alg":"HS256","kid":"a","kid":"b"}"#, "malformed"),
        (r#"{"alg":"HS256","x":1,"x":1}"#, "malformed"),
        (r#"{"alg":"HS256","kid":1}"#, "ok"),
        (r#"{"alg":"HS256","kid":null,"typ":null,"cty":null}"#, "ok"),
        (r#"{"alg":"HS256","kid":1.5}"#, "malformed"),
        (r#"{"alg":"HS256","kid":["a"]}"#, "malformed"),
        (r#"{"alg":"HS256","cty":1}"#, "malformed"),
        (r#"{"alg":"HS256"} x"#, "malformed"),
        (r#"{"alg":"HS256",}"#, "malformed"),
        ("\u{feff}{\"alg\":\"HS256\"}", "malformed"),
        (deep.as_str(), "malformed"),
    ];
    for (header, expected) in cases {
        assert_eq!(world.code(&signed(header)), expected, "{header}");
    }
    let token = VENDOR.sign(b"{\"alg\":\"HS256\",\"x\":\"\xff\"}", good_claims().to_string());
    assert_eq!(world.code(&token), "malformed");
}

#[test]
fn payloads_that_are_not_claims() {
    let mut world = World::vendor();
    let good = good_claims().to_string();
    let inner = &good[1..good.len() - 1];
    let deep = format!(r#"{{{inner},"x":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let cases = [
        ("{}".to_owned(), "unknown_issuer"),
        (String::new(), "malformed_claims"),
        ("[]".to_owned(), "malformed_claims"),
        ("null".to_owned(), "malformed_claims"),
        ("1".to_owned(), "malformed_claims"),
        (format!("\u{feff}{good}"), "malformed_claims"),
        (format!("{good}{good}"), "malformed_claims"),
        (good[1..].to_owned(), "malformed_claims"),
        (format!(r#"{{{inner},"sub":"customer-2"}}"#), "malformed_claims"),
        (format!(r#"{{{inner},"\u0073ub":"customer-2"}}"#), "malformed_claims"),
        (format!(r#"{{{inner},"exp":99999999999}}"#), "malformed_claims"),
        (format!(r#"{{{inner},"iss":"x"}}"#), "malformed_claims"),
        (format!(r#"{{{inner},"x":1,"x":2}}"#), "malformed_claims"),
        (deep, "malformed_claims"),
        (format!(r#"{{{inner},"x":1e999}}"#), "malformed_claims"),
        (format!(r#"{{{inner},"x":"\ud800"}}"#), "malformed_claims"),
        (format!(r#"{{{inner},"x":{}{}}}"#, "[".repeat(50), "]".repeat(50)), "ok"),
        (format!(" {good}\r\n"), "ok"),
    ];
    for (payload, expected) in cases {
        let token = VENDOR.sign(r#"{"alg":"HS256"}"#, &payload);
        assert_eq!(world.code(&token), expected, "{payload:.60}");
    }
    let token = VENDOR.sign(r#"{"alg":"HS256"}"#, b"{\"x\":\"\xff\"}");
    assert_eq!(world.code(&token), "malformed_claims");
}

#[test]
fn exactly_16_kib_is_accepted_and_one_byte_more_is_not() {
    let mut world = World::vendor();
    let padded = |length: usize| {
        let claims = claims_with(&json!({"pad": "x".repeat(length)}));
        VENDOR.sign(r#"{"alg":"HS256"}"#, claims.to_string())
    };
    // Three bytes of claims are four characters of token, and the header can be one byte longer or shorter.
    let mut longest = padded(0);
    for length in 11_000..13_000 {
        let token = padded(length);
        if token.len() > TOKEN_MAX_BYTES {
            assert_eq!(world.code(&token), "too_long");
            assert_eq!(world.code(&format!("Bearer {token}")), "too_long");
            break;
        }
        longest = token;
    }
    assert!(longest.len() >= TOKEN_MAX_BYTES - 2, "{}", longest.len());
    assert_eq!(world.code(&longest), "ok");
    assert_eq!(world.code(&format!("Bearer {longest}")), "ok");
    assert_eq!(world.code(&"a".repeat(TOKEN_MAX_BYTES)), "malformed");
    assert_eq!(world.code(&"a".repeat(TOKEN_MAX_BYTES + 1)), "too_long");
    assert_eq!(world.code(&"a".repeat(10 << 20)), "too_long");
}

/// The classic attack: the public key, which is known to all, is used as an HMAC secret.
#[test]
fn a_public_key_is_not_used_as_an_hmac_secret() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/vectors/signatures.json")).unwrap();
    let rsa = vectors.iter().find(|vector| vector["alg"] == "RS256").unwrap()["jwk"].clone();
    let ed = Signer::EdDsa(1).jwk(Some("k"));
    for (jwk, kid) in [(rsa.clone(), None), (ed, Some("k"))] {
        let mut world = World::with_jwks(std::slice::from_ref(&jwk));
        let public: Vec<String> = ["n", "x"]
            .iter()
            .filter_map(|name| jwk.get(*name)?.as_str().map(str::to_owned))
            .chain([jwk.to_string(), "-----BEGIN PUBLIC KEY-----".to_owned()])
            .collect();
        for text in public {
            let secret: &'static str = Box::leak(text.into_boxed_str());
            let token = Signer::Hs256(secret).token(kid, &good_claims());
            assert_eq!(world.code(&token), "algorithm_mismatch");
        }
        let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(good_claims().to_string()));
        assert_eq!(world.code(&unsigned), "unsupported_algorithm");
    }
}

/// Keys inside a token are never used.
#[test]
fn a_key_in_the_header_is_not_used() {
    let stranger = Signer::EdDsa(9);
    let mut world = World::with_jwks(&[Signer::EdDsa(1).jwk(Some("k"))]);
    for header in [
        json!({"alg": "EdDSA", "kid": "k", "jwk": stranger.jwk(None)}),
        json!({"alg": "EdDSA", "kid": "k", "jku": "https://stranger.example/jwks.json"}),
        json!({"alg": "EdDSA", "kid": "k", "x5u": "https://stranger.example/cert.pem"}),
    ] {
        let token = stranger.sign(header.to_string(), good_claims().to_string());
        assert_eq!(world.code(&token), "bad_signature", "{header}");
    }
}

/// A log line shows only these parts of a token: the members of the header that tell keys apart, `iss` and `aud`.
#[test]
fn errors_hold_nothing_of_the_token() {
    let mut world = World::new(&[issuer_with(&json!({"audience": {"any_of": ["other"]}}))]);
    let long = format!(r#"{{"alg":"{}"}}"#, "x".repeat(10_000));
    assert!(world.verify(&signed(&long), NOW).unwrap_err().to_string().len() < 200);
    for token in [
        good(),
        VENDOR.token(None, &claims_with(&json!({"aud": "other", "mid": "customer-1"}))),
        VENDOR.token(None, &claims_with(&json!({"aud": "other", "ctx": {"customer-1": true}}))),
        "customer-1.customer-1.customer-1".to_owned(),
        VENDOR.sign(r#""customer-1""#, "{}"),
        VENDOR.sign(r#"{"alg":"HS256"}"#, r#""customer-1""#),
        VENDOR.sign(r#"{"alg":"HS256","jwk":"customer-1","crit":["customer-1"]}"#, "{}"),
    ] {
        let error = world.verify(&token, NOW).unwrap_err();
        for text in [format!("{error}"), format!("{error:?}")] {
            assert!(!text.contains("customer-1") && !text.contains("eyJ"), "{text}");
        }
    }
}
