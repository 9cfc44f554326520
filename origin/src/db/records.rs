//! Reads records of the publish schema from the tables. Exports, the change feed and reads all load their
//! records here.

use admit::snapshot::{
    schema::{
        Access, AccessFee, AccessType, App, Client, Customer, CustomerLicense, Item, License, Line, Merchant,
    },
    time::Timestamp,
};
use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{DbError, from_json, from_json_or_null};

/// The name of a record of the publish schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ref {
    /// A merchant, by number.
    Merchant(i64),
    /// An app, by identifier.
    App(String),
    /// A licence, by UUID.
    License(String),
    /// An access type, by number.
    AccessType(i64),
    /// An item or package, by number.
    Item(i64),
    /// A customer, by the names in tokens.
    Customer {
        /// The issuer's namespace.
        namespace: String,
        /// The value of the claim that names the customer.
        subject: String,
    },
}

impl Ref {
    /// The record as it is now; `None` if it does not exist.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn load(&self, connection: &Connection) -> Result<Option<Line>, DbError> {
        Ok(match self {
            Self::Merchant(id) => merchant(connection, *id)?.map(Line::Merchant),
            Self::App(id) => app(connection, id)?.map(Line::App),
            Self::License(id) => license(connection, id)?.map(Line::License),
            Self::AccessType(id) => access_type(connection, *id)?.map(Line::AccessType),
            Self::Item(id) => item(connection, *id)?.map(Line::Item),
            Self::Customer { namespace, subject } => {
                let key = customer_key(connection, namespace, subject)?;
                key.map(|key| customer(connection, key)).transpose()?.flatten().map(Line::Customer)
            }
        })
    }

    /// The JSON that names the record in the log, and under `remove` in the feed.
    #[must_use]
    pub fn name(&self) -> Value {
        match self {
            Self::Merchant(id) => json!({"type": "merchant", "id": id}),
            Self::App(id) => json!({"type": "app", "id": id}),
            Self::License(id) => json!({"type": "license", "id": id}),
            Self::AccessType(id) => json!({"type": "access_type", "id": id}),
            Self::Item(id) => json!({"type": "item", "id": id}),
            Self::Customer { namespace, subject } => {
                json!({"type": "customer", "namespace": namespace, "subject": subject})
            }
        }
    }

    /// The record that a [`name`](Self::name) identifies; `None` for other JSON.
    #[must_use]
    pub fn from_name(name: &Value) -> Option<Self> {
        let text = |member: &str| name.get(member)?.as_str().map(str::to_owned);
        let number = || name.get("id")?.as_i64();
        Some(match name.get("type")?.as_str()? {
            "merchant" => Self::Merchant(number()?),
            "app" => Self::App(text("id")?),
            "license" => Self::License(text("id")?),
            "access_type" => Self::AccessType(number()?),
            "item" => Self::Item(number()?),
            "customer" => Self::Customer { namespace: text("namespace")?, subject: text("subject")? },
            _ => return None,
        })
    }
}

/// Loads a merchant.
///
/// # Errors
/// If the database cannot be read.
pub fn merchant(connection: &Connection, id: i64) -> Result<Option<Merchant>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, uuid, name FROM merchants WHERE id = ?1")?;
    let row = statement
        .query_row([id], |row| Ok(Merchant { id: row.get(0)?, uuid: row.get(1)?, name: row.get(2)? }));
    Ok(row.optional()?)
}

/// Loads an app with its clients.
///
/// # Errors
/// If the database cannot be read.
pub fn app(connection: &Connection, id: &str) -> Result<Option<App>, DbError> {
    let sql = "SELECT id, merchant_id, name, plan_id FROM apps WHERE id = ?1";
    let row = connection.prepare_cached(sql)?.query_row([id], |row| {
        let (id, merchant_id) = (row.get(0)?, row.get(1)?);
        Ok(App { id, merchant_id, name: row.get(2)?, plan_id: row.get(3)?, clients: Vec::new() })
    });
    let Some(mut app) = row.optional()? else { return Ok(None) };
    let sql = "SELECT client_id, mode FROM clients WHERE app_id = ?1 ORDER BY position";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        app.clients.push(Client { client_id: row.get(0)?, mode: word(row, 1)? });
    }
    Ok(Some(app))
}

/// Loads a licence with the items that it includes.
///
/// # Errors
/// If the database cannot be read.
pub fn license(connection: &Connection, id: &str) -> Result<Option<License>, DbError> {
    let Some(license) = license_alone(connection, id)? else { return Ok(None) };
    let sql = "SELECT item_id FROM license_items WHERE license_id = ?1 ORDER BY position";
    Ok(Some(License { item_ids: ids(connection, sql, id)?, ..license }))
}

