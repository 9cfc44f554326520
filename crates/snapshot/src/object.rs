//! Objects of the snapshot: immutable, named by kind and SHA-256, with an eight-byte header.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// Key of the one mutable object.
pub const HEAD_KEY: &str = "head";

/// First bytes of every object but the head.
const MAGIC: [u8; 3] = *b"ADM";

/// Version of the byte format that is written. The byte stands in the header of every object.
pub const FORMAT_VERSION: u8 = 2;

/// A version of the byte format that is read. A reader refuses every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Of earlier releases: the keys of items follow from their numbers alone.
    One,
    /// The index has a salt, with which the keys of items are derived.
    Two,
}

impl Format {
    /// The format of this number, if it is one that can be read.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }
}

/// Length of the header: magic (3), kind (1), version (1), zero (3).
pub const HEADER_LEN: usize = 8;

/// What an object holds. The letter stands in the header, so that a valid object under another kind's name
/// is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Digests of shards, or of pages.
    Index,
    /// A part of an index that outgrew one object.
    Page,
    /// Customers or items.
    Shard,
    /// What changed since the shards were written.
    Delta,
    /// Merchants, apps, clients, licences.
    Directory,
}

impl ObjectKind {
    /// All kinds, in the order in which objects refer to each other, last first.
    pub const ALL: [Self; 5] = [Self::Shard, Self::Page, Self::Index, Self::Delta, Self::Directory];

    /// The first part of the object's key.
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

    /// The header of an object of this kind, as it is written.
    #[must_use]
    pub const fn header(self) -> [u8; HEADER_LEN] {
        [MAGIC[0], MAGIC[1], MAGIC[2], self.letter(), FORMAT_VERSION, 0, 0, 0]
    }

    /// The format of the object of this kind that begins with `header`, if it is one that can be read.
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
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From 64 lower-case hexadecimal digits.
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
        Self::parse(&text).ok_or_else(|| de::Error::custom("a digest is 64 lower-case hexadecimal digits"))
    }
}

/// The name of an object: its kind and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// What it holds.
    pub kind: ObjectKind,
    /// Its bytes.
    pub digest: Digest,
}

impl ObjectName {
    /// The name of `bytes`.
    #[must_use]
    pub fn of(kind: ObjectKind, bytes: &[u8]) -> Self {
        Self { kind, digest: Digest::of(bytes) }
    }

    /// The name that `bytes` have by themselves: the kind stands in their header.
    ///
    /// # Errors
    /// When the header is that of no kind, or of a version that cannot be read.
    pub fn of_object(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::of_object_by(bytes, Digest::of)
    }

    /// The same with the digest that `digest_of` gives.
    ///
    /// # Errors
    /// As [`Self::of_object`].
    pub fn of_object_by(bytes: &[u8], digest_of: impl FnOnce(&[u8]) -> Digest) -> Result<Self, FormatError> {
        let header = bytes.first_chunk::<HEADER_LEN>().ok_or(FormatError::Truncated)?;
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.format(*header).is_some());
        Ok(Self { kind: kind.ok_or(FormatError::WrongHeader)?, digest: digest_of(bytes) })
    }

    /// The name written as a key, `shard/<64 hexadecimal digits>`.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let (prefix, hex) = key.split_once('/')?;
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.prefix() == prefix)?;
        Some(Self { kind, digest: Digest::parse(hex)? })
    }

    /// Whether `bytes` are this object.
    ///
    /// # Errors
    /// When the hash differs, or the header is that of another kind or version.
    pub fn check(&self, bytes: &[u8]) -> Result<(), FormatError> {
        self.check_by(bytes, Digest::of)
    }

    /// The same by the digest that `digest_of` gives.
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

/// What follows the header of an object of `kind`, which is laid out alike in every format.
///
/// # Errors
/// When the header is not that of this kind, or of a version that cannot be read.
pub fn body(kind: ObjectKind, bytes: &[u8]) -> Result<&[u8], FormatError> {
    versioned_body(kind, bytes).map(|(_, body)| body)
}

/// The format of an object of `kind`, and what follows its header.
///
/// # Errors
/// As [`body`].
pub fn versioned_body(kind: ObjectKind, bytes: &[u8]) -> Result<(Format, &[u8]), FormatError> {
    let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(FormatError::Truncated)?;
    kind.format(*header).map(|format| (format, body)).ok_or(FormatError::WrongHeader)
}

/// Bytes that are not what their name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The hash differs from the name.
    #[error("the bytes do not have the digest that names them")]
    WrongDigest,
    /// Another kind of object, or another version of the format.
    #[error("the header is not that of this kind and version")]
    WrongHeader,
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// A value that the format does not allow.
    #[error("a value is outside what the format allows: {0}")]
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
        for header in [b"ADMS\x00\0\0\0", b"ADMS\x03\0\0\0", b"ADMX\x01\0\0\0", b"ADMS\x02\0\0\x01"] {
            assert_eq!(ObjectName::of_object(header), Err(FormatError::WrongHeader));
        }
        assert_eq!(ObjectName::of_object(b"ADMS\x01\0\0"), Err(FormatError::Truncated));
        let hex = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(ObjectName::of(ObjectKind::Shard, b"x").to_string(), format!("shard/{hex}"));
    }

    #[test]
    fn odd_names_are_none() {
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
        for (number, format) in [(1, Format::One), (2, Format::Two)] {
            let object = [b'A', b'D', b'M', b'D', number, 0, 0, 0, 7];
            assert_eq!(versioned_body(ObjectKind::Delta, &object), Ok((format, &[7][..])));
        }
        assert_eq!(Format::of(FORMAT_VERSION), Some(Format::Two));
    }
}
