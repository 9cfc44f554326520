//! Time for a long-running command, so that tests need not wait.

use std::{
    thread,
    time::{Duration, Instant},
};

use admit_snapshot::time::UnixSecs;
use anyhow::Result;

use crate::clock::{now, now_unix_secs};

/// A monotonic clock, a calendar clock, and a way to wait.
pub trait Time: Send + Sync {
    /// The time since a fixed moment.
    fn elapsed(&self) -> Duration;

    /// The current time in unix seconds.
    ///
    /// # Errors
    /// The machine's clock is set before 1970.
    fn unix_secs(&self) -> Result<UnixSecs>;

    /// Waits.
    fn sleep(&self, pause: Duration);
}

/// The machine's time. The elapsed time is counted from the creation of this value.
pub struct Machine(Instant);

impl Default for Machine {
    fn default() -> Self {
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
