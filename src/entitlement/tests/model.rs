//! The decision against [`admit_testing::oracle`], a second implementation over published lines. Random catalogues are
//! published as text, built, looked up and decided; both implementations must agree.

use admit_publish::build::build_ndjson;
use admit_testing::oracle::{Check, Oracle, Viewer};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Value, json};

use super::*;
use crate::snapshot::{
    index::{Index, Tree},
    key::EntryKey,
    object::ObjectKind,
    schema::{self, Line},
    version::{Found, ObjectCache, Record, Version},
};

const ITEMS: [i64; 3] = [1, 2, 3];
const PACKAGES: [i64; 2] = [8, 9];
const CLIENTS: [&str; 4] = ["a-live", "a-test", "b-live", "b-test"];

/// A catalogue of the publish schema with one customer.
#[derive(Clone, Debug)]
struct Catalogue {
    items: Vec<schema::Item>,
    licenses: Vec<schema::License>,
    apps: Vec<schema::App>,
    customer: Option<schema::Customer>,
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn uuid(number: usize) -> String {
    Uuid::from_u128(number as u128 + 1).to_string()
}

fn item(id: i64, members: &[i64], is_active: bool, is_free: bool) -> schema::Item {
    let kind = if members.is_empty() { "html_asset" } else { "package" };
    parse(json!({
        "id": id, "merchant_id": if id == 3 { 22 } else { 21 }, "title": "", "is_active": is_active,
        "access_control_type": {"id": 4, "name": "Paid", "auth": !is_free},
        "item_type": {"id": 1, "name": kind, "content_type": "", "host": "", "description": ""},
        "item_ids": members, "created_at": 1, "updated_at": 1,
    }))
}

fn date() -> impl Strategy<Value = Option<i64>> {
    option::of((-1_i64..=1).prop_map(|offset| NOW + offset))
}

fn items() -> impl Strategy<Value = Vec<schema::Item>> {
    let members = || subsequence(vec![1_i64, 2], 1..=2);
    (members(), members(), vec((prop::bool::weighted(0.9), prop::bool::weighted(0.1)), 5)).prop_map(
        |(first, second, flags)| {
            let members: [&[i64]; 5] = [&[], &[], &[], &first, &second];
            let ids = ITEMS.into_iter().chain(PACKAGES);
            ids.zip(members)
                .zip(flags)
                .map(|((id, members), (is_active, is_free))| item(id, members, is_active, is_free))
                .collect()
        },
    )
}

fn licenses() -> impl Strategy<Value = Vec<schema::License>> {
    let license = (
        select(vec!["a", "b"]),
        select(vec!["draft", "pending", "live", "live", "inactive"]),
        prop::bool::weighted(0.4),
        subsequence(vec![1_i64, 2, 8, 9], 0..3),
    );
    vec(license, 4).prop_map(|licenses| {
        let line = |(number, (app, status, test_mode, item_ids))| {
            parse(json!({
                "id": uuid(number), "internal_id": "", "app_id": app, "name": "", "status": status,
                "test_mode": test_mode, "item_ids": item_ids,
            }))
        };
        licenses.into_iter().enumerate().map(line).collect()
    })
}

fn customer() -> impl Strategy<Value = Option<schema::Customer>> {
    let access = (select(vec![1_i64, 2, 3, 8, 9]), date(), date());
    let held = (0_usize..4, select(vec!["ACTIVE", "OVERDUE", "CANCELLED"]), date(), date());
    option::weighted(0.9, (vec(access, 0..4), vec(held, 0..4))).prop_map(|customer| {
        let (accesses, licenses) = customer?;
        let accesses: Vec<Value> = accesses
            .into_iter()
            .enumerate()
            .map(|(id, (item_id, starts_at, expires_at))| {
                json!({"id": id, "item_id": item_id, "starts_at": starts_at, "expires_at": expires_at, "created_at": 1})
            })
            .collect();
        let licenses: Vec<Value> = licenses
            .into_iter()
            .map(|(number, status, starts_at, expires_at)| {
                json!({
                    "license_id": uuid(number), "license_type": "SINGLE", "name": "", "status": status,
                    "renew_status": "RENEW", "interval_length": 1, "interval_unit": "MONTHS", "date_added": 1,
                    "starts_at": starts_at, "expires_at": expires_at,
                })
            })
            .collect();
        Some(parse(json!({
            "namespace": "vendor", "subject": "s", "id": 7, "uuid": uuid(7), "merchant_id": 21,
            "accesses": accesses, "licenses": licenses,
        })))
    })
}

fn catalogues() -> impl Strategy<Value = Catalogue> {
    (items(), licenses(), customer()).prop_map(|(items, licenses, customer)| {
        let apps = ["a", "b"].map(|app| {
            parse(json!({"id": app, "merchant_id": 21, "plan_id": "", "clients": [
                {"client_id": format!("{app}-live"), "mode": "live"}, {"client_id": format!("{app}-test"), "mode": "test"},
            ]}))
        });
        Catalogue { items, licenses, apps: apps.to_vec(), customer }
    })
}

impl Catalogue {
    /// Until when the viewer may play the item, by the oracle. `None` if they may not.
    fn expected(&self, client_id: Option<&str>, id: i64) -> Option<i64> {
        let Self { items, licenses, apps, customer } = self;
        let oracle = Oracle { items: items.iter().collect(), licenses, apps, at: NOW };
        let viewer = Viewer { customer: customer.as_ref(), client_id, merchant_id: Some(21) };
        match oracle.check(&viewer, id, NOW) {
            Check::Granted(until) => Some(until),
            Check::NotFound | Check::Denied => None,
        }
    }

