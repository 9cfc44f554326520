//! A store in memory that follows KV's rules and fails on demand.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use admit::ports::{KeyPage, ObjectStore, StoreError};
use admit_snapshot::store_key::copied_bytes;

use super::MemoryClock;

/// The longest key that KV accepts.
pub const KEY_MAX_BYTES: usize = 512;

/// The longest value that KV accepts.
pub const VALUE_MAX_BYTES: usize = 25 * 1024 * 1024;

/// How long KV refuses a second write to a key, in milliseconds.
pub const WRITE_PAUSE_MS: u64 = 1_000;

/// The most keys that KV lists at once.
pub const LIST_MAX_KEYS: usize = 1_000;

/// A fault of the store for some keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Reads fail, and so do lists of keys with this beginning.
    Error,
    /// Reads find nothing and lists omit the key, as at an edge that has not seen the write yet.
    Missing,
    /// Reads find nothing unless they ask for recent data, as at an edge that has cached that the key was
    /// missing.
    MissingInCache,
    /// Reads find the value before the last one, or nothing if it was the first.
    Stale,
    /// Reads find only the first bytes, this number of them.
    Truncated(usize),
    /// Reads find the value with the lowest bit of the byte at this position flipped; the position wraps
    /// around.
    Flipped(usize),
    /// Reads never end.
    Hangs,
    /// Reads take this many milliseconds more than others.
    Slow(u64),
    /// Writes and removals fail, and change nothing.
    PutError,
    /// Writes and removals fail, although they are done.
    PutUnconfirmed,
    /// Writes and removals never end, and change nothing.
    PutHangs,
}

impl Fault {
    const fn is_of_puts(self) -> bool {
        matches!(self, Self::PutError | Self::PutUnconfirmed | Self::PutHangs)
    }
}

#[derive(Debug)]
struct Broken {
    prefix: String,
    fault: Fault,
    /// Remaining uses; `None` for a fault that lasts until it is mended.
    times: Option<u32>,
}

#[derive(Clone, Debug, Default)]
struct Stored {
    value: Vec<u8>,
    before: Option<Vec<u8>>,
}

/// Objects in memory, with KV's rules as far as they apply here.
#[derive(Debug, Default)]
pub struct MemoryStore {
    clock: MemoryClock,
    objects: RefCell<BTreeMap<String, Stored>>,
    broken: RefCell<Vec<Broken>>,
    reads: RefCell<Vec<String>>,
    writes: RefCell<Vec<String>>,
    /// When each key was last written or removed.
    written_at_ms: RefCell<BTreeMap<String, u64>>,
    list_max_keys: Cell<Option<usize>>,
    limits_writes: Cell<bool>,
    latency_ms: Cell<u64>,
    bytes_read: Cell<usize>,
    reading: Cell<usize>,
    most_reading: Cell<usize>,
}

impl MemoryStore {
    /// An empty store with the clock `clock`.
    #[must_use]
    pub fn new(clock: MemoryClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Applies `fault` to every key that begins with `prefix`, until it is mended. The latest fault counts.
    pub fn break_on(&self, prefix: &str, fault: Fault) {
        self.broken.borrow_mut().push(Broken { prefix: prefix.to_owned(), fault, times: None });
    }

    /// Applies `fault` to the next `times` operations on keys that begin with `prefix`.
    pub fn break_times(&self, prefix: &str, fault: Fault, times: u32) {
        self.broken.borrow_mut().push(Broken { prefix: prefix.to_owned(), fault, times: Some(times) });
    }

    /// Ends all faults.
    pub fn mend(&self) {
        self.broken.borrow_mut().clear();
    }

    /// Whether a second write to a key within [`WRITE_PAUSE_MS`] fails, as in KV (429).
    pub fn limit_writes(&self, limits_writes: bool) {
        self.limits_writes.set(limits_writes);
    }

    /// Lists at most `max_keys` keys at once, instead of [`LIST_MAX_KEYS`].
    pub fn limit_lists(&self, max_keys: usize) {
        self.list_max_keys.set(Some(max_keys));
    }

    /// Sets how far each operation advances the clock.
    pub fn set_latency_ms(&self, latency_ms: u64) {
        self.latency_ms.set(latency_ms);
    }

    /// The keys that were read and the prefixes that were listed, in order.
    #[must_use]
    pub fn reads(&self) -> Vec<String> {
        self.reads.borrow().clone()
    }

    /// The number of bytes that reads have copied.
    #[must_use]
    pub const fn bytes_read(&self) -> usize {
        self.bytes_read.get()
    }

    /// The largest number of reads at the same time. A read whose request is dropped counts as going on.
    #[must_use]
    pub const fn most_reading(&self) -> usize {
        self.most_reading.get()
    }

    /// The keys that were written or removed, in order, also those of failed operations.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        self.writes.borrow().clone()
    }

