//! Events that are too frequent or too cheap for an audit entry each: counted in memory and stored every
//! minute. A refused stranger thus costs no database write.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use admit::snapshot::time::UnixSecs;
use rusqlite::{Connection, TransactionBehavior};

use crate::{
    db::{DbError, audit},
    event::{self, Event},
    limits::{COUNTS_EVERY_SECS, COUNTS_MAX},
};

/// Merchant number, action, outcome.
type CountKey = (i64, &'static str, &'static str);

/// Counts that are not stored yet.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Unstored>);

#[derive(Debug, Default)]
struct Unstored {
    counts: BTreeMap<CountKey, u64>,
    /// When the oldest of these counts began.
    since: UnixSecs,
}

impl Counts {
    /// Counts one event. `merchant_id` is an existing merchant, or 0.
    pub fn add(&self, merchant_id: i64, action: &'static str, outcome: &'static str, now: UnixSecs) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.counts.is_empty() {
            pending.since = now;
        }
        let counted = (merchant_id, action, outcome);
        // At the bound, new keys are dropped and known ones still count.
        if pending.counts.len() < COUNTS_MAX || pending.counts.contains_key(&counted) {
            *pending.counts.entry(counted).or_default() += 1;
        }
    }

    /// Whether counts have waited for [`COUNTS_EVERY_SECS`].
    pub fn are_due(&self, now: UnixSecs) -> bool {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !pending.counts.is_empty() && now.saturating_sub(pending.since) >= COUNTS_EVERY_SECS
    }

    /// The unstored count of an outcome, over all merchants and actions.
    #[cfg(test)]
    pub fn of(&self, outcome: &str) -> u64 {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.counts.iter().filter(|((.., counted), _)| *counted == outcome).map(|(_, count)| count).sum()
    }

    /// Returns counts that could not be stored.
    fn put_back(&self, counts: BTreeMap<CountKey, u64>, now: UnixSecs) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.since = now;
        for (counted, count) in counts {
            *pending.counts.entry(counted).or_default() += count;
        }
    }

    /// Stores the counts; the caller holds the lock of writes. On an error the log says so, and the next
    /// attempt is due a minute later.
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
            event::log(Event::Database(&error));
            self.put_back(counts, now);
        }
    }

    fn take(&self) -> BTreeMap<CountKey, u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).counts)
    }
}
