//! Every number that bounds the service, each with its reason. An isolate has 128 MB of memory in all.

/// Longest token: 16 KiB, the size that workerd and most proxies grant a whole header section. Real tokens
/// are 0.3 to 4 KiB.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// Longest value of the claim that names the customer. Real ones are UUIDs and e-mail addresses (254 bytes).
pub const CUSTOMER_MAX_BYTES: usize = 256;

/// Leeway when an issuer's configuration names none: what most issuers' clocks need.
pub const LEEWAY_DEFAULT_SECS: u32 = 60;

/// Most leeway that may be configured. More would mean honouring tokens long after they expired.
pub const LEEWAY_MAX_SECS: u32 = 300;

/// Most issuers. A token's issuer is found by comparing with each, about 10 ns apiece.
pub const ISSUERS_MAX: usize = 64;

/// Longest JWKS document that is read: 1 MiB. Most have 2 to 10 keys of 0.4 to 2.5 KiB. National eID brokers have
/// published 26 to 50 with chains of certificates (`x5c`), up to 8 KiB each: 400 KiB. Read whole, with what the parser
/// makes of it, 1 MiB takes 4 of the isolate's 128 MB for a moment.
pub const JWKS_MAX_BYTES: usize = 1024 * 1024;

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

/// Values of `Authorization` whose answers are kept to be given again: as many as verified tokens.
pub const ANSWERS_MAX: u32 = 8192;

/// Bytes of their texts, and of what they take beside: 12 MiB of the isolate's 128 MB, 8,192 answers of 700 bytes.
pub const ANSWERS_MAX_BYTES: u32 = 12 * 1024 * 1024;

/// Tokens remembered for their bad signature: 256 x 24 bytes = 6 KiB, scanned in about 0.1 us.
pub const REJECTED_MAX_TOKENS: usize = 256;

/// How long a bad signature is remembered: a client that retries one bad token costs a signature every 10 s.
pub const REJECTED_SECS: i64 = 10;

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

/// How far the publisher's clock may run ahead of the edge's.
pub const HEAD_SKEW_SECS: i64 = 300;

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

/// Longest object that is read or published: far above a shard, a page or a delta (64 KiB to 2 MiB), below
/// KV's 25 MiB, and small beside the isolate's memory.
pub const OBJECT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// What the records of a shard may take, with their entries: an object without its header and the number of entries.
pub const SHARD_MAX_BYTES: usize = OBJECT_MAX_BYTES - 12;

/// To how many shards of a tree, as a power of two, large records may lead that lie close to each other: 2^12, an index
/// of 128 KiB. Trees that have more have them for their size alone, so that a few records never move all others.
pub const RAISED_SHARD_BITS_MAX: u8 = 12;

/// Longest record of a customer, an item, an app or a licence: what some 150,000 accesses take. A quarter of
/// [`OBJECT_MAX_BYTES`], so that a few that lie in one object still make one that edges take.
pub const RECORD_MAX_BYTES: usize = OBJECT_MAX_BYTES / 4;

/// Longest answer that shows records: 1 MiB. Anybody may ask for an item, its fees and its package without a token, and
/// the isolate holds each answer twice while it is sent, once in Wasm and once in JavaScript: sixty at once are its
/// 128 MB. Origin, publisher and reader keep to it (docs/adr/0021).
pub const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Longest item as answers show it, without `content`: 64 KiB. Metadata stand in it twice, escapes included. Real ones
/// have 0.6 to 4 KiB. Each fee and each place on a page of a package repeats it.
pub const DETAILS_MAX_BYTES: usize = 64 * 1024;

/// What the answer to a check has beside `content` and the item: numbers, an address, and the customer's name in a
/// token ([`CUSTOMER_MAX_BYTES`], each of which may be an escape of 6), for those whom the snapshot does not know.
pub const ACCESS_FRAME_BYTES: usize = 2 * 1024;

/// What the answer of `/license` has beside its entries: the app's plan ([`PLAN_ID_MAX_BYTES`]), and the client that
/// the token names ([`TOKEN_MAX_BYTES`]).
pub const LICENSES_FRAME_BYTES: usize = PLAN_ID_MAX_BYTES + TOKEN_MAX_BYTES + 1024;

/// Fees of one item. With the shortest of items and fees they are some 900 KB of [`ANSWER_MAX_BYTES`].
pub const FEES_MAX: usize = 1_000;

/// Members of one package. A page behind all of them costs the reading of as many numbers, some 200 us.
pub const MEMBERS_MAX: usize = 100_000;

/// Packages that hold one item. A check reads each of them: some 5 us. A vendor's season passes, bundles and sales are
/// dozens.
pub const PACKAGES_MAX: usize = 1_000;

/// Licences that a customer holds or held, and that one `/license` lists. Few hold ten.
pub const LICENSES_MAX: usize = 1_000;

