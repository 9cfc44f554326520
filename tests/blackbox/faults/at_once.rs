//! One question to the origin confirms an answer about many items, where the origin answers such questions. An origin that
//! does not, or answers oddly, gets single ones; nothing but its own clear word grants.

mod unusable;

use std::rc::Rc;

use admit::{
    api::reply::{Reply, Request},
    limits::{CHECKS_MAX_CONFIRMS, CHECKS_MAX_ITEMS, CONFIRM_ITEMS, CUSTOMER_CONFIRMS, EVALUATIONS_AGAIN_MS},
    ports::UpstreamAnswer,
};
use admit_testing::memory::{MemoryBody, OriginFault, SeenRequest, block_on, poll_once};
use serde_json::{Value, json};

use crate::faults::{
    edge::CUSTOMER,
    many::{access, ask, bought_nothing, business, entries, granted, not_granted, target},
    origin::{ORIGIN_URL, Pair, Truth, UNTIL, answer, customer, denial, item_ids},
};

const EVALUATIONS: &str = "/access/v1/evaluations";

/// An edge whose customer has bought nothing, and an origin that answers questions about several items.
fn pair(variables: &[(&str, &str)]) -> Pair {
    let pair = bought_nothing(variables);
    pair.truth.borrow_mut().has_evaluations = true;
    pair
}

/// The questions about several items that the origin got, and the items of each.
fn at_once(pair: &Pair) -> Vec<Vec<i64>> {
    let seen = pair.origin().seen();
    seen.iter().filter(|seen| seen.url.ends_with(EVALUATIONS)).map(item_ids).collect()
}

/// How many single questions the origin got.
fn single(pair: &Pair) -> usize {
    pair.asked()
}

/// Answers questions about several items with `entries` of the right ones, and single ones rightly.
fn serve(pair: &Pair, entries: impl Fn(Vec<Value>) -> Value + 'static) {
    let truth = Rc::clone(&pair.truth);
    pair.origin().serve(move |seen| {
        let answered = truth.borrow_mut().answer(seen);
        if !seen.url.ends_with(EVALUATIONS) {
            return answered;
        }
        let body: Value = serde_json::from_slice(&answered.body).unwrap();
        answer(200, &json!({"evaluations": entries(body["evaluations"].as_array().unwrap().clone())}))
    });
}

/// Answers questions about several items as `respond` does, and single ones rightly.
fn respond(pair: &Pair, respond: impl Fn(&SeenRequest) -> UpstreamAnswer + 'static) {
    let truth = Rc::clone(&pair.truth);
    pair.origin().serve(move |seen| {
        if seen.url.ends_with(EVALUATIONS) {
            respond(seen)
        } else {
            Truth::answer(&mut truth.borrow_mut(), seen)
        }
    });
}

fn as_customer(pair: &Pair, subject: &str, ids: &[i64]) -> Reply {
    pair.edge.get(&target(ids), &customer(subject))
}

#[test]
fn one_question_confirms_them_all() {
    let pair = pair(&[]);
    for id in [14, 40, 45] {
        pair.bought(CUSTOMER, id);
    }
    let ids: Vec<i64> = (9..=50).chain([150, 151]).collect();
    let reply = ask(&pair.edge, &ids);
    // 9 is free; 10 is inactive and 11 another merchant's, which no purchase changes.
    let asked: Vec<i64> = (12..=50).chain([150, 151]).collect();
    assert_eq!((at_once(&pair), single(&pair)), (vec![asked], 0));
    let found = entries(&reply);
    for (id, entry) in ids.iter().zip(&found) {
        match id {
            9 => assert_eq!(entry["access"], true),
            14 | 40 | 45 => assert_eq!(entry, &granted(*id, UNTIL)),
            10 | 150 | 151 => assert_eq!(entry, &not_granted(*id, 404)),
            id => assert_eq!(entry, &not_granted(*id, 402)),
        }
    }
    assert!(!reply.detail.contains("not confirmed"), "{}", reply.detail);
    assert_eq!(reply.header("entitlement-seq"), None, "the snapshot has answered some");
    let seen = &pair.origin().seen()[0];
    assert_eq!((seen.method.as_str(), &seen.url), ("POST", &[ORIGIN_URL, EVALUATIONS].concat()));
    assert_eq!(seen.header("authorization"), format!("Bearer {}", customer(CUSTOMER)));
    assert_eq!(
        (seen.header("content-type"), seen.header("accept")),
        ("application/json", "application/json")
    );
    assert_eq!(Some(seen.header("x-request-id")), reply.header("x-request-id"));
}

#[test]
fn as_many_as_one_answer_may_be_about() {
    let pair = bought_nothing(&[]);
    pair.truth.borrow_mut().has_evaluations = true;
    business(2, 300, &[CUSTOMER], &[]).publish(pair.edge.platform());
    pair.bought(CUSTOMER, 250);
    let ids: Vec<i64> = (51..=250).collect();
    assert_eq!(ids.len(), CHECKS_MAX_ITEMS);
    assert_eq!(entries(&ask(&pair.edge, &ids))[199], granted(250, UNTIL));
    assert_eq!((at_once(&pair), single(&pair)), (vec![ids], 0));
}

