//! The sample catalogue is valid, complete, and as varied as its personas and the documentation need.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use admit_snapshot::{
    schema::{
        AccessFee, AccessType, App, ClientMode, Customer, GeoRestrictionKind, Item, License, LicenseState,
        LicenseType, Line, Merchant, SubscriptionStatus,
    },
    time::Timestamp,
};
use serde_json::Value;

/// An arbitrary time of publishing: the promises of the samples hold at any time.
const NOW: i64 = 1_800_000_000;
const DAY_SECS: i64 = 86_400;

#[derive(Default)]
struct Catalogue {
    merchants: HashMap<i64, Merchant>,
    apps: HashMap<String, App>,
    licenses: HashMap<String, License>,
    access_types: HashMap<i64, AccessType>,
    items: BTreeMap<i64, Item>,
    customers: HashMap<(String, String), Customer>,
}

impl Catalogue {
    fn read() -> Self {
        let mut catalogue = Self::default();
        for (place, line) in lines() {
            let is_new = match line {
                Line::Snapshot(_) => panic!("{place}: the samples leave `seq` to the publisher"),
                Line::Merchant(it) => catalogue.merchants.insert(it.id, it).is_none(),
                Line::App(it) => catalogue.apps.insert(it.id.clone(), it).is_none(),
                Line::License(it) => catalogue.licenses.insert(it.id.clone(), it).is_none(),
                Line::AccessType(it) => catalogue.access_types.insert(it.id, it).is_none(),
                Line::Item(it) => catalogue.items.insert(it.id, it).is_none(),
                Line::Customer(it) => {
                    let key = (it.namespace.clone(), it.subject.clone());
                    catalogue.customers.insert(key, it).is_none()
                }
            };
            assert!(is_new, "{place}: the same identifier twice");
        }
        catalogue
    }

    fn fees(&self) -> impl Iterator<Item = &AccessFee> {
        self.items.values().flat_map(|item| &item.fees)
    }

    fn app_merchant(&self, app_id: &str) -> i64 {
        self.apps[app_id].merchant_id
    }
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples")
}

/// Every line of the catalogue with its place, in the order of publishing.
fn lines() -> Vec<(String, Line)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(samples().join("catalogue"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .collect();
    paths.sort();
    let mut lines = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.starts_with('\u{feff}'), "{}: byte order mark", path.display());
        assert!(!text.contains('\r'), "{}: CR", path.display());
        assert!(text.ends_with('\n'), "{}: last line has no end", path.display());
        for (index, json) in text.lines().enumerate() {
            let place = format!("{}:{}", path.display(), index + 1);
            let line = serde_json::from_str(json).unwrap_or_else(|error| panic!("{place}: {error}"));
            lines.push((place, line));
        }
    }
    lines
}

fn personas() -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(samples().join("personas.json")).unwrap()).unwrap()
}

fn is_package(item: &Item) -> bool {
    item.item_type.name == "package"
}

/// Whether at least one of `all` fulfils a condition.
fn some<T>(all: impl IntoIterator<Item = T>, is_so: impl FnMut(T) -> bool) -> bool {
    all.into_iter().any(is_so)
}

#[test]
fn every_line_survives_a_round_trip() {
    for (place, line) in lines() {
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line, "{place}");
    }
}

#[test]
fn every_reference_resolves_within_its_merchant() {
    let all = Catalogue::read();
    for app in all.apps.values() {
        assert!(all.merchants.contains_key(&app.merchant_id), "app {}", app.id);
    }
    for access_type in all.access_types.values() {
        assert!(all.merchants.contains_key(&access_type.account_id), "access type {}", access_type.id);
    }
    for item in all.items.values() {
        assert!(all.merchants.contains_key(&item.merchant_id), "item {}", item.id);
        assert!(is_package(item) || item.item_ids.is_empty(), "item {} has members", item.id);
        for id in &item.item_ids {
            assert_eq!(all.items[id].merchant_id, item.merchant_id, "package {} holds {id}", item.id);
            assert!(!is_package(&all.items[id]), "package {} holds the package {id}", item.id);
        }
        for fee in &item.fees {
            let access_type = &all.access_types[&fee.access_type_id];
            assert_eq!(access_type.account_id, item.merchant_id, "fee {}", fee.id);
        }
    }
    for license in all.licenses.values() {
        for id in &license.item_ids {
            let owner = all.items[id].merchant_id;
            assert_eq!(owner, all.app_merchant(&license.app_id), "licence {}", license.internal_id);
        }
    }
    for customer in all.customers.values() {
        assert!(all.merchants.contains_key(&customer.merchant_id), "customer {}", customer.id);
        for access in &customer.accesses {
            assert_eq!(all.items[&access.item_id].merchant_id, customer.merchant_id, "access {}", access.id);
        }
        for held in &customer.licenses {
            let owner = all.app_merchant(&all.licenses[&held.license_id].app_id);
            assert_eq!(owner, customer.merchant_id, "customer {}", customer.id);
        }
    }
}

