//! Secrets that are random bits: refresh tokens, authorization codes, clients' secrets. What is stored is a
//! plain hash: 256 random bits cannot be guessed.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::{db::DbError, wire::Refused};

/// 256 random bits as text.
///
/// # Errors
/// When the system has no random numbers.
pub fn random() -> Result<String, Refused> {
    Ok(Base64UrlUnpadded::encode_string(&random_bytes()?))
}

/// 256 random bits.
///
/// # Errors
/// When the system has no random numbers.
pub fn random_bytes() -> Result<[u8; 32], DbError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| DbError::Inconsistent("no random numbers"))?;
    Ok(bytes)
}

/// What is stored of a secret.
#[must_use]
pub fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}
