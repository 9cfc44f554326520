//! The routes of support staff with a delta, a denylist, fetched keys, many shards and a store that fails; and the trail
//! that a look leaves.

use std::{cell::RefCell, rc::Rc};

use admit::{
    api::reply::{Reply, Request},
    ports::Platform as _,
    snapshot::{
        customer::NewCustomer,
        delta::encode_delta,
        denylist::{Denied, Target},
        directory::Directory,
        head::Head,
        index::{NewTree, encode_index},
        key::{EntryKey, ItemSalt},
        object::{Digest, ObjectKind, ObjectName},
        table::write_table,
    },
};
use admit_testing::memory::{Fault, MemoryBody, MemoryPlatform, block_on};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, JWKS_URL, START, Signer, fetched_viewer, token},
    origin::{ORIGIN_URL, Truth, UNTIL},
};

fn support() -> String {
    token(&json!({"iss": "https://s.example", "sub": "staff"}))
}

/// A viewer who may ask why.
fn curious() -> String {
    token(&json!({"iss": "https://c.example", "sub": CUSTOMER}))
}

/// An edge whose issuers have support staff among them.
fn edge(variables: &[(&str, &str)]) -> Edge {
    let issuer = |issuer: &str, namespace: &str, may: Value| {
        json!({"issuer": issuer, "namespace": namespace, "audience": "none_required", "may": may,
               "keys": {"secret": "SECRET", "alg": "HS256"}})
    };
    let issuers = json!([
        issuer("https://v.example", "v", json!(["view", "write"])),
        issuer("https://s.example", "s", json!(["check", "explain"])),
        issuer("https://c.example", "v", json!(["view", "explain"])),
        {"issuer": "https://i.example", "namespace": "i", "audience": "none_required",
         "keys": {"jwks_url": JWKS_URL}},
    ]);
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    Edge::with_issuers(platform, &issuers.to_string(), variables)
}

fn shown(edge: &Edge, target: &str) -> Value {
    let reply = edge.get(target, &support());
    assert_eq!(reply.status, 200, "{target}: {}", String::from_utf8_lossy(reply.body.as_bytes()));
    serde_json::from_slice(reply.body.as_bytes()).unwrap()
}

fn post(edge: &Edge, path: &str, token: &str, body: &Value) -> Reply {
    let authorization = format!("Bearer {token}");
    let passed = [("content-type", "application/json".to_owned())];
    let request = Request {
        method: "POST",
        path,
        authorization: &authorization,
        ip_address: "203.0.113.9",
        passed: &passed,
        ..Request::default()
    };
    block_on(edge.app.handle(&request, MemoryBody::from(body.to_string().into_bytes())))
}

fn inspected(edge: &Edge, presented: &str) -> Value {
    let reply = post(edge, "/tokens/inspect", &support(), &json!({ "token": presented }));
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(reply.body.as_bytes()));
    serde_json::from_slice(reply.body.as_bytes()).unwrap()
}

/// The rule that failed, and its reason.
fn failed(inspected: &Value) -> (&str, &str) {
    let rules = inspected["rules"].as_array().unwrap();
    let failed =
        rules.iter().find(|rule| rule["result"] == "failed").unwrap_or_else(|| panic!("{inspected}"));
    (failed["rule"].as_str().unwrap(), failed["reason"].as_str().unwrap())
}

/// Publishes the business, with a delta in which the customer of one namespace has got item 2.
fn publish_with_delta(edge: &Edge) {
    let mut business = Business::new(1, Some(START + 1_000));
    let access = admit::snapshot::customer::Access { id: 6, item_id: 2, ..Default::default() };
    let record =
        NewCustomer { id: 9, merchant_id: 7, accesses: vec![access], ..NewCustomer::default() }.encode();
    let changes = [(EntryKey::customer("v", CUSTOMER), record)];
    let delta = encode_delta::<Vec<u8>>([&changes, &[], &[]]).unwrap();
    let name = ObjectName::of_object(&delta).unwrap();
    business.head.delta = Some(name.digest);
    edge.platform().store().insert(&name.to_string(), &delta);
    business.publish(edge.platform());
}

#[test]
fn a_record_of_the_delta_is_named_as_such() {
    let edge = edge(&[]);
    publish_with_delta(&edge);
    for (namespace, source, item) in [("v", "delta", 2), ("i", "shard", 1)] {
        let found = shown(&edge, &format!("/customers/{namespace}:{CUSTOMER}"));
        assert_eq!(found["customer"]["source"], source, "{found}");
        let holding = &found["holdings"][0];
        assert_eq!((&holding["source"], &holding["item_id"]), (&json!(source), &json!(item)), "{found}");
        let question = json!({
            "subject": {"type": "customer", "id": format!("{namespace}:{CUSTOMER}")},
            "action": {"name": "play"}, "resource": {"type": "item", "id": item.to_string()},
        });
        let reply = post(&edge, "/access/v1/evaluation", &support(), &question);
        let decided: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
        assert_eq!(decided["context"]["considered"][0]["found_in"], source, "{decided}");
    }
    let found = shown(&edge, "/customers?number=9");
    let mut sources: Vec<_> =
        found["results"].as_array().unwrap().iter().map(|one| one["source"].as_str().unwrap()).collect();
    sources.sort_unstable();
    assert_eq!(sources, ["delta", "shard"]);
}

