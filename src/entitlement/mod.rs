//! Decides whether a viewer may play an item. Pure: records and the moment in, a [`Decision`] with its
//! [`Reason`] out.
//!
//! ```text
//! item inactive? ─► other merchant? ─► offers: free item, accesses, licences ─► longest grant, or the denial
//! ```
//!
//! An item is playable through a grant on itself, a grant on a package that holds it, a licence that unlocks
//! it, or because it is free. Start and expiry are judged at the moment of the check. The
//! longest of several grants answers.
//!
//! ```
//! use admit::{
//!     entitlement::{Decision, Question, Reason, decide},
//!     snapshot::{
//!         customer::{Access, CustomerRecord, NewCustomer},
//!         directory::Directory,
//!         item::{ItemRecord, NewItem},
//!     },
//!     token::Principal,
//! };
//!
//! let principal = Principal { merchant_id: Some(21), ..Principal::named("shop", "42") };
//! // The customer rented item 5101 until the moment 2000.
//! let access = Access { id: 1, item_id: 5101, expires_at: Some(2000), ..Access::default() };
//! let customer = NewCustomer { merchant_id: 21, accesses: vec![access], ..NewCustomer::default() }.encode();
//! let item = NewItem { id: 5101, merchant_id: 21, is_active: true, ..NewItem::default() }.encode();
//! let (customer, item) = (CustomerRecord::new(&customer)?, ItemRecord::new(&item)?);
//! let (customer, item, directory) = (Some(&customer), &item, &Directory::default());
//!
//! let question = Question { principal: &principal, customer, item, directory, now: 1500 };
//! let decided = decide(&question)?;
//! assert!(matches!(decided.decision, Decision::Allow(grant) if grant.reason == Reason::ItemAccess));
//! assert_eq!(decided.until, 2000);
//! let later = decide(&Question { now: 2000, ..question })?;
//! assert_eq!(later.decision, Decision::Deny(Reason::Expired));
//! # Ok::<(), admit::snapshot::object::FormatError>(())
//! ```

mod considered;
mod held;
mod licenses;
mod plans;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use admit_snapshot::every_variant;
use uuid::Uuid;

use crate::{
    snapshot::{
        customer::{Access, CustomerRecord},
        directory::{ClientApp, Directory},
        item::ItemRecord,
        object::FormatError,
        schema::ClientMode,
        time::UnixSecs,
    },
    token::Principal,
};

pub use considered::Considered;
pub use held::Held;
pub use licenses::{HeldEntry, listed_licenses};
pub use plans::{HeldPlan, app_of_site, held_plans, offered_plans};

/// The moment that stands for "never expires": 9999-12-31T23:59:59Z.
///
/// The vendors document no value for it. A client that compares this one with its clock gets the right
/// result. Later moments are answered as this one: JavaScript's dates end in the year 275760, and a client
/// that makes a date from a larger number compares with NaN.
pub const NEVER_EXPIRES: UnixSecs = 253_402_300_799;

/// Everything on which a check is decided.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The viewer, as the token describes them.
    pub principal: &'a Principal,
    /// The customer's record, if the snapshot has one.
    pub customer: Option<&'a CustomerRecord<'a>>,
    /// The item's record.
    pub item: &'a ItemRecord<'a>,
    /// Merchants, apps and licences.
    pub directory: &'a Directory,
    /// The moment of the check, unix seconds.
    pub now: UnixSecs,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The viewer may play the item.
    Allow(Grant),
    /// The viewer may not play the item.
    Deny(Reason),
}

/// A decision, and how long it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The same question on the same records has the same answer before this moment, unix seconds.
    pub until: UnixSecs,
}

impl Decided {
    /// A decision that does not depend on the time.
    const fn for_ever(decision: Decision) -> Self {
        Self { decision, until: UnixSecs::MAX }
    }
}

