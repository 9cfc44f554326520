//! The value under the key `head`: the head, and the delta that it names, if both fit into one value.
//!
//! ```text
//! <compact JWS>                       the delta, if there is one, is the object `delta/<digest>`
//! <compact JWS> 0x0A <delta object>   the delta is carried along
//! ```
//!
//! A JWS is base64url and dots, so that the first line feed ends it. The body of `PUT /snapshot/head` has the same form.
//!
//! ```
//! use admit_snapshot::{
//!     delta::encode_delta,
//!     head::{Head, HeadError},
//!     head_value::HeadValue,
//!     object::Digest,
//! };
//!
//! let delta = encode_delta::<&str>([&[], &[], &[]])?;
//! let value = HeadValue { jws: b"e30.e30.c2ln", delta: Some(&delta) }.join();
//! let read = HeadValue::split(&value);
//! assert_eq!((read.jws, read.delta), (&b"e30.e30.c2ln"[..], Some(&delta[..])));
//!
//! // Which delta is meant is signed: another one beside the head is refused.
//! let mut head = Head::new(41, 0, Digest::of(b"the index"), Digest::of(b"the directory"));
//! head.delta = Some(Digest::of(&delta));
//! assert_eq!(read.check(&head), Ok(()));
//! head.delta = Some(Digest::of(b"another delta"));
//! assert_eq!(read.check(&head), Err(HeadError::CarriedDelta));
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use super::{
    head::{Head, HeadError},
    object::{Digest, ObjectKind, ObjectName},
};
use crate::limits::HEAD_DELTA_MAX_BYTES;

/// Ends the JWS where a delta follows.
const SEPARATOR: u8 = b'\n';

/// The parts of a value of the key `head`. Nothing is known of them yet: the JWS may be invalid, and the delta another
/// one than the head names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadValue<'a> {
    /// The compact JWS.
    pub jws: &'a [u8],
    /// The bytes of the delta object, if they are carried along.
    pub delta: Option<&'a [u8]>,
}

impl<'a> HeadValue<'a> {
    /// The parts of `value`. Any bytes have them.
    #[must_use]
    pub fn split(value: &'a [u8]) -> Self {
        let end = value.iter().position(|byte| *byte == SEPARATOR);
        let (jws, rest) = value.split_at(end.unwrap_or(value.len()));
        Self { jws, delta: rest.split_first().map(|(_, delta)| delta) }
    }

    /// The value that [`Self::split`] reads these parts from.
    #[must_use]
    pub fn join(&self) -> Vec<u8> {
        match self.delta {
            Some(delta) => [self.jws, &[SEPARATOR], delta].concat(),
            None => self.jws.to_vec(),
        }
    }

    /// The delta that is carried along, by the name that `head` has for it. It is that delta if [`Self::check`] has said
    /// so.
    #[must_use]
    pub fn named(&self, head: &Head) -> Option<(ObjectName, &'a [u8])> {
        let digest = head.delta?;
        Some((ObjectName { kind: ObjectKind::Delta, digest }, self.delta?))
    }

    /// Whether a delta of this length may be carried along. A longer one is an object of its own.
    #[must_use]
    pub const fn has_room_for(delta_bytes: usize) -> bool {
        delta_bytes <= HEAD_DELTA_MAX_BYTES
    }

    /// Checks that the delta that is carried along, if there is one, is the delta that `head` names. `head` is what the
    /// JWS says, once its signature was verified.
    ///
    /// # Errors
    /// [`HeadError::CarriedDelta`].
    pub fn check(&self, head: &Head) -> Result<(), HeadError> {
        self.check_by(head, Digest::of)
    }

    /// As [`Self::check`], with a function that computes the digest.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_by(&self, head: &Head, digest_of: impl FnOnce(&[u8]) -> Digest) -> Result<(), HeadError> {
        match self.named(head) {
            Some((name, delta)) => name.check_by(delta, digest_of).map_err(|_| HeadError::CarriedDelta),
            None if self.delta.is_some() => Err(HeadError::CarriedDelta),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{delta::encode_delta, limits::HEAD_MAX_BYTES};

    const JWS: &[u8] = b"eyJh.eyJm.AiuT_-";

    fn head(delta: Option<Digest>) -> Head {
        Head { delta, ..Head::new(1, 0, Digest([1; 32]), Digest([2; 32])) }
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(HeadValue::split(JWS), HeadValue { jws: JWS, delta: None });
        // The bytes of a delta may have line feeds: the first one ends the JWS.
        let value = [JWS, b"\nADMD\x03\0\0\0\n\n"].concat();
        assert_eq!(HeadValue::split(&value), HeadValue { jws: JWS, delta: Some(b"ADMD\x03\0\0\0\n\n") });
        // A line feed promises a delta, even if nothing follows.
        assert_eq!(HeadValue::split(b"a\n"), HeadValue { jws: b"a", delta: Some(b"") });
        assert_eq!(HeadValue::split(b""), HeadValue { jws: b"", delta: None });
    }

    #[test]
    fn only_the_delta_that_the_head_names_is_accepted() {
        fn carried(delta: Option<&[u8]>) -> HeadValue<'_> {
            HeadValue { jws: JWS, delta }
        }
        let delta = encode_delta::<&str>([&[], &[], &[]]).unwrap();
        let named = head(Some(Digest::of(&delta)));
        assert_eq!(carried(Some(&delta[..])).check(&named), Ok(()));
        assert_eq!(carried(None).check(&named), Ok(()), "it is an object of its own");
        assert_eq!(carried(None).check(&head(None)), Ok(()));
        for position in 0..delta.len() {
            let mut tampered = delta.clone();
            tampered[position] ^= 1;
            assert_eq!(carried(Some(&tampered)).check(&named), Err(HeadError::CarriedDelta), "{position}");
            assert_eq!(carried(Some(&delta[..position])).check(&named), Err(HeadError::CarriedDelta));
        }
        assert_eq!(carried(Some(&delta)).check(&head(None)), Err(HeadError::CarriedDelta));
        // Signed bytes of another kind are not a delta.
        let shard = ObjectKind::Shard.header();
        assert_eq!(
            carried(Some(&shard)).check(&head(Some(Digest::of(&shard)))),
            Err(HeadError::CarriedDelta)
        );
    }

    #[test]
    fn a_value_is_at_most_one_mebibyte() {
        assert!(HeadValue::has_room_for(HEAD_DELTA_MAX_BYTES));
        assert!(!HeadValue::has_room_for(HEAD_DELTA_MAX_BYTES + 1));
        let delta = vec![b'\n'; HEAD_DELTA_MAX_BYTES];
        let jws = vec![b'a'; HEAD_MAX_BYTES];
        let value = HeadValue { jws: &jws, delta: Some(&delta) }.join();
        assert_eq!(value.len(), crate::limits::HEAD_VALUE_MAX_BYTES);
        assert_eq!(value.len(), 1024 * 1024);
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_and_joined_again(value in any::<Vec<u8>>()) {
            let joined = HeadValue::split(&value).join();
            prop_assert_eq!(joined, value);
        }

        #[test]
        fn parts_are_found_again(jws in "[A-Za-z0-9_.-]{0,80}", delta in any::<Option<Vec<u8>>>()) {
            let value = HeadValue { jws: jws.as_bytes(), delta: delta.as_deref() };
            let joined = value.join();
            prop_assert_eq!(HeadValue::split(&joined), value);
        }
    }
}
