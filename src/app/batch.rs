//! Several questions of one viewer at once: which version answers them, and which of its denials the upstream confirms.
//! `confirm` asks it.

mod confirm;

use std::{borrow::Cow, rc::Rc};

use uuid::Uuid;

use super::{
    Event, ServiceReason,
    answer::Attempt,
    library::HeadState,
    missing::{Missing, Patience},
    read::{LookUps, Ruling, Seen, Terms, decide_each, published_customer},
    unavailable,
    upstream::Exchange,
};
use crate::{
    api::{
        checks,
        error::ApiError,
        reply::{Caching, Reply},
    },
    entitlement::Reason,
    ports::Platform,
    snapshot::time::UnixSecs,
    token::{Principal, VerifiedToken},
};

pub(super) use confirm::{Confirmed, Tally};

/// Checks of several items by the owner of a token, as far as memory answers them.
pub(super) struct Checks {
    pub token: Rc<VerifiedToken>,
    pub item_ids: Vec<i64>,
    pub rulings: Rulings,
}

/// What memory answers to several questions of one viewer.
pub(super) struct Rulings {
    /// One for each item, in the order of the questions. All are of one version.
    pub each: Vec<Ruling>,
    /// The grants that were looked at for each of them, if they are wanted.
    pub considered: Vec<Vec<Seen>>,
    /// When that version was true at the origin, unix seconds.
    pub as_of: UnixSecs,
    /// How many of the upstream's changes that version reflects.
    pub seq: u64,
    /// Whether it is older than `SNAPSHOT_MAX_AGE_SECS`, so that its grants need the upstream's confirmation.
    pub is_stale: bool,
    /// The same questions have the same answers before this moment, unix seconds, as far as the snapshot goes.
    pub until: UnixSecs,
    /// Number and UUID of the customer, if they are published and needed: an access was granted through this edge a
    /// moment ago.
    pub published: Option<(i64, Uuid)>,
    /// Why nothing can be told, where [`each`](Self::each) tells nothing.
    pub reason: ServiceReason,
    /// Whether the answer may be about one merchant only: [`Request::merchant`].
    pub is_restricted: bool,
}

impl<P: Platform> Attempt<'_, P> {
    /// Decides for one viewer about each of `item_ids`, all by one version and at one moment. Where no version has every
    /// record, the newest one answers, and the questions that it cannot answer are [`Ruling::Unreadable`].
    ///
    /// # Errors
    /// With what memory lacks.
    #[inline(never)]
    pub fn rule(
        &self,
        principal: &Principal,
        item_ids: &[i64],
        terms: Terms,
    ) -> Result<Rulings, Missing<P::Verifier>> {
        let now = self.now();
        let terms = Terms { merchant: self.request.merchant, ..terms };
        let snapshots = &mut *self.library.write();
        let mut rulings = Rulings {
            each: Vec::new(),
            considered: Vec::new(),
            as_of: 0,
            seq: 0,
            is_stale: false,
            until: UnixSecs::MIN,
            published: None,
            reason: ServiceReason::NoSnapshot,
            is_restricted: self.request.merchant.is_some(),
        };
        match snapshots.head_state(now) {
            HeadState::Missing | HeadState::Expired => return Err(Missing::Head(Vec::new())),
            HeadState::Unavailable => {
                rulings.each.resize(item_ids.len(), Ruling::Unreadable);
                return Ok(rulings);
            }
            HeadState::Fresh | HeadState::Stale => {}
        }
        rulings.is_stale = snapshots.is_stale(self.config.head_max_age_secs, now);
        rulings.reason = ServiceReason::Unreadable;
        let mut chosen = None;
        for version in snapshots.versions.all() {
            let objects = &mut snapshots.objects;
            let pass = decide_each(
                &mut LookUps::new(&version, &mut objects.cache),
                principal,
                item_ids,
                terms,
                terms.at.unwrap_or(now),
            );
            if let Some(error) = pass.corrupt {
                Event::Corrupt { seq: version.head.seq, error }.log(self.platform.log());
            }
            let is_unreadable = pass.missing.iter().any(|name| objects.is_unreadable(*name, now));
            // As for a single check, a version with an object that cannot be read leaves the answer to the one before.
            if pass.corrupt.is_none() && !is_unreadable {
                if !pass.missing.is_empty() && !self.is_last {
                    return Err(Missing::Objects(pass.missing));
                }
                chosen = Some((version, pass));
                break;
            }
            chosen = chosen.or(Some((version, pass)));
        }
        let Some((version, pass)) = chosen else {
            rulings.each.resize(item_ids.len(), Ruling::Unreadable);
            return Ok(rulings);
        };
        let is_loadable = |name: &_| !self.is_last && !snapshots.objects.is_unreadable(*name, now);
        let missing: Vec<_> = pass.missing.into_iter().filter(is_loadable).collect();
        if !missing.is_empty() {
            return Err(Missing::Objects(missing));
        }
        if self.upstream.has_recent_grants(self.now_ms) {
            rulings.published = published_customer(principal, &version, &mut snapshots.objects.cache);
        }
        let (each, considered, until) = (pass.rulings, pass.considered, pass.until);
        let (seq, as_of) = (version.head.origin_seq(), version.head.as_of);
        Ok(Rulings { each, considered, seq, as_of, until, ..rulings })
    }
}

