//! May this viewer play this item? Pure: plain data and the moment in, a [`Decision`] out.
//!
//! An item is playable through a grant on itself, a grant on a package that holds it, a licence that unlocks
//! it, or because it is free. Start and expiry are judged at the moment of the check. Of several grants the
//! one that lasts longest answers.

mod licenses;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

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

pub use licenses::{HeldEntry, listed_licenses};

/// No vendor value for "never expires" is known. 9999-12-31T23:59:59Z makes a client that compares it with
/// its clock right. Later moments count as this one: JavaScript's dates end in the year 275760, and a client
/// that makes one of them from a larger number compares with NaN.
pub const NEVER_EXPIRES: UnixSecs = 253_402_300_799;

/// What a check decides on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks, as the token says.
    pub principal: &'a Principal,
    /// What the snapshot knows of the customer, if anything.
    pub customer: Option<&'a CustomerRecord<'a>>,
    /// The item.
    pub item: &'a ItemRecord<'a>,
    /// Apps and licences.
    pub directory: &'a Directory,
    /// The moment of the check, unix seconds.
    pub now: UnixSecs,
}

/// The answer to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The viewer may play it.
    Allow(Grant),
    /// The viewer may not.
    Deny(Reason),
}

/// A decision, and for how long it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// The same question has the same answer until before this moment, unix seconds, from the same records.
    pub until: UnixSecs,
}

impl Decided {
    /// One that time does not change.
    const fn for_ever(decision: Decision) -> Self {
        Self { decision, until: UnixSecs::MAX }
    }
}

/// Why a check is granted, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it comes from.
    pub reason: Reason,
    /// The access record's number; 0 when the grant is no access record (free item, licence).
    pub access_id: i64,
    /// When it was granted; the moment of the check, when the grant is no record.
    pub created_at: UnixSecs,
    /// When it began or begins to count, if it has such a date.
    pub starts_at: Option<UnixSecs>,
    /// When it ends; [`NEVER_EXPIRES`] if it does not.
    pub expires_at: UnixSecs,
}

/// Why a check was granted or denied. Logs show it; clients do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing that the customer holds leads to the item.
    NoGrant,
    /// The snapshot knows no such customer.
    UnknownCustomer,
    /// A licence leads to the item, but it is cancelled.
    LicenseCancelled,
    /// A licence that the customer holds leads to the item, but it is itself not available to this client.
    LicenseUnavailable,
    /// A grant leads to the item, but it is over.
    Expired,
    /// A grant leads to the item, but it has not begun.
    NotStarted,
    /// The item belongs to another merchant.
    OtherMerchant,
    /// The item is inactive; it is answered like one that does not exist.
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

impl Reason {
    /// A stable name for logs.
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

/// Something that leads to the item, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    /// What it would grant.
    pub grant: Grant,
    /// The licence that it comes from, if it does.
    pub license_id: Option<u128>,
    /// Why it does not grant; nothing when it does.
    pub obstacle: Option<Reason>,
}

/// Keeps the grant that lasts longest, or, while there is none, the most telling reason to deny: the last in
/// the order of [`Reason`].
#[derive(Debug)]
struct Best<'s> {
    grant: Option<Grant>,
    denial: Reason,
    /// When the first of what was looked at will begin or end.
    until: UnixSecs,
    /// For those who want to know all that was looked at; a check does not.
    seen: Option<&'s mut Vec<Considered>>,
}

impl Best<'_> {
    fn offer(&mut self, grant: Grant, license_id: Option<u128>, now: UnixSecs) {
        if grant.expires_at <= now {
            return self.refuse(grant, license_id, Reason::Expired);
        }
        self.until = self.until.min(grant.expires_at);
        if let Some(starts_at) = grant.starts_at.filter(|starts_at| now < *starts_at) {
            self.until = self.until.min(starts_at);
            self.refuse(grant, license_id, Reason::NotStarted);
        } else {
            self.see(Considered { grant, license_id, obstacle: None });
            if self.grant.is_none_or(|best| rank(&grant) > rank(&best)) {
                self.grant = Some(grant);
            }
        }
    }

    /// A grant for ever that no record says. It shows the moment of the check, which is another one a second later.
    fn offer_unrecorded(&mut self, reason: Reason, license_id: Option<u128>, now: UnixSecs) {
        self.until = self.until.min(now.saturating_add(1));
        let expires_at = NEVER_EXPIRES;
        self.offer(
            Grant { reason, access_id: 0, created_at: now, starts_at: None, expires_at },
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

/// Longest first; of equals the one on the item itself; of those the older record, so that the answer does
/// not change from one check to the next. (A smaller number is an older record.)
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
/// When a record of the snapshot is corrupt. That is neither a grant nor a denial.
pub fn decide(question: &Question<'_>) -> Result<Decided, FormatError> {
    weigh(question, None)
}

/// Decides a check, and says what was looked at. For people who ask why.
///
/// # Errors
/// As [`decide`].
pub fn explain(question: &Question<'_>) -> Result<(Decision, Vec<Considered>), FormatError> {
    let mut seen = Vec::new();
    let decided = weigh(question, Some(&mut seen))?;
    Ok((decided.decision, seen))
}

fn weigh(question: &Question<'_>, seen: Option<&mut Vec<Considered>>) -> Result<Decided, FormatError> {
    let Question { customer, item, now, .. } = *question;
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
    match customer {
        Some(customer) => {
            leading(customer.accesses(), item.packages.iter(), item.id, |access, reason| {
                best.offer(access_grant(access, reason), None, now);
            })?;
        }
        None => best.deny(Reason::UnknownCustomer),
    }
    licenses::offer(&mut best, question)?;
    let decision = best.grant.map_or(Decision::Deny(best.denial), Decision::Allow);
    Ok(Decided { decision, until: best.until })
}

/// Whether another merchant's customer asks: the snapshot's word before the token's. A token that names
/// neither a merchant nor a known client may be anybody's; without a record it gets free items only.
fn is_of_another_merchant(question: &Question<'_>) -> bool {
    let Question { principal, customer, item, directory, .. } = *question;
    if !principal.may_act_for(item.merchant_id) {
        return true;
    }
    if let Some(merchant_id) = customer.map(|customer| customer.merchant_id).or(principal.merchant_id) {
        return merchant_id != item.merchant_id;
    }
    if let Some(uuid) = &principal.merchant_uuid {
        let owner = directory.merchants.get(&item.merchant_id);
        return owner.is_none_or(|owner| Uuid::try_parse(uuid) != Ok(*owner));
    }
    client_app(principal, directory).is_some_and(|client| client.app.merchant_id != item.merchant_id)
}

/// The app of the client that the token names, unless its issuer has no say in that app.
#[must_use]
pub fn client_app<'a>(principal: &Principal, directory: &'a Directory) -> Option<ClientApp<'a>> {
    let client = directory.client(principal.client_id.as_deref()?)?;
    principal.may_act_for(client.app.merchant_id).then_some(client)
}

/// Hands over the accesses that lead to the item, by itself or by one of the `packages` that hold it. Both lists ascend,
/// so that each is read once however long the other is.
///
/// # Errors
/// When an access cannot be read, or a list does not ascend: what it grants cannot be told.
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
    }
}

fn end(expires_at: Option<UnixSecs>) -> UnixSecs {
    expires_at.map_or(NEVER_EXPIRES, |expires_at| expires_at.min(NEVER_EXPIRES))
}

const fn is_test(client: &ClientApp<'_>) -> bool {
    matches!(client.mode, ClientMode::Test)
}
