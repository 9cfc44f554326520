//! The records that a read concerns: those on which its answer can depend, and only the necessary part of
//! each.
//!
//! Strangers send reads, so the cost of a read must not grow with the size of a package, a list of fees or
//! the catalogue. A page of a package loads only that page; a check loads which packages and licences lead to
//! the item, not their other members.

use std::collections::BTreeSet;

use admit::{
    api::{contract::Route, reply::Request},
    app::{MemberWindow, member_page},
    snapshot::schema::{Item, License, Line},
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
            Some(Route::Access(id)) => concerned.check(edge, request, id.number())?,
            Some(Route::License) => concerned.licenses(edge, request)?,
            Some(Route::PackageItems(id)) => concerned.members(id.number(), request.query)?,
            Some(Route::Item(id) | Route::MerchantItem(_, id) | Route::Package(id)) => {
                concerned.item_alone(id.number(), Fees::None)?
            }
            Some(Route::ExternalItem(name)) => {
                for id in name.decoded().map_or(Ok(Vec::new()), |(item_type, id)| {
                    external_ids::items(connection, item_type, &id)
                })? {
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

    /// A check: the item, the packages and licences that lead to it, and the customer's accesses to those.
    fn check(
        &mut self,
        edge: &EdgeParts,
        request: &Request<'_>,
        item_id: Option<i64>,
    ) -> Result<(), DbError> {
        // The service answers a token that is refused; such a request needs no records.
        let Ok(token) = edge.verify(request) else { return Ok(()) };
        let principal = &token.principal;
        let key = records::customer_key(self.connection, &principal.namespace, &principal.subject)?;
        let item_id = item_id.unwrap_or_default();
        let customer = key.map(|key| records::customer_of_item(self.connection, key, item_id)).transpose()?;
        self.lines.extend(customer.flatten().map(Line::Customer));
        let mut apps = BTreeSet::new();
        if let Some(client_id) = &principal.client_id {
            apps.extend(self.ids::<String>(APP_OF_CLIENT, client_id)?);
        }
        if let Some(item) = self.item(Some(item_id), Fees::None)? {
            self.leading_to(&item, &mut apps)?;
            self.lines.push(Line::Item(item));
        }
        self.apps(apps)
    }

    /// Adds the packages and licences that lead to an item, and notes the licences' apps.
    fn leading_to(&mut self, item: &Item, apps: &mut BTreeSet<String>) -> Result<(), DbError> {
        let packages = self.ids::<i64>(PACKAGES_OF, item.id)?;
        self.lines.extend(packages.iter().map(|id| Line::Item(link(*id, item))));
        for license_id in self.ids::<String>(LICENSES_OF, item.id)? {
            let Some(license) = records::license_alone(self.connection, &license_id)? else { continue };
            apps.insert(license.app_id.clone());
            // A licence that includes a package with the item is reduced to the item itself; the decision is
            // the same.
            self.lines.push(Line::License(License { item_ids: vec![item.id], ..license }));
        }
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
const LICENSES_OF_APP: &str =
    "SELECT id FROM licenses WHERE app_id = (SELECT app_id FROM clients WHERE client_id = ?1)";

/// A package reduced to its number and one member, which is enough for a check of that member.
fn link(package_id: i64, member: &Item) -> Item {
    Item {
        id: package_id,
        title: String::new(),
        content: String::new(),
        metadata: Default::default(),
        fees: Vec::new(),
        item_ids: vec![member.id],
        ..member.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db,
        service::job::{Caller, Job},
        settings::Settings,
    };

    /// An origin whose package 1 has `count` members with ten fees each: items 10, 11 and so on, of which
    /// every seventh is inactive. Package 2 has only the first member, and a licence includes package 1.
    struct Shop {
        connection: Connection,
        edge: EdgeParts,
    }

    impl Shop {
        fn new(count: i64) -> Self {
            let connection = db::in_memory();
            connection
                .execute_batch(&format!(
                    r#"INSERT INTO merchants VALUES (1, '3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934', 'm');
                    INSERT INTO access_types VALUES (5, 1, 'ppv', 1, 'day', 0, 0);
                    INSERT INTO apps VALUES ('app', 1, 'App', 'plan');
                    INSERT INTO licenses VALUES ('304908b5-0000-4000-8000-000000000001', 'app', 'L', 'L', '', 0, 'live', 0, '[]', NULL);
                    CREATE TEMP VIEW template AS SELECT 1 AS merchant_id, '{{"id":4,"name":"Paid","auth":true}}' AS control,
                        '[{{"id":1,"name":"k","value":"v"}}]' AS metadata;
                    WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 9 + {count})
                    INSERT INTO items SELECT id, 1, 'title', id % 7 <> 0 OR id < 10, id < 10, control,
                        CASE WHEN id < 10 THEN '{{"id":1,"name":"package","content_type":"package","host":"inplayer","description":"Package"}}'
                        ELSE '{{"id":2,"name":"jw_asset","content_type":"ovp","host":"inplayer","description":"JW"}}' END,
                        NULL, '[]', 'content', 0, NULL, NULL, 0, 0 FROM n, template;
                    INSERT INTO package_items SELECT 1, id - 10, id FROM items WHERE id >= 10;
                    INSERT INTO package_items VALUES (2, 0, 10);
                    INSERT INTO license_items VALUES ('304908b5-0000-4000-8000-000000000001', 0, 1);
                    WITH RECURSIVE n(fee) AS (SELECT 1 UNION ALL SELECT fee + 1 FROM n WHERE fee < 10)
                    INSERT INTO fees SELECT items.id, fee, fee, '1', 'EUR', '', 5, NULL, NULL, NULL, NULL, NULL, 0, 0, 0
                        FROM items, n;"#
                ))
                .unwrap();
            let settings = Settings::new("".into(), "https://origin.example".to_owned());
            crate::tokens::keys::Signer::current(&connection, 0).unwrap();
            let edge = super::super::edge_of(&settings, &connection).unwrap();
            Self { connection, edge }
        }

        fn concerned(&self, path: &str, query: &str) -> Concerned<'_> {
            let request = Request { method: "GET", path, query, ..Request::default() };
            Concerned::by(&self.edge, &self.connection, &request).unwrap()
        }
    }

    /// How much was loaded: the lines, and the fees, members and accesses within each.
    fn loaded(lines: &[Line]) -> usize {
        let of = |line: &Line| match line {
            Line::Item(item) => 1 + item.item_ids.len() + item.fees.len(),
            Line::License(license) => 1 + license.item_ids.len(),
            Line::Customer(customer) => 1 + customer.accesses.len() + customer.licenses.len(),
            _ => 1,
        };
        lines.iter().map(of).sum()
    }

    #[test]
    fn a_page_costs_the_same_of_a_large_package_as_of_a_small_one() {
        let (small, large) = (Shop::new(1_000), Shop::new(2_000));
        for (path, query, expected) in [
            // The merchant, the package, and for each member of the page its number and its record.
            ("/items/packages/1/items", "limit=10", 1 + 1 + 2 * 10),
            ("/items/packages/1/items", "limit=100&page=3", 1 + 1 + 2 * 100),
            ("/items/packages/1/items", "page=4294967295&limit=100", 1 + 1),
            ("/items/packages/1/items", "page=x", 0),
            ("/items/packages/1", "", 2),
            ("/items/1", "", 2),
            // The merchant, the item with its fees, and the access type that all of them sell.
            ("/items/1/access-fees", "", 2 + 10 + 1),
            ("/v2/items/1/access-fees/3", "", 2 + 1 + 1),
            ("/items/77777777", "", 0),
        ] {
            let counts = [&small, &large].map(|shop| loaded(&shop.concerned(path, query).lines));
            assert_eq!(counts, [expected; 2], "{path}?{query}");
        }
    }

    /// Every write to an item loads it first, under the lock that all merchants' writes wait for.
    #[test]
    fn a_write_costs_the_same_of_a_large_package_as_of_a_small_one() {
        let counts = [1_000, 2_000].map(|count| {
            let shop = Shop::new(count);
            let caller = Caller {
                merchant_id: 1,
                merchant_uuid: uuid::Uuid::nil(),
                name: "vendor\0editor".to_owned(),
            };
            let (request, fields) = (Request::default(), serde_json::Map::new());
            let transaction = shop.connection.unchecked_transaction().unwrap();
            let job = Job {
                db: &transaction,
                now: 0,
                caller: &caller,
                request: &request,
                fields: &fields,
                change: Default::default(),
            };
            loaded(&[Line::Item(job.item(1).unwrap())])
        });
        // The package and its fees.
        assert_eq!(counts, [1 + 10; 2]);
    }

    #[test]
    fn a_page_is_cut_from_the_active_members_in_their_order() {
        let shop = Shop::new(50);
        let active: Vec<i64> = (10..60).filter(|id| id % 7 != 0).collect();
        for (query, offset, limit) in
            [("limit=10", 0, 10), ("limit=10&page=2", 10, 10), ("page=9&limit=20", 160, 20)]
        {
            let concerned = shop.concerned("/items/packages/1/items", query);
            assert_eq!(concerned.window, Some(MemberWindow { offset, total: active.len() }));
            let package = concerned.lines.iter().find_map(|line| match line {
                Line::Item(item) if item.id == 1 => Some(&item.item_ids),
                _ => None,
            });
            let skipped = usize::try_from(offset).unwrap();
            let expected: Vec<_> = active.iter().copied().skip(skipped).take(limit).collect();
            assert_eq!(package, Some(&expected), "{query}");
        }
    }

    #[test]
    fn a_check_loads_the_links_and_not_a_packages_other_members() {
        let counts = [1_000, 2_000].map(|count| {
            let shop = Shop::new(count);
            let item = records::item_alone(&shop.connection, 10).unwrap().unwrap();
            let mut concerned = Concerned { connection: &shop.connection, lines: Vec::new(), window: None };
            concerned.leading_to(&item, &mut BTreeSet::new()).unwrap();
            loaded(&concerned.lines)
        });
        // Two packages and a licence, each reduced to the item of the check.
        assert_eq!(counts, [3 * 2; 2]);
    }
}