/// What grants a check, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The kind of grant.
    pub reason: Reason,
    /// Number of the access record; 0 for a free item or a licence, which have no access record.
    pub access_id: i64,
    /// When it was granted, unix seconds. Without an access record or a subscription: the moment of the
    /// check.
    pub created_at: UnixSecs,
    /// First second at which the grant counts, if it has a start.
    pub starts_at: Option<UnixSecs>,
    /// First second at which the grant no longer counts; [`NEVER_EXPIRES`] if it has no end.
    pub expires_at: UnixSecs,
    /// When a grant without an end will be renewed next, if that lies ahead.
    pub renews_on: Option<UnixSecs>,
    /// Whether the grant has to be renewed at times, also if the next time is unknown or its payment is late.
    pub renews: bool,
}

impl Grant {
    /// The end as answers show it: people read it as the end of the paid time, so a grant without an end that renews
    /// shows its next renewal. It decides nothing.
    #[must_use]
    pub fn shown_end(&self) -> UnixSecs {
        self.renews_on.unwrap_or(self.expires_at)
    }

    /// Whether the grant has no end and needs no renewal: it opens its items until it is revoked.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.expires_at == NEVER_EXPIRES && !self.renews
    }

    /// With the renewal only if it lies ahead of `now` and there is no end.
    fn renewing_after(self, now: UnixSecs) -> Self {
        let is_shown = |at: &UnixSecs| self.expires_at == NEVER_EXPIRES && now < *at && *at < NEVER_EXPIRES;
        Self { renews_on: self.renews_on.filter(is_shown), ..self }
    }
}

/// Why a check was granted or denied, for logs. Clients do not see it. Among denials, a later variant tells
/// more than an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The customer holds nothing that leads to the item.
    NoGrant,
    /// The snapshot has no record of the customer.
    UnknownCustomer,
    /// A licence leads to the item, but it is cancelled.
    LicenseCancelled,
    /// The customer holds a licence that leads to the item, but it is not available to this client.
    LicenseUnavailable,
    /// A grant leads to the item, but it has ended.
    Expired,
    /// A grant leads to the item, but it has not begun.
    NotStarted,
    /// The item belongs to another merchant.
    OtherMerchant,
    /// The item is inactive. Clients get the same answer as for an unknown item.
    ItemInactive,
    /// The item is free.
    FreeItem,
    /// A grant on the item.
    ItemAccess,
    /// A grant on a package that holds the item.
    PackageAccess,
    /// A licence that unlocks the item.
    License,
    /// A pending test-mode licence, for a test-mode client.
    TestLicense,
}

every_variant!(Reason: NoGrant, UnknownCustomer, LicenseCancelled, LicenseUnavailable, Expired, NotStarted,
    OtherMerchant, ItemInactive, FreeItem, ItemAccess, PackageAccess, License, TestLicense);

impl Reason {
    /// A short name for logs. Names stay the same between versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoGrant => "no_grant",
            Self::UnknownCustomer => "unknown_customer",
            Self::LicenseCancelled => "license_cancelled",
            Self::LicenseUnavailable => "license_unavailable",
            Self::Expired => "expired",
            Self::NotStarted => "not_started",
            Self::OtherMerchant => "other_merchant",
            Self::ItemInactive => "item_inactive",
            Self::FreeItem => "free_item",
            Self::ItemAccess => "item_access",
            Self::PackageAccess => "package_access",
            Self::License => "license",
            Self::TestLicense => "test_license",
        }
    }
}

/// Collects offers: keeps the grant that lasts longest or, while there is no grant, the denial that tells
/// most (the last in the order of [`Reason`]).
#[derive(Debug)]
struct Best<'s> {
    grant: Option<Grant>,
    denial: Reason,
    /// The next moment at which one of the offers begins or ends.
    until: UnixSecs,
    /// Lists all offers for [`explain`]. [`decide`] has no use for the list.
    seen: Option<&'s mut Vec<Considered>>,
}

