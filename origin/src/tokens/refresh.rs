//! Refresh tokens: used once. When a used one comes back, it was stolen or its thief was quicker: all that came
//! from the same sign-in ends (RFC 9700 §4.14.2).

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{identity::Of, secret};
use crate::{db::DbError, settings::Settings, wire::Refused};

/// What a refresh token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// All tokens of one sign-in.
    pub family: String,
    /// Who signed in.
    pub of: Of,
    /// By which client.
    pub client_id: String,
    /// With these scopes.
    pub scope: String,
}

/// Makes a refresh token.
///
/// # Errors
/// When the database cannot be written.
pub fn make(
    settings: &Settings,
    connection: &Connection,
    remembered: &Remembered,
    now: i64,
) -> Result<String, Refused> {
    let Remembered { family, of, client_id, scope } = remembered;
    let token = secret::random()?;
    let (account_id, machine) = match of {
        Of::Account(id) => (Some(id), None),
        Of::Machine(client_id) => (None, Some(client_id)),
    };
    connection.prepare_cached("DELETE FROM refresh_tokens WHERE expires_at <= ?1")?.execute([now])?;
    let sql = "INSERT INTO refresh_tokens (hash, family, client_id, account_id, machine, scope, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute(params![
        secret::hash(&token),
        family,
        client_id,
        account_id,
        machine,
        scope,
        now.saturating_add(settings.refresh_ttl_secs)
    ])?;
    Ok(token)
}

/// Uses a refresh token up. Nothing when it is none, has expired, is another client's, or was used before; the
/// transaction is to be committed in either case, because a used one ends its family.
///
/// # Errors
/// When the database cannot be read or written.
pub fn take(
    transaction: &Transaction<'_>,
    token: &str,
    client_id: &str,
    now: i64,
) -> Result<Option<Remembered>, DbError> {
    let hash = secret::hash(token);
    let sql = "SELECT family, client_id, account_id, machine, scope, expires_at, used_at FROM refresh_tokens
               WHERE hash = ?1";
    let found = transaction
        .prepare_cached(sql)?
        .query_row([&hash], |row| {
            let of = match row.get::<_, Option<i64>>(2)? {
                Some(id) => Of::Account(id),
                None => Of::Machine(row.get(3)?),
            };
            let remembered =
                Remembered { family: row.get(0)?, of, client_id: row.get(1)?, scope: row.get(4)? };
            Ok((remembered, row.get::<_, i64>(5)?, row.get::<_, Option<i64>>(6)?))
        })
        .optional()?;
    let Some((remembered, expires_at, used_at)) = found else { return Ok(None) };
    if used_at.is_some() {
        end(transaction, &remembered.family)?;
        return Ok(None);
    }
    if expires_at <= now || remembered.client_id != client_id {
        return Ok(None);
    }
    let sql = "UPDATE refresh_tokens SET used_at = ?2 WHERE hash = ?1";
    transaction.prepare_cached(sql)?.execute(params![hash, now])?;
    Ok(Some(remembered))
}

/// Ends all that came from one sign-in.
///
/// # Errors
/// When the database cannot be written.
pub fn end(connection: &Connection, family: &str) -> Result<(), DbError> {
    connection.prepare_cached("DELETE FROM refresh_tokens WHERE family = ?1")?.execute([family])?;
    Ok(())
}
