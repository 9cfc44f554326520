//! What the viewer bought, as far as the origin knows it: a payment back end grants accesses for a fee
//! (`POST /items/access` with `access_fee_id`), and imports bring purchases and licences. The price is that of the fee when
//! it granted; the payment itself is known to the payment back end only.

use admit::{
    api::reply::Reply,
    number,
    snapshot::{
        schema::{CustomerLicense, Purchase, RenewStatus, SubscriptionStatus},
        time::{Timestamp, UnixSecs},
    },
};
use rusqlite::{Connection, Params, Row, params};
use serde_json::{Number, Value, json};

use super::{Job, ok};
use crate::{
    db::{DbError, from_json_or_null, records},
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
    let offset = page.saturating_mul(limit);
    let (mut total, mut collection) = (0, Vec::new());
    if let Some(person) = job.person()? {
        let asked = Subscriptions { key: person.key, status: status.to_ascii_lowercase(), now: job.now };
        total = asked.count(job.connection)?;
        let page = asked.page(job.connection, limit, offset)?;
        collection.extend(page.iter().map(|purchase| purchase.subscription(job.now)));
        // The few licences come behind the accesses.
        let customer = records::customer_without_accesses(job.connection, person.key)?;
        let merchant_id = customer.as_ref().map_or(0, |customer| customer.merchant_id);
        let licenses = customer.iter().flat_map(|customer| &customer.licenses);
        let entries: Vec<_> = licenses
            .filter_map(|license| licence(license, merchant_id, job.now))
            .filter(|entry| {
                asked.status.is_empty() || entry.get("status").and_then(Value::as_str) == Some(&asked.status)
            })
            .collect();
        let skipped = offset.saturating_sub(total);
        total += entries.len();
        let room = limit.saturating_sub(collection.len());
        collection.extend(entries.into_iter().skip(skipped).take(room));
    }
    Ok(ok(&json!({
        "total": total, "page": page, "offset": offset, "limit": limit, "collection": collection,
    })))
}

/// `GET /v2/accounting/payment-history`: the accesses that were bought, newest first.
///
/// # Errors
/// If the database cannot be read.
pub fn payment_history(job: &Job<'_>) -> Result<Reply, Refused> {
    let person = job.person()?;
    let (mut collection, mut total) = (Vec::new(), 0_usize);
    if let Some(person) = person {
        let sql = format!("SELECT count(*) FROM accesses WHERE customer_key = ?1 AND {IS_BOUGHT}");
        total = job.connection.prepare_cached(&sql)?.query_row([person.key], |row| row.get(0))?;
        let purchases = payments(job.connection, person.key, PAYMENTS_MAX)?;
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

/// An access that was bought.
struct Bought {
    access_id: i64,
    item_id: i64,
    item_title: String,
    item_type: String,
    merchant_id: i64,
    fee_id: Option<i64>,
    expires_at: Option<UnixSecs>,
    created_at: UnixSecs,
    /// The purchase, unless its fee was deleted before purchases were kept.
    purchase: Option<Purchase>,
    /// The fee, unless it was deleted after the access had ended.
    fee: Option<Sold>,
}

/// The fee of a purchase, as it is today.
struct Sold {
    description: String,
    access_type: String,
    period: String,
}

/// What an access's row is joined with, and the columns that [`Bought::read`] reads.
const COLUMNS: &str =
    "accesses.id, accesses.item_id, coalesce(title, ''), coalesce(item_type_json ->> '$.name', ''),
    items.merchant_id, fee_id, accesses.expires_at, accesses.created_at, purchase_json, fees.description,
    access_types.name, period";
const JOINED: &str = "JOIN items ON items.id = accesses.item_id
    LEFT JOIN fees ON fees.item_id = accesses.item_id AND fees.id = fee_id
    LEFT JOIN access_types ON access_types.id = access_type_id";

/// The newest access of each item that was bought (each renewal is an access of its own), if its fee sells subscriptions
/// and it has the status ?2.
const SUBSCRIPTIONS: &str =
    "(SELECT *, row_number() OVER (PARTITION BY item_id ORDER BY created_at DESC, key DESC) AS place
     FROM accesses WHERE customer_key = ?1 AND fee_id IS NOT NULL) AS accesses";
const IS_SUBSCRIPTION: &str = "place = 1 AND access_types.name NOT IN ('ppv', 'ppv_custom')
    AND ?2 IN ('', iif(accesses.expires_at IS NULL OR accesses.expires_at > ?3, 'active', 'ended'))";

/// A question for the subscriptions of a customer's row.
struct Subscriptions {
    key: i64,
    /// `active` or `ended` in lower case, or empty for all. Accesses have no other status.
    status: String,
    now: UnixSecs,
}

impl Subscriptions {
    fn count(&self, connection: &Connection) -> Result<usize, DbError> {
        let sql = format!("SELECT count(*) FROM {SUBSCRIPTIONS} {JOINED} WHERE {IS_SUBSCRIPTION}");
        let parameters = params![self.key, self.status, self.now];
        Ok(connection.prepare_cached(&sql)?.query_row(parameters, |row| row.get(0))?)
    }

    /// A page, newest first.
    fn page(&self, connection: &Connection, limit: usize, offset: usize) -> Result<Vec<Bought>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {SUBSCRIPTIONS} {JOINED} WHERE {IS_SUBSCRIPTION}
             ORDER BY accesses.created_at DESC, accesses.key DESC LIMIT ?4 OFFSET ?5"
        );
        let (limit, offset) = (whole_or_max(limit), whole_or_max(offset));
        bought(connection, &sql, params![self.key, self.status, self.now, limit, offset])
    }
}

