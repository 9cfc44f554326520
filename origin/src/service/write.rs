//! A write: its merchant, its transaction and `seq`, its audit entry, and the answer that is stored for its
//! `Idempotency-Key`.

use std::borrow::Cow;

use admit::{
    api::{
        contract::{Route, WriteAction},
        error::ApiError,
        reply::{Body, Caching, Reply},
    },
    instant::UnixSecs,
    token::Principal,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    access, budget, fees,
    idempotency::{self, StoredAnswer},
    items,
    job::{Caller, Job, Success, fee_id, item_id},
};
use crate::{
    db::{
        DbError,
        audit::{self, Actor, Deed},
        changes::{self, PendingChange},
        usage,
    },
    event::{self, Event},
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
    /// The route of its path.
    pub route: Route<'a>,
    /// What it does.
    pub action: WriteAction,
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
    // Bodies are read before the lock is taken: reading needs no database.
    let parsed = ParsedWrite::read(request);
    let _writing = shared.lock();
    let made =
        parsed.and_then(|parsed| make(&shared.settings, connection, &caller, &actor, &parsed, request));
    made.inspect_err(|refused| {
        if let Some(reason) = refused.outcome()
            && let Err(error) = record_refused(&shared.settings, connection, &actor, request, reason)
        {
            event::log(Event::Database(&error));
        }
    })
}

/// A request as it was read, before it is checked against the database.
struct ParsedWrite<'a> {
    numbers: Numbers,
    fields: Map<String, Value>,
    key: Option<&'a str>,
}

impl<'a> ParsedWrite<'a> {
    fn read(request: &WriteRequest<'a>) -> Result<Self, Refused> {
        let numbers = Numbers::of(request.route)?;
        let fields = match request.incoming.method.as_str() {
            // DELETE ignores its body.
            "DELETE" => Map::new(),
            _ => request.incoming.payload.read()?,
        };
        budget::check_fields(&fields)?;
        Ok(Self { numbers, fields, key: idempotency::key(request.incoming)? })
    }
}

fn make(
    settings: &Settings,
    connection: &mut Connection,
    caller: &Caller,
    actor: &Actor,
    ParsedWrite { numbers, fields, key }: &ParsedWrite<'_>,
    WriteRequest { route, action, incoming, now }: &WriteRequest<'_>,
) -> Result<Written, Refused> {
    let (request, now) = (&incoming.request(), *now);
    // `Immediate` takes SQLite's write lock now, so that the reads below cannot become stale.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(key) = key
        && let Some(kept) = idempotency::earlier(&transaction, caller, key, incoming, fields, now)?
    {
        let StoredAnswer { status, body, seq } = kept;
        let mut reply = reply(status, body);
        reply.headers.push(("idempotency-replayed", Cow::Borrowed("true")));
        return Ok(Written { reply, seq });
    }
    // The quota compares before and after; triggers keep the usage current within the transaction.
    let stored_before = usage::of(&transaction, caller.merchant_id)?;
    let mut job = Job { db: &transaction, now, caller, request, fields, change: PendingChange::default() };
    let answer = apply(*action, *numbers, &mut job)?;
    let change = job.change;
    let (status, body) = match answer {
        Success::Created(json) => (201, json),
        Success::Done => (204, String::new()),
    };
    let deed = deed(*action, *route, &change, &body);
    let seq = change.log(&transaction, now)?;
    changes::cut(&transaction, seq, settings.keep_changes, now)?;
    audit::record(&transaction, actor, &deed, &audit::DeedOutcome::Done(Some(seq)), now)?;
    audit::cut(&transaction, caller.merchant_id, settings.keep_audit, now)?;
    let kept = StoredAnswer { status, body, seq };
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
    let deed = deed(request.action, request.route, &PendingChange::default(), "");
    audit::record(&transaction, actor, &deed, &audit::DeedOutcome::Refused(reason), request.now)?;
    audit::cut(&transaction, actor.merchant_id, settings.keep_audit, request.now)?;
    Ok(transaction.commit()?)
}

/// The audit trail's name for the write, from its path, its changes and its answer.
fn deed(action: WriteAction, route: Route<'_>, change: &PendingChange, answered: &str) -> Deed {
    #[derive(Deserialize)]
    struct Answered {
        id: i64,
    }
    let made = || serde_json::from_str(answered).ok().map(|Answered { id }| id);
    let named = |kind: &str, id: Option<i64>| id.map_or_else(String::new, |id| format!("{kind}:{id}"));
    // A refused write may have a path with invalid numbers.
    let (item, fee) = match route {
        Route::Fee(id, fee_id) => (id.number(), fee_id.number()),
        Route::Access(id)
        | Route::ItemV2(id)
        | Route::FeesV2(id)
        | Route::BulkFees(id)
        | Route::BulkPackage(id) => (id.number(), None),
        _ => (None, None),
    };
    let (object, item_id) = match action {
        WriteAction::Grant => (named("access", made()), None),
        WriteAction::Revoke => (String::new(), item),
        WriteAction::CreateItem => (named("item", made()), made()),
        WriteAction::CreateFee => (named("fee", made()), item),
        WriteAction::ReplaceFee | WriteAction::DeleteFee => (named("fee", fee), item),
        WriteAction::ReplaceItem
        | WriteAction::ChangeItem
        | WriteAction::DeleteItem
        | WriteAction::ChangeFees
        | WriteAction::ChangeMembers => (named("item", item), item),
    };
    let about = &change.about;
    let accesses = about.accesses.iter().map(i64::to_string).collect::<Vec<_>>().join("+");
    let object = if accesses.is_empty() { object } else { format!("access:{accesses}") };
    let (action, customer_id) = (action.name(), about.customer_id);
    Deed { action, object, item_id: item_id.or(about.item_id), customer_id }
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

/// The numbers of a write's path; 0 in the place of those that its route does not have.
#[derive(Clone, Copy)]
struct Numbers {
    id: i64,
    fee_id: i64,
}

impl Numbers {
    fn of(route: Route<'_>) -> Result<Self, Refused> {
        let (id, fee_id) = match route {
            Route::Access(id) => (id.number().ok_or(ApiError::InvalidIdOnAccess)?, 0),
            Route::ItemV2(id) | Route::FeesV2(id) | Route::BulkFees(id) | Route::BulkPackage(id) => {
                (item_id(id)?, 0)
            }
            Route::Fee(id, fee) => (item_id(id)?, fee_id(fee)?),
            _ => (0, 0),
        };
        Ok(Self { id, fee_id })
    }
}

fn apply(
    action: WriteAction,
    Numbers { id, fee_id }: Numbers,
    job: &mut Job<'_>,
) -> Result<Success, Refused> {
    match action {
        WriteAction::Grant => access::grant(job),
        WriteAction::Revoke => access::revoke(job, id),
        WriteAction::CreateItem => items::create(job),
        WriteAction::ReplaceItem => items::replace(job, id),
        WriteAction::ChangeItem => items::change(job, id),
        WriteAction::DeleteItem => items::delete(job, id),
        WriteAction::CreateFee => fees::create(job, id),
        WriteAction::ReplaceFee => fees::replace(job, id, fee_id),
        WriteAction::DeleteFee => fees::delete(job, id, fee_id),
        WriteAction::ChangeFees => fees::bulk(job, id),
        WriteAction::ChangeMembers => items::change_members(job, id),
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
        is_unapplied: false,
        lasts_until: None,
    }
}
