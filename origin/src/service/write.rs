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
use uuid::Uuid;

use super::{
    Incoming, access, budget, fees,
    idempotency::{self, Kept},
    items,
    job::{Answer, Caller, Job, fee_id, item_id},
    route::Endpoint,
};
use crate::{
    db::{
        DbError,
        changes::{self, Change},
    },
    wire::Refused,
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
        _ => incoming.payload.read()?,
    };
    budget::check_fields(&fields)?;
    let key = idempotency::key(incoming)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(key) = key
        && let Some(kept) = idempotency::earlier(&transaction, &caller, key, incoming, &fields, now)?
    {
        let Kept { status, body, seq } = kept;
        let mut reply = reply(status, body);
        reply.headers.push(("idempotency-replayed", Cow::Borrowed("true")));
        return Ok(Written { reply, seq });
    }
    let mut job =
        Job { db: &transaction, now, caller: &caller, request, fields: &fields, change: Change::default() };
    let answer = write.make(&mut job)?;
    let change = job.change;
    let seq = change.log(&transaction, now)?;
    changes::cut(&transaction, seq, keep_changes)?;
    let (status, body) = match answer {
        Answer::Created(json) => (201, json),
        Answer::Done => (204, String::new()),
    };
    let kept = Kept { status, body, seq };
    if let Some(key) = key {
        idempotency::keep(&transaction, &caller, key, incoming, &fields, &kept, now)?;
    }
    transaction.commit()?;
    Ok(Written { reply: reply(status, kept.body), seq })
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
    // An issuer of some merchants may not say one by number and another by UUID.
    let is_named = |known: &String| {
        principal.merchants.is_none() || uuid.as_ref().is_none_or(|uuid| uuid == &known.to_ascii_lowercase())
    };
    let is_heard = |(id, known): &(i64, String)| principal.is_heard_by(*id) && is_named(known);
    let Some((merchant_id, merchant_uuid)) = merchant.filter(is_heard) else {
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
        is_unapplied: false,
    }
}
