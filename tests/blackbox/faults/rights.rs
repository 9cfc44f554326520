//! Missing rights: what the log says about them, what a leaked collector's token cannot delete, and whose
//! UUID a merchant may use.

use admit::{
    api::reply::{Reply, Request},
    ports::Platform as _,
    snapshot::{
        index::{NewTree, encode_index},
        key::ItemSalt,
        object::{Digest, ObjectKind, ObjectName},
    },
};
use admit_testing::memory::{Fault, MemoryBody, MemoryPlatform, MemoryStore, block_on};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, START, token},
    origin::{ORIGIN_URL, Pair},
};

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(reply.body.as_bytes()).unwrap_or_default()
}

fn started(issuers: &Value) -> Edge {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    Edge::restricted(platform, &issuers.to_string(), ORIGIN_URL)
}

/// The log line of a 403 names the issuer, the missing right, and the change of the configuration.
#[test]
fn the_log_says_who_lacks_what_and_what_to_change() {
    let entry = |issuer: &str, more: Value| {
        let mut entry = json!({"issuer": issuer, "namespace": "v", "audience": "none_required",
            "keys": {"secret": "SECRET", "alg": "HS256"}});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let edge = started(&json!([
        entry("https://viewers.example", json!({})),
        entry("https://publisher.example", json!({"may": ["publish"]})),
        entry("https://all.example", json!({"may": ["view", "write", "publish"]})),
        entry("https://seven.example", json!({"may": ["view", "write", "publish"], "merchants": [7]})),
    ]));
    Business::new(1, Some(START + 1_000)).publish(edge.platform());
    let log = edge.platform().memory_log();
    let shard = format!("/snapshot/shard/{}", "0".repeat(64));
    for (issuer, claims, method, path, reason, detail) in [
        (
            "viewers",
            json!({"ctx": "merchant", "mid": 7}),
            "POST",
            "/v2/items",
            "not_a_merchant",
            r#"issuer "https://viewers.example" lacks the capability write: if its tokens may do that, set "may": ["view", "write"] for it in ISSUERS"#,
        ),
        (
            "viewers",
            json!({"scope": "snapshot:publish"}),
            "PUT",
            "/snapshot/head",
            "may_not_publish",
            r#"issuer "https://viewers.example" lacks the capability publish: if its tokens may do that, set "may": ["view", "publish"] for it in ISSUERS"#,
        ),
        (
            "publisher",
            json!({}),
            "GET",
            "/items/1/access",
            "may_not_view",
            r#"issuer "https://publisher.example" lacks the capability view: if its tokens may do that, set "may": ["view", "publish"] for it in ISSUERS"#,
        ),
        (
            "publisher",
            json!({}),
            "GET",
            "/license",
            "may_not_view",
            r#"issuer "https://publisher.example" lacks the capability view: if its tokens may do that, set "may": ["view", "publish"] for it in ISSUERS"#,
        ),
        (
            "publisher",
            json!({"scope": "snapshot:read"}),
            "PUT",
            "/snapshot/head",
            "may_not_publish",
            "claim scope: snapshot:write is expected",
        ),
        (
            "publisher",
            json!({"scope": "snapshot:write"}),
            "GET",
            "/snapshot/head",
            "may_not_read_snapshot",
            "claim scope: snapshot:read is expected",
        ),
        (
            "publisher",
            json!({"scope": "snapshot:write"}),
            "DELETE",
            &shard,
            "may_not_collect",
            "claim scope: snapshot:collect is expected",
        ),
        (
            "publisher",
            json!({"scope": "snapshot:read"}),
            "PUT",
            "/snapshot/lease",
            "may_not_publish",
            "claim scope: snapshot:write or snapshot:collect is expected",
        ),
        (
            "all",
            json!({"ctx": "consumer", "mid": 7}),
            "POST",
            "/v2/items",
            "not_a_merchant",
            r#"claim ctx: "merchant" is expected"#,
        ),
        (
            "seven",
            json!({"ctx": "merchant"}),
            "POST",
            "/v2/items",
            "not_a_merchant",
            r#"claim mid: one of the merchants of issuer "https://seven.example" is expected"#,
        ),
        (
            "seven",
            json!({"ctx": "merchant", "mid": 8}),
            "POST",
            "/v2/items",
            "not_a_merchant",
            r#"claim mid: one of the merchants of issuer "https://seven.example" is expected"#,
        ),
        (
            "seven",
            json!({"scope": "snapshot:publish", "mid": 7}),
            "GET",
            "/snapshot/head",
            "may_not_read_snapshot",
            r#"issuer "https://seven.example" has merchants, and this is the data of every merchant"#,
        ),
    ] {
        let mut all = json!({"iss": format!("https://{issuer}.example"), "sub": CUSTOMER});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let authorization = format!("Bearer {}", token(&all));
        drop(log.take());
        let request = Request { method, path, authorization: &authorization, ..Request::default() };
        let reply = block_on(edge.app.handle(&request, MemoryBody::default()));
        assert_eq!((reply.status, &json_of(&reply)["message"]), (403, &json!("Invalid privileges")), "{all}");
        let lines = log.take();
        let line = lines.iter().find(|line| line.contains(r#""event":"request""#)).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["reason"], &line["detail"]), (&json!(reason), &json!(detail)), "{issuer} {all}");
    }
}

#[test]
fn an_issuer_of_some_merchants_names_one_by_its_own_uuid() {
    // The UUID of the only merchant, 7.
    let own = "11a7ed90-65d3-4ee2-9d91-4e1409678576";
    let other = "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934";
    let issuers = json!([{"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
        "may": ["view", "write"], "merchants": [7, 8], "keys": {"secret": "SECRET", "alg": "HS256"}}]);
    let pair = Pair::without_snapshot(&[]);
    let platform = pair.edge.platform().beside();
    let edge = Edge::restricted(platform, &issuers.to_string(), ORIGIN_URL);
    let pair = Pair { edge, truth: pair.truth };
    Business::new(1, None).publish(pair.edge.platform());
    let write = |pair: &Pair, claims: Value| {
        let mut all = json!({"sub": "shop", "ctx": ["merchant"]});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let passed = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        pair.write_as(&token(&all), "POST", "/v2/items", b"title=x".to_vec().into(), &passed)
    };
    for (claims, status) in [
        // The first write: an isolate reads the snapshot before it passes anything on.
        (json!({"mid": 7, "mui": other}), 403),
        (json!({"mid": 7}), 201),
        (json!({"mid": 7, "mui": own}), 201),
        (json!({"mid": 7, "mui": own.to_uppercase()}), 201),
        (json!({"mid": 7, "mui": other}), 403),
        (json!({"mid": 7, "mui": "7"}), 403),
        (json!({"mui": own}), 403),
        // A merchant newer than the snapshot: its UUID may be any but another merchant's.
        (json!({"mid": 8, "mui": other}), 201),
        (json!({"mid": 8, "mui": own}), 403),
        (json!({"mid": 8, "mui": own.to_uppercase()}), 403),
        (json!({"mid": 8}), 201),
    ] {
        assert_eq!(write(&pair, claims.clone()).status, status, "{claims}");
    }
    // Without a readable snapshot it cannot be decided whose UUID it is.
    pair.edge.platform().store().break_on("head", Fault::Error);
    let edge = Edge::restricted(pair.edge.platform().beside(), &issuers.to_string(), ORIGIN_URL);
    let cold = Pair { edge, truth: pair.truth };
    for uuid in [own, other] {
        let reply = write(&cold, json!({"mid": 7, "mui": uuid}));
        assert_eq!((reply.status, reply.reason.as_ref()), (503, "no_snapshot"), "{uuid}");
        assert_eq!(reply.header("retry-after"), Some("2"));
    }
    assert_eq!(write(&cold, json!({"mid": 7})).status, 201, "this one has no UUID");
}

/// A published snapshot: eight shards of customers behind four pages, and two of items, which the index lists
/// itself.
struct Paged {
    business: Business,
    pages: Vec<ObjectName>,
    shards: Vec<ObjectName>,
}

impl Paged {
    fn new(seq: u64) -> Self {
        let objects: Vec<_> = (0..10_u8)
            .map(|number| [ObjectKind::Shard.header().as_slice(), &[number]].concat())
            .map(|object| (ObjectName::of(ObjectKind::Shard, &object), object))
            .collect();
        let digest = |(name, _): &(ObjectName, Vec<u8>)| Some(name.digest);
        let (customers, items) = objects.split_at(8);
        let (items, external_ids) = items.split_at(1);
        let tree = |objects: &[_]| NewTree::new(objects.iter().map(digest).collect()).unwrap();
        let trees = [customers, items, external_ids].map(tree);
        let (index, pages) = encode_index(ItemSalt::IN_MEMORY, trees.each_ref(), 1).unwrap();
        let mut business = Business::new(seq, None);
        business.head.index = Digest::of(&index);
        let shards = objects.iter().map(|(name, _)| *name).collect();
        let pages: Vec<_> =
            pages.into_iter().map(|page| (ObjectName::of(ObjectKind::Page, &page), page)).collect();
        let names = pages.iter().map(|(name, _)| *name).collect();
        business.objects.push((ObjectName::of(ObjectKind::Index, &index), index));
        business.objects.extend(objects);
        business.objects.extend(pages);
        Self { business, pages: names, shards }
    }
}

fn delete(edge: &Edge, name: &str) -> (u16, String) {
    let reply = edge.publish("DELETE", &format!("/snapshot/{name}"), "", Vec::new());
    (reply.status, json_of(&reply)["message"].as_str().unwrap_or_default().to_owned())
}

fn store(edge: &Edge) -> &MemoryStore {
    edge.platform().store()
}

#[test]
fn nothing_that_the_published_head_leads_to_is_deleted() {
    let paged = Paged::new(1);
    assert_eq!((paged.pages.len(), paged.shards.len()), (4, 10));
    // With an isolate that has the version in memory, and with a new one.
    for is_warm in [true, false] {
        let edge = Edge::started();
        paged.business.publish(edge.platform());
        if is_warm {
            assert_eq!(edge.get("/healthz", "").status, 200);
        }
        for name in paged.pages.iter().chain(&paged.shards) {
            let message = format!(
                "The published snapshot needs this object: {name} is in use. Publish another head first"
            );
            assert_eq!(delete(&edge, &name.to_string()), (409, message), "warm: {is_warm}");
            assert!(store(&edge).peek(&name.to_string()).is_some(), "{name}");
        }
        // Objects of another snapshot may be deleted.
        let free = ObjectName { kind: ObjectKind::Shard, digest: Digest([7; 32]) };
        let same_digest = ObjectName { kind: ObjectKind::Page, digest: paged.shards[0].digest };
        for name in [free, same_digest, ObjectName { kind: ObjectKind::Page, digest: Digest([7; 32]) }] {
            assert_eq!(delete(&edge, &name.to_string()).0, 204, "{name}");
        }
    }
}

/// An object that cannot be read may refer to any other, so nothing is deleted, and the answer names it.
#[test]
fn nothing_is_deleted_while_an_object_cannot_be_read() {
    let paged = Paged::new(1);
    let free = ObjectName { kind: ObjectKind::Shard, digest: Digest([7; 32]) }.to_string();
    let index = ObjectName { kind: ObjectKind::Index, digest: paged.business.head.index };
    for unreadable in [index, paged.pages[3]] {
        for (fault, status) in [(Fault::Error, 503), (Fault::Missing, 409), (Fault::Flipped(20), 409)] {
            let edge = Edge::started();
            paged.business.publish(edge.platform());
            store(&edge).break_on(&unreadable.to_string(), fault);
            let (found, message) = delete(&edge, &free);
            assert_eq!(found, status, "{unreadable} {fault:?}: {message}");
            let names = [unreadable.to_string(), free.clone()];
            assert!(status == 503 || names.iter().all(|name| message.contains(name)), "{message}");
        }
    }
}

/// A collection of a thousand objects does not read the pages a thousand times.
#[test]
fn pages_are_read_once_for_many_deletions() {
    let paged = Paged::new(1);
    let edge = Edge::started();
    paged.business.publish(edge.platform());
    let reads = || {
        let names: Vec<_> = paged.pages.iter().map(ToString::to_string).collect();
        store(&edge).reads().iter().filter(|key| names.contains(key)).count()
    };
    for number in 0..50_u8 {
        let free = ObjectName { kind: ObjectKind::Shard, digest: Digest([number + 1; 32]) };
        assert_eq!(delete(&edge, &free.to_string()).0, 204);
    }
    assert_eq!(reads(), paged.pages.len());
}
