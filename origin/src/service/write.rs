//! A write: its merchant, its transaction and `seq`, its audit entry, and the answer that is stored for its
//! `Idempotency-Key`.

use std::borrow::Cow;

use admit::{
    api::{
        error::ApiError,
        reply::{Body, Caching, Reply},
    },
    instant::UnixSecs,
    token::Principal,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    access, budget, fees,
    idempotency::{self, Kept},
    items,
    job::{Answer, Caller, Job, fee_id, item_id},
    route::Endpoint,
};
use crate::{
    db::{
        DbError,
        audit::{self, Actor, Deed},
        changes::{self, Change},
        usage,
    },
    request::Incoming,
    settings::Settings,
    state::Shared,
    wire::Refused,
};

/// A successful write, made now or earlier with the same idempotency key.
pub struct Written {
    /// The reply; the caller completes its headers.
    pub reply: Reply,
    /// The change that the write made.
    pub seq: u64,
}

/// The counted outcome of writes by tokens without a merchant.
pub const NO_MERCHANT: &str = "403 no merchant's token";

/// A request that writes.
pub struct WriteRequest<'a> {
    /// The endpoint of its path.
    pub endpoint: Endpoint<'a>,
    /// The whole request.
    pub incoming: &'a Incoming,
    /// The moment of the write.
    pub now: UnixSecs,
}

/// Makes a write, with its audit entry in the same transaction. On an error the database is unchanged, and a
/// second transaction records the refusal.
///
/// # Errors
/// If the write is refused.
pub fn write(
    shared: &Shared,
    connection: &mut Connection,
    principal: &Principal,
    mut actor: Actor,
    request: &WriteRequest<'_>,
) -> Result<Written, Refused> {
    let now = request.now;
    let caller =
        caller(connection, principal).inspect_err(|_| shared.counts.add(0, "write", NO_MERCHANT, now))?;
    shared
        .rates
        .take(&shared.settings.quotas, caller.merchant_id, now)
        .inspect_err(|_| shared.counts.add(caller.merchant_id, "write", "429 too many writes", now))?;
    actor.merchant_id = caller.merchant_id;
    let sent = Sent::read(request);
    let _writing = shared.lock();
    let made = sent.and_then(|sent| make(&shared.settings, connection, &caller, &actor, &sent, request));
    made.inspect_err(|refused| {
        if let Some(reason) = refused.outcome()
            && let Err(error) = record_refused(&shared.settings, connection, &actor, request, reason)
        {
            eprintln!("{}", json!({"event": "database", "error": error.to_string()}));
        }
    })
}

/// A request as it was read, before it is checked against the database.
struct Sent<'a> {
    write: Write,
    fields: Map<String, Value>,
    key: Option<&'a str>,
}

impl<'a> Sent<'a> {
    fn read(request: &WriteRequest<'a>) -> Result<Self, Refused> {
        let method = request.incoming.method.as_str();
        let write = Write::of(request.endpoint, method)?;
        let fields = match method {
            // DELETE ignores its body.
            "DELETE" => Map::new(),
            _ => request.incoming.payload.read()?,
        };
        budget::check_fields(&fields)?;
        Ok(Self { write, fields, key: idempotency::key(request.incoming)? })
    }
}

