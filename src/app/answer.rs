//! From a request to a read: route, method, token, parameters, and which version answers. No I/O.

use std::{borrow::Cow, rc::Rc};

use uuid::Uuid;

use super::{
    App, Event, Need, State, Transfer, Write, finish,
    origin::{Party, Question, number_of},
    permission::Permission,
    read::{Known, Missing, Read},
    seconds,
    snapshots::HeadState,
    unavailable,
};
use crate::{
    api::{
        error::ApiError,
        query,
        reply::{Reply, Request},
        route::{Id, Route},
        viewer::Network,
        write::WriteRoute,
    },
    limits::{PAGE_DEFAULT_ITEMS, PAGE_MAX_ITEMS},
    ports::Platform,
    snapshot::time::UnixSecs,
    token::{Capability, Principal, Rejection, Scope, TokenError, Undecided, VerifiedToken, VerifyError},
};

const INVALID_PAGE: ApiError = ApiError::InvalidField("page", "The page must be a positive integer");
const INVALID_LIMIT: ApiError = ApiError::InvalidField("limit", "The limit must be an integer from 1 to 100");
/// A page that would be longer than [`ANSWER_MAX_BYTES`](crate::limits::ANSWER_MAX_BYTES).
pub(super) const LARGE_PAGE: ApiError =
    ApiError::InvalidField("limit", "The limit makes a page of more than 1 MiB: 15 items always fit");

impl<P: Platform> App<P> {
    /// `is_counted` is whether a read that needs no token has been counted.
    pub(super) fn answer_at(
        &self,
        request: &Request<'_>,
        now_ms: u64,
        is_counted: bool,
    ) -> Result<Reply, Need> {
        let now = seconds(now_ms);
        // A preflight carries no token, and its page must learn of a 404 as well: every path has one.
        if request.method == "OPTIONS" {
            return Ok(self.preflight(request));
        }
        let route = match Route::parse(request.path) {
            Some(route) if route.allows(request.method) => route,
            route => {
                return match self.checked_write(request, route, now) {
                    Ok(need) | Err(Refusal::Need(need)) => Err(need),
                    Err(Refusal::Reply(reply)) => Ok(reply),
                };
            }
        };
        let read = match self.checked(request, route, now) {
            Ok(read) => read,
            Err(Refusal::Reply(reply)) => return Ok(reply),
            Err(Refusal::Need(need)) => return Err(need),
        };
        if !is_counted && read.is_anonymous() && self.counts_reads(request) {
            return Err(Need::Count);
        }
        self.answer_read(&read, request, now)
    }

    /// The route, the token, the role and the numbers of a write, before it is passed on. Without an origin there
    /// are no writes, and so no such routes.
    fn checked_write(
        &self,
        request: &Request<'_>,
        route: Option<Route<'_>>,
        now: UnixSecs,
    ) -> Result<Need, Refusal> {
        let Some(write) = self.write_route(request) else {
            return Err(match route {
                Some(route) => ApiError::MethodNotAllowed(route.allow()).into(),
                None => ApiError::RouteNotFound.into(),
            });
        };
        if !write.takes(request.method) {
            return Err(ApiError::MethodNotAllowed(write.allow()).into());
        }
        let (is_signed, mut merchant_id) = (write.is_for_merchants(), None);
        let mut party = Party::at(Network::of(request.ip_address));
        if is_signed {
            let token = self.token(request, now)?;
            self.permit(&token, Permission::Write)?;
            self.denylist_is_read(now)?;
            self.check_uuid(&token.principal, now)?;
            let principal = &token.principal;
            merchant_id = principal.merchant_id;
            let who = merchant_id.map_or_else(|| number_of(principal.customer_key), i64::cast_unsigned);
            party = Party::of(who, None);
        }
        write.check()?;
        let (effect, may_refresh) = (write.effect(request.method), write.may_refresh());
        Ok(Need::Forward(Write { is_signed, may_refresh, merchant_id, party, effect }))
    }