/// Loads a licence without the items that it includes.
///
/// # Errors
/// If the database cannot be read.
pub fn license_alone(connection: &Connection, id: &str) -> Result<Option<License>, DbError> {
    let sql = "SELECT id, internal_id, app_id, name, description, rank, status, test_mode, locales_json,
               price_tier_json FROM licenses WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(License {
        id: row.get(0)?,
        internal_id: row.get(1)?,
        app_id: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        rank: row.get(5)?,
        status: word(row, 6)?,
        test_mode: row.get(7)?,
        locales: json_at(row, 8)?,
        price_tier: from_json_or_null(row.get(9)?)?,
        item_ids: Vec::new(),
    }))
}

/// Loads an access type.
///
/// # Errors
/// If the database cannot be read.
pub fn access_type(connection: &Connection, id: i64) -> Result<Option<AccessType>, DbError> {
    let sql = "SELECT id, account_id, name, quantity, period, created_at, updated_at FROM access_types
               WHERE id = ?1";
    let row = connection.prepare_cached(sql)?.query_row([id], |row| {
        Ok(AccessType {
            id: row.get(0)?,
            account_id: row.get(1)?,
            name: row.get(2)?,
            quantity: row.get(3)?,
            period: row.get(4)?,
            created_at: at(row, 5)?,
            updated_at: at(row, 6)?,
        })
    });
    Ok(row.optional()?)
}

/// Loads an item with its members and fees.
///
/// # Errors
/// If the database cannot be read.
pub fn item(connection: &Connection, id: i64) -> Result<Option<Item>, DbError> {
    let Some(item) = item_alone(connection, id)? else { return Ok(None) };
    let sql = "SELECT item_id FROM package_items WHERE package_id = ?1 ORDER BY position";
    Ok(Some(Item { item_ids: ids(connection, sql, id)?, fees: fees(connection, id)?, ..item }))
}

/// Loads an item without its members and fees, which may be very many.
///
/// # Errors
/// If the database cannot be read.
pub fn item_alone(connection: &Connection, id: i64) -> Result<Option<Item>, DbError> {
    let sql = "SELECT id, merchant_id, title, is_active, access_control_type_json, item_type_json,
               age_restriction_json, metadata_json, content, plan_switch_enabled, created_at, updated_at,
               external_asset_id
               FROM items WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Item {
        id: row.get(0)?,
        merchant_id: row.get(1)?,
        title: row.get(2)?,
        is_active: row.get(3)?,
        access_control_type: json_at(row, 4)?,
        item_type: json_at(row, 5)?,
        age_restriction: from_json_or_null(row.get(6)?)?,
        metadata: json_at(row, 7)?,
        content: row.get(8)?,
        external_asset_id: row.get::<_, Option<String>>(12)?.filter(|id| !id.is_empty()),
        plan_switch_enabled: row.get(9)?,
        item_ids: Vec::new(),
        fees: Vec::new(),
        created_at: at(row, 10)?,
        updated_at: at(row, 11)?,
    }))
}

/// Loads the fees of an item, in their order.
///
/// # Errors
/// If the database cannot be read.
pub fn fees(connection: &Connection, item_id: i64) -> Result<Vec<AccessFee>, DbError> {
    fees_where(connection, "item_id = ?1 ORDER BY position", params![item_id])
}

/// Loads one fee of an item.
///
/// # Errors
/// If the database cannot be read.
pub fn fee(connection: &Connection, item_id: i64, id: i64) -> Result<Option<AccessFee>, DbError> {
    Ok(fees_where(connection, "item_id = ?1 AND id = ?2", params![item_id, id])?.pop())
}

