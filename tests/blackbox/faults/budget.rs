//! One record costs only those who read it: no answer is longer than the budget, whatever a publisher
//! accepted, and no record fails another one's answer.

use admit::{
    api::reply::{Reply, Request},
    limits::{
        ANSWER_MAX_BYTES, DETAILS_MAX_BYTES, FEES_MAX, HEAD_VALUE_MAX_BYTES, PAGE_MAX_ITEMS, PAGE_SURE_ITEMS,
    },
    ports::Platform as _,
    snapshot::{head::HEAD_TYPE, schema::Line},
};
use admit_publish::{
    build::{BuildOutcome, Built, MemorySink, build_part},
    source::{Source, SpillPlan, Strictness},
};
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::faults::{
    edge::{CUSTOMER, Edge, START, Signer, token, viewer},
    origin::Pair,
};

const UUID: &str = "11a7ed90-65d3-4ee2-9d91-4e1409678576";

fn item(id: i64, metadata: &[&str], fees: usize) -> Value {
    let metadata: Vec<_> = (1..)
        .zip(metadata)
        .map(|(id, value)| json!({"id": id, "name": format!("m{id}"), "value": value}))
        .collect();
    let fees: Vec<_> = (1..=fees).map(|id| {
        json!({"id": id, "amount": 1, "currency": "EUR", "description": "x", "access_type_id": 1, "created_at": 1, "updated_at": 1})
    }).collect();
    json!({
        "type": "item", "id": id, "merchant_id": 7, "title": "t", "is_active": true, "metadata": metadata, "fees": fees,
        "access_control_type": {"id": 4, "name": "Paid", "auth": true},
        "item_type": {"id": 44, "name": "jw_asset", "content_type": "ovp", "host": "h", "description": "d"},
        "content": "c", "created_at": 1, "updated_at": 1,
    })
}

fn package(id: i64, members: &[i64]) -> Value {
    let mut package = item(id, &[], 0);
    package["item_type"]["name"] = "package".into();
    package["item_ids"] = json!(members);
    package
}

fn license(number: usize, name: &str, mode: &str) -> Value {
    json!({
        "type": "license", "id": format!("b90831a7-2f6d-4c3e-8a41-{number:012}"), "internal_id": "x", "app_id": "a",
        "name": name, "status": if mode == "test" { "pending" } else { "live" }, "test_mode": mode == "test",
        "rank": number, "item_ids": [1],
    })
}

fn customer(item_ids: &[i64], licenses: &[Value]) -> Value {
    let accesses: Vec<_> = (1..)
        .zip(item_ids)
        .map(|(id, item_id)| json!({"id": id, "item_id": item_id, "created_at": 1}))
        .collect();
    let held: Vec<_> = licenses.iter().map(|license| {
        json!({"license_id": license["id"], "license_type": "SINGLE", "name": license["name"], "status": "ACTIVE",
            "renew_status": "RENEW", "interval_length": 1, "interval_unit": "MONTHS", "date_added": 1})
    }).collect();
    json!({
        "type": "customer", "namespace": "v", "subject": CUSTOMER, "id": 9, "uuid": UUID, "merchant_id": 7,
        "accesses": accesses, "licenses": held,
    })
}

/// Records that every business has.
fn with_business(more: Vec<Value>) -> Vec<Value> {
    let client = |id: &str, mode: &str| json!({"client_id": id, "mode": mode});
    let mut lines = vec![
        json!({"type": "merchant", "id": 7, "uuid": UUID}),
        json!({"type": "access_type", "id": 1, "account_id": 7, "name": "ppv", "quantity": 1, "period": "day",
            "created_at": 1, "updated_at": 1}),
        json!({"type": "app", "id": "a", "merchant_id": 7, "plan_id": "p",
            "clients": [client("live", "live"), client("test", "test")]}),
    ];
    lines.extend(more);
    lines
}

/// An edge with an issuer whose test-mode clients count.
fn started() -> Edge {
    let issuers = json!([{
        "issuer": "https://v.example", "namespace": "v", "audience": "none_required", "test_clients": true,
        "keys": {"secret": "SECRET", "alg": "HS256"},
    }]);
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    Edge::restricted(platform, &issuers.to_string(), "")
}

