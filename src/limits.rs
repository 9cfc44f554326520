//! Every number that bounds the service, each with its reason. An isolate has 128 MB of memory in all.
//!
//! Those of snapshots and tokens are in the crates that read them, and are named here too.

pub use admit_snapshot::limits::*;
pub use admit_token::limits::*;

/// Values of `Authorization` whose answers are kept to be given again: as many as verified tokens.
pub const ANSWERS_MAX: u32 = 8192;

/// Bytes of their texts, and of what they take beside: 12 MiB of the isolate's 128 MB, 8,192 answers of 700 bytes.
pub const ANSWERS_MAX_BYTES: u32 = 12 * 1024 * 1024;

/// Age up to which a head is used as it is: KV keeps what an edge has read for at least 30 s anyway.
pub const HEAD_FRESH_SECS: i64 = 30;

/// Age from which the head is read again before a request is answered: an isolate that slept. In between it
/// is read behind a request. With 60 s at most here, 60 s for KV to be read everywhere anew, and a publisher
/// that publishes every few seconds, a revocation reaches every edge in about 120 s.
pub const HEAD_STALE_SECS: i64 = 60;

/// Pause after a head that could not be read or used, so that a store that fails is not asked at each request.
pub const HEAD_RETRY_SECS: i64 = 5;

/// The same while there is no head at all, when nothing can be answered without one.
pub const HEAD_MISSING_RETRY_SECS: i64 = 1;

/// Age from which `/healthz` calls the head stale. Behind a follower it stays below some 200 s: its heartbeat of 60 s, the
/// 20 s that an origin may wait, and the two minutes that edges take.
pub const HEALTH_STALE_SECS: i64 = 300;

/// In which steps strangers are told the age of the head: as long as a follower's heartbeat, so that they cannot count
/// changes by it.
pub const HEALTH_AGE_STEP_SECS: i64 = 60;

/// A refresh that has not ended after this long is taken for lost: its request may have been cancelled. A head
/// and an object that is asked for twice take 3 x [`STORE_TIMEOUT_MS`] at most.
pub const REFRESH_LOST_SECS: i64 = 10;

/// How long an object that could not be read is not asked for again. Short: KV shows new objects within
/// seconds mostly, and until then the version before answers. With [`HEAD_CACHE_TTL_SECS`], for which KV may
/// remember that the object was not there, that is 35 s after KV has it, at worst.
pub const UNREADABLE_SECS: i64 = 5;

/// Objects remembered as unreadable. More than that means that the store is down; forgetting some is harmless.
pub const UNREADABLE_MAX: usize = 1024;

/// Shards and pages in memory: 512 shards of 64 KiB, a quarter of the isolate's 128 MB.
pub const OBJECT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Least `SNAPSHOT_MAX_AGE_SECS`. A follower renews the head every minute, KV shows it within another, and an isolate
/// reads it within a third: less would call heads stale that are as new as they get.
pub const SNAPSHOT_MAX_AGE_LEAST_SECS: u64 = 300;

/// How long after the origin has said how many changes it has committed a head may not reflect them: twice the bound
/// within which a revocation reaches every edge, plus a lost lease. Beyond that the publisher is stuck, or somebody has
/// put an old head back.
pub const HEAD_BEHIND_SECS: i64 = 300;

/// How long an object that could not be read counts for `/healthz`: several times the pause of a probe.
pub const DEGRADED_SECS: i64 = 600;

/// Most names that are checked in one request, for the same reason.
pub const CHECK_MAX_OBJECTS: usize = 40;

/// Longest list of names to check: 40 lines of at most 75 bytes.
pub const CHECK_MAX_BYTES: usize = 4096;

/// Objects that are read at the same time to be checked: 4 of at most 8 MiB. They are twice there while they are copied
/// out of JavaScript's memory, which few are at once.
pub const CHECKS_AT_ONCE: usize = 4;

/// What transfers may hold at the same time, by the longest that each may be: half of the isolate's 128 MB. Six packs,
/// three objects or one check beside a head ([`HEAD_ROOM_BYTES`]); a publisher sends four packs at once.
pub const TRANSFERS_MAX_BYTES: usize = 64 * 1024 * 1024;

/// What all other transfers leave of it to a head, for the objects that are read before it is stored: however many
/// uploads stall, the head that revokes a stolen token is let in.
pub const HEAD_ROOM_BYTES: usize = 2 * OBJECT_MAX_BYTES;

