//! `POST /accounts/authenticate`: sign-in for the older SDKs.

use admit::api::reply::{Caching, Reply};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;
use serde_json::Value;

use super::{
    identity::{self, Holder, Identity, RegisteredClient},
    issue::{self, Terms},
    keys::Signer,
    refresh::{self, Session},
    trail,
};
use crate::{
    db::audit::Via,
    limits::TEXT_MAX_BYTES,
    request::Incoming,
    settings::Settings,
    state::Shared,
    wire::{Fields, OriginError, Refused},
};

/// Answers `POST /accounts/authenticate`.
///
/// # Errors
/// 400 if the form is invalid, 401 if the credentials are.
pub fn authenticate(
    shared: &Shared,
    connection: &mut Connection,
    incoming: &Incoming,
    now: i64,
) -> Result<Reply, Refused> {
    let body = incoming.payload.read().map_err(Refused::into_bad_request)?;
    let fields = Fields::new(&body);
    let said = read(&fields);
    fields.finish().map_err(Refused::into_bad_request)?;
    let Some((client_id, grant)) = said else {
        return Err(Refused::field("grant_type", "The grant_type is required").into_bad_request());
    };
    let settings = &shared.settings;
    // Passwords are checked before the lock is taken, because hashing takes tens of milliseconds.
    let identity = match &grant {
        Credentials::Password { .. } if !settings.allows_password_grant => return Err(no_passwords()),
        Credentials::Password { username, password } => {
            let client = identity::client(connection, &client_id)?;
            let identity = identity::by_password(settings, connection, client.as_ref(), username, password)?;
            let identity = identity.and_then(|identity| identity.through(client.as_ref(), false));
            Some(identity.ok_or(OriginError::Credentials)?)
        }
        Credentials::ClientSecret { client_secret } => {
            let identity = identity::by_secret(settings, connection, &client_id, client_secret)?;
            Some(identity.ok_or(OriginError::Credentials)?)
        }
        // Unknown tokens are refused before the lock is taken, so that strangers cannot hold up writes.
        Credentials::RefreshToken { refresh_token } if !refresh::is_known(connection, refresh_token)? => {
            return Err(OriginError::RefreshToken.into());
        }
        Credentials::RefreshToken { .. } => None,
    };
    let _writing = shared.lock();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let signed_in = match (identity, &grant) {
        (Some(identity), _) => {
            Some(begin(settings, &transaction, identity, &client_id, incoming.via(), now)?)
        }
        (None, Credentials::RefreshToken { refresh_token }) => {
            refreshed(settings, &transaction, refresh_token, &client_id, incoming.via(), now)?
                .map(|(identity, session, successor)| (identity, session, Some(successor)))
        }
        (None, _) => None,
    };
    let Some(signed_in) = signed_in else {
        // Commits, because a used token has ended its family.
        transaction.commit()?;
        return Err(OriginError::RefreshToken.into());
    };
    let body = tokens(settings, &transaction, signed_in, now)?;
    transaction.commit()?;
    Ok(Reply::ok(body, Caching::Private))
}

/// A new account signs in: the body of the answer to its registration. The caller commits the transaction.
///
/// # Errors
/// If the account may not sign in by the client, or the database fails.
pub fn first(
    settings: &Settings,
    transaction: &Transaction<'_>,
    account_id: i64,
    client_id: &str,
    via: Via<'_>,
    now: i64,
) -> Result<String, Refused> {
    let identity = identity::reload(settings, transaction, &Holder::Account(account_id))?;
    let identity = identity.ok_or(OriginError::Credentials)?;
    let signed_in = begin(settings, transaction, identity, client_id, via, now)?;
    tokens(settings, transaction, signed_in, now)
}

/// An identity that signs in, its session, and the refresh token if there is one.
type Beginning = (Identity, Session, Option<String>);

