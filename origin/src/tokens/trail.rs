//! Sign-ins in the audit trail. All are counted. A sign-in whose tokens can write has an entry, at most one
//! an hour; so has a session that ended because of a theft.

use admit::instant::UnixSecs;
use rusqlite::{Connection, OptionalExtension};

use super::{
    identity::{Holder, Identity},
    refresh::Session,
};
use crate::{
    db::{
        DbError,
        audit::{self, Actor, Deed, DeedOutcome, Via},
    },
    limits::AUDIT_SIGN_IN_EVERY_SECS,
    settings::Settings,
};

/// Records a sign-in. The caller commits the transaction.
///
/// A program may sign in very often, and an entry each time would push other entries out.
///
/// # Errors
/// If the database cannot be written.
pub fn signed_in(
    settings: &Settings,
    transaction: &Connection,
    identity: &Identity,
    client_id: &str,
    via: Via<'_>,
    now: UnixSecs,
) -> Result<(), DbError> {
    let is_viewer = matches!(identity.holder, Holder::Account(_)) && identity.role != Some("merchant");
    audit::count(transaction, identity.merchant_id, "sign_in", "done", 1, now)?;
    let object = object(&identity.holder);
    if is_viewer || has_entry_of_late(transaction, &object, now)? {
        return Ok(());
    }
    let actor = Actor {
        merchant_id: identity.merchant_id,
        client: Some(client_id.to_owned()),
        ..Actor::new(&settings.issuer, &identity.subject, via)
    };
    audit::record(transaction, &actor, &Deed::new("sign_in", object), &DeedOutcome::Done(None), now)?;
    audit::cut(transaction, identity.merchant_id, settings.keep_audit, now)
}

/// Whether the last entry about a sign-in of this account or program is less than an hour old.
fn has_entry_of_late(connection: &Connection, object: &str, now: UnixSecs) -> Result<bool, DbError> {
    let sql = "SELECT at FROM audit WHERE object = ?1 AND action = 'sign_in' ORDER BY id DESC LIMIT 1";
    let last: Option<UnixSecs> =
        connection.prepare_cached(sql)?.query_row([object], |row| row.get(0)).optional()?;
    Ok(last.is_some_and(|last| now.saturating_sub(last) < AUDIT_SIGN_IN_EVERY_SECS))
}

/// Records that `what` was used again, so that one of its two holders is a thief, and that the session has
/// ended. The caller commits the transaction.
///
/// # Errors
/// If the database cannot be read or written.
pub fn stolen(
    settings: &Settings,
    transaction: &Connection,
    session: &Session,
    what: &'static str,
    via: Via<'_>,
    now: UnixSecs,
) -> Result<(), DbError> {
    let object = object(&session.holder);
    let merchant_id: Option<i64> = match &session.holder {
        Holder::Account(id) => transaction
            .query_row("SELECT merchant_id FROM accounts WHERE id = ?1", [id], |row| row.get(0))
            .optional()?,
        Holder::Program(client_id) => transaction
            .query_row("SELECT merchant_id FROM machines WHERE client_id = ?1", [client_id], |row| row.get(0))
            .optional()?,
    };
    let actor = Actor {
        merchant_id: merchant_id.unwrap_or(0),
        client: Some(session.client_id.clone()),
        // The thief and the owner cannot be told apart.
        ..Actor::new(&settings.issuer, &format!("somebody with a used {what}"), via)
    };
    audit::record(transaction, &actor, &Deed::new("session.stolen", object), &DeedOutcome::Done(None), now)?;
    audit::cut(transaction, actor.merchant_id, settings.keep_audit, now)
}

fn object(holder: &Holder) -> String {
    match holder {
        Holder::Account(id) => format!("account:{id}"),
        Holder::Program(client_id) => format!("client:{client_id}"),
    }
}
