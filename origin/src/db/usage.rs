//! The amounts that each merchant has stored. Triggers maintain the table (`origin/migrations/08-books.sql`).

use rusqlite::{Connection, OptionalExtension};

use super::DbError;

/// The amounts that a merchant has stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Items and packages, deleted ones included.
    pub items: u64,
    /// Bytes of items and their fees.
    pub item_bytes: u64,
    /// Members of all packages.
    pub members: u64,
    /// Accesses of the merchant's customers, ended ones included.
    pub accesses: u64,
    /// Bytes of answers that are stored for `Idempotency-Key`s.
    pub answer_bytes: u64,
}

/// Loads a merchant's usage.
///
/// # Errors
/// If the database cannot be read.
pub fn of(connection: &Connection, merchant_id: i64) -> Result<Usage, DbError> {
    let sql = "SELECT items, item_bytes, members, accesses, answer_bytes FROM usage WHERE merchant_id = ?1";
    let usage = connection.prepare_cached(sql)?.query_row([merchant_id], |row| {
        Ok(Usage {
            items: row.get(0)?,
            item_bytes: row.get(1)?,
            members: row.get(2)?,
            accesses: row.get(3)?,
            answer_bytes: row.get(4)?,
        })
    });
    Ok(usage.optional()?.unwrap_or_default())
}
