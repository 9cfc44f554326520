//! Signatures verified in pure Rust, for tests and the native command. The Worker uses its platform's
//! implementation.

use std::fmt;

use jwt_compact::{
    Algorithm,
    alg::{Ed25519, Es256, Rsa, RsaPublicKey},
    jwk::{JsonWebKey, JwkError},
};
use p384::ecdsa::signature::Verifier as _;

use super::algorithm::verify_bytes;
use crate::ports::{ImportKeyError, SignatureAlgorithm, SignatureVerifier};

/// Verifies signatures with jwt-compact's implementations, and with the RustCrypto crates for P-384 and
/// P-521.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeVerifier;

/// A public key for [`NativeVerifier`].
#[derive(Clone, Debug)]
pub struct NativeKey(Inner);

#[derive(Clone, Debug)]
enum Inner {
    EdDsa(<Ed25519 as Algorithm>::VerifyingKey),
    Es256(<Es256 as Algorithm>::VerifyingKey),
    Es384(p384::ecdsa::VerifyingKey),
    // The only variant whose type has no `Debug` of its own.
    Es512(P521Key),
    /// The key and its modulus, big-endian without leading zeros.
    Rsa(Rsa, RsaPublicKey, Vec<u8>),
}

#[derive(Clone)]
struct P521Key(p521::ecdsa::VerifyingKey);

impl fmt::Debug for P521Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P521Key")
    }
}

/// Encodes the key's point, uncompressed as in SEC 1 §2.3.3: the byte 4, then x, then y.
fn sec1_point(key: &JsonWebKey<'_>, expected_curve: &str) -> Result<Vec<u8>, ImportKeyError> {
    match key {
        JsonWebKey::EllipticCurve { curve, x, y, .. } if curve == expected_curve => {
            Ok([&[4], x.as_ref(), y.as_ref()].concat())
        }
        _ => Err(ImportKeyError(format!("not a key of the curve {expected_curve}"))),
    }
}

impl SignatureVerifier for NativeVerifier {
    type Key = NativeKey;

    fn import(
        &self,
        algorithm: SignatureAlgorithm,
        key: &JsonWebKey<'_>,
    ) -> Result<NativeKey, ImportKeyError> {
        let not_a_point = |error: p384::ecdsa::Error| ImportKeyError(error.to_string());
        // Keep the modulus beside the key, to compare signatures with it.
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
            SignatureAlgorithm::Es384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&sec1_point(key, "P-384")?);
                return key.map(|key| NativeKey(Inner::Es384(key))).map_err(not_a_point);
            }
            SignatureAlgorithm::Es512 => {
                let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&sec1_point(key, "P-521")?);
                return key.map(|key| NativeKey(Inner::Es512(P521Key(key)))).map_err(not_a_point);
            }
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
            Inner::Es384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Inner::Es512(P521Key(key)) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            // RFC 8017 §5.2.2 step 1: a signature is a number below the modulus. rsa 0.9 does not check this
            // for PSS, which would give one signature two spellings. Texts of equal length compare like
            // numbers.
            Inner::Rsa(rsa, key, modulus) => {
                signature.len() == modulus.len()
                    && signature < modulus.as_slice()
                    && verify_bytes(rsa, key, message, signature)
            }
        }
    }
}
