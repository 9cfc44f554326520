//! Questions in the form of AuthZEN (docs/authzen.md): who may ask about whom, and the answers.
//!
//! ```text
//! token ─► may it ask? ─► body ─► groups by customer ─► Attempt::rule ─► Deliberation ─► confirm ─► verdicts
//! ```
//!
//! `caller` has the rights, `local` the questions to an origin, `read::search` the searches.

mod caller;
mod local;

use std::rc::Rc;

use futures_util::FutureExt as _;

use super::{
    Permission, RequestBody, ServiceReason,
    answer::{Attempt, Attempted, Next, Stop},
    batch::{Checks, Confirmed, Rulings},
    body,
    library::all,
    missing::{Missing, Patience},
    plan::{AuthzenPlan, Plan, SupportPlan},
    read::{Read, Terms},
    support, unavailable,
    upstream::Exchange,
};
use crate::{
    api::{
        authzen::{self, Asked, Evaluation, Search, Semantic, Verdict},
        error::ApiError,
        reply::{Body, Caching, Reply, Request},
    },
    limits::{AUTHZEN_BESIDE_MAX, AUTHZEN_MAX_BYTES},
    ports::Platform,
    token::{Principal, VerifiedToken},
};
pub(super) use caller::Caller;
use caller::Shown;

pub use local::LocalQuestions;

/// Questions about one customer at one moment.
struct Group<'a> {
    id: &'a Rc<str>,
    terms: Terms,
    item_ids: Vec<i64>,
    /// The place of each question in the request.
    places: Vec<usize>,
}

/// The questions of a request, by customer and moment.
struct Sorted<'a> {
    /// One for each question; a ruling takes the place of those of the groups.
    verdicts: Vec<Verdict>,
    groups: Vec<Group<'a>>,
}

impl<'a> Sorted<'a> {
    fn of(caller: &Caller<'_>, evaluations: Evaluations<'a>) -> Self {
        let mut sorted = Self { verdicts: Vec::new(), groups: Vec::new() };
        for (place, evaluation) in evaluations.into_iter().enumerate() {
            let asked = match evaluation {
                Ok(evaluation) => caller.asked(evaluation),
                Err(error) => Err(Verdict::of(error)),
            };
            let (id, item_id, terms) = match asked {
                Ok(asked) => asked,
                Err(verdict) => {
                    sorted.verdicts.push(verdict);
                    continue;
                }
            };
            sorted.verdicts.push(Verdict::of(ApiError::Internal));
            match sorted.groups.iter_mut().find(|group| group.terms == terms && group.id == id) {
                Some(group) => {
                    group.item_ids.push(item_id);
                    group.places.push(place);
                }
                None => sorted.groups.push(Group { id, terms, item_ids: vec![item_id], places: vec![place] }),
            }
        }
        sorted
    }
}

/// Questions in the order of a request; an error for one that is malformed.
type Evaluations<'a> = Vec<Result<&'a Evaluation, ApiError>>;

/// The semantic and the questions of a request that is not a search. One question has no semantic.
fn questions(asked: &Asked) -> Option<(Option<Semantic>, Evaluations<'_>)> {
    match asked {
        Asked::One(evaluation) => Some((None, vec![Ok(evaluation)])),
        Asked::Several(semantic, evaluations) => {
            let evaluations = evaluations.iter().map(|one| one.as_ref().map_err(|error| *error));
            Some((Some(*semantic), evaluations.collect()))
        }
        Asked::Search(_) => None,
    }
}

/// The answers to the questions of a request, as far as memory has them.
pub(super) struct Deliberation {
    /// Nothing for one question, which is answered without a list.
    semantic: Option<Semantic>,
    verdicts: Vec<Verdict>,
    shown: Shown,
    /// The questions of a viewer about the present, which the upstream may know better, and their places.
    own: Vec<(Checks, Vec<usize>)>,
    /// The questions about which the upstream's word is wanted beside the answer.
    beside: Vec<Beside>,
}

/// Questions about one customer that the upstream is asked with the caller's token. Its word is shown, and decides nothing.
struct Beside {
    caller: Rc<VerifiedToken>,
    customer: Principal,
    item_ids: Vec<i64>,
    /// The place of each question in the request.
    places: Vec<usize>,
}

