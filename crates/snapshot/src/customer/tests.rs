use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    instant::Zoned,
    schema::{IntervalUnit, LicenseType, RenewStatus, SubscriptionStatus},
};

const LICENSE: HeldLicense<'static> = HeldLicense {
    license_id: 7,
    license_type: LicenseType::Bundle,
    status: SubscriptionStatus::Overdue,
    renew_status: RenewStatus::Cancel,
    name: "M",
    interval_unit: IntervalUnit::Months,
    interval_length: 1,
    trial: true,
    date_added: Zoned { at: 1, offset_mins: -420 },
    renews_on: Some(Zoned { at: 2, offset_mins: 0 }),
    billing_cycle_anchor: None,
    trial_duration: Some(7),
    trial_reset: None,
    cancelled_at: None,
    starts_at: None,
    expires_at: Some(3),
};

/// Pins the layout of published records: a change here changes the format and needs a migration plan.
#[test]
fn layout_is_pinned() {
    let record = NewCustomer {
        id: 33,
        uuid: Uuid::from_u128(1),
        merchant_id: 21,
        accesses: vec![
            Access { id: 2, item_id: 11, created_at: 100, expires_at: Some(160), ..Access::default() },
            Access { id: 1, item_id: 10, created_at: 100, starts_at: Some(99), ..Access::default() },
        ],
        licenses: vec![LICENSE],
        ..NewCustomer::default()
    }
    .encode();
    let mut expected = vec![66, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 42];
    expected.extend([2, 20, 2, 200, 1, 1, 1]);
    expected.extend([2, 4, 200, 1, 2, 120]);
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    expected.extend([0b0100_1111, 0b0100_0101, 1, b'M', 1, 2, 0xc7, 6, 4, 0, 7, 6]);
    assert_eq!(record, expected);
}

/// Pins what format 3 adds: a record without it has the bytes of format 2.
#[test]
fn layout_of_renewals_purchases_and_trials_is_pinned() {
    let record = NewCustomer {
        accesses: vec![Access {
            id: 2,
            item_id: 11,
            created_at: 100,
            renews_on: Some(160),
            ..Access::default()
        }],
        purchases: vec![Some(PURCHASE)],
        used_trials: vec![12, 11, 12],
        ..NewCustomer::default()
    }
    .encode();
    let mut expected = [0; 18].to_vec();
    expected.extend([1, 22, 4, 200, 1, 0b1100, 120, 0b111]);
    expected.extend(b"\x0412.5\x03EUR\x0e\x04card\x00\x02\x16\x02");
    assert_eq!(record, expected);
}

/// A renewal and a purchase change nothing for a reader of accesses.
#[test]
fn purchases_come_with_their_accesses_in_the_order_of_items() {
    let access = |id, item_id| Access { id, item_id, ..Access::default() };
    let record = NewCustomer {
        accesses: vec![access(3, 30), access(1, 10), access(2, 20)],
        purchases: vec![Some(PURCHASE), None],
        used_trials: vec![7],
        licenses: vec![LICENSE],
        ..NewCustomer::default()
    }
    .encode();
    let customer = CustomerRecord::new(&record).unwrap();
    let found: Vec<_> = customer.purchases().map(Result::unwrap).collect();
    assert_eq!(found, [(access(1, 10), None), (access(2, 20), None), (access(3, 30), Some(PURCHASE))]);
    assert_eq!(customer.accesses().count(), 3);
    assert_eq!(customer.licenses().unwrap(), [LICENSE]);
    assert_eq!([6, 7].map(|item| customer.has_used_trial(item).unwrap()), [false, true]);
}

const PURCHASE: Purchase<'static> = Purchase {
    amount: "12.5",
    currency: "EUR",
    access_fee_id: Some(7),
    payment_method: Some("card"),
    is_trial: true,
};

fn access() -> impl Strategy<Value = Access> {
    let date = option::of(any::<i64>());
    (any::<[i64; 3]>(), date.clone(), date.clone(), date).prop_map(
        |([id, item_id, created_at], starts_at, expires_at, renews_on)| Access {
            id,
            item_id,
            created_at,
            starts_at,
            expires_at,
            renews_on,
        },
    )
}

fn purchase() -> impl Strategy<Value = Option<Purchase<'static>>> {
    let optional = (option::of(any::<i64>()), option::of(Just("")), any::<bool>());
    option::of(optional.prop_map(|(access_fee_id, payment_method, is_trial)| Purchase {
        access_fee_id,
        payment_method,
        is_trial,
        ..PURCHASE
    }))
}

proptest! {
    #[test]
    fn records_round_trip(
        id in any::<i64>(), uuid in any::<u128>(), merchant_id in any::<i64>(),
        mut bought in vec((access(), purchase()), 0..12), dates in vec(option::of(any::<i64>()), 3),
        name in ".{0,12}", trials in vec(any::<i64>(), 0..4),
    ) {
        let license = HeldLicense { name: &name, cancelled_at: dates[0], starts_at: dates[1], expires_at: dates[2], ..LICENSE };
        let licenses = vec![LICENSE, license];
        let uuid = Uuid::from_u128(uuid);
        let (accesses, purchases) = bought.iter().copied().unzip();
        let new = NewCustomer { id, uuid, merchant_id, accesses, purchases, licenses: licenses.clone(), used_trials: trials };
        let used: Vec<i64> = new.used_trials.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        let without = NewCustomer { used_trials: Vec::new(), ..new.clone() }.encode();
        let record = new.encode();
        let read = CustomerRecord::new(&record).unwrap();
        prop_assert_eq!((read.id, read.uuid, read.merchant_id), (id, uuid, merchant_id));
        bought.sort_by_key(|(access, _)| (access.item_id, access.id));
        prop_assert_eq!(read.purchases().collect::<Result<Vec<_>, _>>().unwrap(), bought.clone());
        let accesses: Vec<_> = bought.into_iter().map(|(access, _)| access).collect();
        prop_assert_eq!(read.accesses().collect::<Result<Vec<_>, _>>().unwrap(), accesses);
        prop_assert_eq!(read.licenses().unwrap(), licenses);
        prop_assert_eq!(read.used_trials().unwrap().iter().collect::<Vec<_>>(), used);
        for len in 0..record.len() {
            let cut = CustomerRecord::new(&record[..len]);
            // A record that ends with its licences is one without used trials.
            prop_assert!(len == without.len() || cut.is_err() || cut.unwrap().used_trials().is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..120)) {
        if let Ok(customer) = CustomerRecord::new(&bytes) {
            let _ = customer.accesses().count();
            let _ = customer.purchases().count();
            let _ = customer.licenses();
            let _ = customer.used_trials();
        }
    }
}