#[test]
fn numbers_and_client_ids_are_unique() {
    fn unique<T: Ord + std::fmt::Debug>(what: &str, all: impl Iterator<Item = T>) {
        let mut seen = BTreeSet::new();
        for id in all {
            let text = format!("{id:?}");
            assert!(seen.insert(id), "{what} {text} twice");
        }
    }
    let all = Catalogue::read();
    unique("fee", all.fees().map(|fee| fee.id));
    unique("set-up fee", all.fees().filter_map(|fee| Some(fee.setup_fee.as_ref()?.id)));
    unique("restriction", all.fees().filter_map(|fee| Some(fee.geo_restriction.as_ref()?.id)));
    unique("metadata", all.items.values().flat_map(|item| &item.metadata).map(|entry| entry.id));
    unique("customer", all.customers.values().map(|customer| customer.id));
    unique("customer", all.customers.values().map(|customer| &customer.uuid));
    unique("access", all.customers.values().flat_map(|customer| &customer.accesses).map(|it| it.id));
    unique("client", all.apps.values().flat_map(|app| &app.clients).map(|client| &client.client_id));
    unique("internal_id", all.licenses.values().map(|license| &license.internal_id));
}

#[test]
fn uuids_are_written_as_answers_show_them() {
    let all = Catalogue::read();
    let merchants = all.merchants.values().map(|merchant| &merchant.uuid);
    let customers = all.customers.values().map(|customer| &customer.uuid);
    let plans = all.apps.values().map(|app| &app.plan_id);
    for uuid in merchants.chain(customers).chain(plans).chain(all.licenses.keys()) {
        assert_eq!(uuid::Uuid::parse_str(uuid).unwrap().to_string(), *uuid);
    }
}

#[test]
fn merchants_apps_and_items_are_many_and_varied() {
    let all = Catalogue::read();
    assert_eq!(all.merchants.len(), 2);
    let owners: HashSet<i64> = all.apps.values().map(|app| app.merchant_id).collect();
    assert!(all.apps.len() >= 3 && owners.len() == 2);
    for mode in [ClientMode::Live, ClientMode::Test] {
        let apps = all.apps.values().filter(|app| some(&app.clients, |client| client.mode == mode));
        assert!(apps.count() >= 3, "{mode:?}");
    }

    assert!(all.items.values().filter(|item| !is_package(item)).count() >= 40);
    assert!(all.items.values().filter(|item| is_package(item)).count() >= 3);
    let types: BTreeSet<&str> = all.items.values().map(|item| item.item_type.name.as_str()).collect();
    for name in [
        "brightcove_asset",
        "html_asset",
        "jw_asset",
        "kaltura_asset",
        "livestream_asset",
        "package",
        "wistia_asset",
        "wowza_asset",
    ] {
        assert!(types.contains(name), "no {name}");
    }
    let items = || all.items.values();
    assert!(some(items(), |item| !item.is_active));
    assert!(some(items(), |item| item.is_active && !item.access_control_type.auth));
    assert!(some(items(), |item| item.age_restriction.is_some()));
    assert!(some(items(), |item| item.plan_switch_enabled));
    assert!(some(items(), |item| item.metadata.is_empty()));
    assert!(some(items(), |item| item.metadata.iter().any(|it| it.name == "preview_button_label")));
    for hard in ["\"", "\\", "🦉", "雪"] {
        assert!(some(items(), |item| item.title.contains(hard)), "no title with {hard}");
    }
    for hard in ["\"", "\\", "\n", "\r", "\t", "💡", "<", "&"] {
        assert!(some(items(), |item| item.content.contains(hard)), "no content with {hard:?}");
    }
}

