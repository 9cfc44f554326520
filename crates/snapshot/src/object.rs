//! Objects of the snapshot: immutable, named by kind and SHA-256, with an eight-byte header.
//!
//! ```
//! use admit_snapshot::object::{ObjectKind, ObjectName};
//!
//! let object = [ObjectKind::Shard.header().as_slice(), b"\0\0\0\0"].concat();
//! let name = ObjectName::of_object(&object)?;
//! assert_eq!(ObjectName::parse(&name.to_string()), Some(name)); // "shard/<64 hexadecimal digits>"
//! assert!(name.check(&object).is_ok());
//! assert!(name.check(b"other bytes").is_err());
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// Store key of the head, the one mutable object.
pub const HEAD_KEY: &str = "head";

/// First bytes of all objects except the head.
const MAGIC: [u8; 3] = *b"ADM";

/// Version of the byte format that is written. The header of every object holds this byte.
pub const FORMAT_VERSION: u8 = 3;

/// A version of the byte format that can be read. Readers refuse all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Written by earlier releases. The keys of items follow from their numbers alone.
    One,
    /// The index holds a salt, with which the keys of items are derived.
    Two,
    /// Index and delta have external ids too, and a customer's record may hold renewals, purchases and used trials.
    Three,
}

impl Format {
    /// The format with this number, if it can be read.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            3 => Some(Self::Three),
            _ => None,
        }
    }
}

/// Length of the header in bytes: magic (3), kind (1), version (1), zero (3).
pub const HEADER_LEN: usize = 8;

/// The kind of an object. The header holds its letter, so that a valid object under another kind's name is
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Digests of shards, or of pages.
    Index,
    /// A part of an index that is too large for one object.
    Page,
    /// Records of customers or of items.
    Shard,
    /// Changes since the shards were written.
    Delta,
    /// Merchants, apps, clients, licences.
    Directory,
}

impl ObjectKind {
    /// All kinds. An object refers only to kinds that come earlier in this list.
    pub const ALL: [Self; 5] = [Self::Shard, Self::Page, Self::Index, Self::Delta, Self::Directory];

    /// First part of the store key.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Page => "page",
            Self::Shard => "shard",
            Self::Delta => "delta",
            Self::Directory => "directory",
        }
    }

    const fn letter(self) -> u8 {
        match self {
            Self::Index => b'I',
            Self::Page => b'P',
            Self::Shard => b'S',
            Self::Delta => b'D',
            Self::Directory => b'R',
        }
    }

    /// The header that is written for objects of this kind.
    #[must_use]
    pub const fn header(self) -> [u8; HEADER_LEN] {
        [MAGIC[0], MAGIC[1], MAGIC[2], self.letter(), FORMAT_VERSION, 0, 0, 0]
    }

    /// The format of an object of this kind with this `header`. `None` for another kind or an unknown
    /// version.
    const fn format(self, header: [u8; HEADER_LEN]) -> Option<Format> {
        match header {
            [a, b, c, kind, format, 0, 0, 0]
                if a == MAGIC[0] && b == MAGIC[1] && c == MAGIC[2] && kind == self.letter() =>
            {
                Format::of(format)
            }
            _ => None,
        }
    }
}

/// SHA-256 of an object, header included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Hash for Digest {
    /// By eight of its bytes: digests are uniformly distributed.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl Digest {
    /// Computes the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Parses 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        let mut out = [0; 32];
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        if pairs.len() != out.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in out.iter_mut().zip(pairs) {
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(Self(out))
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom("invalid digest, expected 64 lower-case hexadecimal digits"))
    }
}

/// The name of an object: its kind and its digest. Written as `shard/<64 hexadecimal digits>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// Kind of the object.
    pub kind: ObjectKind,
    /// Digest of the object's bytes.
    pub digest: Digest,
}

impl ObjectName {
    /// Names `bytes` as an object of `kind`, without reading them.
    #[must_use]
    pub fn of(kind: ObjectKind, bytes: &[u8]) -> Self {
        Self { kind, digest: Digest::of(bytes) }
    }

    /// Names `bytes` by their own header, which holds the kind.
    ///
    /// # Errors
    /// The header has no known kind, or an unknown version.
    pub fn of_object(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::of_object_by(bytes, Digest::of)
    }