/// How often a transfer looks whether there is room for it, every [`LOAD_WAIT_MS`], before it is refused: 5 s, in which
/// most packs are stored.
pub const TRANSFER_WAITS_MAX: u32 = 250;

/// A transfer that has not ended after this long is taken for lost: its client may have gone. 8 MiB in a minute are a
/// publisher's slowest line.
pub const TRANSFER_LOST_MS: u64 = 60_000;

/// Objects that are stored at the same time: a Worker has six connections, and the others would wait for them.
pub const STORES_AT_ONCE: usize = 6;

/// Longest cursor of a list of keys. KV's have some hundred bytes: the last key, encoded.
pub const CURSOR_MAX_BYTES: usize = 1024;

/// Rounds of loading for one request. The longest way is head, keys, a page and a shard for each tree, and
/// the members of a package: six.
pub const LOAD_ROUNDS_MAX: usize = 8;

/// How much of a path stands in a log line. The longest of a route has 84 bytes; anybody can send 16 KiB.
pub const LOGGED_PATH_MAX_BYTES: usize = 128;

/// How much of a client's text stands in an audit event: the id of a token, a holder. UUIDs have 36 characters.
pub const AUDIT_VALUE_MAX_BYTES: usize = 64;

/// How long a request waits before it looks whether another has loaded what it needs. A Worker's request
/// cannot wait for another's I/O; without this a hundred requests at a new isolate would each load head,
/// index, directory and the same hot shard: 100 x 1 MiB and more, of 128 MB.
pub const LOAD_WAIT_MS: u64 = 20;

/// After so many waits (3 s, as long as a read of the store may take) a request loads it itself.
pub const LOAD_WAITS_MAX: u32 = 150;

/// `Retry-After` of a 503.
pub const RETRY_AFTER_SECS: u32 = 2;

/// `Retry-After` of a request whose address has sent too many: the shorter of the two periods that Cloudflare counts in.
pub const LIMITED_RETRY_AFTER_SECS: u32 = 10;

/// How long counting a request may take; then it is let through. It takes well under a millisecond.
pub const LIMIT_TIMEOUT_MS: u64 = 250;

/// Items on a page of a package when the client names no limit, and at most.
pub const PAGE_DEFAULT_ITEMS: usize = 25;

/// At most 100: each item may lie in another shard.
pub const PAGE_MAX_ITEMS: usize = 100;

/// Items of which a page always fits [`ANSWER_MAX_BYTES`], each as long as [`DETAILS_MAX_BYTES`]: a client is told to ask
/// for as many where more did not fit (docs/adr/0021).
pub const PAGE_SURE_ITEMS: usize = 15;

/// How old what KV has cached at an edge may be where age matters: a head, a lease, an object that was not
/// found or is not what its name says. KV's minimum
/// (<https://developers.cloudflare.com/kv/platform/limits/>).
pub const HEAD_CACHE_TTL_SECS: u64 = 30;

/// How old an object may be that KV has cached at an edge: a day. Objects never change, so that only its end
/// has a price. Viewers come back the next evening, and a shard of 64 KiB with 300 customers, each there every
/// other day at one of 100 points of presence, is asked for 1.5 times a day at an average one: five minutes
/// later it is cold. `cargo xtask scale` computes for ten million customers that 92 % of checks wait for a
/// cold read with five minutes, 34 % with a day, and 32 % with a week, because compactions rename shards
/// sooner. A week would also keep seven times as long what was collected as garbage, and customers' data must
/// end. KV remembers "not found" as long, which `App` therefore asks again.
pub const OBJECT_CACHE_TTL_SECS: u64 = 24 * 3_600;

/// How long a read of KV may take. Cold ones take up to a few hundred milliseconds.
pub const STORE_TIMEOUT_MS: u64 = 3_000;

/// How long a write, a removal or a list may take: 8 MiB travel far, and nobody but a publisher waits for it.
pub const STORE_WRITE_TIMEOUT_MS: u64 = 20_000;

/// Redirects of an issuer's JWKS that are followed: to a new path, to a slash at its end, to a new version.
pub const JWKS_REDIRECTS_MAX: usize = 3;

/// How long an issuer may take to send its JWKS.
pub const JWKS_FETCH_TIMEOUT_MS: u64 = 3_000;

/// Longest body of a write: five hundred fees in one bulk request.
pub const WRITE_MAX_BYTES: usize = 512 * 1024;

