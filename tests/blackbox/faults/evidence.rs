//! The first check after a grant that this edge has passed on is granted: right after an outage, and in a
//! flood.

use admit::limits::{BREAKER_FAILURES, CONFIRMS_PER_SEC, CUSTOMER_CONFIRMS, GRANTED_ASKS, GRANTED_MS};
use admit_testing::memory::{MemoryBody, OriginFault};
use serde_json::json;

use crate::faults::{
    edge::{CUSTOMER, check_request, token},
    origin::{Pair, access, answer, denial, merchant},
};

const BURST: usize = 2 * CONFIRMS_PER_SEC as usize;

/// Denials of many customers, who each ask for the first time.
fn flood(pair: &Pair, name: &str) {
    for bot in 0..3 * BURST {
        pair.check(&format!("{name}-{bot}"), 1);
    }
}

/// Opens the circuit of confirmations by an outage.
fn outage(pair: &Pair) {
    pair.origin().break_times(OriginFault::Refuses, 2 * BREAKER_FAILURES);
    for viewer in 0..BREAKER_FAILURES {
        assert_eq!(pair.check(&format!("viewer-{viewer}"), 1).status, 402);
    }
    pair.origin().mend();
    let asked = pair.asked();
    assert_eq!((pair.check("another", 1).status, pair.asked()), (402, asked), "the circuit is open");
}

#[test]
fn right_after_an_outage() {
    let pair = Pair::new(&[]);
    outage(&pair);
    assert_eq!(pair.grant(CUSTOMER, 1).status, 201);
    assert_eq!(pair.status(1), 200);
    // That answer has closed the circuit for all.
    pair.bought("another", 1);
    assert_eq!(pair.check("another", 1).status, 200);
}

/// Any success through the edge proves that the origin is back, even a sign-in: one check may try at once.
#[test]
fn every_success_is_evidence_that_the_origin_is_back() {
    for (method, path) in
        [("POST", "/v2/items"), ("DELETE", "/items/2/access?consumer_id=9"), ("POST", "/oauth2/token")]
    {
        let pair = Pair::new(&[]);
        outage(&pair);
        pair.bought(CUSTOMER, 1);
        assert!(pair.write(method, path, "title=x", &[]).status < 300, "{path}");
        assert_eq!(pair.status(1), 200, "{path}");
    }
    // A refusal proves nothing.
    let pair = Pair::new(&[]);
    outage(&pair);
    pair.origin().serve(
        |seen| {
            if seen.method == "GET" { answer(200, &access(1)) } else { denial(422, "No") }
        },
    );
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 422);
    assert_eq!(pair.status(1), 402);
}

/// While writes work and reads do not, the confirmations that customers are owed are bounded.
#[test]
fn an_origin_that_only_writes_is_not_asked_without_end() {
    let pair = Pair::new(&[]);
    assert_eq!(pair.grant(CUSTOMER, 1).status, 201);
    pair.origin().forget_requests();
    pair.origin().serve(|_| denial(500, "Oops"));
    for _ in 0..1_000 {
        assert_eq!(pair.status(1), 402);
    }
    let failures = usize::try_from(BREAKER_FAILURES).unwrap();
    assert_eq!(pair.asked(), failures + usize::from(GRANTED_ASKS) + 2 * BURST / 10);
}

#[test]
fn in_the_middle_of_a_flood() {
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "item_id=1&consumer_id=alice"),
        ("application/json", r#"{"item_id":1,"consumer_id":"alice"}"#),
    ] {
        let pair = Pair::new(&[]);
        assert_eq!(pair.status(1), 402);
        flood(&pair, "bot");
        assert_eq!(pair.asked(), BURST);
        pair.origin().serve(|seen| match (seen.method.as_str(), seen.url.contains("/items/1/")) {
            ("GET", true) => answer(200, &access(1)),
            ("GET", false) => denial(402, "No access"),
            _ => answer(201, &json!({"id": 44})),
        });
        let reply = pair.write("POST", "/items/access", body, &[("content-type", content_type)]);
        assert_eq!(reply.status, 201);
        // A page that checks some other items first.
        for item in 2..10 {
            pair.status(item);
        }
        assert_eq!(pair.status(1), 200, "{content_type}");
    }
}

/// The grant's customer is recognised by every name that the token or the snapshot has.
#[test]
fn by_every_name_of_the_customer() {
    // In the snapshot, the customer has the id 9 and this UUID.
    let uuid = "11A7ED90-65d3-4ee2-9d91-4e1409678576";
    for (claims, consumer_id) in [
        (json!({"sub": "bob"}), "bob"),
        (json!({"sub": "bob", "aid": 88_005}), "88005"),
        (json!({"sub": "bob", "aid": 88_005, "mid": 7}), "%388005"),
        (json!({"sub": CUSTOMER}), "9"),
        (json!({"sub": CUSTOMER}), uuid),
    ] {
        let pair = Pair::new(&[]);
        let subject = claims["sub"].as_str().unwrap().to_owned();
        let check = || pair.edge.get("/items/1/access", &token(&claims)).status;
        assert_eq!(check(), 402);
        while pair.asked() < BURST {
            flood(&pair, "bot");
        }
        // The customer's own budget is used up, and so is the one that the merchant's customers share.
        assert_eq!(pair.grant("another", 2).status, 201);
        flood(&pair, "late");
        assert_eq!(pair.grant(consumer_id, 1).status, 201);
        flood(&pair, "later");
        pair.bought(&subject, 1);
        assert_eq!(check(), 200, "{consumer_id}");
    }
}

