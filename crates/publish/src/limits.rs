//! Every number that bounds the publisher, each with its reason.

pub use admit_snapshot::limits::DELTA_BUDGET_BYTES;
use admit_snapshot::limits::OBJECT_MAX_BYTES;
use admit_token::limits::LEEWAY_DEFAULT_SECS;

/// Longest content of a shard, records with their entries: an object without its header and the number of
/// entries.
pub const SHARD_MAX_BYTES: usize = OBJECT_MAX_BYTES - 12;

/// Largest number of shards, as a power of two, that a tree gets because large records lie close to each
/// other: 2^12, an index of 128 KiB. Trees with more shards have them for their total size alone, so a few
/// records never move all others.
pub const RAISED_SHARD_BITS_MAX: u8 = 12;

/// Latest end of a revocation: ten years ahead. A ban for longer than that is the issuer's task.
pub const DENIED_MAX_SECS: i64 = 10 * 366 * 86_400;

/// How far beyond the moment of its revocation a customer's tokens are refused: as far as the issuer's clock,
/// which dates the tokens, may be ahead of the operator's. A customer who signs in again within this time
/// must do so once more.
pub const REVOKED_AHEAD_SECS: i64 = LEEWAY_DEFAULT_SECS as i64;
