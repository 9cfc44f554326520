//! Signatures verified by pure Rust, for tests and the native command. The Worker uses its platform's.

use jwt_compact::{
    Algorithm,
    alg::{Ed25519, Es256, Rsa, RsaPublicKey},
    jwk::{JsonWebKey, JwkError},
};

use super::algorithm::verify_bytes;
use crate::ports::{ImportKeyError, SignatureAlgorithm, SignatureVerifier};

/// jwt-compact's own implementations of every algorithm.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeVerifier;

/// A public key for [`NativeVerifier`].
#[derive(Clone, Debug)]
pub struct NativeKey(Inner);

#[derive(Clone, Debug)]
enum Inner {
    EdDsa(<Ed25519 as Algorithm>::VerifyingKey),
    Es256(<Es256 as Algorithm>::VerifyingKey),
    /// With the modulus, big-endian without leading zeros.
    Rsa(Rsa, RsaPublicKey, Vec<u8>),
}

impl SignatureVerifier for NativeVerifier {
    type Key = NativeKey;

    fn import(
        &self,
        algorithm: SignatureAlgorithm,
        key: &JsonWebKey<'_>,
    ) -> Result<NativeKey, ImportKeyError> {
        let rsa = |rsa: Rsa| {
            let modulus = match key {
                JsonWebKey::Rsa { modulus, .. } => {
                    modulus.iter().copied().skip_while(|&byte| byte == 0).collect()
                }
                _ => Vec::new(),
            };
            key.try_into().map(|key| Inner::Rsa(rsa, key, modulus))
        };
        let inner = match algorithm {
            SignatureAlgorithm::EdDsa => key.try_into().map(Inner::EdDsa),
            SignatureAlgorithm::Es256 => key.try_into().map(Inner::Es256),
            SignatureAlgorithm::Rs256 => rsa(Rsa::rs256()),
            SignatureAlgorithm::Rs384 => rsa(Rsa::rs384()),
            SignatureAlgorithm::Rs512 => rsa(Rsa::rs512()),
            SignatureAlgorithm::Ps256 => rsa(Rsa::ps256()),
            SignatureAlgorithm::Ps384 => rsa(Rsa::ps384()),
            SignatureAlgorithm::Ps512 => rsa(Rsa::ps512()),
        };
        inner.map(NativeKey).map_err(|error: JwkError| ImportKeyError(error.to_string()))
    }

    fn verify(&self, key: &NativeKey, message: &[u8], signature: &[u8]) -> bool {
        match &key.0 {
            Inner::EdDsa(key) => verify_bytes(&Ed25519, key, message, signature),
            Inner::Es256(key) => verify_bytes(&Es256, key, message, signature),
            // RFC 8017 §5.2.2 step 1: a signature is a number below the modulus. rsa 0.9 does not look at that
            // for PSS, so that one signature would have two spellings. Equal lengths compare as numbers do.
            Inner::Rsa(rsa, key, modulus) => {
                signature.len() == modulus.len()
                    && signature < modulus.as_slice()
                    && verify_bytes(rsa, key, message, signature)
            }
        }
    }
}