#[test]
fn a_grant_of_the_origin_is_named_as_such() {
    let edge = edge(&[("ORIGIN_URL", ORIGIN_URL)]);
    Business::new(1, None).publish(edge.platform());
    let truth = Rc::new(RefCell::new(Truth { seq: 1, ..Truth::default() }));
    truth.borrow_mut().granted.insert((CUSTOMER.to_owned(), 1));
    edge.platform().upstream().serve(move |seen| truth.borrow_mut().answer(seen));
    let question = json!({
        "subject": {"type": "customer", "id": format!("v:{CUSTOMER}")},
        "action": {"name": "play"}, "resource": {"type": "item", "id": "1"},
    });
    let reply = post(&edge, "/access/v1/evaluation", &curious(), &question);
    let decided: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    assert_eq!(
        decided["context"]["considered"],
        json!([{
            "source": "origin", "found_in": "origin", "obstacle": null, "access_id": null, "license_id": null,
            "created_at": null, "starts_at": null, "expires_at": UNTIL,
        }]),
        "{decided}"
    );
}

#[test]
fn a_revoked_token_fails_at_the_denylist() {
    let edge = edge(&[]);
    let mut business = Business::new(1, None);
    let stolen = token(&json!({"sub": CUSTOMER, "jti": "stolen"}));
    business.head.denylist.add(Denied {
        target: Target::TokenId("stolen".to_owned()),
        since: START,
        until: START + 3_600,
        is_lifted: false,
        reason: "stolen".to_owned(),
    });
    business.publish(edge.platform());
    // A new isolate looks at the head before it answers.
    let found = inspected(&edge, &stolen);
    assert_eq!(failed(&found), ("denylist", "revoked"), "{found}");
    assert_eq!((&found["status"], &found["claims"]["jti"]), (&json!(401), &json!("stolen")));
    let passed = found["rules"].as_array().unwrap().iter().filter(|rule| rule["result"] == "passed").count();
    assert_eq!(passed, 12, "{found}");
    assert_eq!(inspected(&edge, &token(&json!({"sub": CUSTOMER})))["accepted"], true);
}

#[test]
fn keys_are_fetched_for_an_inspected_token() {
    let edge = edge(&[]);
    Business::new(1, None).publish(edge.platform());
    let keys = edge.platform().keys();
    keys.fail(JWKS_URL, "no connection");
    let found = inspected(&edge, &fetched_viewer());
    assert_eq!((failed(&found), &found["status"]), (("key", "keys_unavailable"), &json!(503)), "{found}");
    edge.advance_secs(120);
    keys.serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let found = inspected(&edge, &fetched_viewer());
    assert_eq!(
        (&found["accepted"], &found["principal"]["customer"]),
        (&json!(true), &json!("i:alice")),
        "{found}"
    );
    // A key that the issuer may have published since cannot be told from a stranger's.
    let claims = json!({"iss": "https://i.example", "sub": CUSTOMER, "exp": START + 100_000});
    let found = inspected(&edge, &Signer::Stranger.sign("JWT", &claims));
    assert_eq!(failed(&found).0, "key", "{found}");
}

#[test]
fn what_cannot_be_read_is_503() {
    let edge = edge(&[]);
    for target in ["/customers/v:alice", "/customers?number=9"] {
        assert_eq!(edge.get(target, &support()).status, 503, "{target}");
    }
    // A token can be judged without a snapshot.
    assert_eq!(inspected(&edge, &token(&json!({"sub": CUSTOMER})))["accepted"], true);
    let edge = self::edge(&[]);
    Business::new(1, None).publish(edge.platform());
    edge.platform().store().break_on("shard/", Fault::Error);
    for target in ["/customers/v:alice", "/customers?number=9"] {
        assert_eq!(edge.get(target, &support()).status, 503, "{target}");
    }
}

