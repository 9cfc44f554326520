//! The body of a customer's purchase history.

use serde::Serialize;
use serde_json::Value;

use super::{TooLarge, json, push, sized};
use crate::{
    limits::ANSWER_MAX_BYTES,
    snapshot::{
        customer::{Access, CustomerRecord, Purchase},
        item::{FeeRecord, ItemRecord},
        object::FormatError,
        time::UnixSecs,
    },
};

/// An access, as the history shows it.
#[derive(Clone, Copy, Debug)]
pub struct Bought<'a> {
    /// The access.
    pub access: Access,
    /// How it was bought, if the origin says.
    pub purchase: Option<Purchase<'a>>,
    /// When it ends or is renewed next, unix seconds.
    pub ends_at: UnixSecs,
}

#[derive(Serialize)]
struct Entry<'a> {
    // Members that the snapshot does not know are empty texts: native clients decode texts.
    consumer_email: &'static str,
    parent_resource_id: &'static str,
    payment_tool: &'static str,
    r#type: &'static str,
    created_at: UnixSecs,
    customer_id: i64,
    expires_at: UnixSecs,
    is_trial: bool,
    item_access_id: i64,
    item_id: i64,
    item_title: &'a str,
    merchant_id: i64,
    payment_method: &'a str,
    purchased_access_fee_description: &'a str,
    purchased_access_fee_id: i64,
    purchased_access_fee_type: &'a str,
    purchased_currency: &'a str,
    revoked: u8,
    starts_at: UnixSecs,
}

/// A page of a customer's accesses, out of `total`. Each comes with its item, unless that is gone.
///
/// # Errors
/// An item's record is corrupt.
pub fn purchases(
    total: usize,
    customer: Option<&CustomerRecord<'_>>,
    page: &[(Bought<'_>, Option<ItemRecord<'_>>)],
) -> Result<Result<String, TooLarge>, FormatError> {
    let mut collection = String::new();
    for (position, (bought, item)) in page.iter().enumerate() {
        if position > 0 {
            collection.push(',');
        }
        push_entry(&mut collection, customer, bought, item.as_ref())?;
        if collection.len() > ANSWER_MAX_BYTES {
            break;
        }
    }
    let body = sized(collection.len().saturating_add(64)).map(|mut body| {
        push(&mut body, r#"{"total":"#, i64::try_from(total).unwrap_or(i64::MAX));
        body.push_str(r#","collection":["#);
        body.push_str(&collection);
        body.push_str("]}");
        body
    });
    Ok(body)
}

fn push_entry(
    out: &mut String,
    customer: Option<&CustomerRecord<'_>>,
    bought: &Bought<'_>,
    item: Option<&ItemRecord<'_>>,
) -> Result<(), FormatError> {
    let Bought { access, purchase, ends_at } = *bought;
    let fee_id = purchase.and_then(|purchase| purchase.access_fee_id);
    let fee = match (item, fee_id) {
        (Some(item), Some(fee_id)) => item.fee_list()?.iter().find(|fee| fee.id == fee_id),
        _ => None,
    };
    let fee = fee.map(|fee| object(&fee)).unwrap_or_default();
    let text = |place: &str| fee.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let (description, kind) = (text("/description"), text("/access_type/name"));
    let title = item.and_then(ItemRecord::title).unwrap_or_default();
    let entry = json(&Entry {
        consumer_email: "",
        parent_resource_id: "",
        payment_tool: "",
        r#type: "",
        created_at: access.created_at,
        customer_id: customer.map_or(0, |customer| customer.id),
        expires_at: ends_at,
        is_trial: purchase.is_some_and(|purchase| purchase.is_trial),
        item_access_id: access.id,
        item_id: access.item_id,
        item_title: &title,
        merchant_id: customer.map_or(0, |customer| customer.merchant_id),
        payment_method: purchase.and_then(|purchase| purchase.payment_method).unwrap_or_default(),
        purchased_access_fee_description: description,
        purchased_access_fee_id: fee_id.unwrap_or(0),
        purchased_access_fee_type: kind,
        purchased_currency: purchase.map_or("", |purchase| purchase.currency),
        // An access that was taken away is no longer in the snapshot.
        revoked: 0,
        starts_at: access.starts_at.unwrap_or(access.created_at),
    });
    // The amount is published as a JSON number, and is shown with the digits that the origin gave it.
    out.push_str(entry.strip_suffix('}').unwrap_or_default());
    out.push_str(r#","purchased_amount":"#);
    out.push_str(purchase.map_or("0", |purchase| purchase.amount));
    out.push('}');
    Ok(())
}

/// A fee's rendered members as an object.
fn object(fee: &FeeRecord<'_>) -> Value {
    serde_json::from_slice(["{", fee.details].concat().as_bytes()).unwrap_or_default()
}
