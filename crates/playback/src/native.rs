//! Signatures in pure Rust, for tests, the command and services in process. The Worker asks its platform.
//!
//! The crate `rsa` leaks time in private-key operations (RUSTSEC-2023-0071). Signing is blinded with random numbers
//! here, and no deployment signs natively (docs/adr/0042).

use p256::ecdsa::signature::Signer as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey, pkcs1::DecodeRsaPrivateKey as _, pkcs8::DecodePrivateKey as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::ports::{KeyForm, PlatformError, PlatformSigner, SigningAlgorithm, SigningKey};

/// Signs with the RustCrypto crates.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeSigner;

struct RsaKey {
    key: RsaPrivateKey,
    is_sha1: bool,
}

struct EcdsaKey(p256::ecdsa::SigningKey);

impl PlatformSigner for NativeSigner {
    fn import(
        &self,
        algorithm: SigningAlgorithm,
        form: KeyForm,
        der: &[u8],
    ) -> Result<Box<dyn SigningKey>, PlatformError> {
        let refused = || PlatformError("the private key is damaged".to_owned());
        if algorithm == SigningAlgorithm::Es256 {
            let key = match form {
                KeyForm::Sec1 => p256::SecretKey::from_sec1_der(der).map_err(|_| refused())?,
                _ => p256::SecretKey::from_pkcs8_der(der).map_err(|_| refused())?,
            };
            return Ok(Box::new(EcdsaKey(key.into())));
        }
        let key = match form {
            KeyForm::Pkcs1 => RsaPrivateKey::from_pkcs1_der(der).map_err(|_| refused())?,
            _ => RsaPrivateKey::from_pkcs8_der(der).map_err(|_| refused())?,
        };
        Ok(Box::new(RsaKey { key, is_sha1: algorithm == SigningAlgorithm::RsaSha1 }))
    }
}

impl SigningKey for RsaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let rng = &mut rand_core::OsRng;
        let signature = if self.is_sha1 {
            self.key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message))
        } else {
            self.key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
        };
        signature.map_err(|error| PlatformError(error.to_string()))
    }
}

impl SigningKey for EcdsaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let signature: p256::ecdsa::Signature =
            self.0.try_sign(message).map_err(|error| PlatformError(error.to_string()))?;
        Ok(signature.to_bytes().to_vec())
    }
}