impl Rulings {
    /// Whether the upstream may know better than one of them, as for a single check: it does not grant, or the snapshot
    /// is too old to grant.
    pub const fn is_open(&self, ruling: Ruling) -> bool {
        match ruling {
            Ruling::Granted(_) => self.is_stale,
            Ruling::GrantedUpstream(_) | Ruling::Denied(Reason::OtherMerchant | Reason::ItemInactive) => {
                false
            }
            Ruling::Denied(_) => true,
            // The upstream does not know of the restriction, so it is asked about items of that merchant only.
            Ruling::UnknownItem | Ruling::Unreadable => !self.is_restricted,
        }
    }

    /// The status of the single check with this answer.
    fn status(&self, ruling: Ruling) -> u16 {
        match ruling {
            Ruling::Denied(Reason::OtherMerchant) if self.is_restricted => {
                ApiError::InvalidPrivileges.status()
            }
            ruling => ruling.status(),
        }
    }
}

impl Checks {
    /// Whether the upstream may know better than one of the answers. `min_seq` is how many of its changes the client wants
    /// them to reflect.
    pub fn is_for_upstream(&self, min_seq: u64) -> bool {
        let Rulings { each, seq, .. } = &self.rulings;
        min_seq > *seq || each.iter().any(|ruling| self.rulings.is_open(*ruling))
    }

    /// Whether the client wants an answer that is newer than the snapshot, and gets one by asking about a grant. Such
    /// requests are counted.
    pub fn insists_on_grants(&self, min_seq: u64) -> bool {
        min_seq > self.rulings.seq && self.rulings.each.iter().any(|ruling| ruling.status() == 200)
    }

    /// The answer. The log gets how many items are denied.
    pub fn reply(&self) -> Reply {
        let each = &self.rulings.each;
        if each.iter().all(|ruling| *ruling == Ruling::Unreadable) {
            return Reply::error(unavailable(), self.rulings.reason.code());
        }
        let shown = |ruling: &Ruling| ruling.shown_end().ok_or_else(|| self.rulings.status(*ruling));
        let body = checks::body(self.item_ids.iter().copied().zip(each.iter().map(shown)));
        let reply = Reply::ok(body, Caching::Private);
        let mut denied = Tally::default();
        for ruling in each.iter().filter(|ruling| ruling.status() != 200) {
            denied.count(Cow::Borrowed(ruling.code()));
        }
        if denied.is_empty() {
            let are_of_snapshot = each.iter().all(|ruling| matches!(ruling, Ruling::Granted(_)));
            let lasts_until = (are_of_snapshot && !self.rulings.is_stale).then_some(self.rulings.until);
            return Reply { lasts_until, ..reply };
        }
        let mut detail = format!("of {}", each.len());
        denied.write_to(&mut detail, ": ");
        Reply { reason: Cow::Borrowed(ServiceReason::SomeDenied.code()), ..reply }.with_detail(detail)
    }

    /// The answer after the upstream was asked.
    pub async fn confirmed<P: Platform>(mut self, exchange: &Exchange<'_, P>, patience: &Patience) -> Reply {
        let Confirmed { seq, unconfirmed } = self.confirm(exchange, patience).await;
        let mut reply = self.reply();
        if let Some(seq) = seq {
            reply.headers.push(("entitlement-seq", Cow::Owned(seq.to_string())));
        }
        unconfirmed.write_to(&mut reply.detail, "; not confirmed: ");
        reply
    }
}
