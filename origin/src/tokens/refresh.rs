//! Refresh tokens: each is used once and gives its successor.
//!
//! ```text
//! sign-in ─► P ──used──► S ──used──► T        one family; the last one is current
//!            └─ again, within the grace and while S is unused: S once more
//!            └─ again, later or after S was used: the family ends
//! ```
//!
//! A used token that comes back means that two parties have it, the client and a thief, so the session ends
//! (RFC 9700 §4.14.2). The grace is for honest clients that send a token twice within seconds: two tabs that
//! refresh at once, or a client whose answer was lost. Both requests get the same successor, so there is
//! still one session. A thief who also gets it is discovered when that successor is used twice.
//!
//! Successors are not stored. A successor is the HMAC of the token under a random salt, which is kept only
//! during the grace. A reader of the database has no token, and a thief of an old token has no salt
//! (docs/adr/0017-a-refresh-token-twice.md).

use admit::instant::UnixSecs;
use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac as _};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::Sha256;

use super::{identity::Holder, secret, trail};
use crate::{
    db::{DbError, audit::Via, sessions},
    event::{self, Event},
    limits::REFRESH_GRACE_SECS,
    settings::Settings,
    wire::Refused,
};

/// The session that a refresh token continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Identifies all tokens of one sign-in.
    pub family: String,
    /// The account or program.
    pub holder: Holder,
    /// The client that signed in.
    pub client_id: String,
    /// The scopes of the session.
    pub scope: String,
    /// When the viewer signed in, in unix seconds. The session ends a fixed time later, however often it is
    /// refreshed.
    pub signed_in_at: UnixSecs,
}

impl Session {
    /// The name of the session in access tokens; `None` for a program, whose tokens have none.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        matches!(self.holder, Holder::Account(_)).then_some(&self.family)
    }
}

/// Creates the first token of a family.
///
/// # Errors
/// If the database cannot be written.
pub fn start(
    settings: &Settings,
    connection: &Connection,
    session: &Session,
    now: UnixSecs,
) -> Result<String, Refused> {
    let token = secret::random()?;
    insert(settings, connection, &token, session, now)?;
    Ok(token)
}

/// Whether the token exists, used or not. An unknown one can thus be refused without a transaction and the
/// lock.
///
/// # Errors
/// If the database cannot be read.
pub fn is_known(connection: &Connection, token: &str) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE hash = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([secret::hash(token)], |row| row.get(0))?)
}

/// Uses a refresh token up; returns its session and its successor. `None` if it is unknown, expired, another
/// client's or used before. The caller commits the transaction in any case, because a used token ends its
/// family.
///
/// # Errors
/// If the database cannot be read or written.
pub fn rotate(
    settings: &Settings,
    transaction: &Transaction<'_>,
    token: &str,
    client_id: &str,
    via: Via<'_>,
    now: UnixSecs,
) -> Result<Option<(Session, String)>, Refused> {
    let Some(found) = Row::find(transaction, token)? else { return Ok(None) };
    let is_this_clients = found.session.client_id == client_id;
    if found.used_at.is_some() {
        // Used before: an honest repeat gets the same successor, anything else ends the family.
        let again = if is_this_clients { found.successor_again(transaction, token, now)? } else { None };
        if again.is_none() {
            stolen(settings, transaction, &found.session, "refresh_token", via, now)?;
        }
        return Ok(again.map(|successor| (found.session, successor)));
    }
    if !is_this_clients || found.expires_at <= now {
        return Ok(None);
    }
    let salt = secret::random_bytes()?;
    let successor = successor(token, &salt)?;
    let sql = "UPDATE refresh_tokens SET used_at = ?2, successor_salt = ?3 WHERE hash = ?1";
    transaction.prepare_cached(sql)?.execute(params![secret::hash(token), now, salt])?;
    insert(settings, transaction, &successor, &found.session, now)?;
    Ok(Some((found.session, successor)))
}

