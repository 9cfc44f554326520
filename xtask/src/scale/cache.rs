//! The two caches between a check and the store: an isolate's memory, and KV at a point of presence.

use lru::LruCache;

/// Objects in an isolate's memory, least recently used out first, bounded by their bytes.
#[derive(Debug)]
pub struct Memory {
    /// Sizes by number.
    objects: LruCache<u64, f64>,
    bytes: f64,
    limit_bytes: f64,
}

impl Memory {
    /// An empty one.
    pub fn new(limit_bytes: f64) -> Self {
        Self { objects: LruCache::unbounded(), bytes: 0.0, limit_bytes }
    }

    /// Whether an object is there. It is afterwards, and counts as used now.
    pub fn use_object(&mut self, number: u64, bytes: f64) -> bool {
        if self.objects.get(&number).is_some() {
            return true;
        }
        self.objects.put(number, bytes);
        self.bytes += bytes;
        // The newest stays even if it is alone too large, as in the Worker.
        while self.bytes > self.limit_bytes && self.objects.len() > 1 {
            let Some((_, oldest)) = self.objects.pop_lru() else { break };
            self.bytes -= oldest;
        }
        false
    }

    /// The isolate ended; another begins.
    pub fn clear(&mut self) {
        self.objects.clear();
        self.bytes = 0.0;
    }
}

/// Values at a point of presence. Each is kept for a time from when it was fetched, however often it is read.
#[derive(Debug)]
pub struct Expiring {
    fetched_at: Vec<f32>,
    ttl_secs: f32,
}

impl Expiring {
    /// None of so many values.
    pub fn new(values: usize, ttl_secs: f64) -> Self {
        Self { fetched_at: vec![f32::NEG_INFINITY; values], ttl_secs: ttl_secs as f32 }
    }

    /// Whether a value is there. It is afterwards.
    pub fn read(&mut self, number: usize, now_secs: f64) -> bool {
        let now_secs = now_secs as f32;
        let Some(fetched_at) = self.fetched_at.get_mut(number) else { return false };
        if now_secs - *fetched_at < self.ttl_secs {
            return true;
        }
        *fetched_at = now_secs;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_drops_what_was_used_least_recently() {
        let mut memory = Memory::new(250.0);
        assert!(!memory.use_object(1, 100.0));
        assert!(!memory.use_object(2, 100.0));
        assert!(memory.use_object(1, 100.0));
        assert!(!memory.use_object(3, 100.0));
        assert!(!memory.use_object(2, 100.0), "2 made room for 3");
        assert!(!memory.use_object(1, 100.0), "1 made room for 2");
        assert!(memory.use_object(2, 100.0));
        assert!(!memory.use_object(9, 1_000.0));
        assert!(memory.use_object(9, 1_000.0), "one that is alone too large stays until the next");
        memory.clear();
        assert!(!memory.use_object(9, 1_000.0));
    }

    #[test]
    fn a_value_is_kept_from_when_it_was_fetched() {
        let mut values = Expiring::new(2, 300.0);
        assert!(!values.read(0, 1_000.0));
        assert!(values.read(0, 1_299.0));
        assert!(!values.read(0, 1_300.0), "reading it did not make it stay longer");
        assert!(values.read(0, 1_301.0));
        assert!(!values.read(1, 1_301.0));
    }
}