/// The payments of a customer's row, newest first, at most `limit`.
fn payments(connection: &Connection, key: i64, limit: usize) -> Result<Vec<Bought>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM accesses {JOINED} WHERE customer_key = ?1 AND {IS_BOUGHT}
         ORDER BY accesses.created_at DESC, accesses.key DESC LIMIT ?2"
    );
    bought(connection, &sql, params![key, whole_or_max(limit)])
}

/// Whether an access was bought. An imported purchase may name no fee, and an old one has no price.
const IS_BOUGHT: &str = "(fee_id IS NOT NULL OR purchase_json IS NOT NULL)";

fn whole_or_max(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn bought(connection: &Connection, sql: &str, parameters: impl Params) -> Result<Vec<Bought>, DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut bought = Vec::new();
    while let Some(row) = rows.next()? {
        bought.push(Bought::read(row)?);
    }
    Ok(bought)
}

impl Bought {
    /// Reads a row of [`COLUMNS`].
    fn read(row: &Row<'_>) -> Result<Self, DbError> {
        let access_type: Option<String> = row.get(10)?;
        let sold = |access_type| {
            Ok::<_, DbError>(Sold { description: row.get(9)?, access_type, period: row.get(11)? })
        };
        Ok(Self {
            access_id: row.get(0)?,
            item_id: row.get(1)?,
            item_title: row.get(2)?,
            item_type: row.get(3)?,
            merchant_id: row.get(4)?,
            fee_id: row.get(5)?,
            expires_at: row.get(6)?,
            created_at: row.get(7)?,
            purchase: from_json_or_null(row.get(8)?)?,
            fee: access_type.map(sold).transpose()?,
        })
    }

    /// The amount that was paid.
    fn amount(&self) -> Option<&Number> {
        self.purchase.as_ref().map(|purchase| &purchase.amount)
    }

    fn currency(&self) -> Option<&str> {
        self.purchase.as_ref().map(|purchase| purchase.currency.as_str())
    }

    fn payment_method(&self) -> &str {
        self.purchase.as_ref().and_then(|purchase| purchase.payment_method.as_deref()).unwrap_or_default()
    }

    /// The entry in the list of subscriptions.
    fn subscription(&self, now: UnixSecs) -> Value {
        let is_active = self.expires_at.is_none_or(|end| end > now);
        let (amount, fee) = (self.amount(), self.fee.as_ref());
        let price = amount.zip(self.currency()).map(|(amount, currency)| format!("{amount} {currency}"));
        json!({
            "subscription_id": self.access_id.to_string(),
            "cancel_token": "",
            "unsubscribe_url": "",
            "status": if is_active { "active" } else { "ended" },
            "action_type": if is_active { "recurrent" } else { "ended" },
            "description": fee.map_or("", |fee| &fee.description),
            "asset_title": self.item_title,
            "asset_id": self.item_id,
            "item_title": self.item_title,
            "item_id": self.item_id,
            "access_fee_id": self.fee_id,
            "access_type": fee.map(|fee| json!({"name": fee.access_type, "period": fee.period})),
            "formatted_amount": price.unwrap_or_default(),
            "amount": amount,
            "subscription_price": amount,
            "charged_amount": amount,
            "currency": self.currency(),
            "payment_method_name": self.payment_method(),
            "merchant_id": self.merchant_id,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "next_billing_date": self.expires_at,
            "next_rebill_date": self.expires_at,
        })
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
            "payment_method_name": self.payment_method(),
            "action_type": "payment",
            "item_access_id": self.access_id,
            "item_id": self.item_id,
            "item_type": self.item_type,
            "item_title": self.item_title,
            "charged_amount": self.amount(),
            "currency_iso": self.currency(),
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