/// Ends a session because `what` came back: two parties have it, and one of them is a thief. The log and the
/// audit trail report it; no other record would.
///
/// # Errors
/// If the database cannot be written.
pub fn stolen(
    settings: &Settings,
    connection: &Connection,
    session: &Session,
    what: &'static str,
    via: Via<'_>,
    now: UnixSecs,
) -> Result<(), DbError> {
    let Session { family, holder, client_id, signed_in_at, .. } = session;
    if sessions::end(connection, family)? > 0 {
        let (account, program) = match holder {
            Holder::Account(id) => (Some(*id), None),
            Holder::Program(client_id) => (None, Some(client_id.as_str())),
        };
        let signed_in_at = *signed_in_at;
        event::log(Event::TokenTheft { what, client_id, account, program, signed_in_at, via });
        trail::stolen(settings, connection, session, what, via, now)?;
    }
    Ok(())
}

struct Row {
    session: Session,
    expires_at: UnixSecs,
    used_at: Option<UnixSecs>,
    successor_salt: Option<Vec<u8>>,
}

impl Row {
    fn find(connection: &Connection, token: &str) -> Result<Option<Self>, DbError> {
        let sql = "SELECT family, client_id, account_id, machine, scope, expires_at, used_at, successor_salt,
                   signed_in_at FROM refresh_tokens WHERE hash = ?1";
        let row = connection.prepare_cached(sql)?.query_row([secret::hash(token)], |row| {
            let holder = match row.get::<_, Option<i64>>(2)? {
                Some(id) => Holder::Account(id),
                None => Holder::Program(row.get(3)?),
            };
            let session = Session {
                family: row.get(0)?,
                holder,
                client_id: row.get(1)?,
                scope: row.get(4)?,
                signed_in_at: row.get(8)?,
            };
            let (expires_at, used_at, successor_salt) = (row.get(5)?, row.get(6)?, row.get(7)?);
            Ok(Self { session, expires_at, used_at, successor_salt })
        });
        Ok(row.optional()?)
    }

    /// The successor of a used token, during the grace and while the successor is unused.
    fn successor_again(
        &self,
        connection: &Connection,
        token: &str,
        now: UnixSecs,
    ) -> Result<Option<String>, Refused> {
        let (Some(used_at), Some(salt)) = (self.used_at, &self.successor_salt) else { return Ok(None) };
        if now.saturating_sub(used_at) >= REFRESH_GRACE_SECS {
            return Ok(None);
        }
        let successor = successor(token, salt)?;
        // Once the successor was used, a further use of its predecessor is a theft.
        let is_current = Self::find(connection, &successor)?
            .is_some_and(|next| next.used_at.is_none() && next.expires_at > now);
        Ok(is_current.then_some(successor))
    }
}

