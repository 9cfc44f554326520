//! Where a customer or an item is found: 16-byte keys, in whose order shards and their entries lie.

use sha2::{Digest, Sha256};

/// Key of a customer or an item in the snapshot. Its leading bits choose the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(pub [u8; 16]);

impl EntryKey {
    /// The customer whom an issuer's tokens name. A namespace ends at the zero byte, which configuration and
    /// schema refuse in it, so that two pairs never hash the same bytes. 128 bits of SHA-256: with a billion
    /// customers the chance that any two collide is about 1e-21.
    #[must_use]
    pub fn customer(namespace: &str, subject: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(b"admit-customer-v1\0")
            .chain_update(namespace.as_bytes())
            .chain_update([0])
            .chain_update(subject.as_bytes())
            .finalize();
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest) {
            *to = from;
        }
        Self(key)
    }

    /// An item. Eight mixed bytes, so that consecutive numbers spread over the shards, then the number itself,
    /// so that no two items collide.
    #[must_use]
    pub fn item(id: i64) -> Self {
        let mixed = mix(id.cast_unsigned());
        Self(((u128::from(mixed) << 64) | u128::from(id.cast_unsigned())).to_be_bytes())
    }

    /// The shard among `1 << bits` (at most 32 bits) that holds this key.
    #[must_use]
    pub fn shard(self, bits: u8) -> usize {
        let value = u128::from_be_bytes(self.0);
        match 128_u32.checked_sub(u32::from(bits.min(32))) {
            Some(shift) => usize::try_from(value.checked_shr(shift).unwrap_or(0)).unwrap_or(0),
            None => 0,
        }
    }
}

/// SplitMix64's output for the state `z`: every input bit changes every output bit with probability one half.
#[must_use]
pub const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published data lies by these keys: a change here is a change of the format and needs a migration plan.
    #[test]
    fn keys_are_pinned() {
        let customer = EntryKey::customer("vendor", "11a7ed90-65d3-4ee2-9d91-4e1409678576");
        assert_eq!(u128::from_be_bytes(customer.0), 0xc1cac2d6ae2187cb3b89b75615575173);
        assert_eq!(u128::from_be_bytes(EntryKey::item(33).0), 0x2c0e0fedbe2218a80000000000000021);
    }

    #[test]
    fn the_namespace_is_part_of_the_customer() {
        assert_ne!(EntryKey::customer("a", "123"), EntryKey::customer("b", "123"));
        assert_ne!(EntryKey::customer("a", "b"), EntryKey::customer("ab", ""));
    }

    #[test]
    fn leading_bits_choose_the_shard() {
        let key = EntryKey([0b1010_0000, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(key.shard(0), 0);
        assert_eq!(key.shard(1), 1);
        assert_eq!(key.shard(3), 5);
        assert_eq!(key.shard(32), 0xa001_0203);
        assert_eq!(EntryKey([0xff; 16]).shard(200), 0xffff_ffff);
    }

    #[test]
    fn consecutive_items_spread() {
        let mut counts = [0_u32; 16];
        for id in 0..1_600 {
            if let Some(count) = counts.get_mut(EntryKey::item(id).shard(4)) {
                *count += 1;
            }
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
