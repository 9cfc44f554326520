//! The keys of an issuer, and which of them may have signed a token.

use std::fmt;

use admit_snapshot::limits::JWKS_MAX_BYTES;
use jwt_compact::alg::{Hs256Key, Hs384Key, Hs512Key};

use super::{
    algorithm::{HmacAlgorithm, JoseAlgorithm},
    error::JwsError,
    jwk::{self, Jwk, KeySource, ReadRules},
    jwks,
    jws::UnverifiedToken,
    left_out::{LeftOutKeys, UnusableKey},
};
use crate::{
    limits::{JWKS_IMPORTS_MAX, JWKS_MAX_KEYS, KEYS_TRIED_MAX},
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

/// Why a JWKS cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`JWKS_MAX_BYTES`].
    #[error("the document has {bytes} bytes: at most {JWKS_MAX_BYTES} are read")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Not a JSON object whose `keys` is an array.
    #[error("the document is {0}")]
    Malformed(&'static str),
    /// No key of the set can verify a signature. It has these.
    #[error("no key of the set can be used{}", left_out_list(.0))]
    NoUsableKey(LeftOutKeys),
}

fn left_out_list(keys: &LeftOutKeys) -> String {
    if keys.is_empty() { String::new() } else { format!(": {keys}") }
}

/// The keys of one issuer, ready to verify.
pub struct KeySet<V: SignatureVerifier> {
    keys: Vec<Key<V>>,
    left_out: LeftOutKeys,
}

impl<V: SignatureVerifier> fmt::Debug for KeySet<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.keys.iter().map(|key| (key.algorithm().name(), &key.kid));
        f.debug_list().entries(names).finish()
    }
}

impl<V: SignatureVerifier> KeySet<V> {
    /// The keys of a JWKS that the operator wrote into the configuration. Symmetric keys are allowed. What cannot be
    /// used is [left out](Self::left_out).
    ///
    /// # Errors
    /// No JWKS, too large, or no usable key.
    pub fn from_inline_jwks(json: &str, platform: &V) -> Result<Self, KeySetError> {
        let rules = ReadRules { source: KeySource::Inline, rsa_algorithm: SignatureAlgorithm::Rs256 };
        Self::read(json.as_bytes(), rules, platform)
    }

    /// The keys of a JWKS that was fetched from an issuer. What cannot be used is [left out](Self::left_out),
    /// symmetric keys among it: everyone who can read the document could sign with them.
    ///
    /// # Errors
    /// No JWKS, too large, or no usable key.
    pub fn from_fetched_jwks(json: &[u8], platform: &V) -> Result<Self, KeySetError> {
        let rules = ReadRules { source: KeySource::Fetched, rsa_algorithm: SignatureAlgorithm::Rs256 };
        Self::read(json, rules, platform)
    }

    /// The names of its keys. A key without one goes by whatever name a token gives it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid.as_deref())
    }

    /// The one key of an issuer with a shared secret. It takes any `kid`.
    pub(super) fn from_secret(algorithm: HmacAlgorithm, secret: &[u8]) -> Result<Self, UnusableKey> {
        let key = Key { kid: None, material: jwk::hmac(algorithm, secret)? };
        Ok(Self { keys: vec![key], left_out: LeftOutKeys::default() })
    }

    /// Reads a document, each entry by itself.
    ///
    /// # Errors
    /// No JWKS, too large, or no usable key.
    pub(super) fn read(json: &[u8], rules: ReadRules, platform: &V) -> Result<Self, KeySetError> {
        let (mut keys, mut left_out) = (Vec::new(), LeftOutKeys::default());
        let mut imported: Vec<Jwk> = Vec::new();
        for entry in jwks::entries(json)? {
            let key = Jwk::read(&entry, rules).and_then(|jwk| {
                // The same key twice, plain and with a certificate for example, is one key.
                if imported.contains(&jwk) {
                    return Ok(None);
                }
                if keys.len() >= JWKS_MAX_KEYS || imported.len() >= JWKS_IMPORTS_MAX {
                    return Err(UnusableKey::TooMany);
                }
                let key = jwk.import(platform);
                imported.push(jwk);
                key.map(Some)
            });
            match key {
                Ok(key) => keys.extend(key),
                Err(problem) => left_out.push(&entry, jwk::kid(&entry).unwrap_or_default(), problem),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoUsableKey(left_out)) } else { Ok(Self { keys, left_out }) }
    }

    /// Whether every key is one for this algorithm.
    #[must_use]
    pub fn is_all(&self, algorithm: JoseAlgorithm) -> bool {
        self.keys.iter().all(|key| key.algorithm() == algorithm)
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

    /// The keys of the document that cannot be used, and why.
    #[must_use]
    pub const fn left_out(&self) -> &LeftOutKeys {
        &self.left_out
    }

    /// Verifies the signature of a token with each key that may have made it: those of its `kid` first, then those
    /// without a name. A token without a `kid` is tried with all keys of its algorithm. The name of the key that made
    /// it; of a key without one, the name that the token gives it.
    pub(super) fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        platform: &V,
    ) -> Result<Option<String>, JwsError> {
        let Some(algorithm) = token.algorithm() else { return Err(JwsError::UnsupportedAlgorithm) };
        let kid = token.key_id();
        let is_named = |key: &&Key<V>| kid.is_none() || key.kid.as_deref() == kid;
        let named = self.keys.iter().filter(is_named);
        let nameless = self.keys.iter().filter(|key| kid.is_some() && key.kid.is_none());
        let (mut tried, mut is_other_algorithm) = (0, false);
        for key in named.chain(nameless) {
            if key.algorithm() != algorithm {
                is_other_algorithm = true;
                continue;
            }
            if tried >= KEYS_TRIED_MAX {
                return Err(JwsError::AmbiguousKey);
            }
            tried += 1;
            if token.is_signed_by(key, platform) {
                return Ok(key.kid.as_deref().or(kid).map(str::to_owned));
            }
        }
        Err(match (tried, is_other_algorithm) {
            (1.., _) => JwsError::BadSignature,
            (0, true) => JwsError::AlgorithmMismatch,
            (0, false) => JwsError::UnknownKey,
        })
    }

    /// The key that was left out and may have signed a token that none of the others verifies: its name and why it was
    /// left out. It may have no name, or one that another key has, so that others were tried in its place.
    pub(super) fn left_out_for(&self, token: &UnverifiedToken<'_>) -> Option<String> {
        let kid = token.key_id();
        let is_taken = kid.is_some() && self.keys.iter().any(|key| key.kid.as_deref() == kid);
        self.left_out.may_have_signed(kid, token.algorithm(), is_taken)
    }
}
