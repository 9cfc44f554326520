//! The audit trail: who did what, when, through which request, and with which outcome.
//!
//! An entry is written in the transaction of the change that it describes, so neither exists without the
//! other, wherever the process is killed. Triggers refuse changes of entries. Only [`cut`] removes the oldest
//! ones, and the table `audit_kept` says up to which. Frequent events are [counted](count) by the hour
//! instead. [`read`] finds entries (docs/adr/0030-the-audit-trail.md).

mod actor;
pub mod read;

pub use actor::{Actor, TokenNames, Via};

use admit::snapshot::time::UnixSecs;
use rusqlite::{Connection, params};

use super::DbError;
use crate::limits::{AUDIT_CUT_EVERY_SECS, AUDIT_CUT_MAX, AUDIT_TEXT_MAX_BYTES, DAY_SECS};

const HOUR_SECS: i64 = 3_600;

/// An action and its object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// `access.grant`, `item.create`, `keys.revoke`: docs/origin.md lists them.
    pub action: &'static str,
    /// Type and name of the object: `access:340024`.
    pub object: String,
    /// The item that the action concerns.
    pub item_id: Option<i64>,
    /// The number of the customer that the action concerns.
    pub customer_id: Option<i64>,
}

impl Deed {
    /// An action that concerns no item and no customer.
    #[must_use]
    pub fn new(action: &'static str, object: String) -> Self {
        Self { action, object, item_id: None, customer_id: None }
    }
}

/// The outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeedOutcome {
    /// Done, with the `seq` of the change if the action changed data of the edges.
    Done(Option<u64>),
    /// Refused, with status and reason.
    Refused(String),
}

/// Bounds of the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailBounds {
    /// Most entries about actions of one merchant.
    pub entries: u64,
    /// Most entries about refused actions of one merchant.
    pub refused: u64,
    /// Longest age of all entries.
    pub days: u32,
}

/// Adds an entry. The caller commits the transaction.
///
/// # Errors
/// If the database cannot be written.
pub fn record(
    transaction: &Connection,
    actor: &Actor,
    deed: &Deed,
    outcome: &DeedOutcome,
    now: UnixSecs,
) -> Result<(), DbError> {
    let (seq, is_refused, outcome) = match outcome {
        DeedOutcome::Done(seq) => (*seq, false, "done"),
        DeedOutcome::Refused(reason) => (None, true, reason.as_str()),
    };
    let bounded = |text: &Option<String>| text.as_deref().map(|text| bounded(text).to_owned());
    let sql = "INSERT INTO audit (seq, at, merchant_id, is_refused, issuer, actor, client, jti, request_id, address,
               action, object, item_id, customer_id, outcome)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    transaction.prepare_cached(sql)?.execute(params![
        seq,
        now,
        actor.merchant_id,
        is_refused,
        self::bounded(&actor.issuer),
        self::bounded(&actor.name),
        bounded(&actor.client),
        bounded(&actor.jti),
        bounded(&actor.request_id),
        bounded(&actor.address),
        deed.action,
        self::bounded(&deed.object),
        deed.item_id,
        deed.customer_id,
        self::bounded(outcome),
    ])?;
    let sql = "INSERT INTO audit_kept (merchant_id, is_refused, entries) VALUES (?1, ?2, 1)
               ON CONFLICT DO UPDATE SET entries = entries + 1";
    transaction.prepare_cached(sql)?.execute(params![actor.merchant_id, is_refused])?;
    Ok(())
}

/// Shortens text from tokens, which may be long: the trail keeps it for a year.
fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(AUDIT_TEXT_MAX_BYTES)).unwrap_or_default()
}

/// Counts an event by the hour, for events that are too frequent for an entry each.
///
/// # Errors
/// If the database cannot be written.
pub fn count(
    transaction: &Connection,
    merchant_id: i64,
    action: &str,
    outcome: &str,
    count: u64,
    now: UnixSecs,
) -> Result<(), DbError> {
    let hour = now - now.rem_euclid(HOUR_SECS);
    let sql =
        "INSERT INTO audit_counts (hour, merchant_id, action, outcome, count) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET count = count + excluded.count";
    transaction.prepare_cached(sql)?.execute(params![hour, merchant_id, action, outcome, count])?;
    Ok(())
}

