//! Every number that bounds playback signing, each with its reason.

/// Largest number of entries in `PLAYBACK`: 64 issuers' worth of merchants with four item types each. An item's entries
/// are found by comparison with all of them, some 2 ns apiece.
pub const ENTRIES_MAX: usize = 256;

/// Lifetime of a signature when the configuration sets none: a long film with its pauses. A player that asks
/// again later gets a new one.
pub const TTL_DEFAULT_SECS: u32 = 4 * 3600;

/// Shortest lifetime: a player needs some seconds between the answer and its first request.
pub const TTL_MIN_SECS: u32 = 30;

/// Longest lifetime: a week. A revocation does not reach a CDN before the signature ends.
pub const TTL_MAX_SECS: u32 = 7 * 86_400;

/// Longest lifetime of a Cloudflare Stream token with its rounding: Stream accepts no `exp` beyond 24 hours.
pub const STREAM_TTL_MAX_SECS: u32 = 86_400;

/// Ends are rounded up to this by default, so that viewers of the same five minutes share a signature in caches.
pub const ROUND_DEFAULT_SECS: u32 = 300;

/// Coarsest rounding: an hour. It adds to the lifetime.
pub const ROUND_MAX_SECS: u32 = 3600;

/// How far a verifier's clock may be behind, when the configuration sets none.
pub const LEEWAY_DEFAULT_SECS: u32 = 60;

/// Largest such leeway, as for issuers.
pub const LEEWAY_MAX_SECS: u32 = 300;

/// Largest number of hosts, methods or bindings in an entry.
pub const LIST_MAX: usize = 16;

/// Longest text in an entry, in bytes: enough for a URL template.
pub const TEXT_MAX_BYTES: usize = 512;

/// Longest media id in bytes. Platforms' ids have 8 to 46 characters.
pub const MEDIA_ID_MAX_BYTES: usize = 128;

/// Longest URL that is signed, in bytes: signed, it still fits the 8 KiB that CDNs allow.
pub const URL_MAX_BYTES: usize = 2048;

/// Shortest JW Player secret in bytes: the vendor hands out 24 characters.
pub const JW_SECRET_MIN_BYTES: usize = 24;

/// Shortest HMAC-SHA256 key of our own in bytes: the length of its output (RFC 2104 section 3).
pub const HMAC_KEY_MIN_BYTES: usize = 32;

/// Shortest Akamai key in bytes: Property Manager makes keys of 32 or 64 hexadecimal digits.
pub const AKAMAI_KEY_MIN_BYTES: usize = 16;

/// Shortest RSA modulus in bits, as NIST SP 800-131A allows and as CloudFront, Stream and Mux use.
pub const RSA_MIN_BITS: usize = 2048;

/// Longest RSA modulus in bits: longer ones take the platform some 5 ms a signature.
pub const RSA_MAX_BITS: usize = 4096;
