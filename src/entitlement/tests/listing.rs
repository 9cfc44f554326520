//! The entries of `/license`.

use super::*;

const YEAR: i64 = 365 * DAY;

fn list(scene: &Scene) -> Vec<(u128, SubscriptionStatus)> {
    let record = scene.customer.clone().map(NewCustomer::encode);
    let customer = record.as_ref().map(|record| CustomerRecord::new(record).unwrap());
    listed_licenses(&scene.principal, customer.as_ref(), &scene.directory, scene.now)
        .unwrap()
        .into_iter()
        .map(|entry| match entry {
            HeldEntry::Held(held, _) => (held.license_id, held.status),
            HeldEntry::Test(license) => {
                let id = scene.directory.licenses.iter().find(|(_, entry)| *entry == license).unwrap().0;
                (*id, SubscriptionStatus::Active)
            }
        })
        .collect()
}

fn ids(scene: &Scene) -> Vec<u128> {
    list(scene).into_iter().map(|(id, _)| id).collect()
}

/// A subscriber to every licence, in the directory's order.
fn subscriber() -> Scene {
    LICENSES
        .iter()
        .fold(scene(), |scene, (id, ..)| scene.holds(held(*id, SubscriptionStatus::Active)))
        .holds(held(UNKNOWN_LICENSE, SubscriptionStatus::Active))
}

#[test]
fn a_live_client_sees_its_apps_live_and_inactive_ones_by_rank() {
    // LIVE and LIVE_TOO are of equal rank: the publisher's order, not that of the UUIDs.
    assert_eq!(ids(&subscriber().client(LIVE_CLIENT)), [INACTIVE, LIVE, LIVE_TOO]);
    assert_eq!(ids(&subscriber().client(KIDS_LIVE_CLIENT)), [KIDS_LIVE]);
    let mut reversed = subscriber().client(LIVE_CLIENT);
    reversed.customer.as_mut().unwrap().licenses.reverse();
    assert_eq!(ids(&reversed), [INACTIVE, LIVE_TOO, LIVE]);
}

#[test]
fn an_inactive_licence_is_shown_to_its_holders_only() {
    let scene = scene().holds(held(LIVE, SubscriptionStatus::Active)).client(LIVE_CLIENT);
    assert_eq!(ids(&scene), [LIVE]);
}

#[test]
fn a_test_client_sees_its_apps_pending_test_licences_and_nothing_else() {
    let pending =
        [(TEST_PENDING_TOO, SubscriptionStatus::Active), (TEST_PENDING, SubscriptionStatus::Active)];
    for customer in [subscriber().customer, scene().customer, None] {
        let scene = Scene { customer, ..scene() };
        assert_eq!(list(&scene.clone().client(TEST_CLIENT)), pending);
        assert_eq!(ids(&scene.clone().client(KIDS_TEST_CLIENT)), [KIDS_TEST_PENDING]);
        assert!(ids(&scene.client(OTHER_MERCHANTS_TEST_CLIENT)).is_empty());
    }
}

/// The issuer has no `test_clients`, and the id of a test-mode client is public.
#[test]
fn a_test_client_of_an_issuer_without_test_clients_sees_nothing() {
    for customer in [subscriber().customer, None] {
        let mut scene = Scene { customer, ..scene() }.client(TEST_CLIENT);
        scene.principal.may_test = false;
        assert!(ids(&scene).is_empty());
    }
}

#[test]
fn test_licences_of_equal_rank_lie_in_order_of_their_uuids() {
    let mut scene = scene().client(TEST_CLIENT);
    for license in scene.directory.licenses.values_mut() {
        license.rank = -3;
    }
    assert_eq!(ids(&scene), [TEST_PENDING, TEST_PENDING_TOO]);
}

#[test]
fn a_token_without_a_known_client_gets_an_empty_list() {
    assert!(ids(&subscriber()).is_empty());
    assert!(ids(&subscriber().client("unknown")).is_empty());
    assert!(ids(&subscriber().client("")).is_empty());
}

#[test]
fn an_unknown_customer_gets_an_empty_list() {
    assert!(ids(&Scene { customer: None, ..scene() }.client(LIVE_CLIENT)).is_empty());
}

#[test]
fn every_active_and_overdue_one_is_listed_however_old() {
    for status in [SubscriptionStatus::Active, SubscriptionStatus::Overdue] {
        let old = HeldLicense { date_added: Zoned { at: 1, offset_mins: 0 }, ..held(LIVE, status) };
        assert_eq!(list(&scene().holds(old).client(LIVE_CLIENT)), [(LIVE, status)]);
    }
}

