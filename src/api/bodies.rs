//! The bodies of answers. What the snapshot holds rendered is copied, never parsed.

use serde::Serialize;

use super::{
    json::json,
    viewer::{shown_address, shown_country},
};
use crate::{
    entitlement::{Grant, HeldEntry},
    snapshot::{
        customer::HeldLicense,
        directory::AppEntry,
        item::{FeeRecord, ItemRecord},
        schema::{IntervalUnit, LicenseType, RenewStatus, SubscriptionStatus},
        time::{UnixSecs, iso8601},
    },
};

/// Who is granted access, as the answer shows it.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// `customer_id`.
    pub customer_id: i64,
    /// `customer_uuid`.
    pub customer_uuid: &'a str,
    /// `ip_address`, that of the request.
    pub ip_address: &'a str,
    /// `country_code`, that of the request.
    pub country: &'a str,
}

/// The answer of `/items/{id}/access`.
#[must_use]
pub fn access(grant: &Grant, viewer: &Viewer<'_>, item: &ItemRecord<'_>) -> String {
    let mut body = String::with_capacity(256 + item.content.len() + item.details.len());
    push(&mut body, r#"{"id":"#, grant.access_id);
    push(&mut body, r#","account_id":"#, item.merchant_id);
    push(&mut body, r#","customer_id":"#, viewer.customer_id);
    body.push_str(r#","customer_uuid":"#);
    push_text(&mut body, viewer.customer_uuid);
    body.push_str(r#","ip_address":""#);
    body.push_str(&shown_address(viewer.ip_address));
    body.push_str(r#"","country_code":""#);
    body.push_str(&shown_country(viewer.country));
    push(&mut body, r#"","created_at":"#, grant.created_at);
    push(&mut body, r#","expires_at":"#, grant.expires_at);
    if let Some(starts_at) = grant.starts_at {
        push(&mut body, r#","starts_at":"#, starts_at);
    }
    body.push_str(r#","item":{"content":"#);
    body.push_str(item.content);
    body.push(',');
    body.push_str(item.details);
    body.push('}');
    body
}

/// An item without `content`.
#[must_use]
pub fn item(item: &ItemRecord<'_>) -> String {
    ["{", item.details].concat()
}

/// A fee of an item.
#[must_use]
pub fn fee(item: &ItemRecord<'_>, fee: &FeeRecord<'_>) -> String {
    [r#"{"item":{"#, item.details, ",", fee.details].concat()
}

/// A page of a package's items, rendered without `content`.
#[must_use]
pub fn package_items(total: usize, page: u32, offset: u64, limit: usize, items: &[String]) -> String {
    let collection = items.join(",");
    format!(
        r#"{{"total":{total},"page":{page},"offset":{offset},"limit":{limit},"collection":[{collection}]}}"#
    )
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

    /// What a developer's app sees of a licence that nobody has bought: a month, from now on.
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

/// The answer of `/license`.
///
/// # Errors
/// Never: what is serialised has no map with other keys than text.
pub fn license(
    app: Option<&AppEntry>,
    client_id: Option<&str>,
    entries: &[HeldEntry<'_>],
    now: UnixSecs,
) -> Result<String, serde_json::Error> {
    let mut body = String::from(r#"{"plan_id":"#);
    body.push_str(&serde_json::to_string(&app.map(|app| app.plan_id.as_str()))?);
    body.push_str(r#","client_id":"#);
    body.push_str(&serde_json::to_string(&client_id)?);
    body.push_str(r#","items":["#);
    for (position, entry) in entries.iter().enumerate() {
        let (item, license) = match entry {
            HeldEntry::Held(held, license) => (HeldItem::held(held), license),
            HeldEntry::Test(license) => (HeldItem::test(&license.name, now), license),
        };
        body.push_str(if position == 0 { r#"{"item":"# } else { r#",{"item":"# });
        body.push_str(&serde_json::to_string(&item)?);
        body.push_str(r#","license":"#);
        body.push_str(&license.json);
        body.push('}');
    }
    body.push_str("]}");
    Ok(body)
}

fn push(body: &mut String, name: &str, number: i64) {
    body.push_str(name);
    body.push_str(itoa::Buffer::new().format(number));
}

/// A JSON string. What needs no escape, as a UUID never does, is copied.
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
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{entitlement::Reason, snapshot::item::NewItem};

    fn parsed(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    fn record() -> Vec<u8> {
        let fees = vec![FeeRecord { id: 5, details: r#""id":5,"amount":9.99}"# }];
        let details = r#""id":33,"title":"Foo \"bar\""}"#;
        NewItem {
            id: 33,
            merchant_id: 21,
            content: r#""{\"video_id\":1}""#,
            details,
            fees,
            ..NewItem::default()
        }
        .encode()
    }

    const GRANT: Grant =
        Grant { reason: Reason::ItemAccess, access_id: 44, created_at: 1, starts_at: None, expires_at: 9 };

    #[test]
    fn access_has_content_and_details_do_not() {
        let record = record();
        let item_record = ItemRecord::new(&record).unwrap();
        let viewer =
            Viewer { customer_id: 33, customer_uuid: "11a7", ip_address: "2001:db8::1", country: "DE" };
        let body = parsed(&access(&GRANT, &viewer, &item_record));
        let expected = json!({
            "id": 44, "account_id": 21, "customer_id": 33, "customer_uuid": "11a7", "ip_address": "2001:db8::1",
            "country_code": "DE", "created_at": 1, "expires_at": 9,
            "item": {"content": "{\"video_id\":1}", "id": 33, "title": "Foo \"bar\""},
        });
        assert_eq!(body, expected);
        assert_eq!(parsed(&item(&item_record)), json!({"id": 33, "title": "Foo \"bar\""}));
        let fees = item_record.fees().unwrap();
        let expected = json!({"id": 5, "amount": 9.99, "item": {"id": 33, "title": "Foo \"bar\""}});
        assert_eq!(parsed(&fee(&item_record, &fees[0])), expected);
    }

    #[test]
    fn what_a_client_can_send_cannot_break_the_body() {
        let record = record();
        let item_record = ItemRecord::new(&record).unwrap();
        let viewer = Viewer {
            customer_id: 0,
            customer_uuid: "a\"b\\\u{1}é",
            ip_address: "1\",\"x\":\"",
            country: "\"}",
        };
        let grant = Grant { starts_at: Some(-62_135_596_800), ..GRANT };
        let body = parsed(&access(&grant, &viewer, &item_record));
        assert_eq!(body["customer_uuid"], "a\"b\\\u{1}é");
        assert_eq!(body["ip_address"], "0.0.0.0");
        assert_eq!(body["country_code"], "XX");
        assert_eq!(body["starts_at"], -62_135_596_800_i64);
    }

    #[test]
    fn a_page_of_items() {
        let body = parsed(&package_items(3, 2, 2, 2, &["{\"id\":1}".to_owned()]));
        assert_eq!(body, json!({"total": 3, "page": 2, "offset": 2, "limit": 2, "collection": [{"id": 1}]}));
    }

    #[test]
    fn licences_without_an_app_are_an_empty_list() {
        let body = parsed(&license(None, None, &[], 0).unwrap());
        assert_eq!(body, json!({"plan_id": null, "client_id": null, "items": []}));
    }
}
