//! The life of a JWKS that is fetched from an issuer.

use admit::token::{KeySetError, KeysFetched, VerifyError};
use serde_json::{Value, json};

use super::support::{ISSUER, NOW, Signer, World, good_claims, issuer_with};

const URL: &str = "https://vendor.example/.well-known/jwks.json";
const ONE: Signer = Signer::EdDsa(1);
const TWO: Signer = Signer::EdDsa(2);

fn world() -> World {
    World::new(&[issuer_with(&json!({"keys": {"jwks_url": URL}}))])
}

fn document(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

fn token(signer: Signer, kid: &str) -> String {
    signer.token(Some(kid), &good_claims())
}

impl World {
    fn fetched(&mut self, keys: &[Value], now: i64) -> KeysFetched {
        self.verifier.keys_fetched(0, Some(&document(keys)), now, &self.platform)
    }

    fn fetch_failed(&mut self, now: i64) -> KeysFetched {
        self.verifier.keys_fetched(0, None, now, &self.platform)
    }
}

#[test]
fn keys_are_asked_for_then_used() {
    let mut world = world();
    assert_eq!(world.verifier.jwks_url(0), Some(URL));
    assert_eq!(world.verifier.jwks_url(1), None);
    assert_eq!(world.verifier.issuer(0), Some(ISSUER));
    assert_eq!(world.verifier.keys_refresh_due(NOW), None, "nothing is fetched before it is needed");
    assert_eq!(world.verify(&token(ONE, "1"), NOW), Err(VerifyError::NeedKeys(0)));
    let changed = KeysFetched::Changed { usable: 1, skipped: 0 };
    assert_eq!(world.fetched(&[ONE.jwk(Some("1"))], NOW), changed);
    assert_eq!(world.code(&token(ONE, "1")), "ok");
}

#[test]
fn a_token_of_another_issuer_fetches_nothing() {
    let mut world = world();
    let mut claims = good_claims();
    claims["iss"] = "https://stranger.example".into();
    assert_eq!(world.code(&ONE.token(Some("1"), &claims)), "unknown_issuer");
    assert_eq!(world.code("a.b.c"), "malformed");
}

#[test]
fn a_dead_issuer_is_asked_once_per_cooldown() {
    let mut world = world();
    assert_eq!(world.code(&token(ONE, "1")), "need_keys");
    assert_eq!(world.fetch_failed(NOW), KeysFetched::Kept(None));
    let unavailable = |retry_after_secs| {
        Err(VerifyError::KeysUnavailable { issuer: 0, retry_after_secs, is_being_fetched: false })
    };
    assert_eq!(world.verify(&token(ONE, "1"), NOW), unavailable(10));
    assert_eq!(world.verify(&token(ONE, "1"), NOW + 9), unavailable(1));
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 10), "need_keys");
    world.fetched(&[ONE.jwk(Some("1"))], NOW + 10);
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 10), "ok");
}

#[test]
fn four_requests_may_fetch_at_once_and_a_lost_fetch_is_not_waited_for_forever() {
    let mut world = world();
    for _ in 0..4 {
        assert_eq!(world.code(&token(ONE, "1")), "need_keys");
    }
    assert_eq!(world.code(&token(ONE, "1")), "keys_unavailable");
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 9), "keys_unavailable");
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 10), "need_keys");
}

#[test]
fn an_unknown_kid_causes_one_fetch_per_cooldown() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    for made_up in 0..100 {
        assert_eq!(
            world.code_at(&token(TWO, &made_up.to_string()), NOW + 29),
            match made_up {
                1 => "bad_signature",
                _ => "unknown_kid",
            }
        );
    }
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 30), "need_keys");
    world.fetched(&[ONE.jwk(Some("1"))], NOW + 30);
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 30), "unknown_kid");
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 60), "need_keys");
    world.fetched(&[ONE.jwk(Some("1")), TWO.jwk(Some("2"))], NOW + 60);
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 60), "ok");
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 60), "ok");
}

#[test]
fn an_unknown_kid_is_no_401_while_nobody_can_tell() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 30), "need_keys");
    world.fetch_failed(NOW + 30);
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 31), "keys_unavailable");
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 31), "ok", "the last good keys go on");
}

#[test]
fn old_keys_serve_while_they_are_refreshed() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    assert_eq!(world.verifier.keys_refresh_due(NOW + 599), None);
    assert_eq!(world.verifier.keys_refresh_due(NOW + 600), Some(0));
    assert_eq!(world.verifier.keys_refresh_due(NOW + 600), None, "one refresh at a time");
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 600), "ok");
    world.fetch_failed(NOW + 601);
    assert_eq!(world.verifier.keys_refresh_due(NOW + 610), None, "the cooldown");
    assert_eq!(world.verifier.keys_refresh_due(NOW + 611), Some(0));
    assert_eq!(world.fetched(&[ONE.jwk(Some("1"))], NOW + 611), KeysFetched::Unchanged);
    assert_eq!(world.verifier.keys_refresh_due(NOW + 1210), None);
    assert_eq!(world.verifier.keys_refresh_due(NOW + 1211), Some(0));
}

