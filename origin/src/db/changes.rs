//! The change log: the names of the records that each committed change touched.
//!
//! Every transaction that changes what edges answer from makes one [`PendingChange`]. It increments `seq` and logs
//! the names of the touched records, all in that transaction. The feed loads the records when it is read
//! ([`after`]), so a log entry has the length of a few names, however large the records are
//! (docs/adr/0029-the-log-names-what-changed.md).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use admit::snapshot::{schema::Line, time::UnixSecs};
use admit_publish::source::LINE_MAX_BYTES;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::Value;

use super::{DbError, from_json, records::Ref, to_json};
use crate::limits::{CHANGE_ROW_BYTES, CUT_EVERY, DAY_SECS, FEED_NEWER_MAX_BYTES};

/// The records that a transaction has touched.
#[derive(Debug, Default)]
pub struct PendingChange {
    touched: BTreeSet<Ref>,
    /// What the audit entry adds to the request's own facts.
    pub about: AboutAccesses,
}

/// The accesses that a write granted or revoked.
#[derive(Debug, Default)]
pub struct AboutAccesses {
    /// The numbers of those accesses.
    pub accesses: Vec<i64>,
    /// The item that they grant.
    pub item_id: Option<i64>,
    /// The number of the customer who holds them.
    pub customer_id: Option<i64>,
}

impl PendingChange {
    /// Adds a record that the transaction changes, creates or removes.
    pub fn touch(&mut self, record: Ref) {
        self.touched.insert(record);
    }

    /// Assigns the next `seq`, logs the change under it, and returns it. The caller commits the transaction.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn log(self, transaction: &Transaction<'_>, now: UnixSecs) -> Result<u64, DbError> {
        // One statement increments `seq` and returns it, under the write lock of the transaction: no two
        // changes can get the same.
        let names: Vec<Value> = self.touched.iter().map(Ref::name).collect();
        let touched = to_json(&names)?;
        let bytes = touched.len().saturating_add(CHANGE_ROW_BYTES);
        let sql = "UPDATE state SET seq = seq + 1, log_bytes = log_bytes + ?1 RETURNING seq";
        let seq: u64 = transaction.prepare_cached(sql)?.query_row([bytes], |row| row.get(0))?;
        let sql = "INSERT INTO changes (seq, as_of, touched_json) VALUES (?1, ?2, ?3)";
        transaction.prepare_cached(sql)?.execute(params![seq, now, touched])?;
        Ok(seq)
    }
}

/// Bounds of the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// Most changes; checked after every [`CUT_EVERY`] changes.
    pub changes: u64,
    /// Most bytes of their rows.
    pub bytes: u64,
    /// Longest age. After a customer's removal, the log is the last place with the customer's name.
    pub days: u32,
}

/// Removes the oldest changes, so that the log is within its bounds after the change `seq`. Readers that are
/// further behind have to read the export. If the log is far above its bounds, each write removes
/// [`CUT_EVERY`] changes.
///
/// # Errors
/// If the database cannot be read or written.
pub fn cut(transaction: &Connection, seq: u64, keep: LogBounds, now: UnixSecs) -> Result<(), DbError> {
    let sql = "SELECT history_from, log_bytes FROM state";
    let (history_from, bytes): (u64, u64) =
        transaction.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Each bound gives the last change that has to go; the highest of them is cut.
    let by_age = too_old(transaction, now.saturating_sub(i64::from(keep.days) * DAY_SECS))?;
    let surplus = seq.saturating_sub(keep.changes).saturating_sub(history_from);
    let is_counted = seq.is_multiple_of(CUT_EVERY) || surplus >= CUT_EVERY;
    let by_number = if is_counted { history_from.saturating_add(surplus.min(CUT_EVERY)) } else { 0 };
    let by_bytes = if bytes > keep.bytes { too_many_bytes(transaction, bytes, keep.bytes)? } else { 0 };
    cut_before(transaction, by_age.max(by_number).max(by_bytes))
}

