//! The records that a read concerns: those on which its answer can depend, and only the necessary part of
//! each.
//!
//! Strangers send reads, so the cost of a read must not grow with the size of a package, a list of fees or
//! the catalogue. A page of a package loads only that page; a check loads which packages and licences lead to
//! the item, not their other members.

use std::collections::{BTreeMap, BTreeSet};

use admit::{
    api::{contract::Route, reply::Request},
    app::{MemberWindow, member_page, merchant_uuid},
    snapshot::schema::{Item, License, Line},
    token::Principal,
};
use rusqlite::{Connection, ToSql, types::FromSql};

use super::edge::EdgeParts;
use crate::db::{DbError, external_ids, records};

/// The records that one read needs.
pub struct Concerned<'c> {
    connection: &'c Connection,
    /// The records, each once, in any order.
    pub lines: Vec<Line>,
    /// Which members of a package the records include, if the read asks for a page of members.
    pub window: Option<MemberWindow>,
}

/// Which fees of an item a read needs.
#[derive(Clone, Copy)]
enum Fees {
    None,
    All,
    One(i64),
}

impl<'c> Concerned<'c> {
    /// Loads the records that `request` concerns, as they are now.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn by(edge: &EdgeParts, connection: &'c Connection, request: &Request<'_>) -> Result<Self, DbError> {
        let mut concerned = Self { connection, lines: Vec::new(), window: None };
        match Route::parse(request.path).map(Route::as_read) {
            Some(Route::Access(id)) => {
                // The service answers a token that is refused; such a request needs no records.
                let Ok(token) = edge.verify(request) else { return Ok(concerned) };
                let item_ids = id.number().into_iter().collect();
                concerned.checks([(&token.principal, item_ids)])?;
            }
            Some(Route::License) => concerned.licenses(edge, request)?,
            Some(Route::UsedTrial(_)) => concerned.accesses(edge, request)?,
            Some(Route::Purchases) => concerned.purchases(edge, request)?,
            Some(Route::Entitlements(_)) => concerned.entitlements(edge, request)?,
            Some(Route::Plans(site)) => concerned.plans(site)?,
            Some(Route::PackageItems(id)) => concerned.members(id.number(), request.query)?,
            Some(Route::Item(id) | Route::MerchantItem(_, id) | Route::Package(id)) => {
                concerned.item_alone(id.number(), Fees::None)?
            }
            Some(Route::ExternalItem(name)) => {
                // The service reports an invalid name or merchant; such a request needs no records.
                let (Some((item_type, id)), Ok(merchant)) = (name.decoded(), merchant_uuid(request.query))
                else {
                    return Ok(concerned);
                };
                for id in external_ids::items(connection, item_type, &id, merchant)? {
                    concerned.item_alone(Some(id), Fees::None)?;
                }
            }
            Some(Route::Fees(id) | Route::FeesV2(id)) => concerned.item_alone(id.number(), Fees::All)?,
            Some(Route::Fee(id, fee_id)) => {
                concerned.item_alone(id.number(), fee_id.number().map_or(Fees::None, Fees::One))?
            }
            _ => {}
        }
        Ok(concerned)
    }

    /// Loads the records that checks of these items by these customers concern, as they are now.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn by_checks<'p>(
        connection: &'c Connection,
        checks: impl IntoIterator<Item = (&'p Principal, Vec<i64>)>,
    ) -> Result<Self, DbError> {
        let mut concerned = Self { connection, lines: Vec::new(), window: None };
        concerned.checks(checks)?;
        Ok(concerned)
    }

    /// Checks: the items, the packages and licences that lead to them, and the customers' accesses to those.
    fn checks<'p>(
        &mut self,
        checks: impl IntoIterator<Item = (&'p Principal, Vec<i64>)>,
    ) -> Result<(), DbError> {
        let (mut customers, mut apps) = (BTreeMap::<i64, BTreeSet<i64>>::new(), BTreeSet::new());
        let mut asked = BTreeSet::new();
        for (principal, item_ids) in checks {
            let key = records::customer_key(self.connection, &principal.namespace, &principal.subject)?;
            key.into_iter().for_each(|key| customers.entry(key).or_default().extend(&item_ids));
            if let Some(client_id) = &principal.client_id {
                apps.extend(self.ids::<String>(APP_OF_CLIENT, client_id)?);
            }
            asked.extend(item_ids);
        }
        for (key, item_ids) in customers {
            let customer = records::customer_of_items(self.connection, key, item_ids)?;
            self.lines.extend(customer.map(Line::Customer));
        }
        let mut items = BTreeMap::new();
        for id in asked {
            items.extend(self.item(Some(id), Fees::None)?.map(|item| (id, item)));
        }
        self.leading_to(items, &mut apps)?;
        self.apps(apps)
    }

    /// Adds items, and the packages and licences that lead to them, and notes the licences' apps.
    fn leading_to(
        &mut self,
        mut items: BTreeMap<i64, Item>,
        apps: &mut BTreeSet<String>,
    ) -> Result<(), DbError> {
        let mut licenses = BTreeMap::<String, License>::new();
        for id in items.keys().copied().collect::<Vec<_>>() {
            for package_id in self.ids::<i64>(PACKAGES_OF, id)? {
                // A package that is asked about itself is there already.
                let package = items.get(&id).map(|item| link(package_id, item));
                let package = package.map(|package| items.entry(package_id).or_insert(package));
                package.into_iter().for_each(|package| package.item_ids.push(id));
            }
            for license_id in self.ids::<String>(LICENSES_OF, id)? {
                if !licenses.contains_key(&license_id) {
                    let license = records::license_alone(self.connection, &license_id)?;
                    licenses.extend(license.map(|license| (license_id.clone(), license)));
                }
                // A licence that includes a package with the item is reduced to the item itself; the decision is
                // the same.
                licenses.get_mut(&license_id).into_iter().for_each(|license| license.item_ids.push(id));
            }
        }
        apps.extend(licenses.values().map(|license| license.app_id.clone()));
        self.lines.extend(items.into_values().map(Line::Item));
        self.lines.extend(licenses.into_values().map(Line::License));
        Ok(())
    }

    /// The customer's licences, and the licences of the app whose client asks.
    fn licenses(&mut self, edge: &EdgeParts, request: &Request<'_>) -> Result<(), DbError> {
        let Ok(token) = edge.verify(request) else { return Ok(()) };
        let principal = &token.principal;
        let key = records::customer_key(self.connection, &principal.namespace, &principal.subject)?;
        let customer = key.map(|key| records::customer_without_accesses(self.connection, key)).transpose()?;
        self.lines.extend(customer.flatten().map(Line::Customer));
        let Some(client_id) = &principal.client_id else { return Ok(()) };
        let apps: BTreeSet<_> = self.ids::<String>(APP_OF_CLIENT, client_id)?.into_iter().collect();
        for license_id in self.ids::<String>(LICENSES_OF_APP, client_id)? {
            let license = records::license_alone(self.connection, &license_id)?;
            self.lines.extend(license.map(Line::License));
        }
        self.apps(apps)
    }

    /// The customer with all accesses.
    fn accesses(&mut self, edge: &EdgeParts, request: &Request<'_>) -> Result<(), DbError> {
        let Ok(token) = edge.verify(request) else { return Ok(()) };
        let principal = &token.principal;
        let key = records::customer_key(self.connection, &principal.namespace, &principal.subject)?;
        let customer = key.map(|key| records::customer(self.connection, key)).transpose()?;
        self.lines.extend(customer.flatten().map(Line::Customer));
        Ok(())
    }

    /// The customer with all accesses, and the items to which these are, with the fees that were bought.
    fn purchases(&mut self, edge: &EdgeParts, request: &Request<'_>) -> Result<(), DbError> {
        self.accesses(edge, request)?;
        let customers = self.lines.iter().filter_map(|line| match line {
            Line::Customer(customer) => Some(customer),
            _ => None,
        });
        let items: BTreeSet<_> =
            customers.flat_map(|customer| &customer.accesses).map(|access| access.item_id).collect();
        items.into_iter().try_for_each(|id| self.item_alone(Some(id), Fees::All))
    }

    /// What `/license` needs, and the licences that the customer holds of other apps.
    fn entitlements(&mut self, edge: &EdgeParts, request: &Request<'_>) -> Result<(), DbError> {
        self.licenses(edge, request)?;
        let (mut held, mut known) = (BTreeSet::new(), BTreeSet::new());
        for line in &self.lines {
            match line {
                Line::Customer(customer) => {
                    held.extend(customer.licenses.iter().map(|license| license.license_id.clone()));
                }
                Line::License(license) => drop(known.insert(license.id.clone())),
                Line::App(app) => drop(known.insert(app.id.clone())),
                _ => {}
            }
        }
        let mut apps = BTreeSet::new();
        for id in held.difference(&known) {
            let Some(license) = records::license_alone(self.connection, id)? else { continue };
            apps.extend(Some(license.app_id.clone()).filter(|app| !known.contains(app)));
            self.lines.push(Line::License(license));
        }
        self.apps(apps)
    }

    /// The app that a site names, with its licences. Two apps if it names none: the only one would be meant.
    fn plans(&mut self, site: &str) -> Result<(), DbError> {
        let mut apps: BTreeSet<_> = self.ids::<String>(APPS_OF_SITE, site)?.into_iter().collect();
        if apps.is_empty() {
            apps.extend(self.ids::<String>(TWO_APPS, 2)?);
        }
        for app in &apps {
            for id in self.ids::<String>(ALL_LICENSES_OF, app)? {
                let license = records::license_alone(self.connection, &id)?;
                self.lines.extend(license.map(Line::License));
            }
        }
        self.apps(apps)
    }

    /// A package and one page of its members. Nothing if the page number is invalid, which the service
    /// reports.
    fn members(&mut self, id: Option<i64>, query: &str) -> Result<(), DbError> {
        let Some((offset, limit)) = member_page(query) else { return Ok(()) };
        let Some(mut package) = self.item(id, Fees::None)? else { return Ok(()) };
        let count = "SELECT count(*) FROM package_items JOIN items ON items.id = item_id
                     WHERE package_id = ?1 AND is_active";
        let total = self.connection.prepare_cached(count)?.query_row([package.id], |row| row.get(0))?;
        let page = "SELECT item_id FROM package_items JOIN items ON items.id = item_id
                    WHERE package_id = ?1 AND is_active ORDER BY position LIMIT ?2 OFFSET ?3";
        // An offset beyond SQLite's integers is behind every member.
        let offset_i64 = i64::try_from(offset).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        package.item_ids = self
            .connection
            .prepare_cached(page)?
            .query_map([package.id, limit, offset_i64], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for member in &package.item_ids {
            let member = records::item_alone(self.connection, *member)?;
            self.lines.extend(member.map(Line::Item));
        }
        self.lines.push(Line::Item(package));
        self.window = Some(MemberWindow { offset, total });
        Ok(())
    }

    /// Adds an item without its members, with its merchant and the access types of its fees.
    fn item_alone(&mut self, id: Option<i64>, fees: Fees) -> Result<(), DbError> {
        let item = self.item(id, fees)?;
        self.lines.extend(item.map(Line::Item));
        Ok(())
    }

    /// Loads an item without its members. Adds its merchant and access types to the lines, but not the item
    /// itself.
    fn item(&mut self, id: Option<i64>, fees: Fees) -> Result<Option<Item>, DbError> {
        let Some(id) = id else { return Ok(None) };
        let Some(mut item) = records::item_alone(self.connection, id)? else { return Ok(None) };
        item.fees = match fees {
            Fees::None => Vec::new(),
            Fees::All => records::fees(self.connection, id)?,
            Fees::One(fee_id) => records::fee(self.connection, id, fee_id)?.into_iter().collect(),
        };
        let sold: BTreeSet<_> = item.fees.iter().map(|fee| fee.access_type_id).collect();
        for access_type in sold {
            let access_type = records::access_type(self.connection, access_type)?;
            self.lines.extend(access_type.map(Line::AccessType));
        }
        let merchant = records::merchant(self.connection, item.merchant_id)?;
        self.lines.extend(merchant.map(Line::Merchant));
        Ok(Some(item))
    }

    fn apps(&mut self, apps: BTreeSet<String>) -> Result<(), DbError> {
        for app in apps {
            let app = records::app(self.connection, &app)?;
            self.lines.extend(app.map(Line::App));
        }
        Ok(())
    }

    /// The first column of the rows that `sql` selects for `of`.
    fn ids<Id: FromSql>(&self, sql: &str, of: impl ToSql) -> Result<Vec<Id>, DbError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let ids = statement.query_map([of], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(ids)
    }
}

