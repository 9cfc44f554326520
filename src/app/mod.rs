//! The whole service, with no platform in it.
//!
//! [`App::answer`] is synchronous and does no I/O: it answers from what is in memory, or says what it
//! [`Need`]s. [`App::resume`] fetches that and asks again. The cheapest check - token, head and shards in
//! memory - is thus one plain call, and it is the same code as every other check.

mod answer;
mod audit;
mod event;
mod finish;
mod health;
mod jwks_cache;
mod limited;
mod load;
mod local;
mod origin;
mod permission;
mod publish;
mod read;
mod snapshots;

use std::cell::{Cell, RefCell};

use crate::{
    api::{
        error::ApiError,
        reply::{Reply, Request, Validity},
    },
    config::{Config, ConfigError},
    limits::{LOAD_ROUNDS_MAX, LOAD_WAIT_MS, LOAD_WAITS_MAX, LOGGED_PATH_MAX_BYTES, RETRY_AFTER_SECS},
    ports::{Limit, Platform, SignatureAlgorithm, SignatureVerifier},
    snapshot::{head::Head, object::ObjectName, time::UnixSecs},
    token::{JoseAlgorithm, KeySet, TokenVerifier},
};

use audit::Begun;
pub use event::{Event, EventKind};
pub use finish::unconfigured;
pub use local::member_page;
use origin::{OriginState, StreamOf, Turn};
pub use origin::{Question, Unreadable, Verdict, Write, Written, verdict, written};
pub use permission::Permission;
pub use publish::{BodyError, RequestBody};
use publish::{InFlight, Transfer};
pub use read::MemberWindow;
use snapshots::Snapshots;

/// The service. One for each isolate.
pub struct App<P: Platform> {
    platform: P,
    config: Config,
    head_keys: KeySet<P::Verifier>,
    // Borrowed for the length of a synchronous call only, never across an await.
    state: RefCell<State<P::Verifier>>,
    in_flight: InFlight,
    requests: Cell<u32>,
    request_prefix: Cell<Option<u64>>,
}

struct State<V: SignatureVerifier> {
    tokens: TokenVerifier<V>,
    snapshots: Snapshots,
    origin: OriginState,
}

impl<V: SignatureVerifier> State<V> {
    /// A head was read that may be used: its denylist counts from now on, whatever becomes of what it names.
    fn deny_by(&mut self, head: &Head, now: UnixSecs) {
        if self.snapshots.denies_by(head) {
            self.tokens.deny(&head.denylist);
        }
        self.snapshots.head_was_read(now);
    }
}

/// What has to be fetched before a request can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The head.
    Head,
    /// Objects of the snapshot.
    Objects(Vec<ObjectName>),
    /// The keys of an issuer.
    Keys(usize),
    /// The keys of an issuer that enough other requests are fetching.
    KeysOfOthers,
    /// Something of the publisher, who may publish.
    Transfer(Transfer),
    /// Whether the address has not read too much without a token.
    Count,
    /// The origin's word on what the snapshot does not grant.
    Origin(Box<Question>),
    /// The origin, to which a write is to be passed on.
    Forward(Write),
}

/// Something that is refreshed behind a request.
#[derive(Debug)]
pub struct Refresh(Refreshed);

#[derive(Debug)]
enum Refreshed {
    Head,
    Keys(usize),
}

