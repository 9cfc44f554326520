//! One attempt at a planned request, from memory alone: token, role, and which version answers. No I/O.

use std::{cell::Cell, rc::Rc};

use uuid::Uuid;

use super::{
    Event, Permission, Refusal, ServiceReason, Tokens, Unverified,
    authzen::Deliberation,
    batch::Checks,
    health::Condition,
    library::{HeadState, Library},
    missing::Missing,
    plan::{PassThroughPlan, Plan, PlaybackPlan, PublishPlan, ReadPlan, WritePlan},
    publish::Transfer,
    read::{Read, ReadError, Source, Terms},
    seconds, unavailable,
    upstream::{Party, Passage, UpstreamQuestion, UpstreamTraffic, Write, number_of},
};
use crate::{
    api::{
        authzen, checks,
        error::ApiError,
        reply::{Caching, Reply, Request},
        viewer::Network,
    },
    config::Config,
    limits::LOADS_BESIDE_HEAD_MAX,
    ports::{Platform, SignatureVerifier},
    snapshot::time::UnixSecs,
    token::{Capability, IssuerConfig, Principal, Rule, Scope, VerifiedToken},
};

/// What a planned request comes to when memory has all that it needs.
pub(super) enum Next {
    /// It is answered.
    Reply(Reply),
    /// The snapshot's answer wants the upstream's confirmation.
    Confirm(Box<UpstreamQuestion>),
    /// Some of the snapshot's answers to several questions want the upstream's confirmation.
    ConfirmEach(Box<Checks>),
    /// The body is wanted, and may be read: the token is good.
    ReadBody,
    /// The snapshot's answers in the form of AuthZEN want the upstream's confirmation.
    ConfirmVerdicts(Box<Deliberation>),
    /// The upstream gets the write, with the token of its sender if it needs one.
    Forward(Write, Option<Rc<VerifiedToken>>),
    /// The upstream gets the request as it is, with the token of its sender if there is one.
    PassThrough(Passage, Option<Rc<VerifiedToken>>),
    /// The publish API is used by the owner of the token.
    Publish(Transfer, Rc<VerifiedToken>),
}

/// Why an attempt ends early.
pub(super) enum Stop<V: SignatureVerifier> {
    Reply(Reply),
    Missing(Missing<V>),
}

impl<V: SignatureVerifier> From<Reply> for Stop<V> {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl<V: SignatureVerifier> From<ApiError> for Stop<V> {
    fn from(error: ApiError) -> Self {
        Self::Reply(error.into())
    }
}

impl<V: SignatureVerifier> From<Missing<V>> for Stop<V> {
    fn from(missing: Missing<V>) -> Self {
        Self::Missing(missing)
    }
}

/// An attempt at a request, at one moment.
pub(super) struct Attempt<'a, P: Platform> {
    pub platform: &'a P,
    pub config: &'a Config,
    pub tokens: &'a Tokens<P::Verifier>,
    pub library: &'a Library<P::Verifier>,
    pub upstream: &'a UpstreamTraffic,
    pub request: &'a Request<'a>,
    pub now_ms: u64,
    /// Whether nothing more is loaded: an answer that can do without some records does without the missing ones.
    pub is_last: bool,
    /// Whether the head is being loaded for this request already: nothing more is asked for beside it.
    pub is_head_asked: bool,
}

pub(super) type Attempted<T, P> = Result<T, Stop<<P as Platform>::Verifier>>;