/// Removes the merchant's oldest entries beyond the bounds and, once an hour, all entries that are too old.
/// Each call removes at most [`AUDIT_CUT_MAX`]; the next writes remove the rest.
///
/// # Errors
/// If the database cannot be read or written.
pub fn cut(
    transaction: &Connection,
    merchant_id: i64,
    keep: TrailBounds,
    now: UnixSecs,
) -> Result<(), DbError> {
    for (is_refused, max) in [(false, keep.entries), (true, keep.refused)] {
        let sql =
            "SELECT coalesce(sum(entries), 0) FROM audit_kept WHERE merchant_id = ?1 AND is_refused = ?2";
        let entries: u64 =
            transaction.prepare_cached(sql)?.query_row(params![merchant_id, is_refused], |row| row.get(0))?;
        if entries > max {
            // Removes a tenth more than necessary, so that not every write has to, within the bound of one
            // call.
            let surplus = (entries - max + max / 10).min(AUDIT_CUT_MAX);
            // The last of the entries that go; all older ones of the same kind go with it.
            let sql = "SELECT id FROM audit WHERE merchant_id = ?1 AND is_refused = ?2
                       ORDER BY id LIMIT 1 OFFSET ?3";
            let until: i64 = transaction
                .prepare_cached(sql)?
                .query_row(params![merchant_id, is_refused, surplus - 1], |row| row.get(0))?;
            forget(transaction, merchant_id, is_refused, until)?;
        }
    }
    let sql = "SELECT audit_cut_at FROM state";
    let cut_at: UnixSecs = transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    if now.saturating_sub(cut_at) < AUDIT_CUT_EVERY_SECS {
        return Ok(());
    }
    // The moment is stored only when no old entry is left: until then, every write removes some.
    let is_all = cut_by_age(transaction, now.saturating_sub(i64::from(keep.days) * DAY_SECS))?;
    if is_all {
        transaction.prepare_cached("UPDATE state SET audit_cut_at = ?1")?.execute([now])?;
    }
    Ok(())
}

