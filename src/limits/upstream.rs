//! Limits of traffic with the origin: writes, sign-ins, requests that are passed through, confirmations, and the pauses
//! of an origin that fails.

use super::*;

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
