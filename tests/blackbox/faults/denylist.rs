//! Revocations of tokens, customers and issuers' keys by the head.

use admit::{
    api::reply::Reply,
    ports::Platform as _,
    snapshot::{
        denylist::{Denied, Target},
        key::EntryKey,
        limits::{DENYLIST_MAX_BYTES, HEAD_MAX_BYTES, TOKEN_MAX_BYTES},
        object::Digest,
    },
};
use admit_testing::memory::MemoryBody;
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, JWKS_URL, START, Signer, token},
    origin::{Pair, customer},
    repeat::{introduced, validity},
};

const FOREVER: Option<i64> = Some(START + 1_000_000);
const UNTIL: i64 = START + 3_600;

fn denied(target: Target) -> Denied {
    Denied { target, since: START, until: UNTIL, is_lifted: false, reason: "stolen".to_owned() }
}

/// Publishes the business again, with these entries.
fn deny(edge: &Edge, seq: u64, entries: &[Denied]) {
    let mut business = Business::new(seq, FOREVER);
    entries.iter().for_each(|entry| business.head.denylist.add(entry.clone()));
    business.publish(edge.platform());
}

fn check(edge: &Edge, token: &str) -> Reply {
    edge.get("/items/1/access", token)
}

fn named(jti: &str, issued_at: i64) -> String {
    token(&json!({"sub": CUSTOMER, "jti": jti, "iat": issued_at}))
}

fn is_revoked(reply: &Reply) -> bool {
    assert_eq!(reply.status == 401, reply.reason == "revoked", "{}", reply.reason);
    reply.status == 401
}

fn signed_part(token: &str) -> Target {
    Target::Token(Digest::of(token.rsplit_once('.').unwrap().0.as_bytes()))
}

/// As long as `admit revoke` lets it grow: longer than any viewer's token may be.
#[test]
fn a_head_with_as_many_revocations_as_there_is_room_for_is_believed() {
    let edge = Edge::started();
    let named_by = |n: usize| denied(Target::TokenId(format!("token-{n:04}")));
    let mut business = Business::new(2, FOREVER);
    let mut lengths = (0..2).map(|n| {
        business.head.denylist.add(named_by(n));
        serde_json::to_vec(&business.head.denylist).unwrap().len()
    });
    let (one, two) = (lengths.next().unwrap(), lengths.next().unwrap());
    drop(lengths);
    (2..DENYLIST_MAX_BYTES / (two - one)).for_each(|n| business.head.denylist.add(named_by(n)));
    let length = business.jws(Signer::Publisher).len();
    assert!((TOKEN_MAX_BYTES * 2..HEAD_MAX_BYTES).contains(&length), "{length}");
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(check(&edge, &named("token-0000", START - 10)).status, 200);
    business.publish(edge.platform());
    edge.advance_secs(61);
    assert!(is_revoked(&check(&edge, &named("token-0000", START - 10))));
    assert!(is_revoked(&check(&edge.beside(), &named("token-0100", START - 10))));
    assert_eq!(edge.put_head(&business), 201, "through the publish API");
}

#[test]
fn a_revoked_token_is_refused_while_the_viewers_other_tokens_are_good() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let (stolen, other) = (named("stolen", START - 10), named("other", START - 10));
    for token in [&stolen, &stolen, &other] {
        assert_eq!(check(&edge, token).status, 200);
    }
    for target in [Target::TokenId("stolen".to_owned()), signed_part(&stolen)] {
        deny(&edge, 1, &[denied(target.clone())]);
        edge.advance_secs(61);
        // A warm isolate, which has verified the token before.
        let reply = check(&edge, &stolen);
        assert!(is_revoked(&reply), "{target}");
        assert!(
            reply.detail.contains("stolen") && reply.detail.starts_with("denylist: "),
            "{}",
            reply.detail
        );
        assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
        assert_eq!(check(&edge, &other).status, 200, "{target}");
        // A new isolate.
        let started = edge.beside();
        assert!(is_revoked(&check(&started, &stolen)) && check(&started, &other).status == 200, "{target}");
        // A head with the same seq and time is a change if its denylist differs.
        deny(&edge, 1, &[]);
        edge.advance_secs(61);
        assert_eq!(check(&edge, &stolen).status, 200, "{target}");
    }
}

