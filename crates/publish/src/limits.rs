//! Every number that bounds the publisher, each with its reason.

use admit_snapshot::limits::OBJECT_MAX_BYTES;
use admit_token::limits::LEEWAY_DEFAULT_SECS;

/// What the records of a shard may take, with their entries: an object without its header and the number of entries.
pub const SHARD_MAX_BYTES: usize = OBJECT_MAX_BYTES - 12;

/// To how many shards of a tree, as a power of two, large records may lead that lie close to each other: 2^12, an index
/// of 128 KiB. Trees that have more have them for their size alone, so that a few records never move all others.
pub const RAISED_SHARD_BITS_MAX: u8 = 12;

/// A delta that has grown beyond this is written into the shards. Every isolate loads it again after each sync:
/// 4 MiB are some 17,000 customers with eight accesses, and a few milliseconds of hashing at most twice a minute.
pub const DELTA_BUDGET_BYTES: usize = 4 * 1024 * 1024;

/// How far ahead a revocation may end: ten years. Whatever has to stay out for longer is not an issuer's any more.
pub const DENIED_MAX_SECS: i64 = 10 * 366 * 86_400;

/// How far behind the moment of its revocation a customer's tokens are refused too: as far as the clock of the issuer,
/// which dates them, may be ahead of the one of whoever revokes. A customer who signs in again within it has to do so once
/// more.
pub const REVOKED_AHEAD_SECS: i64 = LEEWAY_DEFAULT_SECS as i64;
