//! Signing keys, configured verifiers, and a constant clock.

use std::{cell::Cell, rc::Rc};

use admit_token::{
    NativeVerifier, TokenVerifier, VerifiedToken, VerifyError, parse_issuers,
    ports::{Entropy, ImportKeyError, SignatureAlgorithm, SignatureVerifier},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, Es256, Hs256, Hs256Key, SigningKey},
    jwk::JsonWebKey,
};
use serde_json::{Value, json};

pub const NOW: i64 = 1_700_000_000;
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub const ISSUER: &str = "https://vendor.example";

pub struct FixedEntropy;

impl Entropy for FixedEntropy {
    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

/// Counts verified signatures, so that tests see how many the caches save.
#[derive(Default)]
pub struct CountingVerifier {
    pub verified: Cell<u32>,
    /// Whether it refuses every key, at its first signature.
    pub refuses: Cell<bool>,
}

impl SignatureVerifier for CountingVerifier {
    type Key = <NativeVerifier as SignatureVerifier>::Key;

    fn import(
        &self,
        algorithm: SignatureAlgorithm,
        key: &JsonWebKey<'_>,
    ) -> Result<Self::Key, ImportKeyError> {
        NativeVerifier.import(algorithm, key)
    }

    fn verify(&self, key: &Self::Key, message: &[u8], signature: &[u8]) -> bool {
        self.verified.set(self.verified.get() + 1);
        !self.refuses.get() && NativeVerifier.verify(key, message, signature)
    }

    fn is_usable(&self, _: &Self::Key) -> bool {
        !self.refuses.get()
    }
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

pub fn unb64(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

/// A key derived from one byte, so that tests read `EdDsa(1)` and `EdDsa(2)`.
#[derive(Clone, Copy, Debug)]
pub enum Signer {
    Hs256(&'static str),
    EdDsa(u8),
    Es256(u8),
}

pub const VENDOR: Signer = Signer::Hs256(SECRET);

impl Signer {
    pub fn alg(self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::EdDsa(_) => "EdDSA",
            Self::Es256(_) => "ES256",
        }
    }

    /// Signs any header and payload text, valid or not.
    pub fn sign(self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        let signature = match self {
            Self::Hs256(secret) => {
                Hs256.sign(&Hs256Key::new(secret), input.as_bytes()).as_bytes().into_owned()
            }
            Self::EdDsa(seed) => Ed25519.sign(&ed25519(seed), input.as_bytes()).as_bytes().into_owned(),
            Self::Es256(seed) => Es256.sign(&es256(seed), input.as_bytes()).as_bytes().into_owned(),
        };
        format!("{input}.{}", b64(signature))
    }

    /// A token with these claims; the `kid` is optional.
    pub fn token(self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = json!({"alg": self.alg()});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        self.sign(header.to_string(), claims.to_string())
    }

    /// The public JWK; the `kid` is optional.
    pub fn jwk(self, kid: Option<&str>) -> Value {
        let mut jwk = match self {
            Self::Hs256(secret) => json!({"kty": "oct", "k": b64(secret)}),
            Self::EdDsa(seed) => {
                serde_json::to_value(JsonWebKey::from(&ed25519(seed)).to_verifying_key()).unwrap()
            }
            Self::Es256(seed) => {
                serde_json::to_value(JsonWebKey::from(&es256(seed)).to_verifying_key()).unwrap()
            }
        };
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        jwk
    }
}

fn ed25519(seed: u8) -> <Ed25519 as Algorithm>::SigningKey {
    SigningKey::<Ed25519>::from_slice(&[seed; 32]).unwrap()
}

fn es256(seed: u8) -> <Es256 as Algorithm>::SigningKey {
    SigningKey::<Es256>::from_slice(&[seed; 32]).unwrap()
}

/// The claims of a valid token.
pub fn good_claims() -> Value {
    json!({"iss": ISSUER, "aud": "admit", "sub": "customer-1", "exp": NOW + 3600})
}

/// The valid claims with some replaced; `null` removes one.
pub fn claims_with(changes: &Value) -> Value {
    let mut claims = good_claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// An issuer's configuration, with some members replaced.
pub fn issuer_with(changes: &Value) -> Value {
    let mut issuer = json!({
        "issuer": ISSUER, "namespace": "vendor", "audience": {"any_of": ["admit", "admit-dev"]},
        "keys": {"secret": "VENDOR_SECRET", "alg": "HS256"},
    });
    for (name, value) in changes.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    issuer
}

/// A verifier and its environment.
pub struct World {
    pub verifier: TokenVerifier<CountingVerifier>,
    pub platform: CountingVerifier,
}

impl World {
    pub fn new(issuers: &[Value]) -> Self {
        let secret = |name: &str| (name == "VENDOR_SECRET").then(|| SECRET.to_owned());
        let issuers = parse_issuers(&json!(issuers).to_string(), &secret).unwrap();
        let platform = CountingVerifier::default();
        let verifier = TokenVerifier::new(issuers, &platform).unwrap();
        Self { verifier, platform }
    }

    /// The vendor with its shared secret.
    pub fn vendor() -> Self {
        Self::new(&[issuer_with(&json!({}))])
    }

    /// An issuer with these keys in its configuration.
    pub fn with_jwks(keys: &[Value]) -> Self {
        Self::new(&[issuer_with(&json!({"keys": {"jwks": {"keys": keys}}}))])
    }

    pub fn verify(&mut self, token: &str, now: i64) -> Result<Rc<VerifiedToken>, VerifyError> {
        self.verifier.verify(token, now, &self.platform, &FixedEntropy)
    }

    /// The short name of the result.
    pub fn code(&mut self, token: &str) -> &'static str {
        self.code_at(token, NOW)
    }

    pub fn code_at(&mut self, token: &str, now: i64) -> &'static str {
        code(&self.verify(token, now))
    }

    pub fn signatures(&self) -> u32 {
        self.platform.verified.get()
    }
}

pub fn code(result: &Result<Rc<VerifiedToken>, VerifyError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(VerifyError::Rejected(rejection)) => rejection.error.code(),
        Err(VerifyError::Undecided(undecided)) => undecided.cause.code(),
        Err(VerifyError::NeedKeys(_)) => "need_keys",
        Err(VerifyError::KeysUnavailable { .. }) => "keys_unavailable",
    }
}

/// The detail of the result for a log line.
pub fn detail(result: &Result<Rc<VerifiedToken>, VerifyError>) -> String {
    result.as_ref().err().map(ToString::to_string).unwrap_or_default()
}
