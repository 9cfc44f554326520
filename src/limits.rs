//! Every number that bounds the service, each with its reason. An isolate has 128 MB of memory in all.
//!
//! Those of snapshots and tokens are in the crates that read them, and are named here too.

pub use admit_snapshot::limits::*;
pub use admit_token::limits::*;

/// Number of known viewers. As large as the number of verified tokens.
pub const KNOWN_VIEWERS_MAX: u32 = 8192;

/// Memory for known viewers, their texts and their kept answers: 10 MiB of the isolate's 128 MB, 8,192 viewers of a
/// token of 500 bytes without answers, or 6,000 answers of 1 KiB and their viewers.
pub const KNOWN_VIEWERS_MAX_BYTES: u32 = 10 * 1024 * 1024;

/// Memory for the items' texts of known viewers' answers: 2 MiB, a catalogue of 2,000 items of 700 bytes.
pub const ITEM_TEXTS_MAX_BYTES: u32 = 2 * 1024 * 1024;

/// Longest texts of one item among them. Longer ones are written anew for each check.
pub const ITEM_TEXT_MAX_BYTES: usize = 32 * 1024;

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

/// Rounds of loading for one request. The longest path needs six: head, keys, a page and a shard for each
/// tree, and the members of a package.
pub const LOAD_ROUNDS_MAX: usize = 8;

/// Number of objects that a request which needs many loads at the same time: 2 MiB of shards. A Worker has six
/// connections; further objects would wait for them.
pub const LOADS_AT_ONCE: usize = 32;

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

/// Most plans that one answer of the access bridge's routes lists: as many as an app may have licences in `/license`.
pub const PLANS_MAX: usize = LICENSES_MAX;

/// Number of items of one question: a screen of a large catalogue. Each may lie in another shard: 200 shards of 64 KiB are
/// two fifths of [`OBJECT_CACHE_BYTES`].
pub const CHECKS_MAX_ITEMS: usize = 200;

/// Number of single questions to the origin that confirm one answer about several items, where the origin does not answer
/// several at once: a row of a screen. A viewer then asks the origin no more than a page that checks its first items one by
/// one.
pub const CHECKS_MAX_CONFIRMS: usize = 8;

/// Number of items in one question to the origin that count as one question in every budget: 200 items as 25. A customer
/// whose budget refills by ten a second then has at most 80 decisions a second made at the origin.
pub const CONFIRM_ITEMS: usize = CHECKS_MAX_CONFIRMS;

/// How long an origin that does not answer questions about several items is asked single ones, in milliseconds: two
/// minutes, in which an isolate wastes one request, and after which it notices an origin that has learnt it.
pub const EVALUATIONS_AGAIN_MS: u64 = 120_000;

/// Number of items on a page of a package if the client sets no limit.
pub const PAGE_DEFAULT_ITEMS: usize = 25;

/// Largest number of items on a page. Each item may lie in another shard.
pub const PAGE_MAX_ITEMS: usize = 100;

/// Number of items of which a page always fits [`ANSWER_MAX_BYTES`], even if each has [`DETAILS_MAX_BYTES`].
/// If a larger page does not fit, the client is told to ask for this number (docs/adr/0021).
pub const PAGE_SURE_ITEMS: usize = 15;

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

/// Longest body of a write: five hundred fees in one bulk request.
pub const WRITE_MAX_BYTES: usize = 512 * 1024;

/// Longest body, and longest query, of a sign-in: five short fields. A client without a token must not make
/// servers parse more.
pub const SIGN_IN_MAX_BYTES: usize = 16 * 1024;

/// Number of fields of a sign-in. The longest that clients send has nine.
pub const SIGN_IN_MAX_FIELDS: usize = 32;

/// Longest body that is read before the origin is contacted: all but bulk requests. A client that stalls or
/// disappears halfway then holds no connection of the origin, and a failure is surely the origin's. Longer
/// bodies are passed on as they arrive.
pub const WRITE_HELD_MAX_BYTES: usize = 16 * 1024;

/// Longest answer of the origin: as long as one of the edge. A longer one is an error page.
pub const UPSTREAM_ANSWER_MAX_BYTES: usize = ANSWER_MAX_BYTES;

/// Number of prefixes of `PASS_THROUGH`: each request that the edge cannot answer is compared with all of them.
pub const PASS_THROUGH_PREFIXES_MAX: usize = 64;

/// Longest body of a request that is passed through: a form, or a picture of a profile.
pub const PASS_THROUGH_MAX_BYTES: usize = 1024 * 1024;

/// Longest answer to a request that is passed through: a receipt as PDF. It is read before it is sent, so that a longer
/// one is refused and not cut off.
pub const PASS_THROUGH_ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Number of requests that an isolate passes through at the same time. Each may hold 1 MiB each way, 64 MiB in all: half
/// of the isolate's memory. Further ones are answered 503.
pub const PASS_THROUGH_AT_ONCE: usize = 32;

/// Number of them for one prefix: a part of the origin that hangs leaves places to the others.
pub const PASS_THROUGH_PER_PREFIX: usize = 24;