    /// Whether an issuer of some merchants names its merchant by the right UUID. The origin may go by `mui`, so that it
    /// must not be another merchant's: nothing is passed on while that cannot be told. A merchant who is newer than the
    /// directory may have any UUID that is nobody else's.
    fn check_uuid(&self, principal: &Principal, now: UnixSecs) -> Result<(), Refusal> {
        let (Some(id), Some(uuid), Some(_)) =
            (principal.merchant_id, &principal.merchant_uuid, &principal.merchants)
        else {
            return Ok(());
        };
        let state = self.state.borrow();
        let Some(version) = state.snapshots.current() else {
            if state.snapshots.head_state(now) == HeadState::Missing {
                return Err(Refusal::Need(Need::Head));
            }
            let refusal = Reply::error(unavailable(), "no_snapshot");
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
        let refusal = Reply::error(ApiError::InvalidPrivileges, "not_a_merchant");
        Err(refusal
            .with_detail("claim mui: the UUID of the merchant that mid names is expected".to_owned())
            .into())
    }

    fn write_route<'r>(&self, request: &Request<'r>) -> Option<WriteRoute<'r>> {
        self.config.origin.as_ref().and_then(|_| WriteRoute::parse(request.path))
    }

    fn preflight(&self, request: &Request<'_>) -> Reply {
        let mut reply = finish::preflight(request);
        let write = self.write_route(request).map(WriteRoute::allow);
        if let Some(allow) = write.or_else(|| Route::parse(request.path).map(Route::allow)) {
            reply.headers.push(("allow", Cow::Owned(allow.to_string())));
        }
        reply
    }

    /// The token and the parameters, before the snapshot is asked.
    pub(super) fn checked(
        &self,
        request: &Request<'_>,
        route: Route<'_>,
        now: UnixSecs,
    ) -> Result<Read, Refusal> {
        Ok(match route {
            Route::Access(id) => {
                let token = self.viewer(request, now)?;
                Read::Access { token, item_id: id.number().ok_or(ApiError::InvalidIdOnAccess)? }
            }
            Route::License => Read::License { token: self.viewer(request, now)? },
            Route::Item(id) => Read::Item { item_id: item_id(id)?, merchant: None },
            Route::MerchantItem(merchant, id) => {
                Read::Item { item_id: item_id(id)?, merchant: Some(merchant) }
            }
            Route::Fees(id) => Read::Fees { item_id: item_id(id)? },
            Route::Fee(id, fee_id) => {
                Read::Fee { item_id: item_id(id)?, fee_id: fee_id.number().ok_or(ApiError::INVALID_FEE_ID)? }
            }
            Route::Package(id) => Read::Package { item_id: item_id(id)? },
            Route::PackageItems(id) => {
                let (page, limit) = page_and_limit(request.query)?;
                Read::PackageItems { item_id: item_id(id)?, page, limit }
            }
            Route::Health => Read::Health { is_detailed: self.may_see_numbers(request, now)? },
            Route::Stored(key) => {
                let transfer = match request.method {
                    "PUT" => Transfer::Store(key),
                    "DELETE" => Transfer::Delete(key),
                    _ => Transfer::Send(key),
                };
                return Err(self.transfer_need(request, route, transfer, now)?);
            }
            Route::Pack => return Err(self.transfer_need(request, route, Transfer::Pack, now)?),
            Route::Check => return Err(self.transfer_need(request, route, Transfer::Check, now)?),
            Route::Keys => return Err(self.transfer_need(request, route, Transfer::Keys, now)?),
            Route::Issuers => return Err(self.transfer_need(request, route, Transfer::Issuers, now)?),
        })
    }

    pub(super) fn token(&self, request: &Request<'_>, now: UnixSecs) -> Result<Rc<VerifiedToken>, Refusal> {
        let State { tokens, snapshots, .. } = &mut *self.state.borrow_mut();
        let (verifier, entropy) = (self.platform.verifier(), self.platform.entropy());
        match tokens.verify(request.authorization, now, verifier, entropy) {
            // The revocation may have been lifted since the head was read.
            Err(VerifyError::Rejected(Rejection { error: TokenError::Revoked, .. }))
                if snapshots.is_denylist_due(now) =>
            {
                Err(Refusal::Need(Need::Head))
            }
            verified => Ok(verified?),
        }
    }

    /// Reads look at the head anyway. What is written has to look too: a token that the head revokes must not write
    /// through an isolate that has not read a head yet, or not for long.
    fn denylist_is_read(&self, now: UnixSecs) -> Result<(), Refusal> {
        if self.state.borrow().snapshots.is_denylist_due(now) {
            Err(Refusal::Need(Need::Head))
        } else {
            Ok(())
        }
    }

    /// The token of a viewer who asks for themselves.
    fn viewer(&self, request: &Request<'_>, now: UnixSecs) -> Result<Rc<VerifiedToken>, Refusal> {
        let token = self.token(request, now)?;
        self.permit(&token, Permission::View)?;
        Ok(token)
    }

    /// Whether a token lets the client see how much there is. Any other token, right or wrong, is no token here: monitors
    /// must not be told that the service is down because theirs has ended.
    fn may_see_numbers(&self, request: &Request<'_>, now: UnixSecs) -> Result<bool, Refusal> {
        if request.authorization.is_empty() {
            return Ok(false);
        }
        match self.token(request, now) {
            Ok(token) => {
                let principal = &token.principal;
                // Both are about every merchant's business.
                let may_explain = principal.may.has(Capability::Explain) && principal.merchants.is_none();
                Ok(principal.scopes.has(Scope::SnapshotRead) || may_explain)
            }
            Err(Refusal::Reply(_)) => Ok(false),
            Err(need) => Err(need),
        }
    }

    fn transfer_need(
        &self,
        request: &Request<'_>,
        route: Route<'_>,
        transfer: Transfer,
        now: UnixSecs,
    ) -> Result<Refusal, Refusal> {
        let token = self.token(request, now)?;
        self.permit(&token, Permission::Snapshot(route.scopes(request.method)))?;
        self.denylist_is_read(now)?;
        Ok(Refusal::Need(Need::Transfer(transfer)))
    }

    fn answer_read(&self, read: &Read, request: &Request<'_>, now: UnixSecs) -> Result<Reply, Need> {
        let State { snapshots, tokens, origin } = &mut *self.state.borrow_mut();
        match snapshots.head_state(now) {
            HeadState::Missing | HeadState::Expired => return Err(Need::Head),
            HeadState::Unavailable => {
                let otherwise = Reply::error(unavailable(), "no_snapshot");
                return self.or_ask(
                    read,
                    Published { reply: otherwise, seq: 0, is_stale: false },
                    request,
                    || None,
                );
            }
            HeadState::Fresh | HeadState::Stale => {}
        }
        let max_age_secs = self.config.head_max_age_secs;
        let (is_stale, stale_from) =
            (snapshots.is_stale(max_age_secs, now), snapshots.stale_from(max_age_secs));
        let condition = if read.is_of_the_snapshot() { "" } else { snapshots.condition(max_age_secs, now) };
        // What is stale answers for the moment only, and so does the version before.
        let mut epoch = Some(self.epoch(snapshots, tokens)).filter(|_| !is_stale);
        for version in snapshots.versions() {
            let known = Known { version: &version, epoch: epoch.take(), condition, window: None };
            match read.answer(known, &mut snapshots.objects, request, now) {
                Ok(mut reply) => {
                    if let Some((validity, stale_from)) = reply.validity.as_mut().zip(stale_from) {
                        validity.until = validity.until.min(stale_from);
                    }
                    // Names that only a grant of a moment ago is compared with.
                    let published = || {
                        let is_wanted = origin.evidence().is_any(self.platform.now_ms());
                        is_wanted.then(|| read.customer(&version, &mut snapshots.objects)).flatten()
                    };
                    let answer = Published { reply, seq: version.head.origin_seq(), is_stale };
                    return self.or_ask(read, answer, request, published);
                }
                Err(Missing::Objects(names)) => {
                    // An object that the store does not have yet leaves the answer to the version before.
                    if !names.iter().any(|name| snapshots.is_unreadable(*name, now)) {
                        return Err(Need::Objects(names));
                    }
                }
                Err(Missing::Corrupt(error)) => {
                    Event::Corrupt { seq: version.head.seq, error }.log(self.platform.log());
                }
            }
        }
        let otherwise = Reply::error(unavailable(), "unreadable");
        self.or_ask(read, Published { reply: otherwise, seq: 0, is_stale: false }, request, || None)
    }

    /// The snapshot's answer, unless the origin is to be asked. `published` finds number and UUID of the customer who
    /// asks.
    fn or_ask(
        &self,
        read: &Read,
        answer: Published,
        request: &Request<'_>,
        published: impl FnOnce() -> Option<(i64, Uuid)>,
    ) -> Result<Reply, Need> {
        let Published { reply, seq, is_stale } = answer;
        let insists = request.min_seq > seq;
        // Too old a snapshot may grant what was revoked long ago. The origin's word counts then, if it has one; without
        // it the grant stands (docs/adr/0023).
        let is_doubtful = is_stale && reply.status == 200 && read.check(request.authorization).is_some();
        if reply.status == 200 && !insists && !is_doubtful {
            return Ok(reply);
        }
        let is_for_origin = is_doubtful || read.is_open(&reply) || (insists && read.is_of_the_snapshot());
        if self.config.origin.is_none() || !is_for_origin {
            return Ok(if is_doubtful {
                reply.with_detail("the snapshot is stale".to_owned())
            } else {
                reply
            });
        }
        let (check, token) = (read.check(request.authorization), read.token().cloned());
        let address = Network::of(request.ip_address);
        let query = read.query(request.query);
        let question =
            Question { check, token, query, address, published: published(), insists, otherwise: reply };
        Err(Need::Origin(Box::new(question)))
    }
}

