//! The time, handed to everything that needs it, so that tests move it instead of sleeping.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use admit::snapshot::time::UnixSecs;

/// A clock; clones show the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the machine's clock is read here and nowhere else")]
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        }))
    }

    /// A clock that shows the seconds in `secs`, which tests change.
    #[must_use]
    pub fn set(secs: Arc<AtomicI64>) -> Self {
        Self(Arc::new(move || u64::try_from(secs.load(Ordering::SeqCst)).unwrap_or(0).saturating_mul(1_000)))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }

    /// Seconds since the epoch.
    #[must_use]
    pub fn now(&self) -> UnixSecs {
        UnixSecs::try_from(self.now_ms() / 1_000).unwrap_or(UnixSecs::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now_ms()).finish()
    }
}