/// Number of them for one customer or address: browsers open six connections, and a household has several.
pub const PASS_THROUGH_PER_PARTY: usize = 12;

/// Default time limit for a request that is passed through. As that of a write, for the same reasons.
pub const PASS_THROUGH_TIMEOUT_MS: u64 = UPSTREAM_TIMEOUT_MS;

/// Default time limit for a write at the origin. A person waits for it, and a payment provider behind it may
/// take seconds; clients give up after 10 to 60 s.
pub const UPSTREAM_TIMEOUT_MS: u64 = 10_000;

/// Default time limit for the origin to confirm a denial. Longer than a distant origin's slowest answers,
/// shorter than the 3 s between the polls of a player that waits for a purchase.
pub const CONFIRM_TIMEOUT_MS: u64 = 2_000;

/// Default time for which two successive confirmed denials answer in the origin's place. Known players poll
/// every second at most, so none of their polls falls into it (docs/adr/0007 has the measurement).
pub const CONFIRM_DENIED_MS: u64 = 1_000;

/// Number of confirmed denials needed for that. One proves nothing about the next check: a purchase may lie
/// between the two.
pub const CONFIRM_DENIALS: u8 = 2;

/// Default time for which a grant of the origin answers: the age of a head, so that a revocation takes effect
/// no later than without it.
pub const CONFIRM_GRANTED_SECS: u64 = 30;

/// Default number of denials that an isolate has confirmed in a second; twice this number at once. A hundred
/// flooded isolates together ask 10,000 times a second. An origin for which that is too much sets less, or
/// tells the isolates: 429, 503 and slow answers make each of them pause.
pub const CONFIRMS_PER_SEC: u32 = 100;

/// Number of denials of one customer that an isolate has confirmed at once: a page that checks all items of
/// its list, and then a purchase.
pub const CUSTOMER_CONFIRMS: u32 = 100;

/// Number of a customer's confirmations per second after that. One customer thus leaves nine tenths of the
/// budget to others.
pub const CUSTOMER_CONFIRMS_PER_SEC: u32 = 10;

/// How long waiting requests share the result that the origin could not answer, in milliseconds. Otherwise
/// each of them would wait the full time again, one after the other. Later requests ask for themselves.
pub const CONFIRM_UNKNOWN_MS: u64 = 1_000;

/// Places for recent answers of the origin, 1,024 x 80 bytes, and the same number for how often customers
/// ask, at 104 bytes: 184 KiB.
pub const CONFIRMED_SLOTS: usize = 1_024;

/// Number of places in which a customer's count may be kept. The customer who has asked least among eight is
/// replaced, so that a customer with a spent budget cannot have it reset by accounts that happen to share the
/// place.
pub const CUSTOMER_WAYS: usize = 8;

/// One in this number of confirmations is reserved, beside the budget, for customers who did not ask within
/// [`CONFIRM_REPEAT_MS`], of tenants who have not used up their own share.
pub const FRESH_SHARE: u64 = 5;

/// The share of the budget, one in this number, that a tenant (an issuer, and a merchant that it speaks for)
/// may use before its customers lose their part of the reserve.
pub const TENANT_SHARE: u64 = 2;

/// Share of the confirmations, one in this number, for questions without a token. A stranger without an
/// account must not occupy the upstream.
pub const ANONYMOUS_SHARE: u64 = 10;

/// Number of such questions from one address at once: a page of a catalogue after a change.
pub const ADDRESS_ASKS: u32 = 10;

/// Number of such questions from one address per second after that.
pub const ADDRESS_ASKS_PER_SEC: u32 = 1;

/// Number of addresses, and of tenants, whose questions are counted: 128 x 24 bytes each. The one that asked
/// least is dropped.
pub const BUCKETS_MAX: usize = 128;

/// How often per second a customer may ask and still count as waiting for a purchase: players poll every 3 s,
/// and some ask twice each time.
pub const OFTEN_PER_SEC: u64 = 1;

/// How often at once, in the same sense.
pub const OFTEN_BURST: u64 = 5;

/// Longest body of a grant that is remembered. Most have some 3 KiB; longer ones are asked for again. 8 MiB
/// in all.
pub const CONFIRMED_BODY_MAX_BYTES: usize = 8 * 1024;

/// How long a customer who was denied twice counts as repeating, in milliseconds from the first denial: less
/// than the 3 s between the polls of a player that waits for a purchase.
pub const CONFIRM_REPEAT_MS: u64 = 2_500;

/// Repeating customers leave one in this number of the simultaneous confirmations to others.
pub const CONFIRM_REPEAT_LEAVES: u64 = 4;

/// How long a grant that the edge passed on counts as evidence, in milliseconds: as long as a publish may
/// take to reach every isolate. After that the snapshot has it.
pub const GRANTED_MS: u64 = 120_000;

/// Number of confirmations beyond budgets and circuit that a customer gets after a grant: a player polls five
/// times, and a page may look at some other items first.
pub const GRANTED_ASKS: u8 = 16;

/// Number of customers with a recent grant that an isolate remembers, at 40 bytes each.
pub const GRANTED_CUSTOMERS_MAX: usize = 1_024;