impl<P: Platform> Attempt<'_, P> {
    /// Goes as far as memory allows.
    ///
    /// # Errors
    /// With what memory lacks.
    pub fn run(&self, plan: &Plan) -> Result<Next, Missing<P::Verifier>> {
        let next = match plan {
            Plan::Read(plan) => self.read(plan),
            Plan::Checks => self.checks(),
            Plan::Write(plan) => self.write(plan),
            Plan::PassThrough(plan) => self.pass_through(*plan),
            Plan::Authzen(plan) => self.authzen(plan),
            Plan::Support(plan) => self.support(plan),
            Plan::Publish(plan) => self.publish(*plan),
        };
        match next {
            Ok(next) => Ok(next),
            Err(Stop::Reply(reply)) => Ok(Next::Reply(reply)),
            Err(Stop::Missing(missing)) => Err(missing),
        }
    }

    fn read(&self, plan: &ReadPlan) -> Attempted<Next, P> {
        let read = match plan {
            ReadPlan::Health => Read::Health { is_detailed: self.may_see_numbers()? },
            ReadPlan::Metadata => {
                let body = authzen::metadata(self.request.base_url);
                return Ok(Next::Reply(Reply::ok(body, Caching::Public)));
            }
            plan => {
                let is_signed = !self.request.authorization.is_empty();
                plan.permitted(is_signed, &self.config.issuers, || self.token())?
            }
        };
        self.answer(&read)
    }

    /// Checks of the items that the query names.
    #[inline(never)]
    fn checks(&self) -> Attempted<Next, P> {
        let token = self.token()?;
        Permission::View.check(&token, &self.config.issuers)?;
        let item_ids = checks::item_ids(self.request.query).ok_or(ApiError::INVALID_ITEMS)?;
        let rulings = self.rule(&token.principal, &item_ids, Terms::default())?;
        let checks = Checks { token, item_ids, rulings };
        Ok(if self.config.upstream.is_some() && checks.is_for_upstream(self.request.min_seq) {
            Next::ConfirmEach(Box::new(checks))
        } else {
            Next::Reply(checks.reply())
        })
    }

    /// Whether a token lets the client see how much there is. Any other token, right or wrong, is ignored: a monitor
    /// must not report that the service is down because the monitor's token has ended.
    #[inline(never)]
    fn may_see_numbers(&self) -> Attempted<bool, P> {
        if self.request.authorization.is_empty() {
            return Ok(false);
        }
        match self.token() {
            Ok(token) => {
                let principal = &token.principal;
                // Both are about every merchant's business.
                let may_explain = principal.may.has(Capability::Explain) && principal.merchants.is_none();
                Ok(principal.scopes.has(Scope::SnapshotRead) || may_explain)
            }
            Err(Stop::Reply(_)) => Ok(false),
            Err(missing) => Err(missing),
        }
    }

    /// The token and the role of a write, before the upstream gets it.
    #[inline(never)]
    fn write(&self, plan: &WritePlan) -> Attempted<Next, P> {
        let WritePlan { permission, has_body, may_refresh, effect, numbers } = *plan;
        let token = permission.map(|permission| self.sender(permission)).transpose()?;
        let merchant_id = token.as_ref().and_then(|token| token.principal.merchant_id);
        let who = |token: &Rc<VerifiedToken>| {
            merchant_id.map_or_else(|| number_of(token.principal.customer_key), i64::cast_unsigned)
        };
        let party = match &token {
            Some(token) => Party::of(who(token), None),
            None => Party::at(Network::of(self.request.ip_address)),
        };
        numbers?;
        let is_signed = permission.is_some();
        let write = Write { is_signed, has_body, may_refresh, merchant_id, party, effect };
        Ok(Next::Forward(write, token))
    }

    /// The token of a request that the upstream gets as it is, if it has one: a sign-up has none, and a guess of the
    /// viewer's rights is the upstream's. Each prefix is for the circuits what an item is for checks.
    #[inline(never)]
    fn pass_through(&self, plan: PassThroughPlan) -> Attempted<Next, P> {
        let PassThroughPlan { prefix, is_read } = plan;
        let what = i64::try_from(prefix).ok();
        let (token, party) = if self.request.authorization.is_empty() {
            (None, Party { what, ..Party::at(Network::of(self.request.ip_address)) })
        } else {
            let token = self.sender(Permission::PassThrough)?;
            let who = number_of(token.principal.customer_key);
            (Some(token), Party::of(who, what))
        };
        let is_signed = token.is_some();
        Ok(Next::PassThrough(Passage { is_signed, has_body: !is_read, party }, token))
    }

    /// The verified token of a request that the upstream gets: it may, and is not revoked.
    #[inline(never)]
    fn sender(&self, permission: Permission) -> Attempted<Rc<VerifiedToken>, P> {
        let token = self.token()?;
        permission.check(&token, &self.config.issuers)?;
        self.denylist_is_read()?;
        self.check_uuid(&token.principal)?;
        Ok(token)
    }

    #[inline(never)]
    fn publish(&self, plan: PublishPlan) -> Attempted<Next, P> {
        let token = self.token()?;
        plan.permission.check(&token, &self.config.issuers)?;
        self.denylist_is_read()?;
        Ok(Next::Publish(plan.transfer, token))
    }

    pub fn token(&self) -> Attempted<Rc<VerifiedToken>, P> {
        self.verified(self.request.authorization)?.map_err(|refusal| refusal.reply.into())
    }

    /// Verifies the token in `authorization`, a header's value.
    ///
    /// # Errors
    /// With what memory lacks to tell whether the token is accepted.
    pub fn verified(
        &self,
        authorization: &str,
    ) -> Result<Result<Rc<VerifiedToken>, Refusal>, Missing<P::Verifier>> {
        let (verifier, entropy) = (self.platform.verifier(), self.platform.entropy());
        match self.tokens.verify(authorization, self.now(), verifier, entropy) {
            Ok(token) => Ok(Ok(token)),
            Err(Unverified::NeedKeys(ticket)) => Err(Missing::Keys(ticket)),
            Err(Unverified::Busy) => Err(Missing::KeysElsewhere),
            // A newer head may have lifted the revocation.
            Err(Unverified::Refused(refusal))
                if refusal.rule == Rule::Denylist
                    && self.library.read().watch.is_denylist_due(self.now()) =>
            {
                Err(Missing::Head(Vec::new()))
            }
            Err(Unverified::Refused(refusal)) => Ok(Err(refusal)),
        }
    }

    /// Reads look at the head anyway. Writes must look too: a revoked token must not write through an isolate that has
    /// not read a head yet, or not for a while.
    pub fn denylist_is_read(&self) -> Attempted<(), P> {
        if self.library.read().watch.is_denylist_due(self.now()) {
            return Err(Missing::Head(Vec::new()).into());
        }
        Ok(())
    }

    /// Checks that an issuer of some merchants names its merchant by the right UUID. The upstream may go by `mui`, which
    /// must not be another merchant's: no write is passed on while that is unknown. A merchant who is newer than the
    /// directory may have any UUID that no known merchant has.
    #[inline(never)]
    fn check_uuid(&self, principal: &Principal) -> Attempted<(), P> {
        let (Some(id), Some(uuid), Some(_)) =
            (principal.merchant_id, &principal.merchant_uuid, &principal.merchants)
        else {
            return Ok(());
        };
        let snapshots = self.library.read();
        let Some(version) = snapshots.versions.current() else {
            if snapshots.head_state(self.now()) == HeadState::Missing {
                return Err(Missing::Head(Vec::new()).into());
            }
            let refusal = Reply::error(unavailable(), ServiceReason::NoSnapshot.code());
            let detail = "claim mui: whose UUID it is cannot be told without a snapshot".to_owned();
            return Err(refusal.with_detail(detail).into());
        };
        let (merchants, uuid) = (&version.directory.merchants, Uuid::try_parse(uuid).ok());
        let is_right = match merchants.get(&id) {
            Some(known) => uuid == Some(*known),
            None => !merchants.values().any(|known| uuid == Some(*known)),
        };
        if is_right {
            return Ok(());
        }
        let refusal = Reply::error(ApiError::InvalidPrivileges, Permission::Write.code());
        let detail = "claim mui: the UUID of the merchant that mid names is expected".to_owned();
        Err(refusal.with_detail(detail).into())
    }

    pub fn answer(&self, read: &Read) -> Attempted<Next, P> {
        let now = self.now();
        let snapshots = &mut *self.library.write();
        let is_expired = match snapshots.head_state(now) {
            HeadState::Missing => return Err(Missing::Head(Vec::new()).into()),
            HeadState::Unavailable => {
                return Ok(self.or_ask(read, Published::nothing(ServiceReason::NoSnapshot), || None));
            }
            HeadState::Expired if self.is_head_asked => return Err(Missing::Head(Vec::new()).into()),
            state => state == HeadState::Expired,
        };
        let max_age_secs = self.config.head_max_age_secs;
        let is_stale = snapshots.is_stale(max_age_secs, now);
        let condition = if read.is_of_the_snapshot() {
            Condition::OK
        } else {
            let (source, lane) = (snapshots.versions.source(), snapshots.lane.report(now));
            Condition { word: snapshots.condition(max_age_secs, now), source, lane }
        };
        for version in snapshots.versions.all() {
            let source = Source { version: &version, condition, window: None };
            let answer = read.answer(source, &mut snapshots.objects.cache, self.request, now);
            if is_expired {
                let beside = match answer {
                    Err(ReadError::Missing(names)) if names.len() <= LOADS_BESIDE_HEAD_MAX => names,
                    _ => Vec::new(),
                };
                return Err(Missing::Head(beside).into());
            }
            match answer {
                Ok(reply) => {
                    // Needed only for a comparison with grants of a moment ago.
                    let customer = || {
                        let is_wanted = self.upstream.has_recent_grants(self.now_ms);
                        is_wanted.then(|| read.customer(&version, &mut snapshots.objects.cache)).flatten()
                    };
                    let answer = Published { reply, seq: version.head.origin_seq(), is_stale };
                    return Ok(self.or_ask(read, answer, customer));
                }
                Err(ReadError::Missing(names)) => {
                    // An object that the store does not have yet leaves the answer to the version before.
                    if !names.iter().any(|name| snapshots.objects.is_unreadable(*name, now)) {
                        return Err(Missing::Objects(names).into());
                    }
                }
                Err(ReadError::Corrupt(error)) => {
                    Event::Corrupt { seq: version.head.seq, error }.log(self.platform.log());
                }
            }
        }
        Ok(self.or_ask(read, Published::nothing(ServiceReason::Unreadable), || None))
    }

    /// The snapshot's answer, unless it wants the upstream's confirmation. `customer` finds number and UUID of the customer
    /// who asks.
    fn or_ask(&self, read: &Read, answer: Published, customer: impl FnOnce() -> Option<(i64, Uuid)>) -> Next {
        let Published { reply, seq, is_stale } = answer;
        let Request { authorization, ip_address, query, min_seq, merchant, .. } = *self.request;
        let insists = min_seq > seq;
        // A stale snapshot may grant an access that was revoked long ago. The upstream's answer counts then, if it has
        // one; without it the grant stands (docs/adr/0023).
        let is_doubtful = is_stale && reply.status == 200 && read.check(authorization).is_some();
        if reply.status == 200 && !insists && !is_doubtful {
            return Next::Reply(reply);
        }
        // The upstream does not know of the restriction to a merchant, so it is asked about items of that merchant only:
        // those to which the snapshot gives a denial.
        let is_open = read.is_open(&reply) && (merchant.is_none() || reply.status == 402);
        let is_for_upstream = is_doubtful || is_open || (insists && read.is_of_the_snapshot());
        if self.config.upstream.is_none() || !is_for_upstream {
            return Next::Reply(if is_doubtful {
                reply.with_detail("the snapshot is stale".to_owned())
            } else {
                reply
            });
        }
        Next::Confirm(Box::new(UpstreamQuestion {
            check: read.check(authorization),
            playback: read.playback(),
            token: read.token().cloned(),
            query: read.query(query),
            address: Network::of(ip_address),
            published: customer(),
            insists,
            otherwise: reply,
        }))
    }

    pub fn now(&self) -> UnixSecs {
        seconds(self.now_ms)
    }
}

