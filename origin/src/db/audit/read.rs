//! Entries of the audit trail, found again.

use rusqlite::{Connection, Row, ToSql, params_from_iter};
use serde::Serialize;

use crate::db::DbError;

/// Which entries are looked for; all of those that are set have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this moment on, in unix seconds.
    pub since: Option<i64>,
    /// After this entry.
    pub after: Option<i64>,
    /// A part of issuer, name, client, `jti` or request id.
    pub actor: Option<String>,
    /// Type and name of what it was done to: `access:340024`.
    pub object: Option<String>,
    /// What was done, or the beginning of it: `access.` finds grants and revocations.
    pub action: Option<String>,
    /// The customer's number.
    pub customer: Option<i64>,
    /// The item's number.
    pub item: Option<i64>,
    /// The merchant's number.
    pub merchant: Option<i64>,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number; later entries have higher ones.
    pub id: i64,
    /// The change, if edges answer from what was changed.
    pub seq: Option<u64>,
    /// Unix seconds.
    pub at: i64,
    /// In whose name; 0 for nobody's.
    pub merchant_id: i64,
    /// `iss` of the token, or `command`.
    pub issuer: String,
    /// Namespace and subject, or user and host.
    pub actor: String,
    /// The OAuth client.
    pub client: Option<String>,
    /// `jti` of the token.
    pub jti: Option<String>,
    /// As in the answer and in the logs.
    pub request_id: Option<String>,
    /// The viewer's address.
    pub address: Option<String>,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// The item that it concerns.
    pub item_id: Option<i64>,
    /// The number of the customer whom it concerns.
    pub customer_id: Option<i64>,
    /// `done`, or why not.
    pub outcome: String,
}

/// What was counted in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// When the hour began, in unix seconds.
    pub hour: i64,
    /// Whose; 0 for nobody's.
    pub merchant_id: i64,
    /// What was done.
    pub action: String,
    /// `done`, or why not.
    pub outcome: String,
    /// How often.
    pub count: u64,
}

/// Hands the entries that the filter lets pass to `each`, oldest first; of more than `max` the newest.
///
/// # Errors
/// When the database cannot be read.
pub fn entries(
    connection: &Connection,
    filter: &Filter,
    max: u64,
    mut each: impl FnMut(Entry),
) -> Result<(), DbError> {
    let (mut conditions, mut values) = (Vec::new(), Vec::<Box<dyn ToSql>>::new());
    let mut needs = |condition: &str, value: Option<Box<dyn ToSql>>| {
        if let Some(value) = value {
            values.push(value);
            conditions.push(condition.replace('?', &format!("?{}", values.len())));
        }
    };
    let number = |value: Option<i64>| value.map(|value| Box::new(value) as Box<dyn ToSql>);
    let text = |value: &Option<String>| value.clone().map(|value| Box::new(value) as Box<dyn ToSql>);
    needs("at >= ?", number(filter.since));
    needs("id > ?", number(filter.after));
    needs("merchant_id = ?", number(filter.merchant));
    needs("customer_id = ?", number(filter.customer));
    needs("item_id = ?", number(filter.item));
    needs("substr(action, 1, length(?)) = ?", text(&filter.action));
    // A revocation of several accesses names them all: access:1+2+3. What was said of an object follows after a space,
    // which sorts before `!`.
    needs(
        "(object = ? OR (object > ? || ' ' AND object < ? || '!') OR (substr(?, 1, 7) = 'access:' AND object LIKE 'access:%+%'
          AND instr('+' || substr(object, 8) || '+', '+' || substr(?, 8) || '+') > 0))",
        text(&filter.object),
    );
    needs(
        "(instr(issuer || char(10) || actor, ?) > 0 OR client = ? OR jti = ? OR request_id = ?)",
        text(&filter.actor),
    );
    let conditions = if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
    let sql = format!(
        "SELECT * FROM (SELECT id, seq, at, merchant_id, issuer, actor, client, jti, request_id, address, action,
         object, item_id, customer_id, outcome FROM audit WHERE {conditions} ORDER BY id DESC LIMIT {max})
         ORDER BY id"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        each(entry(row)?);
    }
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        seq: row.get(1)?,
        at: row.get(2)?,
        merchant_id: row.get(3)?,
        issuer: row.get(4)?,
        actor: row.get(5)?,
        client: row.get(6)?,
        jti: row.get(7)?,
        request_id: row.get(8)?,
        address: row.get(9)?,
        action: row.get(10)?,
        object: row.get(11)?,
        item_id: row.get(12)?,
        customer_id: row.get(13)?,
        outcome: row.get(14)?,
    })
}

/// What was counted since a moment.
///
/// # Errors
/// When the database cannot be read.
pub fn counts(connection: &Connection, filter: &Filter) -> Result<Vec<Count>, DbError> {
    let sql = "SELECT hour, merchant_id, action, outcome, count FROM audit_counts
               WHERE hour >= ?1 - 3599 AND (?2 IS NULL OR merchant_id = ?2) ORDER BY hour, merchant_id, action, outcome";
    let mut statement = connection.prepare(sql)?;
    let counts = statement.query_map((filter.since.unwrap_or(0), filter.merchant), |row| {
        let (hour, merchant_id, action) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Count { hour, merchant_id, action, outcome: row.get(3)?, count: row.get(4)? })
    })?;
    Ok(counts.collect::<Result<_, _>>()?)
}
