//! The records of the origin.

use serde_json::{Value, json};

use super::{BUYER_ID, ITEM};

/// The buyer's line with this number of accesses.
pub fn buyer(accesses: u32) -> Value {
    let access = |id| json!({"id": 700 + id, "item_id": ITEM, "created_at": 1_700_000_000});
    customer("buyer", BUYER_ID, (1..=accesses).map(access).collect())
}

/// The stranger's line with this number of accesses to an item that the tests do not ask for.
pub fn stranger(accesses: u32) -> Value {
    let access = |id| json!({"id": 900 + id, "item_id": ITEM + 1, "created_at": 1_700_000_000});
    customer("stranger", 2, (1..=accesses).map(access).collect())
}

/// The line of a customer.
pub fn customer(subject: &str, id: i64, accesses: Vec<Value>) -> Value {
    json!({
        "type": "customer", "namespace": "vendor", "subject": subject, "id": id, "merchant_id": 21,
        "uuid": format!("11a7ed90-65d3-4ee2-9d91-{id:012}"), "accesses": accesses
    })
}

/// The fields that the item's line and the item in an access share.
pub fn item(title: &str) -> Value {
    json!({
        "id": ITEM, "merchant_id": 21, "title": title, "is_active": true, "content": "{}",
        "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {
            "id": 44, "name": "brightcove_asset", "content_type": "ovp", "host": "inplayer", "description": "OVP asset"
        },
        "created_at": 1_700_000_000, "updated_at": 1_700_000_000
    })
}

/// The body of a granted access.
pub fn access(customer_id: i64) -> Value {
    let mut item = item("Slack Water");
    let more = json!({
        "active": true, "merchant_uuid": "e5ac2013-8d10-42ba-abb5-291c5201cea8", "age_restriction": null,
        "metadata": [], "metahash": {}, "plan_switch_enabled": false
    });
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "id": 1, "account_id": 21, "customer_id": customer_id, "customer_uuid": "u", "ip_address": "0.0.0.0",
        "country_code": "XX", "created_at": 1_700_000_000, "expires_at": 253_402_300_799_i64, "item": item
    })
}
