//! Several questions of one viewer, decided in one pass: one version, one look at the customer's record, and all objects
//! that are not in memory named together.

use super::{LookUps, may_be_about};
use crate::{
    app::ServiceReason,
    entitlement::{Considered, Decision, Grant, Held, Question, Reason, decide_by, explain},
    snapshot::{
        customer::CustomerRecord,
        index::Tree,
        item::ItemRecord,
        object::{FormatError, ObjectName},
        time::UnixSecs,
        version::{Found, Source, Version},
    },
    token::Principal,
};

/// The answer to one of several questions. [`status`](Self::status) is that of a single check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Ruling {
    /// The viewer may play the item, by the snapshot.
    Granted(Grant),
    /// The viewer may play the item, by the upstream, until this moment, unix seconds.
    GrantedUpstream(UnixSecs),
    /// The viewer may not play the item.
    Denied(Reason),
    /// The item does not exist.
    UnknownItem,
    /// It cannot be told now, because a record is invalid or not in memory. This is not a denial.
    Unreadable,
}

impl Ruling {
    /// When the access ends, as answers show it, unix seconds. `None` without an access.
    pub fn shown_end(self) -> Option<UnixSecs> {
        match self {
            Self::Granted(grant) => Some(grant.shown_end()),
            Self::GrantedUpstream(ends_at) => Some(ends_at),
            Self::Denied(_) | Self::UnknownItem | Self::Unreadable => None,
        }
    }

    /// The status of a single check with this answer: 200, 402, 404, or 503 where it cannot be told.
    pub const fn status(self) -> u16 {
        match self {
            Self::Granted(_) | Self::GrantedUpstream(_) => 200,
            Self::Denied(Reason::ItemInactive) | Self::UnknownItem => 404,
            Self::Denied(_) => 402,
            Self::Unreadable => 503,
        }
    }

    /// Its name in logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Granted(Grant { reason, .. }) | Self::Denied(reason) => reason.code(),
            Self::GrantedUpstream(_) => ServiceReason::Upstream.code(),
            Self::UnknownItem => ServiceReason::UnknownItem.code(),
            Self::Unreadable => ServiceReason::Unreadable.code(),
        }
    }
}

/// What a question asks beside its customer and its items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Terms {
    /// The moment that counts, unix seconds, where that is not the present.
    pub at: Option<UnixSecs>,
    /// Whether a service asks: a customer of a merchant that its issuer does not speak for counts as unknown.
    pub is_service: bool,
    /// Whether the answer lists the grants that were looked at.
    pub explains: bool,
    /// Whether the upstream is asked as well, and its word shown beside the answer.
    pub asks_upstream: bool,
    /// The only merchant whose items the answer may be about, as
    /// [`Request::merchant`](crate::api::reply::Request::merchant).
    pub merchant: Option<i64>,
}

/// A grant that was looked at, and where it was found.
pub(in crate::app) type Seen = (Considered, Source);

/// What one version answers to several questions.
pub(in crate::app) struct Pass {
    /// One for each item, in the order of the questions.
    pub rulings: Vec<Ruling>,
    /// The grants that were looked at for each, if they are wanted.
    pub considered: Vec<Vec<Seen>>,
    /// The same questions on the same records have the same answers before this moment, unix seconds.
    pub until: UnixSecs,
    /// The objects that are not in memory. Questions that need one of them are [`Ruling::Unreadable`].
    pub missing: Vec<ObjectName>,
    /// The error of the last invalid record. Questions that need an invalid record are [`Ruling::Unreadable`].
    pub corrupt: Option<FormatError>,
}