/// An answer that the origin has given as a whole reflects its changes.
#[test]
fn the_origin_says_how_new_its_answer_is() {
    let pair = pair(&[]);
    let reply = ask(&pair.edge, &[13, 14]);
    assert_eq!(reply.header("entitlement-seq"), Some("1"));
    business(2, 50, &[CUSTOMER], &[access(1, None, None), access(2, None, None)])
        .publish(pair.edge.platform());
    pair.edge.advance_secs(61);
    // The origin has revoked both since, and sold another one: a client that insists is confirmed for granted items as
    // well.
    pair.bought(CUSTOMER, 3);
    pair.truth.borrow_mut().seq = 3;
    pair.origin().forget_requests();
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let query = "items=1,2,3,4";
    let request = Request {
        method: "GET",
        path: "/access",
        query,
        authorization: &authorization,
        min_seq: 3,
        ..Request::default()
    };
    let reply = block_on(pair.edge.app.handle(&request, MemoryBody::default()));
    let expected = [not_granted(1, 402), not_granted(2, 402), granted(3, UNTIL), not_granted(4, 402)];
    assert_eq!((entries(&reply), reply.header("entitlement-seq")), (expected.to_vec(), Some("3")));
    // Denials and grants are different traffic.
    assert_eq!((at_once(&pair), single(&pair)), (vec![vec![3, 4], vec![1, 2]], 0));
}

#[test]
fn a_single_item_is_asked_by_a_check() {
    let pair = pair(&[]);
    pair.bought(CUSTOMER, 13);
    assert_eq!(entries(&ask(&pair.edge, &[9, 13]))[1], granted(13, UNTIL));
    assert_eq!((at_once(&pair).len(), single(&pair)), (0, 1));
}

#[test]
fn both_kinds_of_questions_share_one_memory() {
    let pair = pair(&[]);
    pair.bought(CUSTOMER, 13);
    let ids: Vec<i64> = (13..=22).collect();
    ask(&pair.edge, &ids);
    ask(&pair.edge, &ids);
    // A grant is remembered at once, and a denial after the second time.
    assert_eq!(at_once(&pair), [ids.clone(), ids[1..].to_vec()]);
    let reply = ask(&pair.edge, &ids);
    assert_eq!((at_once(&pair).len(), entries(&reply)[0].clone()), (2, granted(13, UNTIL)));
    assert_eq!((pair.status(14), single(&pair)), (402, 0));
    // A check shows the item, which the answer about many has not brought.
    assert_eq!((pair.status(13), single(&pair)), (200, 1));
    assert_eq!((pair.status(13), single(&pair)), (200, 1));
    assert_eq!(entries(&ask(&pair.edge, &ids))[0], granted(13, UNTIL));
    // Not longer than its end, and not after a write.
    pair.edge.advance_secs(31);
    pair.revoked();
    assert_eq!(entries(&ask(&pair.edge, &ids))[0], not_granted(13, 402));
    assert_eq!(pair.grant("bob", 1).status, 201);
    pair.bought(CUSTOMER, 14);
    assert_eq!(entries(&ask(&pair.edge, &ids))[1], granted(14, UNTIL));
}

/// Two screens of one viewer at the same moment.
#[test]
fn what_another_request_asks_is_waited_for() {
    let pair = pair(&[]);
    ask(&pair.edge, &[9]);
    pair.bought(CUSTOMER, 20);
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = |query| Request {
        method: "GET",
        path: "/access",
        query,
        authorization: &authorization,
        ..Request::default()
    };
    let (one, other, check) = (
        request("items=20,21,22,23"),
        request("items=22,23,24,25"),
        Request {
            method: "GET",
            path: "/items/21/access",
            authorization: &authorization,
            ..Request::default()
        },
    );
    let mut one = Box::pin(pair.edge.app.handle(&one, MemoryBody::default()));
    assert!(poll_once(&mut one).is_pending());
    let mut other = Box::pin(pair.edge.app.handle(&other, MemoryBody::default()));
    let mut check = Box::pin(pair.edge.app.handle(&check, MemoryBody::default()));
    assert!(poll_once(&mut other).is_pending() && poll_once(&mut check).is_pending());
    assert_eq!(entries(&block_on(one))[0], granted(20, UNTIL));
    let other = entries(&block_on(other));
    assert_eq!(other, [22, 23, 24, 25].map(|id| not_granted(id, 402)));
    assert_eq!(block_on(check).status, 402);
    // 22 and 23 are asked again: a purchase may lie between the two questions.
    let mut asked = at_once(&pair);
    asked.sort();
    assert_eq!(asked, [vec![20, 21, 22, 23], vec![22, 23], vec![24, 25]]);
    assert_eq!(single(&pair), 1);
}