/// Begins a session.
fn begin(
    settings: &Settings,
    transaction: &Transaction<'_>,
    identity: Identity,
    client_id: &str,
    via: Via<'_>,
    now: i64,
) -> Result<Beginning, Refused> {
    let (holder, scope) = (identity.holder.clone(), issue::granted(None, &identity));
    let family = uuid::Uuid::new_v4().to_string();
    trail::signed_in(settings, transaction, &identity, client_id, via, now)?;
    let session = Session { family, holder, client_id: client_id.to_owned(), scope, signed_in_at: now };
    // A program has its secret instead (RFC 6749 §4.4.3).
    let refresh_token = match session.holder {
        Holder::Account(_) => Some(refresh::start(settings, transaction, &session, now)?),
        Holder::Program(_) => None,
    };
    Ok((identity, session, refresh_token))
}

/// The body of an answer with tokens.
fn tokens(
    settings: &Settings,
    transaction: &Transaction<'_>,
    (identity, session, refresh_token): Beginning,
    now: i64,
) -> Result<String, Refused> {
    let client = identity::client(transaction, &session.client_id)?;
    // The account may no longer be a tester's.
    let identity = identity.through(client.as_ref(), false).ok_or(OriginError::RefreshToken)?;
    let signer = Signer::current(transaction, now)?;
    let ttl_secs = issue::sdk_ttl_secs(settings, &identity);
    let scope = issue::granted(Some(&session.scope), &identity);
    let terms = Terms {
        client_id: RegisteredClient::name(client.as_ref(), &session.client_id),
        scope: &scope,
        session: session.id(),
        ttl_secs,
    };
    let body = SignedIn {
        access_token: issue::access_token(settings, &signer, &identity, terms, now)?,
        refresh_token,
        expires: now.saturating_add(ttl_secs),
        account: identity.account,
    };
    Ok(serde_json::to_string(&body)?)
}

/// The answer to a sign-in, as the older SDKs read it.
#[derive(Serialize)]
struct SignedIn {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    expires: i64,
    account: Value,
}

/// Passwords are typed on the origin's own page, unless the operator allows them for older SDKs.
fn no_passwords() -> Refused {
    let problem = "The grant_type password is not allowed here: send people to /oauth2/authorize, or start the origin \
                   with --allow-password-grant for SDKs that know no other way";
    Refused::field("grant_type", problem).into_bad_request()
}

enum Credentials {
    Password { username: String, password: String },
    ClientSecret { client_secret: String },
    RefreshToken { refresh_token: String },
}

/// Reads client and credentials. `None` if a field is missing; the problems are noted in `fields`.
fn read(fields: &Fields<'_>) -> Option<(String, Credentials)> {
    let client_id = fields.required_text("client_id", TEXT_MAX_BYTES);
    let grant_type = fields.required_text("grant_type", TEXT_MAX_BYTES)?;
    let required = |name| fields.required_text(name, TEXT_MAX_BYTES);
    let grant = match grant_type.as_str() {
        "password" => {
            let (username, password) = (required("username"), required("password"));
            Credentials::Password { username: username?, password: password? }
        }
        "client_credentials" => Credentials::ClientSecret { client_secret: required("client_secret")? },
        "refresh_token" => Credentials::RefreshToken { refresh_token: required("refresh_token")? },
        _ => {
            fields.wrong("grant_type", "must be password, client_credentials or refresh_token");
            return None;
        }
    };
    Some((client_id?, grant))
}

/// Uses a refresh token up; returns its identity, its session and its successor. The caller commits the
/// transaction in any case.
///
/// # Errors
/// If the database cannot be read or written.
pub fn refreshed(
    settings: &Settings,
    transaction: &Transaction<'_>,
    refresh_token: &str,
    client_id: &str,
    via: Via<'_>,
    now: i64,
) -> Result<Option<(Identity, Session, String)>, Refused> {
    let rotated = refresh::rotate(settings, transaction, refresh_token, client_id, via, now)?;
    let Some((session, successor)) = rotated else { return Ok(None) };
    let identity = identity::reload(settings, transaction, &session.holder)?;
    Ok(identity.map(|identity| (identity, session, successor)))
}
