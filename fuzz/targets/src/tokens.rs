//! Bearer tokens, JWKS documents and heads.
//!
//! To get behind the signature check, the fuzzer writes header and claims, and the target signs them with
//! HMAC, which takes a microsecond. A token whose bytes all come from the fuzzer must never be accepted.

use std::cell::OnceCell;

use admit::{
    limits::JWKS_MAX_KEYS,
    snapshot::head::{HEAD_TYPE, Head},
    token::{
        HmacAlgorithm, IssuerConfig, JoseAlgorithm, KeySet, NativeVerifier, TokenVerifier, VerifiedToken,
        VerifyError, parse_issuers, verify_jws,
    },
};
use admit_testing::memory::FixedEntropy;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use jwt_compact::{
    Algorithm as _, AlgorithmSignature as _,
    alg::{Hs256, Hs256Key},
};

const NOW: i64 = 1_800_000_000;

const SECRET: &str = "a secret of thirty-two bytes or more";

/// One issuer for each way to have keys. The keys of the second one are never available.
const ISSUERS: &str = r#"[
    {"issuer": "https://v.example", "namespace": "v", "audience": {"any_of": ["tv"]}, "merchants": [7], "leeway_secs": 60,
     "accept_missing_iss": true, "keys": {"secret": "SECRET", "alg": "HS256"}},
    {"issuer": "https://f.example", "namespace": "f", "audience": "none_required",
     "keys": {"jwks_url": "https://f.example/jwks"}}
]"#;

fn verify(
    authorization: &str,
    verifier: &mut TokenVerifier<NativeVerifier>,
) -> Result<VerifiedToken, VerifyError> {
    let verified = verifier.verify(authorization, NOW, &NativeVerifier, &FixedEntropy::default());
    verified.map(|token| (*token).clone())
}

thread_local! {
    static PARSED: OnceCell<Vec<IssuerConfig>> = const { OnceCell::new() };
}

/// A verifier that has seen no token yet.
fn verifier() -> TokenVerifier<NativeVerifier> {
    let secret = |name: &str| (name == "SECRET").then(|| SECRET.to_owned());
    let parse = || match parse_issuers(ISSUERS, &secret) {
        Ok(issuers) => issuers,
        Err(error) => unreachable!("the issuers of this target must be valid: {error}"),
    };
    let issuers = PARSED.with(|issuers| issuers.get_or_init(parse).clone());
    let verifier = TokenVerifier::new(issuers, &NativeVerifier);
    verifier.unwrap_or_else(|error| unreachable!("the keys of this target must be valid: {error}"))
}

/// A compact JWS over header and payload.
fn signed(header: &[u8], payload: &[u8]) -> String {
    let encode = Base64UrlUnpadded::encode_string;
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = Hs256.sign(&Hs256Key::new(SECRET), message.as_bytes());
    format!("{message}.{}", encode(&signature.as_bytes()))
}

/// The first byte says whether the rest is a header value, or the two parts of a token, one a line, to be
/// signed.
fn parts(data: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let (mode, rest) = data.split_first()?;
    let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (first, second) = rest.split_at(at);
    Some((mode % 2 == 0, first, second.get(1..).unwrap_or_default()))
}

/// The whole verification of an `Authorization` header.
pub fn bearer(data: &[u8]) -> bool {
    let Some((is_signed, header, claims)) = parts(data) else { return false };
    if !is_signed {
        let text = String::from_utf8_lossy(data.get(1..).unwrap_or_default());
        assert!(verify(&text, &mut verifier()).is_err(), "a token was accepted that nothing signed");
        return false;
    }
    let token = signed(header, claims);
    let authorization = format!("Bearer {token}");
    let mut verifier = verifier();
    let Ok(accepted) = verify(&authorization, &mut verifier) else { return false };
    // The answer must not depend on who has seen the token before: ask the same verifier, with its cache, and
    // a new one.
    for again in [verify(&authorization, &mut verifier), verify(&authorization, &mut self::verifier())] {
        let again = again.map(|token| (token.issuer, token.principal.customer_key, token.times));
        assert_eq!(again, Ok((accepted.issuer, accepted.principal.customer_key, accepted.times)));
    }
    assert!(accepted.times.expires_at.saturating_add(60) > NOW, "accepted after its end");
    assert!(
        accepted.times.not_before.is_none_or(|at| at.saturating_sub(60) <= NOW),
        "accepted before its start"
    );
    assert!(!accepted.principal.subject.is_empty(), "a customer without a name");
    // Changes the first character of the signature.
    let at = token.rfind('.').map_or(0, |dot| dot + 1);
    let (message, signature) = token.split_at(at);
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("Bearer {message}{first}{}", signature.get(1..).unwrap_or_default());
    assert!(verify(&forged, &mut verifier).is_err(), "a token with another signature was accepted");
    true
}

