//! Whether a record gives less than another one.

use admit_snapshot::{
    customer::{Access, CustomerRecord, HeldLicense},
    directory::{AppEntry, Directory, LicenseEntry},
    item::ItemRecord,
    schema::SubscriptionStatus,
    time::UnixSecs,
};
use anyhow::Result;

/// Whether a customer loses an access or a licence, or holds it for a shorter time. An access that has ended at `now`
/// is not lost.
pub(super) fn customer_loses(before: &[u8], after: &[u8], now: UnixSecs) -> Result<bool> {
    let (before, after) = (CustomerRecord::new(before)?, CustomerRecord::new(after)?);
    if (before.id, before.uuid, before.merchant_id) != (after.id, after.uuid, after.merchant_id) {
        return Ok(true);
    }
    let accesses = after.accesses().collect::<Result<Vec<_>, _>>()?;
    for access in before.accesses() {
        let access = access?;
        let is_over = access.expires_at.is_some_and(|end| end <= now);
        if !is_over && !accesses.iter().any(|other| gives_access(other, &access)) {
            return Ok(true);
        }
    }
    let licenses = after.licenses()?;
    for license in before.held()? {
        let license = license?;
        let is_over = license.expires_at.is_some_and(|end| end <= now);
        let unlocks = license.status != SubscriptionStatus::Cancelled && !is_over;
        if unlocks && !licenses.iter().any(|other| gives_license(other, &license)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn gives_access(other: &Access, access: &Access) -> bool {
    other.item_id == access.item_id
        && spans((other.starts_at, other.expires_at), (access.starts_at, access.expires_at))
}

fn gives_license(other: &HeldLicense<'_>, license: &HeldLicense<'_>) -> bool {
    other.license_id == license.license_id
        && other.status != SubscriptionStatus::Cancelled
        && spans((other.starts_at, other.expires_at), (license.starts_at, license.expires_at))
}

/// Start and end of a grant.
type Span = (Option<UnixSecs>, Option<UnixSecs>);

/// Whether `outer` begins no later and ends no earlier than `inner`.
fn spans(outer: Span, inner: Span) -> bool {
    let start = |span: Span| span.0.unwrap_or(UnixSecs::MIN);
    let end = |span: Span| span.1.unwrap_or(UnixSecs::MAX);
    start(outer) <= start(inner) && end(outer) >= end(inner)
}

/// Whether an item becomes harder to reach: inactive, no longer free, another merchant's, or in fewer packages or
/// licences.
pub(super) fn item_loses(before: &[u8], after: &[u8]) -> Result<bool> {
    let (before, after) = (ItemRecord::without_texts(before)?, ItemRecord::without_texts(after)?);
    if !before.is_active {
        return Ok(false);
    }
    let packages: Vec<_> = after.packages.iter().collect();
    Ok(!after.is_active
        || before.merchant_id != after.merchant_id
        || (before.is_free && !after.is_free)
        || before.packages.iter().any(|package| packages.binary_search(&package).is_err())
        || before.licenses.iter().any(|license| !after.licenses.contains(license)))
}

/// Whether a merchant, an app's client or a licence vanishes or is narrowed.
pub(super) fn directory_loses(before: &Directory, after: &Directory) -> bool {
    let is_merchant_lost = before.merchants.iter().any(|(id, uuid)| after.merchants.get(id) != Some(uuid));
    let has_client = |app: &AppEntry, id: &str| {
        before.client(id).zip(after.client(id)).is_some_and(|(was, is)| {
            was.mode == is.mode && (&*app.id, app.merchant_id) == (&*is.app.id, is.app.merchant_id)
        })
    };
    let is_client_lost = before.apps.iter().any(|app| app.clients.iter().any(|(id, _)| !has_client(app, id)));
    let is_license_lost = before.licenses.iter().any(|(id, license)| {
        after.licenses.get(id).is_none_or(|other| license_loses((before, license), (after, other)))
    });
    is_merchant_lost || is_client_lost || is_license_lost
}

fn license_loses(before: (&Directory, &LicenseEntry), after: (&Directory, &LicenseEntry)) -> bool {
    let app = |(directory, license): (&Directory, &LicenseEntry)| {
        directory.apps.get(license.app).map(|app| (app.id.clone(), app.merchant_id))
    };
    let kind = |license: &LicenseEntry| (license.state, license.is_test_mode);
    app(before) != app(after) || (kind(before.1) != kind(after.1) && !after.1.is_for_holders())
}

#[cfg(test)]
mod tests {
    use admit_snapshot::{
        customer::NewCustomer,
        item::NewItem,
        schema::{ClientMode, LicenseState},
    };

    use super::*;

    const NOW: UnixSecs = 1_000;

    fn customer(accesses: &[(i64, Option<i64>, Option<i64>)]) -> Vec<u8> {
        let access = |(item_id, starts_at, expires_at): &(i64, Option<i64>, Option<i64>)| Access {
            id: 1,
            item_id: *item_id,
            starts_at: *starts_at,
            expires_at: *expires_at,
            ..Access::default()
        };
        NewCustomer { id: 9, accesses: accesses.iter().map(access).collect(), ..NewCustomer::default() }
            .encode()
    }

    fn held(status: SubscriptionStatus, expires_at: Option<UnixSecs>) -> Vec<u8> {
        let license = HeldLicense {
            license_id: 7,
            license_type: admit_snapshot::schema::LicenseType::Single,
            status,
            renew_status: admit_snapshot::schema::RenewStatus::Renew,
            name: "n",
            interval_unit: admit_snapshot::schema::IntervalUnit::Months,
            interval_length: 1,
            trial: false,
            date_added: admit_snapshot::instant::Zoned::utc(1),
            renews_on: None,
            billing_cycle_anchor: None,
            trial_duration: None,
            trial_reset: None,
            cancelled_at: None,
            starts_at: None,
            expires_at,
        };
        NewCustomer { id: 9, licenses: vec![license], ..NewCustomer::default() }.encode()
    }

    #[test]
    fn an_access_that_ends_earlier_begins_later_or_vanishes_is_lost() {
        for (before, after, expected) in [
            (&[(1, None, None)][..], &[(1, None, None)][..], false),
            (&[(1, None, None)], &[(1, None, Some(9_000))], true),
            (&[(1, None, Some(9_000))], &[(1, None, None)], false),
            (&[(1, None, Some(9_000))], &[(1, None, Some(9_001))], false),
            (&[(1, None, Some(9_000))], &[(1, None, Some(8_999))], true),
            (&[(1, None, None)], &[(1, Some(5), None)], true),
            (&[(1, Some(5), None)], &[(1, Some(4), None)], false),
            (&[(1, None, None)], &[(2, None, None)], true),
            (&[(1, None, None)], &[(1, None, None), (2, None, None)], false),
            (&[(1, None, Some(NOW))], &[], false),
            (&[(1, None, Some(NOW + 1))], &[], true),
            // Another access to the same item does as well.
            (&[(1, None, Some(2_000)), (1, None, Some(3_000))], &[(1, None, Some(3_000))], false),
            (&[], &[(1, None, None)], false),
        ] {
            let loses = customer_loses(&customer(before), &customer(after), NOW).unwrap();
            assert_eq!(loses, expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_licence_that_is_cancelled_or_ends_earlier_is_lost() {
        use SubscriptionStatus::{Active, Cancelled, Overdue};
        for (before, after, expected) in [
            ((Active, None), (Active, None), false),
            ((Active, None), (Overdue, None), false),
            ((Overdue, None), (Active, None), false),
            ((Active, None), (Cancelled, None), true),
            ((Cancelled, None), (Active, None), false),
            ((Active, None), (Active, Some(5_000)), true),
            ((Active, Some(NOW)), (Cancelled, None), false),
        ] {
            let records = (held(before.0, before.1), held(after.0, after.1));
            assert_eq!(
                customer_loses(&records.0, &records.1, NOW).unwrap(),
                expected,
                "{before:?} {after:?}"
            );
        }
        assert!(customer_loses(&held(Active, None), &customer(&[]), NOW).unwrap());
    }

    #[test]
    fn another_customer_under_the_same_key_loses_what_the_first_one_had() {
        let other = NewCustomer { id: 10, ..NewCustomer::default() }.encode();
        assert!(customer_loses(&customer(&[]), &other, NOW).unwrap());
        assert!(customer_loses(b"\xff", &other, NOW).is_err());
    }

    #[test]
    fn an_item_loses_what_leads_to_it() {
        let item = |change: fn(&mut NewItem<'_>)| {
            let mut new =
                NewItem { is_active: true, packages: vec![4, 8], licenses: vec![1, 2], ..NewItem::default() };
            change(&mut new);
            new.encode()
        };
        let before = item(|item| item.is_free = true);
        for (change, expected) in [
            ((|item| item.is_free = true) as fn(&mut NewItem<'_>), false),
            (|_| {}, true),
            (|item| (item.is_free, item.is_active) = (true, false), true),
            (|item| (item.is_free, item.merchant_id) = (true, 3), true),
            (|item| (item.is_free, item.packages) = (true, vec![4]), true),
            (|item| (item.is_free, item.packages) = (true, vec![4, 6, 8]), false),
            (|item| (item.is_free, item.licenses) = (true, vec![2]), true),
            (|item| (item.is_free, item.licenses) = (true, vec![1, 2, 3]), false),
        ] {
            assert_eq!(item_loses(&before, &item(change)).unwrap(), expected);
        }
        assert!(!item_loses(&item(|item| item.is_active = false), &item(|_| {})).unwrap());
    }

    #[test]
    fn a_directory_loses_merchants_clients_and_licences() {
        let directory = |mode, state, app: &str| {
            let mut directory = Directory::default();
            directory.merchants.insert(7, uuid::Uuid::from_u128(7));
            let clients = vec![("tv".to_owned(), mode)];
            let app = AppEntry { id: app.to_owned(), merchant_id: 7, plan_id: String::new(), clients };
            directory.set_apps(vec![app]).unwrap();
            let license = LicenseEntry {
                app: 0,
                rank: 1,
                state,
                is_test_mode: false,
                name: String::new(),
                json: String::new(),
            };
            directory.licenses.insert(3, license);
            directory
        };
        let before = directory(ClientMode::Live, LicenseState::Live, "a");
        for (after, expected) in [
            (before.clone(), false),
            (directory(ClientMode::Test, LicenseState::Live, "a"), true),
            (directory(ClientMode::Live, LicenseState::Inactive, "a"), false),
            (directory(ClientMode::Live, LicenseState::Pending, "a"), true),
            (directory(ClientMode::Live, LicenseState::Live, "b"), true),
            (Directory::default(), true),
        ] {
            assert_eq!(directory_loses(&before, &after), expected, "{after:?}");
        }
        assert!(!directory_loses(&Directory::default(), &before));
    }
}
