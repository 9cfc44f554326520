//! Every bound of the origin, each with its reason.

use std::time::Duration;

/// Longest body of a write. The largest real one is a bulk change of 1,000 fees at 500 bytes each.
pub const BODY_MAX_BYTES: usize = 512 * 1024;

/// How much of an oversized body is still read beside the answer, for at most [`LINGER`]. A client that is
/// still sending when the connection closes sees a broken connection instead of the 413. Larger bodies are
/// not sent by mistake.
pub const BODY_DRAINED_BYTES: usize = 8 * 1024 * 1024;

/// How long an oversized body is read after its answer.
pub const LINGER: Duration = Duration::from_secs(2);

/// Longest body of a sign-in, and longest query of the sign-in page. A sign-in has five short fields; the
/// longest real ones, `state` and `redirect_uri`, have some 2 KB.
pub const SIGN_IN_MAX_BYTES: usize = 16 * 1024;

/// Most fields of a sign-in. OpenID Connect's authorization request has some twenty with all its extensions.
pub const SIGN_IN_MAX_FIELDS: usize = 32;

/// How long a client may take to send a body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest body of a request for a viewer's own data. The longest is a profile with its metadata.
pub const CLIENT_MAX_BYTES: usize = 32 * 1024;

/// Most fields of such a body. An app's registration form has some ten.
pub const CLIENT_MAX_FIELDS: usize = 128;

/// Most fields of a form, so that a small body cannot become a large tree.
pub const FORM_MAX_FIELDS: usize = 20_000;

/// Most brackets in the name of a field. `access_fees[0][trial_period][quantity]` has three.
pub const FORM_MAX_DEPTH: usize = 5;

/// Longest title, description, metadata name and similar text.
pub const TEXT_MAX_BYTES: usize = 2_000;

/// Longest `content` and metadata value.
pub const CONTENT_MAX_BYTES: usize = 64 * 1024;

/// Longest full name, e-mail address (RFC 5321 §4.5.3.1.3 has 256) and referrer of an account.
pub const NAME_MAX_BYTES: usize = 512;

/// Longest metadata of an account, as JSON. Apps keep the answers to their own questions there, some 2 KB.
pub const METADATA_MAX_BYTES: usize = 16 * 1024;

/// Most fields that a merchant asks viewers for. A form of more than some ten is not filled in.
pub const REGISTER_FIELDS_MAX: usize = 50;

/// Longest media id. Those of JW have 8 characters, a UUID has 36.
pub const MEDIA_ID_MAX_BYTES: usize = 128;

/// Most favourites of a customer. An app shows some dozens; one answer has them all.
pub const FAVORITES_MAX: usize = 1_000;

/// Most media in a customer's watch history; the ones that were watched longest ago make room.
pub const WATCH_HISTORY_MAX: usize = 1_000;

/// The progress from which a medium counts as watched. ott-web-app offers to continue below the same part.
pub const WATCHED_FROM: f64 = 0.95;

/// Subscriptions on a page by default, as the SDK asks for them.
pub const SUBSCRIPTIONS_PAGE: usize = 15;

/// Most subscriptions on a page.
pub const SUBSCRIPTIONS_PAGE_MAX: usize = 100;

/// Most payments in an answer, the newest: a viewer who bought something every day for a year has fewer.
pub const PAYMENTS_MAX: usize = 500;

/// How long a token for a new password is good: an hour, for people who read their mail later.
pub const PASSWORD_TOKEN_SECS: i64 = 3_600;

/// Most such tokens of an account at the same time: a stranger who asks again and again must not make the one in the
/// owner's mailbox worthless at once.
pub const PASSWORD_TOKENS_MAX: u32 = 5;

/// Most fees in one bulk change, members in one change of a package, and entries of metadata.
pub const LIST_MAX: usize = 1_000;

/// Longest `errors` of an answer. Every field of a bulk change may be invalid, and an answer has at most 1
/// MiB (`admit::limits::ANSWER_MAX_BYTES`).
pub const ERRORS_MAX_BYTES: usize = 768 * 1024;

/// Longest field name and longest problem in an answer: both may repeat text that a client sent.
pub const ERROR_MAX_BYTES: usize = 1024;

/// Most field names in one log line. A bulk change may have thousands of invalid fields, mostly for one
/// reason.
pub const LOGGED_NAMES_MAX: usize = 8;

/// Longest field name in the log. The API's own names have up to 48 bytes
/// (`access_fees[999][trial_period_description]`).
pub const LOGGED_NAME_MAX_BYTES: usize = 64;

/// Threads that answer checks and lists of licences. The edge asks them to confirm a denial, while a buyer
/// waits. There are two, so that one that fetches an issuer's keys does not hold up the others.
pub const CHECK_WORKERS: usize = 2;

