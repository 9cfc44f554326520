//! Denials are confirmed: a customer who has just bought is let in, and the confirmation delays no other
//! request.

use admit::{
    api::reply::{Body, Request},
    limits::{ADDRESS_ASKS, BREAKER_FAILURES, CONFIRMS_PER_SEC, CUSTOMER_CONFIRMS},
    ports::Platform as _,
};
use admit_testing::memory::{MemoryBody, OriginFault, block_on, poll_once};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, START, check_request},
    origin::{Pair, UNTIL, access, customer},
};

const FOREVER: Option<i64> = Some(START + 1_000_000);

fn json_of(body: &Body) -> Value {
    serde_json::from_slice(body.as_bytes()).unwrap()
}

#[test]
fn the_first_check_after_a_purchase_is_granted() {
    let pair = Pair::new(&[]);
    assert_eq!((pair.status(1), pair.asked()), (402, 1));
    pair.bought(CUSTOMER, 1);
    let reply = pair.check(CUSTOMER, 1);
    assert_eq!((reply.status, reply.reason.as_ref()), (200, "origin"));
    assert_eq!(reply.header("entitlement-seq"), Some("2"));
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    let mut expected = access(1);
    expected["ip_address"] = "0.0.0.0".into();
    expected["country_code"] = "XX".into();
    assert_eq!(json_of(&reply.body), expected, "the origin's, with this request's address and country");
    let seen = pair.origin().seen().pop().unwrap();
    assert_eq!(seen.url, "https://origin.example/api/items/1/access");
    assert_eq!(seen.header("authorization"), format!("Bearer {}", customer(CUSTOMER)));
    assert_eq!(Some(seen.header("x-request-id")), reply.header("x-request-id"));
}

#[test]
fn a_hundred_buyers_in_a_row_and_not_one_stale_denial() {
    let pair = Pair::new(&[]);
    for buyer in 0..100 {
        let subject = format!("buyer-{buyer}");
        assert_eq!(pair.check(&subject, 1).status, 402, "{subject}");
        // Half of them buy through the edge, half without it.
        if buyer % 2 == 0 {
            assert_eq!(pair.grant(&subject, 1).status, 201);
        } else {
            pair.bought(&subject, 1);
        }
        assert_eq!(pair.check(&subject, 1).status, 200, "{subject}");
        // At one isolate, one after another, at a realistic pace.
        pair.edge.platform().clock().advance_ms(10);
    }
}

#[test]
fn what_the_snapshot_grants_needs_no_origin() {
    let pair = Pair::new(&[]);
    Business::new(2, FOREVER).publish(pair.edge.platform());
    for fault in [OriginFault::Refuses, OriginFault::HangsAfter, OriginFault::Never] {
        pair.origin().break_times(fault, 1_000);
        for _ in 0..20 {
            assert_eq!(pair.status(1), 200);
        }
        pair.origin().mend();
    }
    assert_eq!(pair.origin().seen().len(), 0);
    // Public data that the snapshot has is not asked for either.
    assert_eq!(pair.edge.get("/items/1", "").status, 200);
    assert_eq!(pair.edge.get("/license", &customer(CUSTOMER)).status, 200);
    assert_eq!(pair.edge.get("/items/77", "").status, 404);
    assert_eq!(pair.edge.get("/healthz", "").status, 200);
    assert_eq!(pair.origin().seen().len(), 0);
}

#[test]
fn an_item_that_the_snapshot_does_not_know_is_asked_for() {
    let pair = Pair::new(&[]);
    assert_eq!((pair.status(50), pair.asked()), (402, 1), "the origin knows the item");
    assert_eq!((pair.status(500), pair.asked()), (404, 2), "the origin does not know the item");
    pair.bought(CUSTOMER, 50);
    assert_eq!(pair.status(50), 200);
}

