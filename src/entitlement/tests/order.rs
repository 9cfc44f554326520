//! Which of several grants answers, and which of several denials.

use super::*;

/// Accesses and a licence, in every order: the same grant answers.
#[test]
fn the_longest_of_several_grants_answers() {
    let later = Some(NOW + 100);
    for (accesses, license_ends, expected) in [
        (vec![access(1, ITEM, None, Some(NOW + 1)), access(2, ITEM, None, later)], None, (2, NOW + 100)),
        (vec![access(1, ITEM, None, Some(NOW + 1)), access(2, PACKAGE, None, later)], None, (2, NOW + 100)),
        (vec![access(1, ITEM, None, later), access(2, ITEM, None, None)], None, (2, NEVER_EXPIRES)),
        // Among equals the grant on the item itself, then the older record.
        (vec![access(9, ITEM, None, later), access(1, PACKAGE, None, later)], None, (9, NOW + 100)),
        (vec![access(9, ITEM, None, later), access(8, ITEM, None, later)], None, (8, NOW + 100)),
        (vec![access(9, PACKAGE, None, later), access(8, OTHER_PACKAGE, None, later)], None, (8, NOW + 100)),
        (vec![access(9, PACKAGE, None, later)], Some(NOW + 100), (9, NOW + 100)),
        (vec![access(9, PACKAGE, None, later)], Some(NOW + 101), (0, NOW + 101)),
        // All spellings of "never ends" are equal.
        (vec![access(9, ITEM, None, None), access(8, ITEM, None, Some(i64::MAX))], None, (8, NEVER_EXPIRES)),
        (
            vec![access(i64::MIN, ITEM, None, None), access(i64::MAX, ITEM, None, None)],
            None,
            (i64::MIN, NEVER_EXPIRES),
        ),
        // Grants that have ended or not begun do not count, however long they last.
        (vec![access(1, ITEM, Some(NOW + 1), None), access(2, ITEM, None, later)], None, (2, NOW + 100)),
        (vec![access(1, ITEM, None, Some(NOW)), access(2, PACKAGE, None, later)], None, (2, NOW + 100)),
    ] {
        for reversed in [false, true] {
            let mut scene = scene().unlocked_by(&[LIVE]);
            if license_ends.is_some() {
                let held = held(LIVE, SubscriptionStatus::Active);
                scene = scene.holds(HeldLicense { expires_at: license_ends, ..held });
            }
            let mut ordered = accesses.clone();
            if reversed {
                ordered.reverse();
            }
            scene.customer.as_mut().unwrap().accesses = ordered;
            let Decision::Allow(grant) = scene.decide() else { panic!("denied: {accesses:?}") };
            assert_eq!((grant.access_id, grant.expires_at), expected, "{accesses:?} {license_ends:?}");
        }
    }
}

#[test]
fn the_publishers_first_of_equal_subscriptions_answers() {
    let first = HeldLicense {
        date_added: Zoned { at: 1, offset_mins: 0 },
        ..held(LIVE_TOO, SubscriptionStatus::Active)
    };
    let scene =
        scene().unlocked_by(&[LIVE_TOO, LIVE]).holds(first).holds(held(LIVE, SubscriptionStatus::Active));
    assert_eq!(assert_allowed(scene.decide(), Reason::License).created_at, 1);
}

/// Ordered from the denial that tells least to the one that tells most: the later one wins.
#[test]
fn the_most_telling_denial_is_said() {
    type Hold = fn(Scene) -> Scene;
    let holds: [(Reason, Hold); 4] = [
        (Reason::LicenseCancelled, |scene| scene.holds(held(LIVE, SubscriptionStatus::Cancelled))),
        (Reason::LicenseUnavailable, |scene| scene.holds(held(PENDING, SubscriptionStatus::Active))),
        (Reason::Expired, |scene| scene.access(access(1, ITEM, None, Some(NOW)))),
        (Reason::NotStarted, |scene| scene.access(access(2, PACKAGE, Some(NOW + 1), None))),
    ];
    for (position, (reason, hold)) in holds.iter().enumerate() {
        let start = scene().unlocked_by(&[LIVE, PENDING]);
        assert_eq!(hold(start.clone()).decide(), Decision::Deny(*reason));
        for (lesser, hold_lesser) in &holds[..position] {
            for scene in [hold_lesser(hold(start.clone())), hold(hold_lesser(start.clone()))] {
                assert_eq!(scene.decide(), Decision::Deny(*reason), "with {lesser:?}");
            }
        }
    }
    assert_eq!(scene().decide(), Decision::Deny(Reason::NoGrant));
    let nobody = Scene { customer: None, ..scene() };
    assert_eq!(nobody.decide(), Decision::Deny(Reason::UnknownCustomer));
}
