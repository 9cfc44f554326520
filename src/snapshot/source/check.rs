//! What one line of the catalogue cannot show: references from line to line, and what must be unique over all
//! of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Display},
};

use super::{
    catalogue::Catalogue,
    customer::is_never,
    problems::{Located, Location, Problem, Problems},
};
use crate::snapshot::schema::{AccessFee, App, GeoRestriction, Item, License};

impl Catalogue {
    /// Checks every reference within the catalogue. Its times have been resolved.
    pub fn check(&self, problems: &mut Problems) {
        let mut report = Report { catalogue: self, problems };
        report.check_merchants();
        report.check_apps();
        for access_type in self.access_types.values() {
            report.merchant("account_id", access_type.value.account_id, &access_type.at);
        }
        for license in self.licenses.values() {
            report.check_license(license);
        }
        for item in self.items.values() {
            report.check_item(item);
        }
    }

    /// Whether a line was there that could not be read. It is an error already.
    pub(super) fn is_unreadable(&self, kind: &str, id: &impl ToString) -> bool {
        // Almost always there are none, and then nothing needs to be written down.
        !self.unreadable.is_empty() && self.unreadable.contains(&(kind.to_owned(), id.to_string()))
    }

    /// The merchant of an app, if both are there.
    pub(super) fn app_merchant(&self, app_id: &str) -> Option<i64> {
        let merchant_id = self.apps.get(app_id)?.value.merchant_id;
        self.merchants.contains_key(&merchant_id).then_some(merchant_id)
    }
}

struct Report<'a> {
    catalogue: &'a Catalogue,
    problems: &'a mut Problems,
}