#[test]
fn without_a_snapshot_the_origin_answers_if_it_can() {
    let pair = Pair::without_snapshot(&[]);
    assert_eq!(pair.status(1), 402);
    assert_eq!(pair.status(500), 404);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    let license = pair.edge.get("/license", &customer(CUSTOMER));
    assert_eq!((license.status, json_of(&license.body)), (200, json!({"of": "the origin"})));
    assert_eq!(pair.edge.get("/healthz", "").status, 503);
    pair.edge.advance_secs(60);
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    assert_eq!(pair.status(1), 503, "never an unproven denial");
    assert_eq!(pair.edge.get("/license", &customer(CUSTOMER)).status, 503);
}

#[test]
fn an_origin_that_fails_leaves_the_denial_and_then_is_left_alone() {
    for fault in [
        OriginFault::Refuses,
        OriginFault::BreaksBefore,
        OriginFault::BreaksAfter,
        OriginFault::HangsAfter,
        OriginFault::TooLong,
    ] {
        let pair = Pair::new(&[]);
        pair.bought("other", 2);
        pair.origin().break_times(fault, 1_000);
        let failures = usize::try_from(BREAKER_FAILURES).unwrap();
        for buyer in 0..failures + 20 {
            assert_eq!(pair.check(&format!("buyer-{buyer}"), 1).status, 402, "{fault:?}");
        }
        let sent = pair.origin().seen().len();
        assert!(sent <= 2 * failures, "{fault:?}: {sent}");
        let lines = pair.edge.platform().memory_log().lines();
        assert!(lines.iter().any(|line| line.contains(r#""event":"origin""#)), "{fault:?}");
        // The origin recovers: after the pause one request tries, and then all may.
        pair.origin().mend();
        assert_eq!(pair.check("other", 1).status, 402);
        assert_eq!(pair.origin().seen().len(), sent, "{fault:?}: the circuit is open");
        pair.edge.platform().clock().advance_ms(5_000);
        assert_eq!(pair.check("other", 2).status, 200, "{fault:?}");
        pair.bought(CUSTOMER, 1);
        assert_eq!(pair.status(1), 200, "{fault:?}");
    }
}

#[test]
fn a_connection_that_breaks_once_is_not_noticed() {
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 1);
    pair.origin().break_times(OriginFault::BreaksBefore, 1);
    assert_eq!(pair.status(1), 200);
}

#[test]
fn a_flood_of_denials_does_not_reach_the_origin() {
    let burst = 2 * usize::try_from(CONFIRMS_PER_SEC).unwrap();
    // Many customers.
    let pair = Pair::new(&[]);
    for flood in 0..500 {
        assert_eq!(pair.check(&format!("bot-{flood}"), 1).status, 402);
    }
    assert_eq!(pair.asked(), burst);
    pair.edge.advance_secs(1);
    for flood in 0..500 {
        pair.check(&format!("bot-{flood}"), 2);
    }
    assert_eq!(pair.asked(), burst + usize::try_from(CONFIRMS_PER_SEC).unwrap());
    // One customer who asks for every possible item leaves a part of the budget to others.
    let pair = Pair::new(&[]);
    for item in 1..500 {
        pair.check("bot", item);
    }
    assert_eq!(pair.asked(), usize::try_from(CUSTOMER_CONFIRMS).unwrap());
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    // One customer and one item, as fast as possible: two questions while the answer is remembered, whatever
    // the budget.
    let pair = Pair::new(&[]);
    for _ in 0..500 {
        assert_eq!(pair.status(1), 402);
    }
    assert_eq!(pair.asked(), 2);
    // Requests without a token do not use up the budget of checks.
    let pair = Pair::new(&[]);
    for _ in 0..500 {
        pair.check_with_min_seq("/items/1", 9);
    }
    assert_eq!(pair.asked(), ADDRESS_ASKS as usize);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
}

/// An issuer that is limited to some merchants opens nothing of others, whatever the origin makes of its
/// tokens.
#[test]
fn an_issuer_opens_nothing_of_other_merchants() {
    for (merchants, item_id, status, asked) in [
        // The snapshot knows the item's merchant.
        (json!([8]), 1, 402, 0),
        // Only the origin knows it.
        (json!([8]), 50, 404, 1),
        (json!([7]), 50, 200, 1),
    ] {
        let issuers = json!([{"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
            "merchants": merchants, "keys": {"secret": "SECRET", "alg": "HS256"}}])
        .to_string();
        let pair = Pair::new(&[]);
        pair.bought(CUSTOMER, item_id);
        let edge =
            Edge::restricted(pair.edge.platform().beside(), &issuers, crate::faults::origin::ORIGIN_URL);
        let pair = Pair { edge, truth: pair.truth };
        assert_eq!((pair.status(item_id), pair.asked()), (status, asked), "{merchants} {item_id}");
    }
}

#[test]
fn nothing_is_asked_when_the_budget_is_zero() {
    let pair = Pair::new(&[("CONFIRMS_PER_SEC", "0")]);
    pair.bought(CUSTOMER, 1);
    assert_eq!((pair.status(1), pair.asked()), (402, 0));
}

#[test]
fn many_at_once_ask_twice() {
    let pair = Pair::new(&[]);
    pair.origin().set_latency_ms(50);
    assert_eq!(pair.edge.check_at_once(&customer(CUSTOMER), 10), [402; 10]);
    // Once for the first check, and once more because that question was sent before the others arrived.
    assert_eq!(pair.asked(), 2);
    pair.edge.advance_secs(10);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.edge.check_at_once(&customer(CUSTOMER), 10), [200; 10]);
    assert_eq!(pair.asked(), 3);
}

/// The origin learns of the purchase after one check has asked and before the next one arrives.
#[test]
fn a_purchase_while_another_check_is_being_asked_is_seen() {
    let pair = Pair::new(&[]);
    assert_eq!(pair.status(2), 402, "everything is in memory");
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = check_request(&authorization);
    let mut first = Box::pin(pair.edge.app.handle(&request, MemoryBody::default()));
    // The first check has sent its question; the second one finds it pending and waits.
    assert!(poll_once(&mut first).is_pending());
    let mut second = Box::pin(pair.edge.app.handle(&request, MemoryBody::default()));
    assert!(poll_once(&mut second).is_pending());
    let late = block_on(first);
    assert_eq!(pair.origin().seen().len(), 2, "only the first has asked yet");
    pair.bought(CUSTOMER, 1);
    let second = block_on(second);
    assert_eq!((late.status, second.status), (402, 200));
}

/// The other check gets no answer. Meanwhile a head with the purchase is published.
#[test]
fn a_check_that_waited_in_vain_is_decided_again_by_the_newest_head() {
    let pair = Pair::new(&[]);
    assert_eq!(pair.status(2), 402, "everything is in memory");
    pair.origin().break_times(OriginFault::Never, 1_000);
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = check_request(&authorization);
    let mut lost = Box::pin(pair.edge.app.handle(&request, MemoryBody::default()));
    assert!(poll_once(&mut lost).is_pending());
    let mut second = Box::pin(pair.edge.app.handle(&request, MemoryBody::default()));
    assert!(poll_once(&mut second).is_pending());
    Business::new(2, FOREVER).publish(pair.edge.platform());
    pair.edge.advance_secs(61);
    assert_eq!(block_on(second).status, 200);
}

#[test]
fn a_check_whose_client_went_away_delays_others_only_briefly() {
    let pair = Pair::new(&[]);
    assert_eq!(pair.status(2), 402);
    pair.origin().break_times(OriginFault::Never, 1);
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = check_request(&authorization);
    let mut lost = Box::pin(pair.edge.app.handle(&request, MemoryBody::default()));
    for _ in 0..10 {
        assert!(poll_once(&mut lost).is_pending());
    }
    pair.bought(CUSTOMER, 1);
    let before = pair.edge.platform().now_ms();
    let checks = (0..3).map(|_| pair.edge.app.handle(&request, MemoryBody::default()));
    let statuses: Vec<_> = block_on(join_all(checks)).into_iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200; 3]);
    let waited_ms = pair.edge.platform().now_ms() - before;
    assert!(waited_ms < 10_000, "{waited_ms} ms: the clock of this test counts every waiter's sleep");
}