    /// Publishes the catalogue as text and loads the result.
    fn publish(&self) -> (Version, ObjectCache) {
        let merchants = [21, 22].map(|id| {
            Line::Merchant(schema::Merchant {
                id,
                uuid: Uuid::from_u128(id.unsigned_abs().into()).to_string(),
                name: String::new(),
            })
        });
        let text: Vec<String> = (merchants.into_iter())
            .chain(self.apps.iter().cloned().map(Line::App))
            .chain(self.licenses.iter().cloned().map(Line::License))
            .chain(self.items.iter().cloned().map(Line::Item))
            .chain(self.customer.iter().cloned().map(Line::Customer))
            .map(|line| serde_json::to_string(&line).unwrap())
            .collect();
        let built = build_ndjson(text.join("\n").as_bytes(), NOW).unwrap();
        let mut objects = ObjectCache::new(usize::MAX);
        let of_kind = |kind| {
            let found = built.objects.iter().find(|(name, _)| name.kind == kind).unwrap();
            found.1.clone()
        };
        let index = Index::decode(of_kind(ObjectKind::Index)).unwrap();
        let directory = Directory::decode(&of_kind(ObjectKind::Directory)).unwrap();
        for (name, object) in &built.objects {
            name.check(object).unwrap();
            objects.insert(*name, object.clone().into());
        }
        let head = built.head(1, NOW);
        (Version { head, index: index.into(), directory: directory.into(), delta: None }, objects)
    }
}

fn record(version: &Version, objects: &mut ObjectCache, tree: Tree, key: EntryKey) -> Option<Record> {
    match version.look_up(tree, key, objects).unwrap() {
        Found::Record(record) => Some(record),
        Found::Absent => None,
        Found::Load(name) => panic!("{name} was not built"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_edge_decides_what_the_reference_says(catalogue in catalogues()) {
        let (version, mut objects) = catalogue.publish();
        let principal = Principal { merchant_id: Some(21), ..principal() };
        let customer = record(&version, &mut objects, Tree::Customers, principal.customer_key);
        prop_assert_eq!(customer.is_some(), catalogue.customer.is_some());
        let customer = customer.as_ref().map(|record| CustomerRecord::new(record.bytes()).unwrap());
        for id in ITEMS.into_iter().chain(PACKAGES) {
            let item = record(&version, &mut objects, Tree::Items, version.index.item_key(id)).unwrap();
            let item = ItemRecord::new(item.bytes()).unwrap();
            for client_id in [None].into_iter().chain(CLIENTS.map(Some)) {
                let principal = Principal { client_id: client_id.map(str::to_owned), ..principal.clone() };
                let question = Question {
                    principal: &principal,
                    customer: customer.as_ref(),
                    item: &item,
                    directory: &version.directory,
                    now: NOW,
                };
                let decided = match decide(&question).unwrap().decision {
                    Decision::Allow(grant) => Some(grant.expires_at),
                    Decision::Deny(_) => None,
                };
                prop_assert_eq!(decided, catalogue.expected(client_id, id), "item {} for {:?}", id, client_id);
            }
        }
    }
}
