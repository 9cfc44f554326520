//! What the service needs from the platform it runs on. Implemented once for Workers (`worker/`) and once
//! natively (tests, the `admit` command); everything else in this crate is the same code in both.

#![expect(
    async_fn_in_trait,
    reason = "an isolate has one thread: the futures are not Send, and no caller wants them to be"
)]

use std::{borrow::Cow, fmt};

pub use admit_playback::ports::{KeyForm, PlatformError, PlatformSigner, SigningAlgorithm, SigningKey};
pub use admit_token::ports::{Entropy, ImportKeyError, SignatureAlgorithm, SignatureVerifier};
use sha2::{Digest as _, Sha256};

/// Keeps named objects: Workers KV, a directory, memory.
pub trait ObjectStore {
    /// The value of `key`; `None` if the key does not exist. For an object that its digest names, both answers may come
    /// from a cache of any age: a caller that gets `None`, or other bytes, asks [`Self::get_recent`] before it believes
    /// that. For any other key this is as recent as [`Self::get_recent`]. A value that is longer than
    /// [`value_max_bytes`](crate::snapshot::store_key::value_max_bytes) is cut to one byte more than that, so that the
    /// caller refuses it.
    ///
    /// # Errors
    /// When the store did not answer; whether the key exists is then unknown.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// As [`Self::get`], but from no cache that is older than the store's shortest time: for the publish API, and for
    /// callers that doubt the answer of [`Self::get`].
    ///
    /// # Errors
    /// As [`Self::get`].
    async fn get_recent(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(key).await
    }

    /// Sets the value of `key`.
    ///
    /// # Errors
    /// When the store did not confirm it; the value may or may not be set then.
    async fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes `key`, whether it has a value or not.
    ///
    /// # Errors
    /// When the store did not confirm it; the value may or may not be there then.
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Some of the keys that begin with `prefix`, in ascending order: the first ones, or those behind a page
    /// that ended with `cursor`. A key that was written or removed a moment ago may still be missing or listed.
    ///
    /// # Errors
    /// When the store did not answer, or does not know the cursor.
    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<KeyPage, StoreError>;
}

/// A part of a store's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<String>,
    /// Where the next page begins; `None` on the last one. A page may be empty and not the last.
    pub cursor: Option<String>,
}

/// The store failed, or took longer than it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object store: {0}")]
pub struct StoreError(pub String);

/// The fresh lane: the newest head, in one place that is consistent at once and cached near every isolate
/// (docs/adr/0056). It only makes heads arrive sooner: they are verified wherever they come from.
pub trait FreshLane {
    /// Whether there is one.
    fn is_there(&self) -> bool;

    /// The newest value of the key `head`, up to the time of a cache old; `None` if no head was announced yet. The
    /// caller sets the time limit.
    ///
    /// # Errors
    /// When there was no answer, or an invalid one.
    async fn newest(&self) -> Result<Option<Vec<u8>>, LaneError>;

    /// Makes a stored value of the key `head` the newest one, unless a newer one is known, which is returned then. If the
    /// head takes something away, caches are told to forget the head before, after this has ended. The caller sets the time
    /// limit.
    ///
    /// The lane cannot verify a head. `over` is a newer value that it returned before, and that the caller found invalid:
    /// as long as the lane has that one, it is replaced.
    ///
    /// # Errors
    /// When that was not confirmed; it may have happened.
    async fn announce(&self, value: &[u8], over: Option<&[u8]>) -> Result<Option<Vec<u8>>, LaneError>;
}

/// The lane failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LaneError(pub String);

/// Fetches an issuer's JWKS document.
pub trait IssuerKeys {
    /// What `url` answers. A redirect is an answer: it is not followed.
    ///
    /// # Errors
    /// On any answer but 200 and redirects, on a document that is longer than `limit_bytes`, on a time-out, when the
    /// host cannot be reached.
    async fn fetch(&self, url: &str, limit_bytes: usize) -> Result<KeyAnswer, IssuerKeysError>;
}

/// What a JWKS' address answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    /// 200: the document, with any content coding undone. Its `Content-Type` does not matter.
    Document(Vec<u8>),
    /// 301, 302, 303, 307 or 308, and the header `Location`, or an empty text.
    Redirect(String),
}

impl KeyAnswer {
    /// Whether a status is one of a redirect.
    #[must_use]
    pub const fn is_redirect(status: u16) -> bool {
        matches!(status, 301 | 302 | 303 | 307 | 308)
    }
}

/// The issuer's JWKS could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key source: {0}")]
pub struct IssuerKeysError(pub String);

/// The upstream: it takes writes, and confirms denials.
pub trait Upstream {
    /// The body of a client's request, passed on as it arrives.
    type Stream;

    /// Sends a request once and reads the whole answer. A redirect is an answer: it is not followed.
    ///
    /// # Errors
    /// When no complete answer came within the request's limits.
    async fn send(
        &self,
        request: &UpstreamRequest<'_>,
        body: UpstreamBody<'_, Self::Stream>,
    ) -> Result<UpstreamAnswer, UpstreamError>;
}