fn make(
    settings: &Settings,
    connection: &mut Connection,
    caller: &Caller,
    actor: &Actor,
    Sent { write, fields, key }: &Sent<'_>,
    WriteRequest { endpoint, incoming, now }: &WriteRequest<'_>,
) -> Result<Written, Refused> {
    let (request, now) = (&incoming.request(), *now);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(key) = key
        && let Some(kept) = idempotency::earlier(&transaction, caller, key, incoming, fields, now)?
    {
        let Kept { status, body, seq } = kept;
        let mut reply = reply(status, body);
        reply.headers.push(("idempotency-replayed", Cow::Borrowed("true")));
        return Ok(Written { reply, seq });
    }
    let stored_before = usage::of(&transaction, caller.merchant_id)?;
    let mut job = Job { db: &transaction, now, caller, request, fields, change: Change::default() };
    let answer = write.make(&mut job)?;
    let change = job.change;
    let (status, body) = match answer {
        Answer::Created(json) => (201, json),
        Answer::Done => (204, String::new()),
    };
    let deed = deed(*endpoint, request.method, &change, &body);
    let seq = change.log(&transaction, now)?;
    changes::cut(&transaction, seq, settings.keep_changes, now)?;
    audit::record(&transaction, actor, &deed, &audit::Outcome::Done(Some(seq)), now)?;
    audit::cut(&transaction, caller.merchant_id, settings.keep_audit, now)?;
    let kept = Kept { status, body, seq };
    if let Some(key) = key {
        idempotency::keep(&transaction, caller, key, incoming, fields, &kept, now)?;
    }
    settings.quotas.check(&stored_before, &usage::of(&transaction, caller.merchant_id)?)?;
    transaction.commit()?;
    Ok(Written { reply: reply(status, kept.body), seq })
}

fn record_refused(
    settings: &Settings,
    connection: &mut Connection,
    actor: &Actor,
    request: &WriteRequest<'_>,
    reason: String,
) -> Result<(), DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deed = deed(request.endpoint, &request.incoming.method, &Change::default(), "");
    audit::record(&transaction, actor, &deed, &audit::Outcome::Refused(reason), request.now)?;
    audit::cut(&transaction, actor.merchant_id, settings.keep_audit, request.now)?;
    Ok(transaction.commit()?)
}

/// The audit trail's name for the write, from its path, its changes and its answer.
fn deed(endpoint: Endpoint<'_>, method: &str, change: &Change, answered: &str) -> Deed {
    #[derive(Deserialize)]
    struct Answered {
        id: i64,
    }
    let made = || serde_json::from_str(answered).ok().map(|Answered { id }| id);
    let named = |kind: &str, id: Option<i64>| id.map_or_else(String::new, |id| format!("{kind}:{id}"));
    let (action, object, item_id) = match (endpoint, method) {
        (Endpoint::Grant, _) => ("access.grant", named("access", made()), None),
        (Endpoint::Access(id), _) => ("access.revoke", String::new(), id.number()),
        (Endpoint::Items, _) => ("item.create", named("item", made()), made()),
        (Endpoint::Item(id), "PUT") => ("item.replace", named("item", id.number()), id.number()),
        (Endpoint::Item(id), "PATCH") => ("item.change", named("item", id.number()), id.number()),
        (Endpoint::Item(id), _) => ("item.delete", named("item", id.number()), id.number()),
        (Endpoint::Fees(id), _) => ("fee.create", named("fee", made()), id.number()),
        (Endpoint::Fee(id, fee), "PUT") => ("fee.replace", named("fee", fee.number()), id.number()),
        (Endpoint::Fee(id, fee), _) => ("fee.delete", named("fee", fee.number()), id.number()),
        (Endpoint::BulkFees(id), _) => ("fee.bulk", named("item", id.number()), id.number()),
        (Endpoint::BulkPackage(id), _) => ("package.members", named("item", id.number()), id.number()),
        _ => ("write", String::new(), None),
    };
    let about = &change.about;
    let accesses = about.accesses.iter().map(i64::to_string).collect::<Vec<_>>().join("+");
    let object = if accesses.is_empty() { object } else { format!("access:{accesses}") };
    Deed { action, object, item_id: item_id.or(about.item_id), customer_id: about.customer_id }
}

/// The merchant that the token acts for.
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
    // An issuer of some merchants only must not name one merchant by number and another by UUID.
    let is_named = |known: &String| {
        principal.merchants.is_none() || uuid.as_ref().is_none_or(|uuid| uuid == &known.to_ascii_lowercase())
    };
    let is_heard = |(id, known): &(i64, String)| principal.may_act_for(*id) && is_named(known);
    let Some((merchant_id, merchant_uuid)) = merchant.filter(is_heard) else {
        return Err(ApiError::InvalidPrivileges.into());
    };
    // A zero byte separates the parts: a namespace cannot contain one.
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

    fn make(&self, job: &mut Job<'_>) -> Result<Answer, Refused> {
        match *self {
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
