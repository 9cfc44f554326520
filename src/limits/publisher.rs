//! Limits of the publisher's routes: checks of objects, comparisons of versions, reports, and transfers.

use super::*;

/// Number of names checked in one request, for the reason of `PACK_MAX_OBJECTS`.
pub const CHECK_MAX_OBJECTS: usize = 40;

/// Longest list of names to check: 40 lines of at most 75 bytes.
pub const CHECK_MAX_BYTES: usize = 4096;

/// Number of objects read at the same time for a check: 4 of at most 8 MiB. While an object is copied out of
/// JavaScript's memory it exists twice, which few do at once.
pub const CHECKS_AT_ONCE: usize = 4;

/// Number of pairs of shards that one page of a comparison of versions reads, some 2 MiB. With heads, indexes, directories
/// and deltas these are fewer operations of KV than the smallest plan allows for one invocation.
pub const DIFF_PAGE_PARTS: usize = 16;

/// Number of such pairs that are read at the same time: 4 shards, as for a check ([`CHECKS_AT_ONCE`]).
pub const DIFF_PARTS_AT_ONCE: usize = 2;

/// Number of pairs of equal shards that a page passes over, at some 50 ns each. Pages of the index that are equal count as
/// one.
pub const DIFF_LOOKS_MAX: usize = 32 * 1024;

/// Bytes of shards from which on a page of a comparison reads no more: as [`DIFF_PAGE_PARTS`] usual ones have.
pub const DIFF_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of changes from which on a page of a comparison shows no more: some 500 to 1,000 changes. One change has at most
/// some 70 KiB, an item with the longest title.
pub const DIFF_ANSWER_BYTES: usize = 256 * 1024;

/// Memory that one page of a comparison may hold: two deltas, and four shards of the largest size.
pub const DIFF_HELD_MAX_BYTES: usize = (CHECKS_AT_ONCE + 2) * OBJECT_MAX_BYTES;

/// Number of shards of each tree that a report measures.
pub const REPORT_SHARDS: usize = 8;

/// Number of pages of an index that a report reads for each tree, 1 MiB each. An index of fewer shards than 32,768 has none.
pub const REPORT_PAGES: usize = 2;

/// Number of shards of each tree that a report reads to count the effect of the delta.
pub const REPORT_COUNTED_SHARDS: usize = 4;

/// Number of kept versions that a report describes: as many as `admit gc` keeps by default.
pub const REPORT_VERSIONS: usize = 10;

/// Number of pages of the list of kept versions that a report asks for, of 1,000 each: hourly versions of a year.
pub const REPORT_KEY_PAGES: usize = 8;

/// Memory for all running transfers, each counted with its largest size: half of the isolate's 128 MB. It
/// suffices for six packs, or three objects, or one check beside a head ([`HEAD_ROOM_BYTES`]). A publisher
/// sends four packs at once.
pub const TRANSFERS_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Part of [`TRANSFERS_MAX_BYTES`] that is reserved for a head and the objects that are read before it is
/// stored. However many uploads stall, the head that revokes a stolen token is accepted.
pub const HEAD_ROOM_BYTES: usize = 2 * OBJECT_MAX_BYTES;

/// How often a transfer checks for free memory, every [`LOAD_WAIT_MS`], before it is refused: 5 s, in which
/// most packs are stored.
pub const TRANSFER_WAITS_MAX: u32 = 250;

/// A transfer that has not ended after this time counts as lost: its client may have gone. The slowest
/// expected line carries 8 MiB in a minute.
pub const TRANSFER_LOST_MS: u64 = 60_000;

/// Number of objects stored at the same time. A Worker has six connections; further objects would wait for
/// them.
pub const STORES_AT_ONCE: usize = 6;

/// Longest cursor of a list of keys. KV's cursors have some hundred bytes: the last key, encoded.
pub const CURSOR_MAX_BYTES: usize = 1024;
