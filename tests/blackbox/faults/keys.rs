//! Issuers that are down or slow to add keys, and stored keys that were modified.

use admit::{api::reply::Request, app::Answered, limits::JWKS_FETCHES_AT_ONCE, ports::Platform as _};
use admit_testing::memory::{MemoryBody, block_on, poll_once};

use crate::faults::edge::{Business, Edge, JWKS_URL, START, Signer, fetched_viewer};

fn edge() -> Edge {
    let edge = Edge::started();
    Business::new(1, Some(START + 1_000_000)).publish(edge.platform());
    edge
}

fn check(edge: &Edge) -> u16 {
    edge.get("/items/1/access", &fetched_viewer()).status
}

fn stored_key(edge: &Edge) -> String {
    edge.platform().store().keys().into_iter().find(|key| key.starts_with("jwks/")).unwrap()
}

#[test]
fn an_issuer_that_is_down_is_unavailable_and_logs_nobody_out() {
    let edge = edge();
    edge.platform().keys().fail(JWKS_URL, "status 500");
    let reply = edge.get("/items/1/access", &fetched_viewer());
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").is_some());
    for _ in 0..10 {
        assert_eq!(check(&edge), 503);
    }
    assert_eq!(edge.platform().keys().fetches().len(), 1);
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    edge.advance_secs(10);
    assert_eq!(check(&edge), 200);
}

/// A new isolate's first check needs both, and waits for both at the same time.
#[test]
fn keys_and_head_are_read_at_once() {
    let edge = edge();
    let store = edge.platform().store();
    let reads = |kind: &str| store.reads().iter().filter(|key| key.starts_with(kind)).count();
    let authorization = format!("Bearer {}", fetched_viewer());
    let request = Request { method: "GET", authorization: &authorization, ..Request::default() };
    // Requests other than checks do not need the head.
    edge.platform().keys().fail(JWKS_URL, "status 500");
    assert_eq!(edge.get("/snapshot/head", &fetched_viewer()).status, 503);
    assert_eq!(["jwks/", "head"].map(reads), [1, 0]);
    edge.advance_secs(10);
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let check = Request { path: "/items/1/access", ..request };
    let mut check = Box::pin(edge.app.handle(&check, MemoryBody::default()));
    assert!(poll_once(&mut check).is_pending());
    assert_eq!(["jwks/", "head"].map(reads), [2, 1]);
    assert_eq!(block_on(check).status, 200);
    assert_eq!(["jwks/", "head", "index/", "directory/", "shard/"].map(reads), [2, 1, 1, 1, 2]);
}

#[test]
fn the_last_good_keys_serve_while_the_issuer_is_down() {
    let edge = edge();
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    assert_eq!(check(&edge), 200);
    edge.platform().keys().fail(JWKS_URL, "status 500");
    edge.advance_secs(50_000);
    assert_eq!(check(&edge), 200);
    // Old keys are refreshed in the background.
    while edge.refresh_behind() {}
    assert_eq!(edge.platform().keys().fetches().len(), 2);
    assert_eq!(check(&edge), 200);
}

#[test]
fn another_isolate_takes_the_stored_keys() {
    let first = edge();
    first.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    assert_eq!(check(&first), 200);
    first.platform().keys().fail(JWKS_URL, "status 500");
    assert_eq!(check(&first.beside()), 200);
    assert_eq!(first.platform().keys().fetches().len(), 1);
    // Even old ones, while no better ones can be fetched.
    first.advance_secs(50_000);
    assert_eq!(check(&first.beside()), 200);
    assert_eq!(first.platform().keys().fetches().len(), 2);
}

#[test]
fn modified_stored_keys_are_not_used() {
    let first = edge();
    first.platform().keys().serve(JWKS_URL, Signer::Stranger.jwks().as_bytes());
    // The stranger's document is fetched and refuses the token; its copy in the store is sealed.
    assert_eq!(check(&first), 401);
    let key = stored_key(&first);
    let sealed = first.platform().store().peek(&key).unwrap();
    let forged = [&sealed[..40], Signer::Publisher.jwks().as_bytes()].concat();
    first.platform().store().insert(&key, &forged);
    first.platform().keys().fail(JWKS_URL, "status 500");
    assert_eq!(check(&first.beside()), 503);
}