/// The snapshot's answer.
struct Published {
    reply: Reply,
    /// How many of the upstream's changes it reflects.
    seq: u64,
    /// Whether it is older than `SNAPSHOT_MAX_AGE_SECS`.
    is_stale: bool,
}

impl Published {
    /// No version answers.
    fn nothing(reason: ServiceReason) -> Self {
        Self { reply: Reply::error(unavailable(), reason.code()), seq: 0, is_stale: false }
    }
}

impl ReadPlan {
    /// The read, if the token permits it. `is_signed` is whether the request has a token, and `verify` gives it. For
    /// `/healthz` it gives the view that strangers have.
    ///
    /// # Errors
    /// As `verify`; and with the answer to a token that does not permit the read, or to invalid parameters.
    pub fn permitted<E: From<Reply> + From<ApiError>>(
        &self,
        is_signed: bool,
        issuers: &[IssuerConfig],
        verify: impl FnOnce() -> Result<Rc<VerifiedToken>, E>,
    ) -> Result<Read, E> {
        let viewer = || {
            let token = verify()?;
            Permission::View.check(&token, issuers)?;
            Ok::<_, E>(token)
        };
        Ok(match *self {
            Self::Access(item_id) => {
                let token = viewer()?;
                Read::Access { token, item_id: item_id.ok_or(ApiError::InvalidIdOnAccess)? }
            }
            Self::Playback(plan) => {
                let token = viewer()?;
                let PlaybackPlan { form, item_id } = plan?;
                Read::Playback { token, form, item_id: Cell::new(item_id) }
            }
            Self::License => Read::License { token: viewer()? },
            Self::UsedTrial(item_id) => Read::UsedTrial { token: viewer()?, item_id: item_id? },
            Self::Purchases(page) => Read::Purchases { token: viewer()?, page: page? },
            // The access bridge asks for anonymous viewers too, to learn which plans are free.
            Self::Entitlements if !is_signed => Read::Entitlements { token: None },
            Self::Entitlements => Read::Entitlements { token: Some(viewer()?) },
            Self::Health => Read::Health { is_detailed: false },
            // Known without a look at the snapshot.
            Self::Metadata => return Err(ApiError::RouteNotFound.into()),
            Self::Public(read) => Read::Public(read?),
        })
    }
}
