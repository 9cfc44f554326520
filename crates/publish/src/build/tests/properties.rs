//! Property: edges read the published data.

use admit_snapshot::instant::{EARLIEST, LATEST};
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
};

use super::*;

/// The accesses of customers by subject and the members of packages, which the edge must return.
#[derive(Clone, Debug)]
struct Catalogue {
    items: Vec<i64>,
    packages: BTreeMap<i64, Vec<i64>>,
    customers: BTreeMap<String, Vec<Access>>,
}

fn catalogue() -> impl Strategy<Value = Catalogue> {
    btree_set(1_i64..1_000_000, 1..20).prop_flat_map(|items| {
        let items: Vec<i64> = items.into_iter().collect();
        let members = proptest::sample::subsequence(items.clone(), 0..=items.len());
        let packages = btree_map(2_000_000_i64..3_000_000, members, 0..5);
        let moment = || EARLIEST..=LATEST;
        let date = || option::of(moment());
        let dates = (date(), date(), date());
        let access = (any::<i64>(), proptest::sample::select(items.clone()), moment(), dates);
        let access = access.prop_map(|(id, item_id, created_at, (starts_at, expires_at, renews_on))| {
            Access { id, item_id, created_at, starts_at, expires_at, renews_on }
        });
        let customers = btree_map("[^\0]{1,20}", vec(access, 0..6), 0..40);
        (Just(items), packages, customers).prop_map(|(items, packages, customers)| Catalogue {
            items,
            packages,
            customers,
        })
    })
}

/// How an access was bought: every other one was not.
fn bought(id: i64) -> Value {
    if id % 2 == 0 { Value::Null } else { json!({"amount": id / 3, "currency": "EUR", "trial": id % 3 == 0}) }
}

impl Catalogue {
    fn lines(&self) -> Vec<Value> {
        let mut lines = vec![merchant()];
        lines.extend(self.items.iter().map(|id| item(*id, "jw_asset", &[])));
        lines.extend(self.packages.iter().map(|(id, members)| item(*id, "package", members)));
        lines.extend(self.customers.iter().enumerate().map(|(number, (subject, accesses))| {
            let access = |access: &Access| {
                let Access { id, item_id, created_at, starts_at, expires_at, renews_on } = access;
                json!({"id": id, "item_id": item_id, "created_at": created_at, "starts_at": starts_at,
                    "expires_at": expires_at, "renews_on": renews_on, "purchase": bought(*id)})
            };
            let mut line = customer(number, &accesses.iter().map(access).collect());
            line["subject"] = json!(subject);
            line
        }));
        lines
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_customer_and_item_is_found_with_the_same_accesses(
        (catalogue, lines) in catalogue().prop_flat_map(|catalogue| {
            let lines = Just(catalogue.lines()).prop_shuffle();
            (Just(catalogue), lines)
        }),
        stranger in "[a-z]{21}",
    ) {
        let mut edge = Edge::of(build_text(&text_of(&lines)));
        for (subject, accesses) in &catalogue.customers {
            let record = edge.customer("vendor", subject).unwrap();
            let found = CustomerRecord::new(record.bytes()).unwrap();
            let found = found.accesses().collect::<Result<Vec<_>, _>>().unwrap();
            let purchases: Vec<_> = CustomerRecord::new(record.bytes()).unwrap().purchases().map(Result::unwrap).collect();
            for (access, purchase) in purchases {
                let amount = purchase.map(|purchase| serde_json::from_str::<Value>(purchase.amount).unwrap());
                prop_assert_eq!(amount, bought(access.id).get("amount").cloned());
            }
            let mut accesses = accesses.clone();
            accesses.sort_by_key(|access| (access.item_id, access.id));
            prop_assert_eq!(found, accesses);
            prop_assert!(edge.customer("other", subject).is_none());
        }
        for id in &catalogue.items {
            let held_by = catalogue.packages.iter().filter(|(_, members)| members.contains(id));
            prop_assert_eq!(edge.links(*id).0, held_by.map(|(package, _)| *package).collect::<Vec<_>>());
        }
        for (id, members) in &catalogue.packages {
            let record = edge.item(*id).unwrap();
            let found: Vec<_> = ItemRecord::new(record.bytes()).unwrap().members().unwrap().iter().collect();
            prop_assert_eq!(&found, members);
        }
        prop_assert!(edge.customer("vendor", &stranger).is_none());
        prop_assert!(edge.item(0).is_none());
        let in_order = build_text(&text_of(&catalogue.lines()));
        prop_assert_eq!(in_order.index, edge.version.head.index);
    }
}