    /// Forgets the operations so far.
    pub fn forget_operations(&self) {
        self.reads.borrow_mut().clear();
        self.writes.borrow_mut().clear();
    }

    /// The keys that have a value.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.objects.borrow().keys().cloned().collect()
    }

    /// The value of `key`, without faults. Not counted.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<Vec<u8>> {
        self.objects.borrow().get(key).map(|stored| stored.value.clone())
    }

    /// Sets a value, without faults. Not counted.
    pub fn insert(&self, key: &str, value: &[u8]) {
        let mut objects = self.objects.borrow_mut();
        let before = objects.remove(key).map(|stored| stored.value);
        let stored = Stored { value: value.to_vec(), before };
        objects.insert(key.to_owned(), stored);
        self.written_at_ms.borrow_mut().insert(key.to_owned(), self.clock.now_ms());
    }

    /// Removes a value, without faults. Not counted.
    pub fn remove(&self, key: &str) {
        self.objects.borrow_mut().remove(key);
    }

    fn fault(&self, key: &str, is_put: bool) -> Option<Fault> {
        let mut broken = self.broken.borrow_mut();
        let found = broken.iter_mut().rev().find(|broken| {
            key.starts_with(&broken.prefix)
                && broken.fault.is_of_puts() == is_put
                && broken.times.is_none_or(|times| times > 0)
        })?;
        found.times = found.times.map(|times| times - 1);
        Some(found.fault)
    }

    /// Writes or removes, and answers, or not.
    async fn write(&self, key: &str, change: impl FnOnce()) -> Result<(), StoreError> {
        let (is_done, answer) = self.begin_write(key);
        if is_done {
            change();
        }
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// Decides whether a write or a removal is done, and how it is answered, if it is.
    fn begin_write(&self, key: &str) -> (bool, Option<Result<(), StoreError>>) {
        self.writes.borrow_mut().push(key.to_owned());
        self.clock.advance_ms(self.latency_ms.get());
        if let Err(error) = Self::check_key(key) {
            return (false, Some(Err(error)));
        }
        let written_at_ms = self.written_at_ms.borrow().get(key).copied();
        let is_too_soon = written_at_ms
            .is_some_and(|written_at_ms| self.clock.now_ms() < written_at_ms.saturating_add(WRITE_PAUSE_MS));
        if self.limits_writes.get() && is_too_soon {
            return (false, Some(Err(StoreError("429: one write a second to a key".to_owned()))));
        }
        match self.fault(key, true) {
            Some(Fault::PutError) => (false, Some(Err(StoreError("broken on cue".to_owned())))),
            Some(Fault::PutUnconfirmed) => (true, Some(Err(StoreError("not confirmed, on cue".to_owned())))),
            Some(Fault::PutHangs) => (false, None),
            _ => (true, Some(Ok(()))),
        }
    }

    fn check_key(key: &str) -> Result<(), StoreError> {
        if key.is_empty() || key == "." || key == ".." || key.len() > KEY_MAX_BYTES {
            return Err(StoreError(format!("400: a key of {} bytes", key.len())));
        }
        Ok(())
    }

    async fn read(&self, key: &str, is_recent: bool) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.borrow_mut().push(key.to_owned());
        // Lets other futures run before the value arrives, as at a real store.
        super::yield_once().await;
        self.reading.set(self.reading.get() + 1);
        self.most_reading.set(self.most_reading.get().max(self.reading.get()));
        self.clock.pass(self.latency_ms.get()).await;
        self.reading.set(self.reading.get() - 1);
        Self::check_key(key)?;
        let stored = self.objects.borrow().get(key).cloned();
        let value = stored.as_ref().map(|stored| {
            let copied = copied_bytes(key, stored.value.len());
            self.bytes_read.set(self.bytes_read.get() + copied);
            stored.value.get(..copied).unwrap_or_default().to_vec()
        });
        Ok(match self.fault(key, false) {
            Some(Fault::Error) => return Err(StoreError("broken on cue".to_owned())),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Missing) => None,
            Some(Fault::MissingInCache) if !is_recent => None,
            Some(Fault::Stale) => stored.and_then(|stored| stored.before),
            Some(Fault::Truncated(len)) => value.map(|mut value| {
                value.truncate(len);
                value
            }),
            Some(Fault::Flipped(place)) => value.map(|mut value| {
                let place = place % value.len().max(1);
                if let Some(byte) = value.get_mut(place) {
                    *byte ^= 1;
                }
                value
            }),
            Some(Fault::Slow(ms)) => {
                self.clock.pass(ms).await;
                value
            }
            Some(Fault::MissingInCache | Fault::PutError | Fault::PutUnconfirmed | Fault::PutHangs)
            | None => value,
        })
    }
}