/// 128 shards, each with one customer: every tenth has the number 7, and every fourth record is invalid.
#[test]
fn a_search_goes_through_many_shards_page_by_page() {
    const BITS: u8 = 7;
    let edge = edge(&[]);
    let store = edge.platform().store();
    let mut names = Vec::new();
    for number in 0..1_usize << BITS {
        let id = if number % 10 == 0 { 7 } else { 8 };
        let mut record = NewCustomer { id, merchant_id: 7, ..NewCustomer::default() }.encode();
        if number % 4 == 1 {
            record.truncate(3);
        }
        let mut shard = ObjectKind::Shard.header().to_vec();
        write_table(&mut shard, &[(EntryKey::first_of(number, BITS), record)]).unwrap();
        let name = ObjectName::of(ObjectKind::Shard, &shard);
        store.insert(&name.to_string(), &shard);
        names.push(Some(name.digest));
    }
    let empty = NewTree::new(vec![None]).unwrap();
    let (index, _) =
        encode_index(ItemSalt::IN_MEMORY, [&NewTree::new(names).unwrap(), &empty, &empty], 15).unwrap();
    let directory = Directory::default().encode();
    for (kind, object) in [(ObjectKind::Index, &index), (ObjectKind::Directory, &directory)] {
        store.insert(&ObjectName::of(kind, object).to_string(), object);
    }
    let head = Head { customers: 128, ..Head::new(1, START, Digest::of(&index), Digest::of(&directory)) };
    Business { head, objects: Vec::new() }.publish(edge.platform());

    let (mut keys, mut read, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        store.forget_operations();
        let page = shown(&edge, &format!("/customers?number=7&page_token={next}"));
        let shards = store.reads().iter().filter(|key| key.starts_with("shard/")).count();
        assert!(shards <= 32, "{shards} reads");
        assert_eq!(page["page"]["shards"], 128);
        read.push(page["page"]["shards_read"].as_u64().unwrap());
        keys.extend(
            page["results"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap().to_owned()),
        );
        next = page["page"]["next_token"].as_str().unwrap().to_owned();
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(read, [32, 64, 96, 128]);
    let expected = (0..128_usize).filter(|number| number % 10 == 0);
    let expected: Vec<String> = expected
        .map(|number| EntryKey::first_of(number, BITS).0.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(keys, expected);
}

/// The event names the viewer and the viewed. Neither the token in a body nor the name in a path is in a log.
#[test]
fn every_look_leaves_an_audit_event() {
    let edge = edge(&[("LOG_CHECKS", "all")]);
    Business::new(1, None).publish(edge.platform());
    let hex = |key: EntryKey| key.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (of_v, of_staff) = (hex(EntryKey::customer("v", CUSTOMER)), hex(EntryKey::customer("s", "staff")));
    let uuid = "11a7ed90-65d3-4ee2-9d91-4e1409678576";
    let candidates: Vec<_> =
        ["v", "s", "i"].iter().map(|namespace| hex(EntryKey::customer(namespace, uuid))).collect();
    let stranger = hex(EntryKey::customer("v", "bob"));
    for (target, token, status, action, key) in [
        ("/customers/v:alice", support(), 200, "view_customer", Some(of_v.clone())),
        ("/customers/me", support(), 404, "view_customer", Some(of_staff.clone())),
        ("/customers/me", curious(), 200, "view_customer", Some(of_v.clone())),
        ("/customers/v:bob", curious(), 403, "view_customer", Some(stranger)),
        (&format!("/customers/{uuid}"), support(), 404, "view_customer", Some(candidates.join(","))),
        ("/customers?number=9", support(), 200, "find_customer", Some("number 9".to_owned())),
        (&format!("/customers?uuid={uuid}"), support(), 200, "find_customer", Some(format!("uuid {uuid}"))),
        ("/tokens/inspect", support(), 200, "inspect_token", None),
        ("/tokens/inspect", token(&json!({"sub": CUSTOMER})), 403, "inspect_token", None),
    ] {
        let secret = self::token(&json!({"sub": "carol"}));
        let reply = match action {
            "inspect_token" => post(&edge, target, &token, &json!({ "token": secret })),
            _ => edge.get(target, &token),
        };
        assert_eq!(reply.status, status, "{target}");
        let lines = edge.platform().memory_log().take();
        let all = lines.concat();
        for hidden in ["alice", "bob", &secret, &token] {
            assert!(!all.contains(hidden), "{hidden}: {all}");
        }
        let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let audits: Vec<_> = events.iter().filter(|event| event["event"] == "audit").collect();
        let [audit] = audits.as_slice() else { panic!("{target}: {lines:?}") };
        assert_eq!((&audit["action"], &audit["status"]), (&json!(action), &json!(status)), "{audit}");
        assert_eq!(audit["outcome"], if status == 200 { "applied" } else { "refused" }, "{audit}");
        match key {
            Some(key) => assert_eq!(audit["key"], key, "{audit}"),
            None => assert_eq!(audit["route"], "POST /tokens/inspect", "{audit}"),
        }
        assert!(audit["subject_hash"].is_string() && audit["issuer"].is_string(), "{audit}");
        let request = events.iter().find(|event| event["event"] == "request").unwrap();
        assert_eq!(request["request_id"], audit["request_id"]);
    }
    // Strangers leave none.
    assert_eq!(edge.get("/customers/v:alice", "x").status, 401);
    let lines = edge.platform().memory_log().take().concat();
    assert!(!lines.contains("audit") && !lines.contains("alice"), "{lines}");
}
