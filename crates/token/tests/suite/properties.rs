//! No input causes a panic, and no altered token is accepted.

use std::cell::RefCell;

use admit_token::{BearerToken, KeySet, NativeVerifier, parse_issuers};
use proptest::prelude::*;
use serde_json::json;

use super::support::{NOW, Signer, World, b64, good_claims};

const SIGNERS: [Signer; 3] =
    [Signer::Hs256("0123456789abcdef0123456789abcdef"), Signer::EdDsa(1), Signer::Es256(2)];

fn world() -> World {
    World::with_jwks(&SIGNERS.map(|signer| signer.jwk(Some(signer.alg()))))
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
}

/// The result for a header value, in a world that all cases share.
fn code(header: &str) -> &'static str {
    WORLD.with_borrow_mut(|world| world.code(header))
}

fn good(signer: Signer) -> String {
    signer.token(Some(signer.alg()), &good_claims())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_text_is_refused(header in ".*") {
        prop_assert_ne!(code(&header), "ok");
    }

    #[test]
    fn any_segments_are_refused(
        header in prop::collection::vec(any::<u8>(), 0..64),
        claims in prop::collection::vec(any::<u8>(), 0..64),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = format!("{}.{}.{}", b64(header), b64(claims), b64(signature));
        prop_assert_ne!(code(&token), "ok");
    }

    /// All of these have a valid signature, so that the code for claims is reached.
    #[test]
    fn any_signed_claims_do_not_panic(
        name in "iss|aud|exp|nbf|iat|sub|mid|ctx|scope|azp|x",
        value in r#"-?[0-9]{1,25}|-?[0-9]{1,3}\.[0-9]{1,3}|[0-9]e[0-9]{1,3}|"[a-z0-9 ]{0,8}"|null|true|\[\]|\{\}|\["a",1\]"#,
    ) {
        let good = good_claims().to_string();
        let claims = format!(r#"{},"{name}":{value}}}"#, &good[..good.len() - 1]);
        let token = SIGNERS[0].sign(r#"{"alg":"HS256","kid":"HS256"}"#, &claims);
        code(&token);
        let claims: String = format!(r#"{{"iss":"https://vendor.example","{name}":{value}}}"#);
        code(&SIGNERS[0].sign(r#"{"alg":"HS256","kid":"HS256"}"#, &claims));
    }

    #[test]
    fn any_signed_header_does_not_panic(header in r#"\{("[a-z]{1,4}":("[a-zA-Z0-9]{0,6}"|[0-9]|null|\[\]|\{\}),?){0,4}\}"#) {
        code(&SIGNERS[0].sign(&header, good_claims().to_string()));
    }

    #[test]
    fn an_altered_token_is_refused(
        which in 0..SIGNERS.len(),
        place in any::<prop::sample::Index>(),
        byte in 0x20_u8..0x7f,
    ) {
        let token = good(SIGNERS[which]);
        let mut bytes = token.clone().into_bytes();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        prop_assert_ne!(code(std::str::from_utf8(&bytes).unwrap()), "ok");
        prop_assert_eq!(code(&token), "ok");
    }

    #[test]
    fn a_token_with_a_part_cut_out_doubled_or_moved_is_refused(
        which in 0..SIGNERS.len(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let token = good(SIGNERS[which]);
        let (from, to) = (from.index(token.len()), to.index(token.len()));
        let (from, to) = (from.min(to), from.max(to));
        prop_assume!(from < to);
        let part = &token[from..to];
        for altered in [
            format!("{}{}", &token[..from], &token[to..]),
            format!("{}{part}{part}{}", &token[..from], &token[to..]),
            format!("{}{}{part}", &token[..from], &token[to..]),
        ] {
            prop_assert!(altered == token || code(&altered) != "ok", "{}", altered);
        }
    }

    #[test]
    fn a_token_under_anothers_signature_is_refused(a in 0..SIGNERS.len(), b in 0..SIGNERS.len()) {
        prop_assume!(a != b);
        let (a, b) = (good(SIGNERS[a]), good(SIGNERS[b]));
        let mixed = format!("{}.{}", a.rsplit_once('.').unwrap().0, b.rsplit_once('.').unwrap().1);
        prop_assert_ne!(code(&mixed), "ok");
    }

    #[test]
    fn times_are_judged_as_the_rfc_says(exp in -10_000_i64..10_000, nbf in -10_000_i64..10_000, at in -10_000_i64..10_000) {
        let claims = super::support::claims_with(&json!({"exp": NOW + exp, "nbf": NOW + nbf}));
        let token = SIGNERS[0].token(Some("HS256"), &claims);
        let valid = at < exp + 60 && at >= nbf - 60;
        // Twice: the second answer comes from the cache.
        for _ in 0..2 {
            let code = WORLD.with_borrow_mut(|world| world.code_at(&token, NOW + at));
            prop_assert_eq!(code == "ok", valid, "{}", code);
        }
    }

    #[test]
    fn documents_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..256), text in ".*") {
        let _ = KeySet::from_fetched_jwks(&bytes, &NativeVerifier);
        let _ = KeySet::from_inline_jwks(&text, &NativeVerifier);
        let _ = parse_issuers(&text, &|_| None);
        let _ = BearerToken::parse(&text);
    }

    #[test]
    fn keys_do_not_panic(
        kty in "RSA|EC|OKP|oct|x",
        crv in "P-256|Ed25519|x",
        members in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 5),
    ) {
        let [n, e, x, y, k] = [0, 1, 2, 3, 4].map(|index| b64(&members[index]));
        let jwk = json!({"kty": kty, "crv": crv, "n": n, "e": e, "x": x, "y": y, "k": k});
        let _ = KeySet::from_fetched_jwks(json!({"keys": [jwk]}).to_string().as_bytes(), &NativeVerifier);
    }
}
