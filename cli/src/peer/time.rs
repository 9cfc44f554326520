//! Time as a long-running command sees it, so that tests need not wait.

use std::{
    thread,
    time::{Duration, Instant},
};

use admit_snapshot::time::UnixSecs;
use anyhow::Result;

use crate::{progress::now, token::now_unix_secs};

/// Two clocks and a way to wait.
pub trait Time: Send + Sync {
    /// How long it is since some moment that stays the same.
    fn elapsed(&self) -> Duration;

    /// The moment, by this machine's calendar.
    ///
    /// # Errors
    /// The machine's clock stands before 1970.
    fn unix_secs(&self) -> Result<UnixSecs>;

    /// Waits.
    fn sleep(&self, pause: Duration);
}

/// The machine's time.
pub struct Machine(Instant);

impl Machine {
    /// Counts from now.
    pub fn new() -> Self {
        Self(now())
    }
}

impl Time for Machine {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn unix_secs(&self) -> Result<UnixSecs> {
        now_unix_secs()
    }

    fn sleep(&self, pause: Duration) {
        thread::sleep(pause);
    }
}
