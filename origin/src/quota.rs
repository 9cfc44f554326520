//! Quotas: how much each merchant may write and store, so that one merchant's writes do not slow down or
//! crowd out another's.
//!
//! The rate is checked before a write is read; the storage is checked at the end of the write, in its
//! transaction. A write that reduces the stored amounts always succeeds, so a merchant above a quota can still
//! delete and revoke. Imports have no quota.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use admit::snapshot::time::UnixSecs;

use crate::{
    db::usage::Usage,
    limits::{
        MERCHANT_ACCESSES_DEFAULT, MERCHANT_ANSWER_BYTES_DEFAULT, MERCHANT_ITEM_BYTES_DEFAULT,
        MERCHANT_ITEMS_DEFAULT, MERCHANT_MEMBERS_DEFAULT, MERCHANT_WRITE_BURST_DEFAULT,
        MERCHANT_WRITES_PER_SEC_DEFAULT,
    },
    wire::{OriginError, Refused},
};

/// Limits of one merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Sustained writes per second; 0 means no limit.
    pub writes_per_sec: u64,
    /// Writes that may come at once: the size of the bucket.
    pub write_burst: u64,
    /// Upper bounds of the stored amounts.
    pub stored: Usage,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            writes_per_sec: MERCHANT_WRITES_PER_SEC_DEFAULT,
            write_burst: MERCHANT_WRITE_BURST_DEFAULT,
            stored: Usage {
                items: MERCHANT_ITEMS_DEFAULT,
                item_bytes: MERCHANT_ITEM_BYTES_DEFAULT,
                members: MERCHANT_MEMBERS_DEFAULT,
                accesses: MERCHANT_ACCESSES_DEFAULT,
                answer_bytes: MERCHANT_ANSWER_BYTES_DEFAULT,
            },
        }
    }
}

impl Quotas {
    /// Compares what a merchant has stored after a write with the quota and with the amount before it.
    ///
    /// # Errors
    /// 422 naming the quota, if an amount is above it and the write has increased that amount.
    pub fn check(&self, before: &Usage, after: &Usage) -> Result<(), Refused> {
        let max = &self.stored;
        let table = [
            ("items", before.items, after.items, max.items, "items, deleted ones among them"),
            ("item_bytes", before.item_bytes, after.item_bytes, max.item_bytes, "bytes of items and fees"),
            ("members", before.members, after.members, max.members, "members of packages"),
            ("accesses", before.accesses, after.accesses, max.accesses, "accesses, ended ones among them"),
            (
                "Idempotency-Key",
                before.answer_bytes,
                after.answer_bytes,
                max.answer_bytes,
                "bytes of answers that are kept for Idempotency-Keys for 72 hours",
            ),
        ];
        for (name, before, after, max, what) in table {
            if after > max && after > before {
                return Err(Refused::Named {
                    error: OriginError::StorageFull,
                    name: name.to_owned(),
                    problem: format!("A merchant has at most {max} {what}; this write would make {after}"),
                });
            }
        }
        Ok(())
    }
}

/// Rate limits: one token bucket for each merchant, refilled every second.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<i64, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: UnixSecs,
}

impl Rates {
    /// Takes one write from the bucket of an existing merchant; the map thus has at most one entry per
    /// merchant.
    ///
    /// # Errors
    /// 429 when the bucket is empty.
    pub fn take(&self, quotas: &Quotas, merchant_id: i64, now: UnixSecs) -> Result<(), Refused> {
        if quotas.writes_per_sec == 0 {
            return Ok(());
        }
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(merchant_id).or_insert(Bucket { left: quotas.write_burst, at: now });
        // A clock that was put back adds nothing.
        let elapsed_secs = u64::try_from(now.saturating_sub(bucket.at)).unwrap_or(0);
        let filled = elapsed_secs.saturating_mul(quotas.writes_per_sec);
        *bucket = Bucket { left: bucket.left.saturating_add(filled).min(quotas.write_burst), at: now };
        match bucket.left.checked_sub(1) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            // The bucket gains at least one write every second.
            None => Err(Refused::TooMany { retry_after_secs: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSecs = 1_800_000_000;

    fn quotas() -> Quotas {
        Quotas { writes_per_sec: 2, write_burst: 5, ..Quotas::default() }
    }

    /// How many of 100 writes pass.
    fn passed(rates: &Rates, quotas: &Quotas, merchant_id: i64, now: UnixSecs) -> usize {
        (0..100).filter(|_| rates.take(quotas, merchant_id, now).is_ok()).count()
    }

    #[test]
    fn a_merchant_who_floods_empties_no_other_bucket() {
        let (rates, quotas) = (Rates::default(), quotas());
        assert_eq!(passed(&rates, &quotas, 1, NOW), 5);
        assert_eq!(passed(&rates, &quotas, 2, NOW), 5);
        assert_eq!(passed(&rates, &quotas, 1, NOW), 0);
        assert_eq!(passed(&rates, &quotas, 1, NOW + 1), 2);
        assert_eq!(passed(&rates, &quotas, 1, NOW + 100), 5, "no more than the burst");
        assert_eq!(passed(&rates, &quotas, 1, NOW + 50), 0, "a clock that was put back");
        assert_eq!(passed(&rates, &quotas, 1, NOW + 51), 2);
        let reply = rates.take(&quotas, 1, NOW + 51).unwrap_err().reply();
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")));
        let off = Quotas { writes_per_sec: 0, ..quotas };
        assert_eq!(passed(&rates, &off, 1, NOW), 100);
    }

    #[test]
    fn a_write_that_stores_less_always_passes() {
        let stored = Usage { items: 1, item_bytes: 10, members: 2, accesses: 3, answer_bytes: 4 };
        let quotas = Quotas { stored, ..Quotas::default() };
        let more = Usage { items: 2, item_bytes: 11, members: 3, accesses: 4, answer_bytes: 5 };
        quotas.check(&Usage::default(), &stored).unwrap();
        quotas.check(&more, &more).unwrap();
        quotas.check(&Usage { accesses: 9, ..more }, &more).unwrap();
        for (after, name) in [
            (Usage { items: 2, ..stored }, "items"),
            (Usage { item_bytes: 11, ..stored }, "item_bytes"),
            (Usage { members: 3, ..stored }, "members"),
            (Usage { accesses: 4, ..stored }, "accesses"),
            (Usage { answer_bytes: 5, ..stored }, "Idempotency-Key"),
        ] {
            let reply = quotas.check(&stored, &after).unwrap_err().reply();
            let body: serde_json::Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
            assert_eq!((reply.status, &body["message"]), (422, &OriginError::StorageFull.message().into()));
            assert!(body["errors"][name].as_str().unwrap().contains("at most"), "{body}");
        }
    }
}
