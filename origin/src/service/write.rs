//! A write: who may make it, its transaction, its `seq`, and the answer that is kept for its `Idempotency-Key`.

use std::borrow::Cow;

use admit::{
    api::{
        error::ApiError,
        reply::{Body, Caching, Reply},
    },
    token::{Principal, VerifiedToken},
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Incoming, access, fees, items,
    job::{Answer, Caller, Job, fee_id, item_id},
    route::Endpoint,
};
use crate::{
    db::{
        DbError,
        changes::{self, Change},
    },
    limits::{IDEMPOTENCY_KEY_MAX_BYTES, IDEMPOTENCY_SECS},
    wire::{self, Refused},
};

/// A write that was made, or had been made before.
pub struct Written {
    /// The answer.
    pub reply: Reply,
    /// The change that made it.
    pub seq: u64,
}

/// Makes a write at `now`, of which the log keeps the last `keep_changes`. Nothing is changed on an error.
///
/// # Errors
/// When it is refused.
pub fn write(
    connection: &mut Connection,
    token: &VerifiedToken,
    endpoint: Endpoint<'_>,
    incoming: &Incoming,
    now: i64,
    keep_changes: u64,
) -> Result<Written, Refused> {
    let caller = caller(connection, &token.principal)?;
    let request = &incoming.request();
    let write = Write::of(endpoint, request.method)?;
    let fields = match request.method {
        // Whatever a client sends along says nothing.
        "DELETE" => serde_json::Map::new(),
        _ => wire::read(&incoming.content_type, &incoming.body)?,
    };
    let key = idempotency_key(incoming)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(key) = key
        && let Some(written) = earlier(&transaction, &caller, key, incoming, now)?
    {
        return Ok(written);
    }
    let mut job =
        Job { db: &transaction, now, caller: &caller, request, fields: &fields, change: Change::default() };
    let answer = write.make(&mut job)?;
    let change = job.change;
    let seq = change.log(&transaction, now)?;
    changes::cut(&transaction, seq, keep_changes)?;
    let (status, body) = match &answer {
        Answer::Created(json) => (201, json.as_str()),
        Answer::Done => (204, ""),
    };
    if let Some(key) = key {
        let sql = "INSERT INTO idempotency (caller, key, request, status, body, seq, created_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        transaction.prepare_cached(sql)?.execute(params![
            caller.name,
            key,
            fingerprint(incoming),
            status,
            body,
            seq,
            now
        ])?;
    }
    transaction.commit()?;
    Ok(Written { reply: reply(status, body.to_owned()), seq })
}

