//! The `ISSUERS` variable.

use admit_token::{
    AudienceRule, Capabilities, Capability, KeysConfig, NativeVerifier, TokenVerifier, parse_issuers,
};
use serde_json::{Value, json};

use super::support::{SECRET, Signer, issuer_with};

fn secret(name: &str) -> Option<String> {
    match name {
        "VENDOR_SECRET" => Some(SECRET.to_owned()),
        "SHORT_SECRET" => Some("0123456789abcdef0123456789abcde".to_owned()),
        _ => None,
    }
}

/// The error of a configuration, as an operator sees it.
fn error(issuers: &Value) -> String {
    match parse_issuers(&issuers.to_string(), &secret) {
        Ok(issuers) => match TokenVerifier::new(issuers, &NativeVerifier) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_defaults() {
    let json = json!([issuer_with(&json!({}))]).to_string();
    let issuers = parse_issuers(&json, &secret).unwrap();
    let [issuer] = &issuers[..] else { panic!() };
    assert_eq!(issuer.issuer, "https://vendor.example");
    assert_eq!(issuer.namespace, "vendor");
    assert_eq!(issuer.customer_claim, "sub");
    assert_eq!(issuer.leeway_secs, 60);
    assert_eq!(issuer.audience, AudienceRule::AnyOf(vec!["admit".to_owned(), "admit-dev".to_owned()]));
    assert_eq!(issuer.may, Capabilities::DEFAULT);
    assert!(!issuer.test_clients && !issuer.accept_missing_iss);
    assert!(matches!(&issuer.keys, KeysConfig::Secret { name, .. } if name == "VENDOR_SECRET"));
    assert!(!format!("{issuers:?}").contains(SECRET));
}

#[test]
fn every_member_is_read() {
    let keys = json!({"keys": [Signer::EdDsa(1).jwk(Some("1")), Signer::Hs256(SECRET).jwk(Some("2"))]});
    let json = json!([
        issuer_with(&json!({"leeway_secs": 300, "customer_claim": "uuid", "may_publish": true,
            "accept_missing_iss": true, "audience": "none_required", "keys": {"jwks": keys}})),
        issuer_with(&json!({"issuer": "b", "keys": {"jwks_url": "https://b.example/jwks"}})),
        issuer_with(
            &json!({"issuer": "c", "may": ["explain", "feed", "check", "feed"], "test_clients": true})
        ),
        issuer_with(&json!({"issuer": "d", "may": ["write"], "may_publish": true})),
        issuer_with(&json!({"issuer": "e", "may": null, "may_publish": false})),
    ]);
    assert_eq!(error(&json), "fine");
    let issuers = parse_issuers(&json.to_string(), &secret).unwrap();
    let may = |position: usize| issuers[position].may.iter().map(Capability::name).collect::<Vec<_>>();
    // `may_publish` adds to `may`, and to the default of `may`.
    assert_eq!((may(0), may(1)), (vec!["view", "publish"], vec!["view"]));
    assert_eq!(
        (may(2), may(3), may(4)),
        (vec!["feed", "check", "explain"], vec!["write", "publish"], vec!["view"])
    );
    assert!(issuers[2].test_clients && !issuers[3].test_clients);
    assert_eq!(issuers[0].audience, AudienceRule::NoneRequired);
    assert!(!format!("{issuers:?}").contains(&super::support::b64(SECRET)));
}

#[test]
fn wrong_values_name_the_field() {
    let no_audience = {
        let mut issuer = issuer_with(&json!({}));
        issuer.as_object_mut().unwrap().remove("audience");
        issuer
    };
    assert!(error(&json!([no_audience])).starts_with("ISSUERS[0]: missing field `audience`"));
    for (changes, expected) in [
        (json!({"issuer": ""}), "ISSUERS[0].issuer: "),
        (json!({"issuer": 1}), "ISSUERS[0]: invalid type"),
        (json!({"namespace": ""}), "ISSUERS[0].namespace: "),
        (json!({"namespace": "a\0b"}), "ISSUERS[0].namespace: "),
        (json!({"audience": {"any_of": []}}), "ISSUERS[0].audience.any_of: "),
        (json!({"audience": {"any_of": [""]}}), "ISSUERS[0].audience.any_of: "),
        (json!({"audience": "any"}), "ISSUERS[0]: unknown variant `any`"),
        (json!({"audience": null}), "ISSUERS[0]: "),
        (json!({"customer_claim": ""}), "ISSUERS[0].customer_claim: "),
        (json!({"customer_claim": "exp"}), "ISSUERS[0].customer_claim: "),
        (json!({"leeway_secs": 301}), "ISSUERS[0].leeway_secs: must be at most 300"),
        (json!({"leeway_secs": -1}), "ISSUERS[0]: "),
        (json!({"leeway_secs": -1}), "ISSUERS[0]: invalid value: integer `-1`, expected u32"),
        (json!({"leeway_secs": "1"}), "ISSUERS[0]: invalid type: string \"...\", expected u32"),
        (json!({"leeway_secs": null}), "ISSUERS[0]: invalid type: null, expected u32"),
        (json!({"merchants": [1, 1.5]}), "ISSUERS[0]: invalid type: floating point `1.5`, expected i64"),
        (json!({"merchants": 1}), "ISSUERS[0]: invalid type: integer `1`, expected a sequence"),
        (json!({"may_publish": {}}), "ISSUERS[0]: invalid type: map, expected a boolean"),
        (json!({"test_clients": 1}), "ISSUERS[0]: invalid type: integer `1`, expected a boolean"),
        (
            json!({"may": []}),
            "ISSUERS[0].may: must name at least one capability: view, write, publish, feed,",
        ),
        (json!({"may": "view"}), "ISSUERS[0]: invalid type: string \"...\", expected a sequence"),
        (json!({"may": [1]}), "ISSUERS[0]: invalid type: integer `1`, expected a string"),
        (
            json!({"may": ["view", "admin"]}),
            "ISSUERS[0]: unknown capability `admin` in may, expected one of `view`, `write`, `publish`, `feed`, `check`, `explain`",
        ),
        (
            json!({"audience": {"any_of": [true]}}),
            "ISSUERS[0]: invalid type: boolean `true`, expected a string",
        ),
        (json!({"audience": {}}), "ISSUERS[0]: invalid value: map, expected map with a single key"),
        (json!({"audience": "any_of"}), "ISSUERS[0]: invalid type: unit variant, expected newtype variant"),
        (json!({"keys": {"jwks": []}}), "ISSUERS[0]: invalid type: sequence, expected a map"),
        (json!({"leeway": 1}), "ISSUERS[0]: unknown field `leeway`"),
        (json!({"keys": {}}), "ISSUERS[0].keys: must be one of"),
        (json!({"keys": {"secret": "VENDOR_SECRET"}}), "ISSUERS[0].keys: must be one of"),
        (
            json!({"keys": {"jwks_url": "https://a.example", "secret": "VENDOR_SECRET", "alg": "HS256"}}),
            "ISSUERS[0].keys: must be one of",
        ),
        (json!({"keys": {"secret": "VENDOR_SECRET", "alg": "RS256"}}), "ISSUERS[0].keys.alg: "),
        (
            json!({"keys": {"jwks_url": "https://a.example", "alg": "ES256"}}),
            "ISSUERS[0].keys.alg: must be RS256, ",
        ),
        (json!({"keys": {"jwks": {"keys": []}, "alg": "HS256"}}), "ISSUERS[0].keys.alg: must be RS256, "),
        (json!({"keys": {"alg": "RS256"}}), "ISSUERS[0].keys: must be one of"),
        (
            json!({"keys": {"secret": "UNBOUND", "alg": "HS256"}}),
            "UNBOUND: ISSUERS[0].keys names this secret",
        ),
        (
            json!({"keys": {"secret": "SHORT_SECRET", "alg": "HS256"}}),
            "SHORT_SECRET: HS256 needs at least 32",
        ),
        (
            json!({"keys": {"secret": "VENDOR_SECRET", "alg": "HS512"}}),
            "VENDOR_SECRET: HS512 needs at least 64",
        ),
        (json!({"keys": {"jwks": {"keys": []}}}), "ISSUERS[0].keys.jwks: no key of the set"),
        (
            json!({"keys": {"jwks": {}}}),
            "ISSUERS[0].keys.jwks: the document is not an object whose member keys",
        ),
        (
            json!({"keys": {"jwks": {"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}}}),
            "ISSUERS[0].keys.jwks: no key of the set can be used: a key without kid: k has 5 bytes",
        ),
    ] {
        let error = error(&json!([issuer_with(&changes)]));
        assert!(error.starts_with(expected), "{changes}: {error}");
        assert!(!error.contains(SECRET) && !error.contains("0123456789") && !error.contains("c2hvcnQ"));
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let jwks = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string();
    for (keys, expected) in [
        (json!({"jwks": jwks}), "ISSUERS[0]: invalid type: string \"...\", expected a map"),
        (json!(jwks), "ISSUERS[0]: invalid type: string \"...\", expected struct"),
        // The secret itself instead of the name of its binding.
        (json!({"secret": "c2VjcmV0-of-the-vendor", "alg": "HS256"}), "ISSUERS[0].keys.secret: "),
    ] {
        let issuers = json!([issuer_with(&json!({"keys": keys}))]);
        let error = error(&issuers);
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
        let error = parse_issuers(&json!(issuers.to_string()).to_string(), &secret).unwrap_err().to_string();
        assert!(
            error.starts_with("ISSUERS: expected a JSON array") && !error.contains("c2VjcmV0"),
            "{error}"
        );
    }
}

#[test]
fn wrong_lists() {
    let one = issuer_with(&json!({}));
    assert!(error(&json!({})).starts_with("ISSUERS: expected a JSON array"));
    assert!(error(&json!([])).starts_with("ISSUERS: expected 1 to 64 issuers"));
    assert!(error(&json!(["x"])).starts_with("ISSUERS[0]: "));
    assert!(error(&json!([one, one])).starts_with("ISSUERS[1].issuer: another issuer"));
    let lenient = |issuer: &str| issuer_with(&json!({"issuer": issuer, "accept_missing_iss": true}));
    assert!(error(&json!([lenient("a"), lenient("b")])).starts_with("ISSUERS[1].accept_missing_iss: "));
    let many: Vec<Value> =
        (0..65).map(|number| issuer_with(&json!({"issuer": number.to_string()}))).collect();
    assert!(error(&json!(many)).starts_with("ISSUERS: expected 1 to 64 issuers"));
    for text in ["", "[", "[{]", "\u{feff}[]"] {
        assert!(parse_issuers(text, &secret).unwrap_err().to_string().starts_with("ISSUERS: "), "{text}");
    }
}

#[test]
fn key_addresses_are_https_or_this_machine() {
    for (url, good) in [
        ("https://vendor.example/jwks.json", true),
        ("https://vendor.example:8443/jwks?a=b", true),
        ("https://vendor.example", true),
        ("http://localhost:8787/jwks.json", true),
        ("http://127.0.0.1/jwks.json", true),
        ("http://[::1]:80/jwks.json", true),
        ("http://vendor.example/jwks.json", false),
        ("http://localhost.vendor.example/", false),
        ("http://127.0.0.1.vendor.example/", false),
        ("http://localhost@vendor.example/", false),
        ("http://localhost\\@vendor.example/", false),
        ("http://localhost#@vendor.example/", false),
        ("https://user:password@vendor.example/", false),
        ("https:///jwks.json", false),
        ("https://:443/", false),
        ("https:vendor.example", false),
        ("HTTPS://vendor.example", false),
        ("ftp://vendor.example", false),
        ("file:///etc/passwd", false),
        ("//vendor.example/jwks", false),
        ("/jwks", false),
        ("https://vendor.example/a b", false),
        ("https://v\u{e9}ndor.example/", false),
        ("https://vendor.example/\n", false),
        ("", false),
    ] {
        let error = error(&json!([issuer_with(&json!({"keys": {"jwks_url": url}}))]));
        assert_eq!(error == "fine", good, "{url:?}: {error}");
    }
}
