//! Keeps the records of customers in buckets by the first byte of their keys: in memory while they are few,
//! then in a temporary file. The builder needs one bucket at a time.

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

/// Number of buckets as a power of two: one for each first byte of a key. With a hundred million customers of
/// 250 bytes, a bucket has 100 MB.
pub const BUCKET_BITS: u8 = 8;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// Bytes that a thread collects for a bucket before it hands them over: 256 buckets of 32 KiB are 8 MiB for
/// each thread.
const HANDED_OVER_BYTES: usize = 32 * 1024;

/// Length of an entry before its record: key (16), file (4), line (8), length of the record (4).
const HEADER_LEN: usize = 16 + 4 + 8 + 4;

/// Where records are kept.
#[derive(Clone, Debug)]
pub struct SpillPlan {
    /// Directory of the temporary file. The file has no name, so it disappears with the process, however that
    /// ends.
    pub dir: PathBuf,
    /// Bytes kept in memory before the file is used.
    pub memory_bytes: usize,
}

impl Default for SpillPlan {
    fn default() -> Self {
        Self { dir: std::env::temp_dir(), memory_bytes: 256 * 1024 * 1024 }
    }
}

/// The records of customers, in buckets.
#[derive(Debug)]
pub struct Spill {
    plan: SpillPlan,
    buckets: Vec<Mutex<Bucket>>,
    in_memory_bytes: AtomicUsize,
    file: OnceLock<File>,
    file_bytes: AtomicU64,
    /// Lengths of the entries, by the part of the tree that they belong to.
    sizes: Mutex<Sizes>,
}

#[derive(Debug, Default)]
struct Bucket {
    in_memory: Vec<u8>,
    on_disk: Vec<(u64, usize)>,
}

/// A record in the bytes of a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Key of the customer.
    pub key: EntryKey,
    /// Number of the file from which it was read.
    pub file: u32,
    /// Number of its line in that file.
    pub line: u64,
    /// The encoded record.
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

    /// Lengths of the entries in shards, without headers, by the part of the tree that they belong to.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        lock(&self.sizes).clone()
    }

    /// Number of bytes written to disk.
    #[must_use]
    pub fn spilled_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// The bytes of a bucket, for `entries`.
    ///
    /// # Errors
    /// The temporary file cannot be read.
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
        // If another thread was faster, its file is used and this one is dropped.
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
        // Above the limit, the bucket that a thread has just filled is written out.
        if self.in_memory_bytes.fetch_add(len, Ordering::Relaxed) + len > self.plan.memory_bytes {
            self.write_out(&mut bucket)?;
        }
        Ok(())
    }

    fn write_out(&self, bucket: &mut Bucket) -> io::Result<()> {
        let len = bucket.in_memory.len();
        // Reserve a range of the file first, so that threads can write at the same time.
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

/// The entries in the bytes of a bucket, in the order in which threads handed them over.
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

/// Collects the records of one thread for a [`Spill`].
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

    /// Hands over the rest.
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