/// Longest licence as `/license` shows it: 16 KiB. A name for each country of the world takes 11 KiB. Sixty of the
/// longest still fit [`ANSWER_MAX_BYTES`].
pub const LICENSE_MAX_BYTES: usize = 16 * 1024;

/// What an entry of `/license` takes beside the name of the subscription and the licence: names of members, times,
/// numbers. The longest have 420 bytes.
pub const HELD_FRAME_BYTES: usize = 512;

/// OAuth clients of one app: every isolate holds all of them. A vendor has one for each platform and country.
pub const CLIENTS_MAX: usize = 1_000;

/// Longest plan of an app, as JSON. Real ones are UUIDs.
pub const PLAN_ID_MAX_BYTES: usize = 1024;

/// Longest access type, as JSON. Every fee of it repeats it: sixty fees of one item still fit [`ANSWER_MAX_BYTES`].
/// Real ones have some 150 bytes.
pub const ACCESS_TYPE_MAX_BYTES: usize = 16 * 1024;

/// A delta that has grown beyond this is written into the shards. Every isolate loads it again after each sync:
/// 4 MiB are some 17,000 customers with eight accesses, and a few milliseconds of hashing at most twice a minute.
pub const DELTA_BUDGET_BYTES: usize = 4 * 1024 * 1024;

/// Longest head: about 700 bytes of claims and signature in base64url, and a full denylist
/// ([`DENYLIST_MAX_BYTES`]), also in base64url. An isolate reads one every 30 to 60 s.
pub const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Longest denylist that `admit revoke` makes, as JSON: some 230 revocations of 140 bytes. A leak of more tokens than that
/// is ended by their customers or by the key that signed them. [`HEAD_MAX_BYTES`] has room for half as much again, so that
/// two that revoke at the same time make no head that edges refuse.
pub const DENYLIST_MAX_BYTES: usize = 28 * 1024;

/// Longest `jti`, issuer, `kid` and reason of a revocation. Names of keys are up to 88 letters, URLs of issuers some
/// 100; a token with a longer `jti` is revoked by its SHA-256.
pub const DENIED_TEXT_MAX_BYTES: usize = 256;

/// How far ahead a revocation may end: ten years. Whatever has to stay out for longer is not an issuer's any more.
pub const DENIED_MAX_SECS: i64 = 10 * 366 * 86_400;

/// How far behind the moment of its revocation a customer's tokens are refused too: as far as the clock of the issuer,
/// which dates them, may be ahead of the one of whoever revokes. A customer who signs in again within it has to do so once
/// more.
pub const REVOKED_AHEAD_SECS: i64 = LEEWAY_DEFAULT_SECS as i64;

/// How long a revocation that has ended stays in the heads that are published: as far as the publisher's clock may run
/// ahead of the edge's ([`HEAD_SKEW_SECS`]).
pub const DENYLIST_GRACE_SECS: i64 = HEAD_SKEW_SECS;

/// Longest name of a store (`aud` of a head), and longest `published_by`.
pub const HEAD_TEXT_MAX_BYTES: usize = 128;

/// Least `SNAPSHOT_MAX_AGE_SECS`. A follower renews the head every minute, KV shows it within another, and an isolate
/// reads it within a third: less would call heads stale that are as new as they get.
pub const SNAPSHOT_MAX_AGE_LEAST_SECS: u64 = 300;

/// How long after the origin has said how many changes it has committed a head may not reflect them: twice the bound
/// within which a revocation reaches every edge, plus a lost lease. Beyond that the publisher is stuck, or somebody has
/// put an old head back.
pub const HEAD_BEHIND_SECS: i64 = 300;

/// How long an object that could not be read counts for `/healthz`: several times the pause of a probe.
pub const DEGRADED_SECS: i64 = 600;

/// Longest pack of objects: some 60 shards of 64 KiB would fit, forty are let in. The isolate holds it once,
/// and JavaScript's memory a copy of it while it is stored.
pub const PACK_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Most objects in a pack. Each is an operation of KV, of which the smallest plan allows 50 in one invocation;
/// the rest is for issuers' keys.
pub const PACK_MAX_OBJECTS: usize = 40;

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

/// How far ahead a lease may end. A publisher that dies keeps others away for so long at most; one that takes
/// it for 300 s may have a clock that is 300 s wrong, which is also [`HEAD_SKEW_SECS`].
pub const LEASE_MAX_SECS: i64 = 600;

/// Longest lease: 32 digits, the name of a host (253 bytes), and a time.
pub const LEASE_MAX_BYTES: usize = 1024;

/// Longest list of what `admit gc` found: about 110,000 names.
pub const GARBAGE_MAX_BYTES: usize = 8 * 1024 * 1024;

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
