//! The 16-byte keys under which the records of customers, items and external ids are found. Shards and their entries
//! lie in the order of these keys.
//!
//! ```
//! use admit_snapshot::key::{EntryKey, ItemSalt};
//!
//! // The namespace is part of the customer: two issuers' "42" are two people.
//! assert_ne!(EntryKey::customer("shop", "42"), EntryKey::customer("club", "42"));
//!
//! let key = EntryKey::item(ItemSalt::new([7; 16]), 5101);
//! assert_eq!(key.item_id(), 5101);
//! assert!(key.shard(4) < 16); // which of 2^4 shards holds the item
//! ```

use std::fmt;

use sha2::{Digest, Sha256};
use siphasher::{sip::SipHasher24, sip128};

use super::wire::Put as _;

/// Length of an [`ItemSalt`] in bytes.
pub const SALT_LEN: usize = 16;

/// The secret from which the keys of a snapshot's items and external ids are derived. The snapshot's index holds it.
///
/// Merchants choose how large their items are, and they know the items' numbers. Without the salt they cannot
/// choose items that lie in the same shard (docs/adr/0019). The salt never appears in logs, reports or
/// answers.
///
/// The default is [`Self::IN_MEMORY`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ItemSalt(Option<[u8; SALT_LEN]>);

impl ItemSalt {
    /// No salt, as in format 1: keys follow from the items' numbers alone.
    pub const NONE: Self = Self(None);

    /// The well-known salt of snapshots that never leave the process.
    pub const IN_MEMORY: Self = Self(Some([0; SALT_LEN]));

    /// Wraps a salt of format 2.
    #[must_use]
    pub const fn new(salt: [u8; SALT_LEN]) -> Self {
        Self(Some(salt))
    }

    /// The bytes for the index. `None` in format 1.
    #[must_use]
    pub const fn bytes(&self) -> Option<&[u8; SALT_LEN]> {
        self.0.as_ref()
    }

    /// This salt, or `other` if this is [`Self::NONE`].
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match self.0 {
            Some(_) => self,
            None => other,
        }
    }
}

impl Default for ItemSalt {
    fn default() -> Self {
        Self::IN_MEMORY
    }
}

impl fmt::Debug for ItemSalt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "ItemSalt(..)" } else { "ItemSalt::NONE" })
    }
}

/// Key of the record of a customer, an item or an external id. Its leading bits choose the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey(pub [u8; 16]);

impl EntryKey {
    /// The key of the customer that an issuer's tokens name: 128 bits of SHA-256 over namespace and subject.
    ///
    /// A zero byte ends the namespace. Configuration and schema refuse it inside a namespace, so two
    /// different pairs never hash the same bytes. Among a billion customers, the chance that any two collide
    /// is about 1e-21.
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

    /// The key of an item: eight hashed bytes, which choose the shard, then the number itself, so that no two
    /// items collide. The hash is SipHash-2-4 of the number under the salt; in format 1, without a salt,
    /// SplitMix64 of the number.
    #[must_use]
    pub fn item(salt: ItemSalt, id: i64) -> Self {
        let number = id.cast_unsigned();
        let hashed = match &salt.0 {
            Some(salt) => SipHasher24::new_with_key(salt).hash(&number.to_be_bytes()),
            None => mix(number),
        };
        Self(((u128::from(hashed) << 64) | u128::from(number)).to_be_bytes())
    }

    /// The key of an external id of items of this type: SipHash-2-4-128 under the salt, of the length of the type, the
    /// type, and the id. The length keeps `(ab, c)` and `(a, bc)` apart.
    ///
    /// Merchants choose their external ids. Under the salt they cannot choose two with one key, or many in one shard.
    /// Among a billion ids, the chance that any two collide is about 1e-21. An index without a salt has no external
    /// ids; for it the key is that of a salt of zeros.
    #[must_use]
    pub fn external_id(salt: ItemSalt, item_type: &str, external_id: &str) -> Self {
        let mut bytes = Vec::with_capacity(2 + item_type.len() + external_id.len());
        bytes.put_text(item_type);
        bytes.extend_from_slice(external_id.as_bytes());
        let hasher = sip128::SipHasher24::new_with_key(&salt.0.unwrap_or_default());
        Self(hasher.hash(&bytes).as_bytes())
    }