/// An edge with a snapshot of `lines` by a publisher without budgets.
fn past_the_publisher(edge: Edge, lines: &[Value]) -> Edge {
    let lines = lines.iter().map(|line| serde_json::from_value::<Line>(line.clone()).unwrap());
    let built = build_part(lines, START).unwrap();
    for (name, object) in &built.objects {
        edge.platform().store().insert(&name.to_string(), object);
    }
    put_head(&edge, &built);
    edge
}

fn put_head<T>(edge: &Edge, built: &Built<T>) {
    let head = serde_json::to_value(built.head(1, START)).unwrap();
    edge.platform().store().insert("head", Signer::Publisher.sign(HEAD_TYPE, &head).as_bytes());
}

/// The result of publishing lines of which some may be set aside, and an edge with the snapshot.
fn published(lines: &[Value]) -> (BuildOutcome, Edge) {
    let text: Vec<_> = lines.iter().map(Value::to_string).collect();
    let mut source = Source::new(START, Strictness::SetAside, SpillPlan::default());
    source.read("lines", text.join("\n").as_bytes()).unwrap();
    let sink = MemorySink::default();
    let outcome = source.build(None, &sink).unwrap();
    let edge = started();
    let built = outcome.built.as_ref().unwrap();
    for (name, _) in &built.objects {
        if let Some(object) = sink.take(*name) {
            edge.platform().store().insert(&name.to_string(), &object);
        }
    }
    put_head(&edge, built);
    (outcome, edge)
}

fn set_aside(outcome: &BuildOutcome) -> Vec<String> {
    let errors = outcome.problems.errors.kept();
    errors.iter().map(|error| format!("{}: {}", error.about, error.problem.field)).collect()
}

fn length(reply: &Reply) -> usize {
    reply.body.as_bytes().len()
}

fn errors(reply: &Reply) -> Value {
    serde_json::from_slice::<Value>(reply.body.as_bytes()).unwrap()["errors"].clone()
}

/// The attack: a thousand fees, each of which repeats an item with 64 KiB of metadata.
fn bomb(id: i64) -> Value {
    item(id, &[&"a".repeat(64 * 1024)], FEES_MAX)
}

#[test]
fn a_thousand_fees_of_a_long_item_cost_only_those_who_ask_for_them() {
    let lines = with_business(vec![bomb(1), item(2, &["v"], 3), customer(&[1, 2], &[])]);
    let edge = past_the_publisher(started(), &lines);
    edge.get("/items/2", "");
    drop(edge.platform().memory_log().take());
    for path in ["/items/1/access-fees", "/v2/items/1/access-fees"] {
        let reply = edge.get(path, "");
        assert_eq!(
            (reply.status, reply.reason.as_ref(), reply.header("retry-after")),
            (503, "too_large", Some("2"))
        );
        assert!(length(&reply) < 1_000, "{path}");
    }
    let log = edge.platform().memory_log().take().join("\n");
    assert!(log.contains("too_large"), "{log}");
    // 1,000 × (131 KB and a fee of 250 bytes), which were never allocated.
    assert!(log.contains("found 131"), "{log}");
    // Everything else of the same item, and everything of another item, is answered.
    for path in [
        "/items/1",
        "/v2/items/1/access-fees/7",
        "/items/2",
        "/items/2/access-fees",
        "/v2/items/2/access-fees/3",
    ] {
        let reply = edge.get(path, "");
        assert_eq!(reply.status, 200, "{path}");
        assert!(length(&reply) <= ANSWER_MAX_BYTES, "{path}");
    }
    assert_eq!([1, 2].map(|id| edge.get(&format!("/items/{id}/access"), &viewer()).status), [200, 200]);
}

#[test]
fn a_publisher_sets_the_attack_aside_and_publishes_the_rest() {
    let many = item(3, &["v"], FEES_MAX + 1);
    let content = {
        let mut item = item(4, &[], 0);
        item["content"] = "\u{1}".repeat(200_000).into();
        item
    };
    let lines = with_business(vec![bomb(1), item(2, &["v"], 3), many, content, customer(&[1, 2, 3, 4], &[])]);
    let (outcome, edge) = published(&lines);
    assert_eq!(set_aside(&outcome), ["item 1: metadata", "item 3: fees", "item 4: content"]);
    let statuses = [1, 2, 3, 4].map(|id| edge.get(&format!("/items/{id}/access"), &viewer()).status);
    assert_eq!(statuses, [404, 200, 404, 404]);
    assert_eq!(edge.get("/items/2/access-fees", "").status, 200);
}

