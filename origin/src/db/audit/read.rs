//! Finds entries of the audit trail.

use rusqlite::{Connection, Row, ToSql, params_from_iter};
use serde::Serialize;

use crate::db::DbError;

/// A filter of entries; an entry must satisfy every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The earliest moment, in unix seconds.
    pub since: Option<i64>,
    /// Only entries with a higher id.
    pub after: Option<i64>,
    /// A part of issuer or name, or a whole client, `jti` or request id.
    pub actor: Option<String>,
    /// Type and name of the object: `access:340024`.
    pub object: Option<String>,
    /// The action or its beginning: `access.` finds grants and revocations.
    pub action: Option<String>,
    /// The customer's number.
    pub customer: Option<i64>,
    /// The item's number.
    pub item: Option<i64>,
    /// The merchant's number.
    pub merchant: Option<i64>,
}

/// An entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// The entry's number; later entries have higher ones.
    pub id: i64,
    /// The `seq` of the change, if the action changed data of the edges.
    pub seq: Option<u64>,
    /// The moment, in unix seconds.
    pub at: i64,
    /// The merchant that the actor acted for; 0 for none.
    pub merchant_id: i64,
    /// `iss` of the token, or `command`.
    pub issuer: String,
    /// Namespace and subject, or user and host.
    pub actor: String,
    /// The OAuth client, if there was one.
    pub client: Option<String>,
    /// `jti` of the token.
    pub jti: Option<String>,
    /// The id of the request in the answer and in the logs.
    pub request_id: Option<String>,
    /// The viewer's address.
    pub address: Option<String>,
    /// The action, such as `access.grant`.
    pub action: String,
    /// Type and name of the object.
    pub object: String,
    /// The item that the action concerns.
    pub item_id: Option<i64>,
    /// The number of the customer that the action concerns.
    pub customer_id: Option<i64>,
    /// `done`, or the reason of a refusal.
    pub outcome: String,
}

/// The count of an outcome in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The beginning of the hour, in unix seconds.
    pub hour: i64,
    /// The merchant; 0 for none.
    pub merchant_id: i64,
    /// The action, such as `sign_in`.
    pub action: String,
    /// `done`, or the reason of a refusal.
    pub outcome: String,
    /// The number of events.
    pub count: u64,
}

/// Passes the entries that match the filter to `each`, oldest first; of more than `max` entries, the newest.
///
/// # Errors
/// If the database cannot be read.
pub fn entries(
    connection: &Connection,
    filter: &Filter,
    max: u64,
    mut each: impl FnMut(AuditEntry),
) -> Result<(), DbError> {
    let (mut conditions, mut values) = (Vec::new(), Vec::<Box<dyn ToSql>>::new());
    // Adds a condition if its value is set. All its `?` become the same numbered parameter, so one value
    // serves a condition that names it several times.
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
    // `access:1+2+3` names all accesses of one revocation, so each number must be found. Details may follow
    // an object after a space, which sorts before `!`.
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

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
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

/// The counts since a moment.
///
/// # Errors
/// If the database cannot be read.
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
