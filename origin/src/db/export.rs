//! The export: all records that edges answer from, in the publish schema, as of one moment.

use std::io;

use admit::snapshot::{
    schema::{Line, SnapshotLine},
    time::{Timestamp, UnixSecs},
};
use rusqlite::{Connection, types::FromSql};

use super::{DbError, records, records::Ref};

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The reader has gone, or stopped reading.
    #[error("not written: {0}")]
    Write(#[from] io::Error),
}

impl From<rusqlite::Error> for ExportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// Writes the export to `out` from one read transaction, and returns its `seq`. The first line has the `seq`;
/// records come before the records that refer to them.
///
/// # Errors
/// If the database cannot be read, or `out` cannot be written.
pub fn export(connection: &Connection, now: UnixSecs, out: &mut impl io::Write) -> Result<u64, ExportError> {
    let transaction = connection.unchecked_transaction()?;
    let seq = super::seq(&transaction)?;
    write_line(out, &Line::Snapshot(SnapshotLine { seq, as_of: Some(Timestamp::At(now)) }))?;
    records(&transaction, "SELECT id FROM merchants ORDER BY id", Ref::Merchant, out)?;
    records(&transaction, "SELECT id FROM apps ORDER BY id", Ref::App, out)?;
    records(&transaction, "SELECT id FROM access_types ORDER BY id", Ref::AccessType, out)?;
    records(&transaction, "SELECT id FROM items ORDER BY id", Ref::Item, out)?;
    records(&transaction, "SELECT id FROM licenses ORDER BY id", Ref::License, out)?;
    let mut statement = transaction.prepare("SELECT key FROM customers ORDER BY key")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(customer) = records::customer(&transaction, row.get(0)?)? {
            write_line(out, &Line::Customer(customer))?;
        }
    }
    Ok(seq)
}

/// Writes the records whose names `sql` selects.
fn records<Id: FromSql>(
    connection: &Connection,
    sql: &str,
    name: fn(Id) -> Ref,
    out: &mut impl io::Write,
) -> Result<(), ExportError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(line) = name(row.get(0)?).load(connection)? {
            write_line(out, &line)?;
        }
    }
    Ok(())
}

fn write_line(out: &mut impl io::Write, line: &Line) -> Result<(), ExportError> {
    let mut text = serde_json::to_vec(line).map_err(DbError::from)?;
    text.push(b'\n');
    Ok(out.write_all(&text)?)
}