/// The item is short and so is each fee, but the product is long.
#[test]
fn what_counts_is_what_a_list_of_fees_takes() {
    let long = |metadata: usize, fees| item(1, &[&"a".repeat(metadata)], fees);
    let lines = |item| with_business(vec![item, item_of_two()]);
    let (outcome, edge) = published(&lines(long(15_000, 33)));
    assert_eq!(set_aside(&outcome), [""; 0]);
    let list = edge.get("/items/1/access-fees", "");
    assert_eq!(list.status, 200);
    assert!((ANSWER_MAX_BYTES - 40_000..=ANSWER_MAX_BYTES).contains(&length(&list)), "{}", length(&list));
    let (outcome, edge) = published(&lines(long(15_000, 35)));
    assert_eq!(set_aside(&outcome), ["item 1: fees"]);
    let message = outcome.problems.errors.kept()[0].problem.message.clone();
    assert!(message.starts_with("expected at most 1048576 bytes of all fees"), "{message}");
    assert_eq!(["/items/1", "/items/2"].map(|path| edge.get(path, "").status), [404, 200]);
    // Escapes take six times the bytes, twice.
    let (outcome, _) = published(&lines(item(1, &[&"\u{1}".repeat(6_000)], 0)));
    assert_eq!(set_aside(&outcome), ["item 1: metadata"]);
}

fn item_of_two() -> Value {
    item(2, &["v"], 2)
}

#[test]
fn records_that_an_older_publisher_accepted_stay_published() {
    let lines = with_business(vec![item(1, &[&"a".repeat(40_000)], 1), customer(&[1], &[])]);
    let edge = past_the_publisher(started(), &lines);
    let access = edge.get("/items/1/access", &viewer());
    assert_eq!(access.status, 200, "a viewer can still play an owned item");
    assert!(length(&access) > DETAILS_MAX_BYTES && length(&access) <= ANSWER_MAX_BYTES);
    let lines =
        with_business(vec![item(1, &[&"a".repeat(600_000)], 1), item_of_two(), customer(&[1, 2], &[])]);
    let edge = past_the_publisher(started(), &lines);
    for (path, status) in [
        ("/items/1/access", 503),
        ("/items/1", 503),
        ("/v2/items/1/access-fees/1", 503),
        ("/items/2/access", 200),
    ] {
        assert_eq!(edge.get(path, &viewer()).status, status, "{path}");
    }
}

#[test]
fn the_origin_is_not_asked_when_an_answer_is_too_long() {
    let pair = Pair::without_snapshot(&[]);
    let lines = with_business(vec![bomb(1), customer(&[1], &[])]);
    let edge = past_the_publisher(pair.edge, &lines);
    assert_eq!(edge.get("/items/1/access-fees", "").status, 503);
    assert_eq!(edge.platform().upstream().seen().len(), 0);
}

#[test]
fn a_page_of_long_items_is_asked_for_in_parts_and_nothing_is_lost() {
    let long = "a".repeat((DETAILS_MAX_BYTES - 600) / 2);
    let ids: Vec<i64> = (1..=100).collect();
    let mut lines: Vec<_> = ids.iter().map(|id| item(*id, &[&long], 0)).collect();
    lines.push(package(200, &ids));
    let (outcome, edge) = published(&with_business(lines));
    assert_eq!(set_aside(&outcome), [""; 0]);
    let page = |query: &str| edge.get(&format!("/items/packages/200/items{query}"), "");
    for query in ["", "?limit=100", "?limit=17", "?limit=17&page=2"] {
        let reply = page(query);
        assert_eq!(reply.status, 422, "{query}");
        let message = errors(&reply)["limit"].as_str().unwrap().to_owned();
        assert!(message.contains(&format!("{PAGE_SURE_ITEMS} items always fit")), "{message}");
    }
    let mut found = Vec::new();
    for number in 1..=7 {
        let reply = page(&format!("?limit={PAGE_SURE_ITEMS}&page={number}"));
        assert_eq!(reply.status, 200);
        assert!(length(&reply) <= ANSWER_MAX_BYTES);
        let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
        found.extend(body["collection"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()));
    }
    assert_eq!(found, ids);
}

