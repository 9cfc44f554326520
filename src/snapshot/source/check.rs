//! What one line cannot show: references from line to line, and what must be unique over all of them.
//!
//! What is odd about a customer's accesses and licences is a warning: it grants nothing, or nothing more, and
//! one stale record must not keep every other customer's news from the edge. All else is an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Display},
};

use uuid::Uuid;

use super::{LineError, Lines, Located, Location, Problem};
use crate::snapshot::{
    schema::{Access, AccessFee, App, Customer, CustomerLicense, GeoRestriction, Item, License},
    time::{Timestamp, UnixSecs, ZonedTime},
};

impl Lines {
    /// Checks every reference from line to line, where the data is published at `now`. Call it once, after
    /// the last file; errors and warnings are then in the order of their lines.
    pub fn check(&mut self, now: UnixSecs) {
        let mut report = Report { lines: self, now, errors: Vec::new(), warnings: Vec::new() };
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
        for customer in self.customers.values() {
            report.check_customer(customer);
        }
        let Report { errors, warnings, .. } = report;
        self.errors.extend(errors);
        self.warnings.extend(warnings);
        // A stable sort: what is wrong with one line stays in the order of its fields.
        self.errors.sort_by(|left, right| left.at.cmp(&right.at));
        self.warnings.sort_by(|left, right| left.at.cmp(&right.at));
    }
}

struct Report<'a> {
    lines: &'a Lines,
    now: UnixSecs,
    errors: Vec<LineError>,
    warnings: Vec<LineError>,
}

impl Report<'_> {
    fn error(&mut self, at: &Location, field: impl Into<String>, message: impl Into<String>) {
        self.errors.push(LineError { at: at.clone(), problem: Problem::new(field, message) });
    }

    fn warn(&mut self, at: &Location, field: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(LineError { at: at.clone(), problem: Problem::new(field, message) });
    }

    /// Whether a line was there that could not be read. It is an error already.
    fn is_unreadable(&self, kind: &str, id: &impl Display) -> bool {
        self.lines.unreadable.contains(&(kind.to_owned(), id.to_string()))
    }

    fn merchant(&mut self, field: &str, id: i64, at: &Location) {
        if !self.lines.merchants.contains_key(&id) && !self.is_unreadable("merchant", &id) {
            self.error(at, field, format!("expected a merchant's id, there is no merchant {id}"));
        }
    }

    /// The merchant of an app, if both are there.
    fn app_merchant(&self, app_id: &str) -> Option<i64> {
        let merchant_id = self.lines.apps.get(app_id)?.value.merchant_id;
        self.lines.merchants.contains_key(&merchant_id).then_some(merchant_id)
    }

    fn check_merchants(&mut self) {
        let mut uuids = BTreeMap::new();
        for (id, merchant) in &self.lines.merchants {
            let uuid = merchant.value.uuid;
            if let Some(first) = uuids.insert(uuid, id) {
                self.error(&merchant.at, "uuid", format!("{uuid} again; merchant {first} has it"));
            }
        }
    }

    fn check_apps(&mut self) {
        let mut clients = BTreeMap::new();
        for Located { value: App { id, merchant_id, clients: own, .. }, at } in self.lines.apps.values() {
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
            match self.lines.items.get(id) {
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
        let merchant_id = self.app_merchant(app_id);
        if !self.lines.apps.contains_key(app_id) && !self.is_unreadable("app", &app_id.to_ascii_lowercase()) {
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
            if self.lines.items.get(id).is_some_and(|member| member.value.is_package()) {
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
        match self.lines.access_types.get(&id) {
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
        self.period(fee.starts_at, fee.expires_at, path, "is never sold", at);
    }

    fn check_customer(&mut self, located: &Located<Customer>) {
        let Located { value: customer, at } = located;
        self.merchant("merchant_id", customer.merchant_id, at);
        for (position, message) in repeated(customer.accesses.iter().map(|access| access.id)) {
            self.warn(at, format!("accesses[{position}].id"), message);
        }
        for (position, access) in customer.accesses.iter().enumerate() {
            self.check_access(access, &format!("accesses[{position}]"), customer.merchant_id, at);
        }
        for (position, license) in customer.licenses.iter().enumerate() {
            self.check_held(license, &format!("licenses[{position}]"), customer.merchant_id, at);
        }
    }

    fn check_access(&mut self, access: &Access, path: &str, merchant_id: i64, at: &Location) {
        let (id, field) = (access.item_id, format!("{path}.item_id"));
        match self.lines.items.get(&id) {
            None if self.is_unreadable("item", &id) => {}
            None => self.warn(at, field, format!("there is no item {id}: this grants nothing")),
            Some(item) if item.value.merchant_id != merchant_id => {
                self.warn(at, field, format!("item {id} is another merchant's: this grants nothing"));
            }
            Some(_) => {}
        }
        self.period(access.starts_at, access.expires_at, path, "grants nothing", at);
    }

    fn check_held(&mut self, held: &CustomerLicense, path: &str, merchant_id: i64, at: &Location) {
        let field = format!("{path}.license_id");
        match Uuid::try_parse(&held.license_id) {
            Err(_) => self.error(at, field, format!("expected a UUID, found {:?}", held.license_id)),
            Ok(id) => match self.lines.licenses.get(&id).map(|license| &license.value.app_id) {
                None if self.is_unreadable("license", &id) => {}
                None => self.warn(at, field, format!("there is no licence {id}: this grants nothing")),
                Some(app_id) if self.app_merchant(app_id).is_some_and(|owner| owner != merchant_id) => {
                    self.warn(at, field, format!("licence {id} is another merchant's: this grants nothing"));
                }
                Some(_) => {}
            },
        }
        let zoned = [
            ("renews_on", held.renews_on),
            ("billing_cycle_anchor", held.billing_cycle_anchor),
            ("date_added", Some(held.date_added)),
        ];
        for (name, moment) in zoned {
            if moment.is_some_and(|moment| !is_expressible(moment, self.now)) {
                self.error(at, format!("{path}.{name}"), "expected a moment of the years 1 to 9999");
            }
        }
        self.period(held.starts_at, held.expires_at, path, "grants nothing", at);
    }

    /// An end that is not after its start makes a period that never comes. Real data has such records, and
    /// they do no harm.
    fn period(
        &mut self,
        starts_at: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        path: &str,
        consequence: &str,
        at: &Location,
    ) {
        let (Some(starts_at), Some(expires_at)) = (starts_at, expires_at) else { return };
        if expires_at.resolve(self.now) <= starts_at.resolve(self.now) {
            let message = format!("not after starts_at: this {consequence}");
            self.warn(at, format!("{path}.expires_at"), message);
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

/// Whether answers can show the moment: RFC 3339 has four digits for the year.
fn is_expressible(moment: ZonedTime, now: UnixSecs) -> bool {
    // A day less at both ends, so that no offset carries the moment over them.
    let range = -62_135_510_400..253_402_214_400;
    let at = moment.at.resolve(now);
    range.contains(&at)
}