impl Best<'_> {
    fn offer(&mut self, grant: Grant, license_id: Option<u128>, now: UnixSecs) {
        if grant.expires_at <= now {
            return self.refuse(grant, license_id, Reason::Expired);
        }
        let grant = grant.renewing_after(now);
        // The decision stands at most until this grant ends, or shows another end.
        self.until = self.until.min(grant.shown_end());
        if let Some(starts_at) = grant.starts_at.filter(|starts_at| now < *starts_at) {
            self.until = self.until.min(starts_at);
            self.refuse(grant, license_id, Reason::NotStarted);
        } else {
            self.see(Considered { grant, license_id, obstacle: None });
            // Only a strictly better grant replaces the best one, so equal grants leave the first in place.
            if self.grant.is_none_or(|best| rank(&grant) > rank(&best)) {
                self.grant = Some(grant);
            }
        }
    }

    /// Offers a grant that never ends and has no record. Its `created_at` is the moment of the check, so the
    /// answer changes every second.
    fn offer_unrecorded(&mut self, reason: Reason, license_id: Option<u128>, now: UnixSecs) {
        self.until = self.until.min(now.saturating_add(1));
        let expires_at = NEVER_EXPIRES;
        self.offer(
            Grant {
                reason,
                access_id: 0,
                created_at: now,
                starts_at: None,
                expires_at,
                renews_on: None,
                renews: false,
            },
            license_id,
            now,
        );
    }

    fn refuse(&mut self, grant: Grant, license_id: Option<u128>, obstacle: Reason) {
        self.see(Considered { grant, license_id, obstacle: Some(obstacle) });
        self.deny(obstacle);
    }

    fn see(&mut self, considered: Considered) {
        if let Some(seen) = &mut self.seen {
            seen.push(considered);
        }
    }

    fn deny(&mut self, reason: Reason) {
        self.denial = self.denial.max(reason);
    }
}

/// Sort key of grants: the one that lasts longest; of equals the one on the item itself; of those the older
/// record (the smaller number), so that the answer does not change from one check to the next.
const fn rank(grant: &Grant) -> (UnixSecs, u8, Reverse<i64>) {
    let closeness = match grant.reason {
        Reason::ItemAccess => 3,
        Reason::PackageAccess => 2,
        Reason::License | Reason::TestLicense => 1,
        _ => 0,
    };
    (grant.expires_at, closeness, Reverse(grant.access_id))
}

/// Decides a check.
///
/// # Errors
/// A record is corrupt. That is neither a grant nor a denial.
pub fn decide(question: &Question<'_>) -> Result<Decided, FormatError> {
    weigh(question, None, None)
}

/// As [`decide`], for one of many questions about a customer, whose record was read once for all of them: `held` is what
/// the question's customer holds.
///
/// # Errors
/// The item's record is corrupt, as for [`decide`].
pub fn decide_by(held: &Held<'_>, question: &Question<'_>) -> Result<Decided, FormatError> {
    weigh(question, Some(held), None)
}

/// Decides a check and lists all offers that were weighed, for people who ask why.
///
/// # Errors
/// A record is corrupt, as for [`decide`].
pub fn explain(question: &Question<'_>) -> Result<(Decision, Vec<Considered>), FormatError> {
    let mut seen = Vec::new();
    let decided = weigh(question, None, Some(&mut seen))?;
    Ok((decided.decision, seen))
}

fn weigh(
    question: &Question<'_>,
    held: Option<&Held<'_>>,
    seen: Option<&mut Vec<Considered>>,
) -> Result<Decided, FormatError> {
    let Question { customer, item, now, .. } = *question;
    // These two conditions do not depend on grants or on the time.
    if !item.is_active {
        return Ok(Decided::for_ever(Decision::Deny(Reason::ItemInactive)));
    }
    if is_of_another_merchant(question) {
        return Ok(Decided::for_ever(Decision::Deny(Reason::OtherMerchant)));
    }
    let mut best = Best { grant: None, denial: Reason::NoGrant, until: UnixSecs::MAX, seen };
    if item.is_free {
        best.offer_unrecorded(Reason::FreeItem, None, now);
    }
    let mut offer = |access: &Access, reason| best.offer(access_grant(access, reason), None, now);
    match (customer, held) {
        (Some(_), Some(held)) => {
            leading(held.leading_to(item).map(Ok), item.packages.iter(), item.id, offer)?;
        }
        (Some(customer), None) => leading(customer.accesses(), item.packages.iter(), item.id, &mut offer)?,
        (None, _) => best.deny(Reason::UnknownCustomer),
    }
    licenses::offer(&mut best, question, held)?;
    let decision = best.grant.map_or(Decision::Deny(best.denial), Decision::Allow);
    Ok(Decided { decision, until: best.until })
}

