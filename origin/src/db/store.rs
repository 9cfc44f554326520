//! Writes records of the publish schema to the tables.

use admit::snapshot::{
    schema::{AccessFee, AccessType, App, Customer, CustomerLicense, Item, License, Merchant, Purchase},
    time::{Timestamp, UnixSecs, ZonedTime},
};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::Value;

use super::{
    DbError, external_ids,
    numbers::{self, RecordKind},
    to_json,
};

/// Adds a merchant.
///
/// # Errors
/// If the database refuses it.
pub fn insert_merchant(connection: &Connection, merchant: &Merchant) -> Result<(), DbError> {
    let sql = "INSERT INTO merchants (id, uuid, name) VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![
        merchant.id,
        merchant.uuid.to_ascii_lowercase(),
        merchant.name
    ])?;
    Ok(())
}

/// Adds an app and its clients.
///
/// # Errors
/// If the database refuses it.
pub fn insert_app(connection: &Connection, app: &App) -> Result<(), DbError> {
    let sql = "INSERT INTO apps (id, merchant_id, name, plan_id) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![app.id, app.merchant_id, app.name, app.plan_id])?;
    let sql = "INSERT INTO clients (client_id, app_id, position, mode) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = connection.prepare_cached(sql)?;
    for (position, client) in (0_i64..).zip(&app.clients) {
        statement.execute(params![client.client_id, app.id, position, word(&client.mode)?])?;
    }
    Ok(())
}

/// Adds a licence; the items that it includes must exist.
///
/// # Errors
/// If the database refuses it.
pub fn insert_license(connection: &Connection, license: &License) -> Result<(), DbError> {
    let sql = "INSERT INTO licenses (id, app_id, internal_id, name, description, rank, status, test_mode,
               locales_json, price_tier_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let id = license.id.to_ascii_lowercase();
    connection.prepare_cached(sql)?.execute(params![
        id,
        license.app_id,
        license.internal_id,
        license.name,
        license.description,
        license.rank,
        word(&license.status)?,
        license.test_mode,
        to_json(&license.locales)?,
        license.price_tier.as_ref().map(to_json).transpose()?,
    ])?;
    let sql = "INSERT INTO license_items (license_id, position, item_id) VALUES (?1, ?2, ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    for (position, item_id) in (0_i64..).zip(&license.item_ids) {
        statement.execute(params![id, position, item_id])?;
    }
    Ok(())
}

/// Adds an access type.
///
/// # Errors
/// If the database refuses it.
pub fn insert_access_type(
    connection: &Connection,
    access_type: &AccessType,
    now: UnixSecs,
) -> Result<(), DbError> {
    let sql = "INSERT INTO access_types (id, account_id, name, quantity, period, created_at, updated_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute(params![
        access_type.id,
        access_type.account_id,
        access_type.name,
        access_type.quantity,
        access_type.period,
        access_type.created_at.resolve(now),
        access_type.updated_at.resolve(now),
    ])?;
    Ok(())
}

/// Adds or replaces an item with its fees; its members stay as they are.
///
/// # Errors
/// If the database refuses it.
pub fn put_item(connection: &Connection, item: &Item, now: UnixSecs) -> Result<(), DbError> {
    let sql = "INSERT INTO items (id, merchant_id, title, is_active, is_package, access_control_type_json,
               item_type_json, age_restriction_json, metadata_json, content, plan_switch_enabled, created_at,
               updated_at, external_asset_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
               ON CONFLICT (id) DO UPDATE SET title = excluded.title, is_active = excluded.is_active,
               is_package = excluded.is_package, access_control_type_json = excluded.access_control_type_json,
               item_type_json = excluded.item_type_json, age_restriction_json = excluded.age_restriction_json,
               metadata_json = excluded.metadata_json, content = excluded.content,
               plan_switch_enabled = excluded.plan_switch_enabled, updated_at = excluded.updated_at,
               external_asset_id = excluded.external_asset_id";
    connection.prepare_cached(sql)?.execute(params![
        item.id,
        item.merchant_id,
        item.title,
        item.is_active,
        item.is_package(),
        to_json(&item.access_control_type)?,
        to_json(&item.item_type)?,
        item.age_restriction.as_ref().map(to_json).transpose()?,
        to_json(&item.metadata)?,
        item.content,
        item.plan_switch_enabled,
        item.created_at.resolve(now),
        item.updated_at.resolve(now),
        item.external_asset_id,
    ])?;
    let own = item.external_asset_id.as_deref();
    external_ids::put(connection, item.id, &item.item_type.name, own, &item.content)?;
    // Fees are replaced as a whole: their positions may all have changed.
    connection.prepare_cached("DELETE FROM fees WHERE item_id = ?1")?.execute([item.id])?;
    for (position, fee) in (0_i64..).zip(&item.fees) {
        insert_fee(connection, item.id, position, fee, now)?;
    }
    Ok(())
}

