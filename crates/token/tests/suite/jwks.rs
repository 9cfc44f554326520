//! The life of a JWKS that is fetched from an issuer.

use admit_snapshot::limits::JWKS_MAX_BYTES;
use admit_token::{KeySetError, KeysFetched, UndecidedCause, VerifyError};
use serde_json::{Value, json};

use super::support::{ISSUER, NOW, Signer, World, code, detail, good_claims, issuer_with};

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
        self.fetched_document(&document(keys), now)
    }

    fn fetched_document(&mut self, document: &[u8], now: i64) -> KeysFetched {
        let fetch = self.verifier.fetch_sent(0).unwrap();
        self.verifier.keys_fetched(0, fetch, Some(document), now, &self.platform)
    }

    fn fetch_failed(&mut self, now: i64) -> KeysFetched {
        let fetch = self.verifier.fetch_sent(0).unwrap();
        self.verifier.keys_fetched(0, fetch, None, now, &self.platform)
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
        assert_eq!(world.code_at(&token(TWO, &made_up.to_string()), NOW + 29), "key_pending");
    }
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 30), "need_keys");
    world.fetched(&[ONE.jwk(Some("1"))], NOW + 30);
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 30), "unknown_kid");
    assert_eq!(world.code_at(&token(TWO, "1"), NOW + 30), "bad_signature");
    assert_eq!(world.code_at(&token(TWO, "100"), NOW + 30), "key_pending", "not seen before");
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 60), "need_keys");
    world.fetched(&[ONE.jwk(Some("1")), TWO.jwk(Some("2"))], NOW + 60);
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 60), "ok");
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 60), "ok");
}

/// An unsigned token causes a fetch, a moment before the issuer rotates its keys.
#[test]
fn a_fetch_that_a_stranger_caused_refuses_no_key_of_later() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    // The attacker also guesses the name of the next key.
    for made_up in ["x", "2"] {
        assert_eq!(world.code_at(&token(Signer::EdDsa(9), made_up), NOW + 30), "need_keys");
    }
    world.fetched(&[ONE.jwk(Some("1"))], NOW + 30);
    // Now the issuer rotates.
    let good = token(TWO, "2");
    let answer = world.verify(&good, NOW + 31);
    let Err(VerifyError::Undecided(undecided)) = answer else { panic!("{answer:?}") };
    assert_eq!((undecided.cause, undecided.retry_after_secs), (UndecidedCause::KeyPending, 29));
    assert_eq!(undecided.detail, r#"header kid: the issuer has no key "2""#);
    assert_eq!(world.code_at(&good, NOW + 60), "need_keys");
    world.fetched(&[ONE.jwk(Some("1")), TWO.jwk(Some("2"))], NOW + 60);
    assert_eq!(world.code_at(&good, NOW + 60), "ok");
}

/// A viewer whose token was signed by a removed key must learn of it, whichever client causes the fetches.
#[test]
fn strangers_do_not_hold_the_answer_back() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    let gone = token(TWO, "gone");
    assert_eq!(world.code_at(&gone, NOW + 1), "key_pending");
    assert_eq!(world.code_at(&token(TWO, "x"), NOW + 30), "need_keys");
    world.fetched(&[ONE.jwk(Some("1"))], NOW + 30);
    for made_up in 0..5_000 {
        assert_eq!(world.code_at(&token(ONE, &format!("x{made_up}")), NOW + 31), "key_pending");
    }
    assert_eq!(world.code_at(&gone, NOW + 31), "unknown_kid");
}

/// The answers of two fetches overtake each other.
#[test]
fn an_older_document_that_arrives_later_replaces_nothing() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.code(&token(TWO, "2"));
    let [first, second] = [(); 2].map(|()| world.verifier.fetch_sent(0).unwrap());
    let (old, new) = (document(&[ONE.jwk(Some("1"))]), document(&[ONE.jwk(Some("1")), TWO.jwk(Some("2"))]));
    let outcome = world.verifier.keys_fetched(0, second, Some(&new), NOW, &world.platform);
    assert_eq!(outcome, KeysFetched::Changed { usable: 2, skipped: 0 });
    let outcome = world.verifier.keys_fetched(0, first, Some(&old), NOW + 1, &world.platform);
    assert_eq!(outcome, KeysFetched::Unchanged);
    assert_eq!(world.code_at(&token(TWO, "2"), NOW + 1), "ok");
}

/// Some issuers give all their keys the same name, or no name.
#[test]
fn a_key_that_is_replaced_under_its_name_is_waited_for() {
    for kid in [Some("1"), None] {
        let mut world = world();
        let [old, new] = [ONE, TWO].map(|signer| signer.token(kid, &good_claims()));
        world.code(&old);
        world.fetched(&[ONE.jwk(kid)], NOW);
        assert_eq!(world.code(&old), "ok");
        assert_eq!(world.code_at(&new, NOW + 1), "key_pending", "{kid:?}");
        let signatures = world.signatures();
        assert_eq!(world.code_at(&new, NOW + 2), "key_pending", "{kid:?}");
        assert_eq!(world.signatures(), signatures, "a known bad signature is not computed again");
        assert_eq!(world.code_at(&new, NOW + 30), "need_keys");
        world.fetched(&[TWO.jwk(kid)], NOW + 30);
        assert_eq!(world.code_at(&new, NOW + 30), "ok", "{kid:?}");
        assert_eq!(world.code_at(&old, NOW + 30), "key_pending", "{kid:?}");
    }
}