#[test]
fn cancelled_ones_are_listed_for_twelve_months() {
    let zoned = |at| Zoned { at, offset_mins: 60 };
    let (recent, old) = (NOW - YEAR + 1, NOW - YEAR);
    // cancelled_at, expires_at, renews_on, date_added
    for (cancelled_at, expires_at, renews_on, date_added, is_listed) in [
        (Some(NOW), None, None, old, true),
        (Some(recent), None, None, old, true),
        (Some(old), None, None, NOW, false),
        (Some(old), Some(NOW), Some(NOW), NOW, false),
        (Some(NOW + DAY), None, None, old, true),
        (Some(YEAR_ONE), None, None, NOW, false),
        (Some(i64::MIN), None, None, NOW, false),
        (Some(i64::MAX), None, None, NOW, true),
        // Without `cancelled_at`: the end, else the missed renewal, else the purchase.
        (None, Some(recent), Some(old), old, true),
        (None, Some(old), Some(NOW), NOW, false),
        (None, Some(NOW + 1), Some(old), NOW, false),
        (None, None, Some(recent), old, true),
        (None, None, Some(old), NOW, false),
        (None, None, None, recent, true),
        (None, None, None, old, false),
    ] {
        let cancelled = HeldLicense {
            cancelled_at,
            expires_at,
            renews_on: renews_on.map(zoned),
            date_added: zoned(date_added),
            ..held(LIVE, SubscriptionStatus::Cancelled)
        };
        let expected: &[_] = if is_listed { &[(LIVE, SubscriptionStatus::Cancelled)] } else { &[] };
        let found = list(&scene().holds(cancelled.clone()).client(LIVE_CLIENT));
        assert_eq!(found, expected, "{cancelled:?}");
    }
}

/// Clients take `ACTIVE` and `OVERDUE` for access, so these must not be shown for a subscription that unlocks
/// nothing.
#[test]
fn ended_subscriptions_are_cancelled_and_future_ones_hidden() {
    for status in [SubscriptionStatus::Active, SubscriptionStatus::Overdue] {
        for (starts_at, expires_at, expected) in [
            (Some(NOW), None, Some(status)),
            (Some(NOW + 1), None, None),
            (None, Some(NOW + 1), Some(status)),
            (None, Some(NOW), Some(SubscriptionStatus::Cancelled)),
            (None, Some(NOW - YEAR + 1), Some(SubscriptionStatus::Cancelled)),
            (None, Some(NOW - YEAR), None),
            (None, Some(YEAR_ONE), None),
        ] {
            let held = HeldLicense { starts_at, expires_at, ..held(LIVE, status) };
            let found: Vec<_> = list(&scene().holds(held).client(LIVE_CLIENT));
            let expected: Vec<_> = expected.map(|status| (LIVE, status)).into_iter().collect();
            assert_eq!(found, expected, "{status:?} {starts_at:?}..{expires_at:?}");
        }
    }
}

#[test]
fn the_same_licence_may_be_listed_twice() {
    let scene = scene()
        .holds(HeldLicense { cancelled_at: Some(NOW - DAY), ..held(LIVE, SubscriptionStatus::Cancelled) })
        .holds(held(LIVE, SubscriptionStatus::Active))
        .client(LIVE_CLIENT);
    let expected = [(LIVE, SubscriptionStatus::Cancelled), (LIVE, SubscriptionStatus::Active)];
    assert_eq!(list(&scene), expected);
}

#[test]
fn a_corrupt_record_is_an_error_and_no_empty_list() {
    let scene = subscriber().client(LIVE_CLIENT);
    let record = scene.customer.unwrap().encode();
    let record = CustomerRecord::new(&record[..record.len() - 1]).unwrap();
    let found = listed_licenses(&scene.principal, Some(&record), &scene.directory, NOW);
    assert_eq!(found, Err(FormatError::Truncated));
}

#[test]
fn an_issuer_cannot_use_clients_of_other_merchants() {
    for client in [LIVE_CLIENT, TEST_CLIENT] {
        let mut scene = subscriber().client(client);
        scene.principal.merchants = Some([MERCHANT].into());
        assert!(!ids(&scene).is_empty(), "{client}");
        scene.principal.merchants = Some([MERCHANT + 1].into());
        assert!(ids(&scene).is_empty(), "{client}");
    }
}
