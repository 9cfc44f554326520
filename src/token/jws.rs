//! Compact JWS (RFC 7515): parsed, then verified with the one key that fits.

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{AlgorithmExt, Claims, ParseError, UntrustedToken, ValidationError};
use serde::de::DeserializeOwned;

use super::{
    algorithm::{JoseAlgorithm, KeyAlgorithm},
    error::JwsError,
    keys::{Key, KeySet},
    unique::{ClaimSet, HeaderExtensions, IssuerClaim},
};
use crate::{limits::TOKEN_MAX_BYTES, ports::SignatureVerifier};

/// A token whose signature nobody has checked: it can only say where its key is to be found.
pub(super) struct UnverifiedToken<'a> {
    token: UntrustedToken<'a, HeaderExtensions>,
    algorithm: JoseAlgorithm,
    jws: &'a str,
}

impl<'a> UnverifiedToken<'a> {
    /// Parses the header and finds the segments.
    pub fn parse(jws: &'a str) -> Result<Self, JwsError> {
        if jws.len() > TOKEN_MAX_BYTES {
            return Err(JwsError::TooLong);
        }
        let token = UntrustedToken::<HeaderExtensions>::try_from(jws).map_err(|error| match error {
            ParseError::UnsupportedContentType(_) => JwsError::Extension,
            _ => JwsError::Malformed,
        })?;
        if token.header().other_fields.unsupported {
            return Err(JwsError::Extension);
        }
        let algorithm = JoseAlgorithm::from_name(token.algorithm()).ok_or(JwsError::UnsupportedAlgorithm)?;
        Ok(Self { token, algorithm, jws })
    }

    /// The algorithm that the header names.
    pub const fn algorithm(&self) -> JoseAlgorithm {
        self.algorithm
    }

    /// The name of the key, if the header has one.
    pub fn key_id(&self) -> Option<&str> {
        self.token.header().key_id.as_deref()
    }

    /// The kind of token, if the header names one.
    pub fn token_type(&self) -> Option<&str> {
        self.token.header().token_type.as_deref()
    }

    /// Who claims to have issued it.
    pub fn issuer(&self) -> Result<Option<String>, JwsError> {
        self.payload::<IssuerClaim>().map(|claim| claim.0)
    }

    /// The payload, decoded again, because jwt-compact hands out claims only through its own struct. Its `flatten`
    /// would take `exp` from `T`, void a `deny_unknown_fields`, and copy all that `T` does not ask for.
    fn payload<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        let segment = self.jws.split('.').nth(1).ok_or(JwsError::Malformed)?;
        let payload = Base64UrlUnpadded::decode_vec(segment).map_err(|_| JwsError::Malformed)?;
        // What is not asked for has to be JSON as well, and serde_json does not look at the text within.
        std::str::from_utf8(&payload).map_err(|_| JwsError::Payload)?;
        serde_json::from_slice(&payload).map_err(|_| JwsError::Payload)
    }

    /// The claims, once the signature has proved to be `key`'s.
    pub fn verify<V: SignatureVerifier>(
        &self,
        key: &Key<V>,
        platform: &V,
    ) -> Result<Claims<ClaimSet>, JwsError> {
        let algorithm = key.algorithm();
        let signature_len = self.token.signature_bytes().len();
        if algorithm.signature_bytes().is_some_and(|len| len != signature_len) {
            return Err(JwsError::BadSignature);
        }
        let algorithm = KeyAlgorithm { algorithm, verifier: platform };
        match algorithm.validator::<ClaimSet>(&key.material).validate(&self.token) {
            Ok(token) => Ok(token.into_parts().1),
            Err(ValidationError::AlgorithmMismatch { .. }) => Err(JwsError::AlgorithmMismatch),
            Err(
                ValidationError::InvalidSignature
                | ValidationError::InvalidSignatureLen { .. }
                | ValidationError::MalformedSignature(_),
            ) => Err(JwsError::BadSignature),
            Err(_) => Err(JwsError::Payload),
        }
    }
}

/// The payload of a compact JWS that one of `keys` signed and whose `typ` is exactly `typ`, so that no other
/// kind of token that the same key signs passes for it. No claim is required.
///
/// # Errors
/// It is malformed, another kind of token, signed by none of the keys, or its payload is no `T`.
pub fn verify_jws<T: DeserializeOwned, V: SignatureVerifier>(
    jws: &str,
    keys: &KeySet<V>,
    typ: &str,
    platform: &V,
) -> Result<T, JwsError> {
    let token = UnverifiedToken::parse(jws)?;
    if token.token_type() != Some(typ) {
        return Err(JwsError::WrongType);
    }
    let key = keys.select(token.algorithm(), token.key_id())?;
    token.verify(key, platform)?;
    token.payload()
}
