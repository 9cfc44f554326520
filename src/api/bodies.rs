//! The bodies of successful answers.
//!
//! The snapshot holds items, fees and licences as rendered JSON, which is copied into the body and never parsed. The
//! length of a body is computed before it is allocated, and is at most [`ANSWER_MAX_BYTES`].

mod plans;
mod purchases;

use serde::Serialize;

use super::{
    json::json,
    viewer::{shown_address, shown_country},
};
use crate::{
    entitlement::{Grant, HeldEntry},
    limits::{ANSWER_MAX_BYTES, HELD_FRAME_BYTES, LICENSES_FRAME_BYTES, LICENSES_MAX},
    snapshot::{
        cost::ItemCost,
        customer::HeldLicense,
        directory::AppEntry,
        item::{FeeRecord, ItemRecord},
        schema::{IntervalUnit, LicenseType, RenewStatus, SubscriptionStatus},
        time::{UnixSecs, iso8601},
    },
};

pub use self::{
    plans::{ShownPlan, plans},
    purchases::{Bought, purchases},
};

/// The part of an access answer about the viewer.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// The member `customer_id`.
    pub customer_id: i64,
    /// The member `customer_uuid`.
    pub customer_uuid: &'a str,
    /// The member `ip_address`: the address of the request.
    pub ip_address: &'a str,
    /// The member `country_code`: the country of the request.
    pub country: &'a str,
}

/// An answer would be longer than [`ANSWER_MAX_BYTES`]. No memory was allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an answer of at most {ANSWER_MAX_BYTES} bytes, found {bytes}")]
pub struct TooLarge {
    /// The length at which counting stopped.
    pub bytes: usize,
}

/// An empty text with room for `bytes`.
fn sized(bytes: usize) -> Result<String, TooLarge> {
    if bytes <= ANSWER_MAX_BYTES { Ok(String::with_capacity(bytes)) } else { Err(TooLarge { bytes }) }
}

/// The body for `/items/{id}/access`.
///
/// # Errors
/// If the body would be too long.
pub fn access(grant: &Grant, viewer: &Viewer<'_>, item: &ItemRecord<'_>) -> Result<String, TooLarge> {
    // `ItemCost::of` would read the fees as well, and this is the answer to every check.
    let cost = ItemCost { details: item.details.len(), content: item.content.len(), ..ItemCost::default() };
    if cost.access_answer() > ANSWER_MAX_BYTES {
        return Err(TooLarge { bytes: cost.access_answer() });
    }
    let mut body = String::with_capacity(256 + item.content.len() + item.details.len());
    push(&mut body, ACCESS_ID, grant.access_id);
    push_account(&mut body, item);
    push_viewer(&mut body, viewer);
    push(&mut body, ACCESS_CREATED, grant.created_at);
    push(&mut body, ACCESS_EXPIRES, grant.shown_end());
    if let Some(starts_at) = grant.starts_at {
        push(&mut body, ACCESS_STARTS, starts_at);
    }
    push_content(&mut body, item);
    Ok(body)
}

const ACCESS_ID: &str = r#"{"id":"#;
const ACCESS_CREATED: &str = r#","created_at":"#;
const ACCESS_EXPIRES: &str = r#","expires_at":"#;
const ACCESS_STARTS: &str = r#","starts_at":"#;

/// The texts before the numbers of a grant in the body of [`access`]: number, creation, expiry, and start, which not
/// every grant has. [`access_item`]'s first text and then [`access_viewer`] follow the first number;
/// [`access_item`]'s second text follows the last.
pub const ACCESS_FRAME: [&str; 4] = [ACCESS_ID, ACCESS_CREATED, ACCESS_EXPIRES, ACCESS_STARTS];

/// The viewer's part of the body of [`access`].
#[must_use]
pub fn access_viewer(viewer: &Viewer<'_>) -> String {
    let mut text = String::with_capacity(160);
    push_viewer(&mut text, viewer);
    text
}

