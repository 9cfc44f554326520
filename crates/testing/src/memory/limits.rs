//! Rate limits in memory: fixed windows by the clock, as Cloudflare's local runtime has them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use admit::ports::{Limit, RateLimitError, RateLimits};

use super::{MemoryClock, yield_once};

/// The length of a window, in milliseconds.
const WINDOW_MS: u64 = 10_000;

/// Rate limits in memory. There are no limits until one is set.
#[derive(Debug, Default)]
pub struct MemoryLimits {
    clock: MemoryClock,
    most: RefCell<HashMap<Limit, u32>>,
    counts: RefCell<HashMap<(Limit, String, u64), u32>>,
    asked: Cell<usize>,
    is_broken: Cell<bool>,
}

impl MemoryLimits {
    /// No limits yet; windows follow `clock`.
    #[must_use]
    pub fn new(clock: MemoryClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Allows `most` requests with one key in 10 s from now on.
    pub fn set(&self, limit: Limit, most: u32) {
        self.most.borrow_mut().insert(limit, most);
    }

    /// Makes every question fail from now on, or ends that.
    pub fn set_broken(&self, is_broken: bool) {
        self.is_broken.set(is_broken);
    }

    /// The number of questions so far.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.get()
    }
}

impl RateLimits for MemoryLimits {
    fn has(&self, limit: Limit) -> bool {
        self.most.borrow().contains_key(&limit)
    }

    async fn allows(&self, limit: Limit, key: &str) -> Result<bool, RateLimitError> {
        self.asked.set(self.asked.get() + 1);
        // Lets other futures run before the answer arrives.
        yield_once().await;
        if self.is_broken.get() {
            return Err(RateLimitError("broken on cue".to_owned()));
        }
        let most = self.most.borrow().get(&limit).copied().unwrap_or(u32::MAX);
        let window = self.clock.now_ms() / WINDOW_MS;
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry((limit, key.to_owned(), window)).or_default();
        *count = count.saturating_add(1);
        Ok(*count <= most)
    }
}
