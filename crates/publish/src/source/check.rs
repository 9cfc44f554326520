//! Checks that concern several lines of the catalogue: references between them, and values that must be
//! unique.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use admit_snapshot::{
    external_id::is_external_id,
    limits::{EXTERNAL_ID_ITEMS_MAX, EXTERNAL_ID_MAX_BYTES},
    schema::{AccessFee, App, GeoRestriction, Item, License},
};

use super::{
    catalogue::Catalogue,
    customer::is_never,
    problems::{Located, Location, Problem, Problems},
    set_aside::{About, RecordKey},
};
use crate::build::{ExternalIds, Shared};

/// A problem with a record of the catalogue.
pub(super) struct Finding {
    /// The record with the problem.
    pub key: RecordKey,
    pub at: Location,
    pub problem: Problem,
    /// The record that it refers to, if that does not exist.
    pub missing: Option<MissingRecord>,
}

/// A record that is referred to but does not exist.
pub(super) struct MissingRecord {
    pub key: RecordKey,
    /// Whether the reference stands in a list, so that the record can be published without it.
    pub is_in_list: bool,
}

impl Catalogue {
    /// Checks all references within the catalogue, whose times have been resolved. References to records that
    /// are set aside are not reported, because those records are reported themselves.
    pub fn check(&self, problems: &mut Problems) {
        for Finding { key, at, problem, missing } in self.findings(None) {
            if !missing.is_some_and(|missing| self.set_aside.contains(&missing.key)) {
                problems.error(&at, About::key(key), problem);
            }
        }
        self.warn(problems);
    }

    /// All problems with records. `before` is the published catalogue: if two records contradict each other,
    /// the one that has not changed counts as right.
    pub(super) fn findings(&self, before: Option<&Self>) -> Vec<Finding> {
        let mut check = Check { catalogue: self, before, findings: Vec::new() };
        check.merchants();
        check.apps();
        for (id, access_type) in &self.access_types {
            let (key, value) = (RecordKey::AccessType(*id), &access_type.value);
            check.merchant("account_id", value.account_id, &key, &access_type.at);
        }
        for (id, license) in &self.licenses {
            check.license(&RecordKey::License(*id), license);
        }
        for item in self.items.values() {
            check.item(item);
        }
        check.external_ids();
        check.findings
    }

    /// Whether any record has a problem.
    pub(crate) fn is_wrong(&self) -> bool {
        !self.findings(None).is_empty()
    }

    /// Warns of harmless oddities in the catalogue.
    pub(crate) fn warn(&self, problems: &mut Problems) {
        for id in ExternalIds::of(self).left_out() {
            if let Some(Located { at, .. }) = self.items.get(&id) {
                let message = format!(
                    "item {id} is not found by its media id, which {EXTERNAL_ID_ITEMS_MAX} other items of the merchant have"
                );
                problems.warn(at, Problem::new("content", message));
            }
        }
        for Located { value: item, at } in self.items.values() {
            for (position, fee) in item.fees.iter().enumerate() {
                // All times of the catalogue are absolute by now, so any moment will do.
                if is_never(fee.starts_at, fee.expires_at, 0) {
                    let field = format!("fees[{position}].expires_at");
                    problems.warn(at, Problem::new(field, "not after starts_at: this is never sold"));
                }
            }
        }
    }

    /// The merchant of an app, if both exist.
    pub(super) fn app_merchant(&self, app_id: &str) -> Option<i64> {
        let merchant_id = self.apps.get(app_id)?.value.merchant_id;
        self.merchants.contains_key(&merchant_id).then_some(merchant_id)
    }
}