#[test]
fn a_grant_of_the_origin_is_remembered_but_not_beyond_its_end() {
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 1);
    assert_eq!((pair.status(1), pair.status(1), pair.asked()), (200, 200, 1));
    // Each request gets its own address and country.
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = Request {
        method: "GET",
        path: "/items/1/access",
        authorization: &authorization,
        ip_address: "2001:db8::7",
        country: "SE",
        ..Request::default()
    };
    let body = json_of(&block_on(pair.edge.app.handle(&request, MemoryBody::default())).body);
    assert_eq!((&body["ip_address"], &body["country_code"]), (&"2001:db8::7".into(), &"SE".into()));
    assert_eq!(pair.asked(), 1);
    // The origin becomes unreachable; its answer counts for half a minute.
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    pair.edge.advance_secs(29);
    assert_eq!(pair.status(1), 200);
    pair.edge.advance_secs(1);
    assert_eq!(pair.status(1), 402);
    // An access ends at its end, whatever is remembered.
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 1);
    pair.edge.advance_secs(u64::try_from(UNTIL - START).unwrap() - 5);
    assert_eq!(pair.status(1), 200);
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    pair.edge.advance_secs(4);
    assert_eq!(pair.status(1), 200);
    pair.edge.advance_secs(1);
    assert_eq!(pair.status(1), 402);
}

