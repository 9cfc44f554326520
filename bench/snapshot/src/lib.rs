//! Reads of a snapshot to be timed: natively (`bench/src/snapshot`) and in workerd (`wasm.rs`), by the same code. It goes
//! through [`Version`], as the Worker does.

pub mod cut;
pub mod pack;
#[cfg(target_arch = "wasm32")]
mod wasm;

use std::{hint::black_box, rc::Rc};

use admit::{
    limits::OBJECT_CACHE_BYTES,
    snapshot::{
        directory::Directory,
        head::Head,
        index::{Index, Tree},
        key::EntryKey,
        object::{Digest, FormatError, ObjectKind, ObjectName},
        table::Table,
        version::{Found, ObjectCache, Version},
    },
};

use cut::{Cut, SIZES};

/// A kind of work to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing but the loop.
    Empty,
    /// From a customer's name to the key.
    Key,
    /// From a key to the record in a loaded shard, without a delta.
    Shard,
    /// From a key to the record in the delta.
    Delta,
    /// From a key that the delta does not have to the record in a loaded shard.
    ShardBehindDelta,
    /// From a key to the record in a shard of another size: which of [`SIZES`].
    ShardOf(usize),
}

impl Work {
    /// All of them, with the names that requests and results have for them.
    pub const ALL: [(&'static str, Self); 8] = [
        ("empty", Self::Empty),
        ("key", Self::Key),
        ("shard", Self::Shard),
        ("delta", Self::Delta),
        ("shard_behind_delta", Self::ShardBehindDelta),
        ("shard_16k", Self::ShardOf(0)),
        ("shard_64k", Self::ShardOf(1)),
        ("shard_256k", Self::ShardOf(2)),
    ];

    /// The work of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|(_, work)| *work)
    }
}

/// A loaded snapshot, and the customers that are looked up in it.
#[derive(Debug)]
pub struct Subject {
    plain: Version,
    with_delta: Version,
    objects: ObjectCache,
    names: Vec<(String, String)>,
    keys: Vec<EntryKey>,
    /// The number of first keys that are in the delta.
    in_delta: usize,
    /// Shards to load: the largest, and a typical one of each of [`SIZES`].
    loadable: Vec<(ObjectName, Rc<[u8]>)>,
    cuts: [Cut; SIZES.len()],
}

impl Subject {
    /// Loads `pack` ([`pack`]). `names` has a customer on each line, namespace and subject separated by a tab; the first
    /// `in_delta` lines are in the delta.
    pub fn new(pack: &[u8], names: &str, in_delta: usize) -> Result<Self, FormatError> {
        let mut parts = pack::Parts::new(pack);
        let mut part = || parts.next().ok_or(FormatError::Truncated);
        let (index, directory, delta) = (part()?, part()?, part()?);
        let head = Head::new(1, 0, Digest::of(index), Digest::of(directory));
        let plain = Version {
            head,
            index: Rc::new(Index::decode(index.to_vec())?),
            directory: Rc::new(Directory::decode(directory)?),
            delta: None,
        };
        let with_delta = Version {
            head: plain.head.clone(),
            index: Rc::clone(&plain.index),
            directory: Rc::clone(&plain.directory),
            delta: Some(Rc::from(delta)),
        };
        let mut objects = ObjectCache::new(OBJECT_CACHE_BYTES);
        let mut largest: Option<(ObjectName, Rc<[u8]>)> = None;
        let mut cuts = SIZES.map(|_| Cut::default());
        let mut kind = 0_usize;
        for shard in parts {
            if shard.is_empty() {
                kind += 1;
                continue;
            }
            let (name, shard) = (ObjectName::of(ObjectKind::Shard, shard), Rc::<[u8]>::from(shard));
            match kind.checked_sub(2) {
                Some(size) => cuts.get_mut(size).ok_or(FormatError::Invalid("pack"))?.push(name, shard),
                None => {
                    let is_larger = largest.as_ref().is_none_or(|(_, largest)| largest.len() < shard.len());
                    if kind == 0 && is_larger {
                        largest = Some((name, Rc::clone(&shard)));
                    }
                    objects.insert(name, shard);
                }
            }
        }
        let names: Vec<_> = names
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(namespace, subject)| (namespace.to_owned(), subject.to_owned()))
            .collect();
        let keys = names.iter().map(|(namespace, subject)| EntryKey::customer(namespace, subject)).collect();
        let mut loadable = vec![largest.ok_or(FormatError::Truncated)?];
        for cut in &cuts {
            loadable.push(cut.typical()?);
        }
        Ok(Self { plain, with_delta, objects, names, keys, in_delta, loadable, cuts })
    }

    /// A shard of customers, which [`Self::load`] takes: the largest one, and then a typical one of each of [`SIZES`].
    pub fn shard(&self, which: usize) -> Result<&[u8], FormatError> {
        self.loadable.get(which).map(|(_, shard)| &**shard).ok_or(FormatError::Truncated)
    }

    /// Repeats `work`, with another customer each time. Every look-up must find a record; the result is the sum of their
    /// lengths.
    pub fn repeat(&mut self, work: Work, times: u32) -> Result<u64, FormatError> {
        let Self { plain, with_delta, objects, names, keys, in_delta, cuts, .. } = self;
        let (first, rest) = keys.split_at(*in_delta);
        let mut sum = 0_u64;
        let mut look_up = |version: &Version, keys: &[EntryKey]| {
            for key in keys.iter().cycle().take(times as usize) {
                match version.look_up(Tree::Customers, black_box(*key), objects)? {
                    Found::Record(record) => sum += record.bytes().len() as u64,
                    Found::Absent | Found::Load(_) => return Err(FormatError::Invalid("look-up")),
                }
            }
            Ok(())
        };
        match work {
            Work::Empty => keys.iter().cycle().take(times as usize).for_each(|key| {
                black_box(*key);
            }),
            Work::Key => names.iter().cycle().take(times as usize).for_each(|(namespace, subject)| {
                black_box(EntryKey::customer(namespace, subject));
            }),
            Work::Shard => look_up(plain, keys)?,
            Work::Delta => look_up(with_delta, first)?,
            Work::ShardBehindDelta => look_up(with_delta, rest)?,
            Work::ShardOf(size) => {
                let cut = cuts.get(size).ok_or(FormatError::Truncated)?;
                for key in keys.iter().cycle().take(times as usize) {
                    sum += cut.look_up(black_box(*key))? as u64;
                }
            }
        }
        Ok(sum)
    }

    /// What the Worker does with a shard that the store gave, [`Self::shard`]'s of that number: checks header and digest, keeps it, and finds the
    /// table in it.
    pub fn load(
        &self,
        which: usize,
        object: Vec<u8>,
        digest_of: impl FnOnce(&[u8]) -> Digest,
    ) -> Result<usize, FormatError> {
        let (name, _) = self.loadable.get(which).ok_or(FormatError::Truncated)?;
        name.check_by(&object, digest_of)?;
        Self::open(object)
    }

    /// The same without the digest.
    pub fn open(object: Vec<u8>) -> Result<usize, FormatError> {
        // Hidden from the optimiser, which would skip the copy because only a few bytes are read.
        let object: Rc<[u8]> = black_box(Rc::from(black_box(object)));
        Ok(Table::of_shard(&object)?.len())
    }
}
