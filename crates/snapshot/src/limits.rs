//! Every number that bounds a snapshot and its records, and what both sides of a token agree on, each with its reason.
//! An isolate has 128 MB of memory in all.

/// Longest token: 16 KiB, which workerd and most proxies allow for a whole header section. Real tokens have
/// 0.3 to 4 KiB.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// Longest value of the claim that names the customer. Real values are UUIDs and e-mail addresses (at most
/// 254 bytes).
pub const CUSTOMER_MAX_BYTES: usize = 256;

/// Longest JWKS document that is read: 1 MiB. Most have 2 to 10 keys of 0.4 to 2.5 KiB. National eID brokers
/// have published 26 to 50 keys with certificate chains (`x5c`) of up to 8 KiB each, which makes 400 KiB. A
/// document of 1 MiB and its parsed form briefly take 4 of the isolate's 128 MB.
pub const JWKS_MAX_BYTES: usize = 1024 * 1024;

/// How far the publisher's clock may run ahead of the edge's.
pub const HEAD_SKEW_SECS: i64 = 300;

/// Longest object that is read or published: far above a shard, a page or a delta (64 KiB to 2 MiB), below
/// KV's 25 MiB, and small beside the isolate's memory.
pub const OBJECT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Size from which a delta is written into the shards. It fits beside its head ([`HEAD_DELTA_MAX_BYTES`]) with what changes
/// while it is being written, a quarter more: then an isolate that slept waits for one read, and a new one for two. 768 KiB
/// are some 4,000 customers (docs/adr/0067).
pub const DELTA_BUDGET_BYTES: usize = 768 * 1024;

/// Longest record of a customer, an item, an app or a licence: some 150,000 accesses. A quarter of
/// [`OBJECT_MAX_BYTES`], so that a few of them in one object still make an object that edges accept.
pub const RECORD_MAX_BYTES: usize = OBJECT_MAX_BYTES / 4;

/// Longest answer with records: 1 MiB. Any client may ask for an item, its fees and its package without a
/// token. The isolate holds each answer twice while it is sent, once in Wasm and once in JavaScript, so sixty
/// at once fill its 128 MB. Origin, publisher and reader keep to this limit (docs/adr/0021).
pub const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Longest item in answers, without `content`: 64 KiB. It contains the metadata twice, with escapes. Real
/// items have 0.6 to 4 KiB. Each fee and each place on a page of a package repeats the item.
pub const DETAILS_MAX_BYTES: usize = 64 * 1024;

/// Length of the answer to a check besides `content` and the item: numbers, an address, and, for customers
/// unknown to the snapshot, their name from the token ([`CUSTOMER_MAX_BYTES`], each byte possibly an escape
/// of 6).
pub const ACCESS_FRAME_BYTES: usize = 2 * 1024;

/// Length of the answer to `/license` besides its entries: the app's plan ([`PLAN_ID_MAX_BYTES`]), and the
/// client that the token names ([`TOKEN_MAX_BYTES`]).
pub const LICENSES_FRAME_BYTES: usize = PLAN_ID_MAX_BYTES + TOKEN_MAX_BYTES + 1024;

/// Number of fees of one item. With the shortest items and fees they take some 900 KB of
/// [`ANSWER_MAX_BYTES`].
pub const FEES_MAX: usize = 1_000;

/// Number of members of one package. A page at the end of the list costs reading all their numbers, some 200
/// us.
pub const MEMBERS_MAX: usize = 100_000;

/// Number of packages that hold one item. A check reads all of them, in some 5 us. A vendor's season passes,
/// bundles and sales are dozens.
pub const PACKAGES_MAX: usize = 1_000;

/// Longest external id of an item, and longest media id that is looked for in its content. Media ids of video hosts
/// have 8 to 36 bytes; ids of an origin's own are UUIDs, slugs or numbers.
pub const EXTERNAL_ID_MAX_BYTES: usize = 256;

/// Number of merchants whose items one external id can name. Hosts give an id to one account, so there is one, or a
/// handful that share a film; a record of this many has some 12 KB, and some 70 KB with all items of each.
pub const EXTERNAL_ID_MERCHANTS_MAX: usize = 1_000;

/// Number of items of one merchant that one external id can name. A film is sold in two or three ways, each as an item
/// of its own; a question for a media token decides about each of them, so there are not many more.
pub const EXTERNAL_ID_ITEMS_MAX: usize = 8;

