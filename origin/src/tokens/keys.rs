//! Signing keys: ES256, generated here and rotated by `origin keys rotate`. A retired key verifies until the
//! last token that it signed has ended. A revoked key (`origin keys revoke`) is removed at once, and its
//! tokens are refused.

use admit::snapshot::time::UnixSecs;
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{Algorithm, AlgorithmSignature, alg::Es256, jwk::JsonWebKey};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::{Map, Value, json};

use crate::{
    db::{
        DbError,
        audit::{self, Actor, Deed, DeedOutcome},
        from_json,
    },
    limits::KEYS_MAX,
};

type Key = <Es256 as Algorithm>::SigningKey;

/// The signing key in use.
pub struct Signer {
    kid: String,
    key: Key,
}

impl Signer {
    /// The signing key in use; generates the first one.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn current(connection: &Connection, now: UnixSecs) -> Result<Self, DbError> {
        let sql = "SELECT kid, jwk_json FROM signing_keys WHERE verify_until IS NULL
                   ORDER BY created_at DESC, rowid DESC LIMIT 1";
        let row = connection
            .prepare_cached(sql)?
            .query_row([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        let Some((kid, jwk)) = row else { return make(connection, now) };
        let jwk: JsonWebKey<'_> = serde_json::from_str(&jwk)?;
        let key = Key::try_from(&jwk).map_err(|_| DbError::Inconsistent("a signing key"))?;
        Ok(Self { kid, key })
    }

    /// A compact JWS (RFC 7515 §7.1) over the claims.
    ///
    /// # Errors
    /// None in practice.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, DbError> {
        let header = json!({"alg": "ES256", "kid": self.kid, "typ": typ});
        let mut jws = Base64UrlUnpadded::encode_string(header.to_string().as_bytes());
        jws.push('.');
        jws.push_str(&Base64UrlUnpadded::encode_string(&serde_json::to_vec(claims)?));
        let signature = Es256.sign(&self.key, jws.as_bytes());
        jws.push('.');
        jws.push_str(&Base64UrlUnpadded::encode_string(&signature.as_bytes()));
        Ok(jws)
    }
}

/// Retires the key in use and generates its successor. Tokens live for at most `ttl_secs`. Returns the new
/// `kid`.
///
/// # Errors
/// If the database cannot be written.
pub fn rotate(connection: &mut Connection, now: UnixSecs, ttl_secs: i64) -> Result<String, DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // One minute more for a token that another thread is signing at this moment.
    let until = now.saturating_add(ttl_secs).saturating_add(60);
    transaction.execute("UPDATE signing_keys SET verify_until = ?1 WHERE verify_until IS NULL", [until])?;
    transaction.execute("DELETE FROM signing_keys WHERE verify_until < ?1", [now])?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM signing_keys", [], |row| row.get(0))?;
    if count >= KEYS_MAX {
        return Err(DbError::TooManyKeys);
    }
    let signer = make(&transaction, now)?;
    record(&transaction, Deed::new("keys.rotate", format!("key:{}", signer.kid)), now)?;
    transaction.commit()?;
    Ok(signer.kid)
}

/// Notes that access tokens of `ttl_secs` are issued from now on.
///
/// # Errors
/// If the database cannot be written.
pub fn note_ttl(connection: &Connection, ttl_secs: i64) -> Result<(), DbError> {
    let sql = "UPDATE state SET longest_access_secs = ?1 WHERE longest_access_secs < ?1";
    connection.execute(sql, [ttl_secs])?;
    Ok(())
}

/// The longest life of an access token that was issued so far.
///
/// # Errors
/// If the database cannot be read.
pub fn longest_ttl(connection: &Connection) -> Result<i64, DbError> {
    Ok(connection.query_row("SELECT longest_access_secs FROM state", [], |row| row.get(0))?)
}

/// The effect of a key's revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The `kid` that signs now.
    pub signs: String,
    /// The number of refresh tokens and authorization codes that ended.
    pub sessions: usize,
}

