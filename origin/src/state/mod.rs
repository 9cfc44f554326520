//! What all threads of an origin share: its settings, the last `seq`, and what is counted and limited in memory.

pub mod counts;
pub mod storage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::{counts::Counts, storage::Storage};
use crate::{guessing::Guessing, quota::Rates, settings::Settings};

/// What all threads share.
#[derive(Debug)]
pub struct Shared {
    /// How the origin is set up.
    pub settings: Settings,
    /// The last change that was committed here.
    pub seq: watch::Sender<u64>,
    /// The failed sign-ins of late.
    pub guessing: Guessing,
    /// Whether the database takes writes.
    pub(crate) storage: Storage,
    /// What each merchant has written lately.
    pub(crate) rates: Rates,
    /// What is counted for the audit trail.
    pub(crate) counts: Counts,
    /// Held while writing: SQLite's own lock is polled, and who polls may wait long.
    writing: Mutex<()>,
}

impl Shared {
    /// For an origin that is set up like this.
    #[must_use]
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            seq: watch::Sender::new(0),
            guessing: Guessing::default(),
            storage: Storage::default(),
            rates: Rates::default(),
            counts: Counts::default(),
            writing: Mutex::default(),
        })
    }

    /// To be held while writing.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
