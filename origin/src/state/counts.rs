//! What happens too often, or too cheaply, for an entry of the audit trail each: counted in memory, and stored now and
//! then. A stranger who is refused costs no write of the database.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use admit::snapshot::time::UnixSecs;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::json;

use crate::{
    db::{DbError, audit},
    limits::{COUNTS_EVERY_SECS, COUNTS_MAX},
};

/// Merchant, action, outcome.
type Counted = (i64, &'static str, &'static str);

/// What has been counted and is not stored yet.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    counts: BTreeMap<Counted, u64>,
    /// When the first of them was counted.
    since: UnixSecs,
}

impl Counts {
    /// Counts one more. The merchant is one that there is, or 0.
    pub fn add(&self, merchant_id: i64, action: &'static str, outcome: &'static str, now: UnixSecs) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.counts.is_empty() {
            pending.since = now;
        }
        let counted = (merchant_id, action, outcome);
        if pending.counts.len() < COUNTS_MAX || pending.counts.contains_key(&counted) {
            *pending.counts.entry(counted).or_default() += 1;
        }
    }

    /// Whether something has been waiting for long.
    pub fn are_due(&self, now: UnixSecs) -> bool {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !pending.counts.is_empty() && now.saturating_sub(pending.since) >= COUNTS_EVERY_SECS
    }

    /// How often the outcome has been counted and is not stored yet.
    #[cfg(test)]
    pub fn of(&self, outcome: &str) -> u64 {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.counts.iter().filter(|((.., counted), _)| *counted == outcome).map(|(_, count)| count).sum()
    }

    /// Puts back what could not be stored.
    fn put_back(&self, counts: BTreeMap<Counted, u64>, now: UnixSecs) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.since = now;
        for (counted, count) in counts {
            *pending.counts.entry(counted).or_default() += count;
        }
    }

    /// Stores what has been counted, while the caller holds the lock of writes. On an error the log says so, and the
    /// next attempt comes a minute later.
    pub fn store(&self, connection: &mut Connection, now: UnixSecs) {
        let counts = self.take();
        let mut add = || -> Result<(), DbError> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for ((merchant_id, action, outcome), count) in &counts {
                audit::count(&transaction, *merchant_id, action, outcome, *count, now)?;
            }
            Ok(transaction.commit()?)
        };
        if let Err(error) = add() {
            eprintln!("{}", json!({"event": "database", "error": error.to_string()}));
            self.put_back(counts, now);
        }
    }

    fn take(&self) -> BTreeMap<Counted, u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).counts)
    }
}
