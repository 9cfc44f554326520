//! Keeps customers' records by the first byte of their keys, in memory as long as they are few, then in a
//! temporary file: what is built from them needs one part at a time.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use admit_snapshot::key::EntryKey;

use crate::build::{Sizes, entry_bytes};

/// Buckets: one for each first byte of a key. A bucket of a hundred million customers of 250 bytes is 100 MB.
pub const BUCKET_BITS: u8 = 8;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// What one thread collects for a bucket before it hands it over: 256 x 32 KiB = 8 MiB a thread.
const HANDED_OVER_BYTES: usize = 32 * 1024;

/// Key, file, line, length of the record.
const HEADER_LEN: usize = 16 + 4 + 8 + 4;

/// Where records go.
#[derive(Clone, Debug)]
pub struct SpillPlan {
    /// Where the temporary file is made. It has no name: it is gone with the process, however that ends.
    pub dir: PathBuf,
    /// How much is kept in memory before the file is used.
    pub memory_bytes: usize,
}

impl Default for SpillPlan {
    fn default() -> Self {
        Self { dir: std::env::temp_dir(), memory_bytes: 256 * 1024 * 1024 }
    }
}

/// Records of customers, by bucket.
#[derive(Debug)]
pub struct Spill {
    plan: SpillPlan,
    buckets: Vec<Mutex<Bucket>>,
    in_memory_bytes: AtomicUsize,
    file: OnceLock<File>,
    file_bytes: AtomicU64,
    /// What the entries take in shards, and where.
    sizes: Mutex<Sizes>,
}

#[derive(Debug, Default)]
struct Bucket {
    in_memory: Vec<u8>,
    on_disk: Vec<(u64, usize)>,
}

/// A record, as it lies in the bytes of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The customer's key.
    pub key: EntryKey,
    /// Number of the file that it was read from.
    pub file: u32,
    /// Its line there.
    pub line: u64,
    /// The record.
    pub record: &'a [u8],
}

impl Spill {
    pub(super) fn new(plan: SpillPlan) -> Self {
        Self {
            plan,
            buckets: std::iter::repeat_with(Mutex::default).take(BUCKETS).collect(),
            in_memory_bytes: AtomicUsize::new(0),
            file: OnceLock::new(),
            file_bytes: AtomicU64::new(0),
            sizes: Mutex::default(),
        }
    }

    /// What the entries take in shards, headers aside, and where.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        lock(&self.sizes).clone()
    }

    /// How much was written to disk, in bytes.
    #[must_use]
    pub fn spilled_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// The bytes of a bucket, for [`entries`].
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn bucket(&self, number: usize) -> io::Result<Vec<u8>> {
        let Some(bucket) = self.buckets.get(number) else { return Ok(Vec::new()) };
        let bucket = lock(bucket);
        let on_disk: usize = bucket.on_disk.iter().map(|(_, len)| len).sum();
        let mut bytes = Vec::with_capacity(on_disk + bucket.in_memory.len());
        for (offset, len) in &bucket.on_disk {
            let start = bytes.len();
            bytes.resize(start + len, 0);
            self.file()?.read_exact_at(bytes.get_mut(start..).unwrap_or_default(), *offset)?;
        }
        bytes.extend_from_slice(&bucket.in_memory);
        Ok(bytes)
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = tempfile::tempfile_in(&self.plan.dir).map_err(|error| self.explain(&error))?;
        // Another thread may have been quicker: then its file is the one.
        Ok(self.file.get_or_init(|| file))
    }

    fn explain(&self, error: &io::Error) -> io::Error {
        let dir = self.plan.dir.display();
        io::Error::new(error.kind(), format!("temporary file in {dir}: {error}"))
    }

    fn add(&self, number: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some(bucket) = self.buckets.get(number) else { return Ok(()) };
        let len = bytes.len();
        let mut bucket = lock(bucket);
        bucket.in_memory.append(bytes);
        if self.in_memory_bytes.fetch_add(len, Ordering::Relaxed) + len > self.plan.memory_bytes {
            self.write_out(&mut bucket)?;
        }
        Ok(())
    }

    fn write_out(&self, bucket: &mut Bucket) -> io::Result<()> {
        let len = bucket.in_memory.len();
        let offset = self.file_bytes.fetch_add(len as u64, Ordering::Relaxed);
        self.file()?.write_all_at(&bucket.in_memory, offset).map_err(|error| self.explain(&error))?;
        bucket.on_disk.push((offset, len));
        bucket.in_memory = Vec::new();
        self.in_memory_bytes.fetch_sub(len, Ordering::Relaxed);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entries in the bytes of a bucket, in the order in which they were handed over.
pub fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let (key, rest) = bytes.split_first_chunk()?;
        let (file, rest) = rest.split_first_chunk()?;
        let (line, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (record, rest) = rest.split_at_checked(len)?;
        bytes = rest;
        let (file, line) = (u32::from_le_bytes(*file), u64::from_le_bytes(*line));
        Some(Entry { key: EntryKey(*key), file, line, record })
    })
}

/// One thread's way into a [`Spill`].
pub(super) struct SpillWriter<'a> {
    spill: &'a Spill,
    file: u32,
    buffers: Vec<Vec<u8>>,
    sizes: Sizes,
}

impl<'a> SpillWriter<'a> {
    pub fn new(spill: &'a Spill, file: u32) -> Self {
        Self { spill, file, buffers: vec![Vec::new(); BUCKETS], sizes: Sizes::default() }
    }

    /// Adds a record.
    pub fn push(&mut self, key: EntryKey, line: u64, record: &[u8]) -> io::Result<()> {
        let number = key.shard(BUCKET_BITS);
        let Some(buffer) = self.buffers.get_mut(number) else { return Ok(()) };
        let len = u32::try_from(record.len()).map_err(io::Error::other)?;
        buffer.reserve(HEADER_LEN + record.len());
        buffer.extend_from_slice(&key.0);
        buffer.extend_from_slice(&self.file.to_le_bytes());
        buffer.extend_from_slice(&line.to_le_bytes());
        buffer.extend_from_slice(&len.to_le_bytes());
        buffer.extend_from_slice(record);
        self.sizes.add(key, entry_bytes(record));
        if buffer.len() >= HANDED_OVER_BYTES {
            self.spill.add(number, buffer)?;
        }
        Ok(())
    }

    /// Hands over what is left.
    pub fn finish(&mut self) -> io::Result<()> {
        lock(&self.spill.sizes).append(&self.sizes);
        for (number, buffer) in self.buffers.iter_mut().enumerate() {
            if !buffer.is_empty() {
                self.spill.add(number, buffer)?;
            }
        }
        Ok(())
    }
}
