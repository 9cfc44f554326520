//! What the verification of tokens needs from the platform it runs on: public-key signatures and random bytes.

use jwt_compact::jwk::JsonWebKey;

/// The signature algorithms that the platform verifies. HS* is not here: it is faster in our own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA with P-256 and SHA-256; signatures are 64 bytes, `r || s` (RFC 7518 §3.4).
    Es256,
    /// ECDSA with P-384 and SHA-384; signatures are 96 bytes, `r || s`.
    Es384,
    /// ECDSA with P-521 and SHA-512; signatures are 132 bytes, `r || s`.
    Es512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256; the salt is as long as the hash (RFC 7518 §3.5).
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

/// Verifies public-key signatures. Synchronous, so that a check needs no promise even when it verifies one.
pub trait SignatureVerifier {
    /// A public key, ready to verify with one algorithm.
    type Key;

    /// Makes a key ready.
    ///
    /// # Errors
    /// When the key is not one for `algorithm`, or the platform refuses it.
    fn import(
        &self,
        algorithm: SignatureAlgorithm,
        key: &JsonWebKey<'_>,
    ) -> Result<Self::Key, ImportKeyError>;

    /// Whether `signature` is the key's signature of `message`. Anything wrong is `false`.
    fn verify(&self, key: &Self::Key, message: &[u8], signature: &[u8]) -> bool;
}

/// A public key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unusable key: {0}")]
pub struct ImportKeyError(pub String);

/// Random bytes for what must not be guessed. Only inside a request: Workers has none at start-up.
pub trait Entropy {
    /// 16 random bytes.
    fn random(&self) -> [u8; 16];
}
