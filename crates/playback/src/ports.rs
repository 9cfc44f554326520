//! What signing needs from its platform: RSA and ECDSA signatures. HMACs are computed by this crate.

/// A signature algorithm of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-1, for CloudFront only: its canned default. A signature is as long as the modulus.
    RsaSha1,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).
    RsaSha256,
    /// ECDSA with P-256 and SHA-256. A signature is `r || s`, 64 bytes (RFC 7518 section 3.4).
    Es256,
}

/// The ASN.1 structure of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// PKCS #8 (RFC 5958), unencrypted: `BEGIN PRIVATE KEY`.
    Pkcs8,
    /// PKCS #1 (RFC 8017 appendix A.1.2): `BEGIN RSA PRIVATE KEY`.
    Pkcs1,
    /// SEC 1 (RFC 5915): `BEGIN EC PRIVATE KEY`.
    Sec1,
}

impl KeyForm {
    /// The name that `node:crypto` gives to the form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pkcs8 => "pkcs8",
            Self::Pkcs1 => "pkcs1",
            Self::Sec1 => "sec1",
        }
    }
}

/// Imports private keys. Synchronous, so that an answer with a signature is one call.
///
/// In workerd, `createPrivateKey({key, format: "der", type})` takes all three forms, and `sign(digest, data, key)` with
/// the bare key object signs with RSA and SHA-1 as well as SHA-256. For P-256 it answers DER whatever `dsaEncoding`
/// says, because it refuses a key object within options: [`ecdsa_raw`](crate::ecdsa_raw) converts it.
pub trait PlatformSigner {
    /// Imports a DER key for one algorithm.
    ///
    /// # Errors
    /// The platform refuses the key.
    fn import(
        &self,
        algorithm: SigningAlgorithm,
        form: KeyForm,
        der: &[u8],
    ) -> Result<Box<dyn SigningKey>, PlatformError>;
}

/// A private key on the platform, ready to sign with one algorithm.
pub trait SigningKey {
    /// Signs `message`. The form of the signature is that of [`SigningAlgorithm`].
    ///
    /// # Errors
    /// The platform failed.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PlatformError>;
}

/// The platform cannot import a key or sign with it. The text holds no part of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlatformError(pub String);
