//! The same customers in shards of other sizes: what the size itself costs.

use std::rc::Rc;

use admit::snapshot::{
    key::EntryKey,
    object::{FormatError, ObjectName},
    table::{Entry, Table},
};
#[cfg(not(target_arch = "wasm32"))]
use admit_publish::build::write_shard;

/// Sizes to cut to, in bytes, with the names that results have for them; the second is the publisher's.
pub const SIZES: [(&str, usize); 3] = [("16k", 16 * 1024), ("64k", 64 * 1024), ("256k", 256 * 1024)];

/// Cuts entries, which are in ascending order of key, into shards of at most about `target_bytes`, each of the keys that
/// begin with the same bits, as the publisher does.
///
/// # Errors
/// When a shard cannot be written, or would be empty: there are too few entries.
#[cfg(not(target_arch = "wasm32"))]
pub fn cut(entries: &[(EntryKey, &[u8])], target_bytes: usize) -> Result<Vec<Vec<u8>>, FormatError> {
    let total: usize = entries.iter().map(|(_, record)| record.len()).sum();
    let bits = total.div_ceil(target_bytes).next_power_of_two().trailing_zeros();
    let shards = entries
        .chunk_by(|(first, _), (second, _)| place(*first, bits) == place(*second, bits))
        .map(|chunk| {
            let (_, shard) = write_shard(chunk).ok().flatten().ok_or(FormatError::Invalid("shard"))?;
            Ok(shard)
        })
        .collect::<Result<Vec<_>, FormatError>>()?;
    if shards.len() == 1 << bits { Ok(shards) } else { Err(FormatError::Truncated) }
}

/// Shards of about one size.
#[derive(Debug, Default)]
pub struct Cut(Vec<(ObjectName, Rc<[u8]>)>);

impl Cut {
    /// Adds the next one.
    pub fn push(&mut self, name: ObjectName, shard: Rc<[u8]>) {
        self.0.push((name, shard));
    }

    /// The length of a customer's record.
    ///
    /// # Errors
    /// When there is none.
    pub fn look_up(&self, key: EntryKey) -> Result<usize, FormatError> {
        let (_, shard) =
            self.0.get(place(key, self.0.len().trailing_zeros())).ok_or(FormatError::Truncated)?;
        match Table::of_shard(shard)?.get(key)? {
            Entry::Record(record) => Ok(record.len()),
            Entry::Removed | Entry::Unknown => Err(FormatError::Invalid("look-up")),
        }
    }

    /// One of them, to be loaded: that whose size is in the middle.
    ///
    /// # Errors
    /// When there is none.
    pub fn typical(&self) -> Result<(ObjectName, Rc<[u8]>), FormatError> {
        let mut by_size: Vec<_> = self.0.iter().collect();
        by_size.sort_by_key(|(_, shard)| shard.len());
        by_size.get(by_size.len() / 2).map(|typical| (*typical).clone()).ok_or(FormatError::Truncated)
    }
}

/// The first `bits` of a key.
fn place(EntryKey(key): EntryKey, bits: u32) -> usize {
    usize::try_from(u128::from_be_bytes(key).checked_shr(128 - bits).unwrap_or(0)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use admit::snapshot::object::ObjectKind;

    use super::*;

    #[test]
    fn every_customer_is_found_in_shards_of_any_size() {
        let mut keys: Vec<_> = (0..1_000).map(|n| EntryKey::customer("x", &n.to_string())).collect();
        keys.sort_unstable();
        let records: Vec<_> = (0..1_000).map(|n| vec![0; 50 + n % 100]).collect();
        let entries: Vec<_> =
            keys.iter().copied().zip(&records).map(|(key, record)| (key, record.as_slice())).collect();
        for (target, count) in [(4 * 1024, 32), (16 * 1024, 8), (1024 * 1024, 1)] {
            let mut shards = Cut::default();
            for shard in cut(&entries, target).unwrap() {
                shards.push(ObjectName::of(ObjectKind::Shard, &shard), Rc::from(shard));
            }
            assert_eq!(shards.0.len(), count);
            for (key, record) in &entries {
                assert_eq!(shards.look_up(*key).unwrap(), record.len());
            }
            let (name, shard) = shards.typical().unwrap();
            name.check(&shard).unwrap();
            assert!(shards.look_up(EntryKey::customer("x", "nobody")).is_err());
        }
        assert!(cut(&entries[..4], 20).is_err(), "four customers cannot fill sixteen shards");
    }
}
