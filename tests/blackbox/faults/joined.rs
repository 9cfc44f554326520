//! Heads that carry their delta: what edges believe, and what the publish API stores.

use admit::{
    ports::{ObjectStore as _, Platform as _},
    snapshot::{
        delta::encode_delta,
        head_value::HeadValue,
        key::EntryKey,
        limits::{HEAD_MAX_BYTES, HEAD_VALUE_MAX_BYTES},
        object::{Digest, ObjectKind, ObjectName},
        table::{Entry, Table},
    },
};
use admit_testing::memory::{Fault, block_on};
use serde_json::Value;

use crate::faults::edge::{Business, CUSTOMER, Edge, START, Signer};

const FOREVER: Option<i64> = Some(START + 1_000_000);

/// The business of [`FOREVER`] after its customer is gone, which a delta says.
pub fn revoked(seq: u64) -> (Business, Vec<u8>) {
    revoked_of(seq, 1)
}

/// As [`revoked`], with a delta of this many customers.
pub fn revoked_of(seq: u64, customers: usize) -> (Business, Vec<u8>) {
    with_records(seq, customers, &[1; 200])
}

/// As [`revoked`], with further customers who have this record; an empty one says that they are gone.
fn with_records(seq: u64, customers: usize, record: &[u8]) -> (Business, Vec<u8>) {
    let gone = EntryKey::customer("v", CUSTOMER);
    let others = (1..customers).map(|number| EntryKey::customer("v", &format!("other {number}")));
    let mut entries: Vec<_> = others.map(|key| (key, record.to_vec())).collect();
    entries.push((gone, Vec::new()));
    entries.sort_unstable();
    let delta = encode_delta([&entries[..], &[], &[]]).unwrap();
    let mut business = Business::new(1, FOREVER);
    (business.head.seq, business.head.delta) = (seq, Some(Digest::of(&delta)));
    (business, delta)
}

impl Business {
    /// The value of the key `head` that carries this delta.
    pub fn joined(&self, delta: &[u8]) -> Vec<u8> {
        let jws = self.jws(Signer::Publisher);
        HeadValue { jws: jws.as_bytes(), delta: Some(delta) }.join()
    }

    /// The key of the delta that the head names.
    pub fn delta_key(&self) -> String {
        ObjectName { kind: ObjectKind::Delta, digest: self.head.delta.unwrap() }.to_string()
    }
}

fn put(edge: &Edge, value: Vec<u8>) -> u16 {
    edge.publish("PUT", "/snapshot/head", "", value).status
}

fn started() -> Edge {
    let edge = Edge::started();
    let business = Business::new(1, FOREVER);
    business.publish_objects(edge.platform());
    assert_eq!(edge.put_head(&business), 201);
    assert_eq!(edge.check(), 200);
    edge
}

#[test]
fn heads_of_both_forms_follow_each_other() {
    let edge = started();
    let store = edge.platform().store();
    let (business, delta) = revoked(2);
    store.insert("head", &business.joined(&delta));
    edge.advance_secs(60);
    assert_eq!(edge.check(), 402, "the carried delta counts");
    assert!(!store.reads().contains(&business.delta_key()));
    // The delta apart, as earlier releases have it.
    let (apart, delta) = revoked_of(3, 2);
    store.insert(&apart.delta_key(), &delta);
    store.insert("head", apart.jws(Signer::Publisher).as_bytes());
    edge.advance_secs(60);
    assert_eq!(edge.check(), 402);
    assert!(store.reads().contains(&apart.delta_key()));
    // Without a delta.
    Business::new(4, FOREVER).publish(edge.platform());
    edge.advance_secs(60);
    assert_eq!(edge.check(), 200);
    // A renewed head carries the delta of the one before again, and it is not hashed again.
    let (mut business, delta) = revoked(5);
    store.insert("head", &business.joined(&delta));
    edge.advance_secs(60);
    assert_eq!(edge.check(), 402);
    business.head = business.head.renewed(START + 100);
    store.insert("head", &business.joined(&delta));
    edge.advance_secs(60);
    assert_eq!(edge.check(), 402);
    assert_eq!(edge.beside().check(), 402);
}

