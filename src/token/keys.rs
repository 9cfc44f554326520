//! The keys of an issuer, and which of them is a token's.

use std::fmt;

use jwt_compact::alg::{Hs256Key, Hs384Key, Hs512Key};
use serde_json::Value;

use super::{
    algorithm::{HmacAlgorithm, JoseAlgorithm},
    error::JwsError,
    jwk::{self, UnusableKey},
};
use crate::{
    limits::{JWKS_MAX_BYTES, JWKS_MAX_KEYS},
    ports::{SignatureAlgorithm, SignatureVerifier},
};

/// A key, ready to verify with one algorithm.
pub(super) struct Key<V: SignatureVerifier> {
    pub kid: Option<String>,
    pub material: Material<V>,
}

pub(super) enum Material<V: SignatureVerifier> {
    Hs256(Hs256Key),
    Hs384(Hs384Key),
    Hs512(Hs512Key),
    Signature(SignatureAlgorithm, V::Key),
}

impl<V: SignatureVerifier> Key<V> {
    pub const fn algorithm(&self) -> JoseAlgorithm {
        match self.material {
            Material::Hs256(_) => JoseAlgorithm::Hmac(HmacAlgorithm::Hs256),
            Material::Hs384(_) => JoseAlgorithm::Hmac(HmacAlgorithm::Hs384),
            Material::Hs512(_) => JoseAlgorithm::Hmac(HmacAlgorithm::Hs512),
            Material::Signature(algorithm, _) => JoseAlgorithm::Signature(algorithm),
        }
    }
}

/// Who wrote a JWKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// The operator: symmetric keys are allowed, weak and malformed ones are errors.
    Inline,
    /// The issuer, in public: what cannot be used is left out.
    Fetched,
}

/// Why a JWKS cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`JWKS_MAX_BYTES`].
    #[error("the document is longer than {JWKS_MAX_BYTES} bytes")]
    TooLong,
    /// More keys than [`JWKS_MAX_KEYS`].
    #[error("the document has more than {JWKS_MAX_KEYS} keys")]
    TooManyKeys,
    /// No JSON object whose `keys` is an array of objects.
    #[error("the document is no JWK set")]
    Malformed,
    /// No key of the set can verify a signature.
    #[error("no key of the set can be used")]
    NoUsableKey,
    /// A key of an inline set is wrong.
    #[error("key {index}: {problem}")]
    UnusableKey {
        /// Its place in the array, from 0.
        index: usize,
        /// What is wrong with it.
        problem: UnusableKey,
    },
}

/// The keys of one issuer, ready to verify.
pub struct KeySet<V: SignatureVerifier> {
    keys: Vec<Key<V>>,
    skipped: usize,
}

impl<V: SignatureVerifier> fmt::Debug for KeySet<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.keys.iter().map(|key| (key.algorithm().name(), &key.kid));
        f.debug_list().entries(names).finish()
    }
}

impl<V: SignatureVerifier> KeySet<V> {
    /// The keys of a JWKS that the operator wrote into the configuration. Symmetric keys are allowed.
    ///
    /// # Errors
    /// No JWKS, too large, a weak or malformed key, or no usable one.
    pub fn from_inline_jwks(json: &str, platform: &V) -> Result<Self, KeySetError> {
        Self::parse(json.as_bytes(), KeySource::Inline, platform)
    }

    /// Whether every key is one for this algorithm.
    #[must_use]
    pub fn is_all(&self, algorithm: JoseAlgorithm) -> bool {
        self.keys.iter().all(|key| key.algorithm() == algorithm)
    }

    /// The keys of a JWKS that was fetched from an issuer. Keys that cannot be used are left out, symmetric
    /// ones among them: whoever can read the document could sign with them.
    ///
    /// # Errors
    /// No JWKS, too large, or no usable key.
    pub fn from_fetched_jwks(json: &[u8], platform: &V) -> Result<Self, KeySetError> {
        Self::parse(json, KeySource::Fetched, platform)
    }

    /// The one key of an issuer with a shared secret. It takes any `kid`.
    pub(super) fn from_secret(algorithm: HmacAlgorithm, secret: &[u8]) -> Result<Self, UnusableKey> {
        let key = Key { kid: None, material: jwk::hmac(algorithm, secret)? };
        Ok(Self { keys: vec![key], skipped: 0 })
    }

    fn parse(json: &[u8], source: KeySource, platform: &V) -> Result<Self, KeySetError> {
        if json.len() > JWKS_MAX_BYTES {
            return Err(KeySetError::TooLong);
        }
        let document: Value = serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        let jwks = document.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
        if jwks.len() > JWKS_MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut set = Self { keys: Vec::with_capacity(jwks.len()), skipped: 0 };
        for (index, jwk) in jwks.iter().enumerate() {
            let jwk = jwk.as_object().ok_or(KeySetError::Malformed)?;
            match jwk::import(jwk, source, platform) {
                Ok(key) => set.keys.push(key),
                Err(problem) if source == KeySource::Fetched || problem == UnusableKey::NotSupported => {
                    set.skipped += 1;
                }
                Err(problem) => return Err(KeySetError::UnusableKey { index, problem }),
            }
        }
        if set.keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(set) }
    }

    /// How many keys can verify.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set without a usable key is not made.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys of the document cannot be used.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The key for a token. With a `kid`, the key of that name; sets that name no key at all take any `kid`.
    /// Without one, the only key for the algorithm. Never a guess between two.
    pub(super) fn select(&self, algorithm: JoseAlgorithm, kid: Option<&str>) -> Result<&Key<V>, JwsError> {
        let nameless = self.keys.iter().all(|key| key.kid.is_none());
        let named = self.keys.iter().filter(|key| kid.is_none() || nameless || key.kid.as_deref() == kid);
        let mut other_algorithm = false;
        let mut fitting = named.filter(|key| {
            let fits = key.algorithm() == algorithm;
            other_algorithm |= !fits;
            fits
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(JwsError::AmbiguousKey),
            (None, _) if other_algorithm => Err(JwsError::AlgorithmMismatch),
            (None, _) => Err(JwsError::UnknownKey),
        }
    }
}
