//! The algorithms, by their JOSE names, and the platform's signatures as algorithms of jwt-compact.

use std::{borrow::Cow, convert::Infallible, marker::PhantomData, num::NonZeroUsize};

use jwt_compact::{Algorithm, AlgorithmSignature};

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
    pub const ALL: [Self; 11] = [
        Self::Hmac(HmacAlgorithm::Hs256),
        Self::Hmac(HmacAlgorithm::Hs384),
        Self::Hmac(HmacAlgorithm::Hs512),
        Self::Signature(SignatureAlgorithm::EdDsa),
        Self::Signature(SignatureAlgorithm::Es256),
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
            Self::Signature(SignatureAlgorithm::Rs256) => "RS256",
            Self::Signature(SignatureAlgorithm::Rs384) => "RS384",
            Self::Signature(SignatureAlgorithm::Rs512) => "RS512",
            Self::Signature(SignatureAlgorithm::Ps256) => "PS256",
            Self::Signature(SignatureAlgorithm::Ps384) => "PS384",
            Self::Signature(SignatureAlgorithm::Ps512) => "PS512",
        }
    }

    /// The algorithm with exactly this name. `none`, in any case, is not one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Signature bytes as jwt-compact hands them to an [`Algorithm`]; `LENGTH` 0 stands for any length.
pub(super) struct SignatureBytes<const LENGTH: usize>(Vec<u8>);

/// RSA signatures are as long as the modulus; the verifier compares.
pub(super) type AnyLength = SignatureBytes<0>;

impl<const LENGTH: usize> AlgorithmSignature for SignatureBytes<LENGTH> {
    const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new(LENGTH);

    fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(bytes.to_vec()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

/// A platform's algorithm, so that jwt-compact stays the validator. It cannot sign.
pub(super) struct PlatformAlgorithm<'v, V, S> {
    pub algorithm: SignatureAlgorithm,
    pub verifier: &'v V,
    pub signature: PhantomData<S>,
}

impl<V: SignatureVerifier, S: AlgorithmSignature> Algorithm for PlatformAlgorithm<'_, V, S> {
    type SigningKey = Infallible;
    type VerifyingKey = V::Key;
    type Signature = S;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(JoseAlgorithm::Signature(self.algorithm).name())
    }

    fn sign(&self, signing_key: &Infallible, _message: &[u8]) -> S {
        match *signing_key {}
    }

    fn verify_signature(&self, signature: &S, verifying_key: &V::Key, message: &[u8]) -> bool {
        self.verifier.verify(verifying_key, message, &signature.as_bytes())
    }
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
        for name in ["none", "None", "nOnE", "NONE", "", "ES512", "ES256K", "HS256 ", "RS1", "\0"] {
            assert_eq!(JoseAlgorithm::from_name(name), None, "{name:?}");
        }
    }
}
