//! The same customers in shards of other sizes, to see the cost of the size itself.

use std::rc::Rc;

use admit::snapshot::{
    key::EntryKey,
    object::{FormatError, ObjectName},
    table::{Entry, Table},
};

/// Sizes of shards, in bytes, with their names in results; the second is the publisher's.
pub const SIZES: [(&str, usize); 3] = [("16k", 16 * 1024), ("64k", 64 * 1024), ("256k", 256 * 1024)];

/// Shards of about one size.
#[derive(Debug, Default)]
pub struct Cut(Vec<(ObjectName, Rc<[u8]>)>);

impl Cut {
    /// Adds the next one.
    pub fn push(&mut self, name: ObjectName, shard: Rc<[u8]>) {
        self.0.push((name, shard));
    }

    /// The length of a customer's record.
    pub fn look_up(&self, key: EntryKey) -> Result<usize, FormatError> {
        let (_, shard) =
            self.0.get(key.shard(self.0.len().trailing_zeros() as u8)).ok_or(FormatError::Truncated)?;
        match Table::of_shard(shard)?.get(key)? {
            Entry::Record(record) => Ok(record.len()),
            Entry::Removed | Entry::Unknown => Err(FormatError::Invalid("look-up")),
        }
    }

    /// The shard of median size.
    pub fn typical(&self) -> Result<(ObjectName, Rc<[u8]>), FormatError> {
        let mut by_size: Vec<_> = self.0.iter().collect();
        by_size.sort_by_key(|(_, shard)| shard.len());
        by_size.get(by_size.len() / 2).map(|typical| (*typical).clone()).ok_or(FormatError::Truncated)
    }
}