/// Longest currency and payment method of a purchase. A list of a customer's purchases repeats them. Currencies have 3
/// letters, names of payment methods some 10.
pub const PURCHASE_TEXT_MAX_BYTES: usize = 64;

/// Number of licences that a customer holds or held, and that one `/license` lists. Few customers have ten.
pub const LICENSES_MAX: usize = 1_000;

/// Longest licence in answers to `/license`: 16 KiB. A name for each country of the world takes 11 KiB. Sixty
/// licences of this length still fit [`ANSWER_MAX_BYTES`].
pub const LICENSE_MAX_BYTES: usize = 16 * 1024;

/// Length of an entry of `/license` besides the subscription's name and the licence: names of members, times,
/// numbers. The longest have 420 bytes.
pub const HELD_FRAME_BYTES: usize = 512;

/// Number of OAuth clients of one app. Every isolate holds all of them. A vendor has one for each platform
/// and country.
pub const CLIENTS_MAX: usize = 1_000;

/// Longest plan of an app, as JSON. Real plans are UUIDs.
pub const PLAN_ID_MAX_BYTES: usize = 1024;

/// Longest access type, as JSON. Each of its fees repeats it; sixty fees of one item still fit
/// [`ANSWER_MAX_BYTES`]. Real access types have some 150 bytes.
pub const ACCESS_TYPE_MAX_BYTES: usize = 16 * 1024;

/// Longest head: about 700 bytes of claims and signature in base64url, and a full denylist
/// ([`DENYLIST_MAX_BYTES`]), also in base64url. An isolate reads one every 30 to 60 s.
pub const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Longest value of the key `head`: the head and the delta in one value. 1 MiB also fits one row of a Durable
/// Object (2 MB), and an isolate that reads it again each half a minute copies it in less than a millisecond
/// (docs/adr/0057).
pub const HEAD_VALUE_MAX_BYTES: usize = 1024 * 1024;

/// Longest delta that the value of the key `head` carries: some 5,000 customers with eight accesses. A longer
/// one is an object of its own; [`DELTA_BUDGET_BYTES`] keeps that rare.
pub const HEAD_DELTA_MAX_BYTES: usize = HEAD_VALUE_MAX_BYTES - HEAD_MAX_BYTES - 1;

/// Longest denylist that `admit revoke` makes, as JSON: some 230 revocations of 140 bytes. A leak of more
/// tokens is ended by revoking their customers or the key that signed them. [`HEAD_MAX_BYTES`] has room for
/// half as much again, so two operators who revoke at the same time do not produce a head that edges refuse.
pub const DENYLIST_MAX_BYTES: usize = 28 * 1024;

/// Longest `jti`, issuer, `kid` and reason of a revocation. Names of keys have up to 88 letters, URLs of
/// issuers some 100. A token with a longer `jti` is revoked by its SHA-256.
pub const DENIED_TEXT_MAX_BYTES: usize = 256;

/// How long an ended revocation stays in published heads: as far as the publisher's clock may run ahead of
/// the edge's ([`HEAD_SKEW_SECS`]).
pub const DENYLIST_GRACE_SECS: i64 = HEAD_SKEW_SECS;

/// Longest name of a store (`aud` of a head), and longest `published_by`.
pub const HEAD_TEXT_MAX_BYTES: usize = 128;

/// Longest pack of objects. Some 60 shards of 64 KiB would fit; forty are allowed. The isolate holds it once,
/// and JavaScript's memory holds a copy while it is stored.
pub const PACK_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Number of objects in a pack. Each is an operation of KV, of which the smallest plan allows 50 per
/// invocation; the rest is for issuers' keys.
pub const PACK_MAX_OBJECTS: usize = 40;

/// How far ahead a lease may end. A publisher that dies keeps others away for at most this long. One that
/// takes a lease for 300 s may have a clock that is 300 s wrong, which is also [`HEAD_SKEW_SECS`].
pub const LEASE_MAX_SECS: i64 = 600;

/// Longest lease: 32 digits, the name of a host (253 bytes), and a time.
pub const LEASE_MAX_BYTES: usize = 1024;

/// Longest list of what `admit gc` found: about 110,000 names.
pub const GARBAGE_MAX_BYTES: usize = 8 * 1024 * 1024;
