//! The rendered-size budget of an item, checked before the item is stored. Answers are measured by the
//! lengths of their parts, without rendering them; publisher and edge use the same sums
//! (`admit::snapshot::cost`).

use std::collections::{BTreeMap, btree_map::Entry};

use admit::{
    limits::DETAILS_MAX_BYTES,
    snapshot::{
        cost::{self, Excess, ItemCost, Part},
        schema::Item,
    },
};
use admit_publish::render::{fee_details_len, item_details_len};
use serde_json::{Map, Value};

use super::job::Job;
use crate::{
    db::{DbError, records},
    limits::{CONTENT_MAX_BYTES, FEES_MAX},
    wire::Refused,
};

/// The part of an item that a write changes, and so the field to blame when the item exceeds its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The item's own fields.
    Item,
    /// The item's fees.
    Fees,
}

/// Refuses metadata that is too long for any item, before a transaction begins and anything is copied.
/// Answers show metadata twice. Single values that are too long are left to the code that reads them.
///
/// # Errors
/// 422.
pub fn check_fields(fields: &Map<String, Value>) -> Result<(), Refused> {
    let Some(Value::Object(metadata)) = fields.get("metadata") else { return Ok(()) };
    let shown = |(name, value): (&String, &Value)| match value {
        Value::String(value) if value.len() <= CONTENT_MAX_BYTES => cost::text(name) + cost::text(value),
        _ => 0,
    };
    let found = metadata.iter().map(shown).fold(0_usize, usize::saturating_add).saturating_mul(2);
    if found <= DETAILS_MAX_BYTES {
        return Ok(());
    }
    Err(refused(Excess { part: Part::Details, found, limit: DETAILS_MAX_BYTES }, Changed::Item))
}

/// Refuses an item that exceeds its budget.
///
/// # Errors
/// 422 with the field, the cost and the limit.
pub fn check(job: &Job<'_>, item: &Item, changed: Changed) -> Result<(), Refused> {
    if item.fees.len() > FEES_MAX {
        return Err(Refused::field(
            "id",
            &format!("An item has at most {FEES_MAX} fees, not {}", item.fees.len()),
        ));
    }
    match cost(job, item)?.excess() {
        Some(excess) => Err(refused(excess, changed)),
        None => Ok(()),
    }
}

fn refused(Excess { part, found, limit }: Excess, changed: Changed) -> Refused {
    let name = match (part, changed) {
        (Part::Content, _) => "content",
        (_, Changed::Fees) => "access_fees",
        (_, Changed::Item) => "metadata",
    };
    let what = match part {
        Part::Details => "the item",
        Part::Content => "the content",
        Part::Fees => "the list of fees, each of which repeats the item,",
    };
    let found = format!("make {what} {found} bytes long as answers show it, of at most {limit}");
    // Publishers use the same sums, so every stored item can be published.
    Refused::field(name, &format!("The {name} {found}"))
}

/// The rendered size of an item with its fees.
///
/// # Errors
/// If the database cannot be read.
pub fn cost(job: &Job<'_>, item: &Item) -> Result<ItemCost, Refused> {
    let details = item_details_len(item, job.caller.merchant_uuid, job.now)?;
    let mut cost = ItemCost { details, content: cost::text(&item.content), ..ItemCost::default() };
    let mut access_types = BTreeMap::new();
    for fee in &item.fees {
        let access_type = match access_types.entry(fee.access_type_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let access_type = records::access_type(job.db, fee.access_type_id)?;
                let access_type =
                    access_type.ok_or(DbError::Inconsistent("a fee without its access type"))?;
                unknown.insert(access_type)
            }
        };
        cost.fees += 1;
        cost.fees_details += fee_details_len(fee, item, access_type, job.now)?;
    }
    Ok(cost)
}

/// The item without metadata and content, if it exceeds its budget because it was stored before the budget
/// existed. The write has already been made, or makes the item smaller.
///
/// # Errors
/// None in practice: an item always has JSON.
pub fn shortened(job: &Job<'_>, item: &Item) -> Result<Option<Item>, DbError> {
    let details = item_details_len(item, job.caller.merchant_uuid, job.now)?;
    let alone = ItemCost { details, content: cost::text(&item.content), ..ItemCost::default() };
    Ok(alone.excess().map(|_| Item {
        metadata: Vec::new(),
        content: String::new(),
        item_ids: Vec::new(),
        fees: Vec::new(),
        title: item.title.clone(),
        access_control_type: item.access_control_type.clone(),
        item_type: item.item_type.clone(),
        age_restriction: item.age_restriction.clone(),
        external_asset_id: item.external_asset_id.clone(),
        ..*item
    }))
}
