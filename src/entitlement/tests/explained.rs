//! The list of offers that `explain` returns.

use super::*;

fn obstacles(considered: &[Considered]) -> Vec<(Reason, i64, Option<u128>, Option<Reason>)> {
    let summary = |one: &Considered| (one.grant.reason, one.grant.access_id, one.license_id, one.obstacle);
    considered.iter().map(summary).collect()
}

#[test]
fn every_lead_is_listed_with_what_became_of_it() {
    let scene = scene()
        .access(access(1, ITEM, None, Some(NOW)))
        .access(access(2, ELSEWHERE, None, None))
        .access(access(3, PACKAGE, Some(NOW + DAY), None))
        .access(access(4, PACKAGE, None, Some(NOW + DAY)))
        .unlocked_by(&[LIVE, INACTIVE, DRAFT])
        .holds(held(LIVE, SubscriptionStatus::Cancelled))
        .holds(held(DRAFT, SubscriptionStatus::Active))
        .holds(held(INACTIVE, SubscriptionStatus::Overdue))
        .holds(held(KIDS_LIVE, SubscriptionStatus::Active));
    let (decision, considered) = scene.explain();
    assert!(matches!(decision, Decision::Allow(grant) if grant.expires_at == NEVER_EXPIRES));
    let expected = [
        (Reason::ItemAccess, 1, None, Some(Reason::Expired)),
        (Reason::PackageAccess, 3, None, Some(Reason::NotStarted)),
        (Reason::PackageAccess, 4, None, None),
        (Reason::License, 0, Some(LIVE), Some(Reason::LicenseCancelled)),
        (Reason::License, 0, Some(DRAFT), Some(Reason::LicenseUnavailable)),
        (Reason::License, 0, Some(INACTIVE), None),
    ];
    assert_eq!(obstacles(&considered), expected);
}

#[test]
fn free_items_and_test_licences_are_leads_too() {
    let mut scene = scene().client(TEST_CLIENT).unlocked_by(&[TEST_PENDING]);
    scene.item.is_free = true;
    let (_, considered) = scene.explain();
    let expected = [(Reason::FreeItem, 0, None, None), (Reason::TestLicense, 0, Some(TEST_PENDING), None)];
    assert_eq!(obstacles(&considered), expected);
}

#[test]
fn nothing_is_looked_at_when_nothing_could_help() {
    let mut inactive = scene().access(access(1, ITEM, None, None));
    inactive.item.is_active = false;
    assert_eq!(inactive.explain(), (Decision::Deny(Reason::ItemInactive), Vec::new()));
}
