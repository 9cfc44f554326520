//! Identities that sign in: customers, merchants' users and programs.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::{password, secret};
use crate::{
    db::{
        DbError,
        accounts::{self, Owner},
        records,
    },
    event::{self, Event},
    settings::Settings,
};

/// An authenticated identity, with the claims of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account or program, as a refresh token stores it.
    pub holder: Holder,
    /// `sub`.
    pub subject: String,
    /// `mid`.
    pub merchant_id: i64,
    /// `mui`.
    pub merchant_uuid: String,
    /// `aid`.
    pub account_id: i64,
    /// `ctx`, for an identity with a role.
    pub role: Option<&'static str>,
    /// The scopes that its tokens may have.
    pub scopes: Vec<String>,
    /// Whether it may sign in by a test-mode client: a tester's account, or a program, which has a secret.
    pub is_tester: bool,
    /// The JSON of the account in answers.
    pub account: Value,
}

impl Identity {
    /// The identity as it signs in through `client`, or `None` if it must not. `has_secret` tells whether the
    /// client has sent its own secret.
    ///
    /// A test-mode client accepts only testers, unless it has a secret: its id is public, and so would be
    /// everything that it unlocks. A merchant's users keep their role only through the merchant's own
    /// clients: otherwise any app that they sign in to could write for an hour.
    #[must_use]
    pub fn through(mut self, client: Option<&RegisteredClient>, has_secret: bool) -> Option<Self> {
        if client.is_some_and(|client| client.is_test) && !self.is_tester && !has_secret {
            return None;
        }
        let is_person = matches!(self.holder, Holder::Account(_));
        let is_for_merchant = client.is_some_and(|client| client.is_for_merchant);
        if is_person && self.role == Some(MERCHANT_ROLE) && !is_for_merchant {
            self.role = None;
            if let Value::Object(account) = &mut self.account {
                account.insert("roles".to_owned(), json!([]));
            }
        }
        Some(self)
    }
}

/// The role whose tokens write for a merchant.
const MERCHANT_ROLE: &str = "merchant";

/// An account or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An account, by its row.
    Account(i64),
    /// A program, by its client id.
    Program(String),
}

/// A client, with the facts that decide about a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredClient {
    /// The merchant whose customers it signs in.
    pub merchant_id: i64,
    /// Whether it is an app's OAuth client, which tokens name; otherwise it is a merchant's UUID.
    pub is_of_app: bool,
    /// Whether it is in test mode, which unlocks pending test licences.
    pub is_test: bool,
    /// Whether it has a secret, so that its public id alone unlocks nothing.
    pub has_secret: bool,
    /// Whether the merchant's users keep their role through it: the merchant's UUID, or a client that is
    /// marked for the merchant.
    pub is_for_merchant: bool,
}

impl RegisteredClient {
    /// The claim `client_id`: the id of an OAuth client, `None` for a merchant's UUID.
    #[must_use]
    pub fn name<'a>(client: Option<&Self>, client_id: &'a str) -> Option<&'a str> {
        client.is_some_and(|client| client.is_of_app).then_some(client_id)
    }
}

/// The client that `client_id` names: an OAuth client, or a merchant's UUID, as the older SDKs send it.
///
/// # Errors
/// If the database cannot be read.
pub fn client(connection: &Connection, client_id: &str) -> Result<Option<RegisteredClient>, DbError> {
    // An app's client comes first; LIMIT 1 takes a merchant's UUID only if no client has the name.
    let sql = "SELECT merchant_id, 1, mode = 'test', is_for_merchant,
               EXISTS (SELECT 1 FROM machines WHERE machines.client_id = clients.client_id)
               FROM clients JOIN apps ON apps.id = app_id WHERE client_id = ?1
               UNION ALL SELECT id, 0, 0, 1, 0 FROM merchants WHERE uuid = lower(?1) LIMIT 1";
    let read = |row: &Row<'_>| {
        Ok(RegisteredClient {
            merchant_id: row.get(0)?,
            is_of_app: row.get(1)?,
            is_test: row.get(2)?,
            is_for_merchant: row.get(3)?,
            has_secret: row.get(4)?,
        })
    };
    Ok(connection.prepare_cached(sql)?.query_row([client_id], read).optional()?)
}