/// Removes entries from before `from`, at most [`AUDIT_CUT_MAX`] at once. True if none is left.
fn cut_by_age(transaction: &Connection, from: UnixSecs) -> Result<bool, DbError> {
    // Ids and moments grow together, so the oldest entries come first.
    let sql = "SELECT merchant_id, is_refused, max(id), count(*)
               FROM (SELECT * FROM audit ORDER BY id LIMIT ?2) WHERE at < ?1 GROUP BY merchant_id, is_refused";
    let mut statement = transaction.prepare_cached(sql)?;
    let old: Vec<(i64, bool, i64, u64)> = statement
        .query_map(params![from, AUDIT_CUT_MAX], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<_, _>>()?;
    for (merchant_id, is_refused, until, _) in &old {
        forget(transaction, *merchant_id, *is_refused, *until)?;
    }
    transaction
        .prepare_cached("DELETE FROM audit_counts WHERE hour < ?1")?
        .execute([from.saturating_sub(HOUR_SECS)])?;
    Ok(old.iter().map(|(.., count)| count).sum::<u64>() < AUDIT_CUT_MAX)
}

fn forget(transaction: &Connection, merchant_id: i64, is_refused: bool, until: i64) -> Result<(), DbError> {
    let of = params![merchant_id, is_refused, until];
    // The trigger permits the removal of entries up to `forgotten_to`, and of no others.
    let sql = "UPDATE audit_kept SET forgotten_to = max(forgotten_to, ?3) WHERE merchant_id = ?1 AND is_refused = ?2";
    transaction.prepare_cached(sql)?.execute(of)?;
    let sql = "DELETE FROM audit WHERE merchant_id = ?1 AND is_refused = ?2 AND id <= ?3";
    let gone = transaction.prepare_cached(sql)?.execute(of)?;
    let sql = "UPDATE audit_kept SET entries = entries - ?3 WHERE merchant_id = ?1 AND is_refused = ?2";
    transaction.prepare_cached(sql)?.execute(params![merchant_id, is_refused, gone])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db;

    const KEEP: TrailBounds = TrailBounds { entries: 10, refused: 3, days: 30 };
    const NOW: UnixSecs = 1_800_000_000;

    fn actor(merchant_id: i64) -> Actor {
        Actor {
            merchant_id,
            issuer: "https://i.example".to_owned(),
            name: "n:s".to_owned(),
            ..Actor::default()
        }
    }

    fn add(connection: &Connection, merchant_id: i64, outcome: &DeedOutcome, now: UnixSecs) {
        record(connection, &actor(merchant_id), &Deed::new("item.create", "item:1".to_owned()), outcome, now)
            .unwrap();
        cut(connection, merchant_id, KEEP, now).unwrap();
    }

    /// Merchant, whether refused, number of entries.
    fn counts(connection: &Connection) -> Vec<(i64, bool, u64)> {
        let sql = "SELECT merchant_id, is_refused, count(*) FROM audit GROUP BY merchant_id, is_refused";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn entries_are_neither_changed_nor_deleted() {
        let connection = db::in_memory();
        add(&connection, 1, &DeedOutcome::Done(Some(7)), NOW);
        for sql in [
            "UPDATE audit SET actor = 'x'",
            "DELETE FROM audit",
            "DELETE FROM audit_kept",
            "INSERT OR REPLACE INTO audit (id, at, merchant_id, is_refused, issuer, actor, action, object, outcome)
             VALUES (1, 0, 1, 0, '', '', '', '', '')",
        ] {
            // SQLite runs the delete triggers of a replacement only with this setting.
            connection.pragma_update(None, "recursive_triggers", true).unwrap();
            let error = connection.execute(sql, []).unwrap_err().to_string();
            assert!(error.contains("only added to"), "{sql}: {error}");
        }
        connection.execute("UPDATE audit_kept SET forgotten_to = 1", []).unwrap();
        assert_eq!(connection.execute("DELETE FROM audit", []).unwrap(), 1);
        assert!(connection.execute("UPDATE audit_kept SET forgotten_to = 0", []).is_err());
    }

    #[test]
    fn a_merchants_entries_are_bounded_and_cost_only_its_own() {
        let connection = db::in_memory();
        add(&connection, 2, &DeedOutcome::Done(None), NOW);
        add(&connection, 1, &DeedOutcome::Done(None), NOW);
        for _ in 0..500 {
            add(&connection, 1, &DeedOutcome::Refused("422".to_owned()), NOW);
        }
        // Refused actions take no room from others.
        assert_eq!(counts(&connection), [(1, false, 1), (1, true, 3), (2, false, 1)]);
        for _ in 0..500 {
            add(&connection, 1, &DeedOutcome::Done(None), NOW);
        }
        let counts = counts(&connection);
        assert!((9..=10).contains(&counts[0].2), "{counts:?}");
        assert_eq!(counts[1..], [(1, true, 3), (2, false, 1)]);
        let kept: u64 =
            connection.query_row("SELECT sum(entries) FROM audit_kept", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, counts.iter().map(|count| count.2).sum::<u64>());
    }

    #[test]
    fn old_entries_of_every_merchant_go_with_the_next_write() {
        let connection = db::in_memory();
        add(&connection, 2, &DeedOutcome::Done(None), NOW);
        count(&connection, 2, "sign_in", "done", 5, NOW).unwrap();
        add(&connection, 1, &DeedOutcome::Done(None), NOW + 30 * DAY_SECS);
        assert_eq!(counts(&connection), [(1, false, 1), (2, false, 1)]);
        add(&connection, 1, &DeedOutcome::Done(None), NOW + 31 * DAY_SECS);
        assert_eq!(counts(&connection), [(1, false, 2)]);
        let left: u64 =
            connection.query_row("SELECT count(*) FROM audit_counts", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }

    /// The bounds may have been lowered, or the entries of a whole year become too old.
    #[test]
    fn a_write_removes_a_bounded_number_of_entries() {
        const MANY: u64 = 5 * AUDIT_CUT_MAX;
        for (keep, later) in [
            (TrailBounds { entries: 20, ..KEEP }, 0),
            (TrailBounds { entries: MANY - 1, ..KEEP }, 0),
            (TrailBounds { entries: 2 * MANY, ..KEEP }, 40 * DAY_SECS),
        ] {
            let connection = db::in_memory();
            for _ in 0..MANY {
                record(&connection, &actor(1), &Deed::new("x", String::new()), &DeedOutcome::Done(None), NOW)
                    .unwrap();
            }
            let count = || counts(&connection).first().map_or(0, |count| count.2);
            let mut cuts = 0;
            loop {
                let before = count();
                cut(&connection, 1, keep, NOW + later).unwrap();
                let gone = before - count();
                assert!(gone <= AUDIT_CUT_MAX, "{gone} of {before} for {keep:?}");
                if gone == 0 {
                    break;
                }
                cuts += 1;
            }
            assert!(cuts > 0 && count() <= keep.entries, "{cuts} cuts, {} left for {keep:?}", count());
        }
    }

    #[test]
    fn texts_of_tokens_are_bounded() {
        let connection = db::in_memory();
        let long = "é".repeat(100_000);
        let actor = Actor { jti: Some(long.clone()), client: Some(long.clone()), name: long, ..actor(1) };
        record(&connection, &actor, &Deed::new("x", String::new()), &DeedOutcome::Done(None), NOW).unwrap();
        let sql = "SELECT octet_length(actor) + octet_length(client) + octet_length(jti) FROM audit";
        let bytes: usize = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!((3 * (AUDIT_TEXT_MAX_BYTES - 1)..=3 * AUDIT_TEXT_MAX_BYTES).contains(&bytes), "{bytes}");
    }
}