#[test]
fn a_key_in_an_unusable_form_causes_no_401() {
    let mut world = world();
    let odd = json!({"kty": "EC", "crv": "secp256k1", "kid": "odd", "alg": "ES256K"});
    let small = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "small"});
    let keys = [ONE.jwk(Some("1")), odd, small];
    world.code(&token(ONE, "1"));
    world.fetched(&keys, NOW);
    for now in [NOW + 1, NOW + 29] {
        for (kid, detail) in [
            ("odd", r#"kid "odd": crv "secp256k1" is not supported"#),
            ("small", r#"kid "small": n has 17 bits, expected 2048 to 4096"#),
        ] {
            let answer = world.verify(&token(TWO, kid), now);
            assert_eq!((code(&answer), &*self::detail(&answer)), ("key_left_out", detail));
        }
    }
    // A token with an unsupported algorithm too.
    let token = |header: &Value| TWO.sign(header.to_string(), good_claims().to_string());
    assert_eq!(world.code_at(&token(&json!({"alg": "ES256K", "kid": "odd"})), NOW + 29), "key_left_out");
    assert_eq!(
        world.code_at(&token(&json!({"alg": "none", "kid": "odd"})), NOW + 29),
        "unsupported_algorithm"
    );
    // The keys are requested again, because the issuer may have fixed its document.
    let odd = token(&json!({"alg": "ES256K", "kid": "odd"}));
    assert_eq!(world.code_at(&odd, NOW + 30), "need_keys");
    world.fetched(&keys, NOW + 30);
    assert_eq!(world.code_at(&odd, NOW + 30), "key_left_out");
    world.code_at(&odd, NOW + 60);
    world.fetched(&[ONE.jwk(Some("1"))], NOW + 60);
    assert_eq!(world.code_at(&odd, NOW + 60), "unsupported_algorithm");
}

#[test]
fn the_configuration_says_what_rsa_keys_without_alg_are_for() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/vectors/signatures.json")).unwrap();
    let vector = |name: &str| vectors.iter().find(|vector| vector["name"] == name).unwrap();
    let mut jwk = vector("PS256: good")["jwk"].clone();
    jwk.as_object_mut().unwrap().remove("alg");
    for (keys, rs256, ps256) in [
        (json!({"jwks_url": URL}), "ok", "algorithm_mismatch"),
        (json!({"jwks_url": URL, "alg": "PS256"}), "algorithm_mismatch", "ok"),
    ] {
        let issuer = json!({"issuer": "https://issuer.example", "keys": keys});
        let mut world = World::new(&[issuer_with(&issuer)]);
        for (name, kid, expected) in
            [("RS256: good", "key-RS256", rs256), ("PS256: good", "key-PS256", ps256)]
        {
            let token = vector(name)["jws"].as_str().unwrap();
            jwk["kid"] = kid.into();
            world.code(token);
            world.fetched(std::slice::from_ref(&jwk), NOW);
            assert_eq!(world.code(token), expected, "{keys} {name}");
        }
    }
}

#[test]
fn an_unknown_kid_causes_no_401_while_the_keys_are_unknown() {
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
    let long = vec![b' '; JWKS_MAX_BYTES + 1];
    for (bad, problem) in [
        (document(&[]), "no key of the set can be used"),
        (
            document(&[Signer::Hs256("0123456789abcdef0123456789abcdef").jwk(Some("s"))]),
            r#"no key of the set can be used: kid "s": a symmetric key in a public document"#,
        ),
        (long, "the document has 1048577 bytes: at most 1048576 are read"),
        (b"<html>".to_vec(), "the document is HTML or XML, not JSON"),
        (vec![0xff, 0xfe], "the document is UTF-16; UTF-8 is expected"),
    ] {
        let outcome = world.fetched_document(&bad, NOW + 30);
        let KeysFetched::Kept(Some(found)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(found.to_string(), problem);
        assert_eq!(world.code_at(&token(ONE, "1"), NOW + 30), "ok");
    }
}

#[test]
fn a_key_that_the_issuer_took_back_verifies_nothing_from_then_on() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    assert_eq!(world.code(&token(ONE, "1")), "ok");
    world.fetched(&[TWO.jwk(Some("2"))], NOW + 40);
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 40), "key_pending");
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 70), "need_keys");
    world.fetched(&[TWO.jwk(Some("2"))], NOW + 70);
    assert_eq!(world.code_at(&token(ONE, "1"), NOW + 70), "unknown_kid");
}

#[test]
fn a_bad_signature_is_forgotten_when_keys_come() {
    let mut world = world();
    world.code(&token(ONE, "1"));
    world.fetched(&[ONE.jwk(Some("1"))], NOW);
    let token = token(TWO, "1");
    assert_eq!(world.code_at(&token, NOW + 30), "need_keys");
    world.fetched(&[ONE.jwk(Some("1"))], NOW + 30);
    assert_eq!(world.code_at(&token, NOW + 31), "bad_signature");
    assert_eq!(
        world.code_at(&token, NOW + 31),
        "key_pending",
        "reported once: the key may be published by now"
    );
    world.fetched(&[TWO.jwk(Some("1"))], NOW + 32);
    assert_eq!(world.code_at(&token, NOW + 32), "ok");
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
    assert!(matches!(outcome, KeysFetched::Kept(Some(KeySetError::Malformed(_)))), "{outcome:?}");
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
    assert_eq!(world.verifier.fetch_sent(0), None, "a secret is not fetched");
    assert_eq!(world.verifier.fetch_sent(usize::MAX), None);
    let fetch = self::world().verifier.fetch_sent(0).unwrap();
    let keys = document(&[ONE.jwk(None)]);
    for issuer in [0, usize::MAX] {
        let outcome = world.verifier.keys_fetched(issuer, fetch, Some(&keys), NOW, &world.platform);
        assert_eq!(outcome, KeysFetched::Kept(None), "a secret is not replaced");
    }
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
