//! The whole service, with no platform in it.
//!
//! [`App::answer`] is synchronous and does no I/O: it answers from memory, or gives a [`Pending`] request. [`App::resume`]
//! (`resume.rs`) loads the missing parts through the ports and tries again. The cheapest check - token, head and shards in
//! memory - is thus one plain call, and it is the same code as every other check (docs/adr/0001).
//!
//! [`App`] only routes. The state has owners (docs/adr/0034):
//!
//! ```text
//!             plan: route, method, parameters, once
//!               │
//! App ──► answer: token, role, version ──► Next::Reply
//!  │            ├──► Missing ──► missing: loaded, and tried again
//!  │            ├──► Next::Confirm ─┐
//!  │            ├──► Next::ConfirmEach ─┤
//!  │            ├──► Next::Forward ─┤
//!  │            ├──► Next::PassThrough ─┴──► upstream: confirmations, writes, pass-through, circuits
//!  │            └──► Next::Publish ────► publish: heads, objects, the lease
//!  ├──► tokens: verified tokens, issuers' keys and their fetches
//!  ├──► library: head, versions, objects
//!  ├──► playback: signs a granted answer, when the decision is final
//!  └──► finish, audit, event: headers, log lines, audit events
//! ```

mod answer;
mod asker;
mod audit;
mod authzen;
mod batch;
mod body;
mod event;
mod finish;
mod health;
mod known;
mod library;
mod limited;
mod local;
mod missing;
mod near;
mod pending;
mod permission;
mod plan;
mod playback;
mod problems;
mod publish;
mod read;
mod reason;
mod resume;
mod support;
mod tokens;
mod upstream;
mod warm;

use futures_util::FutureExt as _;

use crate::{
    api::{
        contract::Server,
        error::ApiError,
        reply::{Reply, Request},
    },
    config::{Config, ConfigError},
    limits::RETRY_AFTER_SECS,
    ports::{FreshLane as _, Platform, SignatureVerifier},
    snapshot::time::UnixSecs,
    token::TokenVerifier,
};

pub use audit::AuditEvent;
pub use authzen::LocalQuestions;
pub use body::{BodyError, RequestBody};
pub use event::{Event, EventKind};
pub use finish::{Completion, unconfigured};
pub use known::{Granted, Handle, Validity};
pub use local::{LocalRead, member_page};
pub use pending::{Answered, Pending, Refresh};
pub use permission::Permission;
pub use plan::merchant_uuid;
pub use read::MemberWindow;
pub use reason::ServiceReason;
pub use tokens::{Fetched, KeyFetch, KeyTicket, Refusal, Tokens, Unverified};
pub use upstream::{Unreadable, Verdict, Written, verdict, verdicts, written};

use answer::{Attempt, Next};
use audit::{Actor, Begun, Change};
use finish::Timing;
use known::KnownViewers;
use library::{Library, Loader, Reader};
use limited::AddressLimits;
use missing::{Missing, Supply};
use pending::{Refreshed, Start};
use plan::Plan;
use playback::Signing;
use publish::InFlight;
use tokens::KeyLoader;
use upstream::{StreamOf, UpstreamTraffic};
use warm::Warming;

/// The service. One for each isolate.
pub struct App<P: Platform> {
    platform: P,
    config: Config,
    tokens: Tokens<P::Verifier>,
    library: Library<P::Verifier>,
    known: KnownViewers,
    upstream: UpstreamTraffic,
    limits: AddressLimits,
    in_flight: InFlight,
    warming: Warming,
    signing: Signing,
    completion: Completion,
}

impl<P: Platform> App<P> {
    /// Makes the configured keys ready.
    ///
    /// # Errors
    /// A key of the configuration cannot be used.
    pub fn new(platform: P, config: Config) -> Result<Self, ConfigError> {
        let library = Library::new(&config, platform.verifier())?;
        if platform.lane().is_there() {
            library.write().lane.open(config.fresh_secs);
        }
        let tokens = Tokens::new(&config.issuers, platform.verifier(), platform.log())?;
        Ok(Self {
            completion: Completion::new(&config),
            tokens,
            library,
            known: KnownViewers::default(),
            upstream: UpstreamTraffic::default(),
            limits: AddressLimits::default(),
            in_flight: InFlight::default(),
            warming: Warming::default(),
            signing: Signing::new(config.playback.clone()),
            platform,
            config,
        })
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The platform.
    pub const fn platform(&self) -> &P {
        &self.platform
    }

    /// Answers a request from memory, if that is possible.
    pub fn answer(&self, request: &Request<'_>) -> Answered<P::Verifier> {
        let server = Server::edge(self.config.upstream.is_some());
        if request.method == "OPTIONS" {
            return Answered::Now(self.complete(
                request,
                plan::preflight(request, server, self.config.pass_through()),
                None,
            ));
        }
        let plan = Plan::of(request, server)
            .or_else(|error| Plan::passed_through(request, self.config.pass_through()).unwrap_or(Err(error)));
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => return Answered::Now(self.complete(request, error.into(), None)),
        };
        if plan.is_anonymous() && AddressLimits::counts_reads(request, &self.platform) {
            return Answered::Later(Pending { plan, next: Ok(Start::Count) });
        }
        match self.attempt(&plan, request) {
            Ok(Next::Reply(reply)) => {
                self.warm_reader(&plan, request);
                Answered::Now(self.complete(request, reply, Some(&plan)))
            }
            next => Answered::Later(Pending { plan, next: next.map(Start::Next) }),
        }
    }

