//! What licences unlock, and which of them `/license` lists. The two differ: a cancelled licence is listed
//! for a year and unlocks nothing.

use crate::{
    limits::LICENSES_MAX,
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

use super::{Best, Grant, Question, Reason, client_app, end, is_test};

/// Cancelled licences are listed for twelve months, counted as 365 days.
const CANCELLED_LISTED_SECS: i64 = 365 * 86_400;

/// Offers what the customer's licences, or a test-mode client's, make of the item. A test-mode client of an issuer
/// without `test_clients` has neither: the id of a client is public, and so would be what it opens.
pub(super) fn offer(best: &mut Best<'_>, question: &Question<'_>) -> Result<(), FormatError> {
    let Question { principal, customer, item, directory, now } = *question;
    if item.licenses.is_empty() {
        return Ok(());
    }
    let test_client = client_app(principal, directory).filter(is_test);
    if let Some(client) = test_client.as_ref().filter(|_| principal.may_test)
        && let Some((id, _)) =
            pending_test_licenses(directory, client.position).find(|(id, _)| unlocks(item, *id))
    {
        best.offer_unrecorded(Reason::TestLicense, Some(id), now);
    }
    let Some(customer) = customer else { return Ok(()) };
    for held in customer.held()? {
        let held = held?;
        if !unlocks(item, held.license_id) {
            continue;
        }
        let license = directory.licenses.get(&held.license_id);
        let grant = Grant {
            reason: Reason::License,
            access_id: 0,
            created_at: held.date_added.at,
            starts_at: held.starts_at,
            expires_at: end(held.expires_at),
        };
        let id = Some(held.license_id);
        if held.status == SubscriptionStatus::Cancelled {
            best.refuse(grant, id, Reason::LicenseCancelled);
        } else if test_client.is_some() || license.is_none_or(|license| !license.is_for_holders()) {
            best.refuse(grant, id, Reason::LicenseUnavailable);
        } else {
            best.offer(grant, id, now);
        }
    }
    Ok(())
}

/// One entry of the answer of `/license`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldEntry<'a> {
    /// A licence that the customer holds or held. One that is over says that it is cancelled, whatever the
    /// origin last said: clients take `ACTIVE` and `OVERDUE` for access.
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

/// What `/license` lists, by descending rank; of equal rank in the publisher's order, test-mode ones by UUID.
/// Empty when the token names no client that the snapshot knows. More than [`LICENSES_MAX`] entries mean that there are
/// too many to be listed, and that not all of them are here.
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

/// Puts an entry behind those of its rank. `false` when there are more than an answer lists. One app has few licences;
/// what the library sorts many by is more code than all of this.
fn insert<'a>(entries: &mut Vec<HeldEntry<'a>>, entry: HeldEntry<'a>) -> bool {
    let rank = entry.license().rank;
    let place = entries.partition_point(|other| other.license().rank >= rank);
    entries.insert(place, entry);
    entries.len() <= LICENSES_MAX
}

/// The subscription as it is shown at `now`, if it is. One that has not begun is not shown: clients would
/// take it for access.
fn listed(held: HeldLicense<'_>, now: UnixSecs) -> Option<HeldLicense<'_>> {
    let Some(ended_at) = ended_at(&held, now) else {
        return held.starts_at.is_none_or(|starts_at| starts_at <= now).then_some(held);
    };
    (now.saturating_sub(ended_at) < CANCELLED_LISTED_SECS)
        .then_some(HeldLicense { status: SubscriptionStatus::Cancelled, ..held })
}

/// When the subscription ceased to unlock anything, as far as the origin said; nothing while it has not.
fn ended_at(held: &HeldLicense<'_>, now: UnixSecs) -> Option<UnixSecs> {
    let expired_at = held.expires_at.filter(|expires_at| *expires_at <= now);
    if held.status != SubscriptionStatus::Cancelled {
        return expired_at;
    }
    // The end of what was paid comes close; at worst it was cancelled no earlier than it was bought.
    let renews_on = held.renews_on.map(|renews_on| renews_on.at);
    held.cancelled_at.or(expired_at).or(renews_on).or(Some(held.date_added.at))
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
