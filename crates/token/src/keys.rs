//! The keys of an issuer, and which of them may have signed a given token.

use std::fmt;

use admit_snapshot::limits::JWKS_MAX_BYTES;
use jwt_compact::alg::{Hs256Key, Hs384Key, Hs512Key};

use super::{
    algorithm::{HmacAlgorithm, JoseAlgorithm},
    error::JwsError,
    jwk::{self, Jwk, KeyTrust, ReadRules},
    jwks,
    jws::UnverifiedToken,
    left_out::{LeftOutKeys, UnusableKey},
};
use crate::{
    limits::{JWKS_IMPORTS_MAX, JWKS_MAX_KEYS, KEYS_TRIED_MAX},
    ports::{SignatureAlgorithm, SignatureVerifier},
};

/// A key that is ready to verify signatures of one algorithm.
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
    /// Not a JSON object whose member `keys` is an array.
    #[error("the document is {0}")]
    Malformed(&'static str),
    /// No key of the set can verify a signature. Lists all keys of the document.
    #[error("no key of the set can be used{}", left_out_list(.0))]
    NoUsableKey(LeftOutKeys),
}

fn left_out_list(keys: &LeftOutKeys) -> String {
    if keys.is_empty() { String::new() } else { format!(": {keys}") }
}

/// The keys of one issuer, ready to verify signatures.
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
    /// Reads a JWKS that the operator wrote into the configuration. Symmetric keys are allowed. Unusable keys
    /// are [left out](Self::left_out).
    ///
    /// # Errors
    /// The document is not a JWKS, is too long, or has no usable key.
    ///
    /// ```
    /// use admit_token::{KeySet, NativeVerifier};
    ///
    /// let jwks = r#"{"keys": [
    ///     {"kid": "2030", "kty": "OKP", "crv": "Ed25519", "x": "RhVubcN5Iv5IlA1dyvUHlvUsfcjXbcUTgDKSIq0hn7s"},
    ///     {"kid": "old", "kty": "RSA", "n": "AQAB", "e": "AQAB"}
    /// ]}"#;
    /// let keys = KeySet::from_inline_jwks(jwks, &NativeVerifier)?;
    /// assert_eq!(keys.names().collect::<Vec<_>>(), ["2030"]);
    /// assert_eq!(keys.left_out().to_string(), r#"kid "old": n has 17 bits, expected 2048 to 4096"#);
    /// # Ok::<(), admit_token::KeySetError>(())
    /// ```
    pub fn from_inline_jwks(json: &str, platform: &V) -> Result<Self, KeySetError> {
        let rules = ReadRules { source: KeyTrust::Inline, rsa_algorithm: SignatureAlgorithm::Rs256 };
        Self::read(json.as_bytes(), rules, platform)
    }

    /// Reads a JWKS that was fetched from an issuer. Unusable keys are [left out](Self::left_out). Symmetric
    /// keys are among them: any reader of a public document could sign with them.
    ///
    /// # Errors
    /// The document is not a JWKS, is too long, or has no usable key.
    pub fn from_fetched_jwks(json: &[u8], platform: &V) -> Result<Self, KeySetError> {
        let rules = ReadRules { source: KeyTrust::Fetched, rsa_algorithm: SignatureAlgorithm::Rs256 };
        Self::read(json, rules, platform)
    }

    /// The names (`kid`) of the usable keys. A key without a name matches every `kid`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid.as_deref())
    }

    /// The only key of an issuer with a shared secret. It matches every `kid`.
    pub(super) fn from_secret(algorithm: HmacAlgorithm, secret: &[u8]) -> Result<Self, UnusableKey> {
        let key = Key { kid: None, material: jwk::hmac(algorithm, secret)? };
        Ok(Self { keys: vec![key], left_out: LeftOutKeys::default() })
    }

    /// Reads a document entry by entry.
    ///
    /// # Errors
    /// The document is not a JWKS, is too long, or has no usable key.
    pub(super) fn read(json: &[u8], rules: ReadRules, platform: &V) -> Result<Self, KeySetError> {
        let (mut keys, mut left_out) = (Vec::new(), LeftOutKeys::default());
        let mut imported: Vec<Jwk> = Vec::new();
        for entry in jwks::entries(json)? {
            // `Ok(None)` is a repeated key, which is neither kept nor left out.
            let key = Jwk::read(&entry, rules).and_then(|jwk| {
                // A key that is listed twice, for example plain and with a certificate, counts once.
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

    /// Whether all keys are for this algorithm.
    #[must_use]
    pub fn is_all(&self, algorithm: JoseAlgorithm) -> bool {
        self.keys.iter().all(|key| key.algorithm() == algorithm)
    }

    /// Number of usable keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Always `false`: a set without usable keys cannot be built.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys of the document that cannot be used, with the reasons.
    #[must_use]
    pub const fn left_out(&self) -> &LeftOutKeys {
        &self.left_out
    }

    /// Verifies a token's signature and returns the name of the key that made it.
    ///
    /// The keys named like the token's `kid` are tried first, then keys without a name. A token without `kid`
    /// is tried with all keys of its algorithm. If the key has no name, the result is the token's `kid`.
    pub(super) fn verify(
        &self,
        token: &UnverifiedToken<'_>,
        platform: &V,
    ) -> Result<Option<String>, JwsError> {
        let Some(algorithm) = token.algorithm() else { return Err(JwsError::UnsupportedAlgorithm) };
        let kid = token.key_id();
        // Without a `kid`, all keys count as named and the second list is empty.
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
        // Report the most specific failure: a key was tried, or one had another algorithm, or no key matched.
        Err(match (tried, is_other_algorithm) {
            (1.., _) => JwsError::BadSignature,
            (0, true) => JwsError::AlgorithmMismatch,
            (0, false) => JwsError::UnknownKey,
        })
    }

    /// The public key that [`verify`](Self::verify) tries first, if it is one of the platform's.
    pub(super) fn signature_key(&self, token: &UnverifiedToken<'_>) -> Option<&V::Key> {
        let kid = token.key_id();
        let mut named = self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let key = named.find(|key| Some(key.algorithm()) == token.algorithm())?;
        match &key.material {
            Material::Signature(_, key) => Some(key),
            _ => None,
        }
    }

    /// Describes the left-out key that may have signed a token which none of the usable keys verifies. Such a
    /// key has no name, or shares its name with a usable key, or the platform refuses it only now.
    pub(super) fn left_out_for(&self, token: &UnverifiedToken<'_>, platform: &V) -> Option<String> {
        let kid = token.key_id();
        let is_refused = |key: &&Key<V>| match &key.material {
            Material::Signature(algorithm, material) => {
                token.algorithm() == Some(JoseAlgorithm::Signature(*algorithm))
                    && (kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid)
                    && !platform.is_usable(material)
            }
            _ => false,
        };
        if self.keys.iter().any(|key| is_refused(&key)) {
            return Some("a key that the platform refuses".to_owned());
        }
        let is_taken = kid.is_some() && self.keys.iter().any(|key| key.kid.as_deref() == kid);
        self.left_out.may_have_signed(kid, token.algorithm(), is_taken)
    }
}