#[test]
fn a_document_that_cannot_be_used_does_not_replace_the_last_good_one() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    let many: Vec<Value> = (0..33).map(|seed| Signer::EdDsa(seed).jwk(None)).collect();
    let long = vec![b' '; 64 * 1024 + 1];
    for (bad, problem) in [
        (document(&[]), KeySetError::NoUsableKey),
        (document(&[Signer::Hs256("0123456789abcdef0123456789abcdef").jwk(None)]), KeySetError::NoUsableKey),
        (document(&many), KeySetError::TooManyKeys),
        (long, KeySetError::TooLong),
        (b"<html>".to_vec(), KeySetError::Malformed),
        (vec![0xff, 0xfe], KeySetError::Malformed),
    ] {
        let outcome = world.verifier.keys_fetched(0, Some(&bad), NOW + 30, &world.platform);
        assert_eq!(outcome, KeysFetched::Kept(Some(problem)));
        assert_eq!(world.code_at(&token(ONE, "1"), NOW + 30), "ok");
    }
}

#[test]
fn a_key_that_the_issuer_took_back_is_refused_at_once() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    assert_eq!(world.code(&token(ONE, "1")), "ok");
    world.fetched(&[TWO.jwk(Some("2"))], NOW + 40);
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 40), "unknown_kid");
}

#[test]
fn a_bad_signature_is_forgotten_when_keys_come() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    let token = token(TWO, "1");
    assert_eq!(world.code(&token), "bad_signature");
    world.fetched(&[TWO.jwk(Some("1"))], NOW);
    assert_eq!(world.code(&token), "ok");
}

#[test]
fn a_shared_cache_spares_the_fetch_and_its_age_counts() {
    let mut world = world();
    assert_eq!(world.code(&token(ONE, "1")), "need_keys");
    let cached = document(&[ONE.jwk(Some("1"))]);
    let outcome = world.verifier.keys_cached(0, &cached, NOW - 590, &world.platform);
    assert_eq!(outcome, KeysFetched::Changed { usable: 1, skipped: 0 });
    assert_eq!(world.code(&token(ONE, "1")), "ok");
    assert_eq!(world.code(&token(TWO, "2")), "need_keys", "a cached document starts no cooldown");
    assert_eq!(world.verifier.keys_refresh_due(NOW + 10), Some(0));
    world.fetched(&[ONE.jwk(Some("1")), TWO.jwk(Some("2"))], NOW + 10);
    let outcome = world.verifier.keys_cached(0, &cached, NOW - 590, &world.platform);
    assert_eq!(outcome, KeysFetched::Unchanged, "older than what is at hand");
    assert_eq!(world.code(&token(TWO, "2")), "ok");
    let outcome = world.verifier.keys_cached(0, b"{}", NOW + 20, &world.platform);
    assert_eq!(outcome, KeysFetched::Kept(Some(KeySetError::Malformed)));
}

#[test]
fn issuers_have_their_own_keys() {
    let other = issuer_with(
        &json!({"issuer": "https://other.example", "keys": {"jwks_url": "https://other.example/jwks"}}),
    );
    let mut world = World::new(&[issuer_with(&json!({"keys": {"jwks_url": URL}})), other]);
    let mut claims = good_claims();
    claims["iss"] = "https://other.example".into();
    let others = ONE.token(Some("1"), &claims);
    assert_eq!(world.verify(&others, NOW), Err(VerifyError::NeedKeys(1)));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    assert_eq!(world.verify(&others, NOW), Err(VerifyError::NeedKeys(1)));
    assert_eq!(world.code(&token(ONE, "1")), "ok");
}

#[test]
fn reports_about_no_issuer_do_no_harm() {
    let mut world = World::vendor();
    assert_eq!(world.fetched(&[ONE.jwk(None)], NOW), KeysFetched::Kept(None), "a secret is not replaced");
    let outcome = world.verifier.keys_fetched(usize::MAX, None, NOW, &world.platform);
    assert_eq!(outcome, KeysFetched::Kept(None));
    assert_eq!(world.verifier.keys_refresh_due(i64::MAX), None);
}

#[test]
fn clocks_at_the_ends_of_time_do_no_harm() {
    for now in [i64::MIN, -1, 0, i64::MAX] {
        let mut world = world();
        world.code_at(&token(ONE, "1"), now);
        world.fetch_failed(now);
        world.fetched(&[ONE.jwk(Some("1"))], now);
        world.verifier.keys_refresh_due(i64::MIN);
        world.verifier.keys_refresh_due(i64::MAX);
        assert_eq!(world.code(&token(ONE, "1")), "ok");
    }
}