/// Signs in with a password; `None` if it is wrong.
///
/// # Errors
/// If the database cannot be read.
pub fn by_password(
    settings: &Settings,
    connection: &Connection,
    client: Option<&RegisteredClient>,
    username: &str,
    password: &str,
) -> Result<Option<Identity>, DbError> {
    let found = match client {
        Some(client) => accounts::by_name(connection, client.merchant_id, username)?,
        None => None,
    };
    // Verified even without an account, so that the answer takes the same time.
    let is_right = password::verify(password, found.as_ref().map(|(_, hash)| hash.as_str()));
    match found.filter(|_| is_right) {
        Some((id, _)) => account(settings, connection, id),
        None => Ok(None),
    }
}

/// Signs in a program; `None` if its secret is wrong.
///
/// # Errors
/// If the database cannot be read.
pub fn by_secret(
    settings: &Settings,
    connection: &Connection,
    client_id: &str,
    client_secret: &str,
) -> Result<Option<Identity>, DbError> {
    let sql = "SELECT secret_hash FROM machines WHERE client_id = ?1";
    let hash: Option<Vec<u8>> =
        connection.prepare_cached(sql)?.query_row([client_id], |row| row.get(0)).optional()?;
    let given = secret::hash(client_secret);
    match hash {
        Some(hash) if bool::from(hash.ct_eq(&given)) => machine(settings, connection, client_id),
        _ => Ok(None),
    }
}

/// The identity as it is now; `None` if the account or program no longer exists.
///
/// # Errors
/// If the database cannot be read.
pub fn reload(
    settings: &Settings,
    connection: &Connection,
    holder: &Holder,
) -> Result<Option<Identity>, DbError> {
    match holder {
        Holder::Account(id) => account(settings, connection, *id),
        Holder::Program(client_id) => machine(settings, connection, client_id),
    }
}

fn account(settings: &Settings, connection: &Connection, id: i64) -> Result<Option<Identity>, DbError> {
    let Some(account) = accounts::load(connection, id)? else { return Ok(None) };
    // Tokens name a customer by the subject in this origin's namespace.
    if matches!(&account.owner, Owner::Customer { namespace, .. } if *namespace != settings.namespace) {
        return Ok(None);
    }
    Ok(Some(Identity {
        holder: Holder::Account(id),
        subject: account.subject().to_owned(),
        merchant_id: account.merchant_id,
        merchant_uuid: account.merchant_uuid.clone(),
        account_id: account.number(),
        role: Some(account.role()),
        scopes: Vec::new(),
        is_tester: account.is_tester,
        account: account.json(),
    }))
}

fn machine(
    settings: &Settings,
    connection: &Connection,
    client_id: &str,
) -> Result<Option<Identity>, DbError> {
    // Programs and customers share one namespace of subjects. A program named like a customer would count as
    // that customer in every check (RFC 9700 §4.15).
    if records::customer_key(connection, &settings.namespace, client_id)?.is_some() {
        event::log(Event::ProgramNamedLikeCustomer { client_id });
        return Ok(None);
    }
    let sql = "SELECT merchant_id, uuid, name, is_merchant, scopes, created_at FROM machines
               JOIN merchants ON merchants.id = merchant_id WHERE client_id = ?1";
    let read = |row: &Row<'_>| {
        let (merchant_id, merchant_uuid): (i64, String) = (row.get(0)?, row.get(1)?);
        let role = row.get::<_, bool>(3)?.then_some(MERCHANT_ROLE);
        let account = json!({
            "id": merchant_id,
            "uuid": merchant_uuid,
            "email": "",
            "full_name": row.get::<_, String>(2)?,
            "merchant_id": merchant_id,
            "merchant_uuid": merchant_uuid,
            "roles": role.as_slice(),
            "completed": true,
            "metadata": {},
            "created_at": row.get::<_, i64>(5)?,
        });
        Ok(Identity {
            holder: Holder::Program(client_id.to_owned()),
            subject: client_id.to_owned(),
            merchant_id,
            merchant_uuid,
            account_id: merchant_id,
            role,
            scopes: row.get::<_, String>(4)?.split_ascii_whitespace().map(str::to_owned).collect(),
            is_tester: true,
            account,
        })
    };
    Ok(connection.prepare_cached(sql)?.query_row([client_id], read).optional()?)
}