/// A request to the origin.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamRequest<'a> {
    /// In capitals.
    pub method: &'a str,
    /// Absolute.
    pub url: &'a str,
    /// All headers that the origin is to see, beyond those of the connection.
    pub headers: &'a [(&'static str, Cow<'a, str>)],
    /// From the first byte sent to the last one received, milliseconds.
    pub timeout_ms: u64,
    /// Longest body of an answer.
    pub limit_bytes: usize,
    /// The headers that are read of the answer. Others come no further.
    pub answer_headers: &'static [&'static str],
}

/// The body of a request to the origin.
#[derive(Clone, Copy, Debug)]
pub enum UpstreamBody<'a, S> {
    /// None.
    Empty,
    /// All of it.
    Whole(&'a [u8]),
    /// As it arrives.
    Stream(S),
}

/// The headers that are read of an upstream's answer to a read or a write: no cookies, no addresses of the origin's own,
/// nothing of its connection.
pub const ANSWER_HEADERS: [&str; 7] = [
    "content-type",
    "content-encoding",
    "retry-after",
    "entitlement-seq",
    "idempotency-replayed",
    "www-authenticate",
    "allow",
];

/// A complete answer of the origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Those of [`UpstreamRequest::answer_headers`] that it has.
    pub headers: Vec<(&'static str, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl UpstreamAnswer {
    /// The value of a header, or an empty text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

/// Why no complete answer came. Except after [`Self::Unreachable`], the upstream may have done what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No connection was made: the origin has not seen the request.
    #[error("origin: unreachable: {0}")]
    Unreachable(String),
    /// The connection broke.
    #[error("origin: {0}")]
    Broken(String),
    /// It took longer than it may.
    #[error("origin: no answer in time")]
    TimedOut,
    /// The answer is longer than it may be.
    #[error("origin: the answer is too long")]
    TooLarge,
}

/// The requests that are limited by the address that they come from. Each kind has a binding of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Sign-ins by a password, a code or a secret.
    SignIn,
    /// Sign-ins by a refresh token.
    Refresh,
    /// Writes by merchants.
    Write,
    /// Reads of the snapshot that need no token.
    AnonymousRead,
    /// Reads with `Entitlement-Min-Seq` that go to the origin although the snapshot has an answer.
    InsistingRead,
    /// Requests that are passed through to the origin, with or without a token.
    PassThrough,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SignIn,
        Self::Refresh,
        Self::Write,
        Self::AnonymousRead,
        Self::InsistingRead,
        Self::PassThrough,
    ];

    /// The name of the binding that counts for it.
    #[must_use]
    pub const fn binding(self) -> &'static str {
        match self {
            Self::SignIn => "LIMIT_SIGN_IN",
            Self::Refresh => "LIMIT_REFRESH",
            Self::Write => "LIMIT_WRITES",
            Self::AnonymousRead => "LIMIT_READS",
            Self::InsistingRead => "LIMIT_INSISTING",
            Self::PassThrough => "LIMIT_PASS_THROUGH",
        }
    }
}

/// Counts requests by a key for more than one isolate: at Cloudflare, for all of a data centre. The platform knows how
/// many there may be in which time.
pub trait RateLimits {
    /// Whether anything counts for this limit. Where nothing does, nothing is limited.
    fn has(&self, limit: Limit) -> bool;

    /// Counts one more request with this key. `false` if that was one too many.
    ///
    /// # Errors
    /// When the platform did not say.
    async fn allows(&self, limit: Limit, key: &str) -> Result<bool, RateLimitError>;
}

/// A request could not be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RateLimitError(pub String);

/// Takes log lines. They go to operators, never to clients; no token and no secret is ever part of one.
pub trait Log {
    /// One event, on one line.
    fn log(&self, line: fmt::Arguments<'_>);
}

/// Everything that [`App`](crate::app::App) needs from the platform.
pub trait Platform {
    /// Verifies signatures.
    type Verifier: SignatureVerifier;
    /// Keeps the snapshot.
    type Store: ObjectStore;
    /// Has the newest head.
    type Lane: FreshLane;
    /// Fetches issuers' keys.
    type Keys: IssuerKeys;
    /// Takes writes.
    type Upstream: Upstream;
    /// Counts requests.
    type Limits: RateLimits;

    /// Verifies signatures.
    fn verifier(&self) -> &Self::Verifier;
    /// Signs playback.
    fn signer(&self) -> &dyn PlatformSigner;
    /// Keeps the snapshot.
    fn store(&self) -> &Self::Store;
    /// Has the newest head.
    fn lane(&self) -> &Self::Lane;
    /// Fetches issuers' keys.
    fn keys(&self) -> &Self::Keys;
    /// Takes writes.
    fn upstream(&self) -> &Self::Upstream;
    /// Counts requests.
    fn limits(&self) -> &Self::Limits;
    /// Takes log lines.
    fn log(&self) -> &dyn Log;
    /// Random bytes.
    fn entropy(&self) -> &dyn Entropy;
    /// SHA-256 of a whole object. The texts that a check hashes are too short for a call out of our own code to pay, and
    /// do not come here.
    fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }
    /// Milliseconds since the epoch. In Workers time stands still between I/O.
    fn now_ms(&self) -> u64;
    /// Lets `ms` milliseconds pass, in which other requests go on.
    async fn sleep(&self, ms: u64);
}
