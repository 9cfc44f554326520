//! Adds and removes customers. The API has no route for that: an operator or a sign-up service uses the
//! command.

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
    };
    store::insert_customer(&transaction, &customer, now)?;
    log(&transaction, "customer.add", &customer, now)?;
    transaction.commit().map_err(DbError::from)?;
    Ok(customer)
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
    let sql = "DELETE FROM customers WHERE namespace = ?1 AND subject = ?2";
    transaction.execute(sql, params![namespace, subject])?;
    revoked::revoke(&transaction, Tokens::Subject { namespace: Some(namespace), subject }, now)?;
    log(&transaction, "customer.remove", &customer, now)?;
    transaction.commit()?;
    Ok(true)
}

/// Logs the change and records it in the audit trail, by number: the trail outlives the customer.
fn log(
    transaction: &Transaction<'_>,
    action: &'static str,
    customer: &Customer,
    now: UnixSecs,
) -> Result<(), DbError> {
    let mut change = PendingChange::default();
    let Customer { namespace, subject, id, merchant_id, .. } = customer;
    change.touch(Ref::Customer { namespace: namespace.clone(), subject: subject.clone() });
    let seq = change.log(transaction, now)?;
    let deed = Deed { customer_id: Some(*id), ..Deed::new(action, format!("customer:{id}")) };
    audit::record(transaction, &Actor::command(*merchant_id), &deed, &DeedOutcome::Done(Some(seq)), now)
}

fn is_name(text: &str) -> bool {
    (1..=CUSTOMER_MAX_BYTES).contains(&text.len()) && !text.contains('\0')
}