/// Decides for one viewer about each of `item_ids`, all at `now`, unix seconds. A record that cannot be read costs only the
/// questions about it; without the customer's own there is no answer to any.
pub(in crate::app) fn decide_each(
    look_ups: &mut LookUps<'_>,
    principal: &Principal,
    item_ids: &[i64],
    terms: Terms,
    now: UnixSecs,
) -> Pass {
    // Every look-up comes before the first decision, so that the missing objects are loaded at once.
    let customer = look_ups.find(Tree::Customers, principal.customer_key);
    let find = |id: &i64| look_ups.find(Tree::Items, look_ups.item_key(*id));
    let items: Vec<_> = item_ids.iter().map(find).collect();
    let mut pass = Pass {
        rulings: vec![Ruling::Unreadable; items.len()],
        considered: Vec::new(),
        until: UnixSecs::MAX,
        missing: std::mem::take(&mut look_ups.missing),
        corrupt: None,
    };
    if let Err(error) = pass.decide(look_ups.version, principal, customer, &items, terms, now) {
        pass.corrupt = Some(error);
    }
    pass
}

impl Pass {
    /// Decides about the items that were found. The error is about the customer's record.
    fn decide(
        &mut self,
        version: &Version,
        principal: &Principal,
        customer: Result<Found, FormatError>,
        items: &[Result<Found, FormatError>],
        terms: Terms,
        now: UnixSecs,
    ) -> Result<(), FormatError> {
        let customer = match &customer? {
            Found::Record(record) => Some(record.clone()),
            Found::Absent => None,
            Found::Load(_) => return Ok(()),
        };
        let found_in = customer.as_ref().map(|record| version.source(record));
        let customer = customer.as_ref().map(|record| CustomerRecord::new(record.bytes())).transpose()?;
        let is_known =
            |customer: &&CustomerRecord<'_>| !terms.is_service || principal.may_act_for(customer.merchant_id);
        let customer = customer.as_ref().filter(is_known);
        let held = customer.map(Held::of).transpose()?.unwrap_or_default();
        for (ruling, item) in self.rulings.iter_mut().zip(items) {
            let mut seen = terms.explains.then(Vec::new);
            let seeing = seen.as_mut().map(|seen| (seen, found_in));
            match ruling_on(version, principal, (customer, &held), item, (terms.merchant, now), seeing) {
                Ok((decided, until)) => {
                    *ruling = decided;
                    self.until = self.until.min(until);
                }
                Err(error) => self.corrupt = Some(error),
            }
            self.considered.extend(seen);
        }
        Ok(())
    }
}

/// The answer to one question, and how long it stands, as [`Pass::until`]. `merchant` is that of [`Terms`]. `seeing` takes
/// the grants that are looked at, and is told where the customer's record was found.
fn ruling_on(
    version: &Version,
    principal: &Principal,
    (customer, held): (Option<&CustomerRecord<'_>>, &Held<'_>),
    item: &Result<Found, FormatError>,
    (merchant, now): (Option<i64>, UnixSecs),
    seeing: Option<(&mut Vec<Seen>, Option<Source>)>,
) -> Result<(Ruling, UnixSecs), FormatError> {
    let record = match item {
        Ok(Found::Record(record)) => record,
        Ok(Found::Absent) => return Ok((Ruling::UnknownItem, UnixSecs::MAX)),
        Ok(Found::Load(_)) => return Ok((Ruling::Unreadable, UnixSecs::MIN)),
        Err(error) => return Err(*error),
    };
    let (item, directory) = (&ItemRecord::without_texts(record.bytes())?, &version.directory);
    let question = Question { principal, customer, item, directory, now };
    let (decision, until) = match seeing {
        _ if !may_be_about(merchant, item.merchant_id) => {
            (Decision::Deny(Reason::OtherMerchant), UnixSecs::MAX)
        }
        None => {
            let decided = decide_by(held, &question)?;
            (decided.decision, decided.until)
        }
        Some((seen, customer_in)) => {
            let (decision, considered) = explain(&question)?;
            let item_in = version.source(record);
            seen.extend(considered.into_iter().map(|one| (one, one.found_in(customer_in, item_in))));
            (decision, UnixSecs::MIN)
        }
    };
    let ruling = match decision {
        Decision::Allow(grant) => Ruling::Granted(grant),
        Decision::Deny(reason) => Ruling::Denied(reason),
    };
    Ok((ruling, until))
}