impl<P: Platform> App<P> {
    /// Makes the configured keys ready.
    ///
    /// # Errors
    /// When a key of the configuration cannot be used.
    pub fn new(platform: P, config: Config) -> Result<Self, ConfigError> {
        let head_keys = KeySet::from_inline_jwks(&config.snapshot_keys, platform.verifier())
            .map_err(|error| ConfigError::new("SNAPSHOT_KEYS", error.to_string()))?;
        // A key that verifies by a secret would let whoever reads the configuration sign heads.
        if !head_keys.is_all(JoseAlgorithm::Signature(SignatureAlgorithm::EdDsa)) {
            return Err(ConfigError::new("SNAPSHOT_KEYS", "every key must be an Ed25519 key (EdDSA)"));
        }
        if !head_keys.left_out().is_empty() {
            return Err(ConfigError::new("SNAPSHOT_KEYS", head_keys.left_out().to_string()));
        }
        let tokens = TokenVerifier::new(config.issuers.clone(), platform.verifier())?;
        let issuers = tokens.issuers();
        let app = Self {
            state: RefCell::new(State {
                tokens,
                snapshots: Snapshots::default(),
                origin: OriginState::default(),
            }),
            platform,
            config,
            head_keys,
            in_flight: InFlight::default(),
            requests: Cell::new(0),
            request_prefix: Cell::new(None),
        };
        (0..issuers).for_each(|issuer| app.log_left_out(issuer));
        Ok(app)
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The platform.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// Answers a request from memory. The reply is complete: every header is set.
    ///
    /// # Errors
    /// With what has to be fetched first.
    pub fn answer(&self, request: &Request<'_>) -> Result<Reply, Need> {
        let reply = self.answer_at(request, self.platform.now_ms(), false)?;
        Ok(if request.method == "GET" {
            self.finish(request, reply, finish::Timing::Memory)
        } else {
            self.finish_audited(request, reply, finish::Timing::Memory, None)
        })
    }

    /// Whether the answer that had this [`Reply::validity`] is the right one to the same question again: then the
    /// number of this request, for the end of its id; never 0. It costs a comparison or two, so that whoever keeps
    /// answers need not judge them.
    pub fn repeat(&self, validity: &Validity) -> Option<u32> {
        let now = self.now();
        let State { snapshots, tokens, .. } = &*self.state.borrow();
        let is_known =
            validity.epoch == self.epoch(snapshots, tokens) && validity.since <= now && now < validity.until;
        // What is due is left to an ordinary answer, which begins it.
        let is_quiet =
            snapshots.may_answer(now) && !snapshots.refresh_due(now) && !tokens.is_refresh_due(now);
        (is_known && is_quiet).then(|| self.count_request())
    }

    /// Answers a request, fetching what it needs. The reply is complete: every header is set.
    pub async fn handle(&self, request: &Request<'_>, body: impl RequestBody<Stream = StreamOf<P>>) -> Reply {
        match self.answer(request) {
            Ok(reply) => reply,
            Err(need) => self.resume(request, need, body).await,
        }
    }

    /// Fetches what [`Self::answer`] needs for a request, and answers it. The reply is complete: every header
    /// is set. The need has to be the request's own: keys that are to be fetched count as being fetched.
    pub async fn resume(
        &self,
        request: &Request<'_>,
        need: Need,
        body: impl RequestBody<Stream = StreamOf<P>>,
    ) -> Reply {
        let start_ms = self.platform.now_ms();
        let mut begun = None;
        let reply = self.resume_unfinished(request, need, body, &mut begun).await;
        let dur_ms = self.platform.now_ms().saturating_sub(start_ms);
        self.finish_audited(request, reply, finish::Timing::Loaded { dur_ms }, begun)
    }

    /// `begun` gets the change that is tried, if it is one.
    async fn resume_unfinished<'a>(
        &'a self,
        request: &'a Request<'a>,
        need: Need,
        body: impl RequestBody<Stream = StreamOf<P>>,
        begun: &mut Option<Begun<'a, P>>,
    ) -> Reply {
        let mut need = need;
        let (mut is_counted, mut is_insistence_counted) = (false, false);
        let since_ms = self.platform.now_ms();
        let (mut loads, mut waits) = (0, 0);
        while loads < LOAD_ROUNDS_MAX {
            let may_wait = waits < LOAD_WAITS_MAX;
            let has_loaded = match need {
                Need::Head => self.load_head(may_wait).await,
                Need::Objects(names) => self.load_missing(&names, may_wait).await,
                Need::Keys(issuer) => {
                    self.load_keys(issuer, request).await;
                    true
                }
                Need::KeysOfOthers if may_wait => false,
                Need::KeysOfOthers => {
                    let detail =
                        "the issuer's keys: other requests have been fetching them for long".to_owned();
                    return Reply::error(unavailable(), "keys_unavailable").with_detail(detail);
                }
                Need::Transfer(transfer) => {
                    *begun = Begun::new(self, request);
                    return self.transfer(transfer, request, body).await;
                }
                Need::Forward(write) => {
                    *begun = Begun::new(self, request);
                    let id = begun.as_ref().map_or_else(|| self.request_id(), |begun| begun.id.clone());
                    return self.forward(request, write, body, &id).await;
                }
                Need::Count => {
                    if let Some(refusal) = self.refused_by_limit(Limit::AnonymousRead, request).await {
                        return refusal;
                    }
                    is_counted = true;
                    true
                }
                Need::Origin(question) => {
                    // Once, however often and for what it waits.
                    let is_insisting = question.insists && !question.is_confirmation();
                    if is_insisting
                        && !std::mem::replace(&mut is_insistence_counted, true)
                        && let Some(refusal) = self.refused_by_limit(Limit::InsistingRead, request).await
                    {
                        return refusal;
                    }
                    match self.ask(&question, request, Turn { since_ms, may_wait }).await {
                        Some(reply) => return reply,
                        None => false,
                    }
                }
            };
            if has_loaded {
                loads += 1;
            } else {
                waits += 1;
                self.platform.sleep(LOAD_WAIT_MS).await;
            }
            need = match self.answer_at(request, self.platform.now_ms(), is_counted) {
                Ok(reply) => return reply,
                Err(need) => need,
            };
        }
        Reply::error(unavailable(), "load_rounds")
    }