/// Removes a key: it leaves the JWKS, and its tokens are refused here from the next request on. If it was the
/// signing key, a new one is generated. With `end_sessions`, every viewer has to sign in again: a thief of
/// the key may also have read the database with the refresh tokens' hashes.
///
/// # Errors
/// [`DbError::UnknownKey`], or if the database cannot be written.
pub fn revoke(
    connection: &mut Connection,
    kid: &str,
    end_sessions: bool,
    now: UnixSecs,
) -> Result<Revoked, DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.execute("DELETE FROM signing_keys WHERE kid = ?1", [kid])? == 0 {
        return Err(DbError::UnknownKey);
    }
    transaction.execute("UPDATE state SET keys_version = keys_version + 1", [])?;
    // Generates a key if the only signing one was removed.
    let signs = Signer::current(&transaction, now)?.kid;
    let mut sessions = 0;
    if end_sessions {
        transaction.execute("DELETE FROM sessions", [])?;
        for table in ["refresh_tokens", "authorization_codes"] {
            sessions += transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
    }
    record(&transaction, Deed::new("keys.revoke", format!("key:{kid}")), now)?;
    if end_sessions {
        record(&transaction, Deed::new("sessions.end", format!("sessions:{sessions}")), now)?;
    }
    transaction.commit()?;
    Ok(Revoked { signs, sessions })
}

fn record(transaction: &Connection, deed: Deed, now: UnixSecs) -> Result<(), DbError> {
    audit::record(transaction, &Actor::command(0), &deed, &DeedOutcome::Done(None), now)
}

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// The key's `kid`.
    pub kid: String,
    /// When it was generated, in unix seconds.
    pub created_at: UnixSecs,
    /// The end of a retired key, in unix seconds; `None` for the signing key.
    pub verify_until: Option<UnixSecs>,
}

/// The keys that verify at `now`, newest first.
///
/// # Errors
/// If the database cannot be read.
pub fn list(connection: &Connection, now: UnixSecs) -> Result<Vec<KeyEntry>, DbError> {
    let sql = "SELECT kid, created_at, verify_until FROM signing_keys
               WHERE verify_until IS NULL OR verify_until >= ?1 ORDER BY created_at DESC, rowid DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map([now], |row| {
        Ok(KeyEntry { kid: row.get(0)?, created_at: row.get(1)?, verify_until: row.get(2)? })
    })?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// A counter that changes whenever the keys do.
///
/// # Errors
/// If the database cannot be read.
pub fn version(connection: &Connection) -> Result<i64, DbError> {
    Ok(connection.prepare_cached("SELECT keys_version FROM state")?.query_row([], |row| row.get(0))?)
}

/// The last moment until which all keys that verify at `now` still do.
///
/// # Errors
/// If the database cannot be read.
pub fn until(connection: &Connection, now: UnixSecs) -> Result<UnixSecs, DbError> {
    let sql = "SELECT min(verify_until) FROM signing_keys WHERE verify_until >= ?1";
    let until: Option<UnixSecs> = connection.prepare_cached(sql)?.query_row([now], |row| row.get(0))?;
    Ok(until.unwrap_or(UnixSecs::MAX))
}

/// The public halves of the keys that verify at `now`, as a JWK set.
///
/// # Errors
/// If the database cannot be read.
pub fn public_set(connection: &Connection, now: UnixSecs) -> Result<Value, DbError> {
    // An allow list, so that no private member can leak.
    const PUBLIC: [&str; 7] = ["kty", "kid", "alg", "use", "crv", "x", "y"];
    let sql = "SELECT jwk_json FROM signing_keys WHERE verify_until IS NULL OR verify_until >= ?1
               ORDER BY created_at DESC, rowid DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([now])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let mut jwk: Map<String, Value> = from_json(&row.get::<_, String>(0)?)?;
        jwk.retain(|name, _| PUBLIC.contains(&name.as_str()));
        keys.push(Value::Object(jwk));
    }
    Ok(json!({"keys": keys}))
}

fn make(connection: &Connection, now: UnixSecs) -> Result<Signer, DbError> {
    let no_key = |_| DbError::Inconsistent("no random numbers");
    let mut scalar = [0_u8; 32];
    getrandom::fill(&mut scalar).map_err(|_| DbError::Inconsistent("no random numbers"))?;
    // About one random number in 2^32 is not a valid scalar; that is an error, and a retry succeeds.
    let key = Key::from_slice(&scalar).map_err(no_key)?;
    let Value::Object(mut jwk) = serde_json::to_value(JsonWebKey::from(&key))? else {
        return Err(DbError::Inconsistent("a key is not a JSON object"));
    };
    let kid = uuid::Uuid::new_v4().simple().to_string();
    for (name, value) in [("kid", kid.as_str()), ("alg", "ES256"), ("use", "sig")] {
        jwk.insert(name.to_owned(), value.into());
    }
    let sql = "INSERT INTO signing_keys (kid, jwk_json, created_at) VALUES (?1, ?2, ?3)";
    connection.execute(sql, params![kid, Value::Object(jwk).to_string(), now])?;
    connection.execute("UPDATE state SET keys_version = keys_version + 1", [])?;
    Ok(Signer { kid, key })
}
