//! Clients without a token, or with another one, cannot harm others.

use admit::{
    api::reply::{Reply, Request},
    limits::{BREAKER_FAILURES, BREAKER_PARTIES, PAUSE_PARTIES},
    ports::UpstreamAnswer,
};
use admit_testing::memory::{MemoryBody, OriginFault, block_on};
use serde_json::json;

use crate::faults::{
    edge::{CUSTOMER, Edge, token},
    origin::{ORIGIN_URL, Pair, answer},
};

fn sign_in(pair: &Pair, headers: &[(&'static str, &str)]) -> Reply {
    pair.write("POST", "/oauth2/token", "grant_type=refresh_token&refresh_token=r", headers)
}

/// A firewall before the origin refuses whatever looks like an attack, and any client can provoke that.
#[test]
fn a_firewall_that_refuses_some_is_no_failure_of_the_origin() {
    let pair = Pair::new(&[]);
    let granted = |seen: &admit_testing::memory::SeenRequest| {
        let path = seen.url.strip_prefix(ORIGIN_URL).unwrap();
        if path.contains("access-fees") || seen.body.starts_with(b"title=<script>") {
            let headers = vec![("content-type", "text/html".to_owned())];
            return UpstreamAnswer { status: 403, headers, body: b"<html>".to_vec() };
        }
        let body = if seen.method == "GET" { crate::faults::origin::access(1) } else { json!({}) };
        answer(if seen.method == "GET" { 200 } else { 201 }, &body)
    };
    pair.origin().serve(granted);
    for _ in 0..3 * BREAKER_FAILURES {
        assert_eq!(pair.write("POST", "/v2/items", "title=<script>", &[]).status, 403);
        assert_eq!(pair.check_with_min_seq("/items/1/access-fees", 9).status, 200, "the snapshot's");
    }
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 201);
    assert_eq!(pair.status(1), 200);
}

/// A flood of sign-ins slows down sign-in only: merchants go on writing, and buyers are let in.
#[test]
fn what_needs_no_token_has_a_circuit_of_its_own() {
    let pair = Pair::new(&[]);
    pair.origin().break_times(OriginFault::HangsAfter, BREAKER_FAILURES);
    for _ in 0..BREAKER_FAILURES {
        assert_eq!(sign_in(&pair, &[]).status, 504);
    }
    assert_eq!(sign_in(&pair, &[]).status, 503);
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 201);
    let pair = Pair::new(&[]);
    pair.origin().break_times(OriginFault::TooLong, 3 * BREAKER_FAILURES);
    for _ in 0..3 * BREAKER_FAILURES {
        assert_eq!(pair.check_with_min_seq("/items/1", 9).status, 200);
    }
    pair.origin().mend();
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
}

/// A refresh token or code that arrives twice counts as stolen, and its session would end.
#[test]
fn a_sign_in_is_not_repeated_whatever_its_key() {
    for (fault, seen) in [(OriginFault::BreaksBefore, 0), (OriginFault::BreaksAfter, 1)] {
        let pair = Pair::new(&[]);
        pair.origin().break_times(fault, 1);
        assert_eq!(sign_in(&pair, &[("idempotency-key", "k")]).status, 502);
        assert_eq!(pair.origin().seen().len(), seen, "{fault:?}");
    }
}

/// The same customer with another issuer that is trusted for another merchant, or with another client that
/// has other licences: the origin's answer for one says nothing about the other.
#[test]
fn what_is_remembered_of_one_token_answers_no_other_kind() {
    let issuers = json!([
        {"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
         "keys": {"secret": "SECRET", "alg": "HS256"}},
        {"issuer": "https://w.example", "namespace": "v", "audience": "none_required", "merchants": [8],
         "keys": {"secret": "SECRET", "alg": "HS256"}},
    ])
    .to_string();
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 50);
    let edge = Edge::restricted(pair.edge.platform().beside(), &issuers, ORIGIN_URL);
    let pair = Pair { edge, truth: pair.truth };
    let check = |claims: serde_json::Value| pair.edge.get("/items/50/access", &token(&claims)).status;
    let own = json!({"sub": CUSTOMER, "client_id": "tv"});
    assert_eq!((check(own.clone()), check(own)), (200, 200));
    assert_eq!(pair.asked(), 1, "remembered");
    assert_eq!(check(json!({"sub": CUSTOMER, "client_id": "tv", "iss": "https://w.example"})), 404);
    assert_eq!(check(json!({"sub": CUSTOMER, "client_id": "test"})), 200);
    assert_eq!(pair.asked(), 3, "each was asked for itself");
}

