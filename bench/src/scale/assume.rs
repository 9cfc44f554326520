//! Every number that the model takes for given. `docs/scale.md` has the reasons, and shows the values.

use admit::limits::{
    HEAD_FRESH_SECS, HEAD_STALE_SECS as STALE_SECS, ITEM_TEXTS_MAX_BYTES, KNOWN_VIEWERS_MAX_BYTES,
    NEAR_MAX_BYTES, OBJECT_CACHE_BYTES as CACHE_BYTES, OBJECT_CACHE_TTL_SECS, STORE_TIMEOUT_MS,
};
use admit_publish::{
    build::{PAGE_ABOVE_BITS as ABOVE_BITS, SHARD_TARGET_BYTES},
    limits::DELTA_BUDGET_BYTES,
};
use admit_token::limits::VERIFIED_MAX_BYTES;

/// Sizes of business, in customers.
pub const CUSTOMERS: [u64; 4] = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Sizes of shard that are compared, in bytes. The target decides how many shards there are.
pub const SHARD_TARGETS: [u64; 5] = [4 << 10, 16 << 10, SHARD_TARGET, LARGER_TARGET, 1 << 20];

/// The size of shard that Admit builds.
pub const SHARD_TARGET: u64 = SHARD_TARGET_BYTES as u64;

/// The size of shard that is nearest to being chosen instead.
pub const LARGER_TARGET: u64 = 256 << 10;

/// Bytes of a customer in a shard or a delta: the record and the table's entry of 24 bytes. `cli/tests/suite/scale.rs`
/// measures it again.
pub const RECORD_BYTES: u64 = 187;

/// Checks of a customer in a day, on average.
pub const CHECKS_PER_DAY: f64 = 0.5;

/// Exponent of Zipf's law for how often a customer watches.
pub const ZIPF_EXPONENT: f64 = 0.6;

/// Most checks of a customer in a day. Zipf's law alone would let a few make thousands.
pub const CHECKS_PER_DAY_MAX: f64 = 24.0;

pub const POPS: usize = 100;

/// Thousandths of a day's checks in each hour: a quiet night, and an evening peak at 20 h.
pub const HOURLY_PER_MILLE: [u32; 24] =
    [25, 12, 7, 5, 4, 6, 10, 18, 24, 28, 32, 36, 42, 44, 42, 42, 46, 56, 76, 102, 118, 110, 73, 42];

/// Fewest isolates of the Worker in a point of presence.
pub const ISOLATES_MIN: f64 = 2.0;

/// Checks per second in the peak from which a point of presence runs one more isolate.
pub const CHECKS_PER_ISOLATE: f64 = 100.0;

/// Mean life of an isolate, in seconds. Its memory goes with it.
pub const ISOLATE_LIFE_SECS: f64 = 6.0 * 3_600.0;

/// How long KV keeps a value at a point of presence (`cacheTtl`), in seconds: short, as the Worker asks, long.
pub const CACHE_TTLS: [f64; 3] = [300.0, TTL_SECS, 7.0 * DAY_SECS];

/// The `cacheTtl` that the Worker asks for.
pub const TTL_SECS: f64 = OBJECT_CACHE_TTL_SECS as f64;

/// Fractions of all customers that change in a day.
pub const CHANGE_RATES: [f64; 3] = [0.001, CHANGE_RATE, 0.1];

/// The rate where one rate is shown only.
pub const CHANGE_RATE: f64 = 0.01;

/// Seconds between two syncs.
pub const SYNC_SECS: f64 = 5.0;

/// Largest delta, in bytes. A fuller one is compacted.
pub const DELTA_BYTES: u64 = DELTA_BUDGET_BYTES as u64;

/// The same before deltas had to fit beside their head (docs/adr/0067), in bytes.
pub const EARLIER_DELTA_BYTES: u64 = 4 << 20;

/// An isolate's memory for shards and pages, in bytes.
pub const OBJECT_CACHE_BYTES: u64 = CACHE_BYTES as u64;

/// An isolate's memory for verified tokens, kept answers and copied records, in bytes.
pub const OTHER_CACHES_BYTES: u64 = VERIFIED_MAX_BYTES as u64
    + KNOWN_VIEWERS_MAX_BYTES as u64
    + ITEM_TEXTS_MAX_BYTES as u64
    + NEAR_MAX_BYTES as u64;

/// An isolate's memory before anything is loaded, in bytes: the runtime, the module, its stack and heap.
pub const ISOLATE_BASE_BYTES: u64 = 12 << 20;

/// The platform's limit on an isolate's memory, in bytes.
pub const ISOLATE_BYTES: u64 = 128_000_000;

/// Seconds after which an isolate reads the head again, behind the next request.
pub const HEAD_SECS: f64 = HEAD_FRESH_SECS as f64;

/// Seconds after which a request waits for the head.
pub const HEAD_STALE_SECS: f64 = STALE_SECS as f64;

/// Bytes of a digest in an index or a page.
pub const DIGEST_BYTES: u64 = 32;

/// An index of more shards than 2 to the power of this has pages, each of that many digests.
pub const PAGE_ABOVE_BITS: u32 = ABOVE_BITS as u32;

/// The same for smaller pages, as one of the remedies: 2^10 digests are 32 KiB.
pub const SMALL_PAGE_BITS: u32 = 10;

/// How long a check waits for KV at most, in seconds.
pub const STORE_TIMEOUT_SECS: f64 = STORE_TIMEOUT_MS as f64 / 1e3;

/// A read that the point of presence has cached, in milliseconds.
pub const HOT_MS: f64 = 2.0;

/// A read from another data centre, in milliseconds.
pub const COLD_MS: f64 = 80.0;

/// Taking an object into memory, hash included: 300 µs for 64 KiB, the target of `cargo xtask bench snapshot`.
pub const LOAD_MS_PER_BYTE: f64 = 0.3 / 65_536.0;

/// How fast a publisher writes to KV, in bytes per second.
pub const UPLOAD_BYTES_PER_SEC: f64 = 20e6;

/// Dollars per million reads of KV, whether the point of presence has the value or not.
pub const READ_DOLLARS: f64 = 0.5;

/// Dollars per million writes of KV; deletes cost the same.
pub const WRITE_DOLLARS: f64 = 5.0;

/// Dollars per gigabyte stored for a month.
pub const STORED_DOLLARS: f64 = 0.5;

/// Reads in a month that the subscription includes.
pub const READS_INCLUDED: f64 = 10e6;

/// Writes in a month that it includes, and the same number of deletes.
pub const WRITES_INCLUDED: f64 = 1e6;

/// Gigabytes that it includes.
pub const STORED_INCLUDED: f64 = 1.0;

/// Days in a month.
pub const MONTH_DAYS: f64 = 30.0;

/// Seconds in a day.
pub const DAY_SECS: f64 = 86_400.0;

/// The seed of all randomness.
pub const SEED: u64 = 1;