/// If the edge cannot match the grant's customer, the customers of the merchant share a reserve. Customers
/// who have had an answer since leave it to others.
#[test]
fn where_the_customer_cannot_be_matched() {
    let pair = Pair::new(&[]);
    flood(&pair, "bot");
    assert_eq!(pair.asked(), BURST);
    // A body that is passed on as it arrives is not read.
    let long = format!("item_id=1&consumer_id=alice&note={}", "x".repeat(20_000));
    assert_eq!(pair.write("POST", "/items/access", &long, &[]).status, 201);
    pair.edge.platform().clock().advance_ms(1);
    let asked = pair.asked();
    for _ in 0..10 {
        // The first was denied before the grant, and is asked about again.
        assert_eq!(pair.check("bot-1", 1).status, 402);
    }
    assert_eq!(pair.asked(), asked + 1);
    assert_eq!(pair.status(1), 200);
    // Customers of another merchant have no share.
    let asked = pair.asked();
    let other = token(&json!({"sub": "other", "mid": 8}));
    assert_eq!((pair.edge.get("/items/1/access", &other).status, pair.asked()), (402, asked));
}

/// Also a write whose outcome is unknown, and one that opens items instead of granting them.
#[test]
fn writes_that_may_have_opened_something() {
    let pair = Pair::new(&[]);
    flood(&pair, "bot");
    pair.origin().break_times(OriginFault::BreaksAfter, 1);
    assert_eq!(pair.grant(CUSTOMER, 1).status, 502);
    assert_eq!(pair.status(1), 200);
    let pair = Pair::new(&[]);
    flood(&pair, "bot");
    assert_eq!(pair.write("PATCH", "/v2/items/packages/1/bulk", "add_asset_ids[]=2", &[]).status, 201);
    pair.bought(CUSTOMER, 1);
    assert_eq!(pair.status(1), 200);
    // A revocation opens nothing, and neither does a refused write.
    for (method, target, body, status) in [
        ("DELETE", "/items/1/access?consumer_id=alice", "", 204),
        ("POST", "/items/access", "consumer_id=alice", 422),
    ] {
        let pair = Pair::new(&[]);
        flood(&pair, "bot");
        pair.origin().serve(move |seen| match seen.method.as_str() {
            "DELETE" => admit::ports::UpstreamAnswer { status: 204, ..Default::default() },
            "POST" => denial(422, "No"),
            _ => answer(200, &access(1)),
        });
        assert_eq!(pair.write(method, target, body, &[]).status, status);
        assert_eq!(pair.status(1), 402, "{method}");
    }
}

#[test]
fn a_grant_is_owed_a_confirmation_for_a_limited_time() {
    let pair = Pair::new(&[]);
    assert_eq!(pair.grant(CUSTOMER, 1).status, 201);
    pair.edge.platform().clock().advance_ms(GRANTED_MS);
    outage(&pair);
    assert_eq!(pair.status(1), 402, "the publisher has had its time");
}

/// Customers who ask again and again leave the last quarter of the budget to others.
#[test]
fn those_who_ask_again_and_again_are_shed_first() {
    let pair = Pair::new(&[]);
    let loops: usize = (0..BURST)
        .map(|round| pair.check(&format!("loop-{}", round % 4), i64::try_from(round).unwrap() + 1).status)
        .filter(|status| matches!(status, 402 | 404))
        .count();
    assert_eq!(loops, BURST);
    let asked = pair.asked();
    assert!(asked <= BURST - BURST / 4 + 4, "{asked}");
    for newcomer in 0..BURST / 4 - 4 {
        let name = format!("newcomer-{newcomer}");
        pair.bought(&name, 1);
        assert_eq!(pair.check(&name, 1).status, 200, "{name}");
    }
    assert!(usize::try_from(CUSTOMER_CONFIRMS).unwrap() > BURST / 4);
}

/// A page that has used up its customer's budget, and then buys.
#[test]
fn a_customer_who_has_asked_too_much() {
    let pair = Pair::new(&[]);
    for item in 1..=i64::from(CUSTOMER_CONFIRMS) + 50 {
        pair.status(item);
    }
    let asked = pair.asked();
    assert_eq!((pair.status(1), pair.asked()), (402, asked));
    assert_eq!(pair.grant(CUSTOMER, 1).status, 201);
    assert_eq!(pair.status(1), 200);
}

/// A check that began before the grant, and hangs, does not stop others from asking after the grant.
#[test]
fn a_question_from_before_the_grant_is_not_waited_for() {
    use admit::ports::Platform as _;
    use admit_testing::memory::{block_on, poll_once};
    let pair = Pair::new(&[]);
    assert_eq!(pair.status(2), 402, "everything is in memory");
    pair.origin().break_times(OriginFault::Never, 1);
    let authorization = format!("Bearer {}", crate::faults::origin::customer(CUSTOMER));
    let request = check_request(&authorization);
    let mut lost = Box::pin(pair.edge.app.handle(&request, MemoryBody::default()));
    assert!(poll_once(&mut lost).is_pending());
    let body = b"item_id=1&consumer_id=alice".to_vec();
    let passed = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    assert_eq!(pair.write_as(&merchant(), "POST", "/items/access", body.into(), &passed).status, 201);
    let before = pair.edge.platform().now_ms();
    assert_eq!(block_on(pair.edge.app.handle(&request, MemoryBody::default())).status, 200);
    assert_eq!(pair.edge.platform().now_ms(), before, "it has not waited");
}