impl<P: Platform> Attempt<'_, P> {
    /// Answers a question, or asks for its body once the token has been verified.
    #[inline(never)]
    pub fn authzen(&self, plan: &AuthzenPlan) -> Attempted<Next, P> {
        let token = self.token()?;
        Permission::Ask.check(&token, &self.config.issuers)?;
        let Some(asked) = plan.asked.get() else { return Ok(Next::ReadBody) };
        let caller = Caller { token: &token, issuers: &self.config.issuers };
        if let Asked::Search(search) = &**asked {
            return self.search(&caller, search);
        }
        let (semantic, evaluations) = questions(asked).ok_or(ApiError::Internal)?;
        let deliberation = self.deliberate(&caller, semantic, evaluations)?;
        let is_open = |(checks, _): &(Checks, Vec<usize>)| checks.is_for_upstream(0);
        let is_for_upstream = deliberation.own.iter().any(is_open) || !deliberation.beside.is_empty();
        Ok(if self.config.upstream.is_some() && is_for_upstream {
            Next::ConfirmVerdicts(Box::new(deliberation))
        } else {
            Next::Reply(deliberation.reply())
        })
    }

    fn deliberate(
        &self,
        caller: &Caller<'_>,
        semantic: Option<Semantic>,
        evaluations: Evaluations<'_>,
    ) -> Attempted<Deliberation, P> {
        let Sorted { verdicts, groups } = Sorted::of(caller, evaluations);
        let mut deliberation =
            Deliberation { semantic, verdicts, shown: caller.shown(), own: Vec::new(), beside: Vec::new() };
        for (rulings, group) in self.rule_each(caller, groups)? {
            let Group { id, terms, item_ids, places } = group;
            deliberation.take(&rulings, &places);
            if terms.asks_upstream {
                let seen = places.iter().zip(&item_ids).zip(&rulings.each);
                let seen = seen.filter(|(_, ruling)| deliberation.shown.may_ask_upstream(**ruling));
                let (places, item_ids) = seen.map(|((place, item_id), _)| (*place, *item_id)).unzip();
                let (caller, customer) = (Rc::clone(caller.token), caller.principal(id));
                deliberation.beside.push(Beside { caller, customer, item_ids, places });
            }
            if !terms.is_service && terms.at.is_none() {
                deliberation.own.push((Checks { token: Rc::clone(caller.token), item_ids, rulings }, places));
            }
        }
        Ok(deliberation)
    }

    /// Decides for each group. All that memory lacks for any of them is loaded at once.
    fn rule_each<'g>(
        &self,
        caller: &Caller<'_>,
        groups: Vec<Group<'g>>,
    ) -> Attempted<Vec<(Rulings, Group<'g>)>, P> {
        let (mut ruled, mut missing) = (Vec::with_capacity(groups.len()), Vec::new());
        for group in groups {
            match self.rule(&caller.principal(group.id), &group.item_ids, group.terms) {
                Ok(rulings) => ruled.push((rulings, group)),
                Err(Missing::Objects(names)) => {
                    for name in names {
                        if !missing.contains(&name) {
                            missing.push(name);
                        }
                    }
                }
                Err(other) => return Err(other.into()),
            }
        }
        if missing.is_empty() { Ok(ruled) } else { Err(Stop::Missing(Missing::Objects(missing))) }
    }

    fn search(&self, caller: &Caller<'_>, search: &Search) -> Attempted<Next, P> {
        let at = caller.moment(search.time)?;
        if let Some(id) = &search.customer {
            caller.may_ask_about(id).map_err(one)?;
        }
        let (Some(id), None) = (&search.customer, search.unknown) else {
            let reason = search.unknown.map_or("", |unknown| unknown.code());
            return Ok(Next::Reply(found(&[], "", &authzen::reason(reason))));
        };
        let (principal, is_service) = (caller.principal(id), caller.is_service(id));
        let terms = Terms { at, is_service, ..Terms::default() };
        self.answer(&Read::Search { principal: Box::new(principal), terms, search: search.clone() })
    }
}