#[test]
fn fees_have_every_shape() {
    let all = Catalogue::read();
    let fees = || all.fees();
    let access_type = |fee: &AccessFee| &all.access_types[&fee.access_type_id];
    for (name, period) in [
        ("ppv", "hour"),
        ("ppv_custom", "day"),
        ("subscription", "week"),
        ("subscription", "month"),
        ("subscription", "year"),
    ] {
        let sold = |fee: &AccessFee| access_type(fee).name == name && access_type(fee).period == period;
        assert!(some(fees(), sold), "no {name} by the {period}");
    }
    assert!(some(fees(), |fee| fee.trial_period.is_some() && fee.setup_fee.is_none()));
    assert!(some(fees(), |fee| fee.trial_period.is_none() && fee.setup_fee.is_some()));
    assert!(some(fees(), |fee| fee.trial_period.is_some() && fee.setup_fee.is_some()));
    assert!(some(fees(), |fee| fee.plan_switch_enabled));
    for amount in ["0", "600", "2.5", "79", "7.99"] {
        assert!(some(fees(), |fee| fee.amount.to_string() == amount), "no amount of {amount}");
    }

    let restrictions = || all.fees().filter_map(|fee| fee.geo_restriction.as_ref());
    assert!(restrictions().all(|it| it.country_iso.is_some() != it.country_set_id.is_some()));
    for kind in [GeoRestrictionKind::Blacklist, GeoRestrictionKind::Whitelist] {
        assert!(some(restrictions(), |it| it.kind == kind && it.country_iso.is_some()), "{kind:?}");
        assert!(some(restrictions(), |it| it.kind == kind && it.country_set_id.is_some()), "{kind:?}");
    }

    let at = |time: Option<Timestamp>| time.map(|time| time.resolve(NOW));
    let windows: Vec<_> = all.fees().map(|fee| (at(fee.starts_at), at(fee.expires_at))).collect();
    let windows = || windows.iter().copied();
    assert!(some(windows(), |it| it == (None, None)));
    assert!(some(windows(), |it| matches!(it, (Some(from), Some(to)) if from <= NOW && NOW < to)));
    assert!(some(windows(), |it| matches!(it, (Some(from), Some(to)) if NOW < from && from < to)));
    assert!(some(windows(), |it| matches!(it, (Some(from), Some(to)) if from < to && to <= NOW)));
    assert!(some(windows(), |it| matches!(it, (Some(_), None))));
    assert!(some(windows(), |it| matches!(it, (None, Some(_)))));
}

#[test]
fn licences_are_in_every_state() {
    let all = Catalogue::read();
    let licenses = || all.licenses.values();
    for status in [LicenseState::Draft, LicenseState::Pending, LicenseState::Live, LicenseState::Inactive] {
        assert!(some(licenses(), |it| it.status == status && !it.test_mode), "{status:?}");
    }
    assert!(some(licenses(), |it| it.test_mode && it.status == LicenseState::Pending));
    assert!(some(licenses(), |it| it.test_mode && it.status != LicenseState::Pending));
    assert!(some(licenses(), |it| it.locales.len() > 1) && some(licenses(), |it| it.locales.is_empty()));
    assert!(some(licenses(), |it| it.price_tier.as_ref().is_some_and(Value::is_string)));
    assert!(some(licenses(), |it| it.price_tier.as_ref().is_some_and(Value::is_object)));
    assert!(some(licenses(), |it| it.price_tier.is_none()));
    assert!(licenses().map(|it| it.rank).collect::<HashSet<_>>().len() > 5);
    assert!(some(licenses(), |it| it.item_ids.iter().any(|id| is_package(&all.items[id]))));
    assert!(some(licenses(), |it| it.item_ids.iter().any(|id| !is_package(&all.items[id]))));
}