impl Report<'_> {
    fn error(&mut self, at: &Location, field: impl Into<String>, message: impl Into<String>) {
        self.problems.error(at, Problem::new(field, message));
    }

    fn is_unreadable(&self, kind: &str, id: &impl Display) -> bool {
        self.catalogue.is_unreadable(kind, id)
    }

    fn merchant(&mut self, field: &str, id: i64, at: &Location) {
        if !self.catalogue.merchants.contains_key(&id) && !self.is_unreadable("merchant", &id) {
            self.error(at, field, format!("expected a merchant's id, there is no merchant {id}"));
        }
    }

    fn check_merchants(&mut self) {
        let mut uuids = BTreeMap::new();
        for (id, merchant) in &self.catalogue.merchants {
            let uuid = merchant.value.uuid;
            if let Some(first) = uuids.insert(uuid, id) {
                self.error(&merchant.at, "uuid", format!("{uuid} again; merchant {first} has it"));
            }
        }
    }

    fn check_apps(&mut self) {
        let mut clients = BTreeMap::new();
        for Located { value: App { id, merchant_id, clients: own, .. }, at } in self.catalogue.apps.values() {
            self.merchant("merchant_id", *merchant_id, at);
            for (position, client) in own.iter().enumerate() {
                let field = format!("clients[{position}].client_id");
                let client_id = &client.client_id;
                if client_id.is_empty() {
                    self.error(at, &field, "expected text, found none");
                }
                if let Some(first) = clients.insert(client_id, id) {
                    self.error(at, field, format!("{client_id:?} again; app {first:?} has it"));
                }
            }
        }
    }

    /// References to items from a list, all of which must be the same merchant's.
    fn check_item_ids(&mut self, item_ids: &[i64], merchant_id: Option<i64>, at: &Location) {
        self.unique(item_ids.iter(), |position| format!("item_ids[{position}]"), at);
        for (position, id) in item_ids.iter().enumerate() {
            let field = format!("item_ids[{position}]");
            match self.catalogue.items.get(id) {
                None if self.is_unreadable("item", id) => {}
                None => self.error(at, field, format!("expected an item's id, there is no item {id}")),
                Some(item) if merchant_id.is_some_and(|merchant| merchant != item.value.merchant_id) => {
                    let owner = item.value.merchant_id;
                    self.error(
                        at,
                        field,
                        format!("expected the same merchant's item, item {id} is merchant {owner}'s"),
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// Reports values that a list has twice. `place` makes the field of a position.
    fn unique<T: Ord + Debug>(
        &mut self,
        values: impl Iterator<Item = T>,
        place: impl Fn(usize) -> String,
        at: &Location,
    ) {
        for (position, message) in repeated(values) {
            self.error(at, place(position), message);
        }
    }

    fn check_license(&mut self, license: &Located<License>) {
        let Located { value: License { app_id, item_ids, .. }, at } = license;
        let merchant_id = self.catalogue.app_merchant(app_id);
        if !self.catalogue.apps.contains_key(app_id)
            && !self.is_unreadable("app", &app_id.to_ascii_lowercase())
        {
            self.error(at, "app_id", format!("expected an app's id, there is no app {app_id:?}"));
        }
        self.check_item_ids(item_ids, merchant_id, at);
    }

    fn check_item(&mut self, located: &Located<Item>) {
        let Located { value: item, at } = located;
        self.path_id("id", item.id, at);
        self.merchant("merchant_id", item.merchant_id, at);
        if !item.is_package() && !item.item_ids.is_empty() {
            let name = &item.item_type.name;
            self.error(at, "item_ids", format!("expected members of a package only, this is a {name:?}"));
        }
        self.check_item_ids(&item.item_ids, Some(item.merchant_id), at);
        for (position, id) in item.item_ids.iter().enumerate() {
            if self.catalogue.items.get(id).is_some_and(|member| member.value.is_package()) {
                let field = format!("item_ids[{position}]");
                self.error(at, field, format!("expected an item that is no package, item {id} is one"));
            }
        }
        self.unique(item.fees.iter().map(|fee| fee.id), |position| format!("fees[{position}].id"), at);
        for (position, fee) in item.fees.iter().enumerate() {
            self.path_id(&format!("fees[{position}].id"), fee.id, at);
            self.check_fee(fee, &format!("fees[{position}]"), item, at);
        }
    }

    /// Checks a number by which clients ask. No path leads to 0 or less, and JavaScript rounds what is larger.
    fn path_id(&mut self, field: &str, id: i64, at: &Location) {
        const LARGEST_JS_INTEGER: i64 = (1 << 53) - 1;
        if !(1..=LARGEST_JS_INTEGER).contains(&id) {
            self.error(at, field, format!("expected a number from 1 to {LARGEST_JS_INTEGER}, found {id}"));
        }
    }

    fn check_fee(&mut self, fee: &AccessFee, path: &str, item: &Item, at: &Location) {
        let (id, field) = (fee.access_type_id, format!("{path}.access_type_id"));
        match self.catalogue.access_types.get(&id) {
            None if self.is_unreadable("access_type", &id) => {}
            None => {
                self.error(at, field, format!("expected an access type's id, there is no access type {id}"));
            }
            Some(access_type) if access_type.value.account_id != item.merchant_id => {
                let owner = access_type.value.account_id;
                let found = format!("access type {id} is merchant {owner}'s");
                self.error(at, field, format!("expected the same merchant's access type, {found}"));
            }
            Some(_) => {}
        }
        if let Some(GeoRestriction { country_iso, country_set_id, .. }) = &fee.geo_restriction
            && country_iso.is_some() == country_set_id.is_some()
        {
            let found = if country_iso.is_some() { "both" } else { "neither" };
            self.error(
                at,
                format!("{path}.geo_restriction"),
                format!("expected either country_iso or country_set_id, found {found}"),
            );
        }
        // The catalogue's times are resolved: any moment will do.
        if is_never(fee.starts_at, fee.expires_at, 0) {
            let problem =
                Problem::new(format!("{path}.expires_at"), "not after starts_at: this is never sold");
            self.problems.warn(at, problem);
        }
    }
}

/// The positions of values that came before, and what to say of each.
fn repeated<T: Ord + Debug>(values: impl Iterator<Item = T>) -> Vec<(usize, String)> {
    let mut seen = BTreeSet::new();
    let mut repeated = Vec::new();
    for (position, value) in values.enumerate() {
        if seen.contains(&value) {
            repeated.push((position, format!("{value:?} again in the same list")));
        } else {
            seen.insert(value);
        }
    }
    repeated
}
