//! A request for which memory does not suffice: what is missing is loaded, and what the plan asks for is carried out at the
//! upstream or in the store.

use futures_util::FutureExt as _;

use super::{
    App, Pending, RequestBody, ServiceReason,
    answer::Next,
    audit::{Actor, Begun, Change},
    batch::Checks,
    finish::Timing,
    library::Load,
    missing::{Missing, Patience},
    pending::Start,
    plan::Plan,
    publish::{Publisher, Transfer, Transferred},
    unavailable,
    upstream::{Exchange, StreamOf, UpstreamQuestion},
};
use crate::{
    api::{
        error::ApiError,
        reply::{Reply, Request},
    },
    limits::LOAD_ROUNDS_MAX,
    ports::{Limit, Platform},
    token::VerifiedToken,
};

impl<P: Platform> App<P> {
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
    pub(super) async fn ready(
        &self,
        mut next: Result<Next, Missing<P::Verifier>>,
        plan: &Plan,
        request: &Request<'_>,
        patience: &mut Patience,
    ) -> Result<Next, Reply> {
        let supply = self.supply();
        let mut loads = 0;
        let mut is_last = false;
        let mut is_head_asked = false;
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
            is_head_asked |= matches!(missing, Missing::Head(_));
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
            next = self.attempt_at(plan, request, is_last, is_head_asked);
        }
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

    fn exchange<'a>(&'a self, request: &'a Request<'a>, request_id: &'a str) -> Option<Exchange<'a, P>> {
        let config = self.config.upstream.as_ref()?;
        let Self { platform, library, upstream, limits, .. } = self;
        Some(Exchange { platform, config, upstream, library, limits, request, request_id })
    }
}