/// The successor of `token`: 256 bits that require both the token and the salt.
fn successor(token: &str, salt: &[u8]) -> Result<String, DbError> {
    let mac = Hmac::<Sha256>::new_from_slice(salt).map_err(|_| DbError::Inconsistent("a salt"))?;
    let bytes = mac.chain_update(token.as_bytes()).finalize().into_bytes();
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

/// Stores an unused token, and removes expired tokens and salts.
fn insert(
    settings: &Settings,
    connection: &Connection,
    token: &str,
    session: &Session,
    now: UnixSecs,
) -> Result<(), DbError> {
    let Session { family, holder, client_id, scope, signed_in_at } = session;
    let (account_id, machine) = match holder {
        Holder::Account(id) => (Some(id), None),
        Holder::Program(client_id) => (None, Some(client_id)),
    };
    connection.prepare_cached("DELETE FROM refresh_tokens WHERE expires_at <= ?1")?.execute([now])?;
    let sql = "UPDATE refresh_tokens SET successor_salt = NULL
               WHERE successor_salt IS NOT NULL AND used_at <= ?1";
    connection.prepare_cached(sql)?.execute([now.saturating_sub(REFRESH_GRACE_SECS)])?;
    let session_end = signed_in_at.saturating_add(settings.session_ttl_secs);
    let expires_at = now.saturating_add(settings.refresh_ttl_secs).min(session_end);
    if let Some(account_id) = account_id {
        let longest_access = settings.access_ttl_secs.max(settings.sdk_access_ttl_secs);
        let until = expires_at.max(now.saturating_add(longest_access));
        sessions::put(connection, family, *account_id, *signed_in_at, until, now)?;
    }
    let sql = "INSERT INTO refresh_tokens (hash, family, client_id, account_id, machine, scope, expires_at,
               signed_in_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(sql)?.execute(params![
        secret::hash(token),
        family,
        client_id,
        account_id,
        machine,
        scope,
        expires_at,
        signed_in_at
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::db;

    #[test]
    fn a_successor_follows_from_token_and_salt() {
        let one = successor("token", &[1; 32]).unwrap();
        assert_eq!(one.len(), secret::random().unwrap().len());
        assert_eq!(successor("token", &[1; 32]).unwrap(), one);
        assert_ne!(successor("token", &[2; 32]).unwrap(), one);
        assert_ne!(successor("tokem", &[1; 32]).unwrap(), one);
    }

    /// One sign-in as the module's text describes it: its tokens in order, with the moments of their uses.
    struct Family {
        tokens: Vec<String>,
        used_at: Vec<UnixSecs>,
        has_ended: bool,
    }

    impl Family {
        /// The token that a use of `used` must give.
        fn expected(&mut self, used: usize, now: UnixSecs) -> Option<usize> {
            let current = self.tokens.len() - 1;
            let is_in_grace =
                used + 1 == current && self.used_at.last().is_some_and(|at| now - at < REFRESH_GRACE_SECS);
            match used {
                _ if self.has_ended => None,
                _ if used == current => {
                    self.used_at.push(now);
                    Some(current + 1)
                }
                _ if is_in_grace => Some(current),
                _ => {
                    self.has_ended = true;
                    None
                }
            }
        }
    }

    #[test]
    fn a_session_ends_however_often_it_is_refreshed() {
        let mut settings = Settings::new("".into(), String::new());
        (settings.refresh_ttl_secs, settings.session_ttl_secs) = (100, 250);
        let mut connection = db::in_memory();
        connection.execute("INSERT INTO merchants VALUES (1, 'u', 'm')", []).unwrap();
        connection.execute("INSERT INTO machines VALUES ('shop', 1, x'00', 0, '', 0)", []).unwrap();
        let holder = Holder::Program("shop".to_owned());
        let (family, client_id, scope) = ("f".to_owned(), "shop".to_owned(), String::new());
        let session = Session { family, holder, client_id, scope, signed_in_at: 1_000 };
        let mut token = start(&settings, &connection, &session, 1_000).unwrap();
        for now in [1_090, 1_180, 1_249] {
            let transaction = connection.transaction().unwrap();
            let (given, next) =
                rotate(&settings, &transaction, &token, "shop", Via::default(), now).unwrap().unwrap();
            transaction.commit().unwrap();
            assert_eq!(given.signed_in_at, 1_000);
            token = next;
        }
        let transaction = connection.transaction().unwrap();
        assert_eq!(rotate(&settings, &transaction, &token, "shop", Via::default(), 1_250).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_order_of_uses_leaves_at_most_one_session(
            uses in vec((any::<prop::sample::Index>(), 0_i64..12, any::<bool>()), 1..24),
        ) {
            let settings = Settings::new("".into(), String::new());
            let mut connection = db::in_memory();
            connection.execute("INSERT INTO merchants VALUES (1, 'u', 'm')", []).unwrap();
            connection.execute("INSERT INTO machines VALUES ('shop', 1, x'00', 0, '', 0)", []).unwrap();
            let session = Session {
                family: "f".to_owned(),
                holder: Holder::Program("shop".to_owned()),
                client_id: "shop".to_owned(),
                scope: String::new(),
                signed_in_at: 1_000,
            };
            let mut now = 1_000;
            let first = start(&settings, &connection, &session, now).unwrap();
            let mut family = Family { tokens: vec![first], used_at: Vec::new(), has_ended: false };
            for (index, tens, is_recent) in uses {
                now += tens * 5;
                let count = family.tokens.len();
                // Prefers the last two tokens, where the rules differ.
                let used = if is_recent { count - 1 - index.index(count.min(2)) } else { index.index(count) };
                let transaction = connection.transaction().unwrap();
                let given = rotate(&settings, &transaction, &family.tokens[used], "shop", Via::default(), now).unwrap();
                transaction.commit().unwrap();
                let given = given.map(|(_, token)| token);
                match family.expected(used, now) {
                    Some(next) if next == count => family.tokens.push(given.unwrap()),
                    Some(next) => prop_assert_eq!(given.as_ref(), family.tokens.get(next)),
                    None => prop_assert_eq!(given, None),
                }
            }
            let distinct: std::collections::BTreeSet<_> = family.tokens.iter().collect();
            prop_assert_eq!(distinct.len(), family.tokens.len());
        }
    }
}