    /// What is to be refreshed behind a request, if anything. It counts as begun: the platform runs it with
    /// [`Self::refresh`] once it has answered.
    pub fn begin_refresh(&self) -> Option<Refresh> {
        let now = self.now();
        let State { snapshots, tokens, .. } = &mut *self.state.borrow_mut();
        if snapshots.refresh_due(now) {
            snapshots.refresh_begins(now);
            return Some(Refresh(Refreshed::Head));
        }
        tokens.keys_refresh_due(now).map(|issuer| Refresh(Refreshed::Keys(issuer)))
    }

    /// Runs what [`Self::begin_refresh`] gave.
    pub async fn refresh(&self, refresh: Refresh) {
        match refresh.0 {
            Refreshed::Head => self.refresh_head().await,
            Refreshed::Keys(issuer) => self.fetch_keys(issuer).await,
        }
    }

    /// Stands for all that answers depend on beside the question and the moment.
    fn epoch(&self, snapshots: &Snapshots, tokens: &TokenVerifier<P::Verifier>) -> u32 {
        // Neither count ever goes back, so that no two states have the same sum; and each instance begins somewhere else,
        // so that what one before it said of its answers does not fit.
        let [.., a, b, c, d] = self.request_prefix().to_be_bytes();
        u32::from_be_bytes([a, b, c, d]).wrapping_add(snapshots.epoch()).wrapping_add(tokens.epoch())
    }

    fn now(&self) -> UnixSecs {
        seconds(self.platform.now_ms())
    }
}

fn seconds(ms: u64) -> UnixSecs {
    UnixSecs::try_from(ms / 1_000).unwrap_or(UnixSecs::MAX)
}

const fn unavailable() -> ApiError {
    ApiError::Unavailable { retry_after_secs: RETRY_AFTER_SECS }
}

/// Refuses a body by the value of its header. The message goes on with that, except where clients know it as it is.
fn unsupported(error: ApiError, value: &str) -> Reply {
    let found = value.get(..value.floor_char_boundary(LOGGED_PATH_MAX_BYTES)).unwrap_or_default();
    match error {
        ApiError::UnsupportedMediaType => Reply::from(error).with_detail(format!("found {found:?}")),
        _ => Reply::detailed(error, found),
    }
}
