//! Accounts: what sign-ins, SDKs and commands know of a person who signs in with a password.

use admit::snapshot::time::UnixSecs;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value, json};

use super::{DbError, from_json, to_json};

/// An account with the records that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The number of its row.
    pub id: i64,
    /// The merchant's number.
    pub merchant_id: i64,
    /// The merchant's UUID.
    pub merchant_uuid: String,
    /// The user name: an e-mail address, unless an operator chose another one.
    pub username: String,
    /// Whose account it is.
    pub owner: Owner,
    /// Whether it may sign in by test-mode clients.
    pub is_tester: bool,
    /// What its owner may change.
    pub profile: Profile,
    /// When it was made.
    pub created_at: UnixSecs,
    /// When it was last changed.
    pub updated_at: UnixSecs,
}

/// The owner of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A customer, by the row whose subject tokens name.
    Customer {
        /// The key of the row.
        key: i64,
        /// The namespace of the row.
        namespace: String,
        /// The customer's number.
        id: i64,
        /// The customer's UUID.
        uuid: String,
        /// The subject of the row.
        subject: String,
    },
    /// One of the merchant's own people.
    Merchant {
        /// The account's UUID, which tokens name.
        uuid: String,
    },
}

/// The fields of an account that its owner may change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The full name.
    pub full_name: String,
    /// The page on which the account was made.
    pub referrer: String,
    /// Strings by name.
    pub metadata: Map<String, Value>,
    /// Midnight UTC of the day, if it is known.
    pub date_of_birth: Option<UnixSecs>,
}

impl Account {
    /// The role in tokens and answers.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        match self.owner {
            Owner::Customer { .. } => "consumer",
            Owner::Merchant { .. } => "merchant",
        }
    }

    /// The subject of its tokens.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.owner {
            Owner::Customer { subject, .. } => subject,
            Owner::Merchant { uuid } => uuid,
        }
    }

    /// Its number in tokens and answers: the customer's, or the merchant's.
    #[must_use]
    pub const fn number(&self) -> i64 {
        match self.owner {
            Owner::Customer { id, .. } => id,
            Owner::Merchant { .. } => self.merchant_id,
        }
    }

    /// The JSON of the account in answers.
    #[must_use]
    pub fn json(&self) -> Value {
        let (Owner::Customer { uuid, .. } | Owner::Merchant { uuid }) = &self.owner;
        json!({
            "id": self.number(),
            "uuid": uuid,
            "email": self.username,
            "full_name": self.profile.full_name,
            "referrer": self.profile.referrer,
            "metadata": self.profile.metadata,
            "social_apps_metadata": [],
            "roles": [self.role()],
            "completed": true,
            "date_of_birth": self.profile.date_of_birth,
            "merchant_id": self.merchant_id,
            "merchant_uuid": self.merchant_uuid,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}

/// Loads an account.
///
/// # Errors
/// If the database cannot be read.
pub fn load(connection: &Connection, id: i64) -> Result<Option<Account>, DbError> {
    let sql = "SELECT accounts.merchant_id, merchants.uuid, username, is_tester, full_name, referrer, metadata_json,
               date_of_birth, accounts.created_at, updated_at, accounts.uuid, customers.key, customers.namespace,
               customers.id, customers.uuid, customers.subject
               FROM accounts JOIN merchants ON merchants.id = accounts.merchant_id
               LEFT JOIN customers ON customers.key = customer_key WHERE accounts.id = ?1";
    let read = |row: &Row<'_>| {
        let owner = match row.get(11)? {
            Some(key) => Owner::Customer {
                key,
                namespace: row.get(12)?,
                id: row.get(13)?,
                uuid: row.get(14)?,
                subject: row.get(15)?,
            },
            None => Owner::Merchant { uuid: row.get(10)? },
        };
        let metadata: String = row.get(6)?;
        let profile = Profile {
            full_name: row.get(4)?,
            referrer: row.get(5)?,
            metadata: Map::new(),
            date_of_birth: row.get(7)?,
        };
        let account = Account {
            id,
            merchant_id: row.get(0)?,
            merchant_uuid: row.get(1)?,
            username: row.get(2)?,
            owner,
            is_tester: row.get(3)?,
            profile,
            created_at: row.get(8)?,
            updated_at: row.get(9)?,
        };
        Ok((account, metadata))
    };
    let found = connection.prepare_cached(sql)?.query_row([id], read).optional()?;
    let Some((mut account, metadata)) = found else { return Ok(None) };
    account.profile.metadata = from_json(&metadata)?;
    Ok(Some(account))
}

/// The account of a merchant with this user name, with its password's hash.
///
/// # Errors
/// If the database cannot be read.
pub fn by_name(
    connection: &Connection,
    merchant_id: i64,
    username: &str,
) -> Result<Option<(i64, String)>, DbError> {
    let sql = "SELECT id, password_hash FROM accounts WHERE merchant_id = ?1 AND username = ?2";
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    Ok(connection.prepare_cached(sql)?.query_row(params![merchant_id, username], row).optional()?)
}

/// The account of a customer, by any of the customer's rows.
///
/// # Errors
/// If the database cannot be read.
pub fn of_customer(connection: &Connection, namespace: &str, subject: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT accounts.id FROM customers AS named
               JOIN customers ON customers.merchant_id = named.merchant_id AND customers.id = named.id
               JOIN accounts ON customer_key = customers.key
               WHERE named.namespace = ?1 AND named.subject = ?2 ORDER BY accounts.id LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([namespace, subject], |row| row.get(0)).optional()?)
}