#[test]
fn a_new_key_of_the_issuer_is_found_after_the_cooldown() {
    let edge = edge();
    let other_kid = Signer::Publisher.jwks().replace(r#""kid":"k""#, r#""kid":"old""#);
    edge.platform().keys().serve(JWKS_URL, other_kid.as_bytes());
    assert_eq!(check(&edge), 401);
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    assert_eq!(check(&edge), 503);
    edge.advance_secs(30);
    assert_eq!(check(&edge), 200);
}

/// An unsigned token causes a fetch, just before the issuer publishes a key.
#[test]
fn a_fetch_that_a_stranger_caused_logs_nobody_out() {
    let edge = edge();
    let old = Signer::Publisher.jwks().replace(r#""kid":"k""#, r#""kid":"old""#);
    edge.platform().keys().serve(JWKS_URL, old.as_bytes());
    let unsigned = fetched_viewer().rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    assert_eq!(edge.get("/items/1/access", &unsigned).status, 401, "the fetch began after the token arrived");
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    for _ in 0..3 {
        edge.advance_secs(9);
        assert_eq!(edge.get("/items/1/access", &unsigned).status, 503);
        let reply = edge.get("/items/1/access", &fetched_viewer());
        assert_eq!((reply.status, reply.reason.as_ref()), (503, "key_pending"));
        let retry_after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=21).contains(&retry_after), "{retry_after}");
    }
    edge.advance_secs(3);
    assert_eq!(check(&edge), 200);
    assert_eq!(edge.platform().keys().fetches().len(), 2);
}

/// The statuses of checks in the largest number that may fetch keys at once. Each has asked before any has fetched.
fn at_once(edge: &Edge) -> Vec<u16> {
    let authorization = fetched_viewer();
    let request = Request {
        method: "GET",
        path: "/items/1/access",
        authorization: &authorization,
        ..Request::default()
    };
    let answers: Vec<_> = (0..JWKS_FETCHES_AT_ONCE).map(|_| edge.app.answer(&request)).collect();
    assert!(answers.iter().all(|answered| matches!(answered, Answered::Later(_))));
    let resume = |answered| match answered {
        Answered::Now(reply) => reply.status,
        Answered::Later(pending) => {
            block_on(edge.app.resume(&request, pending, MemoryBody::default())).status
        }
    };
    answers.into_iter().map(resume).collect()
}

#[test]
fn each_request_counts_once_among_those_that_fetch_keys() {
    let edge = edge();
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    assert_eq!(at_once(&edge), vec![200; usize::from(JWKS_FETCHES_AT_ONCE)]);
}

/// A caller that asks and goes away has reserved a fetch. Without it being given back, others would wait for 10 s.
#[test]
fn an_answer_that_is_dropped_keeps_no_other_request_waiting() {
    let edge = edge();
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let authorization = format!("Bearer {}", fetched_viewer());
    let path = "/items/1/access";
    let request = Request { method: "GET", path, authorization: &authorization, ..Request::default() };
    for _ in 0..3 * JWKS_FETCHES_AT_ONCE {
        assert!(matches!(edge.app.answer(&request), Answered::Later(_)));
    }
    let before_ms = edge.platform().now_ms();
    assert_eq!(check(&edge), 200);
    assert_eq!((edge.platform().now_ms(), edge.platform().keys().fetches().len()), (before_ms, 1));
}

#[test]
fn stored_keys_that_lack_a_new_one_do_not_stand_in_for_a_fetch() {
    let first = edge();
    let other_kid = Signer::Publisher.jwks().replace(r#""kid":"k""#, r#""kid":"old""#);
    first.platform().keys().serve(JWKS_URL, other_kid.as_bytes());
    assert_eq!(check(&first), 401);
    first.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    // A new isolate gets several requests, which all find the stored keys first.
    assert_eq!(at_once(&first.beside()), vec![200; usize::from(JWKS_FETCHES_AT_ONCE)]);
}

#[test]
fn a_hundred_requests_at_a_new_isolate_wait_for_the_few_that_fetch_keys() {
    let edge = edge();
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    assert_eq!(edge.check_at_once(&fetched_viewer(), 100), [200; 100]);
    assert_eq!(edge.platform().keys().fetches().len(), usize::from(JWKS_FETCHES_AT_ONCE));
}

#[test]
fn a_hundred_requests_at_an_issuer_that_is_down_are_all_told_to_come_again() {
    let edge = edge();
    edge.platform().keys().fail(JWKS_URL, "status 500");
    assert_eq!(edge.check_at_once(&fetched_viewer(), 100), [503; 100]);
    assert_eq!(edge.platform().keys().fetches().len(), usize::from(JWKS_FETCHES_AT_ONCE));
}