/// Threads that make writes. One writes; the other reads and checks the next body meanwhile.
pub const WRITE_WORKERS: usize = 2;

/// Threads that answer reads without a token.
pub const READ_WORKERS: usize = 2;

/// Threads that answer the change feed. Exports have threads of their own, [`EXPORTS_MAX`].
pub const FEED_WORKERS: usize = 1;

/// Threads that check passwords. Each check takes a core for tens of milliseconds and 19 MiB of memory; with
/// more threads, a stranger who guesses passwords could take the whole machine.
pub const PASSWORD_WORKERS: usize = 1;

/// Threads that refresh tokens, redeem codes and show the sign-in page. They write, and only one thread
/// writes at a time.
pub const TOKEN_WORKERS: usize = 1;

/// Threads that answer viewers about their own data.
pub const ACCOUNT_WORKERS: usize = 2;

/// Threads that change viewers' own data. One: they wait for the lock of writes, of which merchants' writes need a
/// fair share.
pub const ACCOUNT_WRITE_WORKERS: usize = 1;

/// Threads that register viewers, and check or change passwords of signed-in ones. Registrations of strangers then do
/// not delay sign-ins.
pub const ACCOUNT_PASSWORD_WORKERS: usize = 1;

/// Threads that answer small public documents: keys, discovery, health, preflights, 404.
pub const DOCUMENT_WORKERS: usize = 1;

/// Requests of one class that wait for its threads; further ones are refused with 503. The edge gives a check
/// 2 s and a write 10 s, and each takes some milliseconds, so a client at the end of a longer queue would
/// have given up.
pub const QUEUE_MAX: usize = 128;

/// Requests with a password that wait for a thread. Each takes tens of milliseconds, so the last of them
/// waits for a few seconds of the ten that the edge gives it.
pub const PASSWORD_QUEUE_MAX: usize = 64;

/// `Retry-After` of a 503 for an overloaded class: queues empty within a second.
pub const RETRY_AFTER_SECS: u32 = 1;

/// `Retry-After` while the database accepts no writes: a full disk takes longer than a second to free.
pub const RETRY_AFTER_STORAGE_SECS: u32 = 30;

/// How long after a failed write `/healthz` tries one: monitoring that asks once a minute still sees the
/// failure.
pub const STORAGE_PROBE_SECS: i64 = 60;

/// How long a write waits for a write of another process, such as an import or a rotation of keys.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer is kept for its `Idempotency-Key`: 72 hours.
pub const IDEMPOTENCY_SECS: i64 = 72 * 3_600;

/// Longest `Idempotency-Key`. A UUID has 36 bytes.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;

/// How long a used refresh token gives the same successor again. Two tabs that refresh at once, and a client
/// that asks again after a lost answer, do so within seconds. A thief gains at most 30 seconds in which the
/// theft is not noticed.
pub const REFRESH_GRACE_SECS: i64 = 30;

/// How long after a sign-in its tokens can be refreshed: half a year. The viewer then signs in again, so a
/// stolen refresh token that was never noticed also ends.
pub const SESSION_SECS_DEFAULT: i64 = 180 * 86_400;

/// Shortest password that `origin account set` accepts, in characters: the minimum of NIST SP 800-63B and
/// OWASP ASVS. Guessing over the network is limited to some hundred attempts a day for each address
/// ([`GUESSES_OF_ACCOUNT`]), and to some 3,000 for each /48 of IPv6 ([`GUESSES_BY_SITE`]).
pub const PASSWORD_MIN_CHARS: usize = 8;

/// Shortest `ORIGIN_SECRET` and feed secret: 128 bits in hexadecimal digits.
pub const SECRET_MIN_BYTES: usize = 32;

/// How failed sign-ins of one kind delay the next one (docs/adr/0027-guessing-passwords.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guesses {
    /// Failures without a delay: people mistype.
    pub free: u32,
    /// The delay after the first failure beyond the free ones; it doubles with each further failure.
    pub first_secs: i64,
    /// The longest delay.
    pub max_secs: i64,
    /// The count decays by one failure in this time.
    pub forgotten_secs: i64,
}

/// One account from one address of IPv4 or one /64 of IPv6: after three free mistakes, delays of 1 s, 2 s, 4
/// s up to a quarter of an hour. That allows 96 guesses a day in the long run.
pub const GUESSES_OF_ACCOUNT: Guesses =
    Guesses { free: 3, first_secs: 1, max_secs: 900, forgotten_secs: 900 };

