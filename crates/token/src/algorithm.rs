//! The algorithms by their JOSE names, and how a key verifies a signature with its own algorithm.

use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs384, Hs512},
};

use super::keys::Material;
use crate::ports::{SignatureAlgorithm, SignatureVerifier};

/// HMAC with SHA-2. Issuer and service share the secret.
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
    /// Length of the shortest secret allowed, in bytes: as long as the hash (RFC 7518 §3.2).
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
    /// A MAC, computed by this module.
    Hmac(HmacAlgorithm),
    /// A public-key signature, verified by the platform.
    Signature(SignatureAlgorithm),
}

impl JoseAlgorithm {
    /// All algorithms, in the order in which they are documented.
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

    /// The name as the `alg` header spells it (RFC 7518 §3.1, RFC 8037 §3.1).
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

    /// Length of a signature in bytes. `None` for RSA: its signatures are as long as the key's modulus, which
    /// the verifier compares.
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

    /// The algorithm with exactly this name. `none`, in any case, is unknown here. RFC 9864 calls EdDSA with
    /// Ed25519 "Ed25519".
    ///
    /// ```
    /// use admit_token::{HmacAlgorithm, JoseAlgorithm};
    ///
    /// assert_eq!(JoseAlgorithm::from_name("HS256"), Some(JoseAlgorithm::Hmac(HmacAlgorithm::Hs256)));
    /// assert_eq!(JoseAlgorithm::from_name("hs256"), None);
    /// assert_eq!(JoseAlgorithm::from_name("none"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl SignatureAlgorithm {
    /// Whether keys for this algorithm are RSA keys.
    pub(super) const fn is_rsa(self) -> bool {
        !matches!(self, Self::EdDsa | Self::Es256 | Self::Es384 | Self::Es512)
    }
}

impl<V: SignatureVerifier> Material<V> {
    /// Whether this key made `signature` of `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8], platform: &V) -> bool {
        match self {
            Self::Hs256(key) => verify_bytes(&Hs256, key, message, signature),
            Self::Hs384(key) => verify_bytes(&Hs384, key, message, signature),
            Self::Hs512(key) => verify_bytes(&Hs512, key, message, signature),
            Self::Signature(_, key) => platform.verify(key, message, signature),
        }
    }
}

/// Verifies a signature of any length with jwt-compact; a wrong length is a wrong signature.
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
