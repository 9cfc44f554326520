//! Golden vectors of every signer, and what holds for all of them. `tests/playback/` verifies the same forms with the
//! vendors' own libraries.

use std::{collections::BTreeSet, sync::LazyLock};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Grant, Item, NativeSigner, Playback, SignError, SignerKind, Source, Viewer};

const NOW: i64 = 1_900_000_010;
const NEVER: i64 = 253_402_300_799;
const VIEWER: Viewer<'static> =
    Viewer { subject: "shop:42", country: Some("GB"), address: Some("192.0.2.7") };

/// Entries with the URL and token that they sign at `NOW` for a grant without an end. A change is a new form, which
/// vendors may refuse.
static GOLDEN: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("golden.json")).unwrap());

/// The configuration of one vector, with `overrides` in its entry.
fn playback(vector: &Value, overrides: &Value) -> Playback {
    let mut entry = json!({"merchant": 1, "item_type": "film", "secret": "KEY"});
    for members in [&vector["entry"], overrides] {
        entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    }
    let secret = match vector["secret"].as_str().unwrap() {
        "rsa" => include_str!("../../testdata/rsa-pkcs8.pem"),
        "p256" => include_str!("../../testdata/p256-pkcs8.pem"),
        text => text,
    };
    Playback::parse(&json!([entry]).to_string(), &|_| Some(secret.to_owned())).unwrap()
}

fn sign(vector: &Value, overrides: &Value, grant: Grant, viewer: Viewer<'_>) -> Result<Source, SignError> {
    let content = vector["content"].to_string();
    let item = Item { merchant_id: 1, item_type: "film", content: &content, external_id: None };
    let playback = playback(vector, overrides);
    let entry = playback.entries(1, "film").next().unwrap();
    entry.sign(&item, grant, viewer, &NativeSigner)
}

#[test]
fn golden_vectors() {
    let mut kinds = BTreeSet::new();
    for vector in &*GOLDEN {
        let source =
            sign(vector, &json!({}), Grant { now: NOW, ends_at: NEVER, is_unlimited: true }, VIEWER).unwrap();
        assert_eq!(source.token, vector["token"], "{}", vector["name"]);
        assert_eq!(source.url.as_deref(), vector["url"].as_str(), "{}", vector["name"]);
        assert_eq!((source.expires_at, source.same_until), (1_900_014_600, 1_900_000_200));
        kinds.insert(source.kind.name());
    }
    assert_eq!(kinds.len(), SignerKind::ALL.len(), "every signer has a vector");
}

#[test]
fn signatures_depend_on_media_end_and_key() {
    for vector in &*GOLDEN {
        let grant = Grant { now: NOW, ends_at: NEVER, is_unlimited: true };
        let token = |vector: &Value, grant| sign(vector, &json!({}), grant, VIEWER).unwrap().token;
        let first = token(vector, grant);
        assert_eq!(token(vector, grant), first, "equal questions have equal answers");
        assert_ne!(token(vector, Grant { ends_at: NOW + 60, ..grant }), first, "{}", vector["name"]);
        let mut other = vector.clone();
        for (name, media) in other["content"].as_object_mut().unwrap() {
            *media = match name.as_str() {
                "url" | "video_url" => media.as_str().unwrap().replace("films/7", "films/8").into(),
                _ => "another".into(),
            };
        }
        assert_ne!(token(&other, grant), first, "{}", vector["name"]);
        let mut other_key = vector.clone();
        // Symmetric keys only; `rsa` and `p256` name files.
        if let Some(text) = vector["secret"].as_str().filter(|text| text.len() > 4) {
            other_key["secret"] = ["0", &text[1..]].concat().into();
            assert_ne!(token(&other_key, grant), first, "{}", vector["name"]);
        }
    }
}

