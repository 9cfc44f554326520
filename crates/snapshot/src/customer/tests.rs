use proptest::{collection::vec, option, prelude::*};

use super::*;

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
            Access { id: 2, item_id: 11, created_at: 100, starts_at: None, expires_at: Some(160) },
            Access { id: 1, item_id: 10, created_at: 100, starts_at: Some(99), expires_at: None },
        ],
        licenses: vec![LICENSE],
    }
    .encode();
    let mut expected = vec![66, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 42];
    expected.extend([2, 20, 2, 200, 1, 1, 1]);
    expected.extend([2, 4, 200, 1, 2, 120]);
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    expected.extend([0b0100_1111, 0b0100_0101, 1, b'M', 1, 2, 0xc7, 6, 4, 0, 7, 6]);
    assert_eq!(record, expected);
}

fn access() -> impl Strategy<Value = Access> {
    let date = option::of(any::<i64>());
    (any::<i64>(), any::<i64>(), any::<i64>(), date.clone(), date).prop_map(
        |(id, item_id, created_at, starts_at, expires_at)| Access {
            id,
            item_id,
            created_at,
            starts_at,
            expires_at,
        },
    )
}

proptest! {
    #[test]
    fn records_round_trip(
        id in any::<i64>(), uuid in any::<u128>(), merchant_id in any::<i64>(),
        mut accesses in vec(access(), 0..12), dates in vec(option::of(any::<i64>()), 3), name in ".{0,12}",
    ) {
        let license = HeldLicense { name: &name, cancelled_at: dates[0], starts_at: dates[1], expires_at: dates[2], ..LICENSE };
        let licenses = vec![LICENSE, license];
        let uuid = Uuid::from_u128(uuid);
        let record = NewCustomer { id, uuid, merchant_id, accesses: accesses.clone(), licenses: licenses.clone() }.encode();
        let read = CustomerRecord::new(&record).unwrap();
        prop_assert_eq!((read.id, read.uuid, read.merchant_id), (id, uuid, merchant_id));
        accesses.sort_by_key(|access| (access.item_id, access.id));
        prop_assert_eq!(read.accesses().collect::<Result<Vec<_>, _>>().unwrap(), accesses);
        prop_assert_eq!(read.licenses().unwrap(), licenses);
        for len in 0..record.len() {
            let cut = CustomerRecord::new(&record[..len]);
            prop_assert!(cut.is_err() || cut.unwrap().licenses().is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..120)) {
        if let Ok(customer) = CustomerRecord::new(&bytes) {
            let _ = customer.accesses().count();
            let _ = customer.licenses();
        }
    }
}