/// Whether the viewer belongs to another merchant than the item. The customer's record counts before the
/// token. A token that names neither a merchant nor a known client could belong to any merchant; without a
/// record it gets free items only.
fn is_of_another_merchant(question: &Question<'_>) -> bool {
    let Question { principal, customer, item, directory, .. } = *question;
    if !principal.may_act_for(item.merchant_id) {
        return true;
    }
    // In order of trust: the customer's record, `mid`, `mui`, the app of the client.
    if let Some(merchant_id) = customer.map(|customer| customer.merchant_id).or(principal.merchant_id) {
        return merchant_id != item.merchant_id;
    }
    if let Some(uuid) = &principal.merchant_uuid {
        let owner = directory.merchants.get(&item.merchant_id);
        return owner.is_none_or(|owner| Uuid::try_parse(uuid) != Ok(*owner));
    }
    client_app(principal, directory).is_some_and(|client| client.app.merchant_id != item.merchant_id)
}

/// The app of the client that the token names, unless the issuer may not act for that app's merchant.
#[must_use]
pub fn client_app<'a>(principal: &Principal, directory: &'a Directory) -> Option<ClientApp<'a>> {
    let client = directory.client(principal.client_id.as_deref()?)?;
    principal.may_act_for(client.app.merchant_id).then_some(client)
}

/// Calls `found` for each access that leads to the item, directly or through one of the `packages` that hold
/// it. Both lists are ascending, so one pass over each suffices, however long the other is.
///
/// # Errors
/// An access cannot be read, or a list is not ascending. The grants are then unknown.
fn leading(
    accesses: impl Iterator<Item = Result<Access, FormatError>>,
    packages: impl Iterator<Item = i64>,
    item_id: i64,
    mut found: impl FnMut(&Access, Reason),
) -> Result<(), FormatError> {
    let mut packages = packages.peekable();
    let (mut last_access, mut last_package) = (i64::MIN, i64::MIN);
    for access in accesses {
        let access = access?;
        if access.item_id < last_access {
            return Err(FormatError::Invalid("order of accesses"));
        }
        last_access = access.item_id;
        // Skip the packages before this access. Both lists ascend, so they cannot match a later access
        // either.
        while let Some(package) = packages.next_if(|package| *package < access.item_id) {
            if package < last_package {
                return Err(FormatError::Invalid("order of packages"));
            }
            last_package = package;
        }
        if access.item_id == item_id {
            found(&access, Reason::ItemAccess);
        } else if packages.peek() == Some(&access.item_id) {
            found(&access, Reason::PackageAccess);
        }
    }
    Ok(())
}

fn access_grant(access: &Access, reason: Reason) -> Grant {
    Grant {
        reason,
        access_id: access.id,
        created_at: access.created_at,
        starts_at: access.starts_at,
        expires_at: end(access.expires_at),
        renews_on: access.renews_on,
        renews: access.renews_on.is_some(),
    }
}

/// The end of an access as answers show it at `now`.
#[must_use]
pub fn ends_at(access: &Access, now: UnixSecs) -> UnixSecs {
    access_grant(access, Reason::ItemAccess).renewing_after(now).shown_end()
}

fn end(expires_at: Option<UnixSecs>) -> UnixSecs {
    expires_at.map_or(NEVER_EXPIRES, |expires_at| expires_at.min(NEVER_EXPIRES))
}

const fn is_test(client: &ClientApp<'_>) -> bool {
    matches!(client.mode, ClientMode::Test)
}
