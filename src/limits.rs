//! Every number that bounds the service, each with its reason. An isolate has 128 MB of memory in all.
//!
//! This file has the limits of memory, head, store, keys and log lines. Those of the routes stand in the files of this module: what
//! one request may ask (`questions`), traffic with the origin (`upstream`), and the publisher's routes (`publisher`).
//! Those of snapshots and tokens are in the crates that read them. All of them are named here.

mod publisher;
mod questions;
mod upstream;

pub use admit_snapshot::limits::*;
pub use admit_token::limits::*;

pub use self::{publisher::*, questions::*, upstream::*};

/// Number of known viewers. As large as the number of verified tokens.
pub const KNOWN_VIEWERS_MAX: u32 = 8192;

/// Memory for known viewers, their texts and their kept answers: 10 MiB of the isolate's 128 MB, 8,192 viewers of a
/// token of 500 bytes without answers, or 6,000 answers of 1 KiB and their viewers.
pub const KNOWN_VIEWERS_MAX_BYTES: u32 = 10 * 1024 * 1024;

/// Memory for the items' texts of known viewers' answers: 2 MiB, a catalogue of 2,000 items of 700 bytes.
pub const ITEM_TEXTS_MAX_BYTES: u32 = 2 * 1024 * 1024;

/// Longest texts of one item among them. Longer ones are written anew for each check.
pub const ITEM_TEXT_MAX_BYTES: usize = 32 * 1024;

/// Longest record that is copied for a known viewer or for an item that such viewers ask for: a customer of some 20
/// accesses. All copies of customers' records together take 4 MiB at most.
pub const NEAR_RECORD_MAX_BYTES: usize = 512;

/// Items whose records are copied: 1 MiB at most.
pub const NEAR_ITEMS_MAX: usize = 2048;

/// Memory for all copied records.
pub const NEAR_MAX_BYTES: usize = (KNOWN_VIEWERS_MAX as usize + NEAR_ITEMS_MAX) * NEAR_RECORD_MAX_BYTES;

/// Age up to which a head is used without reading it again. KV caches at an edge keep a value for at least 30
/// s anyway.
pub const HEAD_FRESH_SECS: i64 = 30;

/// Age from which the head is read again before a request is answered, because the isolate slept. From
/// [`HEAD_FRESH_SECS`] up to this age it is read behind a request. With at most 60 s here, 60 s until KV
/// shows a new value everywhere, and a publisher that publishes every few seconds, a revocation reaches every
/// edge in about 120 s.
pub const HEAD_STALE_SECS: i64 = 60;

/// Pause after a head that could not be read or used, so that a failing store is not asked at each request.
pub const HEAD_RETRY_SECS: i64 = 5;

/// The same pause before the first head. It is shorter, because nothing can be answered without one.
pub const HEAD_MISSING_RETRY_SECS: i64 = 1;

/// How often an isolate asks the fresh lane for the head, seconds, unless `FRESH_SECS` says otherwise. Each answer of a
/// cache is billed as a request: 100 places with two busy isolates each ask 260 million times a month.
pub const FRESH_SECS: u64 = 2;

/// Largest interval that `FRESH_SECS` may set. Above it the store's own head is as fresh.
pub const FRESH_MAX_SECS: u64 = 60;

/// An isolate that has not asked the lane for more than this many intervals slept, and asks before it answers.
pub const LANE_SLEPT_INTERVALS: i64 = 2;

/// Time limit for the lane to answer. A cache in the same place takes some milliseconds, and the object behind it, on
/// another continent, less than this. Nothing is lost by giving up: the store has the head too.
pub const LANE_TIMEOUT_MS: u64 = 250;

/// Time limit for a head to be announced in the lane. The publisher waits for it.
pub const LANE_ANNOUNCE_TIMEOUT_MS: u64 = 2_000;

/// How long the store may show an older head than the lane, seconds, before the log says so. KV shows a new value
/// everywhere within 60 s, and an isolate reads it every 30 to 60 s.
pub const STORE_BEHIND_SECS: i64 = 120;

/// A question to the lane that has not ended after this time counts as lost: its request may have been cancelled.
pub const LANE_LOST_SECS: i64 = 1;

/// Pause after the lane failed once. Each failure in a row doubles it, up to [`LANE_PAUSE_MAX_SECS`].
pub const LANE_PAUSE_SECS: i64 = 1;

/// Longest pause after failures of the lane: one question a minute finds out that it is back.
pub const LANE_PAUSE_MAX_SECS: i64 = 60;

/// Age from which `/healthz` calls the head stale. Behind a follower the age stays below some 200 s: 60 s of
/// its heartbeat, 20 s for which an origin may delay an answer, and the two minutes of the edges.
pub const HEALTH_STALE_SECS: i64 = 300;

/// Step to which the age of the head is rounded for strangers. It equals a follower's heartbeat, so that the
/// age does not reveal how often the data changes.
pub const HEALTH_AGE_STEP_SECS: i64 = 60;

/// A refresh that has not ended after this time counts as lost: its request may have been cancelled. Reading
/// a head, and an object twice, takes at most 3 x [`STORE_TIMEOUT_MS`].
pub const REFRESH_LOST_SECS: i64 = 10;

/// Pause before an unreadable object is asked for again. It is short: KV mostly shows new objects within
/// seconds, and until then the previous version answers. With [`HEAD_CACHE_TTL_SECS`], for which KV may
/// remember that the object was missing, an object is read at the latest 35 s after KV has it.
pub const UNREADABLE_SECS: i64 = 5;

/// Number of objects remembered as unreadable. A larger number means that the store is down; forgetting some
/// is harmless.
pub const UNREADABLE_MAX: usize = 1024;

