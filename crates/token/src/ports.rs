//! What the verification of tokens needs from its platform: public-key signatures and random bytes.

#![expect(
    async_fn_in_trait,
    reason = "an isolate has one thread: the futures are not Send, and no caller wants them to be"
)]

use jwt_compact::jwk::JsonWebKey;

/// The signature algorithms that the platform verifies. HS* is not among them, because this crate computes it faster.
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

/// Verifies public-key signatures. Synchronous, so that even a check with a new token needs no promise.
pub trait SignatureVerifier {
    /// A public key that is ready to verify signatures of one algorithm.
    type Key;

    /// Imports a key.
    ///
    /// # Errors
    /// The key is not for `algorithm`, or the platform refuses it.
    fn import(
        &self,
        algorithm: SignatureAlgorithm,
        key: &JsonWebKey<'_>,
    ) -> Result<Self::Key, ImportKeyError>;

    /// Whether the key made `signature` of `message`. `false` also for a malformed signature.
    fn verify(&self, key: &Self::Key, message: &[u8], signature: &[u8]) -> bool;

    /// Whether the platform takes the key. `false` may come no earlier than with the first signature that the key is to
    /// [`verify`](Self::verify): tokens of such a key are undecided, as those of keys that [`import`](Self::import) refuses.
    fn is_usable(&self, _key: &Self::Key) -> bool {
        true
    }

    /// Says that [`verify`](Self::verify) is asked the same next, by a caller that can wait. A platform for which that is
    /// cheaper finds the answer out now; the answer is the same without.
    async fn verify_ahead(&self, _key: &Self::Key, _message: &[u8], _signature: &[u8]) {}
}

/// Why a public key cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unusable key: {0}")]
pub struct ImportKeyError(pub String);

/// Random bytes for secrets. Call it only inside a request: Workers has no random numbers at start-up.
pub trait Entropy {
    /// Draws 16 random bytes.
    fn random(&self) -> [u8; 16];
}
