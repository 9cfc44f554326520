//! A write in progress: one transaction, one merchant, one body.

use admit::{
    api::{
        bodies::{self, TooLarge, Viewer},
        contract::Id,
        error::ApiError,
        reply::Request,
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
        changes::PendingChange,
        numbers::{self, RecordKind},
        records::{self, Ref},
        store,
    },
    wire::Refused,
};

/// The merchant that makes the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The merchant's number.
    pub merchant_id: i64,
    /// The merchant's UUID.
    pub merchant_uuid: Uuid,
    /// Identifies the caller for idempotency keys; unique to each caller.
    pub name: String,
}

/// The answer to a successful write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    /// 201 with this JSON.
    Created(String),
    /// 204 without a body.
    Done,
}

/// A write in progress.
pub struct Job<'a> {
    /// The transaction of the write.
    pub db: &'a Transaction<'a>,
    /// The moment of the write.
    pub now: UnixSecs,
    /// The merchant that makes it.
    pub caller: &'a Caller,
    /// The request as the edge's service reads it.
    pub request: &'a Request<'a>,
    /// The fields of the body.
    pub fields: &'a Map<String, Value>,
    /// The records that the write has touched so far.
    pub change: PendingChange,
}

impl Job<'_> {
    /// A number for a new record.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn number(&self, kind: RecordKind) -> Result<i64, DbError> {
        numbers::next(self.db, kind)
    }

    /// An active item of the merchant with its fees, but without its members: a package may have very many,
    /// and no write needs them.
    ///
    /// # Errors
    /// 404 if the item does not exist or belongs to another merchant.
    pub fn item(&self, id: i64) -> Result<Item, Refused> {
        let item = records::item_alone(self.db, id)?
            .filter(|item| item.is_active && item.merchant_id == self.caller.merchant_id)
            .ok_or(ApiError::ItemNotFound)?;
        Ok(Item { fees: records::fees(self.db, id)?, ..item })
    }

    /// Stores an item and its fees, if they are within the rendered-size budget. Members of packages are not
    /// changed.
    ///
    /// # Errors
    /// 422 if the item is too long or has too many fees, or if the database cannot be written.
    pub fn put_item(&mut self, item: &Item, changed: Changed) -> Result<(), Refused> {
        budget::check(self, item, changed)?;
        self.put_smaller_item(item)
    }

    /// Stores an item that has become smaller. It may still exceed the budget, if it was stored before the
    /// budget existed.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn put_smaller_item(&mut self, item: &Item) -> Result<(), Refused> {
        self.change.touch(Ref::Item(item.id));
        Ok(store::put_item(self.db, item, self.now)?)
    }

    /// The item's JSON in answers, without `content`.
    ///
    /// # Errors
    /// None in practice: an item always has JSON.
    pub fn item_json(&self, item: &Item) -> Result<String, DbError> {
        self.with_record(item, bodies::item)
    }

    /// A fee's JSON in answers.
    ///
    /// # Errors
    /// If the fee's access type does not exist.
    pub fn fee_json(&self, item: &Item, fee: &AccessFee) -> Result<String, DbError> {
        let details = self.fee_details(item, fee)?;
        self.with_record(item, |record| bodies::fee(record, &FeeRecord { id: fee.id, details: &details }))
    }

    /// The JSON of several fees of a stored item.
    ///
    /// # Errors
    /// If an access type does not exist.
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

    /// An access as a check answers it.
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

/// The item number in a path.
///
/// # Errors
/// 422 if it is not a positive integer.
pub fn item_id(id: Id<'_>) -> Result<i64, Refused> {
    id.number().ok_or_else(|| Refused::field("id", "The id must be a positive integer"))
}

/// The fee number in a path.
///
/// # Errors
/// 422 if it is not a positive integer.
pub fn fee_id(id: Id<'_>) -> Result<i64, Refused> {
    id.number().ok_or_else(|| Refused::field("fee_id", "The fee_id must be a positive integer"))
}
