//! Tables of checks: each row is one rule.

use super::*;

/// Start, end, and either the end of the decision or the reason for the denial.
type Window = (Option<i64>, Option<i64>, Result<UnixSecs, Reason>);

const WINDOWS: [Window; 18] = [
    (None, None, Ok(NEVER_EXPIRES)),
    (Some(NOW), None, Ok(NEVER_EXPIRES)),
    (Some(NOW - 1), None, Ok(NEVER_EXPIRES)),
    (Some(NOW + 1), None, Err(Reason::NotStarted)),
    (None, Some(NOW + 1), Ok(NOW + 1)),
    (None, Some(NOW), Err(Reason::Expired)),
    (None, Some(NOW - 1), Err(Reason::Expired)),
    (Some(NOW), Some(NOW + 1), Ok(NOW + 1)),
    (Some(NOW - 1), Some(NOW), Err(Reason::Expired)),
    (Some(NOW + 1), Some(NOW + 2), Err(Reason::NotStarted)),
    (Some(NOW + 1), Some(NOW - 1), Err(Reason::Expired)),
    (Some(YEAR_ONE), None, Ok(NEVER_EXPIRES)),
    (Some(YEAR_ONE), Some(NOW + 1), Ok(NOW + 1)),
    (None, Some(YEAR_ONE), Err(Reason::Expired)),
    (None, Some(0), Err(Reason::Expired)),
    (None, Some(NEVER_EXPIRES), Ok(NEVER_EXPIRES)),
    (Some(i64::MIN), Some(i64::MAX), Ok(NEVER_EXPIRES)),
    (Some(i64::MAX), None, Err(Reason::NotStarted)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrantKind {
    Item,
    Package,
    License,
}

impl GrantKind {
    const ALL: [Self; 3] = [Self::Item, Self::Package, Self::License];

    const fn reason(self) -> Reason {
        match self {
            Self::Item => Reason::ItemAccess,
            Self::Package => Reason::PackageAccess,
            Self::License => Reason::License,
        }
    }

    fn grant(self, scene: Scene, starts_at: Option<i64>, expires_at: Option<i64>) -> Scene {
        match self {
            Self::Item => scene.access(access(5, ITEM, starts_at, expires_at)),
            Self::Package => scene.access(access(5, OTHER_PACKAGE, starts_at, expires_at)),
            Self::License => {
                let held = held(LIVE, SubscriptionStatus::Active);
                scene.unlocked_by(&[LIVE]).holds(HeldLicense { starts_at, expires_at, ..held })
            }
        }
    }
}

#[test]
fn windows_are_judged_at_the_moment_of_the_check() {
    for kind in GrantKind::ALL {
        for (starts_at, expires_at, expected) in WINDOWS {
            let decision = kind.grant(scene(), starts_at, expires_at).decide();
            let what = format!("{kind:?} {starts_at:?}..{expires_at:?}");
            match (decision, expected) {
                (Decision::Allow(grant), Ok(until)) => {
                    assert_eq!((grant.expires_at, grant.starts_at), (until, starts_at), "{what}");
                    assert_eq!(grant.reason, kind.reason(), "{what}");
                }
                (Decision::Deny(reason), Err(expected)) => assert_eq!(reason, expected, "{what}"),
                (decision, _) => panic!("{what}: {decision:?}"),
            }
        }
    }
}

#[test]
fn the_state_of_the_item_comes_before_every_grant() {
    for kind in GrantKind::ALL {
        for (is_active, is_free, merchant_id, expected) in [
            (true, false, MERCHANT, Ok(kind.reason())),
            // Both never end; the grant that has a record answers with its number.
            (true, true, MERCHANT, Ok(kind.reason())),
            (false, false, MERCHANT, Err(Reason::ItemInactive)),
            (false, true, MERCHANT, Err(Reason::ItemInactive)),
            (true, false, OTHER_MERCHANT, Err(Reason::OtherMerchant)),
            (true, true, OTHER_MERCHANT, Err(Reason::OtherMerchant)),
            (false, false, OTHER_MERCHANT, Err(Reason::ItemInactive)),
        ] {
            let mut scene = kind.grant(scene(), None, None);
            scene.item = NewItem { is_active, is_free, merchant_id, ..scene.item };
            let found = match scene.decide() {
                Decision::Allow(grant) => Ok(grant.reason),
                Decision::Deny(reason) => Err(reason),
            };
            assert_eq!(found, expected, "{kind:?} {is_active} {is_free} {merchant_id}");
        }
    }
}

#[test]
fn a_grant_says_what_its_record_says() {
    let grant = assert_allowed(
        scene().access(access(44, ITEM, Some(YEAR_ONE), Some(NOW + 9))).decide(),
        Reason::ItemAccess,
    );
    let expected = Grant {
        reason: Reason::ItemAccess,
        access_id: 44,
        created_at: NOW - DAY,
        starts_at: Some(YEAR_ONE),
        expires_at: NOW + 9,
        renews_on: None,
        renews: false,
    };
    assert_eq!(grant, expected);
    let grant = assert_allowed(
        scene().unlocked_by(&[LIVE]).holds(held(LIVE, SubscriptionStatus::Overdue)).decide(),
        Reason::License,
    );
    assert_eq!((grant.access_id, grant.created_at, grant.starts_at), (0, NOW - 10 * DAY, None));
}

#[test]
fn grants_on_other_items_and_packages_do_not_count() {
    let scene = scene()
        .access(access(1, ELSEWHERE, None, None))
        .access(access(2, -ITEM, None, None))
        .access(access(3, PACKAGE - 1, None, None))
        .unlocked_by(&[LIVE])
        .holds(held(LIVE_TOO, SubscriptionStatus::Active));
    assert_eq!(scene.decide(), Decision::Deny(Reason::NoGrant));
}

#[test]
fn a_package_is_an_item_of_its_own() {
    let mut scene = scene().access(access(1, PACKAGE, None, None));
    scene.item =
        NewItem { id: PACKAGE, is_package: true, packages: vec![], members: vec![ITEM], ..scene.item };
    assert_allowed(scene.decide(), Reason::ItemAccess);
    // An access on a member does not open the package.
    scene.customer.as_mut().unwrap().accesses = vec![access(1, ITEM, None, None)];
    assert_eq!(scene.decide(), Decision::Deny(Reason::NoGrant));
}

/// All licences of the directory, in each status, asked for by each client.
#[test]
fn licences_unlock_by_state_status_and_client() {
    let clients = [
        None,
        Some(LIVE_CLIENT),
        Some(KIDS_LIVE_CLIENT),
        Some("unknown"),
        Some(TEST_CLIENT),
        Some(KIDS_TEST_CLIENT),
    ];
    let licenses = LICENSES.map(|(id, ..)| id).into_iter().chain([UNKNOWN_LICENSE]);
    for license in licenses {
        for client in clients {
            // A test-mode client needs no subscription, and a subscription does not help it.
            let is_test = matches!(client, Some(TEST_CLIENT | KIDS_TEST_CLIENT));
            let test_unlocks = match client {
                Some(TEST_CLIENT) => [TEST_PENDING, TEST_PENDING_TOO].contains(&license),
                Some(KIDS_TEST_CLIENT) => license == KIDS_TEST_PENDING,
                _ => false,
            };
            let is_live = [LIVE, LIVE_TOO, INACTIVE, KIDS_LIVE].contains(&license);
            for status in [
                None,
                Some(SubscriptionStatus::Active),
                Some(SubscriptionStatus::Overdue),
                Some(SubscriptionStatus::Cancelled),
            ] {
                let mut scene = scene().unlocked_by(&[license]);
                scene.principal.client_id = client.map(str::to_owned);
                if let Some(status) = status {
                    scene = scene.holds(held(license, status));
                }
                let expected = match status {
                    _ if test_unlocks => Ok(Reason::TestLicense),
                    None => Err(Reason::NoGrant),
                    Some(SubscriptionStatus::Cancelled) => Err(Reason::LicenseCancelled),
                    Some(_) if is_live && !is_test => Ok(Reason::License),
                    Some(_) => Err(Reason::LicenseUnavailable),
                };
                let found = match scene.decide() {
                    Decision::Allow(grant) => Ok(grant.reason),
                    Decision::Deny(reason) => Err(reason),
                };
                assert_eq!(found, expected, "licence {license:x} {status:?} {client:?}");
            }
        }
    }
}

#[test]
fn a_test_licence_needs_no_record_but_the_right_merchant() {
    let mut scene = scene().unlocked_by(&[TEST_PENDING]).client(TEST_CLIENT);
    scene.customer = None;
    assert_allowed(scene.decide(), Reason::TestLicense);
    scene.principal.may_test = false;
    assert_eq!(scene.decide(), Decision::Deny(Reason::UnknownCustomer), "its issuer has no test_clients");
    scene.principal.merchant_id = Some(OTHER_MERCHANT);
    assert_eq!(scene.decide(), Decision::Deny(Reason::OtherMerchant));
}

#[test]
fn a_test_client_may_use_what_was_bought() {
    let mut scene = scene().access(access(1, ITEM, None, None)).client(TEST_CLIENT);
    scene.principal.may_test = false;
    assert_allowed(scene.decide(), Reason::ItemAccess);
}

#[test]
fn a_free_item_needs_no_record() {
    let mut scene = scene();
    scene.item.is_free = true;
    let expected = Grant {
        reason: Reason::FreeItem,
        access_id: 0,
        created_at: NOW,
        starts_at: None,
        expires_at: NEVER_EXPIRES,
        renews_on: None,
        renews: false,
    };
    assert_eq!(scene.decide(), Decision::Allow(expected));
    scene.customer = None;
    assert_eq!(scene.decide(), Decision::Allow(expected));
    // A purchase that ends sooner does not shorten the free access.
    let scene =
        Scene { customer: super::scene().customer, ..scene }.access(access(1, ITEM, None, Some(NOW + 9)));
    assert_eq!(scene.decide(), Decision::Allow(expected));
}

#[test]
fn codes_of_reasons_are_distinct() {
    let reasons = [
        Reason::NoGrant,
        Reason::UnknownCustomer,
        Reason::LicenseCancelled,
        Reason::LicenseUnavailable,
        Reason::Expired,
        Reason::NotStarted,
        Reason::OtherMerchant,
        Reason::ItemInactive,
        Reason::FreeItem,
        Reason::ItemAccess,
        Reason::PackageAccess,
        Reason::License,
        Reason::TestLicense,
    ];
    let mut codes = reasons.map(Reason::code).to_vec();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), reasons.len());
    assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
}