/// The item's parts of the body of [`access`]; nothing if they have more than `max_bytes`.
#[must_use]
pub fn access_item(item: &ItemRecord<'_>, max_bytes: usize) -> Option<[String; 2]> {
    if item.content.len().saturating_add(item.details.len()) > max_bytes {
        return None;
    }
    let (mut account, mut content) = (String::new(), String::new());
    push_account(&mut account, item);
    push_content(&mut content, item);
    Some([account, content])
}

fn push_account(body: &mut String, item: &ItemRecord<'_>) {
    push(body, r#","account_id":"#, item.merchant_id);
}

fn push_viewer(body: &mut String, viewer: &Viewer<'_>) {
    push(body, r#","customer_id":"#, viewer.customer_id);
    body.push_str(r#","customer_uuid":"#);
    push_text(body, viewer.customer_uuid);
    body.push_str(r#","ip_address":""#);
    body.push_str(&shown_address(viewer.ip_address));
    body.push_str(r#"","country_code":""#);
    body.push_str(&shown_country(viewer.country));
    body.push('"');
}

fn push_content(body: &mut String, item: &ItemRecord<'_>) {
    body.push_str(r#","item":{"content":"#);
    body.push_str(item.content);
    body.push(',');
    body.push_str(item.details);
    body.push('}');
}

/// An item, without `content`.
///
/// # Errors
/// If the body would be too long.
pub fn item(item: &ItemRecord<'_>) -> Result<String, TooLarge> {
    let mut body = sized(item.details.len().saturating_add(1))?;
    push_item(&mut body, item);
    Ok(body)
}

fn push_item(body: &mut String, item: &ItemRecord<'_>) {
    body.push('{');
    body.push_str(item.details);
}

/// A fee of an item.
///
/// # Errors
/// If the body would be too long.
pub fn fee(item: &ItemRecord<'_>, fee: &FeeRecord<'_>) -> Result<String, TooLarge> {
    let cost = ItemCost { details: item.details.len(), ..ItemCost::default() };
    let mut body = sized(cost.fee_answer(fee.details.len()))?;
    push_fee(&mut body, item, fee);
    Ok(body)
}

/// A list of an item's fees. `cost` is the cost of the item with these fees.
///
/// # Errors
/// If the body would be too long.
pub fn fees<'a>(
    item: &ItemRecord<'_>,
    fees: impl Iterator<Item = FeeRecord<'a>>,
    cost: &ItemCost,
) -> Result<String, TooLarge> {
    let mut body = sized(cost.fees_answer())?;
    for (position, fee) in fees.enumerate() {
        body.push(if position == 0 { '[' } else { ',' });
        push_fee(&mut body, item, &fee);
    }
    body.push_str(if body.is_empty() { "[]" } else { "]" });
    Ok(body)
}

fn push_fee(body: &mut String, item: &ItemRecord<'_>, fee: &FeeRecord<'_>) {
    body.push_str(r#"{"item":{"#);
    body.push_str(item.details);
    body.push(',');
    body.push_str(fee.details);
}

/// Room for the names and the four numbers of a page, beside its items.
const PAGE_FRAME_BYTES: usize = 160;

/// A page of a package's items, without `content`.
///
/// # Errors
/// If the body would be too long.
pub fn package_items(
    total: usize,
    page: u32,
    offset: u64,
    limit: usize,
    items: &[ItemRecord<'_>],
) -> Result<String, TooLarge> {
    // Each item comes with a brace and a comma.
    let bytes = items.iter().map(|item| item.details.len().saturating_add(2));
    let mut body = sized(bytes.fold(PAGE_FRAME_BYTES, usize::saturating_add))?;
    for (name, number) in [
        (r#"{"total":"#, total as u64),
        (r#","page":"#, page.into()),
        (r#","offset":"#, offset),
        (r#","limit":"#, limit as u64),
    ] {
        body.push_str(name);
        body.push_str(itoa::Buffer::new().format(number));
    }
    body.push_str(r#","collection":["#);
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        push_item(&mut body, item);
    }
    body.push_str("]}");
    Ok(body)
}

#[derive(Serialize)]
struct HeldItem<'a> {
    license_type: LicenseType,
    name: &'a str,
    status: SubscriptionStatus,
    renew_status: RenewStatus,
    renews_on: Option<String>,
    interval_length: u32,
    interval_unit: IntervalUnit,
    billing_cycle_anchor: Option<String>,
    date_added: String,
    trial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_duration: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_reset: Option<u32>,
}

impl<'a> HeldItem<'a> {
    fn held(held: &HeldLicense<'a>) -> Self {
        Self {
            license_type: held.license_type,
            name: held.name,
            status: held.status,
            renew_status: held.renew_status,
            renews_on: held.renews_on.map(|moment| moment.to_string()),
            interval_length: held.interval_length,
            interval_unit: held.interval_unit,
            billing_cycle_anchor: held.billing_cycle_anchor.map(|moment| moment.to_string()),
            date_added: held.date_added.to_string(),
            trial: held.trial,
            trial_duration: held.trial_duration,
            trial_reset: held.trial_reset,
        }
    }

    /// The entry that a test-mode client sees for a licence without a purchase: a month that begins now.
    fn test(name: &'a str, now: UnixSecs) -> Self {
        Self {
            license_type: LicenseType::Single,
            name,
            status: SubscriptionStatus::Active,
            renew_status: RenewStatus::Renew,
            renews_on: Some(iso8601(now.saturating_add(30 * 86_400), 0)),
            interval_length: 1,
            interval_unit: IntervalUnit::Months,
            billing_cycle_anchor: Some(iso8601(now, 0)),
            date_added: iso8601(now, 0),
            trial: false,
            trial_duration: None,
            trial_reset: None,
        }
    }
}

/// The body for `/license`, with at most [`LICENSES_MAX`] entries.
///
/// # Errors
/// If there are more entries, or the body would be too long.
pub fn license(
    app: Option<&AppEntry>,
    client_id: Option<&str>,
    entries: &[HeldEntry<'_>],
    now: UnixSecs,
) -> Result<String, TooLarge> {
    let longest = |entry: &HeldEntry<'_>| match entry {
        // An escaped character takes at most six bytes.
        HeldEntry::Held(held, license) => (6 * held.name.len()).saturating_add(license.json.len()),
        HeldEntry::Test(license) => (6 * license.name.len()).saturating_add(license.json.len()),
    };
    let longest = entries.iter().map(|entry| longest(entry).saturating_add(HELD_FRAME_BYTES));
    let longest = longest.fold(LICENSES_FRAME_BYTES, usize::saturating_add);
    if entries.len() > LICENSES_MAX {
        return Err(TooLarge { bytes: longest });
    }
    let mut body = sized(longest.min(ANSWER_MAX_BYTES))?;
    body.push_str(r#"{"plan_id":"#);
    body.push_str(&json(&app.map(|app| app.plan_id.as_str())));
    body.push_str(r#","client_id":"#);
    body.push_str(&json(&client_id));
    body.push_str(r#","items":["#);
    for (position, entry) in entries.iter().enumerate() {
        let (item, license) = match entry {
            HeldEntry::Held(held, license) => (HeldItem::held(held), license),
            HeldEntry::Test(license) => (HeldItem::test(&license.name, now), license),
        };
        let item = json(&item);
        let bytes = body.len() + item.len() + license.json.len() + r#",{"item":,"license":}]}"#.len();
        if bytes > ANSWER_MAX_BYTES {
            return Err(TooLarge { bytes });
        }
        body.push_str(if position == 0 { r#"{"item":"# } else { r#",{"item":"# });
        body.push_str(&item);
        body.push_str(r#","license":"#);
        body.push_str(&license.json);
        body.push('}');
    }
    body.push_str("]}");
    if body.len() > ANSWER_MAX_BYTES { Err(TooLarge { bytes: body.len() }) } else { Ok(body) }
}

fn push(body: &mut String, name: &str, number: i64) {
    body.push_str(name);
    body.push_str(itoa::Buffer::new().format(number));
}

/// Appends a JSON string. Text without characters to escape, such as a UUID, is copied.
fn push_text(body: &mut String, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        body.push('"');
        body.push_str(text);
        body.push('"');
    } else {
        body.push_str(&json(text));
    }
}

#[cfg(test)]
mod tests;