fn insert_fee(
    connection: &Connection,
    item_id: i64,
    position: i64,
    fee: &AccessFee,
    now: UnixSecs,
) -> Result<(), DbError> {
    let sql = "INSERT INTO fees (item_id, id, position, amount, currency, description, access_type_id,
               trial_period_json, setup_fee_json, geo_restriction_json, starts_at, expires_at,
               plan_switch_enabled, created_at, updated_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    connection.prepare_cached(sql)?.execute(params![
        item_id,
        fee.id,
        position,
        to_json(&fee.amount)?,
        fee.currency,
        fee.description,
        fee.access_type_id,
        fee.trial_period.as_ref().map(to_json).transpose()?,
        fee.setup_fee.as_ref().map(to_json).transpose()?,
        fee.geo_restriction.as_ref().map(to_json).transpose()?,
        fee.starts_at.map(|moment| moment.resolve(now)),
        fee.expires_at.map(|moment| moment.resolve(now)),
        fee.plan_switch_enabled,
        fee.created_at.resolve(now),
        fee.updated_at.resolve(now),
    ])?;
    Ok(())
}

/// Reserves the numbers of an item and of its parts.
///
/// # Errors
/// If the database cannot be written.
pub fn see_numbers(connection: &Connection, item: &Item) -> Result<(), DbError> {
    numbers::seen(connection, RecordKind::Item, item.id)?;
    for entry in &item.metadata {
        numbers::seen(connection, RecordKind::Metadata, entry.id)?;
    }
    for fee in &item.fees {
        numbers::seen(connection, RecordKind::Fee, fee.id)?;
        if let Some(setup_fee) = &fee.setup_fee {
            numbers::seen(connection, RecordKind::SetupFee, setup_fee.id)?;
        }
        if let Some(restriction) = &fee.geo_restriction {
            numbers::seen(connection, RecordKind::GeoRestriction, restriction.id)?;
        }
    }
    Ok(())
}

/// Replaces the members of a package.
///
/// # Errors
/// If the database refuses it.
pub fn set_members(connection: &Connection, package_id: i64, members: &[i64]) -> Result<(), DbError> {
    connection.prepare_cached("DELETE FROM package_items WHERE package_id = ?1")?.execute([package_id])?;
    let sql = "INSERT INTO package_items (package_id, position, item_id) VALUES (?1, ?2, ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    for (position, item_id) in (0_i64..).zip(members) {
        statement.execute(params![package_id, position, item_id])?;
    }
    Ok(())
}

/// Appends members to a package; those that it already holds keep their place.
///
/// # Errors
/// If the database refuses it.
pub fn add_members(connection: &Connection, package_id: i64, members: &[i64]) -> Result<(), DbError> {
    let sql = "SELECT coalesce(max(position), -1) + 1 FROM package_items WHERE package_id = ?1";
    let next: i64 = connection.prepare_cached(sql)?.query_row([package_id], |row| row.get(0))?;
    let sql = "INSERT INTO package_items (package_id, position, item_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    // A present member makes its position a gap, which does not matter: only the order counts.
    for (position, item_id) in (next..).zip(members) {
        statement.execute(params![package_id, position, item_id])?;
    }
    Ok(())
}

/// Removes members from a package; items that are not members are ignored.
///
/// # Errors
/// If the database refuses it.
pub fn remove_members(connection: &Connection, package_id: i64, members: &[i64]) -> Result<(), DbError> {
    let sql = "DELETE FROM package_items WHERE package_id = ?1 AND item_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    for item_id in members {
        statement.execute([package_id, *item_id])?;
    }
    Ok(())
}

/// Whether a package holds an item.
///
/// # Errors
/// If the database cannot be read.
pub fn is_member(connection: &Connection, package_id: i64, item_id: i64) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM package_items WHERE package_id = ?1 AND item_id = ?2)";
    Ok(connection.prepare_cached(sql)?.query_row([package_id, item_id], |row| row.get(0))?)
}

