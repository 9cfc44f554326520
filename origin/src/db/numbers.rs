//! Numbers for new records, which are never reused.

use rusqlite::{Connection, params};

use super::DbError;

/// The kinds of records that have numbers of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Items and packages.
    Item,
    /// Fees of all items.
    Fee,
    /// Accesses of all customers.
    Access,
    /// Customers of all merchants.
    Customer,
    /// Entries of items' metadata.
    Metadata,
    /// Set-up fees of fees.
    SetupFee,
    /// Geographical restrictions of fees.
    GeoRestriction,
}

impl RecordKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Fee => "fee",
            Self::Access => "access",
            Self::Customer => "customer",
            Self::Metadata => "metadata",
            Self::SetupFee => "setup_fee",
            Self::GeoRestriction => "geo_restriction",
        }
    }
}

/// An unused number. It is not given out again, unless the transaction is rolled back.
///
/// # Errors
/// If the database cannot be written.
pub fn next(connection: &Connection, kind: RecordKind) -> Result<i64, DbError> {
    let sql = "INSERT INTO numbers (kind, last) VALUES (?1, 1)
               ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last";
    Ok(connection.prepare_cached(sql)?.query_row([kind.name()], |row| row.get(0))?)
}

/// Reserves a number that came with an import.
///
/// # Errors
/// If the database cannot be written.
pub fn seen(connection: &Connection, kind: RecordKind, number: i64) -> Result<(), DbError> {
    let sql = "INSERT INTO numbers (kind, last) VALUES (?1, ?2)
               ON CONFLICT (kind) DO UPDATE SET last = max(last, excluded.last)";
    connection.prepare_cached(sql)?.execute(params![kind.name(), number])?;
    Ok(())
}
