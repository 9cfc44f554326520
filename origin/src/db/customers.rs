//! Adds and removes customers, for the commands of an operator and for viewers who register and erase themselves.

use admit::{
    limits::CUSTOMER_MAX_BYTES,
    snapshot::{schema::Customer, time::UnixSecs},
};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    DbError,
    audit::{self, Actor, Deed, DeedOutcome},
    changes::PendingChange,
    numbers::{self, RecordKind},
    records::{self, Ref},
    revoked::{self, Tokens},
    store,
};

/// Why a customer was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Namespace or subject is empty, too long, or has a zero byte, so no token could name the customer.
    #[error("namespace and subject: expected 1 to {CUSTOMER_MAX_BYTES} bytes, none of them zero")]
    Name,
    /// A customer with this namespace and subject exists.
    #[error("the customer is there already")]
    There,
    /// The merchant does not exist.
    #[error("unknown merchant {0}")]
    Merchant(i64),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for AddError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// Adds a customer without accesses, as one change, and returns the customer.
///
/// # Errors
/// If the customer exists, the name is invalid, or the merchant does not exist.
pub fn add(
    connection: &mut Connection,
    merchant_id: i64,
    namespace: &str,
    subject: &str,
    now: UnixSecs,
) -> Result<Customer, AddError> {
    if [namespace, subject].iter().any(|name| !is_name(name)) {
        return Err(AddError::Name);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if records::merchant(&transaction, merchant_id)?.is_none() {
        return Err(AddError::Merchant(merchant_id));
    }
    if records::customer_key(&transaction, namespace, subject)?.is_some() {
        return Err(AddError::There);
    }
    let customer = Customer {
        namespace: namespace.to_owned(),
        subject: subject.to_owned(),
        id: numbers::next(&transaction, RecordKind::Customer)?,
        uuid: Uuid::try_parse(subject).unwrap_or_else(|_| Uuid::new_v4()).to_string(),
        merchant_id,
        accesses: Vec::new(),
        licenses: Vec::new(),
        used_trials: Vec::new(),
    };
    insert(&transaction, &customer, &Actor::command(merchant_id), now)?;
    transaction.commit().map_err(DbError::from)?;
    Ok(customer)
}

/// Adds a customer as one change of `actor`; returns the key of the row and the `seq`. The caller commits the
/// transaction.
///
/// # Errors
/// If the database refuses it.
pub fn insert(
    transaction: &Transaction<'_>,
    customer: &Customer,
    actor: &Actor,
    now: UnixSecs,
) -> Result<(i64, u64), DbError> {
    let key = store::insert_customer(transaction, customer, now)?;
    let seq = log(transaction, "customer.add", std::slice::from_ref(customer), actor, now)?;
    Ok((key, seq))
}

/// Removes a customer with all accesses, licences and the account, as one change, and refuses the customer's
/// tokens from now on. False if there was no such customer.
///
/// # Errors
/// If the database cannot be written.
pub fn remove(
    connection: &mut Connection,
    namespace: &str,
    subject: &str,
    now: UnixSecs,
) -> Result<bool, DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let key = records::customer_key(&transaction, namespace, subject)?;
    let Some(customer) = key.map(|key| records::customer(&transaction, key)).transpose()?.flatten() else {
        return Ok(false);
    };
    erase(&transaction, std::slice::from_ref(&customer), &Actor::command(customer.merchant_id), now)?;
    transaction.commit()?;
    Ok(true)
}

/// Removes rows of one customer with all accesses, licences and lists, the account and its sessions, as one change of
/// `actor`, and refuses the rows' tokens from now on. Returns the `seq`. The caller commits the transaction.
///
/// # Errors
/// If the database cannot be written.
pub fn erase(
    transaction: &Transaction<'_>,
    rows: &[Customer],
    actor: &Actor,
    now: UnixSecs,
) -> Result<u64, DbError> {
    for Customer { namespace, subject, .. } in rows {
        let sql = "DELETE FROM customers WHERE namespace = ?1 AND subject = ?2";
        transaction.execute(sql, params![namespace, subject])?;
        revoked::revoke(transaction, Tokens::Subject { namespace: Some(namespace), subject }, now)?;
    }
    log(transaction, "customer.remove", rows, actor, now)
}

/// Logs the change of a customer's rows and records it in the audit trail, by number: the trail outlives the customer.
fn log(
    transaction: &Transaction<'_>,
    action: &'static str,
    rows: &[Customer],
    actor: &Actor,
    now: UnixSecs,
) -> Result<u64, DbError> {
    let mut change = PendingChange::default();
    for Customer { namespace, subject, .. } in rows {
        change.touch(Ref::Customer { namespace: namespace.clone(), subject: subject.clone() });
    }
    let seq = change.log(transaction, now)?;
    let id = rows.first().map(|customer| customer.id);
    let object = id.map_or_else(String::new, |id| format!("customer:{id}"));
    let deed = Deed { customer_id: id, ..Deed::new(action, object) };
    audit::record(transaction, actor, &deed, &DeedOutcome::Done(Some(seq)), now)?;
    Ok(seq)
}

fn is_name(text: &str) -> bool {
    (1..=CUSTOMER_MAX_BYTES).contains(&text.len()) && !text.contains('\0')
}