const PACKAGES_OF: &str = "SELECT package_id FROM package_items WHERE item_id = ?1";
// Licences that include the item, or a package with the item.
const LICENSES_OF: &str = "SELECT license_id FROM license_items WHERE item_id = ?1 UNION SELECT license_id
                           FROM license_items JOIN package_items ON package_id = license_items.item_id
                           WHERE package_items.item_id = ?1";
const APP_OF_CLIENT: &str = "SELECT app_id FROM clients WHERE client_id = ?1";
const APPS_OF_SITE: &str = "SELECT id FROM apps WHERE id = ?1 OR plan_id = ?1
                            UNION SELECT app_id FROM clients WHERE client_id = ?1";
const TWO_APPS: &str = "SELECT id FROM apps LIMIT ?1";
const ALL_LICENSES_OF: &str = "SELECT id FROM licenses WHERE app_id = ?1";
const LICENSES_OF_APP: &str =
    "SELECT id FROM licenses WHERE app_id = (SELECT app_id FROM clients WHERE client_id = ?1)";

/// A package reduced to its number, which is enough for a check of a member. The caller adds the member.
fn link(package_id: i64, member: &Item) -> Item {
    Item {
        id: package_id,
        title: String::new(),
        content: String::new(),
        metadata: Default::default(),
        fees: Vec::new(),
        item_ids: Vec::new(),
        ..member.clone()
    }
}

#[cfg(test)]
mod tests;