/// Memory for shards and pages: 512 shards of 64 KiB, a quarter of the isolate's 128 MB.
pub const OBJECT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Smallest `SNAPSHOT_MAX_AGE_SECS`. A follower renews the head every minute, KV shows it within another, and
/// an isolate reads it within a third. A smaller value would call the newest possible heads stale.
pub const SNAPSHOT_MAX_AGE_LEAST_SECS: u64 = 300;

/// How long after the origin has reported its count of committed changes a head may lack them: twice the time
/// in which a revocation reaches every edge, plus a lost lease. Beyond that the publisher is stuck, or an
/// attacker has put an old head back.
pub const HEAD_BEHIND_SECS: i64 = 300;

/// How long an unreadable object counts for `/healthz`: several times the interval of a probe.
pub const DEGRADED_SECS: i64 = 600;

/// Rounds of loading for one request. The longest path needs six: head, keys, a page and a shard for each
/// tree, and the members of a package.
pub const LOAD_ROUNDS_MAX: usize = 8;

/// Number of objects that a request which needs many loads at the same time: 2 MiB of shards. A Worker has six
/// connections; further objects would wait for them.
pub const LOADS_AT_ONCE: usize = 32;

/// Number of objects that are read beside the head, by the version at hand. A check needs two, the customer's shard and the
/// item's. Whoever needs more waits for the head, which may name others.
pub const LOADS_BESIDE_HEAD_MAX: usize = 8;

/// How long such objects are waited for when the head is there before them: three cold reads. After that they are loaded
/// like others, whose failure counts.
pub const BESIDE_HEAD_TIMEOUT_MS: u64 = 250;

/// Number of objects being loaded from which on such requests load no more: 16 MiB of shards. Requests that need few are
/// not bound by it, so that a flood of long questions keeps no check waiting.
pub const LOADS_OF_MANY_MAX: usize = 256;

/// Longest part of a path in a log line. The longest valid path has 84 bytes; a client can send 16 KiB.
pub const LOGGED_PATH_MAX_BYTES: usize = 128;

/// Longest part of a client's text in an audit event: a token's id, a holder. UUIDs have 36 characters.
pub const AUDIT_VALUE_MAX_BYTES: usize = 64;

/// How long a request waits before it checks whether another one has loaded what it needs. A Worker's request
/// cannot wait for the I/O of another. Without this pause, a hundred requests to a new isolate would each
/// load head, index, directory and the same hot shard: 100 x 1 MiB and more, of 128 MB.
pub const LOAD_WAIT_MS: u64 = 20;

/// Number of waits (3 s, the time limit for a read of the store) after which a request loads an object
/// itself.
pub const LOAD_WAITS_MAX: u32 = 150;

/// `Retry-After` of a 503, in seconds.
pub const RETRY_AFTER_SECS: u32 = 2;

/// `Retry-After` for an address that has sent too many requests: the shorter of the two periods in which
/// Cloudflare counts.
pub const LIMITED_RETRY_AFTER_SECS: u32 = 10;

/// Time limit for counting a request; after it the request passes. Counting takes well under a millisecond.
pub const LIMIT_TIMEOUT_MS: u64 = 250;

/// Age up to which KV may answer from its cache at an edge where freshness matters: for a head, a lease, or
/// an object that was missing or corrupt. It is KV's minimum
/// (<https://developers.cloudflare.com/kv/platform/limits/>).
pub const HEAD_CACHE_TTL_SECS: u64 = 30;

/// Age up to which KV may answer for an object from its cache at an edge: a day. Objects never change, so
/// only the end of this time has a price. Viewers come back the next evening. A shard of 64 KiB with 300
/// customers who each come every other day to one of 100 points of presence is asked for 1.5 times a
/// day at an average one; with five minutes it would be cold each time. For ten million customers, `cargo
/// xtask scale` computes that 92 % of checks wait for a cold read with five minutes, 37 % with a day, and 36
/// % with a week, because compactions rename shards sooner. A week would also keep collected garbage seven
/// times as long, and customers' data must end. KV remembers "not found" for as long, so `App` asks again in
/// that case.
pub const OBJECT_CACHE_TTL_SECS: u64 = 24 * 3_600;

/// Time limit for a read of KV. Cold reads take up to a few hundred milliseconds.
pub const STORE_TIMEOUT_MS: u64 = 3_000;

/// How long a new isolate waits for the starting value before it reads the objects by their names as well. A cold read of
/// KV takes 80 ms, and one of a hundred takes longer than this.
pub const START_TIMEOUT_MS: u64 = 250;

/// Time limit for the starting value to be stored. The publisher waits for it, and the next head tries again.
pub const START_WRITE_TIMEOUT_MS: u64 = 2_000;

/// Number of viewers whose shards wait to be loaded behind an answer. Each request has one at most, so that more only
/// wait where hundreds of requests are answered at once.
pub const WARMED_MAX: usize = 16;

/// Time limit for a write, a removal or a list. 8 MiB travel far, and only a publisher waits for them.
pub const STORE_WRITE_TIMEOUT_MS: u64 = 20_000;

/// Number of redirects of an issuer's JWKS that are followed: to a new path, to a trailing slash, to a new
/// version.
pub const JWKS_REDIRECTS_MAX: usize = 3;

/// Time limit for an issuer to send its JWKS.
pub const JWKS_FETCH_TIMEOUT_MS: u64 = 3_000;

/// Longest list of headers that the answer to a preflight allows: ours, and dozens of a page's.
pub const PREFLIGHT_HEADERS_MAX_BYTES: usize = 2 * 1024;

/// Number of playback signatures that an isolate remembers: 1,024 of at most 512 bytes, with their names 0.6 MiB. At 300
/// s a window, an isolate that signs three different films a second finds each of them again.
pub const SIGNATURES_MAX: usize = 1024;
