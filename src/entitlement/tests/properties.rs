//! Properties of all decisions.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

/// Mostly moments close to now, where windows begin and end, and some arbitrary ones.
fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => (-3_i64..=3).prop_map(|offset| NOW + offset),
        1 => any::<i64>(),
        1 => select(vec![YEAR_ONE, i64::MIN, i64::MAX, NEVER_EXPIRES, 0]),
    ]
}

fn any_access() -> impl Strategy<Value = Access> {
    let item = select(vec![ITEM, PACKAGE, OTHER_PACKAGE, ELSEWHERE]);
    (any::<i64>(), item, moment(), option::of(moment()), option::of(moment())).prop_map(
        |(id, item_id, created_at, starts_at, expires_at)| Access {
            id,
            item_id,
            created_at,
            starts_at,
            expires_at,
            renews_on: None,
        },
    )
}

fn any_license() -> impl Strategy<Value = u128> {
    select(LICENSES.map(|(id, ..)| id).into_iter().chain([UNKNOWN_LICENSE]).collect::<Vec<_>>())
}

fn any_held() -> impl Strategy<Value = HeldLicense<'static>> {
    let status =
        select(vec![SubscriptionStatus::Active, SubscriptionStatus::Overdue, SubscriptionStatus::Cancelled]);
    let date = || option::of(moment());
    (any_license(), status, date(), date(), date(), date()).prop_map(
        |(license_id, status, starts_at, expires_at, cancelled_at, renews_on)| HeldLicense {
            starts_at,
            expires_at,
            cancelled_at,
            renews_on: renews_on.map(|at| Zoned { at, offset_mins: 0 }),
            ..held(license_id, status)
        },
    )
}

prop_compose! {
    fn any_scene()(
        client in option::of(select(vec![
            LIVE_CLIENT, TEST_CLIENT, KIDS_LIVE_CLIENT, KIDS_TEST_CLIENT, OTHER_MERCHANTS_TEST_CLIENT, "unknown",
        ])),
        (mid, item_merchant) in (
            option::of(select(vec![MERCHANT, OTHER_MERCHANT])),
            select(vec![MERCHANT, MERCHANT, MERCHANT, OTHER_MERCHANT]),
        ),
        customer in option::weighted(0.9, (
            select(vec![MERCHANT, MERCHANT, MERCHANT, OTHER_MERCHANT]), vec(any_access(), 0..4), vec(any_held(), 0..4),
        )),
        (is_active, is_free) in (prop::bool::weighted(0.9), prop::bool::weighted(0.1)),
        mut licenses in vec(any_license(), 0..4),
        now in prop_oneof![9 => Just(NOW), 1 => any::<i64>()],
    ) -> Scene {
        licenses.sort_unstable();
        licenses.dedup();
        let mut scene = scene();
        scene.principal.client_id = client.map(str::to_owned);
        scene.principal.merchant_id = mid;
        scene.customer = customer.map(|(merchant_id, accesses, licenses)| NewCustomer {
            id: 1, uuid: Uuid::nil(), merchant_id, accesses, licenses, ..NewCustomer::default()
        });
        scene.item = NewItem { is_active, is_free, licenses, merchant_id: item_merchant, ..scene.item };
        Scene { now, ..scene }
    }
}