/// The answer to a search.
pub(super) fn found(item_ids: &[i64], next_token: &str, context: &str) -> Reply {
    Reply::ok(authzen::search(item_ids, next_token, context), Caching::Private)
}

impl Deliberation {
    fn take(&mut self, rulings: &Rulings, places: &[usize]) {
        for (position, place) in places.iter().enumerate() {
            if let Some(verdict) = self.verdicts.get_mut(*place) {
                *verdict = self.shown.verdict(rulings, position);
            }
        }
    }

    /// The answer after the upstream was asked about the viewer's own questions, and about those of a caller who wants its
    /// word beside the answer.
    pub async fn confirmed<P: Platform>(mut self, exchange: &Exchange<'_, P>, patience: &Patience) -> Reply {
        let mut detail = String::new();
        for (mut checks, places) in std::mem::take(&mut self.own) {
            let Confirmed { unconfirmed, .. } = checks.confirm(exchange, patience).await;
            self.take(&checks.rulings, &places);
            unconfirmed.write_to(&mut detail, "not confirmed: ");
        }
        let mut beside = std::mem::take(&mut self.beside);
        beside.retain(|beside| !beside.item_ids.is_empty());
        let asked = beside.iter().take(AUTHZEN_BESIDE_MAX).map(|beside| {
            exchange.says_of_each(&beside.caller, &beside.customer, &beside.item_ids).boxed_local()
        });
        let said = all(asked.collect()).await;
        for (Beside { places, .. }, said) in beside.into_iter().zip(said) {
            for (place, said) in places.into_iter().zip(said) {
                if let Some(Verdict::Decided { explained, .. }) = self.verdicts.get_mut(place) {
                    explained.push_str(",\"origin\":");
                    explained.push_str(&said);
                }
            }
        }
        let mut reply = self.reply();
        reply.detail.push_str(&detail);
        reply
    }

    /// The answer, as far as the semantic of the request goes.
    pub fn reply(self) -> Reply {
        let Self { semantic, mut verdicts, .. } = self;
        let Some(semantic) = semantic else {
            return verdicts.pop().map_or_else(|| ApiError::Internal.into(), one);
        };
        // An answer of nothing but "cannot tell" would look like denials.
        if verdicts.iter().all(|verdict| matches!(verdict, Verdict::Failed(ApiError::Unavailable { .. }, _)))
        {
            return Reply::error(unavailable(), ServiceReason::Unreadable.code());
        }
        if let Some(last) = verdicts.iter().position(|verdict| semantic.ends_with(verdict.decision())) {
            verdicts.truncate(last + 1);
        }
        Reply::ok(authzen::evaluations(&verdicts), Caching::Private)
    }
}

/// The answer to one question. An error about it is an error of the request.
fn one(verdict: Verdict) -> Reply {
    match &verdict {
        Verdict::Failed(error, message) => {
            Reply { body: Body::Json(error.body_with(message)), ..Reply::from(*error) }
        }
        Verdict::Decided { reason, .. } => {
            Reply { reason: (*reason).into(), ..Reply::ok(authzen::decision(&verdict), Caching::Private) }
        }
    }
}

impl Plan {
    /// Reads the body of a question that is read once its token has been verified. Other plans read theirs themselves.
    ///
    /// # Errors
    /// With the answer to a body that is too long, incomplete or malformed.
    pub async fn read_body(
        &self,
        request: &Request<'_>,
        content: &mut impl RequestBody,
    ) -> Result<(), Reply> {
        let (api, asked) = match self {
            Self::Authzen(AuthzenPlan { api, asked }) => (api, asked),
            Self::Support(SupportPlan::Token(presented)) => {
                return support::read_body(presented, request, content).await;
            }
            _ => return Err(ApiError::Internal.into()),
        };
        authzen::check_headers(request.passed("content-type"), request.passed("content-encoding"))?;
        let bytes = body::read(content, AUTHZEN_MAX_BYTES).await?;
        // It is read once: the plan keeps it for every further attempt.
        asked.set(Rc::new(api.read(&bytes)?)).map_err(|_| ApiError::Internal.into())
    }
}