#[test]
fn a_list_of_licences_costs_no_more() {
    let long = "n".repeat(7_000);
    let licenses: Vec<_> = (0..80).map(|number| license(number, &long, "live")).collect();
    let few = licenses[..60].to_vec();
    let held = |held: &[Value]| {
        let mut lines = vec![item(1, &[], 0), customer(&[1], held)];
        lines.extend(licenses.clone());
        with_business(lines)
    };
    let live = token(&json!({"sub": CUSTOMER, "client_id": "live"}));
    let (outcome, edge) = published(&held(&few));
    assert_eq!(set_aside(&outcome), [""; 0]);
    let reply = edge.get("/license", &live);
    assert_eq!(reply.status, 200);
    assert!((800_000..=ANSWER_MAX_BYTES).contains(&length(&reply)), "{}", length(&reply));
    let (outcome, _) = published(&held(&licenses));
    assert_eq!(set_aside(&outcome), ["customer 9: licenses"]);
    // With such records published, the list is unavailable, and the customer's licences still open items.
    let edge = past_the_publisher(started(), &held(&licenses));
    let reply = edge.get("/license", &live);
    assert_eq!((reply.status, reply.reason.as_ref()), (503, "too_large"));
    assert_eq!(edge.get("/items/1/access", &live).status, 200);
}

#[test]
fn licences_for_tests_cost_no_more_either() {
    let lines = |count: usize, name: &str| {
        let mut lines = vec![item(1, &[], 0)];
        lines.extend((0..count).map(|number| license(number, name, "test")));
        with_business(lines)
    };
    let developer = token(&json!({"sub": "dev", "client_id": "test"}));
    for (count, name, over) in
        [(60, "n".repeat(7_000), 0), (80, "n".repeat(7_000), 11), (1_010, "n".to_owned(), 10)]
    {
        let (outcome, edge) = published(&lines(count, &name));
        assert!(set_aside(&outcome).len().abs_diff(over) <= 1, "{}", set_aside(&outcome).len());
        let reply = edge.get("/license", &developer);
        assert_eq!(reply.status, 200, "{count}");
        assert!(length(&reply) <= ANSWER_MAX_BYTES);
        let edge = past_the_publisher(started(), &lines(count, &name));
        assert_eq!(edge.get("/license", &developer).status, if over == 0 { 200 } else { 503 }, "{count}");
    }
}

#[test]
fn other_lists_of_a_record_have_limits_too() {
    let packages: Vec<_> = (0..1_001).map(|number| package(10_000 + number, &[1])).collect();
    let mut lines = vec![item(1, &[], 0)];
    lines.extend(packages);
    let (outcome, edge) = published(&with_business(lines));
    assert_eq!(set_aside(&outcome).len(), 1, "as few packages as needed");
    assert!(set_aside(&outcome)[0].ends_with(": item_ids"));
    assert_eq!(edge.get("/items/1", "").status, 200);
    let mut lines = with_business(vec![item(1, &[], 0), license(1, &"n".repeat(20_000), "live")]);
    let clients: Vec<_> = (0..1_001).map(|id| json!({"client_id": id.to_string(), "mode": "live"})).collect();
    let app = |id: &str| json!({"type": "app", "id": id, "merchant_id": 7, "plan_id": "p", "clients": []});
    let (mut many, mut long) = (app("b"), app("c"));
    many["clients"] = clients.into();
    long["plan_id"] = "p".repeat(1_100).into();
    lines.extend([many, long]);
    let (outcome, _) = published(&lines);
    let found = set_aside(&outcome);
    assert_eq!(found, ["license b90831a7-2f6d-4c3e-8a41-000000000001: ", "app b: clients", "app c: plan_id"]);
}

/// Text that is long, or becomes long by its escapes.
fn text(max_bytes: usize) -> impl Strategy<Value = String> {
    (select(&["a", "\u{1}", "\"", "é", "\u{1f600}"][..]), prop_oneof![Just(0), 0..40_usize, 0..max_bytes])
        .prop_map(|(letter, bytes)| letter.repeat(bytes / letter.len()))
}