struct Check<'a> {
    catalogue: &'a Catalogue,
    before: Option<&'a Catalogue>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn error(
        &mut self,
        key: &RecordKey,
        at: &Location,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let problem = Problem::new(field, message);
        self.findings.push(Finding { key: key.clone(), at: at.clone(), problem, missing: None });
    }

    fn missing(
        &mut self,
        key: &RecordKey,
        at: &Location,
        field: impl Into<String>,
        message: impl Into<String>,
        missing: MissingRecord,
    ) {
        let problem = Problem::new(field, message);
        self.findings.push(Finding { key: key.clone(), at: at.clone(), problem, missing: Some(missing) });
    }

    fn merchant(&mut self, field: &str, id: i64, key: &RecordKey, at: &Location) {
        if !self.catalogue.merchants.contains_key(&id) {
            let message = format!("unknown merchant {id}");
            let missing = MissingRecord { key: RecordKey::Merchant(id), is_in_list: false };
            self.missing(key, at, field, message, missing);
        }
    }

    fn merchants(&mut self) {
        let mut uuids = BTreeMap::new();
        for (id, merchant) in &self.catalogue.merchants {
            let uuid = merchant.value.uuid;
            let Some(first) = uuids.insert(uuid, *id) else { continue };
            let had = |id| {
                let before = self.before.and_then(|before| before.merchants.get(&id));
                before.is_some_and(|merchant| merchant.value.uuid == uuid)
            };
            // The merchant that had the UUID before keeps it; without such evidence, the first in order does.
            let (wrong, right) = if had(*id) && !had(first) { (first, *id) } else { (*id, first) };
            let at = self.catalogue.merchants.get(&wrong).map_or(&merchant.at, |merchant| &merchant.at);
            let message = format!("duplicate UUID {uuid}, which merchant {right} has");
            self.error(&RecordKey::Merchant(wrong), at, "uuid", message);
        }
    }

    fn apps(&mut self) {
        let mut clients: BTreeMap<&str, &Located<App>> = BTreeMap::new();
        for app in self.catalogue.apps.values() {
            let Located { value: App { id, merchant_id, clients: own, .. }, at } = app;
            let key = RecordKey::App(id.clone());
            self.merchant("merchant_id", *merchant_id, &key, at);
            for (position, client) in own.iter().enumerate() {
                let field = format!("clients[{position}].client_id");
                let client_id = client.client_id.as_str();
                if client_id.is_empty() {
                    self.error(&key, at, &field, "expected text, found an empty text");
                }
                let Some(first) = clients.insert(client_id, app) else { continue };
                let had = |id: &str| {
                    let before = self.before.and_then(|before| before.apps.get(id));
                    before.is_some_and(|app| {
                        app.value.clients.iter().any(|client| client.client_id == client_id)
                    })
                };
                let first_id = &first.value.id;
                if had(id) && !had(first_id) {
                    let field = position_of(&first.value, client_id);
                    let message = format!("duplicate client {client_id:?}, which app {id:?} has");
                    self.error(&RecordKey::App(first_id.clone()), &first.at, field, message);
                } else {
                    let message = format!("duplicate client {client_id:?}, which app {first_id:?} has");
                    self.error(&key, at, field, message);
                }
            }
        }
    }

    /// Checks a list of references to items, which must all belong to the same merchant.
    fn item_ids(&mut self, item_ids: &[i64], merchant_id: Option<i64>, key: &RecordKey, at: &Location) {
        self.unique(item_ids.iter(), |position| format!("item_ids[{position}]"), key, at);
        for (position, id) in item_ids.iter().enumerate() {
            let field = format!("item_ids[{position}]");
            match self.catalogue.items.get(id) {
                None => {
                    let missing = MissingRecord { key: RecordKey::Item(*id), is_in_list: true };
                    let message = format!("unknown item {id}");
                    self.missing(key, at, field, message, missing);
                }
                Some(item) if merchant_id.is_some_and(|merchant| merchant != item.value.merchant_id) => {
                    let owner = item.value.merchant_id;
                    let message =
                        format!("expected an item of the same merchant, but item {id} is merchant {owner}'s");
                    self.error(key, at, field, message);
                }
                Some(_) => {}
            }
        }
    }

    /// Reports values that a list holds more than once. `place` returns the field of a position.
    fn unique<T: Ord + Debug>(
        &mut self,
        values: impl Iterator<Item = T>,
        place: impl Fn(usize) -> String,
        key: &RecordKey,
        at: &Location,
    ) {
        for (position, message) in repeated(values) {
            self.error(key, at, place(position), message);
        }
    }

    fn license(&mut self, key: &RecordKey, license: &Located<License>) {
        let Located { value: License { app_id, item_ids, .. }, at } = license;
        let merchant_id = self.catalogue.app_merchant(app_id);
        if !self.catalogue.apps.contains_key(app_id) {
            let missing = MissingRecord { key: RecordKey::App(app_id.clone()), is_in_list: false };
            let message = format!("unknown app {app_id:?}");
            self.missing(key, at, "app_id", message, missing);
        }
        self.item_ids(item_ids, merchant_id, key, at);
    }

    /// Checks that no two active items of a merchant and type have one `external_asset_id`.
    fn external_ids(&mut self) {
        for Shared { found, other, .. } in ExternalIds::declared(self.catalogue).shared() {
            let external = |catalogue: &Catalogue, id| {
                let item = catalogue.items.get(&id).filter(|item| item.value.is_active)?;
                Some((item.value.item_type.name.clone(), item.value.external_asset_id.clone()?))
            };
            let Some((item_type, id)) = external(self.catalogue, other) else { continue };
            let had = |item| {
                self.before.and_then(|before| external(before, item)) == Some((item_type.clone(), id.clone()))
            };
            // The item that had the id before keeps it; without such evidence, the one with the lower number does.
            let (wrong, right) = if had(other) && !had(found) { (found, other) } else { (other, found) };
            let Some(at) = self.catalogue.items.get(&wrong).map(|item| item.at.clone()) else { continue };
            let message =
                format!("duplicate external id {id:?} of type {item_type:?}, which item {right} has");
            self.error(&RecordKey::Item(wrong), &at, "external_asset_id", message);
        }
    }

    fn item(&mut self, located: &Located<Item>) {
        let Located { value: item, at } = located;
        let key = &RecordKey::Item(item.id);
        self.path_id("id", item.id, key, at);
        if let Some(id) = item.external_asset_id.as_deref().filter(|id| !is_external_id(id)) {
            let message = format!("expected at most {EXTERNAL_ID_MAX_BYTES} bytes, found {}", id.len());
            self.error(key, at, "external_asset_id", message);
        }
        self.merchant("merchant_id", item.merchant_id, key, at);
        if !item.is_package() && !item.item_ids.is_empty() {
            let name = &item.item_type.name;
            let message = format!("only a package may have members, and this is a {name:?}");
            self.error(key, at, "item_ids", message);
        }
        self.item_ids(&item.item_ids, Some(item.merchant_id), key, at);
        for (position, id) in item.item_ids.iter().enumerate() {
            if self.catalogue.items.get(id).is_some_and(|member| member.value.is_package()) {
                let field = format!("item_ids[{position}]");
                self.error(
                    key,
                    at,
                    field,
                    format!("expected an item that is not a package, but item {id} is one"),
                );
            }
        }
        self.unique(item.fees.iter().map(|fee| fee.id), |position| format!("fees[{position}].id"), key, at);
        for (position, fee) in item.fees.iter().enumerate() {
            self.path_id(&format!("fees[{position}].id"), fee.id, key, at);
            self.fee(fee, &format!("fees[{position}]"), item, at);
        }
    }

    /// Checks a number that clients use in paths. Paths cannot hold 0 or negative numbers, and JavaScript
    /// rounds numbers above 2^53 - 1.
    fn path_id(&mut self, field: &str, id: i64, key: &RecordKey, at: &Location) {
        const LARGEST_JS_INTEGER: i64 = (1 << 53) - 1;
        if !(1..=LARGEST_JS_INTEGER).contains(&id) {
            let message = format!("expected a number from 1 to {LARGEST_JS_INTEGER}, found {id}");
            self.error(key, at, field, message);
        }
    }

    fn fee(&mut self, fee: &AccessFee, path: &str, item: &Item, at: &Location) {
        let key = &RecordKey::Item(item.id);
        let (id, field) = (fee.access_type_id, format!("{path}.access_type_id"));
        match self.catalogue.access_types.get(&id) {
            None => {
                let missing = MissingRecord { key: RecordKey::AccessType(id), is_in_list: false };
                let message = format!("unknown access type {id}");
                self.missing(key, at, field, message, missing);
            }
            Some(access_type) if access_type.value.account_id != item.merchant_id => {
                let owner = access_type.value.account_id;
                let found = format!("but access type {id} is merchant {owner}'s");
                self.error(key, at, field, format!("expected an access type of the same merchant, {found}"));
            }
            Some(_) => {}
        }
        if let Some(GeoRestriction { country_iso, country_set_id, .. }) = &fee.geo_restriction
            && country_iso.is_some() == country_set_id.is_some()
        {
            let found = if country_iso.is_some() { "both" } else { "neither" };
            let message = format!("expected either country_iso or country_set_id, found {found}");
            self.error(key, at, format!("{path}.geo_restriction"), message);
        }
    }
}

/// The field in which an app names a client.
fn position_of(app: &App, client_id: &str) -> String {
    let position = app.clients.iter().position(|client| client.client_id == client_id);
    format!("clients[{}].client_id", position.unwrap_or_default())
}

/// The positions of repeated values, with a message for each.
fn repeated<T: Ord + Debug>(values: impl Iterator<Item = T>) -> Vec<(usize, String)> {
    let mut seen = BTreeSet::new();
    let mut repeated = Vec::new();
    for (position, value) in values.enumerate() {
        if seen.contains(&value) {
            repeated.push((position, format!("duplicate {value:?} in this list")));
        } else {
            seen.insert(value);
        }
    }
    repeated
}
