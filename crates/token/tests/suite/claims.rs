//! The rules for claims, and the principal that they give.

use admit_snapshot::{key::EntryKey, limits::CUSTOMER_MAX_BYTES};
use admit_token::{Roles, Scope, Scopes};
use serde_json::{Value, json};

use super::support::{NOW, VENDOR, World, claims_with, good_claims, issuer_with};

/// The vendor's leeway, which is the default.
const LEEWAY: i64 = 60;

/// Changes to the valid claims, as JSON text, so that numbers are written as in a token; `null` stays `null`.
fn token(changes: &str) -> String {
    let changes: Value = serde_json::from_str(changes).unwrap();
    let mut claims = good_claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    VENDOR.token(None, &claims)
}

fn without(name: &str) -> String {
    VENDOR.token(None, &claims_with(&json!({ name: null })))
}

#[test]
fn the_boundaries_of_time() {
    let now = NOW;
    let leeway = LEEWAY;
    let cases = [
        // exp: the token has expired on the second that it names.
        (format!(r#"{{"exp":{}}}"#, now + 1), "ok"),
        (format!(r#"{{"exp":{now}}}"#), "ok"),
        (format!(r#"{{"exp":{}}}"#, now - leeway + 1), "ok"),
        (format!(r#"{{"exp":{}}}"#, now - leeway), "expired"),
        (format!(r#"{{"exp":{}}}"#, now - leeway - 1), "expired"),
        (r#"{"exp":0}"#.to_owned(), "expired"),
        (r#"{"exp":-1}"#.to_owned(), "expired"),
        (r#"{"exp":1.5}"#.to_owned(), "expired"),
        (format!(r#"{{"exp":{}.999}}"#, now + 1), "ok"),
        (format!(r#"{{"exp":{}.999}}"#, now - leeway), "expired"),
        (r#"{"exp":1.8e9}"#.to_owned(), "ok"),
        (r#"{"exp":4102444800}"#.to_owned(), "ok"),
        (r#"{"exp":253402300799}"#.to_owned(), "ok"),
        (r#"{"exp":253402300800}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":253402300799.5}"#.to_owned(), "ok"),
        (r#"{"exp":1800000000000}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":1.8e12}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":"1800000000000"}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":1e30}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":-1e30}"#.to_owned(), "malformed_claim"),
        (format!(r#"{{"exp":{}}}"#, i64::MAX), "malformed_claim"),
        (format!(r#"{{"exp":{}}}"#, i64::MIN), "malformed_claim"),
        (format!(r#"{{"exp":{}}}"#, u64::MAX), "malformed_claim"),
        (r#"{"exp":99999999999999999999999}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":null}"#.to_owned(), "no_expiry"),
        (r#"{"exp":""}"#.to_owned(), "no_expiry"),
        (r#"{"exp":"4102444800"}"#.to_owned(), "ok"),
        (r#"{"exp":"2100-01-01T00:00:00Z"}"#.to_owned(), "ok"),
        (r#"{"exp":"never"}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":0.5}"#.to_owned(), "expired"),
        (r#"{"exp":[4102444800]}"#.to_owned(), "malformed_claim"),
        (r#"{"exp":true}"#.to_owned(), "malformed_claim"),
        // nbf
        (format!(r#"{{"nbf":{now}}}"#), "ok"),
        (format!(r#"{{"nbf":{}}}"#, now + leeway), "ok"),
        (format!(r#"{{"nbf":{}}}"#, now + leeway + 1), "clock_differs"),
        (format!(r#"{{"nbf":{}.5}}"#, now + leeway), "ok"),
        (r#"{"nbf":-1}"#.to_owned(), "ok"),
        (r#"{"nbf":4102444800}"#.to_owned(), "not_yet_valid"),
        (r#"{"nbf":1e30}"#.to_owned(), "malformed_claim"),
        (format!(r#"{{"nbf":{}}}"#, i64::MAX), "malformed_claim"),
        (r#"{"nbf":null}"#.to_owned(), "ok"),
        (r#"{"nbf":"0"}"#.to_owned(), "ok"),
        (r#"{"nbf":"x"}"#.to_owned(), "malformed_claim"),
        (format!(r#"{{"nbf":{}}}"#, now * 1000), "malformed_claim"),
        (format!(r#"{{"nbf":{},"iat":{now}}}"#, now + leeway + 1), "not_yet_valid"),
        // iat
        (format!(r#"{{"iat":{now}}}"#), "ok"),
        (format!(r#"{{"iat":{}}}"#, now + leeway), "ok"),
        (format!(r#"{{"iat":{}}}"#, now + leeway + 1), "clock_differs"),
        (r#"{"iat":0}"#.to_owned(), "ok"),
        (r#"{"iat":4102444800}"#.to_owned(), "issued_in_future"),
        (r#"{"iat":null}"#.to_owned(), "ok"),
        (format!(r#"{{"iat":{}}}"#, now * 1000), "malformed_claim"),
        (format!(r#"{{"iat":{}}}"#, now + 86_400), "clock_differs"),
        (format!(r#"{{"iat":{}}}"#, now + 86_401), "issued_in_future"),
        (r#"{"iat":1e30}"#.to_owned(), "malformed_claim"),
        // Which reason is named first.
        (format!(r#"{{"exp":{},"nbf":{}}}"#, now - 100, now + 100), "expired"),
        (format!(r#"{{"exp":{},"aud":"x"}}"#, now - 100), "expired"),
    ];
    let mut world = World::vendor();
    for (changes, expected) in cases {
        assert_eq!(world.code_at(&token(&changes), now), expected, "{changes}");
    }
    assert_eq!(world.code(&without("exp")), "no_expiry");
}

#[test]
fn without_leeway_the_boundaries_are_sharp() {
    let mut world = World::new(&[issuer_with(&json!({"leeway_secs": 0}))]);
    for (changes, expected) in [
        (json!({"exp": NOW}), "expired"),
        (json!({"exp": NOW + 1}), "ok"),
        (json!({"nbf": NOW}), "ok"),
        (json!({"nbf": NOW + 1}), "clock_differs"),
        (json!({"iat": NOW}), "ok"),
        (json!({"iat": NOW + 1}), "clock_differs"),
    ] {
        assert_eq!(world.code(&token(&changes.to_string())), expected, "{changes}");
    }
}

#[test]
fn clocks_at_the_ends_of_time_do_no_harm() {
    let mut world = World::vendor();
    let token = token(r#"{"nbf":0,"iat":0}"#);
    assert_eq!(world.code_at(&token, i64::MAX), "expired");
    assert_eq!(world.code_at(&token, i64::MIN), "issued_in_future");
    assert_eq!(world.code_at(&token, -LEEWAY), "ok");
    assert_eq!(world.code_at(&token, -LEEWAY - 1), "clock_differs");
}

#[test]
fn audiences() {
    let any_of = issuer_with(&json!({}));
    let none_required = issuer_with(&json!({"audience": "none_required"}));
    for (aud, strict, lenient) in [
        (r#""admit""#, "ok", "ok"),
        (r#""admit-dev""#, "ok", "ok"),
        (r#"["admit"]"#, "ok", "ok"),
        (r#"["other","admit-dev"]"#, "ok", "ok"),
        (r#""other""#, "wrong_audience", "ok"),
        (r#""Admit""#, "wrong_audience", "ok"),
        (r#""admit ""#, "wrong_audience", "ok"),
        (r#""admit admit-dev""#, "wrong_audience", "ok"),
        (r#""""#, "wrong_audience", "ok"),
        ("[]", "wrong_audience", "ok"),
        ("null", "wrong_audience", "ok"),
        ("1", "wrong_audience", "ok"),
        (r#"{"0":"other","2":"admit"}"#, "ok", "ok"),
        (r#"["admit",null]"#, "ok", "ok"),
        (r#"{"admit":true}"#, "malformed_claim", "malformed_claim"),
        (r#"["admit",1]"#, "ok", "ok"),
        (r#"["admit",true]"#, "malformed_claim", "malformed_claim"),
        ("true", "malformed_claim", "malformed_claim"),
        (r#"[["admit"]]"#, "malformed_claim", "malformed_claim"),
    ] {
        let token = token(&format!(r#"{{"aud":{aud}}}"#));
        assert_eq!(World::new(std::slice::from_ref(&any_of)).code(&token), strict, "{aud}");
        assert_eq!(World::new(std::slice::from_ref(&none_required)).code(&token), lenient, "{aud}");
    }
    assert_eq!(World::new(&[any_of]).code(&without("aud")), "wrong_audience");
    assert_eq!(World::new(&[none_required]).code(&without("aud")), "ok");
}

#[test]
fn issuers_are_matched_exactly() {
    let strict = issuer_with(&json!({}));
    let lenient = issuer_with(&json!({"accept_missing_iss": true}));
    for (iss, expected) in [
        (r#""https://vendor.example""#, "ok"),
        (r#""https://vendor.example/""#, "unknown_issuer"),
        (r#""HTTPS://vendor.example""#, "unknown_issuer"),
        (r#""""#, "unknown_issuer"),
        ("1", "malformed_claims"),
        (r#"["https://vendor.example"]"#, "malformed_claims"),
    ] {
        let token = token(&format!(r#"{{"iss":{iss}}}"#));
        assert_eq!(World::new(std::slice::from_ref(&strict)).code(&token), expected, "{iss}");
        assert_eq!(World::new(std::slice::from_ref(&lenient)).code(&token), expected, "{iss}");
    }
    for token in [without("iss"), token(r#"{"iss":null}"#)] {
        assert_eq!(World::new(std::slice::from_ref(&strict)).code(&token), "unknown_issuer");
        assert_eq!(World::new(std::slice::from_ref(&lenient)).code(&token), "ok");
    }
}

#[test]
fn the_customers_name() {
    let mut world = World::vendor();
    let longest = "x".repeat(CUSTOMER_MAX_BYTES);
    let too_long = "x".repeat(CUSTOMER_MAX_BYTES + 1);
    for (sub, expected) in [
        (json!("123"), Some("123")),
        (json!(123), Some("123")),
        (json!(-5), Some("-5")),
        (json!(u64::MAX), Some("18446744073709551615")),
        (json!("J\u{f6}rg"), Some("J\u{f6}rg")),
        (json!(longest), Some(longest.as_str())),
        (json!(too_long), None),
        (json!(""), None),
        (json!("a\0b"), None),
        (json!(123.0), Some("123")),
        (json!(1.5), None),
        (json!(1e30), None),
        (json!(true), None),
        (json!(["123"]), None),
        (json!({"id": "123"}), None),
        (Value::Null, None),
    ] {
        let token = token(&json!({"sub": sub}).to_string());
        match expected {
            Some(subject) => {
                assert_eq!(world.verify(&token, NOW).unwrap().principal.subject, subject);
            }
            None => assert_eq!(world.code(&token), "no_customer", "{sub}"),
        }
    }
    assert_eq!(world.code(&without("sub")), "no_customer");
}

#[test]
fn a_customer_claim_other_than_sub() {
    let mut world = World::new(&[issuer_with(&json!({"customer_claim": "https://vendor.example/uuid"}))]);
    let token = token(r#"{"sub":"ignored","https://vendor.example/uuid":"11a7ed90"}"#);
    let verified = world.verify(&token, NOW).unwrap();
    assert_eq!(verified.principal.subject, "11a7ed90");
    assert_eq!(verified.principal.customer_key, EntryKey::customer("vendor", "11a7ed90"));
    assert_eq!(world.code(&VENDOR.token(None, &good_claims())), "no_customer");
}

#[test]
fn two_issuers_with_the_same_sub_are_two_customers() {
    let other = issuer_with(&json!({"issuer": "https://other.example", "namespace": "other"}));
    let mut world = World::new(&[issuer_with(&json!({})), other]);
    let one = world.verify(&token("{}"), NOW).unwrap();
    let two = world.verify(&token(r#"{"iss":"https://other.example"}"#), NOW).unwrap();
    assert_eq!((one.issuer, two.issuer), (0, 1));
    assert_eq!(one.principal.subject, two.principal.subject);
    assert_ne!(one.principal.customer_key, two.principal.customer_key);
    assert_eq!((&*one.principal.namespace, &*two.principal.namespace), ("vendor", "other"));
}

#[test]
fn the_claims_of_a_vendors_token() {
    let mut world = World::new(&[issuer_with(&json!({"may": ["view", "write", "publish"]}))]);
    let token = token(
        r#"{"client_id":"app-1","azp":"app-2","mid":21,"mui":"528b1b80","aid":"42","ctx":["consumer","merchant","x"],
            "scope":"openid  snapshot:publish"}"#,
    );
    let principal = world.verify(&token, NOW).unwrap().principal.clone();
    assert_eq!(principal.client_id.as_deref(), Some("app-1"));
    assert_eq!(principal.merchant_id, Some(21));
    assert_eq!(principal.merchant_uuid.as_deref(), Some("528b1b80"));
    assert_eq!(principal.account_id, Some(42));
    assert_eq!(principal.roles, Roles { consumer: true, merchant: true });
    let publishing = [Scope::SnapshotRead, Scope::SnapshotWrite, Scope::SnapshotCollect];
    assert_eq!(principal.scopes, publishing.into_iter().fold(Scopes::NONE, Scopes::with));
}

#[test]
fn absent_claims_grant_nothing() {
    let principal = World::vendor().verify(&token("{}"), NOW).unwrap().principal.clone();
    assert_eq!(principal.client_id.as_deref(), Some("admit"), "the only audience stands for the client");
    assert_eq!((principal.merchant_id, principal.merchant_uuid, principal.account_id), (None, None, None));
    assert_eq!(principal.roles, Roles::default());
    assert_eq!(principal.scopes, Scopes::NONE);
    let nulls = r#"{"client_id":null,"azp":null,"mid":null,"mui":null,"aid":null,"ctx":null,"scope":null}"#;
    assert_eq!(World::vendor().code(&token(nulls)), "ok");
}

#[test]
fn the_client_is_client_id_else_azp_else_the_only_audience() {
    let mut world = World::vendor();
    for (changes, client) in [
        (json!({"client_id": "c", "azp": "a"}), Some("c")),
        (json!({"azp": "a"}), Some("a")),
        (json!({"aud": ["admit"]}), Some("admit")),
        (json!({"aud": ["admit", "other"]}), None),
    ] {
        let verified = world.verify(&token(&changes.to_string()), NOW).unwrap();
        assert_eq!(verified.principal.client_id.as_deref(), client, "{changes}");
    }
}

#[test]
fn optional_claims_of_the_wrong_type_refuse_the_token() {
    let mut world = World::vendor();
    for changes in [
        r#"{"client_id":1.5}"#,
        r#"{"client_id":true}"#,
        r#"{"azp":["a"]}"#,
        r#"{"mid":"x"}"#,
        r#"{"mid":"21.5"}"#,
        r#"{"mid":"+21"}"#,
        r#"{"mid":1.5}"#,
        r#"{"mid":9223372036854775808}"#,
        r#"{"mid":true}"#,
        r#"{"mid":[21]}"#,
        r#"{"mui":["a"]}"#,
        r#"{"aid":{"a":1}}"#,
        r#"{"ctx":true}"#,
        r#"{"ctx":["consumer",true]}"#,
        r#"{"ctx":{"merchant":true}}"#,
        r#"{"scope":false}"#,
        r#"{"scope":[["a"]]}"#,
    ] {
        assert_eq!(world.code(&token(changes)), "malformed_claim", "{changes}");
    }
}

/// PHP writes `""` or `[]` for unset values, lists with gaps as objects, and numbers in quotes.
#[test]
fn claims_in_the_forms_of_php_and_others() {
    let mut world = World::new(&[issuer_with(&json!({"may": ["view", "write", "publish"]}))]);
    let mut principal = |changes: &str| world.verify(&token(changes), NOW).unwrap().principal.clone();
    for nothing in ["null", r#""""#, r#"" ""#, "[]", "{}"] {
        let names = ["client_id", "azp", "mid", "mui", "aid", "ctx", "scope"];
        let claims: Vec<_> = names.iter().map(|name| format!(r#""{name}":{nothing}"#)).collect();
        let nobody = principal(&format!("{{{}}}", claims.join(",")));
        assert_eq!(nobody.client_id.as_deref(), Some("admit"), "{nothing}");
        assert_eq!((nobody.merchant_id, &nobody.merchant_uuid, nobody.account_id), (None, &None, None));
        assert_eq!((nobody.roles, nobody.scopes), (Roles::default(), Scopes::NONE), "{nothing}");
    }
    let gaps = principal(
        r#"{"ctx":{"0":"consumer","2":"merchant"},"scope":{"1":"snapshot:publish"},"aud":{"3":"admit"}}"#,
    );
    assert_eq!(gaps.roles, Roles { consumer: true, merchant: true });
    assert!(gaps.scopes.has(Scope::SnapshotWrite));
    assert_eq!(gaps.client_id.as_deref(), Some("admit"));
    let odd = principal(r#"{"mid":"21 ","aid":42.0,"mui":7,"client_id":12}"#);
    assert_eq!((odd.merchant_id, odd.account_id), (Some(21), Some(42)));
    assert_eq!((odd.merchant_uuid.as_deref(), odd.client_id.as_deref()), (Some("7"), Some("12")));
}
