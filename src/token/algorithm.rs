//! The algorithms, by their JOSE names, and as one algorithm of jwt-compact.

use std::{borrow::Cow, convert::Infallible};

use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs384, Hs512},
};

use super::keys::Material;
use crate::ports::{SignatureAlgorithm, SignatureVerifier};

/// HMAC with SHA-2: a secret that both sides hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HmacAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl HmacAlgorithm {
    /// The shortest secret: as long as the hash (RFC 7518 §3.2).
    #[must_use]
    pub const fn secret_min_bytes(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
        }
    }
}

/// A signature algorithm that tokens may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoseAlgorithm {
    /// Computed here.
    Hmac(HmacAlgorithm),
    /// Verified by the platform.
    Signature(SignatureAlgorithm),
}

impl JoseAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 13] = [
        Self::Hmac(HmacAlgorithm::Hs256),
        Self::Hmac(HmacAlgorithm::Hs384),
        Self::Hmac(HmacAlgorithm::Hs512),
        Self::Signature(SignatureAlgorithm::EdDsa),
        Self::Signature(SignatureAlgorithm::Es256),
        Self::Signature(SignatureAlgorithm::Es384),
        Self::Signature(SignatureAlgorithm::Es512),
        Self::Signature(SignatureAlgorithm::Rs256),
        Self::Signature(SignatureAlgorithm::Rs384),
        Self::Signature(SignatureAlgorithm::Rs512),
        Self::Signature(SignatureAlgorithm::Ps256),
        Self::Signature(SignatureAlgorithm::Ps384),
        Self::Signature(SignatureAlgorithm::Ps512),
    ];

    /// The name in the `alg` header (RFC 7518 §3.1, RFC 8037 §3.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac(HmacAlgorithm::Hs256) => "HS256",
            Self::Hmac(HmacAlgorithm::Hs384) => "HS384",
            Self::Hmac(HmacAlgorithm::Hs512) => "HS512",
            Self::Signature(SignatureAlgorithm::EdDsa) => "EdDSA",
            Self::Signature(SignatureAlgorithm::Es256) => "ES256",
            Self::Signature(SignatureAlgorithm::Es384) => "ES384",
            Self::Signature(SignatureAlgorithm::Es512) => "ES512",
            Self::Signature(SignatureAlgorithm::Rs256) => "RS256",
            Self::Signature(SignatureAlgorithm::Rs384) => "RS384",
            Self::Signature(SignatureAlgorithm::Rs512) => "RS512",
            Self::Signature(SignatureAlgorithm::Ps256) => "PS256",
            Self::Signature(SignatureAlgorithm::Ps384) => "PS384",
            Self::Signature(SignatureAlgorithm::Ps512) => "PS512",
        }
    }

    /// How many bytes a signature has; `None` if that depends on the key. RSA signatures are as long as the
    /// modulus; the verifier compares.
    pub(super) const fn signature_bytes(self) -> Option<usize> {
        match self {
            Self::Hmac(algorithm) => Some(algorithm.secret_min_bytes()),
            // RFC 7518 §3.4 and RFC 8032 §5.1.6.
            Self::Signature(SignatureAlgorithm::EdDsa | SignatureAlgorithm::Es256) => Some(64),
            Self::Signature(SignatureAlgorithm::Es384) => Some(96),
            Self::Signature(SignatureAlgorithm::Es512) => Some(132),
            Self::Signature(_) => None,
        }
    }

    /// The algorithm with exactly this name. `none`, in any case, is not one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Signature bytes as jwt-compact hands them to an [`Algorithm`]. How long they have to be is looked at before.
pub(super) struct SignatureBytes(Vec<u8>);

impl AlgorithmSignature for SignatureBytes {
    fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(bytes.to_vec()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

/// The algorithm of a key, so that jwt-compact stays the validator. One type for all of them: the validator and
/// the parser of claims in it are then compiled once, not for each algorithm. It cannot sign.
pub(super) struct KeyAlgorithm<'v, V> {
    pub algorithm: JoseAlgorithm,
    pub verifier: &'v V,
}

impl<V: SignatureVerifier> Algorithm for KeyAlgorithm<'_, V> {
    type SigningKey = Infallible;
    type VerifyingKey = Material<V>;
    type Signature = SignatureBytes;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.algorithm.name())
    }

    fn sign(&self, signing_key: &Infallible, _message: &[u8]) -> SignatureBytes {
        match *signing_key {}
    }

    fn verify_signature(&self, signature: &SignatureBytes, key: &Material<V>, message: &[u8]) -> bool {
        match key {
            Material::Hs256(key) => verify_bytes(&Hs256, key, message, &signature.0),
            Material::Hs384(key) => verify_bytes(&Hs384, key, message, &signature.0),
            Material::Hs512(key) => verify_bytes(&Hs512, key, message, &signature.0),
            Material::Signature(_, key) => self.verifier.verify(key, message, &signature.0),
        }
    }
}

/// Verifies a signature that may have any length.
pub(super) fn verify_bytes<A: Algorithm>(
    algorithm: &A,
    key: &A::VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    if A::Signature::LENGTH.is_some_and(|length| length.get() != signature.len()) {
        return false;
    }
    A::Signature::try_from_slice(signature)
        .is_ok_and(|signature| algorithm.verify_signature(&signature, key, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for algorithm in JoseAlgorithm::ALL {
            assert_eq!(JoseAlgorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(JoseAlgorithm::from_name(&algorithm.name().to_lowercase()), None);
        }
        for name in ["none", "None", "nOnE", "NONE", "", "ES521", "ES256K", "HS256 ", "RS1", "\0"] {
            assert_eq!(JoseAlgorithm::from_name(name), None, "{name:?}");
        }
    }
}
