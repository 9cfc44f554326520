//! What publishing writes, and what KV costs in a month.

use super::{
    assume::{
        CHECKS_PER_DAY, DAY_SECS, MONTH_DAYS, READ_DOLLARS, READS_INCLUDED, STORED_DOLLARS, STORED_INCLUDED,
        SYNC_SECS, UPLOAD_BYTES_PER_SEC, WRITE_DOLLARS, WRITES_INCLUDED,
    },
    caches::head_reads,
    demand::{Pop, hours},
    layout::Shape,
    tiers::Tiers,
};

/// How changes reach KV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A sync writes the head with a delta in one value; a full delta is compacted into the shards.
    Deltas,
    /// A sync writes the shards that it touches, their pages, the index and the head.
    Rewrite,
    /// A write for each customer who changes.
    KeyPerCustomer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Written {
    /// Keys that are written.
    pub keys: f64,
    /// Keys that are superseded, and deleted later.
    pub superseded: f64,
    /// Bytes of all values.
    pub bytes: f64,
}

pub fn written(shape: &Shape, method: Method, change_rate: f64) -> Written {
    let changes = shape.customers as f64 * change_rate;
    let syncs = DAY_SECS / SYNC_SECS;
    // A sync with nothing to say writes nothing.
    let busy_syncs = syncs * -libm::expm1(-changes / syncs);
    match method {
        Method::KeyPerCustomer => {
            Written { keys: changes, superseded: 0.0, bytes: changes * shape.object_bytes }
        }
        Method::Rewrite => {
            let (keys, bytes) = rewrite(shape, changes / syncs);
            Written {
                keys: syncs * keys + 2.0 * busy_syncs,
                superseded: syncs * keys + busy_syncs,
                bytes: syncs * bytes + busy_syncs * shape.index_bytes as f64,
            }
        }
        Method::Deltas => {
            let compactions = shape.compactions_per_day(change_rate);
            let each = compaction(shape);
            Written {
                keys: busy_syncs + compactions * each.keys,
                superseded: compactions * each.superseded,
                bytes: busy_syncs * shape.mean_delta_bytes() + compactions * each.bytes,
            }
        }
    }
}

/// The writes of a compaction: touched shards and pages, the index, the starting value with the index again, the delta of
/// meanwhile, the version's record, and the head. Starting value and head are written over.
pub fn compaction(shape: &Shape) -> Written {
    let (keys, bytes) = rewrite(shape, shape.delta_customers());
    Written { keys: keys + 5.0, superseded: keys + 2.0, bytes: bytes + 2.0 * shape.index_bytes as f64 }
}

/// Keys and bytes of the shards and pages that changes touch.
fn rewrite(shape: &Shape, changes: f64) -> (f64, f64) {
    let shards = shape.objects as f64 * shape.touched(changes);
    let pages = shape.pages as f64 * shape.pages_touched(changes);
    (shards + pages, shards * shape.object_bytes + pages * shape.page_bytes)
}

/// The part of its time that a publisher spends on compactions; above 1 it does not keep up.
pub fn compaction_load(shape: &Shape, change_rate: f64) -> f64 {
    compaction(shape).bytes / UPLOAD_BYTES_PER_SEC * shape.compactions_per_day(change_rate) / DAY_SECS
}

/// Reads of KV in a month: those of checks, and in each isolate the head, again and again while it lives.
pub fn reads(shape: &Shape, tiers: &Tiers) -> f64 {
    let checks = shape.customers as f64 * CHECKS_PER_DAY * MONTH_DAYS * tiers.reads();
    if !shape.is_immutable() {
        return checks;
    }
    let heads = Pop::all().into_iter().flat_map(|pop| {
        let (isolates, per_sec) = (pop.isolates(shape.customers), pop.checks_per_isolate(shape.customers));
        hours().map(move |busy| 3_600.0 * isolates * head_reads(per_sec * busy))
    });
    checks + heads.sum::<f64>() * MONTH_DAYS
}

/// A month's bill for KV, in dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    pub reads: f64,
    pub writes: f64,
    pub stored: f64,
}

impl Bill {
    /// For the reads of a month, the writes of a day, and the bytes that are stored.
    pub fn new(reads: f64, written: &Written, stored_bytes: f64) -> Self {
        let beyond = |used: f64, included: f64, dollars: f64| (used - included).max(0.0) * dollars;
        let writes = |keys: f64| beyond(keys * MONTH_DAYS, WRITES_INCLUDED, WRITE_DOLLARS) / 1e6;
        Self {
            reads: beyond(reads, READS_INCLUDED, READ_DOLLARS) / 1e6,
            writes: writes(written.keys) + writes(written.superseded),
            stored: beyond(stored_bytes / 1e9, STORED_INCLUDED, STORED_DOLLARS),
        }
    }

    pub const fn total(&self) -> f64 {
        self.reads + self.writes + self.stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::layout::Layout;

    fn close(left: f64, right: f64) -> bool {
        (left / right - 1.0).abs() < 0.001
    }

    #[test]
    fn a_bill_by_hand() {
        // 30 million reads, 100,000 writes and 50,000 deletes a day, 3 GB:
        // 20 × 0.50 + (3 - 1) × 5 + (1.5 - 1) × 5 + 2 × 0.50.
        let written = Written { keys: 100_000.0, superseded: 50_000.0, bytes: 0.0 };
        assert_eq!(Bill::new(30e6, &written, 3e9), Bill { reads: 10.0, writes: 12.5, stored: 1.0 });
        assert!(Bill::new(1e6, &Written::default(), 1e8).total() < 1e-9, "included");
    }

    #[test]
    fn a_day_of_each_method_by_hand() {
        let shape = Shape::new(10_000_000, Layout::Shards(64 << 10)).with_deltas_of(4 << 20);
        // 4 MiB / 187 B = 22,429 customers in a full delta; 100,000 changes fill 4.4585 of them. Each touches
        // 32,768 × (1 - e^(-22,429 / 32,768)) = 16,241 shards of 57,068 bytes.
        let each = compaction(&shape);
        assert!(close(each.keys, 16_241.0 + 5.0), "{each:?}");
        assert!(close(each.bytes, 16_241.0 * 57_068.0 + 2.0 * 1_048_576.0), "{each:?}");
        // 17,280 syncs; 5.8 changes each, so that 0.3 % of them find nothing to do.
        let day = written(&shape, Method::Deltas, 0.01);
        assert!(close(day.keys, 17_227.0 + 4.4585 * 16_246.0), "{day:?}");
        assert!(close(day.superseded, 4.4585 * 16_243.0), "{day:?}");
        assert!(close(day.bytes, 17_227.0 * 2_097_152.0 + 4.4585 * each.bytes), "{day:?}");
        // 100,000 changes, hardly two of them in the same shard within five seconds.
        let day = written(&shape, Method::Rewrite, 0.01);
        assert!(close(day.keys, 100_000.0 + 2.0 * 17_227.0), "{day:?}");
        let day = written(&Shape::new(1_000_000, Layout::KeyPerCustomer), Method::KeyPerCustomer, 0.01);
        assert_eq!(day, Written { keys: 10_000.0, superseded: 0.0, bytes: 1_870_000.0 });
    }
}
