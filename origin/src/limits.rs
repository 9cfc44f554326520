//! Every number that bounds the origin, each with its reason.

use std::time::Duration;

/// Longest body of a write. The largest is a bulk change of fees: 1,000 of 500 bytes.
pub const BODY_MAX_BYTES: usize = 512 * 1024;

/// How much of a body that is too long is read all the same, beside the answer and for at most [`LINGER`]: a client
/// that is still sending when the connection ends learns of a broken connection, not of the 413. More than that is
/// not sent by mistake.
pub const BODY_DRAINED_BYTES: usize = 8 * 1024 * 1024;

/// How long a body that is too long is read on after it was answered.
pub const LINGER: Duration = Duration::from_secs(2);

/// Longest body of a sign-in, and longest query of the sign-in page. A sign-in has five short fields; the longest
/// that are real, `state` and `redirect_uri`, have some 2 KB.
pub const SIGN_IN_MAX_BYTES: usize = 16 * 1024;

/// Fields of a sign-in. OpenID Connect's authorization request has some twenty with all its extensions.
pub const SIGN_IN_MAX_FIELDS: usize = 32;

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

/// Bytes of the `errors` of an answer: of a bulk change everything may be wrong, and one answer has 1 MiB at most
/// (`admit::limits::ANSWER_MAX_BYTES`).
pub const ERRORS_MAX_BYTES: usize = 768 * 1024;

/// Longest name of a field, and longest problem with one, in an answer: both may repeat what a client has sent.
pub const ERROR_MAX_BYTES: usize = 1024;

/// Names of fields in one line of the log: a bulk change may have thousands that are wrong, for one reason mostly.
pub const LOGGED_NAMES_MAX: usize = 8;

/// Longest name of a field in the log. The API's own have up to 48 bytes
/// (`access_fees[999][trial_period_description]`).
pub const LOGGED_NAME_MAX_BYTES: usize = 64;

/// Threads that answer checks and lists of licences, which the edge asks to confirm a denial: a buyer waits for them.
/// Two, so that one which fetches an issuer's keys does not hold up the others.
pub const CHECK_WORKERS: usize = 2;

/// Threads that make writes. One at a time writes; the other reads and checks the next body meanwhile.
pub const WRITE_WORKERS: usize = 2;

/// Threads that answer reads which need no token.
pub const READ_WORKERS: usize = 2;

/// Threads that answer the feed; exports have threads of their own, [`EXPORTS_MAX`].
pub const FEED_WORKERS: usize = 1;

/// Threads that check passwords. Each check takes a core for tens of milliseconds and 19 MiB: more at once would let
/// a stranger who guesses passwords take the machine from everybody else.
pub const PASSWORD_WORKERS: usize = 1;

/// Threads that refresh tokens, redeem codes and show the sign-in page. They write, one at a time.
pub const TOKEN_WORKERS: usize = 1;

/// Threads that answer what is small, public and the same for all: keys, discovery, health, preflights, 404.
pub const DOCUMENT_WORKERS: usize = 1;

/// Requests of one class that wait for its threads. More are refused with 503: a client that waits longer has gone.
/// The edge gives a check 2 s and a write 10 s, and each takes some milliseconds.
pub const QUEUE_MAX: usize = 128;

/// The same for passwords. Each takes tens of milliseconds, one after another: the last of them waits for a few
/// seconds, of the ten that the edge gives it.
pub const PASSWORD_QUEUE_MAX: usize = 64;

/// `Retry-After` of a 503.
pub const RETRY_AFTER_SECS: u32 = 1;

/// `Retry-After` while the database cannot be written: a full disk is not mended within a second.
pub const RETRY_AFTER_STORAGE_SECS: u32 = 30;

/// How long after a failed write `/healthz` tries one: long enough that those who look every minute see the failure.
pub const STORAGE_PROBE_SECS: i64 = 60;

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

/// How long all that came from one sign-in may be refreshed: half a year. After that the viewer signs in again, so that
/// a refresh token which was stolen unnoticed ends some day.
pub const SESSION_SECS_DEFAULT: i64 = 180 * 86_400;

/// Shortest password that `origin account set` takes, in characters: what NIST SP 800-63B and OWASP ASVS ask for at least.
/// Guessing over the network is slowed down to some hundred tries a day for each address ([`GUESSES_OF_ACCOUNT`]), and to
/// some 3,000 for each /48 of IPv6 ([`GUESSES_BY_SITE`]).
pub const PASSWORD_MIN_CHARS: usize = 8;

/// Shortest `ORIGIN_SECRET` and feed secret: 128 bits in hexadecimal digits.
pub const SECRET_MIN_BYTES: usize = 32;

/// How failed sign-ins of one kind delay the next one (docs/adr/0027-guessing-passwords.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guesses {
    /// Failures that have no consequence: people mistype.
    pub free: u32,
    /// The delay after the first failure beyond those; it doubles with each.
    pub first_secs: i64,
    /// The longest delay.
    pub max_secs: i64,
    /// One failure is forgotten every so many seconds.
    pub forgotten_secs: i64,
}

