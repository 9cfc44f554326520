//! Remembered tokens, and how long they are remembered.

use std::rc::Rc;

use serde_json::json;

use super::support::{NOW, Signer, World, claims_with, good_claims, issuer_with};

const ONE: Signer = Signer::EdDsa(1);

fn world() -> World {
    World::with_jwks(&[ONE.jwk(Some("1"))])
}

#[test]
fn a_verified_token_costs_one_signature() {
    let mut world = world();
    let token = ONE.token(Some("1"), &good_claims());
    let first = world.verify(&token, NOW).unwrap();
    for later in 1..100 {
        let again = world.verify(&format!("Bearer {token}"), NOW + later).unwrap();
        assert!(Rc::ptr_eq(&first, &again));
    }
    assert_eq!(world.signatures(), 1);
}

#[test]
fn a_remembered_token_expires_on_its_second() {
    let mut world = world();
    let token = ONE.token(Some("1"), &claims_with(&json!({"exp": NOW + 10})));
    assert_eq!(world.code_at(&token, NOW), "ok");
    assert_eq!(world.code_at(&token, NOW + 10 + 59), "ok");
    assert_eq!(world.signatures(), 1);
    assert_eq!(world.code_at(&token, NOW + 10 + 60), "expired");
    assert_eq!(world.code_at(&token, NOW + 10 + 61), "expired");
}

#[test]
fn a_remembered_token_is_judged_by_its_own_issuers_leeway() {
    let mut world = World::new(&[
        issuer_with(&json!({"leeway_secs": 0})),
        issuer_with(&json!({"issuer": "https://other.example", "leeway_secs": 300})),
    ]);
    let vendor = super::support::VENDOR;
    let strict = vendor.token(None, &claims_with(&json!({"exp": NOW + 10})));
    let lenient = vendor.token(None, &claims_with(&json!({"exp": NOW + 10, "iss": "https://other.example"})));
    for token in [&strict, &lenient] {
        assert_eq!(world.code_at(token, NOW), "ok");
    }
    assert_eq!(world.code_at(&strict, NOW + 10), "expired");
    assert_eq!(world.code_at(&lenient, NOW + 309), "ok");
    assert_eq!(world.code_at(&lenient, NOW + 310), "expired");
}

#[test]
fn a_remembered_token_is_not_valid_before_its_time() {
    let mut world = world();
    for claim in ["nbf", "iat"] {
        let token = ONE.token(Some("1"), &claims_with(&json!({claim: NOW})));
        assert_eq!(world.code_at(&token, NOW), "ok");
        assert_eq!(world.code_at(&token, NOW - 61), "clock_differs", "the clock went back");
    }
}

#[test]
fn a_token_that_was_refused_for_its_claims_is_not_remembered_as_good() {
    let mut world = world();
    let token = ONE.token(Some("1"), &claims_with(&json!({"nbf": NOW + 100})));
    assert_eq!(world.code_at(&token, NOW), "clock_differs");
    assert_eq!(world.code_at(&token, NOW + 100), "ok", "nor as bad");
}

#[test]
fn one_bad_token_costs_one_signature_in_ten_seconds() {
    let mut world = world();
    let token = Signer::EdDsa(2).token(Some("1"), &good_claims());
    for _ in 0..100 {
        assert_eq!(world.code_at(&token, NOW + 9), "bad_signature");
    }
    assert_eq!(world.signatures(), 1);
    assert_eq!(world.code_at(&token, NOW + 19), "bad_signature");
    assert_eq!(world.signatures(), 2);
}

#[test]
fn a_flood_of_bad_tokens_does_not_push_out_a_good_one() {
    let mut world = world();
    let good = ONE.token(Some("1"), &good_claims());
    assert_eq!(world.code(&good), "ok");
    for n in 0..2000 {
        let bad = Signer::EdDsa(2).token(Some("1"), &claims_with(&json!({"n": n})));
        assert_eq!(world.code(&bad), "bad_signature");
    }
    let before = world.signatures();
    assert_eq!(world.code(&good), "ok");
    assert_eq!(world.signatures(), before);
}

#[test]
fn tokens_that_differ_in_one_character_are_two_tokens() {
    let mut world = world();
    let token = ONE.token(Some("1"), &good_claims());
    assert_eq!(world.code(&token), "ok");
    let other = ONE.token(Some("1"), &claims_with(&json!({"sub": "customer-2"})));
    assert_eq!(world.verify(&other, NOW).unwrap().principal.subject, "customer-2");
    assert_eq!(world.verify(&token, NOW).unwrap().principal.subject, "customer-1");
}
