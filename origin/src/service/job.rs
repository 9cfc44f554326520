//! A write while it runs: within one transaction, by a merchant, with what was sent.

use admit::{
    api::{
        bodies::{self, TooLarge, Viewer},
        error::ApiError,
        reply::Request,
        route::Id,
    },
    entitlement::Grant,
    snapshot::{
        cost::ItemCost,
        item::{FeeRecord, ItemRecord, NewItem},
        schema::{AccessFee, Item},
        time::UnixSecs,
    },
};
use admit_publish::render::{fee_details, item_details};
use rusqlite::Transaction;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::budget::{self, Changed};
use crate::{
    db::{
        DbError,
        changes::Change,
        numbers::{self, Kind},
        records::{self, Ref},
        store,
    },
    wire::Refused,
};

/// The merchant in whose name a write is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The merchant's number.
    pub merchant_id: i64,
    /// The merchant's UUID.
    pub merchant_uuid: Uuid,
    /// Who it is, for keys of idempotency: no two callers have the same.
    pub name: String,
}

/// What a write answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 201 with JSON.
    Created(String),
    /// 204.
    Done,
}

/// A write while it runs.
pub struct Job<'a> {
    /// The transaction.
    pub db: &'a Transaction<'a>,
    /// The moment of the write.
    pub now: UnixSecs,
    /// The merchant.
    pub caller: &'a Caller,
    /// The request.
    pub request: &'a Request<'a>,
    /// The fields of the body.
    pub fields: &'a Map<String, Value>,
    /// What has been touched so far.
    pub change: Change,
}

impl Job<'_> {
    /// A number for a new record.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn number(&self, kind: Kind) -> Result<i64, DbError> {
        numbers::next(self.db, kind)
    }

    /// An active item of the merchant, without its members: of a package there may be very many, and no write needs them.
    ///
    /// # Errors
    /// 404 when there is no such item, or it is somebody else's.
    pub fn item(&self, id: i64) -> Result<Item, Refused> {
        let item = records::item_alone(self.db, id)?
            .filter(|item| item.is_active && item.merchant_id == self.caller.merchant_id)
            .ok_or(ApiError::ItemNotFound)?;
        Ok(Item { fees: records::fees(self.db, id)?, ..item })
    }

    /// Stores an item and its fees, unless it would cost its readers too much. Members of packages stay as they are.
    ///
    /// # Errors
    /// 422 when it is too long or has too many fees, or when the database cannot be written.
    pub fn put_item(&mut self, item: &Item, changed: Changed) -> Result<(), Refused> {
        budget::check(self, item, changed)?;
        self.put_smaller_item(item)
    }

    /// Stores an item of which something was taken away. One that is older than the budget and over it gets smaller by
    /// and by.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_smaller_item(&mut self, item: &Item) -> Result<(), Refused> {
        self.change.touch(Ref::Item(item.id));
        Ok(store::put_item(self.db, item, self.now)?)
    }

    /// The item as answers show it, without `content`.
    ///
    /// # Errors
    /// None in practice: an item always has JSON.
    pub fn item_json(&self, item: &Item) -> Result<String, DbError> {
        self.with_record(item, bodies::item)
    }

    /// A fee as answers show it.
    ///
    /// # Errors
    /// When its access type is gone.
    pub fn fee_json(&self, item: &Item, fee: &AccessFee) -> Result<String, DbError> {
        let details = self.fee_details(item, fee)?;
        self.with_record(item, |record| bodies::fee(record, &FeeRecord { id: fee.id, details: &details }))
    }

    /// Some fees of an item that has been stored, as answers show them.
    ///
    /// # Errors
    /// When an access type is gone.
    pub fn fees_json(&self, item: &Item, fees: &[AccessFee]) -> Result<String, DbError> {
        let details =
            fees.iter().map(|fee| self.fee_details(item, fee)).collect::<Result<Vec<_>, DbError>>()?;
        let records = || {
            let pairs = fees.iter().zip(&details);
            pairs.map(|(fee, details)| FeeRecord { id: fee.id, details })
        };
        let fees_details = details.iter().map(String::len).sum();
        self.with_record(item, |record| {
            let cost = ItemCost { details: record.details.len(), fees: fees.len(), fees_details, content: 0 };
            bodies::fees(record, records(), &cost)
        })
    }

    fn fee_details(&self, item: &Item, fee: &AccessFee) -> Result<String, DbError> {
        let access_type = records::access_type(self.db, fee.access_type_id)?;
        let access_type = access_type.ok_or(DbError::Inconsistent("a fee without its access type"))?;
        Ok(fee_details(fee, item, &access_type, self.now)?)
    }

    /// An access as the check shows it.
    ///
    /// # Errors
    /// None in practice.
    pub fn access_json(&self, item: &Item, grant: &Grant, customer: (i64, &str)) -> Result<String, DbError> {
        let viewer = Viewer {
            customer_id: customer.0,
            customer_uuid: customer.1,
            ip_address: self.request.ip_address,
            country: self.request.country,
        };
        self.with_record(item, |record| bodies::access(grant, &viewer, record))
    }

    fn with_record(
        &self,
        item: &Item,
        render: impl FnOnce(&ItemRecord<'_>) -> Result<String, TooLarge>,
    ) -> Result<String, DbError> {
        let shortened = budget::shortened(self, item)?;
        let item = shortened.as_ref().unwrap_or(item);
        let content = serde_json::to_string(&item.content)?;
        let details = item_details(item, self.caller.merchant_uuid, self.now)?;
        let record = NewItem {
            id: item.id,
            merchant_id: item.merchant_id,
            content: &content,
            details: &details,
            ..NewItem::default()
        }
        .encode();
        let record =
            ItemRecord::new(&record).map_err(|_| DbError::Inconsistent("an item without a record"))?;
        render(&record).map_err(|_| DbError::Inconsistent("an answer above the budget"))
    }
}

/// The number of an item in a path.
///
/// # Errors
/// 422 when it is none.
pub fn item_id(id: Id<'_>) -> Result<i64, Refused> {
    id.number().ok_or_else(|| Refused::field("id", "The id must be a positive integer"))
}

/// The number of a fee in a path.
///
/// # Errors
/// 422 when it is none.
pub fn fee_id(id: Id<'_>) -> Result<i64, Refused> {
    id.number().ok_or_else(|| Refused::field("fee_id", "The fee_id must be a positive integer"))
}
