//! Tokens that this origin refuses before they end.
//!
//! A token is refused by its `jti`, or because all tokens of its subject up to a moment are refused. A row
//! lives as long as such tokens may. Edges learn of revocations by `admit revoke`.

use admit::snapshot::time::UnixSecs;
use rusqlite::{Connection, params};

use super::DbError;
use crate::limits::REVOKED_SECS;

/// The tokens of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens<'a> {
    /// The token with this `jti`.
    Id {
        /// The `iss` of its issuer; `None` for the tokens of every issuer with this `jti`.
        issuer: Option<&'a str>,
        /// Unique among the tokens of one issuer.
        jti: &'a str,
    },
    /// All tokens of a subject that were issued until now.
    Subject {
        /// The issuer's namespace; `None` for the origin's own issuer.
        namespace: Option<&'a str>,
        /// The value of the claim that names the customer.
        subject: &'a str,
    },
}

/// Refuses tokens from now on.
///
/// # Errors
/// If the database cannot be written.
pub fn revoke(connection: &Connection, tokens: Tokens<'_>, now: UnixSecs) -> Result<(), DbError> {
    connection.prepare_cached("DELETE FROM revoked_tokens WHERE until < ?1")?.execute([now])?;
    let (kind, issued_by, value) = match tokens {
        Tokens::Id { issuer, jti } => ("jti", issuer.unwrap_or_default(), jti),
        Tokens::Subject { namespace, subject } => ("subject", namespace.unwrap_or_default(), subject),
    };
    let sql = "INSERT INTO revoked_tokens (kind, issued_by, value, at, until) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET at = max(at, excluded.at), until = max(until, excluded.until)";
    let until = now.saturating_add(REVOKED_SECS);
    connection.prepare_cached(sql)?.execute(params![kind, issued_by, value, now, until])?;
    Ok(())
}

/// Whether any token is revoked. Mostly none is, and requests then skip the look at their token.
///
/// # Errors
/// If the database cannot be read.
pub fn are_there(connection: &Connection) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM revoked_tokens)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// A verified token, with the facts that a revocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// `iss` of its issuer.
    pub issuer: &'a str,
    /// The namespace of its issuer.
    pub namespace: &'a str,
    /// Whether this origin issued it.
    pub is_own: bool,
    /// The claim that names the customer.
    pub subject: &'a str,
    /// `jti`, if present.
    pub jti: Option<&'a str>,
    /// `iat`, else `nbf`. A token with neither counts as issued before every revocation.
    pub issued_at: Option<UnixSecs>,
}

/// Whether the token is refused at `now`.
///
/// # Errors
/// If the database cannot be read.
pub fn is_revoked(connection: &Connection, token: &Token<'_>, now: UnixSecs) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (
                   SELECT 1 FROM revoked_tokens WHERE kind = 'jti' AND issued_by IN ('', ?7) AND value = ?1
                   AND until >= ?5
                   UNION ALL SELECT 1 FROM revoked_tokens WHERE kind = 'subject'
                   AND (issued_by = ?2 OR (?3 AND issued_by = '')) AND value = ?4 AND until >= ?5 AND at >= ?6)";
    let issued_at = token.issued_at.unwrap_or(UnixSecs::MIN);
    let Token { issuer, namespace, is_own, subject, jti, .. } = *token;
    let values = params![jti, namespace, is_own, subject, now, issued_at, issuer];
    Ok(connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db;

    const NOW: UnixSecs = 1_800_000_000;

    fn token<'a>(namespace: &'a str, subject: &'a str, issued_at: Option<UnixSecs>) -> Token<'a> {
        Token {
            issuer: "https://a.example",
            namespace,
            is_own: namespace == "own",
            subject,
            jti: Some("j"),
            issued_at,
        }
    }

    #[test]
    fn by_subject_up_to_the_moment() {
        let connection = db::in_memory();
        revoke(&connection, Tokens::Subject { namespace: Some("vendor"), subject: "ada" }, NOW).unwrap();
        revoke(&connection, Tokens::Subject { namespace: None, subject: "editor" }, NOW).unwrap();
        for (token, expected) in [
            (token("vendor", "ada", Some(NOW - 5)), true),
            // `iat` has whole seconds, so tokens of the revocation's own second are refused too.
            (token("vendor", "ada", Some(NOW)), true),
            (token("vendor", "ada", None), true),
            (token("vendor", "ada", Some(NOW + 1)), false),
            (token("vendor", "bob", Some(NOW - 5)), false),
            (token("cognito", "ada", Some(NOW - 5)), false),
            (token("own", "editor", Some(NOW - 5)), true),
            (token("vendor", "editor", Some(NOW - 5)), false),
        ] {
            assert_eq!(is_revoked(&connection, &token, NOW + 60).unwrap(), expected, "{token:?}");
        }
        // A second revocation with an earlier moment takes nothing back.
        revoke(&connection, Tokens::Subject { namespace: Some("vendor"), subject: "ada" }, NOW - 100)
            .unwrap();
        assert!(is_revoked(&connection, &token("vendor", "ada", Some(NOW)), NOW).unwrap());
    }

    #[test]
    fn by_id_for_as_long_as_tokens_live() {
        let connection = db::in_memory();
        revoke(&connection, Tokens::Id { issuer: None, jti: "j" }, NOW).unwrap();
        let late = token("vendor", "x", Some(NOW + 9));
        assert!(is_revoked(&connection, &late, NOW + REVOKED_SECS).unwrap());
        assert!(!is_revoked(&connection, &late, NOW + REVOKED_SECS + 1).unwrap());
        assert!(!is_revoked(&connection, &Token { jti: Some("k"), ..late }, NOW).unwrap());
        assert!(!is_revoked(&connection, &Token { jti: None, ..late }, NOW).unwrap());
        revoke(&connection, Tokens::Id { issuer: None, jti: "k" }, NOW + REVOKED_SECS + 1).unwrap();
        let left: i64 =
            connection.query_row("SELECT count(*) FROM revoked_tokens", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1, "what has ended is removed");
    }

    #[test]
    fn by_id_for_one_issuer_or_for_all() {
        let connection = db::in_memory();
        let of_a = token("vendor", "x", Some(NOW));
        let of_b = Token { issuer: "https://b.example", ..of_a };
        let are_revoked = || [of_a, of_b].map(|token| is_revoked(&connection, &token, NOW).unwrap());
        revoke(&connection, Tokens::Id { issuer: Some(of_b.issuer), jti: "j" }, NOW).unwrap();
        assert_eq!(are_revoked(), [false, true]);
        revoke(&connection, Tokens::Id { issuer: None, jti: "j" }, NOW).unwrap();
        assert_eq!(are_revoked(), [true, true]);
    }
}
