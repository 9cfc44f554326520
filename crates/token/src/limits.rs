//! Every number that bounds tokens and keys, each with its reason. An isolate has 128 MB of memory in all.

pub use admit_snapshot::limits::{CUSTOMER_MAX_BYTES, JWKS_MAX_BYTES, TOKEN_MAX_BYTES};

/// Leeway when an issuer's configuration names none: what most issuers' clocks need.
pub const LEEWAY_DEFAULT_SECS: u32 = 60;

/// Most leeway that may be configured. More would mean honouring tokens long after they expired.
pub const LEEWAY_MAX_SECS: u32 = 300;

/// Most issuers. A token's issuer is found by comparing with each, about 10 ns apiece.
pub const ISSUERS_MAX: usize = 64;

/// Most keys of a JWKS that are kept, after those that cannot be used and those that are listed twice: a bound for the
/// work of importing them (about 50 us each, once for each change of the document) and of finding one.
pub const JWKS_MAX_KEYS: usize = 128;

/// Most keys of a JWKS that the platform is asked to import, good or not: 512 x 50 us.
pub const JWKS_IMPORTS_MAX: usize = 512;

/// Keys of a JWKS that cannot be used and are remembered by name, to say so of their tokens: 128 x some 150 bytes.
pub const JWKS_LEFT_OUT_MAX: usize = 128;

/// Most keys that are tried for one token: those that share a name, or that have none. A made-up token costs as many
/// signatures, some 0.6 ms; a name is nearly always one key's.
pub const KEYS_TRIED_MAX: usize = 16;

/// Tokens of an issuer that are remembered because no key at hand verifies them: 2,048 x 24 bytes, searched in about
/// 0.6 us. They are refused after a fetch that began later than they were first seen (docs/adr/0013).
pub const JWKS_PENDING_MAX_TOKENS: usize = 2048;

/// How far ahead `iat` or `nbf` may be and still count as a clock that is wrong: a day, more than any time zone.
pub const CLOCK_AHEAD_MAX_SECS: i64 = 86_400;

/// Longest `Retry-After` of a token that is ahead of its time: clocks are set right at any moment.
pub const CLOCK_RETRY_MAX_SECS: i64 = 60;

/// How much of a value of somebody else's stands in a log line: the name of a key, an algorithm, an issuer. Names of
/// keys are up to 88 letters (a SHA-512 in base64).
pub const LOGGED_VALUE_MAX_BYTES: usize = 96;

/// Age from which a fetched JWKS is refreshed behind the requests it still serves. A revoked key is honoured
/// for about this long; Cognito, Auth0 and Okta ask to cache for 5 minutes to a day.
pub const JWKS_FRESH_SECS: i64 = 600;

/// Pause after a successful fetch before a token that no key verifies may cause another: whoever sends made-up `kid`s
/// causes fetches twice a minute for each isolate, each time at most [`JWKS_FETCHES_AT_ONCE`].
pub const JWKS_COOLDOWN_SECS: i64 = 30;

/// Pause after a failed fetch. Shorter, because players are refused meanwhile if there are no keys yet.
pub const JWKS_FAILURE_COOLDOWN_SECS: i64 = 10;

/// A fetch that has not ended after this long is taken for lost: its request may have been cancelled.
pub const JWKS_FETCH_LOST_SECS: i64 = 10;

/// Requests that may fetch one issuer's keys at the same time; the others look again every [`LOAD_WAIT_MS`].
/// More than one, so that a request that is cancelled keeps nobody waiting for [`JWKS_FETCH_LOST_SECS`];
/// without a bound each of thousands would fetch.
pub const JWKS_FETCHES_AT_ONCE: u8 = 4;

/// Shortest RSA modulus: RFC 7518 §3.3 and §3.5 demand it.
pub const RSA_MIN_BITS: usize = 2048;

/// Longest RSA modulus: what the pure implementation verifies, so that tests and Worker agree.
pub const RSA_MAX_BITS: usize = 4096;

/// Verified tokens in memory: 8,192 of 400 bytes, with what they say, are 10 MiB.
pub const VERIFIED_MAX_TOKENS: usize = 8192;

/// Their bytes, whatever the tokens' lengths: 12 MiB of the isolate's 128 MB, some 4,900 tokens of 1 KiB. With
/// [`ANSWERS_MAX_BYTES`] as much as leaves room for all the shards that are loaded at once when a slow store comes
/// round (docs/scale.md).
pub const VERIFIED_MAX_BYTES: usize = 12 * 1024 * 1024;

/// What a remembered token costs beyond its own text and the strings of its principal: map slot, `Rc`,
/// struct, allocator.
pub const VERIFIED_OVERHEAD_BYTES: usize = 512;

/// Answers that are kept of a token, and questions that it is known to have asked: what is on a screen, not what is in
/// a catalogue.
pub const ANSWERS_PER_TOKEN: usize = 8;

/// Tokens remembered for their bad signature: 256 x 24 bytes = 6 KiB, scanned in about 0.1 us.
pub const REJECTED_MAX_TOKENS: usize = 256;

/// How long a bad signature is remembered: a client that retries one bad token costs a signature every 10 s.
pub const REJECTED_SECS: i64 = 10;