#[test]
fn an_answer_that_is_kept_ends_with_the_revocation() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let stolen = named("stolen", START - 10);
    check(&edge, &stolen);
    let viewer = introduced(&edge, &stolen).unwrap();
    let validity = validity(&edge, viewer).unwrap();
    assert!(edge.app.repeat(&validity).is_some());
    deny(&edge, 1, &[denied(Target::TokenId("stolen".to_owned()))]);
    edge.advance_secs(30);
    assert!(edge.refresh_behind());
    assert!(edge.app.repeat(&validity).is_none());
    assert_eq!(edge.app.grant(viewer, 1, 0), None);
    assert!(is_revoked(&check(&edge, &stolen)));
}

#[test]
fn a_customers_tokens_end_and_new_ones_are_good() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let (before, after) = (named("a", START), named("b", START + 1));
    let dateless = token(&json!({"sub": CUSTOMER}));
    deny(&edge, 2, &[denied(Target::Customer(EntryKey::customer("v", CUSTOMER)))]);
    edge.advance_secs(2);
    for (token, is_refused) in [(&before, true), (&dateless, true), (&after, false)] {
        assert_eq!(is_revoked(&check(&edge, token)), is_refused);
    }
    // The same name at another issuer is another customer.
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    assert_eq!(check(&edge, &crate::faults::edge::fetched_viewer()).status, 200);
}

#[test]
fn tokens_of_a_revoked_key_are_refused_whether_they_name_it_or_not() {
    let edge = Edge::started();
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let key =
        |kid: &str| denied(Target::IssuerKey { issuer: "https://i.example".to_owned(), kid: kid.to_owned() });
    deny(&edge, 1, &[key("another"), key("k")]);
    let claims = json!({"iss": "https://i.example", "sub": CUSTOMER, "exp": START + 100_000});
    for token in [crate::faults::edge::fetched_viewer(), Signer::Publisher.sign_nameless("JWT", &claims)] {
        assert!(is_revoked(&check(&edge, &token)));
    }
    // A key of the same name at another issuer; and the same key after the entry's end.
    assert_eq!(check(&edge, &named("a", START)).status, 200);
    edge.advance_secs(3_601);
    assert_eq!(check(&edge, &crate::faults::edge::fetched_viewer()).status, 200);
}

#[test]
fn the_origin_is_not_asked_for_a_revoked_token_and_gets_no_write_of_one() {
    let pair = Pair::new(&[]);
    let merchant = token(&json!({"sub": "shop", "ctx": ["merchant"], "mid": 7, "jti": "till"}));
    let mut business = Business::new(2, None);
    business.head.denylist.add(denied(Target::TokenId("till".to_owned())));
    business.head.denylist.add(denied(Target::Customer(EntryKey::customer("v", CUSTOMER))));
    business.publish(pair.edge.platform());
    pair.bought(CUSTOMER, 1);
    // The isolate is new, so it must read the head before it passes on a write.
    let passed = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    let write = || {
        let body = MemoryBody::from(b"item_id=1&consumer_id=bob".to_vec());
        pair.write_as(&format!("Bearer {merchant}"), "POST", "/items/access", body, &passed)
    };
    assert!(is_revoked(&write()));
    assert!(is_revoked(&pair.edge.get("/items/1/access", &customer(CUSTOMER))));
    assert!(is_revoked(&pair.edge.get("/license", &customer(CUSTOMER))));
    assert_eq!(pair.origin().seen(), []);
    // An isolate that only takes writes reads the head once a minute.
    let reads = || pair.edge.platform().store().reads().iter().filter(|key| *key == "head").count();
    let before = reads();
    for _ in 0..200 {
        pair.edge.advance_secs(3);
        assert!(is_revoked(&write()));
    }
    assert!((9..=11).contains(&(reads() - before)), "{}", reads() - before);
    // A store that fails does not stop writes.
    pair.edge.platform().store().break_on("", admit_testing::memory::Fault::Error);
    assert_eq!(pair.grant("carol", 1).status, 201);
}

#[test]
fn a_revoked_publisher_is_shut_out() {
    let edge = Edge::started();
    let key = Target::IssuerKey { issuer: "https://i.example".to_owned(), kid: "k".to_owned() };
    assert_eq!(edge.put_head(&Business::new(1, FOREVER)), 422, "it may publish, but nothing is there");
    deny(&edge, 1, &[denied(key)]);
    edge.advance_secs(61);
    for (method, target) in
        [("PUT", "/snapshot/head"), ("GET", "/snapshot/head"), ("DELETE", "/snapshot/version/1")]
    {
        assert!(is_revoked(&edge.publish(method, target, "", Vec::new())), "{method} {target}");
    }
}

