//! State that all threads share: the settings, the last `seq`, the lock of writes, and counts and limits in
//! memory.

pub mod counts;
pub mod storage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::watch, time::Instant};

use self::{counts::Counts, storage::Storage};
use crate::{guessing::Guessing, metrics::Metrics, quota::Rates, settings::Settings};

/// State that all threads share. There is one for a running origin.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub settings: Settings,
    /// The last change that this process committed; readers of the feed wait for the next.
    pub seq: watch::Sender<u64>,
    /// Failed sign-ins, which delay the next ones.
    pub guessing: Guessing,
    /// Whether the database accepts writes.
    pub(crate) storage: Storage,
    /// Write rates of the merchants.
    pub(crate) rates: Rates,
    /// Counts on their way to the audit trail.
    pub(crate) counts: Counts,
    /// Counts for operators.
    pub(crate) metrics: Metrics,
    /// Serializes writes. Waiting for SQLite's own lock means polling, which may take long.
    writing: Mutex<()>,
}

impl Shared {
    /// Fresh state for an origin with these settings.
    ///
    /// # Errors
    /// Does not happen: the names of metrics are valid and differ.
    pub fn new(settings: Settings) -> Result<Arc<Self>, admit_metrics::Error> {
        let metrics = Metrics::new(settings.clock.now())?;
        Ok(Arc::new(Self {
            metrics,
            settings,
            seq: watch::Sender::new(0),
            guessing: Guessing::default(),
            storage: Storage::default(),
            rates: Rates::default(),
            counts: Counts::default(),
            writing: Mutex::default(),
        }))
    }

    /// The lock that a thread holds while it writes.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        let started = Instant::now();
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.lock_waited(started.elapsed());
        writing
    }
}
