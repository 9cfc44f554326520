//! What the viewer bought, as far as the origin knows it: a payment back end grants accesses for a fee
//! (`POST /items/access` with `access_fee_id`), and imports bring licences. Prices are those of the fees today, since
//! the payment itself is known to the payment back end only.

use std::collections::BTreeSet;

use admit::{
    api::reply::Reply,
    number,
    snapshot::{
        schema::{CustomerLicense, RenewStatus, SubscriptionStatus},
        time::{Timestamp, UnixSecs},
    },
};
use rusqlite::{Connection, Row};
use serde_json::{Number, Value, json};

use super::{Job, ok};
use crate::{
    db::{DbError, from_json, records},
    limits::{PAYMENTS_MAX, SUBSCRIPTIONS_PAGE, SUBSCRIPTIONS_PAGE_MAX},
    text::shown,
    wire::{Refused, form},
};

/// `GET /subscriptions?limit=&page=&status=`: the newest access of each item that a fee of a subscription granted, and
/// the customer's licences.
///
/// # Errors
/// 422 for an invalid number.
pub fn subscriptions(job: &Job<'_>) -> Result<Reply, Refused> {
    let query = &job.incoming.query;
    let limit = whole(query, "limit", 1..=SUBSCRIPTIONS_PAGE_MAX)?.unwrap_or(SUBSCRIPTIONS_PAGE);
    let page = whole(query, "page", 0..=usize::MAX >> 1)?.unwrap_or(0);
    let status = form::parameter(query, "status")?.unwrap_or_default();
    let mut all = Vec::new();
    if let Some(person) = job.person()? {
        let mut seen = BTreeSet::new();
        let purchases = purchases(job.connection, person.key, usize::MAX)?;
        // Each renewal is an access of its own; the newest comes first.
        let newest = purchases.iter().filter(|purchase| seen.insert(purchase.item_id));
        all.extend(newest.filter_map(|purchase| purchase.subscription(job.now)));
        if let Some(customer) = records::customer_without_accesses(job.connection, person.key)? {
            let licenses = customer.licenses.iter();
            all.extend(licenses.filter_map(|license| licence(license, customer.merchant_id, job.now)));
        }
    }
    let is_in = |entry: &Value| {
        let found = entry.get("status").and_then(Value::as_str).unwrap_or_default();
        status.is_empty() || status.eq_ignore_ascii_case(found)
    };
    all.retain(is_in);
    let (total, offset) = (all.len(), page.saturating_mul(limit));
    let collection: Vec<_> = all.into_iter().skip(offset).take(limit).collect();
    Ok(ok(&json!({
        "total": total, "page": page, "offset": offset, "limit": limit, "collection": collection,
    })))
}

/// `GET /v2/accounting/payment-history`: the accesses that were granted for a fee, newest first.
///
/// # Errors
/// If the database cannot be read.
pub fn payment_history(job: &Job<'_>) -> Result<Reply, Refused> {
    let person = job.person()?;
    let (mut collection, mut total) = (Vec::new(), 0_usize);
    if let Some(person) = person {
        let sql = "SELECT count(*) FROM accesses WHERE customer_key = ?1 AND fee_id IS NOT NULL";
        total = job.connection.prepare_cached(sql)?.query_row([person.key], |row| row.get(0))?;
        let purchases = purchases(job.connection, person.key, PAYMENTS_MAX)?;
        collection.extend(purchases.iter().map(|purchase| purchase.payment(person.id)));
    }
    Ok(ok(&json!({"collection": collection, "total": total})))
}

