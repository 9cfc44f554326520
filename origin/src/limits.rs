//! Every number that bounds the origin, each with its reason.

use std::time::Duration;

/// Longest body of a write. The largest is a bulk change of fees: 1,000 of 500 bytes.
pub const BODY_MAX_BYTES: usize = 512 * 1024;

/// How much of a body that is too long is read all the same: a client that is still sending when the connection
/// ends learns of a broken connection, not of the 413. More than that nobody sends by mistake.
pub const BODY_DRAINED_BYTES: usize = 8 * 1024 * 1024;

/// How long a client may take to send a body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Fields in a form, so that a small body cannot become a large tree.
pub const FORM_MAX_FIELDS: usize = 20_000;

/// Brackets in the name of a field: `access_fees[0][trial_period][quantity]` has three.
pub const FORM_MAX_DEPTH: usize = 5;

/// Longest title, description, metadata name and the like, in bytes.
pub const TEXT_MAX_BYTES: usize = 2_000;

/// Longest `content` and metadata value, in bytes.
pub const CONTENT_MAX_BYTES: usize = 64 * 1024;

/// Fees in one bulk change, members in one change of a package, entries of metadata.
pub const LIST_MAX: usize = 1_000;

/// Names of fields in one line of the log: a bulk change may have thousands that are wrong, for one reason mostly.
pub const LOGGED_NAMES_MAX: usize = 8;

/// Longest name of a field in the log. The API's own have up to 48 bytes
/// (`access_fees[999][trial_period_description]`).
pub const LOGGED_NAME_MAX_BYTES: usize = 64;

/// Threads that answer. Each has a connection to the database; only one at a time writes.
pub const WORKERS: usize = 4;

/// Threads that check passwords. Each check takes a core for tens of milliseconds and 19 MiB: more at once
/// would let anybody who guesses passwords take the machine from everybody else.
pub const SIGN_IN_WORKERS: usize = 1;

/// Requests that wait for a thread. More are refused with 503: whoever waits longer has gone.
pub const QUEUE_MAX: usize = 512;

/// The same for sign-ins. Each takes tens of milliseconds, one after another: the last of them waits for a few
/// seconds, of the ten that the edge gives it.
pub const SIGN_IN_QUEUE_MAX: usize = 64;

/// `Retry-After` of a 503.
pub const RETRY_AFTER_SECS: u32 = 1;

/// How long a write waits for another process's write (an import, a rotation of keys).
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer is kept for its `Idempotency-Key`: 72 hours.
pub const IDEMPOTENCY_SECS: i64 = 72 * 3_600;

/// Longest `Idempotency-Key`. A UUID has 36 bytes.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;

/// How long a refresh token that was used gives the same successor once more: two tabs that refresh at once, and a
/// client that did not get the answer and asks again, do so within seconds. A thief gains as little as 30 seconds in
/// which the theft is not noticed.
pub const REFRESH_GRACE_SECS: i64 = 30;

/// Longest wait that `Prefer: wait=` may ask for: below the idle time-outs of proxies (60 s mostly).
pub const WAIT_MAX_SECS: u64 = 55;

/// How often a waiting reader of the feed looks for changes that another process made.
pub const FEED_POLL: Duration = Duration::from_secs(1);

/// Changes in one answer of the feed; its reader asks again for more.
pub const FEED_MAX_CHANGES: usize = 10_000;

/// Bytes after which an answer of the feed ends, with the change that passes them.
pub const FEED_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of an export that are sent at once.
pub const EXPORT_CHUNK_BYTES: usize = 64 * 1024;

/// How long the reader of an export may take nothing before it is given up: its read transaction keeps the
/// write-ahead log growing.
pub const EXPORT_STALL: Duration = Duration::from_secs(60);

/// Exports at the same time. Each holds a read transaction, which keeps the write-ahead log from shrinking.
pub const EXPORTS_MAX: usize = 4;

/// Changes that the log keeps when nothing else is configured: at 10 a second, more than a day.
pub const KEEP_CHANGES_DEFAULT: u64 = 1_000_000;

/// The log is cut every so many changes.
pub const CUT_EVERY: u64 = 1_000;

/// How long an issuer may take to send its keys. A thread waits for it; while the issuer is down, each asks once
/// in 10 s at most.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections at the same time. Each may have a request in the queue or wait for changes; a descriptor each.
pub const CONNECTIONS_MAX: usize = 800;

/// How long a client may take to send a request's headers, and be silent between two requests.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(75);

/// Pause after a connection that could not be accepted.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a server that is to end goes on answering what it has begun.
pub const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Accesses of one customer. At some 120 bytes each they make a line of 1.2 MB, of the 16 MiB that a publisher
/// reads: one customer's must never keep everybody else's news from the edge.
pub const ACCESSES_MAX: usize = 10_000;

/// Members of one package: some 900 KB of a line.
pub const MEMBERS_MAX: usize = 100_000;

/// Fees of one item. Their JSON lies in the item's record, at some 600 bytes each.
pub const FEES_MAX: usize = 1_000;

/// An item and its fees as JSON, its members left out. A publisher reads lines of 16 MiB, and makes objects of 8 MiB
/// in which metadata stand twice: no merchant's item may keep everybody else's news from the edge.
pub const ITEM_MAX_BYTES: usize = 2 * 1024 * 1024;

/// Longest period that a fee or a trial sells. Vendors sell "for ever" as 99 or 999 years; a longer one is a mistake in
/// the unit, and the end of any purchase before the year 8999 is one that times can express.
pub const PERIOD_MAX_YEARS: i64 = 1_000;

/// Keys that verify at the same time. The edge takes 32 of an issuer.
pub const KEYS_MAX: i64 = 16;
