//! What licences unlock, and which of them `/license` lists. The two differ: a cancelled licence is listed
//! for a year and unlocks nothing.

use crate::{
    snapshot::{
        customer::{CustomerRecord, HeldLicense},
        directory::{Directory, LicenseEntry},
        item::ItemRecord,
        object::FormatError,
        schema::{LicenseState, SubscriptionStatus},
        time::UnixSecs,
    },
    token::Principal,
};

use super::{Best, Grant, NEVER_EXPIRES, Question, Reason, client_app, is_test};

/// Cancelled licences are listed for twelve months, counted as 365 days.
const CANCELLED_LISTED_SECS: i64 = 365 * 86_400;

/// Offers what the customer's licences, or a test-mode client's, make of the item.
pub(super) fn offer(best: &mut Best, question: &Question<'_>) -> Result<(), FormatError> {
    let Question { principal, customer, item, directory, now } = *question;
    if item.licenses.is_empty() {
        return Ok(());
    }
    if let Some(client) = client_app(principal, directory).filter(is_test) {
        if pending_test_licenses(directory, client.position).any(|(id, _)| unlocks(item, id)) {
            let reason = Reason::TestLicense;
            best.offer(
                Grant { reason, access_id: 0, created_at: now, starts_at: None, expires_at: NEVER_EXPIRES },
                now,
            );
        }
        return Ok(());
    }
    let Some(customer) = customer else { return Ok(()) };
    for held in customer.licenses()? {
        if !unlocks(item, held.license_id) {
            continue;
        }
        if held.status == SubscriptionStatus::Cancelled {
            best.deny(Reason::LicenseCancelled);
        } else if directory.licenses.get(&held.license_id).is_none_or(|license| !is_for_live_holders(license))
        {
            best.deny(Reason::LicenseUnavailable);
        } else {
            let grant = Grant {
                reason: Reason::License,
                access_id: 0,
                created_at: held.date_added.at,
                starts_at: held.starts_at,
                expires_at: held.expires_at.unwrap_or(NEVER_EXPIRES),
            };
            best.offer(grant, now);
        }
    }
    Ok(())
}

/// One entry of the answer of `/license`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldEntry<'a> {
    /// A licence that the customer holds or held.
    Held(HeldLicense<'a>, &'a LicenseEntry),
    /// A pending test-mode licence, shown to a test-mode client as active.
    Test(&'a LicenseEntry),
}

impl HeldEntry<'_> {
    const fn license(&self) -> &LicenseEntry {
        match self {
            Self::Held(_, license) | Self::Test(license) => license,
        }
    }
}

/// What `/license` lists, by descending rank; of equal rank in the publisher's order. Empty when the token
/// names no client that the snapshot knows.
///
/// # Errors
/// When the customer's record is corrupt.
pub fn listed_licenses<'a>(
    principal: &Principal,
    customer: Option<&CustomerRecord<'a>>,
    directory: &'a Directory,
    now: UnixSecs,
) -> Result<Vec<HeldEntry<'a>>, FormatError> {
    let Some(client) = client_app(principal, directory) else { return Ok(Vec::new()) };
    let mut entries: Vec<HeldEntry<'a>> = if is_test(&client) {
        pending_test_licenses(directory, client.position)
            .map(|(_, license)| HeldEntry::Test(license))
            .collect()
    } else {
        customer
            .map(CustomerRecord::licenses)
            .transpose()?
            .unwrap_or_default()
            .into_iter()
            .filter(|held| is_listed(held, now))
            .filter_map(|held| Some((directory.licenses.get(&held.license_id)?, held)))
            .filter(|(license, _)| license.app == client.position && is_for_live_holders(license))
            .map(|(license, held)| HeldEntry::Held(held, license))
            .collect()
    };
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.license().rank));
    Ok(entries)
}

fn is_listed(held: &HeldLicense<'_>, now: UnixSecs) -> bool {
    if held.status != SubscriptionStatus::Cancelled {
        return true;
    }
    // As far as the origin said; a licence cannot have been cancelled before it was bought.
    let renews_on = held.renews_on.map(|renews_on| renews_on.at);
    let cancelled_at = held.cancelled_at.or(renews_on).unwrap_or(held.date_added.at);
    now.saturating_sub(cancelled_at) < CANCELLED_LISTED_SECS
}

/// Live licences are available; inactive ones only to those who hold them, as these do.
const fn is_for_live_holders(license: &LicenseEntry) -> bool {
    !license.is_test_mode && matches!(license.state, LicenseState::Live | LicenseState::Inactive)
}

fn pending_test_licenses(directory: &Directory, app: usize) -> impl Iterator<Item = (u128, &LicenseEntry)> {
    directory
        .licenses
        .iter()
        .filter(move |(_, license)| {
            license.app == app && license.is_test_mode && license.state == LicenseState::Pending
        })
        .map(|(id, license)| (*id, license))
}

/// Licences of an item lie in ascending order.
fn unlocks(item: &ItemRecord<'_>, license_id: u128) -> bool {
    item.licenses.binary_search(&license_id.to_be_bytes()).is_ok()
}