/// One account, tried from one address of IPv4 or one /64 of IPv6: after three mistakes 1 s, 2 s, 4 s up to a quarter of
/// an hour. In the long run that is 96 guesses a day.
pub const GUESSES_OF_ACCOUNT: Guesses =
    Guesses { free: 3, first_secs: 1, max_secs: 900, forgotten_secs: 900 };

/// The same where many viewers may share the address, because the origin does not know theirs: nobody waits longer than
/// half a minute for a try. A stranger who takes each try as soon as there is one keeps the owner out all the same;
/// what helps is an address of the viewer's own (`ORIGIN_SECRET`, `TRUSTED_ADDRESS_HEADER`).
pub const GUESSES_BY_SHARED_ADDRESS: Guesses = Guesses { max_secs: 30, ..GUESSES_OF_ACCOUNT };

/// The same for an account that is being guessed from many addresses: the first try of an address is free, so that
/// the owner gets in, and the next ones are slow.
pub const GUESSES_OF_TARGET: Guesses = Guesses { free: 1, first_secs: 30, ..GUESSES_OF_ACCOUNT };

/// Failures of one account from all addresses, above which [`GUESSES_OF_TARGET`] holds. One is forgotten a minute.
pub const GUESSES_BY_ALL: Guesses = Guesses { free: 20, first_secs: 0, max_secs: 0, forgotten_secs: 60 };

/// One address, whatever the account: a household or an office mistypes less than twice a minute. At most one minute,
/// because others may be behind the same address.
pub const GUESSES_BY_ADDRESS: Guesses = Guesses { free: 20, first_secs: 1, max_secs: 60, forgotten_secs: 30 };

/// One /48 of IPv6, whatever the account. Who rents a server or a line easily has its 65,536 networks, each of which
/// counts as an address; a mobile network gives them to as many people, so five times as many mistakes are free.
pub const GUESSES_BY_SITE: Guesses = Guesses { free: 100, ..GUESSES_BY_ADDRESS };

/// Sets of four entries in each table of failed sign-ins: 16,384 entries, some 600 KB. The weakest entry of a set makes
/// room, and which set an entry is in cannot be guessed.
pub const GUESS_SETS: usize = 4_096;

/// Longest wait that `Prefer: wait=` may ask for: below the idle time-outs of proxies (60 s mostly).
pub const WAIT_MAX_SECS: u64 = 55;

/// How often a waiting reader of the feed looks for changes that another process made.
pub const FEED_POLL: Duration = Duration::from_secs(1);

/// Changes in one answer of the feed; its reader asks again for more.
pub const FEED_MAX_CHANGES: usize = 10_000;

/// Bytes after which an answer of the feed ends, with the change that passes them.
pub const FEED_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of records that an answer of the feed has because its records refer to them, although later changes made them.
/// They are all in its last line, of which publishers read 16 MiB. A reader for whom there are more reads the export.
pub const FEED_NEWER_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of an export that are sent at once.
pub const EXPORT_CHUNK_BYTES: usize = 64 * 1024;

/// How long the reader of an export may take nothing before it is given up: its read transaction keeps the
/// write-ahead log growing.
pub const EXPORT_STALL: Duration = Duration::from_secs(60);

/// How long one export may take in all, for the same reason. `admit` gives it an hour, too.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Exports at the same time. Each holds a read transaction, which keeps the write-ahead log from shrinking.
pub const EXPORTS_MAX: usize = 4;

/// Changes that the log keeps when nothing else is configured: at 10 a second, more than a day.
pub const KEEP_CHANGES_DEFAULT: u64 = 1_000_000;

/// The log is cut by the number of changes every so many changes. At most so many go at once, whatever it is cut by, so
/// that a write waits for milliseconds.
pub const CUT_EVERY: u64 = 1_000;

/// Days that the log keeps changes when nothing else is configured: a follower that was away for longer reads the
/// export. For so long the log may name a customer who was removed.
pub const KEEP_CHANGE_DAYS_DEFAULT: u32 = 30;

/// Seconds of a day.
pub const DAY_SECS: i64 = 86_400;

/// Bytes that the log keeps when nothing else is configured. A change has some 60 to 160 bytes, so this only bounds a
/// merchant whose writes touch hundreds of records each.
pub const KEEP_CHANGE_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;

/// What a row of the change log takes beside its names: two numbers, and the page's share.
pub const CHANGE_ROW_BYTES: usize = 24;

/// Entries about what one merchant did that the audit trail keeps when nothing else is configured: at 300 bytes each,
/// with their indexes, some 1 GB. A merchant who writes without a break at the rate of
/// [`MERCHANT_WRITES_PER_SEC_DEFAULT`] fills it in eleven hours.
pub const AUDIT_ENTRIES_DEFAULT: u64 = 2_000_000;

/// The same for writes that were refused. They show an attempt; they must not fill the disk.
pub const AUDIT_REFUSED_DEFAULT: u64 = 10_000;