/// A corrupt record is neither a grant nor a denial, even beside an intact grant.
#[test]
fn a_corrupt_record_is_an_error() {
    let scene =
        scene().unlocked_by(&[LIVE]).access(access(1, 1, None, None)).access(access(2, ITEM, None, None));
    let item = scene.item.encode();
    let item = ItemRecord::new(&item).unwrap();
    let directory = directory();
    let principal = principal();
    let ask = |record: &[u8]| {
        let customer = CustomerRecord::new(record).unwrap();
        let question = Question {
            principal: &principal,
            customer: Some(&customer),
            item: &item,
            directory: &directory,
            now: NOW,
        };
        decide(&question)
    };
    let record = scene.customer.clone().unwrap().encode();
    assert!(matches!(ask(&record), Ok(Decided { decision: Decision::Allow(_), .. })));
    // Without the count of licences.
    assert_eq!(ask(&record[..record.len() - 1]), Err(FormatError::Truncated));
    // An unknown flag of the last access.
    let mut flagged = record.clone();
    let last_flags = record.len() - 2;
    flagged[last_flags] = 1 << 4;
    assert_eq!(ask(&flagged), Err(FormatError::Invalid("access flags")));
    // A subscription with an unknown status, and with flags of a later format.
    let record = scene.holds(held(LIVE, SubscriptionStatus::Active)).customer.unwrap().encode();
    let flags = record.windows(16).position(|bytes| bytes == LIVE.to_be_bytes()).unwrap() + 16;
    for (position, bits, message) in [
        (flags, 0b11 << 3, "licence status"),
        (flags, 0x80, "licence flags"),
        (flags + 1, 0x80, "licence flags"),
    ] {
        let mut record = record.clone();
        record[position] |= bits;
        assert_eq!(ask(&record), Err(FormatError::Invalid(message)));
    }
}