/// The newest change made before `from`, among the oldest [`CUT_EVERY`]; 0 without one.
fn too_old(transaction: &Connection, from: UnixSecs) -> Result<u64, DbError> {
    let sql = "SELECT as_of FROM changes ORDER BY seq LIMIT 1";
    let oldest: Option<UnixSecs> =
        transaction.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    if oldest.is_none_or(|oldest| oldest >= from) {
        return Ok(0);
    }
    // `seq` and `as_of` grow together.
    let sql = "SELECT coalesce(max(seq), 0) FROM (SELECT seq, as_of FROM changes ORDER BY seq LIMIT ?2)
               WHERE as_of < ?1";
    Ok(transaction.prepare_cached(sql)?.query_row(params![from, CUT_EVERY], |row| row.get(0))?)
}

/// The newest change whose removal is necessary for a log of `max` bytes; 0 if nothing must go.
fn too_many_bytes(transaction: &Connection, bytes: u64, max: u64) -> Result<u64, DbError> {
    // Removes a tenth more than necessary, so that not every write has to.
    let goal = max - max / 10;
    let (mut left, mut until) = (bytes, 0);
    let sql = "SELECT seq, octet_length(touched_json) + ?1 FROM changes ORDER BY seq LIMIT ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(params![CHANGE_ROW_BYTES, CUT_EVERY])?;
    while left > goal
        && let Some(row) = rows.next()?
    {
        until = row.get(0)?;
        left = left.saturating_sub(row.get(1)?);
    }
    Ok(until)
}

/// Removes the changes up to and including `until`.
///
/// # Errors
/// If the database cannot be written.
pub fn cut_before(transaction: &Connection, until: u64) -> Result<(), DbError> {
    let sql = "UPDATE state SET history_from = ?1, log_bytes = log_bytes
               - (SELECT coalesce(sum(octet_length(touched_json) + ?2), 0) FROM changes WHERE changes.seq <= ?1)
               WHERE history_from < ?1 AND ?1 <= seq";
    if transaction.prepare_cached(sql)?.execute(params![until, CHANGE_ROW_BYTES])? > 0 {
        transaction.prepare_cached("DELETE FROM changes WHERE seq <= ?1")?.execute([until])?;
    }
    Ok(())
}

/// The changes after a `seq`, as lines of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The changes.
    Lines {
        /// One line per change, in order; empty if there are no newer changes.
        text: String,
        /// The `seq` of the newest change that there was, which may be later than the last line.
        seq: u64,
    },
    /// The log no longer has the changes, or never had them: the reader must read the export.
    Gone,
}

/// A change of the log, as the feed answers it.
struct LoggedChange {
    seq: u64,
    as_of: UnixSecs,
    touched: Vec<Ref>,
}

/// A touched record as it is now, and the last change of the answer that touched it.
struct RecordState {
    /// A line of the publish schema; `None` if the record no longer exists.
    put: Option<String>,
    last: u64,
}

/// Reads the changes after `after`: at most `max_changes`, and no more once their records reach `max_bytes`.
/// Each touched record appears once, in its present state, with the last change of the answer that touched
/// it. [`Feed::Gone`] if a line would be longer than publishers read, or if the answer needs very many newer
/// records: an export has one record per line.
///
/// # Errors
/// If the database cannot be read.
pub fn after(
    connection: &Connection,
    after: u64,
    max_changes: usize,
    max_bytes: usize,
) -> Result<Feed, DbError> {
    // One read transaction: a cut or a write in between must not make a gap.
    let transaction = connection.unchecked_transaction()?;
    let sql = "SELECT seq, history_from FROM state";
    let (seq, history_from): (u64, u64) =
        transaction.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // A reader that is ahead knows another history: the database was restored or replaced.
    if after < history_from || after > seq {
        return Ok(Feed::Gone);
    }
    // First the changes with their touched records, each record loaded once, until the answer is full.
    let (mut changes, mut states, mut size_bytes) = (Vec::new(), BTreeMap::new(), 0_usize);
    let sql = "SELECT seq, as_of, touched_json FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, max_changes])?;
    let mut expected = after;
    while size_bytes < max_bytes
        && let Some(row) = rows.next()?
    {
        let change = LoggedChange {
            seq: row.get(0)?,
            as_of: row.get(1)?,
            touched: touched(&row.get::<_, String>(2)?)?,
        };
        // Changes are consecutive; a gap would lose a record without notice.
        expected += 1;
        if change.seq != expected {
            return Err(DbError::Inconsistent("a gap in the change log"));
        }
        for record in &change.touched {
            size_bytes = size_bytes.saturating_add(see(&transaction, &mut states, record, change.seq)?);
        }
        changes.push(change);
    }
    // Only a shortened answer can refer to records that are newer than its last change.
    if let Some(last) = changes.last_mut().filter(|last| last.seq < seq)
        && !see_newer_members(&transaction, &mut states, last)?
    {
        return Ok(Feed::Gone);
    }
    Ok(lines(&changes, &states).map_or(Feed::Gone, |text| Feed::Lines { text, seq }))
}

