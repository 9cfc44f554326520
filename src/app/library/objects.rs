//! Shards and pages: those in memory, those that a request is loading, and those that could not be read.

use std::rc::Rc;

use super::head_watch::is_lost;
use crate::{
    limits::{OBJECT_CACHE_BYTES, UNREADABLE_MAX, UNREADABLE_SECS},
    snapshot::{object::ObjectName, sorted_map::SortedMap, time::UnixSecs, version::ObjectCache},
};

/// The objects of all versions.
#[derive(Debug)]
pub struct Objects {
    /// Those in memory.
    pub cache: ObjectCache,
    /// Objects that a request is loading, and since when.
    loading: SortedMap<ObjectName, UnixSecs>,
    /// Objects that could not be read, and when that was.
    unreadable: SortedMap<ObjectName, UnixSecs>,
}

impl Default for Objects {
    fn default() -> Self {
        let cache = ObjectCache::new(OBJECT_CACHE_BYTES);
        Self { cache, loading: SortedMap::new(), unreadable: SortedMap::new() }
    }
}

impl Objects {
    /// Those of `names` that are neither in memory nor being loaded by another request, as long as fewer than `most` objects
    /// are being loaded in all. They count as being loaded from now on, until [`Self::loaded`], [`Self::failed`],
    /// [`Self::given_up`], or the request is taken for lost.
    pub fn begin_loading(&mut self, names: &[ObjectName], most: usize, now: UnixSecs) -> Vec<ObjectName> {
        self.loading.retain(|_, since| !is_lost(*since, now));
        let mut mine = Vec::new();
        for name in names {
            if self.loading.len() >= most {
                break;
            }
            let is_missing = self.cache.get(*name).is_none();
            if is_missing && self.loading.insert(*name, now).is_none() {
                mine.push(*name);
            }
        }
        mine
    }

    /// Whether a request is loading an object, and is not lost.
    #[must_use]
    pub fn is_loading(&self, name: ObjectName, now: UnixSecs) -> bool {
        self.loading.get(&name).is_some_and(|since| !is_lost(*since, now))
    }

    /// Objects that were to be loaded are not, and nothing is known about them.
    pub fn given_up(&mut self, names: &[ObjectName]) {
        for name in names {
            self.loading.remove(name);
        }
    }

    /// An object was read.
    pub fn loaded(&mut self, name: ObjectName, object: Rc<[u8]>) {
        self.loading.remove(&name);
        self.unreadable.remove(&name);
        self.cache.insert(name, object);
    }

    /// An object could not be read.
    pub fn failed(&mut self, name: ObjectName, now: UnixSecs) {
        self.loading.remove(&name);
        if self.unreadable.len() >= UNREADABLE_MAX {
            self.unreadable.clear();
        }
        self.unreadable.insert(name, now);
    }

    /// Whether an object could not be read a moment ago.
    #[must_use]
    pub fn is_unreadable(&self, name: ObjectName, now: UnixSecs) -> bool {
        self.unreadable.get(&name).is_some_and(|failed_at| now.saturating_sub(*failed_at) < UNREADABLE_SECS)
    }

    /// Whether any object could not be read in the last `secs` seconds.
    #[must_use]
    pub fn has_failed_within(&self, secs: i64, now: UnixSecs) -> bool {
        self.unreadable.values().any(|failed_at| now.saturating_sub(*failed_at) < secs)
    }
}
