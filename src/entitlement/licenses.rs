//! Which items licences unlock, and which licences `/license` lists. The two differ: a cancelled licence is
//! listed for a year and unlocks nothing.

use crate::{
    limits::LICENSES_MAX,
    snapshot::{
        customer::{CustomerRecord, HeldLicense},
        directory::{Directory, LicenseEntry},
        item::ItemRecord,
        object::FormatError,
        schema::{LicenseState, RenewStatus, SubscriptionStatus},
        time::UnixSecs,
    },
    token::Principal,
};

use super::{Best, Grant, Held, Question, Reason, client_app, end, is_test};

/// How long a cancelled licence is listed: twelve months, counted as 365 days.
const CANCELLED_LISTED_SECS: i64 = 365 * 86_400;

/// Offers the grants that licences give on the item: those that the customer holds, or the pending ones of a
/// test-mode client. A test-mode client of an issuer without `test_clients` gets neither. A client's id is
/// public, and any viewer could name it.
pub(super) fn offer(
    best: &mut Best<'_>,
    question: &Question<'_>,
    held: Option<&Held<'_>>,
) -> Result<(), FormatError> {
    let Question { principal, customer, item, directory, now } = *question;
    if item.licenses.is_empty() {
        return Ok(());
    }
    // A test-mode client sees pending test licences whatever the customer holds, and only if its issuer
    // allows it.
    let test_client = client_app(principal, directory).filter(is_test);
    if let Some(client) = test_client.as_ref().filter(|_| principal.may_test)
        && let Some((id, _)) =
            pending_test_licenses(directory, client.position).find(|(id, _)| unlocks(item, *id))
    {
        best.offer_unrecorded(Reason::TestLicense, Some(id), now);
    }
    let Some(customer) = customer else { return Ok(()) };
    let mut offer = |held: &HeldLicense<'_>| {
        if !unlocks(item, held.license_id) {
            return;
        }
        let license = directory.licenses.get(&held.license_id);
        let grant = license_grant(held);
        let id = Some(held.license_id);
        if held.status == SubscriptionStatus::Cancelled {
            best.refuse(grant, id, Reason::LicenseCancelled);
        // Subscriptions do not count for test-mode clients, nor for licences that the directory lacks or
        // withholds.
        } else if test_client.is_some() || license.is_none_or(|license| !license.is_for_holders()) {
            best.refuse(grant, id, Reason::LicenseUnavailable);
        } else {
            best.offer(grant, id, now);
        }
    };
    match held {
        Some(held) => held.licenses().iter().for_each(offer),
        None => {
            for held in customer.held()? {
                offer(&held?);
            }
        }
    }
    Ok(())
}

/// The grant that a held licence gives, whatever stands in its way.
pub(super) fn license_grant(held: &HeldLicense<'_>) -> Grant {
    let renews = held.renew_status == RenewStatus::Renew;
    Grant {
        reason: Reason::License,
        access_id: 0,
        created_at: held.date_added.at,
        starts_at: held.starts_at,
        expires_at: end(held.expires_at),
        renews_on: held.renews_on.filter(|_| renews).map(|renews_on| renews_on.at),
        renews,
    }
}

/// One entry of the answer to `/license`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldEntry<'a> {
    /// A subscription that the customer holds or held. One that has ended is shown as cancelled, whatever
    /// status the origin last reported: clients take `ACTIVE` and `OVERDUE` for access.
    Held(HeldLicense<'a>, &'a LicenseEntry),
    /// A pending test-mode licence. Test-mode clients see it as active.
    Test(&'a LicenseEntry),
}

impl HeldEntry<'_> {
    const fn license(&self) -> &LicenseEntry {
        match self {
            Self::Held(_, license) | Self::Test(license) => license,
        }
    }
}

/// The entries of `/license` by descending rank; within a rank in the publisher's order, test-mode licences
/// by UUID. Empty if the token names no client that the snapshot knows. A result of more than
/// [`LICENSES_MAX`] entries is incomplete: there are too many to list.
///
/// # Errors
/// The customer's record is corrupt.
pub fn listed_licenses<'a>(
    principal: &Principal,
    customer: Option<&CustomerRecord<'a>>,
    directory: &'a Directory,
    now: UnixSecs,
) -> Result<Vec<HeldEntry<'a>>, FormatError> {
    let Some(client) = client_app(principal, directory) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    if is_test(&client) {
        if principal.may_test {
            for (_, license) in pending_test_licenses(directory, client.position) {
                if !insert(&mut entries, HeldEntry::Test(license)) {
                    break;
                }
            }
        }
        return Ok(entries);
    }
    let Some(customer) = customer else { return Ok(entries) };
    for held in customer.held()? {
        if let Some(held) = listed(held?, now)
            && let Some(license) = directory.licenses.get(&held.license_id)
            && license.app == client.position
            && license.is_for_holders()
            && !insert(&mut entries, HeldEntry::Held(held, license))
        {
            break;
        }
    }
    Ok(entries)
}

/// Inserts an entry after the others of its rank. `false` means that there are too many to list. An insertion
/// sort, because an app has few licences and the library's sort would be more code than this module.
fn insert<'a>(entries: &mut Vec<HeldEntry<'a>>, entry: HeldEntry<'a>) -> bool {
    let rank = entry.license().rank;
    // Entries are sorted by descending rank; equal ranks keep their order.
    let place = entries.partition_point(|other| other.license().rank >= rank);
    entries.insert(place, entry);
    entries.len() <= LICENSES_MAX
}

/// The subscription as `/license` shows it at `now`, if it does: one that has ended as cancelled, for a year.
fn listed(held: HeldLicense<'_>, now: UnixSecs) -> Option<HeldLicense<'_>> {
    let status = held.status.shown_at(now, held.starts_at, held.expires_at)?;
    let is_listed = status != SubscriptionStatus::Cancelled
        || now.saturating_sub(ended_at(&held, now)) < CANCELLED_LISTED_SECS;
    is_listed.then_some(HeldLicense { status, ..held })
}

/// When an ended subscription ceased to unlock items, as far as the origin reported it.
fn ended_at(held: &HeldLicense<'_>, now: UnixSecs) -> UnixSecs {
    let cancelled_at = held.cancelled_at.filter(|_| held.status == SubscriptionStatus::Cancelled);
    let expired_at = held.expires_at.filter(|expires_at| *expires_at <= now);
    // Without `cancelled_at`, the end of the paid period is closest. The last resort is the purchase.
    let renews_on = held.renews_on.map(|renews_on| renews_on.at);
    cancelled_at.or(expired_at).or(renews_on).unwrap_or(held.date_added.at)
}

pub(super) fn pending_test_licenses(
    directory: &Directory,
    app: usize,
) -> impl Iterator<Item = (u128, &LicenseEntry)> {
    directory
        .licenses
        .iter()
        .filter(move |(_, license)| {
            license.app == app && license.is_test_mode && license.state == LicenseState::Pending
        })
        .map(|(id, license)| (*id, license))
}

/// Whether the licence unlocks the item. An item lists its licences in ascending order.
fn unlocks(item: &ItemRecord<'_>, license_id: u128) -> bool {
    item.licenses.binary_search(&license_id.to_be_bytes()).is_ok()
}
