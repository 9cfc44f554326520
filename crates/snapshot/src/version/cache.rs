//! Shards and pages in memory.

use std::{
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
};

use lru::LruCache;

use crate::object::ObjectName;

/// A cheap hasher. Digests are uniformly distributed, and only the publisher chooses them.
#[derive(Debug, Default)]
struct OfDigest(u64);

impl Hasher for OfDigest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(8) ^ word;
    }

    // What tells the kinds of objects apart.
    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }
}

/// Shards and pages in memory, bounded by their bytes. The least recently used are dropped first.
#[derive(Debug)]
pub struct ObjectCache {
    objects: LruCache<ObjectName, Rc<[u8]>, BuildHasherDefault<OfDigest>>,
    size_bytes: usize,
    limit_bytes: usize,
}

impl ObjectCache {
    /// An empty cache for at most `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            objects: LruCache::unbounded_with_hasher(BuildHasherDefault::default()),
            size_bytes: 0,
            limit_bytes,
        }
    }

    /// Returns an object and marks it as used now.
    pub fn get(&mut self, name: ObjectName) -> Option<Rc<[u8]>> {
        self.objects.get(&name).map(Rc::clone)
    }

    /// Keeps an object. The caller has checked its bytes against its name.
    pub fn insert(&mut self, name: ObjectName, object: Rc<[u8]>) {
        self.size_bytes += object.len();
        if let Some(previous) = self.objects.put(name, object) {
            self.size_bytes -= previous.len();
        }
        // The newest object stays even if it exceeds the limit by itself: its request is waiting for it.
        while self.size_bytes > self.limit_bytes && self.objects.len() > 1 {
            let Some((_, oldest)) = self.objects.pop_lru() else { break };
            self.size_bytes -= oldest.len();
        }
    }

    /// Bytes of all objects in the cache.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Number of objects in the cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}