#[test]
fn bindings_are_met_or_nothing_is_signed() {
    let bound = |name| GOLDEN.iter().filter(move |vector| vector["entry"]["bind"].to_string().contains(name));
    let grant = Grant { now: NOW, ends_at: NEVER, is_unlimited: true };
    for vector in bound("address") {
        for address in [None, Some(""), Some("0.0.0.0"), Some("::"), Some("192.0.2.7:80"), Some("192.0.2")] {
            let error = sign(vector, &json!({}), grant, Viewer { address, ..VIEWER }).unwrap_err();
            assert_eq!(error, SignError::Unbound("address"), "{address:?}");
        }
    }
    for vector in bound("country") {
        for country in [None, Some(""), Some("XX"), Some("gb"), Some("T1"), Some("GBR")] {
            let error = sign(vector, &json!({}), grant, Viewer { country, ..VIEWER }).unwrap_err();
            assert_eq!(error, SignError::Unbound("country"), "{country:?}");
        }
    }
}

/// The end that a token states, read from the token itself.
fn stated_end(source: &Source) -> i64 {
    let after = |text: &str, name: &str| {
        let (_, rest) = text.split_once(name).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<i64>().unwrap()
    };
    match source.kind {
        SignerKind::Jw | SignerKind::CloudflareStream | SignerKind::Mux => {
            let claims = source.token.split('.').nth(1).unwrap();
            let claims = Base64UrlUnpadded::decode_vec(claims).unwrap();
            serde_json::from_slice::<Value>(&claims).unwrap()["exp"].as_i64().unwrap()
        }
        SignerKind::CloudFront => match source.token.strip_prefix("Policy=") {
            None => after(&source.token, "Expires="),
            Some(policy) => {
                let policy = policy.split('&').next().unwrap();
                let policy = policy.replace('-', "+").replace('_', "=").replace('~', "/");
                let policy = String::from_utf8(Base64::decode_vec(&policy).unwrap()).unwrap();
                after(&policy, r#""DateLessThan":{"AWS:EpochTime":"#)
            }
        },
        SignerKind::Cat => {
            let message = Base64UrlUnpadded::decode_vec(&source.token).unwrap();
            let mut decoder = minicbor::Decoder::new(&message);
            decoder.tag().unwrap();
            decoder.tag().unwrap();
            decoder.array().unwrap();
            decoder.skip().unwrap();
            decoder.skip().unwrap();
            let mut claims = minicbor::Decoder::new(decoder.bytes().unwrap());
            for _ in 0..claims.map().unwrap().unwrap() {
                if claims.u32().unwrap() == 4 {
                    return claims.i64().unwrap();
                }
                claims.skip().unwrap();
            }
            panic!("no exp")
        }
        SignerKind::Akamai => after(&source.token, "exp="),
        SignerKind::HmacUrl => after(&source.token, "exp="),
    }
}

proptest! {
    // RSA in a debug build takes milliseconds a signature.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_signed_outlives_the_grant(
        vector in 0..GOLDEN.len(),
        now in 0_i64..4_000_000_000,
        left in prop_oneof![-1_000_i64..100_000, Just(0), Just(1)],
        (ttl_secs, round_secs, leeway_secs) in (30_u32..80_000, 1_u32..=3600, 0_u32..=300),
    ) {
        let overrides = json!({"ttl_secs": ttl_secs, "round_secs": round_secs, "leeway_secs": leeway_secs});
        let grant = Grant { now, ends_at: now + left, is_unlimited: false };
        match sign(&GOLDEN[vector], &overrides, grant, VIEWER) {
            Err(error) => {
                prop_assert_eq!(error, SignError::Ended);
                prop_assert!(left <= 0);
            }
            Ok(source) => {
                prop_assert!(left > 0);
                prop_assert_eq!(stated_end(&source), source.expires_at);
                prop_assert!(source.expires_at <= grant.ends_at);
                prop_assert!(source.expires_at < now + i64::from(ttl_secs) + i64::from(round_secs));
            }
        }
    }
}