    /// Answers a request, loading what it needs. The reply is complete: every header is set.
    pub async fn handle(&self, request: &Request<'_>, body: impl RequestBody<Stream = StreamOf<P>>) -> Reply {
        match self.answer(request) {
            Answered::Now(reply) => reply,
            Answered::Later(pending) => self.resume(request, pending, body).await,
        }
    }

    fn attempt(&self, plan: &Plan, request: &Request<'_>) -> Result<Next, Missing<P::Verifier>> {
        self.attempt_at(plan, request, false, false)
    }

    fn attempt_at(
        &self,
        plan: &Plan,
        request: &Request<'_>,
        is_last: bool,
        is_head_asked: bool,
    ) -> Result<Next, Missing<P::Verifier>> {
        let attempt = Attempt {
            platform: &self.platform,
            config: &self.config,
            tokens: &self.tokens,
            library: &self.library,
            upstream: &self.upstream,
            request,
            now_ms: self.platform.now_ms(),
            is_last,
            is_head_asked,
        };
        attempt.run(plan)
    }

    /// A refresh that is due behind a request, if one is: there may be several. It counts as begun: the platform runs it
    /// with [`Self::refresh`] once it has answered.
    pub fn begin_refresh(&self) -> Option<Refresh<P::Verifier>> {
        let now = self.now();
        let snapshots = &mut *self.library.write();
        if let Some(due) = snapshots.begin_behind(now) {
            return Some(Refresh(Refreshed::Head(due)));
        }
        let keys = self.tokens.begin_refresh(now).map(|ticket| Refresh(Refreshed::Keys(ticket)));
        keys.or_else(|| self.begin_warming())
    }

    /// Runs a refresh that [`Self::begin_refresh`] gave.
    pub async fn refresh(&self, refresh: Refresh<P::Verifier>) {
        let supply = self.supply();
        match refresh.0 {
            Refreshed::Head(due) => supply.library.refresh(due).boxed_local().await,
            Refreshed::Keys(ticket) => supply.keys.load(ticket).boxed_local().await,
            Refreshed::Viewer(authorization) => self.warm(&authorization).boxed_local().await,
        }
    }

    /// Completes an answer from memory.
    fn complete(&self, request: &Request<'_>, reply: Reply, plan: Option<&Plan>) -> Reply {
        let id = self.completion.request_id(self.platform.entropy());
        let reply = self.signing.answer(reply, request, &self.platform);
        let logged = self.logged(request);
        let reply = self.completion.finish(&logged, reply, id, Timing::Memory, self.platform.log());
        if let Some(plan) = plan {
            self.audit_others(request, &reply, plan);
        }
        reply
    }

    /// A request as logs show it.
    fn logged<'r>(&self, request: &Request<'r>) -> Request<'r> {
        support::logged(self.config.pass_through().logged(request))
    }

    /// A change that was refused before it began has its audit event as well, if a token says who asked for it, and so has
    /// each look of support staff.
    fn audit_others(&self, request: &Request<'_>, reply: &Reply, plan: &Plan) {
        let is_seen = matches!(plan, Plan::Support(_)) && reply.status == 200;
        let is_refused = |change: &Change| matches!(reply.status, 400 | 402..=499) && !change.is_sign_in();
        let Some(mut change) = Change::of(plan).filter(|change| is_seen || is_refused(change)) else {
            return;
        };
        let (verifier, entropy, log) =
            (self.platform.verifier(), self.platform.entropy(), self.platform.log());
        let token = self.tokens.verify(request.authorization, self.now(), verifier, entropy).ok();
        let actor = Actor::of(token.as_deref(), &self.config.issuers, request.authorization);
        if let (Plan::Support(plan), Some(token)) = (plan, &token) {
            change.key = support::subject_of(plan, request, token, &self.config.issuers);
        }
        let id = reply.header("x-request-id").unwrap_or_default();
        Begun::new(change, actor, &self.logged(request), id, log).end(reply, None);
    }

    fn supply(&self) -> Supply<'_, P> {
        let Config { jwks_cache_secret, head_max_age_secs, .. } = &self.config;
        Supply {
            library: Loader {
                reader: Reader {
                    library: &self.library,
                    platform: &self.platform,
                    head_rules: &self.config.head_rules,
                },
                tokens: &self.tokens,
                max_age_secs: *head_max_age_secs,
            },
            keys: KeyLoader { platform: &self.platform, secret: jwks_cache_secret.as_ref() },
        }
    }

    fn now(&self) -> UnixSecs {
        seconds(self.platform.now_ms())
    }
}

/// Checks that every key of `config` can be used, as [`App::new`] does, without a platform.
///
/// # Errors
/// A key of the configuration cannot be used.
pub fn check_keys<V: SignatureVerifier>(config: &Config, verifier: &V) -> Result<(), ConfigError> {
    Library::new(config, verifier)?;
    TokenVerifier::new(config.issuers.clone(), verifier)?;
    Ok(())
}

fn seconds(ms: u64) -> UnixSecs {
    UnixSecs::try_from(ms / 1_000).unwrap_or(UnixSecs::MAX)
}

const fn unavailable() -> ApiError {
    ApiError::Unavailable { retry_after_secs: RETRY_AFTER_SECS }
}