/// Longest body, and longest query, of a sign-in: five short fields. A client that has no token yet must not make servers
/// parse more.
pub const SIGN_IN_MAX_BYTES: usize = 16 * 1024;

/// Most fields of a sign-in. The longest that clients send has nine.
pub const SIGN_IN_MAX_FIELDS: usize = 32;

/// Longest body that is read before the origin is bothered with it: all but bulk requests. A client that stalls or
/// goes away in the middle holds no connection of the origin's then, and what fails is surely the origin's fault.
/// Longer ones are passed on as they arrive.
pub const WRITE_HELD_MAX_BYTES: usize = 16 * 1024;

/// Longest answer of the origin: as long as one of the edge. What is longer is an error page.
pub const ORIGIN_ANSWER_MAX_BYTES: usize = ANSWER_MAX_BYTES;

/// How long the origin may take for a write, unless the configuration says otherwise. A person waits for it, and
/// a payment provider behind it may take seconds; clients give up after 10 to 60 s.
pub const ORIGIN_TIMEOUT_MS: u64 = 10_000;

/// How long the origin may take to confirm a denial, unless the configuration says otherwise. Longer than a
/// distant origin's slowest answers, shorter than the 3 s between the polls of a player that waits for a purchase.
pub const CONFIRM_TIMEOUT_MS: u64 = 2_000;

/// How long two denials that the origin confirmed one after the other answer for it, unless the configuration
/// says otherwise. Known players poll every second at most: none of their polls falls into it
/// (docs/adr/0007 has the measurement).
pub const CONFIRM_DENIED_MS: u64 = 1_000;

/// How many confirmed denials within that time it takes. One is no proof for the next check: a purchase may lie
/// between the two.
pub const CONFIRM_DENIALS: u8 = 2;

/// How long a grant of the origin answers, unless the configuration says otherwise: the age of a head, so that a
/// revocation is seen no later than without it.
pub const CONFIRM_GRANTED_SECS: u64 = 30;

/// Denials that an isolate has confirmed in a second, unless the configuration says otherwise; twice as many at
/// once. A hundred isolates that are flooded ask 10,000 times a second in all. An origin for which that is too much
/// sets less, or says so: 429, 503 and answers that take too long make each isolate leave it alone.
pub const CONFIRMS_PER_SEC: u32 = 100;

/// Denials of one customer that an isolate has confirmed at once: a page that checks all items of its list, and
/// then a purchase.
pub const CUSTOMER_CONFIRMS: u32 = 100;

/// And in a second from then on, so that one customer leaves the others nine tenths of the budget.
pub const CUSTOMER_CONFIRMS_PER_SEC: u32 = 10;

/// How long those who waited for an answer that the origin could not give share that, milliseconds: one of them after
/// another would wait as long again. Whoever comes later asks for itself.
pub const CONFIRM_UNKNOWN_MS: u64 = 1_000;

/// Places for what the origin said, 1,024 x 80 bytes, and for how often customers ask, as many at 104: 184 KiB.
pub const CONFIRMED_SLOTS: usize = 1_024;

/// Places among which a customer's may be. Of eight, the one that has asked least is given up, so that a customer who
/// has used up a budget cannot have it reset by accounts that happen to fall into the same place.
pub const CUSTOMER_WAYS: usize = 8;

/// One in so many confirmations is reserved, beside the budget, for customers who did not ask within
/// [`CONFIRM_REPEAT_MS`], of tenants who have not used up their own share.
pub const FRESH_SHARE: u64 = 5;

/// Of how much of the budget a tenant (an issuer, and a merchant that it speaks for) may use before its customers have no
/// part in what is reserved: one in so many.
pub const TENANT_SHARE: u64 = 2;

/// Questions without a token that an isolate may ask, as one in so many of the confirmations: what a stranger can ask
/// without an account must not occupy the upstream.
pub const ANONYMOUS_SHARE: u64 = 10;

/// Such questions of one address at once: a page of a catalogue after a change.
pub const ADDRESS_ASKS: u32 = 10;

/// And in a second from then on.
pub const ADDRESS_ASKS_PER_SEC: u32 = 1;

/// Addresses, and tenants, whose questions are counted: 128 x 24 bytes of each. The one that asked least is given up.
pub const BUCKETS_MAX: usize = 128;

/// How often a customer may ask and still count as somebody who waits for a purchase: players poll every 3 s, and some
/// ask twice each time.
pub const OFTEN_PER_SEC: u64 = 1;

/// And how often at once.
pub const OFTEN_BURST: u64 = 5;