/// A JWKS, in the configuration and as an issuer serves it.
pub fn jwks(data: &[u8]) -> bool {
    let fetched = KeySet::from_fetched_jwks(data, &NativeVerifier);
    let inline = std::str::from_utf8(data).ok().map(|text| KeySet::from_inline_jwks(text, &NativeVerifier));
    if let Err(error) = &fetched {
        let _shown = error.to_string();
    }
    if let Ok(keys) = &fetched {
        assert!((1..=JWKS_MAX_KEYS).contains(&keys.len()), "{} keys", keys.len());
        let _shown = keys.left_out().to_string();
        for algorithm in [HmacAlgorithm::Hs256, HmacAlgorithm::Hs384, HmacAlgorithm::Hs512] {
            assert!(
                !keys.is_all(JoseAlgorithm::Hmac(algorithm)),
                "a secret was taken from a public document"
            );
        }
    }
    if let (Ok(fetched), Some(inline)) = (&fetched, inline) {
        let inline = inline.map_or(0, |keys| keys.len());
        assert!(inline >= fetched.len(), "{inline} keys inline, {} fetched", fetched.len());
    }
    fetched.is_ok()
}

thread_local! {
    static HEAD_KEYS: OnceCell<Option<KeySet<NativeVerifier>>> = const { OnceCell::new() };
}

/// `SECRET` as a JWKS. Real heads are signed with Ed25519, which takes a hundred times as long.
fn head_keys() -> Option<KeySet<NativeVerifier>> {
    let secret = Base64UrlUnpadded::encode_string(SECRET.as_bytes());
    let jwks = format!(r#"{{"keys": [{{"kty": "oct", "alg": "HS256", "k": "{secret}"}}]}}"#);
    KeySet::from_inline_jwks(&jwks, &NativeVerifier).ok()
}

/// A signed head.
pub fn heads(data: &[u8]) -> bool {
    let Some((is_signed, header, payload)) = parts(data) else { return false };
    let read = |jws: &str, typ: &str| {
        HEAD_KEYS.with(|keys| {
            let keys = keys.get_or_init(head_keys).as_ref();
            assert!(keys.is_some(), "the key of this target must be valid");
            keys.and_then(|keys| verify_jws::<Head, _>(jws, keys, typ, &NativeVerifier).ok())
        })
    };
    if !is_signed {
        let text = String::from_utf8_lossy(data.get(1..).unwrap_or_default());
        assert!(read(&text, HEAD_TYPE).is_none(), "a head was accepted that nothing signed");
        return false;
    }
    let jws = signed(header, payload);
    let Some(head) = read(&jws, HEAD_TYPE) else { return false };
    assert!(read(&jws, "JWT").is_none(), "a head passes for a token");
    let json = serde_json::to_value(&head).unwrap_or_default();
    assert_eq!(
        serde_json::from_value::<Head>(json).ok(),
        Some(head.clone()),
        "a head that is not read as written"
    );
    // A head may follow itself whenever it may come first, and never a later one.
    let may_come_first = head.may_follow(None, NOW, 300).is_ok();
    assert_eq!(head.may_follow(Some(&head), NOW, 300).is_ok(), may_come_first);
    if let Some(as_of) = head.as_of.checked_add(1) {
        let later = Head { as_of, ..head.clone() };
        assert!(
            head.may_follow(Some(&later), NOW, 300).is_err(),
            "an older head took the place of a newer one"
        );
    }
    true
}