/// What the snapshot answers.
struct Published {
    reply: Reply,
    /// How many of the origin's changes it reflects.
    seq: u64,
    /// Whether it is older than `SNAPSHOT_MAX_AGE_SECS`.
    is_stale: bool,
}

/// A request that is answered, or has to wait, before the snapshot is asked.
pub(super) enum Refusal {
    Reply(Reply),
    Need(Need),
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Reply(error.into())
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(Rejection { error, detail }) => {
                Self::Reply(Reply::error(ApiError::InvalidToken, error.code()).with_detail(detail))
            }
            VerifyError::NeedKeys(issuer) => Self::Need(Need::Keys(issuer)),
            VerifyError::KeysUnavailable { is_being_fetched: true, .. } => Self::Need(Need::KeysOfOthers),
            VerifyError::KeysUnavailable { retry_after_secs, issuer, .. } => Self::Reply(
                Reply::error(ApiError::Unavailable { retry_after_secs }, "keys_unavailable")
                    .with_detail(format!("ISSUERS[{issuer}].keys: the last fetch failed")),
            ),
            VerifyError::Undecided(Undecided { cause, retry_after_secs, detail }) => Self::Reply(
                Reply::error(ApiError::Unavailable { retry_after_secs }, cause.code()).with_detail(detail),
            ),
        }
    }
}

fn item_id(id: Id<'_>) -> Result<i64, ApiError> {
    id.number().ok_or(ApiError::INVALID_ID)
}

/// `page` (from 1) and `limit`. Parameters with other names are ignored: native SDKs send some.
pub(super) fn page_and_limit(query: &str) -> Result<(u32, usize), ApiError> {
    let number = |name, error| match query::last(query, name) {
        None => Ok(None),
        // Not as `usize`, which the Worker has 32 bits of and other machines 64.
        Some(value) => value.and_then(|value| query::positive(&value)).map(Some).ok_or(error),
    };
    let page = number("page", INVALID_PAGE)?.unwrap_or(1);
    let limit = number("limit", INVALID_LIMIT)?.map_or(Some(PAGE_DEFAULT_ITEMS), |limit| {
        usize::try_from(limit).ok().filter(|limit| *limit <= PAGE_MAX_ITEMS)
    });
    Ok((page, limit.ok_or(INVALID_LIMIT)?))
}