/// A runtime refuses to send them, which is not a failure of the origin either.
#[test]
fn headers_that_are_no_ascii_stay_here() {
    let pair = Pair::new(&[]);
    let headers = [("user-agent", "プレーヤー"), ("accept-language", "sv")];
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &headers).status, 201);
    let seen = pair.origin().seen().pop().unwrap();
    assert_eq!((seen.header("user-agent"), seen.header("accept-language")), ("", "sv"));
    let reply = pair.write("POST", "/v2/items", "title=x", &[("idempotency-key", "ключ")]);
    assert_eq!((reply.status, pair.origin().done().len()), (422, 1), "not without its key");
}

/// A remembered answer must not depend on the query, so no query is passed on.
#[test]
fn the_origin_sees_no_query_of_a_check() {
    let pair = Pair::new(&[]);
    let reply = pair.edge.get("/items/1/access?entry_id=<script>", &crate::faults::origin::customer("x"));
    assert_eq!(reply.status, 402);
    assert_eq!(pair.origin().seen().pop().unwrap().url, format!("{ORIGIN_URL}/items/1/access"));
}

/// A /48 of IPv6 has 65,536 networks and is easy to rent: all of it counts as one witness.
#[test]
fn networks_of_one_customer_are_one_witness() {
    let form = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    let sign_in = |pair: &Pair, ip_address: &str, body: &str| {
        let (method, path) = ("POST", "/oauth2/token");
        let request = Request { method, path, ip_address, passed: &form, ..Request::default() };
        block_on(pair.edge.app.handle(&request, MemoryBody::from(body.as_bytes().to_vec()))).status
    };
    for (networks, status) in [("2001:db8:1:%::7", 200), ("2001:db8:%:1::7", 503)] {
        let pair = Pair::new(&[]);
        pair.origin().serve(|seen| {
            let is_guess = seen.body.ends_with(b"guess");
            answer(if is_guess { 502 } else { 200 }, &json!({"access_token": "t"}))
        });
        for round in 0..10 * BREAKER_PARTIES {
            let address = networks.replace('%', &(round % BREAKER_PARTIES).to_string());
            let status = sign_in(&pair, &address, "grant_type=password&username=u&password=guess");
            assert!(matches!(status, 502 | 503), "{address}: {status}");
        }
        let right = "grant_type=password&username=v&password=right";
        assert_eq!(sign_in(&pair, "203.0.113.1", right), status, "{networks}");
        // Failures of one household do not affect its neighbours.
        assert_eq!(sign_in(&pair, "2001:db8:1:99::7", right), status, "{networks}");
    }
    let read = |pair: &Pair, ip_address: &str| {
        let (method, path) = ("GET", "/items/1/access-fees");
        let request = Request { method, path, ip_address, min_seq: 99, ..Request::default() };
        block_on(pair.edge.app.handle(&request, MemoryBody::default()));
        pair.asked()
    };
    for (networks, asked_more) in [("2001:db8:1:%::7", 1), ("2001:db8:%:1::7", 0)] {
        let pair = Pair::new(&[]);
        pair.origin().serve(|_| {
            let mut told = answer(429, &json!({"code": 429, "message": "m", "errors": {"a": "m"}}));
            told.headers.push(("retry-after", "30".to_owned()));
            told
        });
        for network in 0..PAUSE_PARTIES {
            read(&pair, &networks.replace('%', &network.to_string()));
        }
        assert_eq!(pair.asked(), PAUSE_PARTIES);
        assert_eq!(read(&pair, "203.0.113.1"), PAUSE_PARTIES + asked_more, "{networks}");
    }
}