#[test]
fn customers_hold_every_kind_of_grant() {
    let all = Catalogue::read();
    assert!(all.customers.len() >= 20);
    let namespaces: BTreeSet<&str> = all.customers.keys().map(|(namespace, _)| namespace.as_str()).collect();
    assert_eq!(namespaces, BTreeSet::from(["cognito", "vendor"]));
    let same_subject = |(namespace, subject): &(String, String)| {
        namespace == "cognito" && all.customers.contains_key(&("vendor".into(), subject.clone()))
    };
    assert!(some(all.customers.keys(), same_subject), "no subject in both namespaces");

    let accesses = || all.customers.values().flat_map(|customer| &customer.accesses);
    let at = |time: Option<Timestamp>| time.map(|time| time.resolve(NOW));
    assert!(some(accesses(), |it| it.expires_at.is_none()));
    assert!(some(accesses(), |it| at(it.expires_at).is_some_and(|at| at <= NOW)));
    assert!(some(accesses(), |it| at(it.expires_at).is_some_and(|at| at > NOW)));
    assert!(some(accesses(), |it| at(it.starts_at).is_some_and(|at| at > NOW)));
    assert!(some(accesses(), |it| at(it.starts_at).is_some_and(|at| at < 0)));
    assert!(some(accesses(), |it| is_package(&all.items[&it.item_id])));
    assert!(some(accesses(), |it| !is_package(&all.items[&it.item_id])));

    let held = || all.customers.values().flat_map(|customer| &customer.licenses);
    for status in [SubscriptionStatus::Active, SubscriptionStatus::Overdue, SubscriptionStatus::Cancelled] {
        assert!(some(held(), |it| it.status == status), "{status:?}");
    }
    for kind in [LicenseType::Single, LicenseType::Bundle] {
        assert!(some(held(), |it| it.license_type == kind), "{kind:?}");
    }
    let cancelled_days = || {
        held().filter(|it| it.status == SubscriptionStatus::Cancelled).map(|it| {
            let at = at(it.cancelled_at).unwrap_or_else(|| panic!("{}: cancelled when?", it.name));
            (NOW - at) / DAY_SECS
        })
    };
    assert!(some(cancelled_days(), |days| days < 365) && some(cancelled_days(), |days| days > 366));
    assert!(some(held(), |it| it.trial && it.trial_duration.is_some() && it.trial_reset.is_some()));
    let offsets: HashSet<i16> = held().map(|it| it.date_added.offset_mins).collect();
    assert!(offsets.len() >= 5 && offsets.contains(&0), "{offsets:?}");
}

#[test]
fn personas_are_of_the_catalogue() {
    let all = Catalogue::read();
    let clients: HashSet<&str> =
        all.apps.values().flat_map(|app| &app.clients).map(|client| client.client_id.as_str()).collect();
    let mut names = BTreeSet::new();
    for persona in personas() {
        let name = persona["name"].as_str().unwrap().to_owned();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        assert!(persona["why"].as_str().unwrap().ends_with('.'), "{name}");
        assert!(persona["ttl_secs"].is_i64() && persona["item_id"].is_i64(), "{name}");
        let issuer = persona["issuer"].as_str().unwrap();
        let claims = &persona["claims"];
        let subject = claims["sub"].as_str().unwrap();
        match all.customers.get(&(issuer.to_owned(), subject.to_owned())) {
            Some(customer) if issuer == "vendor" => {
                assert_eq!(claims["mid"], customer.merchant_id, "{name}");
                assert_eq!(claims["aid"], customer.id, "{name}");
            }
            Some(_) => assert!(claims.get("aud").is_none(), "{name}"),
            None => assert!(
                ["unknown-customer", "free-item-newcomer", "merchant"].contains(&name.as_str()),
                "{name}"
            ),
        }
        if issuer == "vendor" {
            let merchant = &all.merchants[&claims["mid"].as_i64().unwrap()];
            assert_eq!(claims["mui"], merchant.uuid.as_str(), "{name}");
        }
        if let Some(client) = claims["client_id"].as_str() {
            assert!(clients.contains(client), "{name}");
        }
        let expect = (persona["expect"]["access"].as_u64(), persona["expect"]["license"].as_u64());
        match expect {
            (Some(200 | 402), Some(200)) => {
                assert!(all.items[&persona["item_id"].as_i64().unwrap()].is_active, "{name}");
            }
            (Some(404), Some(200)) | (Some(401), Some(401)) => {}
            other => panic!("{name}: expects {other:?}"),
        }
        assert!(names.insert(name.clone()), "{name} twice");
    }
    for name in [
        "subscriber",
        "item-buyer",
        "package-owner",
        "expired",
        "never-bought",
        "unknown-customer",
        "licence-overdue",
        "licence-cancelled",
        "lifetime",
        "starts-tomorrow",
        "test-mode-client",
        "live-client-of-test-app",
        "other-merchants-customer",
        "merchant",
        "free-item-viewer",
        "inactive-item",
        "expired-token",
        "cognito-viewer",
    ] {
        assert!(names.contains(name), "no {name}");
    }
}
