//! Every number that bounds tokens and keys, each with its reason. An isolate has 128 MB of memory in all.

pub use admit_snapshot::limits::{CUSTOMER_MAX_BYTES, JWKS_MAX_BYTES, TOKEN_MAX_BYTES};

/// Leeway of an issuer whose configuration sets none. It suits the clocks of most issuers.
pub const LEEWAY_DEFAULT_SECS: u32 = 60;

/// Largest leeway that may be configured. A larger one would honour tokens long after they expired.
pub const LEEWAY_MAX_SECS: u32 = 300;

/// Largest number of issuers. A token's issuer is found by comparison with each, which takes about 10 ns
/// apiece.
pub const ISSUERS_MAX: usize = 64;

/// Number of keys of a JWKS that are kept, not counting unusable and repeated ones. Bounds the work of
/// importing them (about 50 us each, once per change of the document) and of finding one.
pub const JWKS_MAX_KEYS: usize = 128;

/// Number of keys of a JWKS that the platform is asked to import, valid or not: 512 x 50 us.
pub const JWKS_IMPORTS_MAX: usize = 512;

/// Number of unusable keys of a JWKS that are remembered by name, to explain why their tokens fail: 128 x
/// some 150 bytes.
pub const JWKS_LEFT_OUT_MAX: usize = 128;

/// Number of keys that are tried for one token, if several share its `kid` or have none. A made-up token
/// costs this number of signature checks, some 0.6 ms. A `kid` nearly always belongs to a single key.
pub const KEYS_TRIED_MAX: usize = 16;

/// Number of an issuer's tokens that are remembered because no present key verifies them: 2,048 x 24 bytes,
/// searched in about 0.6 us. A token is refused after a fetch that began after the token was first seen
/// (docs/adr/0013).
pub const JWKS_PENDING_MAX_TOKENS: usize = 2048;

/// Largest lead of `iat` or `nbf` that counts as a wrong clock: a day, more than any error of the time zone.
pub const CLOCK_AHEAD_MAX_SECS: i64 = 86_400;

/// Longest `Retry-After` for a token from the future. Clocks are corrected at any moment.
pub const CLOCK_RETRY_MAX_SECS: i64 = 60;

/// Longest part of a foreign value in a log line: a `kid`, an algorithm, an issuer. Names of keys have up to
/// 88 letters (a SHA-512 in base64).
pub const LOGGED_VALUE_MAX_BYTES: usize = 96;

/// Age from which a fetched JWKS is refreshed behind the requests that it still serves. A revoked key is
/// honoured for about this long. Cognito, Auth0 and Okta ask for caching of 5 minutes to a day.
pub const JWKS_FRESH_SECS: i64 = 600;

/// Pause after a successful fetch before a token that no key verifies may cause another fetch. A client that
/// sends made-up `kid`s causes fetches twice a minute per isolate, each time at most
/// [`JWKS_FETCHES_AT_ONCE`].
pub const JWKS_COOLDOWN_SECS: i64 = 30;

/// Pause after a failed fetch. It is shorter, because without keys all players are refused meanwhile.
pub const JWKS_FAILURE_COOLDOWN_SECS: i64 = 10;

/// A fetch that has not ended after this time counts as lost: its request may have been cancelled.
pub const JWKS_FETCH_LOST_SECS: i64 = 10;

/// Number of requests that may fetch one issuer's keys at the same time. Others look again every
/// `LOAD_WAIT_MS`. With only one, a cancelled request would make all others wait for
/// [`JWKS_FETCH_LOST_SECS`]; without a bound, each of thousands would fetch.
pub const JWKS_FETCHES_AT_ONCE: u8 = 4;

/// Shortest RSA modulus, as RFC 7518 §3.3 and §3.5 require.
pub const RSA_MIN_BITS: usize = 2048;

/// Longest RSA modulus: the limit of the pure Rust verifier, so that tests and Worker agree.
pub const RSA_MAX_BITS: usize = 4096;

/// Number of verified tokens in memory. With 8,192 tokens of 400 bytes and their claims, 10 MiB.
pub const VERIFIED_MAX_TOKENS: usize = 8192;

/// Memory for verified tokens of any length: 12 MiB of the isolate's 128 MB, some 4,900 tokens of 1 KiB.
/// Together with `KNOWN_VIEWERS_MAX_BYTES`, `ITEM_TEXTS_MAX_BYTES` and `NEAR_MAX_BYTES`, it leaves room for all shards that
/// are loaded at once when a slow store recovers (docs/scale.md).
pub const VERIFIED_MAX_BYTES: usize = 12 * 1024 * 1024;

/// Memory of a verified token besides its text and the strings of its principal: map slot, `Rc`, struct,
/// allocator.
pub const VERIFIED_OVERHEAD_BYTES: usize = 512;

/// Number of kept answers and known questions per token: enough for the items on a screen, not for a whole
/// catalogue.
pub const ANSWERS_PER_TOKEN: usize = 8;

/// Number of tokens remembered for their bad signature: 256 x 24 bytes = 6 KiB, scanned in about 0.1 us.
pub const REJECTED_MAX_TOKENS: usize = 256;

/// How long a bad signature is remembered. A client that retries one bad token costs a signature check every
/// 10 s.
pub const REJECTED_SECS: i64 = 10;
