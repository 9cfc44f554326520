//! Random secrets: refresh tokens, authorization codes, clients' secrets. They are stored as plain hashes,
//! because 256 random bits cannot be guessed.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::{db::DbError, wire::Refused};

/// 256 random bits as base64url text.
///
/// # Errors
/// If the system has no random numbers.
pub fn random() -> Result<String, Refused> {
    Ok(Base64UrlUnpadded::encode_string(&random_bytes()?))
}

/// 256 random bits.
///
/// # Errors
/// If the system has no random numbers.
pub fn random_bytes() -> Result<[u8; 32], DbError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| DbError::Inconsistent("no random numbers"))?;
    Ok(bytes)
}

/// The stored form of a secret: its SHA-256.
#[must_use]
pub fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}
