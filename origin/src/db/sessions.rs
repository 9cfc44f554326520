//! Sessions: one for each sign-in of an account.
//!
//! An access token names its session in the claim `sid`, and its refresh tokens are the family of the same name. When
//! a session ends, both kinds of tokens are refused here. Edges verify access tokens themselves and learn of a
//! revocation by `admit revoke` only.

use admit::snapshot::time::UnixSecs;
use rusqlite::{Connection, params};

use super::DbError;

/// Starts a session, or prolongs it to `expires_at`, and removes sessions that have expired.
///
/// # Errors
/// If the database cannot be written.
pub fn put(
    connection: &Connection,
    id: &str,
    account_id: i64,
    signed_in_at: UnixSecs,
    expires_at: UnixSecs,
    now: UnixSecs,
) -> Result<(), DbError> {
    connection.prepare_cached("DELETE FROM sessions WHERE expires_at <= ?1")?.execute([now])?;
    let sql = "INSERT INTO sessions (id, account_id, signed_in_at, expires_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)";
    connection.prepare_cached(sql)?.execute(params![id, account_id, signed_in_at, expires_at])?;
    Ok(())
}

/// Whether the session goes on.
///
/// # Errors
/// If the database cannot be read.
pub fn is_live(connection: &Connection, id: &str) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}

/// Ends a session with its refresh tokens. The number of refresh tokens that were removed tells whether it was live.
///
/// # Errors
/// If the database cannot be written.
pub fn end(connection: &Connection, id: &str) -> Result<usize, DbError> {
    connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([id])?;
    Ok(connection.prepare_cached("DELETE FROM refresh_tokens WHERE family = ?1")?.execute([id])?)
}

/// Ends every session of an account except `kept`, and drops its unredeemed codes.
///
/// # Errors
/// If the database cannot be written.
pub fn end_all_of(connection: &Connection, account_id: i64, kept: Option<&str>) -> Result<(), DbError> {
    for (table, id) in [("sessions", "id"), ("refresh_tokens", "family"), ("authorization_codes", "family")] {
        let sql = format!("DELETE FROM {table} WHERE account_id = ?1 AND {id} IS NOT ?2");
        connection.prepare_cached(&sql)?.execute(params![account_id, kept])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db;

    fn connection() -> Connection {
        let connection = db::in_memory();
        connection
            .execute_batch(
                "INSERT INTO merchants VALUES (1, 'u', 'm');
                 INSERT INTO accounts (id, merchant_id, username, password_hash, role, uuid, full_name, created_at)
                     VALUES (1, 1, 'a', '', 'merchant', 'a', '', 0), (2, 1, 'b', '', 'merchant', 'b', '', 0);",
            )
            .unwrap();
        for (id, account_id) in [("one", 1), ("two", 1), ("other", 2)] {
            put(&connection, id, account_id, 0, 100, 0).unwrap();
        }
        connection
    }

    fn live(connection: &Connection) -> Vec<&'static str> {
        ["one", "two", "other"].into_iter().filter(|id| is_live(connection, id).unwrap()).collect()
    }

    #[test]
    fn a_session_ends_alone_or_with_the_others_of_its_account() {
        let connection = connection();
        assert_eq!(live(&connection), ["one", "two", "other"]);
        end_all_of(&connection, 1, Some("two")).unwrap();
        assert_eq!(live(&connection), ["two", "other"]);
        end(&connection, "other").unwrap();
        assert_eq!(live(&connection), ["two"]);
        end_all_of(&connection, 1, None).unwrap();
        assert_eq!(live(&connection), [""; 0]);
    }

    #[test]
    fn an_expired_session_is_removed_by_the_next_sign_in() {
        let connection = connection();
        put(&connection, "two", 1, 0, 200, 50).unwrap();
        put(&connection, "two", 1, 0, 150, 60).unwrap();
        put(&connection, "later", 2, 100, 900, 100).unwrap();
        assert_eq!(live(&connection), ["two"], "prolonged to 200 and never shortened");
    }

    #[test]
    fn sessions_go_with_their_account() {
        let connection = connection();
        connection.execute("DELETE FROM accounts WHERE id = 1", []).unwrap();
        assert_eq!(live(&connection), ["other"]);
    }
}