impl ObjectStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key, false).await
    }

    async fn get_recent(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key, true).await
    }

    async fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > VALUE_MAX_BYTES {
            return Err(StoreError(format!("413: a value of {} bytes", value.len())));
        }
        self.write(key, || self.insert(key, value)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let remove = || {
            self.remove(key);
            self.written_at_ms.borrow_mut().insert(key.to_owned(), self.clock.now_ms());
        };
        self.write(key, remove).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        self.reads.borrow_mut().push(prefix.to_owned());
        super::yield_once().await;
        self.clock.advance_ms(self.latency_ms.get());
        match self.fault(prefix, false) {
            Some(Fault::Error) => return Err(StoreError("broken on cue".to_owned())),
            Some(Fault::Hangs) => std::future::pending().await,
            _ => {}
        }
        let known = self.keys();
        let mut keys: Vec<String> = known
            .into_iter()
            .filter(|key| key.starts_with(prefix) && cursor.is_none_or(|cursor| key.as_str() > cursor))
            .filter(|key| self.fault(key, false) != Some(Fault::Missing))
            .collect();
        let max_keys = self.list_max_keys.get().unwrap_or(LIST_MAX_KEYS);
        let is_last = keys.len() <= max_keys;
        keys.truncate(max_keys);
        let cursor = keys.last().filter(|_| !is_last).cloned();
        Ok(KeyPage { keys, cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{block_on, poll_once},
        *,
    };

    fn get(store: &MemoryStore, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        block_on(store.get(key))
    }

    #[test]
    fn breaks_on_cue_and_mends() {
        let store = MemoryStore::default();
        block_on(store.put("a/1", b"old")).unwrap();
        block_on(store.put("a/1", b"new")).unwrap();
        block_on(store.put("b", b"b")).unwrap();
        store.break_on("a/", Fault::Error);
        assert!(get(&store, "a/1").is_err());
        assert_eq!(get(&store, "b"), Ok(Some(b"b".to_vec())));
        for (fault, expected) in [
            (Fault::Missing, None),
            (Fault::MissingInCache, None),
            (Fault::Stale, Some(&b"old"[..])),
            (Fault::Truncated(2), Some(b"ne")),
            (Fault::Flipped(0), Some(b"oew")),
        ] {
            store.break_times("a/", fault, 1);
            assert_eq!(get(&store, "a/1"), Ok(expected.map(<[u8]>::to_vec)), "{fault:?}");
        }
        assert!(get(&store, "a/1").is_err(), "the lasting fault is back");
        store.mend();
        store.break_on("a/", Fault::MissingInCache);
        assert_eq!(get(&store, "a/1"), Ok(None));
        assert_eq!(block_on(store.get_recent("a/1")), Ok(Some(b"new".to_vec())));
        store.mend();
        store.break_times("a/", Fault::PutError, 1);
        assert!(block_on(store.put("a/1", b"newer")).is_err());
        assert_eq!(get(&store, "a/1"), Ok(Some(b"new".to_vec())));
        store.break_times("a/", Fault::PutUnconfirmed, 1);
        assert!(block_on(store.put("a/1", b"newer")).is_err());
        assert_eq!(get(&store, "a/1"), Ok(Some(b"newer".to_vec())));
    }

    #[test]
    fn a_read_that_hangs_ends_with_its_future() {
        let store = MemoryStore::default();
        store.break_on("", Fault::Hangs);
        let mut reading = Box::pin(store.get("a"));
        assert!(poll_once(&mut reading).is_pending());
        drop(reading);
        store.mend();
        assert_eq!(get(&store, "a"), Ok(None));
        assert_eq!(store.reads(), ["a", "a"]);
    }

    #[test]
    fn keeps_the_rules_of_kv() {
        let clock = MemoryClock::at(5_000);
        let store = MemoryStore::new(clock.clone());
        store.limit_writes(true);
        assert!(block_on(store.put("k", b"1")).is_ok());
        clock.advance_ms(999);
        assert!(block_on(store.put("k", b"2")).is_err());
        clock.advance_ms(1);
        assert!(block_on(store.put("k", b"2")).is_ok());
        assert!(block_on(store.put(&"k".repeat(KEY_MAX_BYTES), b"")).is_ok());
        assert!(block_on(store.put(&"k".repeat(KEY_MAX_BYTES + 1), b"")).is_err());
        assert!(block_on(store.put("long", &vec![0; VALUE_MAX_BYTES + 1])).is_err());
        assert!(get(&store, "").is_err());
        // A removal is a write.
        assert!(block_on(store.delete("k")).is_err());
        clock.advance_ms(1_000);
        assert!(block_on(store.delete("k")).is_ok());
        assert!(block_on(store.put("k", b"3")).is_err());
        assert_eq!(get(&store, "k"), Ok(None));
    }

    #[test]
    fn lists_in_pages_what_it_shows() {
        let store = MemoryStore::default();
        for key in ["a/1", "a/2", "a/3", "b/1", "a"] {
            store.insert(key, b"");
        }
        store.limit_lists(2);
        let list = |cursor| block_on(store.list("a/", cursor));
        let page = |keys: &[&str], cursor: Option<&str>| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            Ok(KeyPage { keys, cursor: cursor.map(str::to_owned) })
        };
        assert_eq!(list(None), page(&["a/1", "a/2"], Some("a/2")));
        assert_eq!(list(Some("a/2")), page(&["a/3"], None));
        block_on(store.delete("a/2")).unwrap();
        store.break_on("a/3", Fault::Missing);
        assert_eq!(list(None), page(&["a/1"], None));
        store.break_times("a/", Fault::PutError, 1);
        assert!(block_on(store.delete("a/1")).is_err());
        assert_eq!(store.peek("a/1"), Some(Vec::new()));
        store.break_times("a/", Fault::PutUnconfirmed, 1);
        assert!(block_on(store.delete("a/1")).is_err());
        assert_eq!(store.peek("a/1"), None);
        store.break_times("a/", Fault::Error, 1);
        assert!(list(None).is_err());
        assert_eq!(store.writes(), ["a/2", "a/1", "a/1"]);
    }
}