    /// The number of the item with this key, whatever the salt.
    #[must_use]
    pub const fn item_id(self) -> i64 {
        let [_, _, _, _, _, _, _, _, number @ ..] = self.0;
        i64::from_be_bytes(number)
    }

    /// The number of the shard, out of `1 << bits`, that holds this key. `bits` above 32 count as 32.
    #[must_use]
    pub fn shard(self, bits: u8) -> usize {
        let value = u128::from_be_bytes(self.0);
        // Shift the leading bits down. With 0 bits the shift by 128 overflows, which gives shard 0.
        match 128_u32.checked_sub(u32::from(bits.min(32))) {
            Some(shift) => usize::try_from(value.checked_shr(shift).unwrap_or(0)).unwrap_or(0),
            None => 0,
        }
    }
}

impl EntryKey {
    /// The lowest key in the shard with this number, where the leading `bits` of a key are that number.
    #[must_use]
    pub const fn first_of(shard: usize, bits: u8) -> Self {
        // With 0 bits there is one shard, and the shift by 128 overflows.
        match (shard as u128).checked_shl(128 - bits as u32) {
            Some(key) => Self(key.to_be_bytes()),
            None => Self([0; 16]),
        }
    }

    /// The highest key below the shard with this number, which is not 0.
    #[must_use]
    pub const fn last_before(shard: usize, bits: u8) -> Self {
        let Self(first) = Self::first_of(shard, bits);
        Self(u128::from_be_bytes(first).wrapping_sub(1).to_be_bytes())
    }
}

/// SplitMix64's output for the state `z`: each input bit changes each output bit with a probability of one
/// half.
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

    /// `vectors_sip128[1]` of the reference implementation of SipHash.
    const SIP_128_OF_ONE_ZERO_BYTE: [u8; 16] =
        [0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45];

    /// Pins the keys of published records: a change here changes the format and needs a migration plan.
    #[test]
    fn keys_are_pinned() {
        let customer = EntryKey::customer("vendor", "11a7ed90-65d3-4ee2-9d91-4e1409678576");
        assert_eq!(u128::from_be_bytes(customer.0), 0xc1cac2d6ae2187cb3b89b75615575173);
        let item = |salt, id| u128::from_be_bytes(EntryKey::item(salt, id).0);
        assert_eq!(item(ItemSalt::NONE, 33), 0x2c0e0fedbe2218a80000000000000021);
        // SipHash-2-4 of the reference implementation's key and its message of eight bytes.
        let salt = ItemSalt::new(std::array::from_fn(|byte| byte as u8));
        assert_eq!(item(salt, 0x0001_0203_0405_0607), 0x93f5f5799a9324620001020304050607);
        // SipHash-2-4-128 of the reference implementation's key and its message of one byte: the length of an empty
        // type.
        assert_eq!(EntryKey::external_id(salt, "", "").0, SIP_128_OF_ONE_ZERO_BYTE);
    }

    #[test]
    fn an_items_number_is_read_back_from_its_key() {
        for salt in [ItemSalt::NONE, ItemSalt::IN_MEMORY, ItemSalt::new([0x5a; 16])] {
            for id in [0, 1, -1, 33, i64::MAX, i64::MIN] {
                assert_eq!(EntryKey::item(salt, id).item_id(), id);
            }
        }
    }

    #[test]
    fn the_type_is_part_of_an_external_id() {
        let key = |item_type, id| EntryKey::external_id(ItemSalt::IN_MEMORY, item_type, id);
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(key("jw_asset", "x"), EntryKey::external_id(ItemSalt::new([1; 16]), "jw_asset", "x"));
    }

    #[test]
    fn a_salt_is_never_shown() {
        let (salt, other) = (ItemSalt::new([1; 16]), ItemSalt::new([2; 16]));
        assert_eq!(format!("{salt:?} {:?}", ItemSalt::NONE), "ItemSalt(..) ItemSalt::NONE");
        assert_eq!((ItemSalt::NONE.or(salt), other.or(salt)), (salt, other));
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
        for salt in [ItemSalt::NONE, ItemSalt::IN_MEMORY] {
            let mut counts = [0_u32; 16];
            for id in 0..1_600 {
                if let Some(count) = counts.get_mut(EntryKey::item(salt, id).shard(4)) {
                    *count += 1;
                }
            }
            assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
        }
    }
}
