//! Granting and revoking access.

use std::collections::BTreeSet;

use admit::{
    api::error::ApiError,
    entitlement::{Grant, NEVER_EXPIRES, Reason},
    instant::UnixSecs,
    number,
    snapshot::{
        limits::PURCHASE_TEXT_MAX_BYTES,
        schema::{AccessFee, Customer, Purchase},
        time::iso8601,
    },
};

use super::job::{Job, Success};
use crate::{
    db::{
        DbError,
        changes::AboutAccesses,
        numbers::RecordKind,
        records::{self, Ref},
        store::{self, NewAccess},
    },
    limits::ACCESSES_MAX,
    period::Period,
    text::shown,
    wire::{Fields, OriginError, Refused, form},
};

/// `POST /items/access`: grants access to an item or package until a moment, or for the period that a fee
/// sells. A person who signs in by several issuers gets the access with each.
///
/// # Errors
/// 404, 422.
pub fn grant(job: &mut Job<'_>) -> Result<Success, Refused> {
    let fields = Fields::new(job.fields);
    let item_id = fields.required_integer("item_id");
    let consumer_id = fields.required_integer("consumer_id");
    let starts_at = fields.moment("starts_at");
    let until = fields.moment("expires_at");
    let fee_id = fields.integer("access_fee_id");
    if until.is_none() && fee_id.is_none() {
        fields.wrong("expires_at", "or access_fee_id is required");
    }
    if let Some(until) = until.filter(|until| *until <= starts_at.unwrap_or(job.now).max(job.now)) {
        let problem = format!("must be in the future, and after the starts_at, not {}", iso8601(until, 0));
        fields.wrong("expires_at", &problem);
    }
    fields.finish()?;
    let (Some(item_id), Some(consumer_id)) = (item_id, consumer_id) else {
        return Err(Refused::field("item_id", "The item_id is required"));
    };
    let item = job.item(item_id)?;
    let fee = match fee_id {
        Some(fee_id) => Some(item.fees.iter().find(|fee| fee.id == fee_id).ok_or(ApiError::FeeNotFound)?),
        None => None,
    };
    let end = match (until, fee) {
        // A merchant may grant less or more time than the fee sells.
        (Some(until), _) => until,
        (None, Some(fee)) => end_by_fee(job, fee, starts_at.unwrap_or(job.now).max(job.now))?,
        (None, None) => return Err(Refused::field("expires_at", "The expires_at is required")),
    };
    let customers = records::customers(job.db, job.caller.merchant_id, consumer_id)?;
    let Some((_, customer)) = customers.first() else {
        let problem = format!("The consumer_id must name a customer of this merchant, not {consumer_id}");
        return Err(Refused::field("consumer_id", &problem));
    };
    if customers.iter().any(|(_, customer)| customer.accesses.len() >= ACCESSES_MAX) {
        let problem = format!("The consumer_id has {ACCESSES_MAX} accesses already");
        return Err(Refused::field("consumer_id", &problem));
    }
    let purchase = fee.and_then(purchase_of);
    let access = NewAccess {
        id: job.number(RecordKind::Access)?,
        item_id,
        fee_id,
        starts_at,
        expires_at: Some(end),
        created_at: job.now,
        renews_on: None,
        purchase: purchase.as_ref(),
    };
    for (key, customer) in &customers {
        store::insert_access(job.db, *key, &access)?;
        touch(job, customer);
    }
    job.change.about =
        AboutAccesses { accesses: vec![access.id], item_id: Some(item_id), customer_id: Some(consumer_id) };
    let grant = Grant {
        reason: if item.is_package() { Reason::PackageAccess } else { Reason::ItemAccess },
        access_id: access.id,
        created_at: access.created_at,
        starts_at,
        expires_at: end.min(NEVER_EXPIRES),
        renews_on: None,
        renews: false,
    };
    Ok(Success::Created(job.access_json(&item, &grant, (customer.id, &customer.uuid))?))
}

/// `DELETE /items/{id}/access?consumer_id=`: removes all accesses on the item itself. Access by a package or
/// a licence remains.
///
/// # Errors
/// 422 without a valid `consumer_id`, 400 if there is no access to remove.
pub fn revoke(job: &mut Job<'_>, item_id: i64) -> Result<Success, Refused> {
    let consumer_id = match form::parameter(job.request.query, "consumer_id")?.as_deref() {
        None | Some("") => Err("The consumer_id is required in the query".to_owned()),
        Some(text) => number::whole_text(text)
            .ok_or_else(|| format!("The consumer_id must be an integer, not {}", shown(text))),
    };
    let consumer_id = consumer_id.map_err(|problem| Refused::field("consumer_id", &problem))?;
    // The item may be inactive: access that was sold can still be revoked.
    let item = records::item_alone(job.db, item_id)?;
    if item.is_none_or(|item| item.merchant_id != job.caller.merchant_id) {
        return Err(OriginError::NoAccessToRemove.into());
    }
    // A person with several issuers has the same access once for each, so ids repeat.
    let mut removed = BTreeSet::new();
    for (key, customer) in records::customers(job.db, job.caller.merchant_id, consumer_id)? {
        let sql = "DELETE FROM accesses WHERE customer_key = ?1 AND item_id = ?2 RETURNING id";
        let mut statement = job.db.prepare_cached(sql)?;
        let ids: Vec<i64> =
            statement.query_map([key, item_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if !ids.is_empty() {
            touch(job, &customer);
        }
        removed.extend(ids);
    }
    if removed.is_empty() {
        return Err(OriginError::NoAccessToRemove.into());
    }
    let accesses = removed.into_iter().collect();
    job.change.about = AboutAccesses { accesses, item_id: Some(item_id), customer_id: Some(consumer_id) };
    Ok(Success::Done)
}

fn touch(job: &mut Job<'_>, customer: &Customer) {
    let (namespace, subject) = (customer.namespace.clone(), customer.subject.clone());
    job.change.touch(Ref::Customer { namespace, subject });
}

/// What a grant for a fee says of the purchase: the fee's price at this moment. Whether the viewer pays now or begins
/// with a trial, and by which method, is known to the payment back end only.
///
/// `None` if the publish schema has no room for the fee's currency, which only old databases have.
fn purchase_of(fee: &AccessFee) -> Option<Purchase> {
    (fee.currency.len() <= PURCHASE_TEXT_MAX_BYTES).then(|| Purchase {
        amount: fee.amount.clone(),
        currency: fee.currency.clone(),
        access_fee_id: Some(fee.id),
        payment_method: None,
        trial: false,
    })
}

/// When an access that begins at `start` ends, by the period of the fee.
fn end_by_fee(job: &Job<'_>, fee: &AccessFee, start: UnixSecs) -> Result<UnixSecs, Refused> {
    let access_type = records::access_type(job.db, fee.access_type_id)?;
    let access_type = access_type.ok_or(DbError::Inconsistent("a fee without its access type"))?;
    // An unreadable period must not become access for ever. Such fees exist only in old databases.
    let period = Period::of(&access_type).map_err(|error| {
        let problem = format!("The access_fee_id sells an unknown period: send expires_at ({error})");
        Refused::field("access_fee_id", &problem)
    })?;
    period.end(start).ok_or_else(|| {
        let problem = "The starts_at makes the access end after the year 9999";
        Refused::field("starts_at", problem)
    })
}