/// One account from an address that many viewers may share, because the origin does not know theirs: a delay
/// is at most half a minute. A stranger who takes every attempt as soon as it is allowed still keeps the
/// owner out; only an address of the viewer's own helps (`ORIGIN_SECRET`, `TRUSTED_ADDRESS_HEADER`).
pub const GUESSES_BY_SHARED_ADDRESS: Guesses = Guesses { max_secs: 30, ..GUESSES_OF_ACCOUNT };

/// One account that is being guessed from many addresses: the first attempt of an address is free, so that
/// the owner gets in, and further ones are slow.
pub const GUESSES_OF_TARGET: Guesses = Guesses { free: 1, first_secs: 30, ..GUESSES_OF_ACCOUNT };

/// Failures of one account from all addresses; above 20, [`GUESSES_OF_TARGET`] applies. One decays each
/// minute.
pub const GUESSES_BY_ALL: Guesses = Guesses { free: 20, first_secs: 0, max_secs: 0, forgotten_secs: 60 };

/// All accounts from one address: a household or an office mistypes less than twice a minute. The delay is at
/// most a minute, because other people may be behind the same address.
pub const GUESSES_BY_ADDRESS: Guesses = Guesses { free: 20, first_secs: 1, max_secs: 60, forgotten_secs: 30 };

/// All accounts from one /48 of IPv6. Its 65,536 networks each count as an address; one customer of a hoster
/// easily has all of them, but a mobile network gives them to 65,536 people. Five times the mistakes are
/// therefore free.
pub const GUESSES_BY_SITE: Guesses = Guesses { free: 100, ..GUESSES_BY_ADDRESS };

/// Sets of four entries in each table of failed sign-ins: 16,384 entries, some 600 KB. The weakest entry of a
/// full set makes room, and senders cannot guess which set an entry is in.
pub const GUESS_SETS: usize = 4_096;

/// Longest wait of `Prefer: wait=`: below the idle timeouts of proxies, mostly 60 s.
pub const WAIT_MAX_SECS: u64 = 55;

/// How often a waiting reader of the feed looks for changes of other processes.
pub const FEED_POLL: Duration = Duration::from_secs(1);

/// Most changes in one answer of the feed; the reader asks again for more.
pub const FEED_MAX_CHANGES: usize = 10_000;

/// Bytes after which an answer of the feed ends, with the change that exceeds them.
pub const FEED_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of records that an answer of the feed contains only because its other records refer to them,
/// although later changes made them. All are in the answer's last line, of which publishers read 16 MiB.
/// Beyond this bound the reader gets 410 and reads the export.
pub const FEED_NEWER_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Size of the chunks of an export.
pub const EXPORT_CHUNK_BYTES: usize = 64 * 1024;

/// How long the reader of an export may take nothing before the export ends: its read transaction lets the
/// write-ahead log grow.
pub const EXPORT_STALL: Duration = Duration::from_secs(60);

/// Longest duration of one export, for the same reason. `admit` also waits an hour.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Exports at the same time. Each holds a read transaction, which keeps the write-ahead log from shrinking.
pub const EXPORTS_MAX: usize = 4;

/// Changes in the log by default: more than a day at 10 changes a second.
pub const KEEP_CHANGES_DEFAULT: u64 = 1_000_000;

/// The log is checked for too many changes after every 1,000 changes, and a cut removes at most 1,000, for
/// whatever reason, so that a write waits only for milliseconds.
pub const CUT_EVERY: u64 = 1_000;

/// Days that changes stay in the log by default; a follower that was away for longer reads the export. The
/// log may name a removed customer for this time.
pub const KEEP_CHANGE_DAYS_DEFAULT: u32 = 30;

/// Seconds of a day.
pub const DAY_SECS: i64 = 86_400;

/// Bytes of the log by default. A change has some 60 to 160 bytes, so this bound concerns only a merchant
/// whose writes touch hundreds of records each.
pub const KEEP_CHANGE_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;

/// The size of a row of the change log beside its names: two numbers, and a share of the page.
pub const CHANGE_ROW_BYTES: usize = 24;

/// Audit entries about one merchant's actions by default: at 300 bytes each, with their indexes, some 1 GB. A
/// merchant who writes without a break at [`MERCHANT_WRITES_PER_SEC_DEFAULT`] fills it in eleven hours.
pub const AUDIT_ENTRIES_DEFAULT: u64 = 2_000_000;

/// Audit entries about one merchant's refused writes by default. They show an attempt, and must not fill the
/// disk.
pub const AUDIT_REFUSED_DEFAULT: u64 = 10_000;

/// Days that the audit trail keeps entries by default: a year, and a month to look back at it.
pub const AUDIT_DAYS_DEFAULT: u32 = 400;

