//! Everything that the simulation takes for given, each with its reason. `docs/scale.md` prints all of it.

/// Sizes of business that are looked at, in customers.
pub const CUSTOMERS: [u64; 4] = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Up to this many customers every check of a day is simulated; above, hit ratios are computed only.
pub const SIMULATED_MAX_CUSTOMERS: u64 = 10_000_000;

/// Sizes of shard that are compared, in bytes: the target that decides how many shards there are.
pub const SHARD_TARGETS: [u64; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// The size that Admit builds: `SHARD_TARGET_BYTES`.
pub const SHARD_TARGET: u64 = 64 << 10;

/// What a customer takes in a shard or a delta: a record with 8 accesses on average, a subscription in three
/// cases of ten, and the table's entry of 24 bytes. Measured with [`RECORD_COMMAND`] for 50,000 and 100,000
/// customers: the difference of the two, divided by 50,000. `tests/docs/scale.rs` measures it again.
pub const RECORD_BYTES: u64 = 187;

/// What measures [`RECORD_BYTES`].
pub const RECORD_COMMAND: &str = "admit generate --customers N | admit publish --from - --dry-run";

/// Checks of a customer in a day, on average: a viewing session every other day, one check each.
pub const CHECKS_PER_DAY: f64 = 0.5;

/// Exponent of Zipf's law for how often a customer watches: the busiest hundredth makes a sixth of all
/// checks, the busiest half makes three quarters.
pub const ZIPF_EXPONENT: f64 = 0.6;

/// Most checks of a customer in a day: one an hour. Zipf's law would let a few make thousands.
pub const CHECKS_PER_DAY_MAX: f64 = 24.0;

/// Points of presence that serve the business.
pub const POPS: usize = 100;

/// Thousandths of a day's checks in each hour: a quiet night, and an evening peak of 11.8 % at 20 h.
pub const HOURLY_PER_MILLE: [u32; 24] =
    [25, 12, 7, 5, 4, 6, 10, 18, 24, 28, 32, 36, 42, 44, 42, 42, 46, 56, 76, 102, 118, 110, 73, 42];

/// Fewest isolates of the Worker in a point of presence: requests arrive at several machines, of which
/// Cloudflare lets few answer for a Worker that is not busy.
pub const ISOLATES_MIN: f64 = 2.0;

/// Checks per second in the peak from which a point of presence runs one more isolate.
pub const CHECKS_PER_ISOLATE: f64 = 100.0;

/// How long an isolate lives on average before the platform ends it, in seconds. Its memory is gone then.
pub const ISOLATE_LIFE_SECS: f64 = 6.0 * 3600.0;

/// How long KV keeps a value at a point of presence (`cacheTtl`), in seconds. The second is what the Worker
/// asks for: `OBJECT_CACHE_TTL_SECS`.
pub const CACHE_TTLS: [f64; 3] = [300.0, DAY_SECS, 7.0 * DAY_SECS];

/// Fractions of all customers that change in a day.
pub const CHANGE_RATES: [f64; 3] = [0.001, 0.01, 0.1];

/// The change rate of everything that is shown for one rate only.
pub const CHANGE_RATE: f64 = 0.01;

/// Seconds between two syncs.
pub const SYNC_SECS: f64 = 5.0;

/// Largest delta, in bytes: `DELTA_BUDGET_BYTES`. A fuller one is compacted.
pub const DELTA_BYTES: u64 = 4 << 20;

/// An isolate's memory for shards and pages: `OBJECT_CACHE_BYTES`.
pub const OBJECT_CACHE_BYTES: u64 = 32 << 20;

/// An isolate's memory for verified tokens: `VERIFIED_MAX_BYTES`.
pub const TOKEN_CACHE_BYTES: u64 = 12 << 20;

/// An isolate's memory for answers that may be given again: `ANSWERS_MAX_BYTES`.
pub const ANSWERS_BYTES: u64 = 12 << 20;

/// An isolate's memory before anything is loaded: the runtime, the module, its stack and heap.
pub const ISOLATE_BASE_BYTES: u64 = 12 << 20;

/// An isolate's memory in all.
pub const ISOLATE_BYTES: u64 = 128_000_000;

/// Largest value in KV, in bytes.
pub const KV_VALUE_BYTES: u64 = 25 << 20;

/// Longest object that Admit reads or publishes, in bytes: `OBJECT_MAX_BYTES`.
pub const OBJECT_MAX_BYTES: u64 = 8 << 20;

/// Writes to one key of KV in a second.
pub const KV_WRITES_PER_KEY: u64 = 1;

/// Operations of KV in one invocation of a Worker.
pub const KV_OPERATIONS: u64 = 1_000;

/// Objects in a pack that a publisher uploads: `PACK_MAX_OBJECTS`.
pub const PACK_OBJECTS: u64 = 40;

/// Seconds after which an isolate reads the head again, behind the next request: `HEAD_FRESH_SECS`. KV keeps
/// a head as long: `HEAD_CACHE_TTL_SECS`.
pub const HEAD_SECS: f64 = 30.0;

/// Seconds after which a request waits for the head: `HEAD_STALE_SECS`.
pub const HEAD_STALE_SECS: f64 = 60.0;

/// Bytes of a delta on average: it grows from nothing to its limit, over and over.
pub const MEAN_DELTA_BYTES: f64 = (DELTA_BYTES / 2) as f64;

/// Bytes of a digest in an index or a page.
pub const DIGEST_BYTES: u64 = 32;

/// An index of more shards than 2 to the power of this has pages, each of that many digests.
pub const PAGE_ABOVE_BITS: u32 = 15;

/// The same for smaller pages, as one of the remedies: 2^10 digests are 32 KiB.
pub const SMALL_PAGE_BITS: u32 = 10;

/// How long a check waits for KV at most, in seconds: `STORE_TIMEOUT_MS`.
pub const STORE_TIMEOUT_SECS: f64 = 3.0;

/// A read that the point of presence has cached, in milliseconds.
pub const HOT_MS: f64 = 2.0;

/// A read that it has not, in milliseconds: from another data centre.
pub const COLD_MS: f64 = 80.0;

/// Taking an object into memory, its hash included: 300 us for 64 KiB, the target of `cargo xtask bench`.
pub const LOAD_MS_PER_BYTE: f64 = 0.3 / 65_536.0;

/// How fast a publisher writes to KV, in bytes per second.
pub const UPLOAD_BYTES_PER_SEC: f64 = 20e6;

/// When the prices and limits of the platform were looked up.
pub const PRICES_AS_OF: &str = "November 2026";

/// Dollars per million reads of KV, whether the point of presence has the value or not.
pub const READ_DOLLARS: f64 = 0.5;

/// Dollars per million writes of KV; deletes and lists cost the same.
pub const WRITE_DOLLARS: f64 = 5.0;

/// Dollars per gigabyte stored for a month.
pub const STORED_DOLLARS: f64 = 0.5;

/// Reads in a month that the subscription includes.
pub const READS_INCLUDED: f64 = 10e6;

/// Writes that it includes, and as many deletes.
pub const WRITES_INCLUDED: f64 = 1e6;

/// Gigabytes that it includes.
pub const STORED_INCLUDED: f64 = 1.0;

/// Days in a month.
pub const MONTH_DAYS: f64 = 30.0;

/// Seconds in a day.
pub const DAY_SECS: f64 = 86_400.0;

/// The seed of all randomness.
pub const SEED: u64 = 1;

#[cfg(test)]
mod tests {
    use admit::limits;
    use admit_publish::limits::DELTA_BUDGET_BYTES as ADMITS_DELTA_BYTES;

    use super::*;

    /// The model is one of Admit as it is.
    #[test]
    fn numbers_of_the_worker_are_the_workers() {
        assert_eq!(OBJECT_CACHE_BYTES, limits::OBJECT_CACHE_BYTES as u64);
        assert_eq!(OBJECT_MAX_BYTES, limits::OBJECT_MAX_BYTES as u64);
        assert_eq!(TOKEN_CACHE_BYTES, limits::VERIFIED_MAX_BYTES as u64);
        assert_eq!(ANSWERS_BYTES, u64::from(limits::ANSWERS_MAX_BYTES));
        let [_, asked, _] = CACHE_TTLS;
        assert_eq!(asked as u64, limits::OBJECT_CACHE_TTL_SECS);
        assert_eq!(PACK_OBJECTS, limits::PACK_MAX_OBJECTS as u64);
        assert_eq!(DELTA_BYTES, ADMITS_DELTA_BYTES as u64);
        assert_eq!((STORE_TIMEOUT_SECS * 1_000.0) as u64, limits::STORE_TIMEOUT_MS);
        assert_eq!(HEAD_SECS as u64, limits::HEAD_CACHE_TTL_SECS);
        assert_eq!(HEAD_SECS as i64, limits::HEAD_FRESH_SECS);
        assert_eq!(HEAD_STALE_SECS as i64, limits::HEAD_STALE_SECS);
    }
}