    /// As [`Self::of_object`], with a function that computes the digest.
    ///
    /// # Errors
    /// As [`Self::of_object`].
    pub fn of_object_by(bytes: &[u8], digest_of: impl FnOnce(&[u8]) -> Digest) -> Result<Self, FormatError> {
        let header = bytes.first_chunk::<HEADER_LEN>().ok_or(FormatError::Truncated)?;
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.format(*header).is_some());
        Ok(Self { kind: kind.ok_or(FormatError::WrongHeader)?, digest: digest_of(bytes) })
    }

    /// Parses a store key such as `shard/<64 hexadecimal digits>`.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let (prefix, hex) = key.split_once('/')?;
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.prefix() == prefix)?;
        Some(Self { kind, digest: Digest::parse(hex)? })
    }

    /// Checks that `bytes` are the object with this name.
    ///
    /// # Errors
    /// The digest differs, or the header has another kind or an unknown version.
    pub fn check(&self, bytes: &[u8]) -> Result<(), FormatError> {
        self.check_by(bytes, Digest::of)
    }

    /// As [`Self::check`], with a function that computes the digest.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_by(&self, bytes: &[u8], digest_of: impl FnOnce(&[u8]) -> Digest) -> Result<(), FormatError> {
        if digest_of(bytes) != self.digest {
            return Err(FormatError::WrongDigest);
        }
        body(self.kind, bytes).map(|_| ())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind.prefix(), self.digest)
    }
}

/// The bytes after the header of an object of `kind`. The header is the same in every format.
///
/// # Errors
/// The header has another kind or an unknown version.
pub fn body(kind: ObjectKind, bytes: &[u8]) -> Result<&[u8], FormatError> {
    versioned_body(kind, bytes).map(|(_, body)| body)
}

/// The format of an object of `kind`, and the bytes after its header.
///
/// # Errors
/// As [`body`].
pub fn versioned_body(kind: ObjectKind, bytes: &[u8]) -> Result<(Format, &[u8]), FormatError> {
    let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(FormatError::Truncated)?;
    kind.format(*header).map(|format| (format, body)).ok_or(FormatError::WrongHeader)
}

/// Why bytes are not a valid object or record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The digest differs from the name.
    #[error("the digest of the bytes differs from the name")]
    WrongDigest,
    /// Another kind of object, or an unknown version of the format.
    #[error("invalid header: another kind of object, or an unknown version")]
    WrongHeader,
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// The format does not allow this value.
    #[error("invalid value: {0}")]
    Invalid(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in ObjectKind::ALL {
            let name = ObjectName::of(kind, b"x");
            assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
        }
        for kind in ObjectKind::ALL {
            let object = [kind.header().as_slice(), b"x"].concat();
            assert_eq!(ObjectName::of_object(&object), Ok(ObjectName::of(kind, &object)));
        }
        for format in 1..=FORMAT_VERSION {
            let object = [b'A', b'D', b'M', b'S', format, 0, 0, 0];
            assert_eq!(ObjectName::of_object(&object), Ok(ObjectName::of(ObjectKind::Shard, &object)));
        }
        for header in [b"ADMS\x00\0\0\0", b"ADMS\x04\0\0\0", b"ADMX\x01\0\0\0", b"ADMS\x02\0\0\x01"] {
            assert_eq!(ObjectName::of_object(header), Err(FormatError::WrongHeader));
        }
        assert_eq!(ObjectName::of_object(b"ADMS\x01\0\0"), Err(FormatError::Truncated));
        let hex = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(ObjectName::of(ObjectKind::Shard, b"x").to_string(), format!("shard/{hex}"));
    }

    #[test]
    fn invalid_names_are_refused() {
        let hex = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        let upper = hex.to_uppercase();
        for key in [
            "head",
            "",
            "/",
            "shard/",
            "shard/00",
            &format!("shards/{hex}"),
            &format!("shard/{upper}"),
            &format!("shard/{hex}0"),
            &format!("shard//{hex}"),
            &format!("shard/{}é", &hex[..62]),
        ] {
            assert_eq!(ObjectName::parse(key), None, "{key}");
        }
    }

    #[test]
    fn a_valid_object_under_another_name_is_refused() {
        let bytes = ObjectKind::Shard.header();
        assert_eq!(ObjectName::of(ObjectKind::Shard, &bytes).check(&bytes), Ok(()));
        assert_eq!(ObjectName::of(ObjectKind::Delta, &bytes).check(&bytes), Err(FormatError::WrongHeader));
        let mut other_version = bytes;
        other_version[4] = FORMAT_VERSION + 1;
        assert_eq!(
            ObjectName::of(ObjectKind::Shard, &other_version).check(&other_version),
            Err(FormatError::WrongHeader)
        );
        assert_eq!(ObjectName::of(ObjectKind::Shard, &bytes).check(b"ADMS"), Err(FormatError::WrongDigest));
        assert_eq!(body(ObjectKind::Shard, b"ADMS"), Err(FormatError::Truncated));
        for (number, format) in [(1, Format::One), (2, Format::Two), (3, Format::Three)] {
            let object = [b'A', b'D', b'M', b'D', number, 0, 0, 0, 7];
            assert_eq!(versioned_body(ObjectKind::Delta, &object), Ok((format, &[7][..])));
        }
        assert_eq!(Format::of(FORMAT_VERSION), Some(Format::Three));
    }
}
