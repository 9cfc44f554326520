//! Objects in one file, each after its length (u32, little-endian): index, directory, delta, then the
//! shards of customers and of items, and the customers' in each of the sizes ([`cut`](crate::cut)), with an empty object
//! between two kinds.

/// Appends an object.
pub fn append(pack: &mut Vec<u8>, object: &[u8]) {
    pack.extend(u32::try_from(object.len()).unwrap_or(u32::MAX).to_le_bytes());
    pack.extend(object);
}

/// The objects of a pack. One that is cut ends them.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Those of `pack`.
    pub const fn new(pack: &'a [u8]) -> Self {
        Self { rest: pack }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        self.rest = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_comes_out_again() {
        let mut pack = Vec::new();
        for part in [b"one".as_slice(), b"", b"three"] {
            append(&mut pack, part);
        }
        assert_eq!(Parts::new(&pack).collect::<Vec<_>>(), [b"one".as_slice(), b"", b"three"]);
        assert_eq!(Parts::new(&pack[..pack.len() - 1]).count(), 2);
    }
}