/// The account of one of a merchant's people, by the UUID that tokens name.
///
/// # Errors
/// If the database cannot be read.
pub fn of_merchant_user(connection: &Connection, uuid: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT id FROM accounts WHERE uuid = ?1 AND role = 'merchant'";
    Ok(connection.prepare_cached(sql)?.query_row([uuid], |row| row.get(0)).optional()?)
}

/// A new account of a customer.
pub struct NewAccount<'a> {
    /// The merchant.
    pub merchant_id: i64,
    /// The user name, which the merchant's accounts do not have yet.
    pub username: &'a str,
    /// The hash of the password.
    pub password_hash: &'a str,
    /// The customer's row.
    pub customer_key: i64,
    /// What its owner may change later.
    pub profile: &'a Profile,
}

/// Adds an account for a customer and returns its row's number.
///
/// # Errors
/// If the database refuses it.
pub fn insert(connection: &Connection, account: &NewAccount<'_>, now: UnixSecs) -> Result<i64, DbError> {
    let sql = "INSERT INTO accounts (merchant_id, username, password_hash, role, customer_key, uuid, full_name, referrer,
               metadata_json, date_of_birth, created_at, updated_at)
               VALUES (?1, ?2, ?3, 'consumer', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)";
    let NewAccount { merchant_id, username, password_hash, customer_key, profile } = account;
    connection.prepare_cached(sql)?.execute(params![
        merchant_id,
        username,
        password_hash,
        customer_key,
        uuid::Uuid::new_v4().to_string(),
        profile.full_name,
        profile.referrer,
        to_json(&profile.metadata)?,
        profile.date_of_birth,
        now,
    ])?;
    Ok(connection.last_insert_rowid())
}

/// Replaces the fields that an account's owner may change.
///
/// # Errors
/// If the database cannot be written.
pub fn set_profile(
    connection: &Connection,
    id: i64,
    profile: &Profile,
    now: UnixSecs,
) -> Result<(), DbError> {
    let sql = "UPDATE accounts SET full_name = ?2, referrer = ?3, metadata_json = ?4, date_of_birth = ?5,
               updated_at = ?6 WHERE id = ?1";
    let Profile { full_name, referrer, metadata, date_of_birth } = profile;
    let values = params![id, full_name, referrer, to_json(metadata)?, date_of_birth, now];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Replaces an account's password by its hash, and drops the tokens that could set another one.
///
/// # Errors
/// If the database cannot be written.
pub fn set_password(connection: &Connection, id: i64, hash: &str, now: UnixSecs) -> Result<(), DbError> {
    let sql = "UPDATE accounts SET password_hash = ?2, updated_at = ?3 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(params![id, hash, now])?;
    connection.prepare_cached("DELETE FROM password_tokens WHERE account_id = ?1")?.execute([id])?;
    Ok(())
}

/// The hash of an account's password.
///
/// # Errors
/// If the account does not exist, or the database cannot be read.
pub fn password_hash(connection: &Connection, id: i64) -> Result<String, DbError> {
    let sql = "SELECT password_hash FROM accounts WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}