#[test]
fn a_write_by_the_edge_is_seen_by_the_next_check() {
    let pair = Pair::new(&[]);
    for _ in 0..3 {
        assert_eq!(pair.status(1), 402);
    }
    assert_eq!(pair.asked(), 2, "the third is remembered");
    assert_eq!(pair.grant(CUSTOMER, 1).status, 201);
    assert_eq!(pair.status(1), 200);
    assert_eq!(pair.write("DELETE", "/items/1/access?consumer_id=9", "", &[]).status, 204);
    assert_eq!(pair.status(1), 402);
    // Also after a write whose outcome is unknown.
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    pair.origin().break_times(OriginFault::BreaksAfter, 1);
    assert_eq!(pair.write("DELETE", "/items/1/access?consumer_id=9", "", &[]).status, 502);
    assert_eq!(pair.status(1), 402);
    // A refused write changes nothing.
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    let asked = pair.asked();
    assert_eq!(pair.write("POST", "/v2/items", "x", &[("content-type", "text/plain")]).status, 415);
    assert_eq!((pair.status(1), pair.asked()), (200, asked));
}

/// `docs/adr/0007`: the origin's word adds nothing to the bound. It is remembered for 30 s, while a head may
/// be 60 s old at an edge, and KV takes as long to show a new one.
#[test]
fn a_revocation_reaches_customers_whom_the_origin_let_in() {
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    pair.edge.advance_secs(1);
    pair.revoked();
    pair.edge.advance_secs(28);
    assert_eq!(pair.status(1), 200);
    pair.edge.advance_secs(1);
    assert_eq!(pair.status(1), 402, "30 s after the origin was asked");
    // Published in between: first granted, then revoked by the snapshot.
    let pair = Pair::new(&[]);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    Business::new(2, FOREVER).publish(pair.edge.platform());
    pair.edge.advance_secs(31);
    pair.edge.refresh_behind();
    assert_eq!(pair.status(1), 200);
    pair.revoked();
    Business::new(3, None).publish(pair.edge.platform());
    pair.edge.advance_secs(60);
    assert_eq!(pair.status(1), 402, "60 s after KV shows it, at an isolate that slept");
}