/// Longest text of an audit entry. A customer's namespace and subject together have up to 513 bytes.
pub const AUDIT_TEXT_MAX_BYTES: usize = 520;

/// How often entries that are too old are removed.
pub const AUDIT_CUT_EVERY_SECS: i64 = 3_600;

/// Most entries that one write removes, for whatever reason: this takes some milliseconds.
pub const AUDIT_CUT_MAX: u64 = 1_000;

/// At most one audit entry per sign-in of one account or program in this time. All sign-ins are counted, and
/// the 9,600 entries of [`AUDIT_DAYS_DEFAULT`] push nothing out.
pub const AUDIT_SIGN_IN_EVERY_SECS: i64 = 3_600;

/// How often counts for the audit trail are stored. A process that is killed loses at most the last interval.
pub const COUNTS_EVERY_SECS: i64 = 60;

/// Most distinct counts between two times that they are stored: 1,000 merchants, refused for a few reasons
/// each.
pub const COUNTS_MAX: usize = 4_096;

/// Sustained writes per second of one merchant by default. One thread writes at a time, some hundreds a
/// second, and one merchant must not take all of them.
pub const MERCHANT_WRITES_PER_SEC_DEFAULT: u64 = 50;

/// Writes of one merchant at once by default: a nightly job that changes some thousand items.
pub const MERCHANT_WRITE_BURST_DEFAULT: u64 = 2_000;

/// Items of one merchant by default, deleted ones included.
pub const MERCHANT_ITEMS_DEFAULT: u64 = 1_000_000;

/// Bytes of one merchant's items and fees by default: 4 KiB for each of a million items.
pub const MERCHANT_ITEM_BYTES_DEFAULT: u64 = 4 * 1024 * 1024 * 1024;

/// Members of all packages of one merchant by default: each item in ten packages.
pub const MERCHANT_MEMBERS_DEFAULT: u64 = 10_000_000;

/// Accesses of one merchant's customers by default, ended ones included: some 5 GB.
pub const MERCHANT_ACCESSES_DEFAULT: u64 = 50_000_000;

/// Bytes of answers that are kept for one merchant's `Idempotency-Key`s by default: the answers to some two
/// million grants in 72 hours.
pub const MERCHANT_ANSWER_BYTES_DEFAULT: u64 = 4 * 1024 * 1024 * 1024;

/// Longest request id that is taken over from the edge. The edge's own have 25 bytes, a UUID has 36.
pub const REQUEST_ID_MAX_BYTES: usize = 64;

/// How long a revocation is remembered: the longest life of an access token that `serve --access-ttl-secs`
/// allows, and a minute for clocks that differ.
pub const REVOKED_SECS: i64 = 2_592_000 + 60;

/// How long an issuer may take to send its keys, while a thread waits. If the issuer is down, each thread
/// asks at most once in 10 s.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections at the same time. Each may have a request in a queue or wait for changes, and takes a file
/// descriptor of the 1,024 that a process mostly has.
pub const CONNECTIONS_MAX: usize = 800;

/// Connections of one address at the same time: a quarter, so that an address that holds them open leaves
/// room for others. Behind a proxy, all viewers have one address; `--connections-per-address` then raises the
/// bound.
pub const CONNECTIONS_PER_ADDRESS: usize = 200;

/// How long a client may take to send the headers of its first request. It connected in order to send them.
pub const FIRST_HEADERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send the headers of a further request, idle time included: longer than
/// proxies keep idle connections (mostly 60 s), so that the proxy is the one to close.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(75);

/// Longest headers of a request, with its path and query. The longest token has 16 KiB.
pub const HEADERS_MAX_BYTES: usize = 64 * 1024;

/// How long a client may take nothing of an answer before its connection ends.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause after a connection could not be accepted.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a stopping server goes on with the answers that it has begun.
pub const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Accesses of one customer. At some 120 bytes each they make a line of 1.2 MB, of the 16 MiB that a
/// publisher reads. A longer line would stop the feed, and with it every other customer's changes.
pub const ACCESSES_MAX: usize = 10_000;

/// Most members of a package: some 900 KB of a line. Publishers accept the same number.
pub use admit::limits::MEMBERS_MAX;

/// Most fees of an item. Publishers accept the same number, within the rendered-size budget.
pub use admit::limits::FEES_MAX;

/// Longest period that a fee or a trial sells. Vendors sell "for ever" as 99 or 999 years; a longer period is
/// a mistake in the unit. The end of any purchase before the year 8999 can then be expressed.
pub const PERIOD_MAX_YEARS: i64 = 1_000;

/// Most keys that verify at the same time. The edge accepts 32 keys of an issuer.
pub const KEYS_MAX: i64 = 16;
