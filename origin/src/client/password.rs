//! New passwords: by the old one, or by a token for those who forgot it.

use admit::api::reply::Reply;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Job, done};
use crate::{
    db::{
        DbError,
        accounts::{self, Account},
        audit::{self, Deed, DeedOutcome},
        sessions,
    },
    event::{self, Event},
    limits::{NAME_MAX_BYTES, PASSWORD_TOKEN_SECS, PASSWORD_TOKENS_MAX, TEXT_MAX_BYTES},
    tokens::{identity, password, secret},
    wire::{Fields, OriginError, Refused},
};

/// `POST /accounts/forgot-password`: makes a token, if the address has an account. The answer is the same, and takes
/// the same time, if it has none.
///
/// # Errors
/// 422 naming missing fields, 429 after several requests for one address.
pub fn forgot(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let email = fields.required_text("email", NAME_MAX_BYTES);
    // The SDK's `merchantUuid`, in which apps send what they call their client id.
    let client_id = fields.required_text("merchant_uuid", TEXT_MAX_BYTES);
    fields.finish()?;
    let (email, client_id) = (email.unwrap_or_default(), client_id.unwrap_or_default());
    job.count("forgot", email.trim_ascii())?;
    // Without a way to send it, a token would be of no use.
    if job.shared.settings.logs_password_tokens {
        let token = secret::random()?;
        let account_id = match identity::client(job.connection, &client_id)? {
            Some(client) => accounts::by_name(job.connection, client.merchant_id, email.trim_ascii())?,
            None => None,
        }
        .map(|(id, _)| id);
        let _writing = job.shared.lock();
        let transaction = job.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        keep(&transaction, account_id, &token, job.now)?;
        transaction.commit()?;
        if let Some(account) = account_id {
            event::log(Event::PasswordToken { account, token: &token, request_id: &job.incoming.request_id });
        }
    }
    Ok(done("If the address has an account, a token for a new password was sent"))
}

/// Stores a token for an account, or a decoy without one, which takes the same time.
fn keep(transaction: &Connection, account_id: Option<i64>, token: &str, now: i64) -> Result<(), DbError> {
    transaction.prepare_cached("DELETE FROM password_tokens WHERE expires_at <= ?1")?.execute([now])?;
    // Several tokens may be on their way; beyond that, the oldest go.
    let sql = "DELETE FROM password_tokens WHERE account_id = ?1 AND hash NOT IN (
                   SELECT hash FROM password_tokens WHERE account_id = ?1 ORDER BY expires_at DESC LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute(params![account_id, PASSWORD_TOKENS_MAX - 1])?;
    // The only row of a decoy: requests for unknown addresses must not fill the table.
    let hash = if account_id.is_some() { secret::hash(token) } else { vec![0; 32] };
    let sql = "INSERT OR REPLACE INTO password_tokens (hash, account_id, expires_at) VALUES (?1, ?2, ?3)";
    let expires_at = now.saturating_add(PASSWORD_TOKEN_SECS);
    transaction.prepare_cached(sql)?.execute(params![hash, account_id, expires_at])?;
    Ok(())
}

/// `PUT /accounts/forgot-password/{token}`: sets a password once, and ends every session of the account.
///
/// # Errors
/// 400 if the token is unknown, used or expired; 422.
pub fn set_by_token(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let password = new(&fields);
    fields.finish()?;
    let password = password.ok_or(OriginError::PasswordToken)?;
    // Unknown tokens are refused before anything is hashed.
    let account_id = of_token(job.connection, job.path.parameter, job.now)?;
    let account_id = account_id.ok_or(OriginError::PasswordToken)?;
    set(job, account_id, &password, Proof::Token(job.path.parameter))
}

/// The account of a token that is still good.
fn of_token(connection: &Connection, token: &str, now: i64) -> Result<Option<i64>, DbError> {
    let sql = "SELECT account_id FROM password_tokens
               WHERE hash = ?1 AND expires_at > ?2 AND account_id IS NOT NULL";
    let row = connection.prepare_cached(sql)?.query_row(params![secret::hash(token), now], |row| row.get(0));
    Ok(row.optional()?)
}

/// `POST /accounts/change-password`: sets a password by the old one. The session that asks goes on, all others end.
///
/// # Errors
/// 404, 422 naming `old_password` if it is wrong, 429 after several wrong ones.
pub fn change(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let account = job.account()?;
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let old = fields.required_text("old_password", TEXT_MAX_BYTES);
    let password = new(&fields);
    fields.finish()?;
    verify(job, &account, "old_password", &old.unwrap_or_default())?;
    let session = job.token.and_then(|token| token.names().session);
    set(job, account.id, &password.unwrap_or_default(), Proof::OldPassword { kept: session.as_deref() })
}

/// Why a new password is stored. The bearer of the request proves nothing here: a reset by token may carry one, too.
enum Proof<'a> {
    /// A token for those who forgot the old password.
    Token(&'a str),
    /// The old password. The session `kept` goes on.
    OldPassword { kept: Option<&'a str> },
}

/// Stores a new password, and ends the sessions of the account.
fn set(job: &mut Job<'_>, account_id: i64, password: &str, proof: Proof<'_>) -> Result<Reply, Refused> {
    let hash = hashed(password)?;
    let now = job.now;
    let account = accounts::load(job.connection, account_id)?.ok_or(OriginError::NoAccount)?;
    let (actor, kept) = match proof {
        Proof::Token(_) => (job.anonymous(account.merchant_id, "the holder of a password token"), None),
        Proof::OldPassword { kept } => (job.actor(account.merchant_id), kept),
    };
    let _writing = job.shared.lock();
    let transaction = job.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // The same token may have come twice at once.
    if let Proof::Token(token) = proof
        && of_token(&transaction, token, now)? != Some(account_id)
    {
        return Err(OriginError::PasswordToken.into());
    }
    accounts::set_password(&transaction, account_id, &hash, now)?;
    sessions::end_all_of(&transaction, account_id, kept)?;
    let deed = Deed::new("account.password", format!("account:{account_id}"));
    audit::record(&transaction, &actor, &deed, &DeedOutcome::Done(None), now)?;
    audit::cut(&transaction, account.merchant_id, job.shared.settings.keep_audit, now)?;
    transaction.commit()?;
    Ok(done("The password has been changed"))
}

/// Checks the password of an account that a request's field `name` has. A wrong one is 422 and not 401, on which
/// clients sign their viewers out.
///
/// # Errors
/// 422, or 429 after several wrong ones.
pub fn verify(job: &Job<'_>, account: &Account, name: &str, typed: &str) -> Result<(), Refused> {
    let hash = accounts::password_hash(job.connection, account.id)?;
    match job.guess(&account.username, || Ok(password::verify(typed, Some(&hash))))? {
        true => Ok(()),
        false => Err(Refused::field(name, &format!("The {name} is wrong"))),
    }
}

/// A new password, and its confirmation if it was sent.
pub fn new(fields: &Fields<'_>) -> Option<String> {
    let password = fields.required_text("password", TEXT_MAX_BYTES)?;
    if let Err(problem) = password::check(&password) {
        fields.wrong("password", &problem);
    }
    if fields.has("password_confirmation") {
        let again = fields.text("password_confirmation", TEXT_MAX_BYTES);
        if again.as_ref() != Some(&password) {
            fields.wrong("password_confirmation", "must repeat the password");
        }
    }
    Some(password)
}

/// The hash of a new password.
///
/// # Errors
/// None in practice.
pub fn hashed(password: &str) -> Result<String, DbError> {
    password::hash(password).map_err(|_| DbError::Inconsistent("a password that cannot be hashed"))
}