/// The merchant in whose name the token writes.
fn caller(connection: &Connection, principal: &Principal) -> Result<Caller, Refused> {
    if !principal.roles.merchant {
        return Err(ApiError::InvalidPrivileges.into());
    }
    let sql = "SELECT id, uuid FROM merchants WHERE id = ?1 OR (?1 IS NULL AND uuid = ?2)";
    let uuid = principal.merchant_uuid.as_ref().map(|uuid| uuid.to_ascii_lowercase());
    let merchant = connection
        .prepare_cached(sql)?
        .query_row(params![principal.merchant_id, uuid], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((merchant_id, merchant_uuid)) = merchant.filter(|(id, _)| principal.is_heard_by(*id)) else {
        return Err(ApiError::InvalidPrivileges.into());
    };
    // A namespace has no zero byte.
    let name = format!("{}\0{}\0{merchant_id}", principal.namespace, principal.subject);
    let merchant_uuid =
        Uuid::try_parse(&merchant_uuid).map_err(|_| DbError::Inconsistent("a merchant's UUID"))?;
    Ok(Caller { merchant_id, merchant_uuid, name })
}

enum Write {
    Grant,
    Revoke(i64),
    CreateItem,
    ReplaceItem(i64),
    ChangeItem(i64),
    DeleteItem(i64),
    CreateFee(i64),
    ReplaceFee(i64, i64),
    DeleteFee(i64, i64),
    ChangeFees(i64),
    ChangeMembers(i64),
}

impl Write {
    fn of(endpoint: Endpoint<'_>, method: &str) -> Result<Self, Refused> {
        Ok(match (endpoint, method) {
            (Endpoint::Grant, "POST") => Self::Grant,
            (Endpoint::Access(id), "DELETE") => Self::Revoke(id.number().ok_or(ApiError::InvalidIdOnAccess)?),
            (Endpoint::Items, "POST") => Self::CreateItem,
            (Endpoint::Item(id), "PUT") => Self::ReplaceItem(item_id(id)?),
            (Endpoint::Item(id), "PATCH") => Self::ChangeItem(item_id(id)?),
            (Endpoint::Item(id), "DELETE") => Self::DeleteItem(item_id(id)?),
            (Endpoint::Fees(id), "POST") => Self::CreateFee(item_id(id)?),
            (Endpoint::Fee(id, fee), "PUT") => Self::ReplaceFee(item_id(id)?, fee_id(fee)?),
            (Endpoint::Fee(id, fee), "DELETE") => Self::DeleteFee(item_id(id)?, fee_id(fee)?),
            (Endpoint::BulkFees(id), "PATCH") => Self::ChangeFees(item_id(id)?),
            (Endpoint::BulkPackage(id), "PATCH") => Self::ChangeMembers(item_id(id)?),
            _ => return Err(ApiError::MethodNotAllowed(endpoint.allow()).into()),
        })
    }

    fn make(self, job: &mut Job<'_>) -> Result<Answer, Refused> {
        match self {
            Self::Grant => access::grant(job),
            Self::Revoke(id) => access::revoke(job, id),
            Self::CreateItem => items::create(job),
            Self::ReplaceItem(id) => items::replace(job, id),
            Self::ChangeItem(id) => items::change(job, id),
            Self::DeleteItem(id) => items::delete(job, id),
            Self::CreateFee(id) => fees::create(job, id),
            Self::ReplaceFee(id, fee_id) => fees::replace(job, id, fee_id),
            Self::DeleteFee(id, fee_id) => fees::delete(job, id, fee_id),
            Self::ChangeFees(id) => fees::bulk(job, id),
            Self::ChangeMembers(id) => items::change_members(job, id),
        }
    }
}

fn idempotency_key(incoming: &Incoming) -> Result<Option<&str>, Refused> {
    let Some(key) = &incoming.idempotency_key else { return Ok(None) };
    let is_key = (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_key {
        return Ok(Some(key));
    }
    let problem =
        format!("The Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_MAX_BYTES} visible characters");
    Err(Refused::field("Idempotency-Key", &problem))
}

/// The answer that the same write had before. Only writes that were made are kept: what was refused changed
/// nothing and is judged again.
fn earlier(
    transaction: &Connection,
    caller: &Caller,
    key: &str,
    incoming: &Incoming,
    now: i64,
) -> Result<Option<Written>, Refused> {
    let sql = "DELETE FROM idempotency WHERE created_at <= ?1";
    transaction.prepare_cached(sql)?.execute([now.saturating_sub(IDEMPOTENCY_SECS)])?;
    let sql = "SELECT request, status, body, seq FROM idempotency WHERE caller = ?1 AND key = ?2";
    let kept = transaction
        .prepare_cached(sql)?
        .query_row([&caller.name, key], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((request, status, body, seq)) = kept else { return Ok(None) };
    if request != fingerprint(incoming) {
        let problem = "The Idempotency-Key was used for another request";
        return Err(Refused::field("Idempotency-Key", problem));
    }
    let mut reply = reply(status, body);
    reply.headers.push(("idempotency-replayed", Cow::Borrowed("true")));
    Ok(Some(Written { reply, seq }))
}

/// What makes two requests the same.
fn fingerprint(incoming: &Incoming) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [&incoming.method, &incoming.path, &incoming.query, &incoming.content_type] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    if let wire::Body::Whole(body) = &incoming.body {
        hash.update(body);
    }
    hash.finalize().to_vec()
}

fn reply(status: u16, body: String) -> Reply {
    let body = if status == 204 { Body::Empty } else { Body::Json(body) };
    Reply {
        status,
        body,
        caching: Caching::Private,
        headers: Vec::new(),
        reason: Cow::Borrowed("written"),
        detail: String::new(),
        validity: None,
    }
}
