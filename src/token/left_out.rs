//! Keys of a JWKS that cannot be used, with the reason. The service can neither accept nor refuse tokens that such a key
//! signed.

use std::fmt;

use crate::limits::{JWKS_LEFT_OUT_MAX, LOGGED_VALUE_MAX_BYTES, RSA_MAX_BITS, RSA_MIN_BITS};

/// Why a key of a set is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// For encryption, say `use` or `key_ops`.
    #[error("{0}: not a key for signatures")]
    OtherPurpose(String),
    /// A `kty`, `crv` or `alg` that is not implemented.
    #[error("{member} {value:?} is not supported")]
    NotSupported {
        /// The member that says so.
        member: &'static str,
        /// Its value, shortened.
        value: String,
    },
    /// `alg` names an algorithm for another kind of key.
    #[error("alg {alg:?} does not fit kty and crv")]
    OtherAlgorithm {
        /// The value of `alg`, shortened.
        alg: String,
    },
    /// A symmetric key where everyone can read it.
    #[error("a symmetric key in a public document")]
    PublicSecret,
    /// An RSA key that is too short to be safe, or too long to be verified everywhere.
    #[error("n has {bits} bits: {RSA_MIN_BITS} to {RSA_MAX_BITS} are allowed")]
    RsaLength {
        /// Bits of the modulus.
        bits: usize,
    },
    /// A secret that is shorter than its algorithm's hash (RFC 7518 §3.2).
    #[error("k has {bytes} bytes: at least {least_bytes} are needed")]
    SecretLength {
        /// Bytes of the secret.
        bytes: usize,
        /// Bytes that its algorithm needs.
        least_bytes: usize,
    },
    /// A member that the key needs is absent, `null` or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member that cannot be read.
    #[error("{member} is not {expected}")]
    Malformed {
        /// Its name.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The platform refuses the key: a point that is not on its curve, for example.
    #[error("the key's numbers are not a key")]
    Refused,
    /// The set has more usable keys than are kept.
    #[error("more usable keys than are kept")]
    TooMany,
}

/// A key of a set that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutKey {
    /// Its name, shortened; `None` when it has none, or none that can be read.
    pub kid: Option<String>,
    /// Why.
    pub problem: UnusableKey,
}

impl fmt::Display for LeftOutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "kid {kid:?}: {}", self.problem),
            None => write!(f, "a key without kid: {}", self.problem),
        }
    }
}

/// The keys of a set that are not used: [`JWKS_LEFT_OUT_MAX`] by name, the others counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOutKeys {
    listed: Vec<LeftOutKey>,
    unlisted: usize,
}

impl LeftOutKeys {
    pub(super) fn push(&mut self, kid: Option<String>, problem: UnusableKey) {
        let key = LeftOutKey { kid: kid.map(|kid| shortened(&kid).to_owned()), problem };
        if self.listed.len() < JWKS_LEFT_OUT_MAX {
            self.listed.push(key);
        } else {
            self.unlisted += 1;
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// Whether every key of the set is used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.unlisted == 0
    }

    /// Those that are known by name.
    #[must_use]
    pub fn listed(&self) -> &[LeftOutKey] {
        &self.listed
    }

    /// How many more there are.
    #[must_use]
    pub const fn unlisted(&self) -> usize {
        self.unlisted
    }
}

impl fmt::Display for LeftOutKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// As many as the largest issuers have in all; some 8 KiB.
        const SHOWN_MAX: usize = 64;
        for (position, key) in self.listed.iter().take(SHOWN_MAX).enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{key}")?;
        }
        match self.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// The beginning of a peer's text, for a log line.
pub(super) fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LOGGED_VALUE_MAX_BYTES)).unwrap_or_default()
}