/// An item with few long texts or many short ones.
fn any_item(id: i64) -> impl Strategy<Value = Value> {
    let fees = prop_oneof![Just(0), 1..20_usize, Just(FEES_MAX), Just(FEES_MAX + 1)];
    (vec(text(80_000), 0..4), text(1_200_000), text(2_000), fees).prop_map(
        move |(metadata, content, description, fees)| {
            let metadata: Vec<_> = metadata.iter().map(String::as_str).collect();
            let mut item = item(id, &metadata, fees);
            item["content"] = content.into();
            for fee in item["fees"].as_array_mut().unwrap() {
                fee["description"] = description.as_str().into();
            }
            item
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For any record that a publisher accepts, no route's answer is longer than the budget, and only a page
    /// of more items than always fit is refused for its length.
    #[test]
    fn no_answer_to_what_is_published_is_longer_than_the_budget(
        items in [any_item(1), any_item(2), any_item(3)],
        members in 0..130_i64,
        name in text(20_000),
        held in 0..90_usize,
        limit in 1..=PAGE_MAX_ITEMS,
    ) {
        let mut lines = items.to_vec();
        let filler: Vec<i64> = (100..100 + members).collect();
        lines.extend(filler.iter().map(|id| item(*id, &[&name], 1)));
        lines.push(package(50, &[&[1, 2, 3][..], &filler].concat()));
        let licenses: Vec<_> = (0..held).map(|number| license(number, &name, ["live", "test"][number % 2])).collect();
        let live: Vec<_> = licenses.iter().filter(|license| license["test_mode"] == false).cloned().collect();
        lines.push(customer(&[1, 2, 3, 50], &live));
        lines.extend(licenses);
        let (_, edge) = published(&with_business(lines));
        let live = token(&json!({"sub": CUSTOMER, "client_id": "live"}));
        let developer = token(&json!({"sub": "dev", "client_id": "test"}));
        let mut paths = vec!["/license".to_owned(), "/healthz".to_owned(), "/items/packages/50".to_owned()];
        for id in [1, 2, 3, 50, 100] {
            for rest in ["", "/access", "/access-fees"] {
                paths.push(format!("/items/{id}{rest}"));
            }
            paths.extend([1, 1_000].map(|fee| format!("/v2/items/{id}/access-fees/{fee}")));
            paths.push(format!("/v2/items/{UUID}/{id}"));
        }
        let pages = [limit, PAGE_SURE_ITEMS, PAGE_MAX_ITEMS];
        paths.extend(pages.map(|limit| format!("/items/packages/50/items?limit={limit}")));
        for path in &paths {
            for token in [&live, &developer] {
                let reply = edge.get(path, token);
                prop_assert!(length(&reply) <= ANSWER_MAX_BYTES, "{path}: {}", length(&reply));
                let is_large_page = reply.status == 422 && path.contains("limit=")
                    && !path.ends_with(&format!("={PAGE_SURE_ITEMS}"));
                prop_assert!(matches!(reply.status, 200 | 402 | 404) || is_large_page, "{path}: {}", reply.status);
            }
        }
    }
}

/// An attacker who can write to the store may leave the longest possible value under any key.
#[test]
fn a_value_that_is_too_long_is_not_copied() {
    let edge = past_the_publisher(started(), &with_business(vec![item(1, &[], 1), customer(&[1], &[])]));
    assert_eq!(edge.check(), 200);
    let read = edge.platform().store().bytes_read();
    edge.platform().store().insert("head", &vec![b'x'; 25 << 20]);
    edge.advance_secs(120);
    assert_eq!(edge.check(), 200, "the version before answers");
    let copied = edge.platform().store().bytes_read() - read;
    assert!(copied <= HEAD_VALUE_MAX_BYTES + 1, "{copied}");
    // A new isolate has no version, so it cannot tell; it copies no more either.
    let new = Edge::new(edge.platform().beside());
    assert_eq!(new.check(), 503);
    assert!(edge.platform().store().bytes_read() - read <= 3 * (HEAD_VALUE_MAX_BYTES + 1));
}

#[test]
fn the_head_of_an_answer_is_as_long_as_its_body() {
    let edge = past_the_publisher(started(), &with_business(vec![bomb(1)]));
    let request = Request { method: "HEAD", path: "/items/1/access-fees", ..Request::default() };
    assert_eq!(block_on(edge.app.handle(&request, MemoryBody::default())).status, 503);
}
