//! FNV-1a with 64 bits (<https://www.isthe.com/chongo/tech/comp/fnv/>): short marks of names and questions in the memory of
//! an isolate. A client can make two names collide, so a user of a mark says what a collision costs.

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of these bytes.
///
/// ```
/// assert_eq!(admit::fnv::hash(*b"foobar"), 0x8594_4171_f739_67e8);
/// ```
#[must_use]
pub fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::hash;

    /// Test vectors of the authors.
    #[test]
    fn hashes_are_those_of_the_authors() {
        assert_eq!(hash(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(*b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(*b"foobar"), 0x8594_4171_f739_67e8);
    }
}