/// An attacker with write access to the store can put another delta beside a signed head.
#[test]
fn another_delta_than_the_signed_one_is_refused_and_said() {
    let (business, delta) = revoked(2);
    let mut tampered = delta.clone();
    tampered[20] ^= 1;
    let jws = business.jws(Signer::Publisher).into_bytes();
    for (number, beside) in
        [&tampered[..], &delta[..delta.len() - 1], b"", &[&delta[..], b"\n"].concat()].into_iter().enumerate()
    {
        let edge = started();
        let store = edge.platform().store();
        // It is not looked for elsewhere: the value as a whole is not what the publisher wrote.
        store.insert(&business.delta_key(), &delta);
        store.insert("head", &[&jws, b"\n".as_slice(), beside].concat());
        edge.advance_secs(60);
        assert_eq!(edge.check(), 200, "{number}: the version before stays");
        let refused = |line: &String| {
            line.contains(r#""event":"head_refused""#) && line.contains("is not the one that it names")
        };
        assert!(edge.platform().memory_log().lines().iter().any(refused), "{number}");
        assert_eq!(edge.beside().check(), 503, "{number}");
        assert_eq!(put(&edge, store.peek("head").unwrap()), 422, "{number}");
        // Put right again.
        store.insert("head", &business.joined(&delta));
        edge.advance_secs(60);
        edge.check();
        edge.refresh_behind();
        assert_eq!(edge.check(), 402, "{number}");
    }
}

#[test]
fn a_head_that_carries_its_delta_is_stored_as_it_is_by_one_write() {
    let edge = started();
    let store = edge.platform().store();
    let (business, delta) = revoked(2);
    store.forget_operations();
    assert_eq!(put(&edge, business.joined(&delta)), 201);
    assert_eq!(store.writes(), ["head"]);
    assert_eq!(store.peek("head"), Some(business.joined(&delta)));
    assert_eq!(edge.check(), 402, "this isolate at once");
    assert_eq!(
        edge.publish("GET", "/snapshot/head", "", Vec::new()).body.as_bytes(),
        business.joined(&delta)
    );
    // Alone, the same head needs the object.
    assert_eq!(put(&edge, business.jws(Signer::Publisher).into_bytes()), 422);
    store.insert(&business.delta_key(), &delta);
    assert_eq!(put(&edge, business.jws(Signer::Publisher).into_bytes()), 201);
    assert_eq!(store.peek("head"), Some(business.jws(Signer::Publisher).into_bytes()));
}

#[test]
fn a_delta_that_cannot_be_read_is_refused_although_it_is_signed() {
    let edge = started();
    let (mut business, delta) = revoked(2);
    let cut = &delta[..delta.len() - 3];
    business.head.delta = Some(Digest::of(cut));
    let reply = edge.publish("PUT", "/snapshot/head", "", business.joined(cut));
    assert_eq!(reply.status, 422);
    assert!(String::from_utf8_lossy(reply.body.as_bytes()).contains("not stored"), "{reply:?}");
}

#[test]
fn heads_and_values_have_their_limits() {
    let edge = started();
    let (business, delta) = revoked(2);
    let value = business.joined(&delta);
    let filled = |length: usize| [&value[..], &vec![b'x'; length - value.len()]].concat();
    assert_eq!(put(&edge, filled(HEAD_VALUE_MAX_BYTES)), 422);
    assert_eq!(put(&edge, filled(HEAD_VALUE_MAX_BYTES + 1)), 413);
    let jws = vec![b'a'; HEAD_MAX_BYTES + 1];
    assert_eq!(put(&edge, jws.clone()), 413);
    assert_eq!(put(&edge, [&jws[..], b"\n", &delta].concat()), 413);
    // The record of a version carries nothing.
    assert_eq!(edge.publish("PUT", "/snapshot/version/2", "", value).status, 422);
    // A store may hold longer values: no more than the limit and a byte is copied.
    let store = edge.platform().store();
    store.insert("head", &vec![b'x'; 25 << 20]);
    assert_eq!(block_on(store.get("head")).unwrap().unwrap().len(), HEAD_VALUE_MAX_BYTES + 1);
}

#[test]
fn the_starting_value_is_stored_when_index_or_directory_have_changed() {
    let edge = Edge::started();
    let store = edge.platform().store();
    let business = Business::new(1, FOREVER);
    business.publish_objects(edge.platform());
    store.break_times("start", Fault::PutError, 1);
    assert_eq!(edge.put_head(&business), 201, "edges start without it as well");
    assert_eq!(store.peek("start"), None);
    let mut renewed = Business::new(1, FOREVER);
    renewed.head = renewed.head.renewed(START + 1);
    assert_eq!(edge.put_head(&renewed), 201);
    let first = store.peek("start").unwrap();
    store.forget_operations();
    let (changed, delta) = revoked(2);
    assert_eq!(put(&edge, changed.joined(&delta)), 201);
    assert_eq!(store.writes(), ["head"]);
    let whole = Business::new(3, None);
    whole.publish_objects(edge.platform());
    store.forget_operations();
    assert_eq!(edge.put_head(&whole), 201);
    let mut writes = store.writes();
    writes.sort();
    assert_eq!(writes, ["head", "start"]);
    assert_ne!(store.peek("start").unwrap(), first);
    let sent = edge.publish("GET", "/snapshot/start", "", Vec::new());
    assert_eq!((sent.status, sent.body.as_bytes()), (200, &store.peek("start").unwrap()[..]));
    // It follows from the head: no request writes it.
    for method in ["PUT", "DELETE"] {
        assert_eq!(edge.publish(method, "/snapshot/start", "", Vec::new()).status, 405);
    }
    // A head that is refused changes nothing.
    store.forget_operations();
    assert_eq!(edge.put_head(&Business::new(2, FOREVER)), 409);
    assert!(store.writes().is_empty());
}

#[test]
fn versions_are_compared_with_a_delta_that_is_stored_beside_the_head() {
    let edge = started();
    let business = Business::new(1, FOREVER);
    assert_eq!(
        edge.publish("PUT", "/snapshot/version/1", "", business.jws(Signer::Publisher).into_bytes()).status,
        201
    );
    let (changed, delta) = revoked(2);
    assert_eq!(put(&edge, changed.joined(&delta)), 201);
    let reply = edge.publish("GET", "/snapshot/diff?from=1&to=head", "", Vec::new());
    assert_eq!(reply.status, 200, "{reply:?}");
    let diff: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    assert_eq!(diff["customers"]["removed"], 1, "{diff}");
    assert_eq!(diff["page"]["next_token"], "");
    assert!(edge.platform().store().peek(&changed.delta_key()).is_none(), "there are no more pages");
    let report = edge.publish("GET", "/snapshot/report", "", Vec::new());
    assert_eq!(report.status, 200, "{report:?}");
}

/// The pages of a comparison are about the versions that its first page has found (docs/adr/0055), although the next head
/// carries another delta.
#[test]
fn further_pages_of_a_comparison_find_the_delta_of_the_first() {
    let edge = started();
    let store = edge.platform().store();
    let business = Business::new(1, FOREVER);
    let record = business.jws(Signer::Publisher).into_bytes();
    assert_eq!(edge.publish("PUT", "/snapshot/version/1", "", record).status, 201);
    // More changes than a page shows: customers who are new.
    let key = EntryKey::customer("v", CUSTOMER);
    let record = business.objects.iter().find_map(|(name, object)| {
        let table = Table::of_shard(object).ok().filter(|_| name.kind == ObjectKind::Shard)?;
        match table.get(key) {
            Ok(Entry::Record(record)) => Some(record.to_vec()),
            _ => None,
        }
    });
    let (many, delta) = with_records(2, 3_000, &record.unwrap());
    assert_eq!(put(&edge, many.joined(&delta)), 201);
    store.forget_operations();
    // Other isolates, of which the later ones have never seen that delta.
    let mut pages = 0;
    let (mut added, mut removed) = (0, 0);
    let mut query = "from=1&to=head".to_owned();
    loop {
        let isolate = Edge::new(edge.platform().beside());
        let reply = isolate.publish("GET", &format!("/snapshot/diff?{query}"), "", Vec::new());
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        let page: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
        added += page["customers"]["added"].as_u64().unwrap();
        removed += page["customers"]["removed"].as_u64().unwrap();
        pages += 1;
        if pages == 1 {
            assert_eq!(store.writes(), [many.delta_key()]);
            let (next, delta) = revoked(3);
            assert_eq!(put(&edge, next.joined(&delta)), 201);
        }
        let token = page["page"]["next_token"].as_str().unwrap();
        if token.is_empty() {
            break;
        }
        query = format!("from=1&to=head&page_token={token}");
    }
    assert!(pages > 1);
    assert_eq!((added, removed), (2_999, 1));
}
