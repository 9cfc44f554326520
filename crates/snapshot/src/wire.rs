//! The primitives of the byte format: little-endian words, LEB128 integers, length-prefixed bytes. Reading
//! never panics and never allocates.
//!
//! ```
//! use admit_snapshot::wire::{Cursor, Put as _};
//!
//! let mut bytes = Vec::new();
//! bytes.put_signed(-3);
//! bytes.put_text("film");
//! let mut cursor = Cursor::new(&bytes);
//! assert_eq!((cursor.signed()?, cursor.text()?), (-3, "film"));
//! assert!(cursor.u8().is_err(), "nothing is left");
//! # Ok::<(), admit_snapshot::object::FormatError>(())
//! ```

use super::object::FormatError;

/// Reads primitives from the front of a slice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that have not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the next `N` bytes.
    ///
    /// # Errors
    /// `Truncated` if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(FormatError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Reads the next `len` bytes.
    ///
    /// # Errors
    /// `Truncated` if fewer are left.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(FormatError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// `Truncated` at the end.
    pub fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Reads a 32-bit little-endian word: a length or an offset.
    ///
    /// # Errors
    /// `Truncated` if fewer than four bytes are left.
    pub fn word(&mut self) -> Result<usize, FormatError> {
        let word = u32::from_le_bytes(self.array()?);
        usize::try_from(word).map_err(|_| FormatError::Invalid("word"))
    }

    /// Reads an unsigned LEB128 integer of at most ten bytes.
    ///
    /// # Errors
    /// `Truncated`, or `Invalid` if the value exceeds 64 bits.
    pub fn varint(&mut self) -> Result<u64, FormatError> {
        // Fast path for one byte: a record is a sequence of integers, most of them small.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
        let mut value = 0_u64;
        let mut shift = 0;
        while shift < u64::BITS {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte starts at bit 63, so only its lowest bit fits.
            if shift == 63 && bits > 1 {
                return Err(FormatError::Invalid("varint"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
        }
        Err(FormatError::Invalid("varint"))
    }

    /// Reads a signed integer: LEB128 of its zigzag form.
    ///
    /// # Errors
    /// As [`Self::varint`].
    pub fn signed(&mut self) -> Result<i64, FormatError> {
        let zigzag = self.varint()?;
        // Undo zigzag: the lowest bit holds the sign.
        Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    /// Reads the count of the elements that follow. Each takes at least `min_len` bytes, so a corrupt count
    /// cannot make a reader reserve memory.
    ///
    /// # Errors
    /// As [`Self::varint`], or `Truncated` if the rest is too short for this number of elements.
    pub fn count(&mut self, min_len: usize) -> Result<usize, FormatError> {
        let count = usize::try_from(self.varint()?).map_err(|_| FormatError::Truncated)?;
        if count.saturating_mul(min_len.max(1)) > self.rest.len() {
            return Err(FormatError::Truncated);
        }
        Ok(count)
    }

    /// Reads UTF-8 text after its length.
    ///
    /// # Errors
    /// `Truncated`, or `Invalid` if the bytes are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, FormatError> {
        let len = self.count(1)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| FormatError::Invalid("text"))
    }

    /// Reads 16 big-endian bytes: a UUID.
    ///
    /// # Errors
    /// `Truncated` if fewer than 16 bytes are left.
    pub fn uuid(&mut self) -> Result<u128, FormatError> {
        self.array().map(u128::from_be_bytes)
    }
}

/// Writes primitives to the end of a byte vector.
pub trait Put {
    /// Writes an unsigned LEB128 integer.
    fn put_varint(&mut self, value: u64);
    /// Writes a signed integer: LEB128 of its zigzag form.
    fn put_signed(&mut self, value: i64);
    /// Writes UTF-8 text after its length.
    fn put_text(&mut self, text: &str);
    /// Writes 16 big-endian bytes: a UUID.
    fn put_uuid(&mut self, uuid: u128);
}

impl Put for Vec<u8> {
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.push(value.to_le_bytes()[0]);
    }

    fn put_signed(&mut self, value: i64) {
        // Zigzag maps 0, -1, 1, -2 to 0, 1, 2, 3, so small magnitudes of either sign stay short.
        self.put_varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn put_text(&mut self, text: &str) {
        self.put_varint(text.len() as u64);
        self.extend_from_slice(text.as_bytes());
    }

    fn put_uuid(&mut self, uuid: u128) {
        self.extend_from_slice(&uuid.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encodings_are_pinned() {
        let mut out = Vec::new();
        out.put_varint(300);
        out.put_signed(-2);
        out.put_signed(63);
        out.put_text("ab");
        out.put_uuid(1);
        assert_eq!(
            out,
            [0xac, 0x02, 0x03, 0x7e, 2, b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        );
    }

    #[test]
    fn over_long_and_truncated_integers_are_errors() {
        assert_eq!(Cursor::new(&[0x80]).varint(), Err(FormatError::Truncated));
        assert_eq!(Cursor::new(&[0xff; 11]).varint(), Err(FormatError::Invalid("varint")));
        let mut max = vec![0xff; 9];
        max.push(1);
        assert_eq!(Cursor::new(&max).varint(), Ok(u64::MAX));
        max[9] = 2;
        assert_eq!(Cursor::new(&max).varint(), Err(FormatError::Invalid("varint")));
    }

    #[test]
    fn a_count_that_cannot_follow_is_an_error() {
        assert_eq!(Cursor::new(&[5, 0, 0, 0, 0]).count(1), Err(FormatError::Truncated));
        assert_eq!(Cursor::new(&[2, 0, 0, 0, 0]).count(2), Ok(2));
    }

    proptest! {
        #[test]
        fn integers_and_texts_round_trip(signed in any::<i64>(), unsigned in any::<u64>(), text in any::<String>(), uuid in any::<u128>()) {
            let mut out = Vec::new();
            out.put_signed(signed);
            out.put_varint(unsigned);
            out.put_text(&text);
            out.put_uuid(uuid);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.signed(), Ok(signed));
            prop_assert_eq!(cursor.varint(), Ok(unsigned));
            prop_assert_eq!(cursor.text(), Ok(text.as_str()));
            prop_assert_eq!(cursor.uuid(), Ok(uuid));
            prop_assert!(cursor.rest().is_empty());
        }
    }
}