/// Longest body of a grant that is remembered, some 3 KiB each; longer ones are asked for again. 8 MiB in all.
pub const CONFIRMED_BODY_MAX_BYTES: usize = 8 * 1024;

/// How long a customer who was denied twice counts as asking again and again, milliseconds from the first of the two:
/// less than the 3 s between the polls of a player that waits for a purchase.
pub const CONFIRM_REPEAT_MS: u64 = 2_500;

/// Those who ask again and again leave one in so many of the confirmations that may be asked at once to others.
pub const CONFIRM_REPEAT_LEAVES: u64 = 4;

/// How long a grant that the edge passed on is evidence, milliseconds: as long as a publish may take to reach every
/// isolate. From then on the snapshot knows it.
pub const GRANTED_MS: u64 = 120_000;

/// How many answers a customer for whom something was granted is owed, beyond budgets and circuit: a player polls five
/// times, and a page may look at some other items first.
pub const GRANTED_ASKS: u8 = 16;

/// Customers for whom something was granted whom an isolate keeps in mind, at 40 bytes each.
pub const GRANTED_CUSTOMERS_MAX: usize = 1_024;

/// Of them those of one merchant: an import must not displace other merchants' buyers.
pub const GRANTED_PER_MERCHANT_MAX: usize = 256;

/// Merchants for whom something was granted whom an isolate keeps in mind.
pub const GRANTED_MERCHANTS_MAX: usize = 64;

/// One in so many confirmations is reserved, beside the budget, for customers of a merchant for whom something was
/// just granted.
pub const RESERVED_SHARE: u64 = 5;

/// Failures in a row that make the edge leave the upstream alone: for the customer, merchant or address whose requests
/// failed, for the item that they were about, or for all.
pub const BREAKER_FAILURES: u32 = 5;

/// By how many different customers, merchants or addresses they must be before an item or all are left alone. One or two
/// accounts that a client made up close nothing for others. All addresses of an IPv6 /48 are one.
pub const BREAKER_PARTIES: usize = 3;

/// Failures since the last success that are kept, at 40 bytes each: of a few parties enough of each to tell them apart.
pub const FAILURES_KEPT: usize = 32;

/// For how long; then one request tries whether it is back.
pub const BREAKER_OPEN_MS: u64 = 5_000;

/// How many different customers the upstream must ask to wait within [`PAUSE_WITHIN_MS`], without serving one in between,
/// before all are paused: as many as failures that open the circuit.
pub const PAUSE_PARTIES: usize = 5;

/// See [`PAUSE_PARTIES`]. A second: a limit for each customer is as often exceeded by several at once as a minute is long.
pub const PAUSE_WITHIN_MS: u64 = 1_000;

/// How often one request may try whether a pause of all is still wanted: a server that asks a hundred isolates to stop
/// gets a hundred requests a second at most.
pub const PAUSE_TRY_MS: u64 = 1_000;

/// Customers, merchants, addresses and items that are left alone at the same time, for each kind of traffic: 256 x 24
/// bytes, searched in less than a microsecond.
pub const STOPS_MAX: usize = 256;

/// The longest that an origin's `Retry-After` is heeded, in seconds.
pub const BREAKER_PAUSE_MAX_SECS: u64 = 30;

/// Longest `Retry-After` of the origin that is passed to clients: an hour, as long as maintenance takes. One in
/// milliseconds, or a date of a clock that is wrong, would keep clients away for years.
pub const PASSED_RETRY_AFTER_MAX_SECS: u64 = 3_600;

/// How much later than its deadline a request to the origin is taken for lost: its client may have gone.
pub const ORIGIN_LOST_MS: u64 = 500;

/// Longest list of headers that the answer to a preflight allows: ours, and dozens of a page's.
pub const PREFLIGHT_HEADERS_MAX_BYTES: usize = 2 * 1024;

/// How long repetitions of a problem with the origin are counted before they are logged, as one line, milliseconds.
pub const PROBLEM_REPEATS_MS: u64 = 10_000;

/// Kinds of problems that are counted apart.
pub const PROBLEMS_MAX: usize = 16;

/// How much of an error in plain text a client is shown: a sentence or two.
pub const UPSTREAM_MESSAGE_MAX_BYTES: usize = 256;

/// Pause before a request is sent to the origin a second time, and up to 255 ms more, so that those whose
/// connections broke together do not come back together.
pub const ORIGIN_RETRY_MS: u64 = 100;