/// Asserts that `after` is no worse than `before`: every grant remains and ends no sooner.
fn assert_no_worse(before: &Scene, after: &Scene) -> Result<(), TestCaseError> {
    if let Decision::Allow(granted) = before.decide() {
        match after.decide() {
            Decision::Allow(grant) => prop_assert!(grant.expires_at >= granted.expires_at),
            Decision::Deny(reason) => prop_assert!(false, "{:?} became {:?}", granted, reason),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_grant_holds_at_the_moment_of_the_check(scene in any_scene()) {
        if let Decision::Allow(grant) = scene.decide() {
            prop_assert!(grant.starts_at.is_none_or(|starts_at| starts_at <= scene.now));
            prop_assert!(scene.now < grant.expires_at);
            prop_assert!(grant.expires_at <= NEVER_EXPIRES);
        }
    }

    #[test]
    fn until_the_moment_that_is_named_nothing_changes(scene in any_scene(), far in 0.0..1.0_f64) {
        let until = scene.until();
        prop_assert!(scene.now < until || scene.now == UnixSecs::MAX);
        let span = until.saturating_sub(scene.now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment between will do")]
        let somewhere = (span as f64 * far) as i64;
                // Moments around now, where grants begin and end, and an arbitrary one.
        for secs in [0, 1, 2, 3, 4, 5, 6, 7, span.saturating_sub(1), somewhere] {
            let later = scene.now.saturating_add(secs);
            if later < until {
                prop_assert_eq!(Scene { now: later, ..scene.clone() }.decide(), scene.decide(), "{} s later", secs);
            }
        }
    }

    #[test]
    fn inactive_items_and_other_merchants_items_are_never_granted(scene in any_scene()) {
        let merchant = scene.customer.as_ref().map(|customer| customer.merchant_id).or(scene.principal.merchant_id);
        let decision = scene.decide();
        if !scene.item.is_active {
            prop_assert_eq!(decision, Decision::Deny(Reason::ItemInactive));
        } else if merchant.is_some_and(|merchant| merchant != scene.item.merchant_id) {
            prop_assert_eq!(decision, Decision::Deny(Reason::OtherMerchant));
        } else if let Decision::Deny(reason) = decision {
            prop_assert!(reason != Reason::ItemInactive);
        }
    }

    #[test]
    fn another_access_never_hurts(scene in any_scene(), access in any_access()) {
        let mut more = scene.clone();
        if let Some(customer) = &mut more.customer {
            customer.accesses.push(access);
        }
        assert_no_worse(&scene, &more)?;
    }

    #[test]
    fn another_subscription_never_hurts(scene in any_scene(), held in any_held(), place in any::<prop::sample::Index>()) {
        let mut more = scene.clone();
        if let Some(customer) = &mut more.customer {
            customer.licenses.insert(place.index(customer.licenses.len() + 1), held);
        }
        assert_no_worse(&scene, &more)?;
    }

    #[test]
    fn another_package_or_licence_of_the_item_never_hurts(scene in any_scene(), license in any_license()) {
        let mut more = scene.clone();
        more.item.packages.push(ELSEWHERE);
        if let Err(position) = more.item.licenses.binary_search(&license) {
            more.item.licenses.insert(position, license);
        }
        assert_no_worse(&scene, &more)?;
    }

        /// The order of the records has no influence.
    #[test]
    fn order_decides_nothing(scene in any_scene()) {
        let mut reversed = scene.clone();
        if let Some(customer) = &mut reversed.customer {
            customer.accesses.reverse();
            customer.licenses.reverse();
        }
        let outcome = |scene: &Scene| match scene.decide() {
            Decision::Allow(grant) => Ok((grant.reason, grant.expires_at)),
            Decision::Deny(reason) => Err(reason),
        };
        prop_assert_eq!(outcome(&scene), outcome(&reversed));
    }

        /// For a live client, a subscription listed as `ACTIVE` or `OVERDUE` unlocks its items, and one that unlocks items is listed as such.
    #[test]
    fn the_list_and_the_check_agree(scene in any_scene(), held in any_held()) {
        let mut scene = scene.client(LIVE_CLIENT).unlocked_by(&[held.license_id]);
        scene.item = NewItem { is_active: true, is_free: false, merchant_id: MERCHANT, ..scene.item };
        scene.now = NOW;
        scene.customer = Some(NewCustomer {
            merchant_id: MERCHANT, licenses: vec![held.clone()], ..NewCustomer::default()
        });
        let record = scene.customer.clone().unwrap().encode();
        let customer = CustomerRecord::new(&record).unwrap();
        let listed = listed_licenses(&scene.principal, Some(&customer), &scene.directory, NOW).unwrap();
        let is_said = listed.iter().any(|entry| {
            matches!(entry, HeldEntry::Held(held, _) if held.status != SubscriptionStatus::Cancelled)
        });
        let app = scene.directory.licenses.get(&held.license_id).map(|license| license.app);
        if app != Some(1) {
            prop_assert_eq!(is_said, matches!(scene.decide(), Decision::Allow(_)));
        }
    }

        /// Corrupt records lead to an error or a decision, never to a panic.
    #[test]
    fn corrupt_records_do_not_panic(
        scene in any_scene(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        let flip = |mut record: Vec<u8>| {
            for (at, mask) in &flips {
                let at = at.index(record.len());
                record[at] ^= mask;
            }
            record.truncate(cut.index(record.len() * 4).max(1));
            record
        };
        let (intact, corrupt) = (scene.item.encode(), flip(scene.item.encode()));
        let customer = flip(scene.customer.clone().unwrap_or_default().encode());
        let customer = CustomerRecord::new(&customer).ok();
        for item in [intact, corrupt] {
            if let Ok(item) = ItemRecord::new(&item) {
                let question = Question {
                    principal: &scene.principal,
                    customer: customer.as_ref(),
                    item: &item,
                    directory: &scene.directory,
                    now: scene.now,
                };
                let _ = decide(&question);
                if let Some(Ok(held)) = customer.as_ref().map(Held::of) {
                    let _ = decide_by(&held, &question);
                }
            }
        }
        let _ = listed_licenses(&scene.principal, customer.as_ref(), &scene.directory, scene.now);
    }
}