/// The number of members of a package.
///
/// # Errors
/// If the database cannot be read.
pub fn count_members(connection: &Connection, package_id: i64) -> Result<usize, DbError> {
    let sql = "SELECT count(*) FROM package_items WHERE package_id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([package_id], |row| row.get(0))?)
}

/// Adds a customer with accesses, licences and used trials, and returns the row's key.
///
/// # Errors
/// If the database refuses it.
pub fn insert_customer(connection: &Connection, customer: &Customer, now: UnixSecs) -> Result<i64, DbError> {
    let sql = "INSERT INTO customers (namespace, subject, id, uuid, merchant_id) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(sql)?.execute(params![
        customer.namespace,
        customer.subject,
        customer.id,
        customer.uuid.to_ascii_lowercase(),
        customer.merchant_id,
    ])?;
    let key = connection.last_insert_rowid();
    for access in &customer.accesses {
        let access = NewAccess {
            id: access.id,
            item_id: access.item_id,
            fee_id: access.purchase.as_ref().and_then(|purchase| purchase.access_fee_id),
            starts_at: access.starts_at.map(|moment| moment.resolve(now)),
            expires_at: access.expires_at.map(|moment| moment.resolve(now)),
            created_at: access.created_at.resolve(now),
            renews_on: access.renews_on.map(|moment| moment.resolve(now)),
            purchase: access.purchase.as_ref(),
        };
        insert_access(connection, key, &access)?;
    }
    let sql = "INSERT INTO customer_licenses (customer_key, position, license_json) VALUES (?1, ?2, ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    for (position, license) in (0_i64..).zip(&customer.licenses) {
        statement.execute(params![key, position, to_json(&resolved(license, now))?])?;
    }
    let sql = "INSERT INTO used_trials (customer_key, item_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    for item_id in &customer.used_trials {
        statement.execute([key, *item_id])?;
    }
    Ok(key)
}

/// A new row of the table of accesses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewAccess<'a> {
    /// The access's number.
    pub id: i64,
    /// The item or package.
    pub item_id: i64,
    /// The fee that was paid, if the write named one.
    pub fee_id: Option<i64>,
    /// The access begins at this moment, if set.
    pub starts_at: Option<UnixSecs>,
    /// The access ends at this moment, if set; otherwise it never ends.
    pub expires_at: Option<UnixSecs>,
    /// The moment of the write.
    pub created_at: UnixSecs,
    /// The next renewal, if an import named one. The origin itself renews nothing.
    pub renews_on: Option<UnixSecs>,
    /// How it was bought, if it was.
    pub purchase: Option<&'a Purchase>,
}

/// Adds an access to a customer.
///
/// # Errors
/// If the database refuses it.
pub fn insert_access(
    connection: &Connection,
    customer_key: i64,
    access: &NewAccess<'_>,
) -> Result<(), DbError> {
    let sql = "INSERT INTO accesses (customer_key, id, item_id, fee_id, starts_at, expires_at, created_at, renews_on,
                                     purchase_json)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let NewAccess { id, item_id, fee_id, starts_at, expires_at, created_at, renews_on, purchase } = access;
    let purchase = purchase.map(to_json).transpose()?;
    connection.prepare_cached(sql)?.execute(params![
        customer_key,
        id,
        item_id,
        fee_id,
        starts_at,
        expires_at,
        created_at,
        renews_on,
        purchase
    ])?;
    Ok(())
}

/// A customer's licence with its moments fixed, independent of when it was imported.
fn resolved(license: &CustomerLicense, now: UnixSecs) -> CustomerLicense {
    let fixed = |moment: Timestamp| Timestamp::At(moment.resolve(now));
    let zoned = |moment: ZonedTime| ZonedTime { at: fixed(moment.at), ..moment };
    CustomerLicense {
        license_id: license.license_id.to_ascii_lowercase(),
        renews_on: license.renews_on.map(zoned),
        billing_cycle_anchor: license.billing_cycle_anchor.map(zoned),
        date_added: zoned(license.date_added),
        cancelled_at: license.cancelled_at.map(fixed),
        starts_at: license.starts_at.map(fixed),
        expires_at: license.expires_at.map(fixed),
        ..license.clone()
    }
}

/// A value of an enumeration, as the publish schema spells it.
fn word(value: &impl Serialize) -> Result<String, DbError> {
    match serde_json::to_value(value)? {
        Value::String(word) => Ok(word),
        _ => Err(DbError::Inconsistent("an enumeration that is not text")),
    }
}
