//! The change log. Every transaction that changes what edges answer from makes one [`Change`]: it counts `seq`
//! up by one and logs the new state of what it touched, in the same transaction.

use std::{collections::BTreeSet, fmt::Write as _};

use admit::snapshot::time::UnixSecs;
use rusqlite::{Connection, Row, Transaction, params};

use super::{DbError, records::Ref, to_json};
use crate::limits::CUT_EVERY;

/// What a transaction has touched.
#[derive(Debug, Default)]
pub struct Change {
    touched: BTreeSet<Ref>,
}

impl Change {
    /// The record was changed, added or removed: its state at the end of the transaction is logged.
    pub fn touch(&mut self, record: Ref) {
        self.touched.insert(record);
    }

    /// Counts the change and logs it. The transaction is still to be committed. The change's `seq`.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn log(self, transaction: &Transaction<'_>, now: UnixSecs) -> Result<u64, DbError> {
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        for record in &self.touched {
            match record.load(transaction)? {
                Some(line) => put.push(line),
                None => remove.push(record.name()),
            }
        }
        let sql = "UPDATE state SET seq = seq + 1 RETURNING seq";
        let seq: u64 = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        let sql = "INSERT INTO changes (seq, as_of, put_json, remove_json) VALUES (?1, ?2, ?3, ?4)";
        transaction.prepare_cached(sql)?.execute(params![seq, now, to_json(&put)?, to_json(&remove)?])?;
        Ok(seq)
    }
}

/// Forgets what is older than the last `keep` changes. Readers that are further behind have to export anew.
/// Looks only every so many changes.
///
/// # Errors
/// When the database cannot be written.
pub fn cut(transaction: &Transaction<'_>, seq: u64, keep: u64) -> Result<(), DbError> {
    if !seq.is_multiple_of(CUT_EVERY) {
        return Ok(());
    }
    cut_before(transaction, seq.saturating_sub(keep))
}

/// Forgets the changes up to and including `until`.
///
/// # Errors
/// When the database cannot be written.
pub fn cut_before(transaction: &Connection, until: u64) -> Result<(), DbError> {
    let sql = "UPDATE state SET history_from = ?1 WHERE history_from < ?1 AND ?1 <= seq";
    if transaction.prepare_cached(sql)?.execute([until])? > 0 {
        transaction.prepare_cached("DELETE FROM changes WHERE seq <= ?1")?.execute([until])?;
    }
    Ok(())
}

/// Changes after a `seq`, as lines of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// One line for each change, in order; empty when there is nothing new.
    Lines(String),
    /// The history before is gone, or never was: export anew.
    Gone,
}

/// Reads the changes after `after`: at most `max_changes`, and no more once there are `max_bytes`.
///
/// # Errors
/// When the database cannot be read.
pub fn after(
    connection: &Connection,
    after: u64,
    max_changes: usize,
    max_bytes: usize,
) -> Result<Feed, DbError> {
    // One read transaction: a cut in between must not make a gap.
    let transaction = connection.unchecked_transaction()?;
    let sql = "SELECT seq, history_from FROM state";
    let (seq, history_from): (u64, u64) =
        transaction.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Who is ahead of us knows another history: this database was restored, or made anew.
    if after < history_from || after > seq {
        return Ok(Feed::Gone);
    }
    let sql = "SELECT seq, as_of, put_json, remove_json FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, max_changes])?;
    let (mut lines, mut expected) = (String::new(), after);
    while let Some(row) = rows.next()? {
        let seq: u64 = row.get(0)?;
        expected += 1;
        if seq != expected {
            return Err(DbError::Inconsistent("a gap in the change log"));
        }
        let as_of: UnixSecs = row.get(1)?;
        let (put, remove) = (text(row, 2)?, text(row, 3)?);
        // Writing to a String cannot fail.
        let _ = write!(lines, r#"{{"seq":{seq},"as_of":{as_of},"put":{put},"remove":{remove}}}"#);
        lines.push('\n');
        if lines.len() >= max_bytes {
            break;
        }
    }
    Ok(Feed::Lines(lines))
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, DbError> {
    Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?)
}
