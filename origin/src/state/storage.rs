//! Whether the database accepts writes: what `/healthz` reports from a failed write until the next successful
//! one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use admit::instant::UnixSecs;
use rusqlite::{Connection, TransactionBehavior};

use crate::{
    db::{DbError, Unwritable},
    limits::STORAGE_PROBE_SECS,
};

/// The last failed write, until one succeeds.
#[derive(Debug, Default)]
pub struct Storage(Mutex<Option<LastFailure>>);

#[derive(Clone, Copy, Debug)]
struct LastFailure {
    problem: Unwritable,
    /// When a write last failed.
    at: UnixSecs,
}

impl Storage {
    fn state(&self) -> MutexGuard<'_, Option<LastFailure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an error. A database that another process holds for a while is not a failure of the storage.
    pub fn failed(&self, error: &DbError, now: UnixSecs) {
        let problem = error.unwritable().filter(|problem| *problem != Unwritable::Busy);
        if let Some(problem) = problem {
            *self.state() = Some(LastFailure { problem, at: now });
        }
    }

    /// Records a committed write.
    pub fn written(&self) {
        *self.state() = None;
    }

    /// Why the last write failed; `None` if it succeeded.
    pub fn problem(&self) -> Option<Unwritable> {
        self.state().map(|failed| failed.problem)
    }

    /// Whether the caller must now try a write, to find out if writes succeed again. The first try comes
    /// [`STORAGE_PROBE_SECS`] after a failure: a small write may find room where a large one did not, and the
    /// failure must be visible from outside meanwhile.
    pub fn is_to_be_tried(&self, now: UnixSecs) -> bool {
        let mut state = self.state();
        let Some(failed) = state.as_mut() else { return false };
        let is_due = !(0..STORAGE_PROBE_SECS).contains(&now.saturating_sub(failed.at));
        if is_due {
            failed.at = now;
        }
        is_due
    }
}

/// Tries a write that changes nothing.
///
/// # Errors
/// If the database accepts no writes.
pub fn probe(connection: &mut Connection) -> Result<(), DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE state SET seq = seq", [])?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32) -> DbError {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_failure_stands_until_a_write_succeeds() {
        let storage = Storage::default();
        storage.failed(&error(rusqlite::ffi::SQLITE_BUSY), 100);
        storage.failed(&error(rusqlite::ffi::SQLITE_CONSTRAINT), 100);
        assert_eq!((storage.problem(), storage.is_to_be_tried(200)), (None, false));
        storage.failed(&error(rusqlite::ffi::SQLITE_FULL), 100);
        assert_eq!(storage.problem(), Some(Unwritable::Full));
        // One try per interval, however often the health is asked for.
        assert!(!storage.is_to_be_tried(159));
        assert!(storage.is_to_be_tried(160));
        assert!(!storage.is_to_be_tried(160));
        storage.failed(&error(rusqlite::ffi::SQLITE_IOERR_WRITE), 200);
        assert!(!storage.is_to_be_tried(259));
        assert!(storage.is_to_be_tried(260));
        assert!(storage.is_to_be_tried(50), "the clock has gone back");
        assert_eq!(storage.problem(), Some(Unwritable::Io));
        storage.written();
        assert_eq!(storage.problem(), None);
    }
}
