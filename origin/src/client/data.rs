//! The viewer's data as a whole: exported and erased.

use admit::api::reply::Reply;
use admit::{api::error::ApiError, snapshot::schema::Customer};
use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::{Value, json};

use super::{Answered, Job, done, media, ok, password};
use crate::{
    db::{
        DbError,
        accounts::{Account, Owner},
        audit, changes, customers, records,
    },
    limits::TEXT_MAX_BYTES,
    wire::{Fields, Refused},
};

/// `POST /accounts/export`: everything that the origin knows about the viewer, in the answer itself. A password is
/// optional, as apps send none; one that is sent must be right.
///
/// # Errors
/// 404, 422 naming the password, 429 after several wrong ones.
pub fn export(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let account = job.account()?;
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let typed = fields.text("password", TEXT_MAX_BYTES);
    fields.finish()?;
    if let Some(typed) = typed {
        password::verify(job, &account, "password", &typed)?;
    }
    let rows = rows(job.connection, &account)?;
    let lists = match job.person()? {
        Some(person) => (
            media::all_favorites(job.connection, person.key)?,
            media::all_watched(job.connection, person.key)?,
        ),
        None => (Vec::new(), Vec::new()),
    };
    let data = json!({
        "account": account.json(),
        "customers": rows.iter().map(|(_, customer)| customer).collect::<Vec<_>>(),
        "favorites": lists.0,
        "watch_history": lists.1,
        "sessions": sessions(job.connection, account.id)?,
    });
    Ok(ok(&json!({"code": 200, "message": "The data is in this answer", "data": data})))
}

/// `DELETE /accounts/erase`: removes the viewer's customer with all rows, accesses, licences and lists, the account
/// and its sessions.
///
/// # Errors
/// 403 for one of the merchant's people, 404, 422 naming the password, 429 after several wrong ones.
pub fn erase(job: &mut Job<'_>) -> Result<Answered, Refused> {
    let account = job.account()?;
    if matches!(account.owner, Owner::Merchant { .. }) {
        return Err(ApiError::InvalidPrivileges.into());
    }
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let typed = fields.required_text("password", TEXT_MAX_BYTES);
    fields.finish()?;
    password::verify(job, &account, "password", &typed.unwrap_or_default())?;
    let (settings, now) = (&job.shared.settings, job.now);
    let actor = job.actor(account.merchant_id);
    let _writing = job.shared.lock();
    let transaction = job.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows: Vec<Customer> =
        rows(&transaction, &account)?.into_iter().map(|(_, customer)| customer).collect();
    let seq = customers::erase(&transaction, &rows, &actor, now)?;
    changes::cut(&transaction, seq, settings.keep_changes, now)?;
    audit::cut(&transaction, account.merchant_id, settings.keep_audit, now)?;
    transaction.commit()?;
    Ok(Answered { reply: done("The account has been erased"), seq: Some(seq) })
}

/// The customer's rows of an account: one for each issuer.
fn rows(connection: &Connection, account: &Account) -> Result<Vec<(i64, Customer)>, DbError> {
    match account.owner {
        Owner::Customer { id, .. } => records::customers(connection, account.merchant_id, id),
        Owner::Merchant { .. } => Ok(Vec::new()),
    }
}

fn sessions(connection: &Connection, account_id: i64) -> Result<Vec<Value>, DbError> {
    let sql = "SELECT signed_in_at, expires_at FROM sessions WHERE account_id = ?1 ORDER BY signed_in_at, id";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params![account_id], |row| {
        Ok(json!({"signed_in_at": row.get::<_, i64>(0)?, "expires_at": row.get::<_, i64>(1)?}))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