fn fees_where(
    connection: &Connection,
    condition: &'static str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<AccessFee>, DbError> {
    let sql = format!(
        "SELECT id, amount, currency, description, access_type_id, trial_period_json, setup_fee_json,
         geo_restriction_json, starts_at, expires_at, plan_switch_enabled, created_at, updated_at
         FROM fees WHERE {condition}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut fees = Vec::new();
    while let Some(row) = rows.next()? {
        fees.push(AccessFee {
            id: row.get(0)?,
            amount: json_at(row, 1)?,
            currency: row.get(2)?,
            description: row.get(3)?,
            access_type_id: row.get(4)?,
            trial_period: from_json_or_null(row.get(5)?)?,
            setup_fee: from_json_or_null(row.get(6)?)?,
            geo_restriction: from_json_or_null(row.get(7)?)?,
            starts_at: at_or_null(row, 8)?,
            expires_at: at_or_null(row, 9)?,
            plan_switch_enabled: row.get(10)?,
            created_at: at(row, 11)?,
            updated_at: at(row, 12)?,
        });
    }
    Ok(fees)
}

/// The row key of a customer.
///
/// # Errors
/// If the database cannot be read.
pub fn customer_key(connection: &Connection, namespace: &str, subject: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT key FROM customers WHERE namespace = ?1 AND subject = ?2";
    let row = connection.prepare_cached(sql)?.query_row([namespace, subject], |row| row.get(0));
    Ok(row.optional()?)
}

/// Loads a customer with accesses and licences.
///
/// # Errors
/// If the database cannot be read.
pub fn customer(connection: &Connection, key: i64) -> Result<Option<Customer>, DbError> {
    let Some(customer) = customer_without_accesses(connection, key)? else { return Ok(None) };
    let sql = "SELECT id, item_id, starts_at, expires_at, created_at, renews_on, purchase_json FROM accesses
               WHERE customer_key = ?1 ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([key])?;
    let mut accesses = Vec::new();
    while let Some(row) = rows.next()? {
        let purchase = from_json_or_null(row.get(6)?)?;
        accesses.push(Access { renews_on: at_or_null(row, 5)?, purchase, ..access(row)? });
    }
    let used_trials =
        ids(connection, "SELECT item_id FROM used_trials WHERE customer_key = ?1 ORDER BY item_id", key)?;
    Ok(Some(Customer { accesses, used_trials, ..customer }))
}

/// Loads a customer with licences, and with only those accesses that concern these items: on the items, and on
/// packages that hold them. Purchases and trials are left out, because checks do not ask for them.
///
/// # Errors
/// If the database cannot be read.
pub fn customer_of_items(
    connection: &Connection,
    key: i64,
    item_ids: impl IntoIterator<Item = i64>,
) -> Result<Option<Customer>, DbError> {
    let Some(customer) = customer_without_accesses(connection, key)? else { return Ok(None) };
    let sql =
        "SELECT id, item_id, starts_at, expires_at, created_at, key FROM accesses WHERE customer_key = ?1
               AND (item_id = ?2 OR item_id IN (SELECT package_id FROM package_items WHERE item_id = ?2))";
    let mut statement = connection.prepare_cached(sql)?;
    // In the order of the rows; an access on a package may concern several of the items.
    let mut accesses = BTreeMap::new();
    for item_id in item_ids {
        let mut rows = statement.query([key, item_id])?;
        while let Some(row) = rows.next()? {
            accesses.insert(row.get::<_, i64>(5)?, access(row)?);
        }
    }
    Ok(Some(Customer { accesses: accesses.into_values().collect(), ..customer }))
}

/// A merchant's customers with this number: one person, once for each issuer, with the keys of their rows.
///
/// # Errors
/// If the database cannot be read.
pub fn customers(
    connection: &Connection,
    merchant_id: i64,
    id: i64,
) -> Result<Vec<(i64, Customer)>, DbError> {
    let sql = "SELECT key FROM customers WHERE merchant_id = ?1 AND id = ?2 ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let keys: Vec<i64> =
        statement.query_map(params![merchant_id, id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut customers = Vec::with_capacity(keys.len());
    for key in keys {
        customers.extend(customer(connection, key)?.map(|customer| (key, customer)));
    }
    Ok(customers)
}

/// Loads a customer with licences, without accesses.
///
/// # Errors
/// If the database cannot be read.
pub fn customer_without_accesses(connection: &Connection, key: i64) -> Result<Option<Customer>, DbError> {
    let sql = "SELECT namespace, subject, id, uuid, merchant_id FROM customers WHERE key = ?1";
    let row = connection.prepare_cached(sql)?.query_row([key], |row| {
        Ok(Customer {
            namespace: row.get(0)?,
            subject: row.get(1)?,
            id: row.get(2)?,
            uuid: row.get(3)?,
            merchant_id: row.get(4)?,
            accesses: Vec::new(),
            licenses: Vec::new(),
            used_trials: Vec::new(),
        })
    });
    let Some(mut customer) = row.optional()? else { return Ok(None) };
    let sql = "SELECT license_json FROM customer_licenses WHERE customer_key = ?1 ORDER BY position";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([key])?;
    while let Some(row) = rows.next()? {
        customer.licenses.push(json_at::<CustomerLicense>(row, 0)?);
    }
    Ok(Some(customer))
}

/// An access without its purchase.
fn access(row: &Row<'_>) -> rusqlite::Result<Access> {
    Ok(Access {
        id: row.get(0)?,
        item_id: row.get(1)?,
        starts_at: at_or_null(row, 2)?,
        expires_at: at_or_null(row, 3)?,
        created_at: at(row, 4)?,
        renews_on: None,
        purchase: None,
    })
}

/// The numbers that `sql` selects for one owner, in order.
pub(crate) fn ids(
    connection: &Connection,
    sql: &str,
    owner: impl rusqlite::ToSql,
) -> Result<Vec<i64>, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map(params![owner], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids)
}

pub(super) fn json_at<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, DbError> {
    from_json(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}

/// A value of an enumeration, as the publish schema spells it.
fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, DbError> {
    Ok(serde_json::from_value(Value::String(row.get(column)?))?)
}

fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::At)
}

fn at_or_null(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::At))
}