/// Days that the audit trail keeps entries when nothing else is configured: a year, and a month to look back at it.
pub const AUDIT_DAYS_DEFAULT: u32 = 400;

/// Longest text of an entry: names of customers have up to 513 bytes, namespace and subject together.
pub const AUDIT_TEXT_MAX_BYTES: usize = 520;

/// How often entries that are too old are looked for.
pub const AUDIT_CUT_EVERY_SECS: i64 = 3_600;

/// How many entries one write removes, whether they are too old or too many: some milliseconds.
pub const AUDIT_CUT_MAX: u64 = 1_000;

/// How often sign-ins of one account or program have an entry in the audit trail: all of them are counted, and 9,600
/// entries in [`AUDIT_DAYS_DEFAULT`] push nothing out.
pub const AUDIT_SIGN_IN_EVERY_SECS: i64 = 3_600;

/// How often what is counted for the audit trail in memory is stored. A process that is killed loses as much.
pub const COUNTS_EVERY_SECS: i64 = 60;

/// Different things that are counted between two times that they are stored: 1,000 merchants refused for some reasons.
pub const COUNTS_MAX: usize = 4_096;

/// Writes a second of one merchant, in the long run, when nothing else is configured. One thread writes at a time, some
/// hundreds a second: one merchant must not take all of them.
pub const MERCHANT_WRITES_PER_SEC_DEFAULT: u64 = 50;

/// Writes of one merchant at once, when nothing else is configured: a nightly job that changes some thousand items.
pub const MERCHANT_WRITE_BURST_DEFAULT: u64 = 2_000;

/// Items of one merchant, deleted ones among them, when nothing else is configured.
pub const MERCHANT_ITEMS_DEFAULT: u64 = 1_000_000;

/// Bytes of one merchant's items and fees when nothing else is configured: 4 KiB for each of a million items.
pub const MERCHANT_ITEM_BYTES_DEFAULT: u64 = 4 * 1024 * 1024 * 1024;

/// Members of all packages of one merchant when nothing else is configured: each item in ten packages.
pub const MERCHANT_MEMBERS_DEFAULT: u64 = 10_000_000;

/// Accesses of one merchant's customers when nothing else is configured: some 5 GB. Those that have ended count.
pub const MERCHANT_ACCESSES_DEFAULT: u64 = 50_000_000;

/// Bytes of answers that are kept for one merchant's `Idempotency-Key`s when nothing else is configured: the answers to
/// some two million grants in 72 hours.
pub const MERCHANT_ANSWER_BYTES_DEFAULT: u64 = 4 * 1024 * 1024 * 1024;

/// Longest request id that is taken over from the edge. Its own have 25 bytes, a UUID has 36.
pub const REQUEST_ID_MAX_BYTES: usize = 64;

/// The longest life of an access token that `serve --access-ttl-secs` allows, and a minute for clocks that differ: for
/// so long a revocation is remembered.
pub const REVOKED_SECS: i64 = 2_592_000 + 60;

/// How long an issuer may take to send its keys. A thread waits for it; while the issuer is down, each asks once
/// in 10 s at most.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections at the same time. Each may have a request in the queue or wait for changes; a descriptor each, of the
/// 1,024 that a process has mostly.
pub const CONNECTIONS_MAX: usize = 800;

/// Connections of one address at the same time: a quarter, so that one that holds them open leaves the others room.
/// Behind a proxy all have one address; `--connections-per-address` says how many that may have.
pub const CONNECTIONS_PER_ADDRESS: usize = 200;

/// How long a client may take to send the headers of its first request. It connected in order to send them.
pub const FIRST_HEADERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send a further request's headers, and be silent between two requests: longer than
/// proxies keep idle connections (60 s mostly), so that they are the ones to close.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(75);

/// Longest headers of a request, with its path and query. The longest token has 16 KiB.
pub const HEADERS_MAX_BYTES: usize = 64 * 1024;

/// How long a client may take nothing of an answer before its connection ends.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause after a connection that could not be accepted.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a server that is to end goes on answering what it has begun.
pub const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Accesses of one customer. At some 120 bytes each they make a line of 1.2 MB, of the 16 MiB that a publisher
/// reads: one customer's must never keep everybody else's news from the edge.
pub const ACCESSES_MAX: usize = 10_000;

/// Members of one package: some 900 KB of a line. Publishers take as many.
pub use admit::limits::MEMBERS_MAX;

/// Fees of one item. Publishers take as many, within what an answer may cost.
pub use admit::limits::FEES_MAX;

/// Longest period that a fee or a trial sells. Vendors sell "for ever" as 99 or 999 years; a longer one is a mistake in
/// the unit, and the end of any purchase before the year 8999 is one that times can express.
pub const PERIOD_MAX_YEARS: i64 = 1_000;

/// Keys that verify at the same time. The edge takes 32 of an issuer.
pub const KEYS_MAX: i64 = 16;
