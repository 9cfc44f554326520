//! Requests that may be about one merchant only, as calls over a restricted binding are: the origin does not know of the
//! restriction, so its answers must not lift it.

use admit::api::reply::{Reply, Request};
use admit_testing::memory::{MemoryBody, block_on};
use serde_json::{Value, json};

use crate::faults::{
    edge::CUSTOMER,
    origin::{Pair, customer},
};

/// The merchant of all items of the snapshot, and another one.
const OWN: i64 = 7;
const OTHER: i64 = 8;

fn ask(pair: &Pair, merchant: i64, path: &str, query: &str) -> Reply {
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = Request {
        method: "GET",
        path,
        query,
        authorization: &authorization,
        merchant: Some(merchant),
        ..Request::default()
    };
    block_on(pair.edge.app.handle(&request, MemoryBody::default()))
}

fn status(pair: &Pair, merchant: i64, item_id: i64) -> u16 {
    ask(pair, merchant, &format!("/items/{item_id}/access"), "").status
}

/// By item: the status of each.
fn many(pair: &Pair, merchant: i64) -> Value {
    let reply = ask(pair, merchant, "/access", "items=1,2,101");
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    let entry = |entry: &Value| entry["code"].as_u64().unwrap_or(200);
    body["items"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn the_origin_is_asked_about_items_of_the_merchant_alone() {
    let pair = Pair::new(&[]);
    for item_id in [1, 101] {
        pair.bought(CUSTOMER, item_id);
    }
    // The snapshot has no purchases, and no item 101.
    for (merchant, expected) in [(OTHER, [403, 403, 404]), (OWN, [200, 402, 404])] {
        let asked = pair.asked();
        assert_eq!([1, 2, 101].map(|item_id| status(&pair, merchant, item_id)), expected, "{merchant}");
        assert_eq!(many(&pair, merchant), json!(expected), "{merchant}");
        assert_eq!(pair.asked() > asked, merchant == OWN);
    }
    // Without the restriction the origin knows better.
    assert_eq!([1, 2, 101].map(|item_id| pair.status(item_id)), [200, 402, 200]);
    assert_eq!([1, 2, 101].map(|item_id| status(&pair, OTHER, item_id)), [403, 403, 404]);
    assert_eq!(many(&pair, OTHER), json!([403, 403, 404]));
}

#[test]
fn without_a_snapshot_nothing_is_told() {
    let pair = Pair::without_snapshot(&[]);
    pair.bought(CUSTOMER, 1);
    for merchant in [OWN, OTHER] {
        assert_eq!(status(&pair, merchant, 1), 503);
        assert_eq!(ask(&pair, merchant, "/license", "").status, 503);
        assert_eq!(ask(&pair, merchant, "/access", "items=1").status, 503);
    }
    assert_eq!(pair.asked(), 0);
    assert_eq!(pair.status(1), 200);
}
