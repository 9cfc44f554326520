//! The whole service, with no platform in it.
//!
//! [`App::answer`] is synchronous and does no I/O: it answers from memory, or gives a [`Pending`]
//! request.
//! [`App::resume`] loads the missing parts through the ports and tries again. The cheapest check - token, head and shards
//! in memory - is thus one plain call, and it is the same code as every other check (docs/adr/0001).
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
    limits::{LOAD_ROUNDS_MAX, RETRY_AFTER_SECS},
    ports::{FreshLane as _, Limit, Platform, SignatureVerifier},
    snapshot::time::UnixSecs,
    token::{TokenVerifier, VerifiedToken},
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
use batch::Checks;
use finish::Timing;
use known::KnownViewers;
use library::{Library, Load, Loader, Reader};
use limited::AddressLimits;
use missing::{Missing, Patience, Supply};
use pending::{Refreshed, Start};
use plan::Plan;
use playback::Signing;
use publish::{InFlight, Publisher, Transfer, Transferred};
use tokens::KeyLoader;
use upstream::{Exchange, StreamOf, UpstreamQuestion, UpstreamTraffic};
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

    /// Answers a request for which [`Self::answer`] gave `pending`. The reply is complete: every header is set.
    pub async fn resume(
        &self,
        request: &Request<'_>,
        pending: Pending<P::Verifier>,
        body: impl RequestBody<Stream = StreamOf<P>>,
    ) -> Reply {
        let start_ms = self.platform.now_ms();
        // Before anything is sent: the upstream's log and this one name the request alike.
        let id = self.completion.request_id(self.platform.entropy());
        let Pending { plan, next } = pending;
        let logged = self.logged(request);
        let (transferred, begun) = self.carry_out(request, &logged, &id, &plan, next, body).await;
        let Transferred { reply, seq } = transferred;
        self.warm_reader(&plan, request);
        let dur_ms = self.platform.now_ms().saturating_sub(start_ms);
        let timing = Timing::Loaded { dur_ms };
        let reply = self.signing.answer(reply, request, &self.platform);
        let reply = self.completion.finish(&logged, reply, id.clone(), timing, self.platform.log());
        match begun {
            Some(begun) => begun.end(&reply, seq),
            None => self.audit_others(request, &reply, &plan),
        }
        reply
    }

    /// The answer, and the change that was tried, if the request asks for one. `logged` is the request as logs show it.
    async fn carry_out<'a>(
        &'a self,
        request: &'a Request<'a>,
        logged: &'a Request<'a>,
        id: &'a str,
        plan: &Plan,
        start: Result<Start, Missing<P::Verifier>>,
        mut body: impl RequestBody<Stream = StreamOf<P>>,
    ) -> (Transferred, Option<Begun<'a>>) {
        let begin = |token: Option<&VerifiedToken>| {
            let actor = Actor::of(token, &self.config.issuers, request.authorization);
            Some(Begun::new(Change::of(plan)?, actor, logged, id, self.platform.log()))
        };
        let mut patience = Patience::new(self.platform.now_ms());
        let next = match start {
            Ok(Start::Next(next)) => Ok(next),
            Ok(Start::Count) => {
                match self.limits.count(Limit::AnonymousRead, request, &self.platform).boxed_local().await {
                    Ok(()) => self.attempt(plan, request),
                    Err(refusal) => return (refusal.into(), None),
                }
            }
            Err(missing) => Err(missing),
        };
        let mut next = self.ready(next, plan, request, &mut patience).await;
        let mut is_counted = false;
        loop {
            match next {
                Err(reply) | Ok(Next::Reply(reply)) => return (reply.into(), None),
                Ok(Next::Confirm(question)) => {
                    let confirmed = self.confirm(*question, request, id, &mut patience, &mut is_counted);
                    let reply = confirmed.boxed_local().await;
                    if let Some(reply) = reply {
                        return (reply.into(), None);
                    }
                    next = self.ready(self.attempt(plan, request), plan, request, &mut patience).await;
                }
                Ok(Next::ConfirmEach(checks)) => {
                    let reply = self.confirm_each(*checks, request, id, &patience).boxed_local().await;
                    return (reply.into(), None);
                }
                Ok(Next::ReadBody) => {
                    if let Err(refusal) = plan.read_body(request, &mut body).boxed_local().await {
                        return (refusal.into(), None);
                    }
                    next = self.ready(self.attempt(plan, request), plan, request, &mut patience).await;
                }
                Ok(Next::ConfirmVerdicts(deliberation)) => {
                    let reply = match self.exchange(request, id) {
                        Some(exchange) => deliberation.confirmed(&exchange, &patience).boxed_local().await,
                        None => deliberation.reply(),
                    };
                    return (reply.into(), None);
                }
                Ok(Next::Forward(write, token)) => {
                    let begun = begin(token.as_deref());
                    let reply = match self.exchange(request, id) {
                        Some(exchange) => exchange
                            .forward(write, body)
                            .boxed_local()
                            .await
                            .unwrap_or_else(|refusal| refusal),
                        None => ApiError::Internal.into(),
                    };
                    if !write.is_signed {
                        self.warm_signed_in(&reply);
                    }
                    return (reply.into(), begun);
                }
                Ok(Next::PassThrough(passage, token)) => {
                    let begun = begin(token.as_deref());
                    let reply = match self.exchange(request, id) {
                        Some(exchange) => {
                            exchange.pass(passage, body).boxed_local().await.unwrap_or_else(|refusal| refusal)
                        }
                        None => ApiError::Internal.into(),
                    };
                    return (reply.into(), begun);
                }
                Ok(Next::Publish(transfer, token)) => {
                    let begun = begin(Some(&token));
                    return (self.publish(transfer, request, body).boxed_local().await, begun);
                }
            }
        }
    }

    /// The one loop: a missing part is loaded, or waited for, and the request is tried again.
    async fn ready(
        &self,
        mut next: Result<Next, Missing<P::Verifier>>,
        plan: &Plan,
        request: &Request<'_>,
        patience: &mut Patience,
    ) -> Result<Next, Reply> {
        let supply = self.supply();
        let mut loads = 0;
        let mut is_last = false;
        loop {
            let missing = match next {
                Ok(next) => return Ok(next),
                Err(_) if is_last || loads >= LOAD_ROUNDS_MAX => {
                    return Err(Reply::error(unavailable(), ServiceReason::LoadRounds.code()));
                }
                Err(Missing::KeysElsewhere) if !patience.may_wait() => {
                    let detail = "the issuer's keys: other requests have been fetching them for long";
                    let reply = Reply::error(unavailable(), ServiceReason::KeysUnavailable.code());
                    return Err(reply.with_detail(detail.to_owned()));
                }
                Err(missing) => missing,
            };
            match supply.load(missing, plan, patience.may_wait()).await {
                Load::Done => loads += 1,
                Load::Elsewhere(object) if patience.may_wait() => loop {
                    patience.wait(&self.platform).await;
                    let is_loading = |name| self.library.read().objects.is_loading(name, self.now());
                    if !patience.may_wait() || !object.is_some_and(is_loading) {
                        break;
                    }
                },
                Load::Elsewhere(_) => is_last = true,
            }
            is_last |= loads >= LOAD_ROUNDS_MAX && plan.is_many();
            next = self.attempt_at(plan, request, is_last);
        }
    }

    fn attempt(&self, plan: &Plan, request: &Request<'_>) -> Result<Next, Missing<P::Verifier>> {
        self.attempt_at(plan, request, false)
    }

    fn attempt_at(
        &self,
        plan: &Plan,
        request: &Request<'_>,
        is_last: bool,
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
        };
        attempt.run(plan)
    }

    /// Asks the upstream. `None`: decide again. A request is counted once, however often it asks.
    async fn confirm(
        &self,
        question: UpstreamQuestion,
        request: &Request<'_>,
        id: &str,
        patience: &mut Patience,
        is_counted: &mut bool,
    ) -> Option<Reply> {
        if question.insists
            && !question.is_confirmation()
            && !std::mem::replace(is_counted, true)
            && let Err(refusal) = self.limits.count(Limit::InsistingRead, request, &self.platform).await
        {
            return Some(refusal);
        }
        match self.exchange(request, id) {
            Some(exchange) => exchange.ask(&question, patience).await,
            None => Some(question.otherwise),
        }
    }

    /// Asks the upstream about several items. A request is counted once, if it insists on an answer.
    async fn confirm_each(
        &self,
        checks: Checks,
        request: &Request<'_>,
        id: &str,
        patience: &Patience,
    ) -> Reply {
        if checks.insists_on_grants(request.min_seq)
            && let Err(refusal) = self.limits.count(Limit::InsistingRead, request, &self.platform).await
        {
            return refusal;
        }
        match self.exchange(request, id) {
            Some(exchange) => checks.confirmed(&exchange, patience).await,
            None => checks.reply(),
        }
    }

    async fn publish(
        &self,
        transfer: Transfer,
        request: &Request<'_>,
        body: impl RequestBody<Stream = StreamOf<P>>,
    ) -> Transferred {
        let loader = self.supply().library;
        let publisher = Publisher {
            reader: loader.reader,
            loader,
            tokens: &self.tokens,
            config: &self.config,
            in_flight: &self.in_flight,
        };
        publisher.transfer(transfer, request, body).await.unwrap_or_else(Transferred::from)
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

    fn exchange<'a>(&'a self, request: &'a Request<'a>, request_id: &'a str) -> Option<Exchange<'a, P>> {
        let config = self.config.upstream.as_ref()?;
        let Self { platform, library, upstream, limits, .. } = self;
        Some(Exchange { platform, config, upstream, library, limits, request, request_id })
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