fn touched(names: &str) -> Result<Vec<Ref>, DbError> {
    let names: Vec<Value> = from_json(names)?;
    let unknown = DbError::Inconsistent("a name in the change log");
    names.iter().map(Ref::from_name).collect::<Option<_>>().ok_or(unknown)
}

/// Notes that the change `seq` touched the record, and loads the record the first time. Returns the number of
/// loaded bytes.
fn see(
    connection: &Connection,
    states: &mut BTreeMap<Ref, RecordState>,
    record: &Ref,
    seq: u64,
) -> Result<usize, DbError> {
    if let Some(state) = states.get_mut(record) {
        state.last = seq;
        return Ok(0);
    }
    let put = record.load(connection)?.as_ref().map(|line: &Line| to_json(line)).transpose()?;
    let size_bytes = put.as_ref().map_or(0, String::len);
    states.insert(record.clone(), RecordState { put, last: seq });
    Ok(size_bytes)
}

/// Adds newer members of the answer's packages to its last change. The packages are answered in their present
/// state, so every member that they refer to must be in the answer, even if a later change created it. False
/// if these members have more than [`FEED_NEWER_MAX_BYTES`].
fn see_newer_members(
    connection: &Connection,
    states: &mut BTreeMap<Ref, RecordState>,
    last: &mut LoggedChange,
) -> Result<bool, DbError> {
    let sql = "SELECT item_id FROM package_items JOIN items ON items.id = item_id
               WHERE package_id = ?1 AND items.created_at >= ?2";
    let mut statement = connection.prepare_cached(sql)?;
    // Collected first, because `see` below adds to the map.
    let items = states.keys().filter_map(|record| if let Ref::Item(id) = record { Some(*id) } else { None });
    let mut size_bytes = 0_usize;
    for package_id in items.collect::<Vec<_>>() {
        let mut members = statement.query(params![package_id, last.as_of])?;
        while let Some(member) = members.next()? {
            let member = Ref::Item(member.get(0)?);
            if states.contains_key(&member) {
                continue;
            }
            size_bytes = size_bytes.saturating_add(see(connection, states, &member, last.seq)?);
            if size_bytes > FEED_NEWER_MAX_BYTES {
                return Ok(false);
            }
            last.touched.push(member);
        }
    }
    Ok(true)
}

/// One line per change; `None` if a line is longer than publishers read.
fn lines(changes: &[LoggedChange], states: &BTreeMap<Ref, RecordState>) -> Option<String> {
    let mut lines = String::new();
    for LoggedChange { seq, as_of, touched } in changes {
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        for record in touched {
            // A record appears only at the last change of the answer that touched it.
            match states.get(record) {
                Some(RecordState { put: Some(line), last }) if last == seq => put.push(line.as_str()),
                Some(RecordState { put: None, last }) if last == seq => {
                    remove.push(record.name().to_string())
                }
                _ => {}
            }
        }
        let start = lines.len();
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            r#"{{"seq":{seq},"as_of":{as_of},"put":[{}],"remove":[{}]}}"#,
            put.join(","),
            remove.join(",")
        );
        if lines.len() - start > LINE_MAX_BYTES {
            return None;
        }
    }
    Some(lines)
}
