//! Keys of a JWKS that the service cannot use, with the reason for each. A token that such a key may have
//! signed can be neither accepted nor refused.

use std::fmt;

use serde_json::Value;

use super::algorithm::JoseAlgorithm;
use crate::limits::{JWKS_LEFT_OUT_MAX, LOGGED_VALUE_MAX_BYTES, RSA_MAX_BITS, RSA_MIN_BITS};

/// Why a key of a set is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotAnObject,
    /// `use` or `key_ops` says that the key is not for signatures.
    #[error("{0}: not a key for signatures")]
    OtherPurpose(String),
    /// A `kty`, `crv` or `alg` that is not implemented.
    #[error("{member} {value:?} is not supported")]
    NotSupported {
        /// The member's name.
        member: &'static str,
        /// Its value, shortened.
        value: String,
    },
    /// `alg` names an algorithm for a different kind of key.
    #[error("alg {alg:?} does not fit kty and crv")]
    OtherAlgorithm {
        /// The value of `alg`, shortened.
        alg: String,
    },
    /// A symmetric key in a public document.
    #[error("a symmetric key in a public document")]
    PublicSecret,
    /// An RSA key that is too short to be safe, or too long for some verifier.
    #[error("n has {bits} bits, expected {RSA_MIN_BITS} to {RSA_MAX_BITS}")]
    RsaLength {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// A secret that is shorter than its algorithm's hash (RFC 7518 §3.2).
    #[error("k has {bytes} bytes, expected at least {least_bytes}")]
    SecretLength {
        /// Length of the secret in bytes.
        bytes: usize,
        /// Length that its algorithm needs, in bytes.
        least_bytes: usize,
    },
    /// A member that the key needs is absent, `null` or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member that has the wrong type or an invalid value.
    #[error("{member} is not {expected}")]
    Malformed {
        /// The member's name.
        member: &'static str,
        /// The expected form.
        expected: &'static str,
    },
    /// The platform refuses the key, for example because its point is not on the curve.
    #[error("the platform refuses the key's numbers")]
    Refused,
    /// The set has more usable keys than are kept.
    #[error("more usable keys than are kept")]
    TooMany,
}

/// A key of a set that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutKey {
    /// The key's name (`kid`), shortened. `None` if the entry has no readable name.
    pub kid: Option<String>,
    /// The reason.
    pub problem: UnusableKey,
    pub(super) families: Families,
}

/// Families of algorithms that an entry may be for, a bit set. Every readable member counts: one damaged
/// member must not lead to the conclusion that the key signed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Families(u8);

impl Families {
    const RSA: u8 = 1;
    const P256: u8 = 2;
    const P384: u8 = 4;
    const P521: u8 = 8;
    /// Any elliptic curve: `crv` cannot be read.
    const EC: u8 = Self::P256 | Self::P384 | Self::P521;
    const OKP: u8 = 16;
    const SECRET: u8 = 32;

    /// Prefixes of algorithms for encryption (RFC 7518 §4.1 and §5.1).
    const ENCRYPTION: [&str; 8] = ["RSA-OAEP", "RSA1_5", "ECDH-ES", "A128", "A192", "A256", "PBES2", "dir"];
    /// Curves that no supported algorithm uses.
    const OTHER_CURVES: [&str; 4] = ["secp256k1", "Ed448", "X25519", "X448"];

    fn read(entry: &Value, problem: &UnusableKey) -> Self {
        let has = |member| entry.get(member).is_some_and(|value| !value.is_null());
        let text = |member| entry.get(member).and_then(Value::as_str).unwrap_or_default();
        let (alg, curve) = (text("alg"), text("crv"));
        let is_encryption = Self::ENCRYPTION.iter().any(|name| alg.starts_with(name));
        if is_encryption
            || Self::OTHER_CURVES.contains(&curve)
            || matches!(problem, UnusableKey::OtherPurpose(_))
        {
            return Self::default();
        }
        // Each readable member names the families that it is consistent with; the entry gets the union of
        // them.
        let by_curve = match curve {
            "P-256" => Self::P256,
            "P-384" => Self::P384,
            "P-521" => Self::P521,
            _ => Self::EC,
        };
        let by_type = match text("kty").to_ascii_uppercase().as_str() {
            "RSA" => Self::RSA,
            "EC" => by_curve,
            "OKP" => Self::OKP,
            "OCT" => Self::SECRET,
            _ => 0,
        };
        let by_algorithm = JoseAlgorithm::from_name(alg).map_or(0, Self::of);
        let by_members = [
            (has("n"), Self::RSA),
            (has("x") && has("y"), by_curve),
            // One coordinate alone: an OKP key, or an EC key that lacks the other coordinate.
            (has("x") != has("y"), by_curve | Self::OKP),
            (has("k"), Self::SECRET),
        ];
        let by_members = by_members.into_iter().filter(|(has, _)| *has);
        Self(by_members.fold(by_type | by_algorithm, |families, (_, family)| families | family))
    }