#[test]
fn a_revocation_does_not_wait_for_the_objects_of_its_head() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let stolen = named("stolen", START - 10);
    assert_eq!(check(&edge, &stolen).status, 200);
    let mut business = Business::new(2, None);
    business.head.denylist.add(denied(Target::TokenId("stolen".to_owned())));
    edge.platform().store().insert("head", business.jws(Signer::Publisher).as_bytes());
    business.head.index = Digest([7; 32]);
    edge.platform().store().insert("head", business.jws(Signer::Publisher).as_bytes());
    edge.advance_secs(61);
    assert!(is_revoked(&check(&edge, &stolen)));
    assert_eq!(check(&edge, &named("other", START)).status, 200, "by the previous version");
}

#[test]
fn a_head_without_a_sensible_denylist_is_not_used() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    let mut head: Value = serde_json::to_value(Business::new(2, None).head).unwrap();
    head["denylist"] = json!([{"jti": "a"}]);
    let jws = Signer::Publisher.sign(admit::snapshot::head::HEAD_TYPE, &head);
    edge.platform().store().insert("head", jws.as_bytes());
    edge.advance_secs(61);
    assert_eq!(edge.check(), 200);
}

fn with(seq: u64, as_of: i64, entries: &[&str]) -> Business {
    let mut business = Business::new(seq, FOREVER);
    business.head.as_of = as_of;
    for name in entries {
        business.head.denylist.add(denied(Target::TokenId((*name).to_owned())));
    }
    business
}

/// Puts a lease of another publisher, not of those that these tests publish as.
fn lock(edge: &Edge) {
    let lease = format!(r#"{{"holder":"{}","host":"other:1","until":{}}}"#, "0".repeat(32), START + 500);
    edge.platform().store().insert("lease", lease.as_bytes());
}

fn put(edge: &Edge, business: &Business) -> (u16, String) {
    business.publish_objects(edge.platform());
    let body = business.jws(Signer::Publisher).into_bytes();
    let reply = edge.publish("PUT", "/snapshot/head", "", body);
    let text = String::from_utf8_lossy(reply.body.as_bytes()).into_owned();
    (reply.status, text)
}

#[test]
fn a_head_that_forgets_a_revocation_is_refused_until_it_has_it() {
    let edge = Edge::started();
    with(1, START, &["a"]).publish(edge.platform());
    for forgetful in [with(2, START, &[]), with(1, START + 1, &["b"])] {
        let (status, text) = put(&edge, &forgetful);
        assert!(status == 409 && text.contains("A newer head is published: it revokes what"), "{text}");
    }
    assert_eq!(put(&edge, &with(2, START, &["a", "b"])).0, 201);
    // Entries that have ended may be missing.
    edge.advance_secs(3_600);
    assert_eq!(put(&edge, &with(3, START, &[])).0, 201);
}

#[test]
fn a_revocation_over_a_replaced_head_must_be_made_again() {
    let edge = Edge::started();
    with(2, START - 50, &[]).publish(edge.platform());
    lock(&edge);
    for behind in [with(1, START - 60, &["a"]), with(2, START - 60, &["a"])] {
        let (status, text) = put(&edge, &behind);
        assert!(status == 409 && text.contains("A newer head is published"), "{text}");
    }
    // With other data, or without a revocation, only the holder may publish.
    for other in [with(3, START, &["a"]), with(2, START - 60, &[])] {
        let (status, text) = put(&edge, &other);
        assert!(status == 409 && text.contains("Another publisher holds the lease"), "{text}");
    }
    assert_eq!(put(&edge, &with(2, START - 49, &["a"])).0, 201);
}

#[test]
fn an_older_head_does_not_take_back_the_revocations_of_one_that_cannot_be_loaded_yet() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    let stolen = named("a", START - 10);
    assert_eq!(check(&edge, &stolen).status, 200);
    let mut newer = with(3, START, &["a"]);
    newer.head.index = Digest([7; 32]);
    edge.platform().store().insert("head", newer.jws(Signer::Publisher).as_bytes());
    edge.advance_secs(61);
    assert!(is_revoked(&check(&edge, &stolen)));
    for older in [with(2, START, &[]), with(3, START - 1, &[])] {
        older.publish(edge.platform());
        edge.advance_secs(61);
        assert!(is_revoked(&check(&edge, &stolen)), "seq {}", older.head.seq);
    }
    with(3, START + 1, &[]).publish(edge.platform());
    edge.advance_secs(61);
    assert_eq!(check(&edge, &stolen).status, 200);
}
