//! Limits of one request: lists, pages, questions about many items, searches, and pages for support staff.

use super::*;

/// Most plans that one answer of the access bridge's routes lists: as many as an app may have licences in `/license`.
pub const PLANS_MAX: usize = LICENSES_MAX;

/// Number of items of one question: a screen of a large catalogue. Each may lie in another shard: 200 shards of 64 KiB are
/// two fifths of [`OBJECT_CACHE_BYTES`].
pub const CHECKS_MAX_ITEMS: usize = 200;

/// Number of items on a page of a package if the client sets no limit.
pub const PAGE_DEFAULT_ITEMS: usize = 25;

/// Largest number of items on a page. Each item may lie in another shard.
pub const PAGE_MAX_ITEMS: usize = 100;

/// Number of items of which a page always fits [`ANSWER_MAX_BYTES`], even if each has [`DETAILS_MAX_BYTES`].
/// If a larger page does not fit, the client is told to ask for this number (docs/adr/0021).
pub const PAGE_SURE_ITEMS: usize = 15;

/// Longest body of a question in the standard's form (AuthZEN): 200 evaluations of 1 KiB each, and defaults. Parsed, it
/// takes at most some 4 MiB.
pub const AUTHZEN_MAX_BYTES: usize = 256 * 1024;

/// Number of evaluations in one request: a page of tiles for a service. Each may need two objects of the snapshot, 400 in
/// all: 25 MiB of [`OBJECT_CACHE_BYTES`].
pub const AUTHZEN_EVALUATIONS_MAX: usize = 200;

/// Number of customers of one request about which the upstream is asked as well (`"origin": true`), one question for
/// each: support staff looks at one.
pub const AUTHZEN_BESIDE_MAX: usize = 4;

/// Largest number of items on a page of a search, for the reason of [`PAGE_MAX_ITEMS`].
pub const AUTHZEN_PAGE_MAX_ITEMS: usize = PAGE_MAX_ITEMS;

/// Number of shards of items that one page of a search reads, 0.5 MiB and some 350 items: a page costs no more than a few
/// milliseconds, however large the catalogue is.
pub const AUTHZEN_PAGE_SHARDS: usize = 8;

/// Number of items that one page of a search looks at, where it need not go through the whole catalogue.
pub const AUTHZEN_PAGE_LOOKS: usize = 200;

/// Number of accesses and subscriptions on a page about a customer. Each access may be on an item in another shard, and an
/// invocation on KV's smallest plan may read 50 objects.
pub const HOLDINGS_PAGE: usize = 40;

/// Number of used trials on a page about a customer: a record may have thousands.
pub const HOLDINGS_TRIALS_MAX: usize = 100;

/// Longest text of a title or name on such a page, so that a page has some 100 KiB at most.
pub const HOLDINGS_TEXT_MAX_BYTES: usize = 512;

/// Number of shards of customers that one page of a search by number reads: 2 MiB and some 20,000 customers, a few
/// milliseconds. Shards push others out of [`OBJECT_CACHE_BYTES`], so it is not more.
pub const CUSTOMERS_PAGE_SHARDS: usize = 32;

/// Largest number of customers on such a page: numbers are the origin's, and any number of customers may share one.
pub const CUSTOMERS_PAGE_MAX: usize = 50;

/// Longest body with a token to inspect: [`TOKEN_MAX_BYTES`], and room for the JSON around it.
pub const INSPECT_MAX_BYTES: usize = 20 * 1024;