/// Number of them per merchant: an import must not displace the buyers of other merchants.
pub const GRANTED_PER_MERCHANT_MAX: usize = 256;

/// Number of merchants with a recent grant that an isolate remembers.
pub const GRANTED_MERCHANTS_MAX: usize = 64;

/// One in this number of confirmations is reserved, beside the budget, for customers of a merchant with a
/// recent grant.
pub const RESERVED_SHARE: u64 = 5;

/// Number of successive failures after which the edge pauses requests to the upstream: for the customer,
/// merchant or address whose requests failed, for the item concerned, or for all.
pub const BREAKER_FAILURES: u32 = 5;

/// Number of different customers, merchants or addresses among them before an item or all requests are
/// paused. One or two made-up accounts cannot pause others. All addresses of an IPv6 /48 are one.
pub const BREAKER_PARTIES: usize = 3;

/// Number of failures since the last success that are kept, at 40 bytes each: enough to tell a few parties
/// apart.
pub const FAILURES_KEPT: usize = 32;

/// Length of such a pause. After it one request tries whether the upstream is back.
pub const BREAKER_OPEN_MS: u64 = 5_000;

/// Number of different customers that the upstream must ask to wait within [`PAUSE_WITHIN_MS`], without
/// serving one in between, before all requests are paused: the number of failures that open the circuit.
pub const PAUSE_PARTIES: usize = 5;

/// Period for [`PAUSE_PARTIES`]: a second. Customers who each exceed a limit of their own rarely do so within
/// the same second of a minute.
pub const PAUSE_WITHIN_MS: u64 = 1_000;

/// How often one request may test whether a pause of all requests is still wanted. A server that asks a
/// hundred isolates to stop gets at most a hundred requests a second.
pub const PAUSE_TRY_MS: u64 = 1_000;

/// Number of customers, merchants, addresses and items that are paused at the same time, for each kind of
/// traffic: 256 x 24 bytes, searched in less than a microsecond.
pub const STOPS_MAX: usize = 256;

/// Longest `Retry-After` of the origin that the edge obeys, in seconds.
pub const BREAKER_PAUSE_MAX_SECS: u64 = 30;

/// Longest `Retry-After` of the origin that is passed to clients: an hour, as long as maintenance takes. A
/// value in milliseconds, or a date from a wrong clock, would keep clients away for years.
pub const PASSED_RETRY_AFTER_MAX_SECS: u64 = 3_600;

/// How long after its deadline a request to the origin counts as lost: its client may have gone.
pub const UPSTREAM_LOST_MS: u64 = 500;

/// Longest list of headers that the answer to a preflight allows: ours, and dozens of a page's.
pub const PREFLIGHT_HEADERS_MAX_BYTES: usize = 2 * 1024;

/// How long repetitions of a problem with the origin are counted before they are logged as one line, in
/// milliseconds.
pub const PROBLEM_REPEATS_MS: u64 = 10_000;

/// Number of kinds of problems that are counted separately.
pub const PROBLEMS_MAX: usize = 16;

/// Longest part of a plain-text error that clients are shown: a sentence or two.
pub const UPSTREAM_MESSAGE_MAX_BYTES: usize = 256;

/// Pause before a request is sent to the origin a second time, plus up to 255 ms, so that requests whose
/// connections broke together do not return together.
pub const UPSTREAM_RETRY_MS: u64 = 100;

/// Number of playback signatures that an isolate remembers: 1,024 of at most 512 bytes, with their names 0.6 MiB. At 300
/// s a window, an isolate that signs three different films a second finds each of them again.
pub const SIGNATURES_MAX: usize = 1024;

/// Longest body of a question in the standard's form (AuthZEN): 200 evaluations of 1 KiB each, and defaults. Parsed, it
/// takes at most some 4 MiB.
pub const AUTHZEN_MAX_BYTES: usize = 256 * 1024;

/// Number of evaluations in one request: a page of tiles for a service. Each may need two objects of the snapshot, 400 in
/// all: 25 MiB of [`OBJECT_CACHE_BYTES`].
pub const AUTHZEN_EVALUATIONS_MAX: usize = 200;

/// Customers of one request about whom the upstream is asked as well (`"origin": true`), one question for each: support
/// staff looks at one.
pub const AUTHZEN_BESIDE_MAX: usize = 4;

/// Largest number of items on a page of a search, for the reason of [`PAGE_MAX_ITEMS`].
pub const AUTHZEN_PAGE_MAX_ITEMS: usize = PAGE_MAX_ITEMS;

/// Number of shards of items that one page of a search reads, 0.5 MiB and some 350 items: a page costs no more than a few
/// milliseconds, however large the catalogue is.
pub const AUTHZEN_PAGE_SHARDS: usize = 8;

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

/// Longest body with a token to inspect: [`TOKEN_MAX_BYTES`], and room for what is around it.
pub const INSPECT_MAX_BYTES: usize = 20 * 1024;

/// Number of items that one page of a search looks at, where it need not go through the whole catalogue.
pub const AUTHZEN_PAGE_LOOKS: usize = 200;
