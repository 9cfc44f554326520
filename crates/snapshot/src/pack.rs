//! Packs: several objects in one upload, each after its length (a little-endian word). Kind and digest are
//! not sent, because the objects' own bytes determine them.
//!
//! ```
//! use admit_snapshot::{
//!     object::{ObjectKind, ObjectName},
//!     pack::{Pack, unpack},
//! };
//!
//! let object = [ObjectKind::Shard.header().as_slice(), b"\0\0\0\0"].concat();
//! let mut pack = Pack::default();
//! assert!(pack.push(&object), "it fits");
//!
//! let body = pack.into_bytes();
//! assert_eq!(unpack(&body)?, [(ObjectName::of(ObjectKind::Shard, &object), object.as_slice())]);
//! assert_eq!(unpack(&body[..10]).unwrap_err().to_string(), "object 1: the bytes end too early");
//! # Ok::<(), admit_snapshot::pack::PackError>(())
//! ```

use super::{
    object::{Digest, FormatError, ObjectName},
    wire::Cursor,
};
use crate::limits::{PACK_MAX_BYTES, PACK_MAX_OBJECTS};

/// Length in bytes of the word before each object.
const LENGTH_BYTES: usize = 4;

/// Objects to be uploaded together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    bytes: Vec<u8>,
    count: usize,
}

impl Pack {
    /// Adds an object, or returns `false` if the pack would exceed what a Worker accepts at once. An object
    /// that does not fit into an empty pack must be uploaded by itself.
    #[must_use]
    pub fn push(&mut self, object: &[u8]) -> bool {
        if !Self::takes(object.len()) || self.bytes.len() + LENGTH_BYTES + object.len() > PACK_MAX_BYTES {
            return false;
        }
        let Ok(length) = u32::try_from(object.len()) else { return false };
        if self.count == PACK_MAX_OBJECTS {
            return false;
        }
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(object);
        self.count += 1;
        true
    }

    /// Whether an object of this length fits into an empty pack.
    #[must_use]
    pub const fn takes(object_len: usize) -> bool {
        object_len <= PACK_MAX_BYTES - LENGTH_BYTES
    }

    /// Number of objects in the pack.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether the pack has no objects.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The body of the upload.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Why the bytes are not a valid pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// More objects than a pack may hold.
    #[error("more than {PACK_MAX_OBJECTS} objects")]
    TooMany,
    /// One object is invalid.
    #[error("object {position}: {problem}")]
    Object {
        /// Position of the object, counted from 1.
        position: usize,
        /// The problem with its bytes.
        problem: FormatError,
    },
}

/// Splits a pack into its objects, names them and checks their headers.
///
/// # Errors
/// An object is cut off or invalid, or there are more than [`PACK_MAX_OBJECTS`].
pub fn unpack(bytes: &[u8]) -> Result<Vec<(ObjectName, &[u8])>, PackError> {
    unpack_by(bytes, Digest::of)
}

/// As [`unpack`], with a function that computes the digests.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_by(
    bytes: &[u8],
    digest_of: impl Fn(&[u8]) -> Digest,
) -> Result<Vec<(ObjectName, &[u8])>, PackError> {
    let mut cursor = Cursor::new(bytes);
    let mut objects = Vec::new();
    while !cursor.rest().is_empty() {
        if objects.len() == PACK_MAX_OBJECTS {
            return Err(PackError::TooMany);
        }
        let named = cursor
            .word()
            .and_then(|len| cursor.take(len))
            .and_then(|object| Ok((ObjectName::of_object_by(object, &digest_of)?, object)));
        let position = objects.len() + 1;
        objects.push(named.map_err(|problem| PackError::Object { position, problem })?);
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::object::{HEADER_LEN, ObjectKind};

    fn object(kind: ObjectKind, body: &[u8]) -> Vec<u8> {
        [kind.header().as_slice(), body].concat()
    }

    fn packed(objects: &[Vec<u8>]) -> Vec<u8> {
        let mut pack = Pack::default();
        assert!(objects.iter().all(|object| pack.push(object)));
        assert_eq!((pack.count(), pack.is_empty()), (objects.len(), objects.is_empty()));
        pack.into_bytes()
    }

    #[test]
    fn bytes_are_pinned() {
        let bytes = packed(&[object(ObjectKind::Shard, b"x"), object(ObjectKind::Delta, b"")]);
        assert_eq!(bytes, b"\x09\0\0\0ADMS\x03\0\0\0x\x08\0\0\0ADMD\x03\0\0\0");
    }

    #[test]
    fn limits_are_the_workers() {
        let mut pack = Pack::default();
        let smallest = object(ObjectKind::Shard, b"");
        for _ in 0..PACK_MAX_OBJECTS {
            assert!(pack.push(&smallest));
        }
        assert!(!pack.push(&smallest));
        let mut bytes = pack.into_bytes();
        assert_eq!(unpack(&bytes).unwrap().len(), PACK_MAX_OBJECTS);
        bytes.extend_from_within(..LENGTH_BYTES + HEADER_LEN);
        assert_eq!(unpack(&bytes), Err(PackError::TooMany));

        let largest = vec![0; PACK_MAX_BYTES - LENGTH_BYTES];
        let mut pack = Pack::default();
        assert!(Pack::takes(largest.len()) && pack.push(&largest));
        assert!(!pack.push(&[]));
        assert_eq!((pack.count(), pack.into_bytes().len()), (1, PACK_MAX_BYTES));
        let too_large = vec![0; largest.len() + 1];
        assert!(!Pack::takes(too_large.len()) && !Pack::default().push(&too_large));
    }

    #[test]
    fn an_invalid_object_is_named_by_its_position() {
        let good = object(ObjectKind::Shard, b"abc");
        let at = |position, problem| Err(PackError::Object { position, problem });
        let whole = packed(&[good.clone(), good.clone(), good.clone()]);
        for cut in 1..whole.len() {
            let position = cut / (LENGTH_BYTES + good.len()) + 1;
            let expected = if cut % (LENGTH_BYTES + good.len()) == 0 {
                Ok(vec![(ObjectName::of(ObjectKind::Shard, &good), good.as_slice()); position - 1])
            } else {
                at(position, FormatError::Truncated)
            };
            assert_eq!(unpack(&whole[..cut]), expected, "{cut}");
        }
        let bad = packed(&[good.clone(), b"{\"type\":\"item\"}".to_vec(), good.clone()]);
        assert_eq!(unpack(&bad), at(2, FormatError::WrongHeader));
        assert_eq!(unpack(&packed(&[good, Vec::new()])), at(2, FormatError::Truncated));
        assert_eq!(unpack(&[0xff; 8]), at(1, FormatError::Truncated));
        assert_eq!(unpack(&[]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn packs_round_trip(
            bodies in prop::collection::vec(
                (0..ObjectKind::ALL.len(), prop::collection::vec(any::<u8>(), 0..50)), 0..=PACK_MAX_OBJECTS,
            ),
        ) {
            let kinds = ObjectKind::ALL;
            let objects: Vec<_> = bodies.iter().map(|(kind, body)| object(kinds[*kind], body)).collect();
            let bytes = packed(&objects);
            let named: Vec<_> = bodies.iter().zip(&objects)
                .map(|((kind, _), object)| (ObjectName::of(kinds[*kind], object), object.as_slice()))
                .collect();
            prop_assert_eq!(unpack(&bytes), Ok(named));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(objects) = unpack(&bytes) {
                prop_assert!(objects.iter().all(|(name, object)| name.check(object) == Ok(())));
            }
        }
    }
}