    const fn of(algorithm: JoseAlgorithm) -> u8 {
        use crate::ports::SignatureAlgorithm::{EdDsa, Es256, Es384, Es512};
        match algorithm {
            JoseAlgorithm::Hmac(_) => Self::SECRET,
            JoseAlgorithm::Signature(EdDsa) => Self::OKP,
            JoseAlgorithm::Signature(Es256) => Self::P256,
            JoseAlgorithm::Signature(Es384) => Self::P384,
            JoseAlgorithm::Signature(Es512) => Self::P521,
            JoseAlgorithm::Signature(_) => Self::RSA,
        }
    }

    /// Whether a key of these families may have signed with `algorithm`. `None` stands for an unsupported
    /// algorithm, which any signing key may have used.
    fn include(self, algorithm: Option<JoseAlgorithm>) -> bool {
        self.0 & algorithm.map_or(u8::MAX, Self::of) != 0
    }
}

impl LeftOutKey {
    /// Whether the key may have signed a token with this `kid` and algorithm. `is_taken` says that a usable
    /// key has the token's `kid`.
    fn may_have_signed(&self, kid: Option<&str>, algorithm: Option<JoseAlgorithm>, is_taken: bool) -> bool {
        let is_of_other_purpose = matches!(self.problem, UnusableKey::OtherPurpose(_));
        match (self.kid.as_deref(), kid) {
            // Some issuers use one name for both their signing and their encryption key.
            (Some(left_out), Some(kid)) => left_out == shortened(kid) && !(is_taken && is_of_other_purpose),
            // The token names a usable key, so a key without a name did not sign it.
            (None, Some(_)) if is_taken => false,
            _ => !is_of_other_purpose && self.families.include(algorithm),
        }
    }
}

impl fmt::Display for LeftOutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "kid {kid:?}: {}", self.problem),
            None => write!(f, "a key without kid: {}", self.problem),
        }
    }
}

/// The keys of a set that are left out: the first [`JWKS_LEFT_OUT_MAX`] are listed, the others counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOutKeys {
    listed: Vec<LeftOutKey>,
    unlisted: usize,
    /// Union over the keys that are not listed.
    families: Families,
}

impl LeftOutKeys {
    pub(super) fn push(&mut self, entry: &Value, kid: Option<String>, problem: UnusableKey) {
        let families = Families::read(entry, &problem);
        if self.listed.len() < JWKS_LEFT_OUT_MAX {
            let kid = kid.map(|kid| shortened(&kid).to_owned());
            self.listed.push(LeftOutKey { kid, problem, families });
        } else {
            self.unlisted += 1;
            self.families.0 |= families.0;
        }
    }

    /// Describes the first left-out key that may have signed a token with this `kid` and algorithm: its name,
    /// and why it was left out. `is_taken` says that a usable key has the token's `kid`.
    pub(super) fn may_have_signed(
        &self,
        kid: Option<&str>,
        algorithm: Option<JoseAlgorithm>,
        is_taken: bool,
    ) -> Option<String> {
        // Listed keys first; of the others only the families are known.
        let key = self.listed.iter().find(|key| key.may_have_signed(kid, algorithm, is_taken));
        let unlisted = self.unlisted > 0 && !is_taken && self.families.include(algorithm);
        key.map(ToString::to_string)
            .or_else(|| unlisted.then(|| format!("one of {} more keys left out", self.unlisted)))
    }

    /// Number of keys that are left out, listed or not.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.listed.len() + self.unlisted
    }

    /// Whether all keys of the set are usable.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.unlisted == 0
    }

    /// The listed keys, in the order of the document.
    #[must_use]
    pub fn listed(&self) -> &[LeftOutKey] {
        &self.listed
    }

    /// Number of keys beyond the listed ones.
    #[must_use]
    pub const fn unlisted(&self) -> usize {
        self.unlisted
    }
}

impl fmt::Display for LeftOutKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The largest issuers have this number of keys in all; their list takes some 8 KiB.
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

/// Shortens a peer's text for a log line.
pub(super) fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LOGGED_VALUE_MAX_BYTES)).unwrap_or_default()
}