/// Eight items count as one question.
#[test]
fn budgets_bound_how_many_items_are_asked_about() {
    let pair = pair(&[("CONFIRMS_PER_SEC", "1")]);
    let ids: Vec<i64> = (13..=50).collect();
    let reply = ask(&pair.edge, &ids);
    let asked = 2 * CONFIRM_ITEMS;
    assert_eq!((at_once(&pair), single(&pair)), (vec![ids[..asked].to_vec()], 0));
    let beyond = format!("not confirmed: {} the budget is used up", ids.len() - asked);
    assert!(reply.detail.contains(&beyond), "{}", reply.detail);

    let pair = self::pair(&[]);
    business(2, 300, &[CUSTOMER], &[]).publish(pair.edge.platform());
    let ids: Vec<i64> = (51..=250).collect();
    // A customer's budget, whether the items are known or not.
    while at_once(&pair).iter().map(Vec::len).sum::<usize>() < CUSTOMER_CONFIRMS as usize * CONFIRM_ITEMS {
        let before = at_once(&pair).len();
        as_customer(
            &pair,
            CUSTOMER,
            &ids.iter().map(|id| id + 1_000 * i64::try_from(before).unwrap()).collect::<Vec<_>>(),
        );
        assert_eq!(at_once(&pair).len(), before + 1);
    }
    let reply = ask(&pair.edge, &ids[..10]);
    assert!(reply.detail.contains("not confirmed: 10 the customer's budget is used up"), "{}", reply.detail);
    let off = self::pair(&[("CONFIRMS_PER_SEC", "0")]);
    assert!(ask(&off.edge, &[13, 14]).detail.contains("not confirmed: 2 confirmations are off"));
    assert_eq!(at_once(&off).len(), 0);
}

/// After an outage one request tries, and asks about few items.
#[test]
fn a_circuit_that_was_open_is_tried_by_few_items_and_a_grant_is_evidence() {
    let ids: Vec<i64> = (13..=42).collect();
    let outage = || {
        let pair = pair(&[]);
        pair.origin().break_times(OriginFault::Refuses, 1_000);
        for viewer in 0..5 {
            assert_eq!(pair.check(&format!("viewer-{viewer}"), 1 + viewer).status, 402);
        }
        pair.origin().mend();
        pair.origin().forget_requests();
        pair
    };
    let pair = outage();
    let reply = ask(&pair.edge, &ids);
    assert!(reply.detail.contains("not confirmed: 30 circuit open"), "{}", reply.detail);
    assert_eq!((at_once(&pair).len(), single(&pair)), (0, 0));
    pair.edge.advance_secs(5);
    let reply = ask(&pair.edge, &ids);
    assert_eq!(at_once(&pair), [ids[..CONFIRM_ITEMS].to_vec()]);
    assert!(reply.detail.contains("not confirmed: 22 circuit open"), "{}", reply.detail);
    ask(&pair.edge, &ids);
    assert_eq!(at_once(&pair)[1], ids, "the circuit is closed");

    let pair = outage();
    assert_eq!(pair.grant(CUSTOMER, 40).status, 201);
    assert_eq!(entries(&ask(&pair.edge, &ids))[27], granted(40, UNTIL));
}

#[test]
fn an_item_whose_checks_fail_is_left_out() {
    let pair = pair(&[]);
    let truth = Rc::clone(&pair.truth);
    pair.origin().serve(move |seen| {
        if seen.url.ends_with("/items/20/access") {
            return denial(500, "Oops");
        }
        Truth::answer(&mut truth.borrow_mut(), seen)
    });
    for viewer in 0..5 {
        pair.check(&format!("viewer-{viewer}"), 20);
    }
    pair.bought(CUSTOMER, 21);
    pair.origin().forget_requests();
    let reply = ask(&pair.edge, &[19, 20, 21]);
    assert_eq!(entries(&reply), [not_granted(19, 402), not_granted(20, 402), granted(21, UNTIL)]);
    assert_eq!((at_once(&pair), single(&pair)), (vec![vec![19, 21]], 0));
    assert!(reply.detail.contains("not confirmed: 1 circuit open"), "{}", reply.detail);
}

/// A write while the question is under way: the answer counts for this request, and is not remembered.
#[test]
fn an_answer_from_before_a_write_is_not_remembered() {
    let pair = pair(&[]);
    ask(&pair.edge, &[9]);
    let authorization = format!("Bearer {}", customer(CUSTOMER));
    let request = Request {
        method: "GET",
        path: "/access",
        query: "items=20,21",
        authorization: &authorization,
        ..Request::default()
    };
    for _ in 0..2 {
        let mut asking = Box::pin(pair.edge.app.handle(&request, MemoryBody::default()));
        assert!(poll_once(&mut asking).is_pending());
        assert_eq!(pair.grant("bob", 1).status, 201);
        assert_eq!(entries(&block_on(asking))[0], not_granted(20, 402));
    }
    assert_eq!(at_once(&pair).len(), 2);
    pair.bought(CUSTOMER, 20);
    assert_eq!(entries(&ask(&pair.edge, &[20, 21]))[0], granted(20, UNTIL));
}