/// A whole number of the query within `range`, if it was sent.
fn whole(query: &str, name: &str, range: std::ops::RangeInclusive<usize>) -> Result<Option<usize>, Refused> {
    let Some(text) = form::parameter(query, name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let value = number::whole_text(&text).and_then(|value| usize::try_from(value).ok());
    value.filter(|value| range.contains(value)).map(Some).ok_or_else(|| {
        let problem = format!(
            "The {name} must be a whole number from {}, and not too large, not {}",
            range.start(),
            shown(&text)
        );
        Refused::field(name, &problem)
    })
}

/// An access that was granted for a fee.
struct Purchase {
    access_id: i64,
    item_id: i64,
    item_title: String,
    item_type: String,
    merchant_id: i64,
    fee_id: i64,
    expires_at: Option<UnixSecs>,
    created_at: UnixSecs,
    /// The fee, unless it was deleted after the access had ended.
    fee: Option<Sold>,
}

/// The fee of a purchase, as it is today.
struct Sold {
    amount: Number,
    currency: String,
    description: String,
    access_type: String,
    period: String,
}

/// The purchases of a customer's row, newest first, at most `limit`.
fn purchases(connection: &Connection, key: i64, limit: usize) -> Result<Vec<Purchase>, DbError> {
    let sql = "SELECT accesses.id, accesses.item_id, coalesce(title, ''), coalesce(item_type_json ->> '$.name', ''),
               items.merchant_id, fee_id, accesses.expires_at, accesses.created_at,
               amount, currency, fees.description, access_types.name, period
               FROM accesses JOIN items ON items.id = accesses.item_id
               LEFT JOIN fees ON fees.item_id = accesses.item_id AND fees.id = fee_id
               LEFT JOIN access_types ON access_types.id = access_type_id
               WHERE customer_key = ?1 AND fee_id IS NOT NULL
               ORDER BY accesses.created_at DESC, accesses.key DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((key, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut purchases = Vec::new();
    while let Some(row) = rows.next()? {
        purchases.push(Purchase {
            access_id: row.get(0)?,
            item_id: row.get(1)?,
            item_title: row.get(2)?,
            item_type: row.get(3)?,
            merchant_id: row.get(4)?,
            fee_id: row.get(5)?,
            expires_at: row.get(6)?,
            created_at: row.get(7)?,
            fee: sold(row)?,
        });
    }
    Ok(purchases)
}

fn sold(row: &Row<'_>) -> Result<Option<Sold>, DbError> {
    let Some(amount) = row.get::<_, Option<String>>(8)? else { return Ok(None) };
    Ok(Some(Sold {
        amount: from_json(&amount)?,
        currency: row.get(9)?,
        description: row.get(10)?,
        access_type: row.get(11)?,
        period: row.get(12)?,
    }))
}

impl Purchase {
    /// The entry in the list of subscriptions; `None` for pay-per-view.
    fn subscription(&self, now: UnixSecs) -> Option<Value> {
        let fee = self.fee.as_ref()?;
        if matches!(fee.access_type.as_str(), "ppv" | "ppv_custom") {
            return None;
        }
        let is_active = self.expires_at.is_none_or(|end| end > now);
        Some(json!({
            "subscription_id": self.access_id.to_string(),
            "cancel_token": "",
            "unsubscribe_url": "",
            "status": if is_active { "active" } else { "ended" },
            "action_type": if is_active { "recurrent" } else { "ended" },
            "description": fee.description,
            "asset_title": self.item_title,
            "asset_id": self.item_id,
            "item_title": self.item_title,
            "item_id": self.item_id,
            "access_fee_id": self.fee_id,
            "access_type": {"name": fee.access_type, "period": fee.period},
            "formatted_amount": format!("{} {}", fee.amount, fee.currency),
            "amount": fee.amount,
            "subscription_price": fee.amount,
            "charged_amount": fee.amount,
            "currency": fee.currency,
            "payment_method_name": "",
            "merchant_id": self.merchant_id,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "next_billing_date": self.expires_at,
            "next_rebill_date": self.expires_at,
        }))
    }

    /// The entry in the history of payments. There is no receipt, so `trx_token` is empty.
    fn payment(&self, customer_id: i64) -> Value {
        let fee = self.fee.as_ref();
        json!({
            "merchant_id": self.merchant_id,
            "consumer_id": customer_id,
            "gateway_id": 0,
            "transaction_token": "",
            "payment_tool_token": "",
            "trx_token": "",
            "payment_method_name": "",
            "action_type": "payment",
            "item_access_id": self.access_id,
            "item_id": self.item_id,
            "item_type": self.item_type,
            "item_title": self.item_title,
            "charged_amount": fee.map(|fee| &fee.amount),
            "currency_iso": fee.map(|fee| &fee.currency),
            "note": fee.map_or("", |fee| &fee.description),
            "created_at": self.created_at,
        })
    }
}

/// A licence in the list of subscriptions; `None` if it has not begun. It may unlock several items, so it names none.
fn licence(license: &CustomerLicense, merchant_id: i64, now: UnixSecs) -> Option<Value> {
    let at = |moment: Timestamp| moment.resolve(now);
    let shown = license.status.shown_at(now, license.starts_at.map(at), license.expires_at.map(at))?;
    let (status, action_type) = match (shown, license.renew_status) {
        (SubscriptionStatus::Cancelled, _) => ("ended", "ended"),
        (_, RenewStatus::Cancel) => ("canceled", "canceled"),
        (SubscriptionStatus::Overdue, _) => ("overdue", "recurrent"),
        (SubscriptionStatus::Active, _) => ("active", "recurrent"),
    };
    let renews_on = license.renews_on.map(|moment| at(moment.at));
    Some(json!({
        "subscription_id": license.license_id,
        "cancel_token": "",
        "unsubscribe_url": "",
        "status": status,
        "action_type": action_type,
        "description": license.name,
        "asset_title": license.name,
        "asset_id": 0,
        "item_title": license.name,
        "item_id": 0,
        "formatted_amount": "",
        "amount": 0,
        "currency": "",
        "payment_method_name": "",
        "merchant_id": merchant_id,
        "created_at": at(license.date_added.at),
        "updated_at": at(license.date_added.at),
        "next_billing_date": renews_on,
        "next_rebill_date": renews_on,
    }))
}
