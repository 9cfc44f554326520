//! The origin confirms denials of an answer about many items, in few questions.

use admit::api::reply::{Reply, Request};
use admit_testing::memory::{MemoryBody, OriginFault, block_on};

use super::{access, ask, bought_nothing, business, entries, granted, not_granted, target};
use crate::faults::{
    edge::CUSTOMER,
    origin::{ORIGIN_URL, Pair, UNTIL, customer, denial},
};

/// The single questions that the origin got.
fn paths(pair: &Pair) -> Vec<String> {
    let seen = pair.origin().seen();
    seen.iter()
        .filter(|seen| seen.method == "GET")
        .map(|seen| seen.url.strip_prefix(ORIGIN_URL).unwrap().to_owned())
        .collect()
}

#[test]
fn at_most_eight_questions_confirm_an_answer() {
    let pair = bought_nothing(&[("LOG_CHECKS", "denied")]);
    for id in [14, 21, 22] {
        pair.bought(CUSTOMER, id);
    }
    let ids: Vec<i64> = (9..=30).collect();
    let reply = ask(&pair.edge, &ids);
    // 9 is free; 10 is inactive and 11 another merchant's, which no purchase changes.
    let asked: Vec<_> = (12..20).map(|id| format!("/items/{id}/access")).collect();
    assert_eq!(paths(&pair), asked);
    let found = entries(&reply);
    assert_eq!((&found[5], &found[12]), (&granted(14, UNTIL), &not_granted(21, 402)));
    let unconfirmed = "not confirmed: 11 the questions for one answer are used up";
    assert!(reply.detail.ends_with(&format!("; {unconfirmed}")), "{}", reply.detail);
    let lines = pair.edge.platform().memory_log().take();
    assert!(lines.iter().any(|line| line.contains(unconfirmed)), "{lines:?}");
    assert_eq!(reply.header("entitlement-seq"), None, "the snapshot has answered some");
    for seen in pair.origin().seen() {
        assert_eq!(seen.header("authorization"), format!("Bearer {}", customer(CUSTOMER)));
        assert_eq!(Some(seen.header("x-request-id")), reply.header("x-request-id"));
    }
}

#[test]
fn what_is_remembered_leaves_the_questions_to_others() {
    let pair = bought_nothing(&[]);
    pair.bought(CUSTOMER, 13);
    let ids: Vec<i64> = (13..=22).collect();
    assert_eq!(entries(&ask(&pair.edge, &ids))[0], granted(13, UNTIL));
    // A grant is remembered at once, and a denial after the second time.
    ask(&pair.edge, &ids);
    assert_eq!(paths(&pair)[8..], (14..=21).map(|id| format!("/items/{id}/access")).collect::<Vec<_>>());
    let reply = ask(&pair.edge, &ids);
    // 21 was denied once.
    assert_eq!(paths(&pair)[16..], ["/items/21/access", "/items/22/access"]);
    assert!(!reply.detail.contains("not confirmed"), "{}", reply.detail);
    // The single checks have the same memory, and forget it with a write.
    let asked = pair.asked();
    assert_eq!((pair.status(13), pair.status(14), pair.asked()), (200, 402, asked));
    assert_eq!(pair.grant("bob", 1).status, 201);
    assert_eq!(pair.status(13), 200);
    assert_eq!(pair.asked(), asked + 1);
}

#[test]
fn an_origin_that_does_not_answer_leaves_the_snapshots_answer() {
    for fault in [OriginFault::Refuses, OriginFault::HangsAfter] {
        let pair = bought_nothing(&[]);
        pair.bought(CUSTOMER, 13);
        pair.origin().break_times(fault, 1_000);
        let reply = ask(&pair.edge, &[9, 13, 14]);
        assert_eq!(entries(&reply)[1..], [not_granted(13, 402), not_granted(14, 402)], "{fault:?}");
        assert!(reply.detail.contains("; not confirmed: 2 "), "{fault:?}: {}", reply.detail);
        pair.origin().mend();
        assert_eq!(entries(&ask(&pair.edge, &[9, 13]))[1], granted(13, UNTIL), "{fault:?}");
    }
    let off = bought_nothing(&[("CONFIRMS_PER_SEC", "0")]);
    let reply = ask(&off.edge, &[13, 14]);
    assert_eq!(
        (reply.detail.as_str(), off.asked()),
        ("of 2: 2 no_grant; not confirmed: 2 confirmations are off", 0)
    );
    let few = bought_nothing(&[("CONFIRMS_PER_SEC", "1")]);
    // The edge learns that this origin answers single questions only.
    ask(&few.edge, &[13, 14]);
    few.edge.advance_secs(10);
    few.origin().forget_requests();
    let reply = ask(&few.edge, &[13, 14, 15]);
    assert_eq!((few.asked(), reply.detail.contains("not confirmed: 1 the budget is used up")), (2, true));
    let failing = bought_nothing(&[]);
    failing.origin().serve(|_| denial(500, "Oops"));
    ask(&failing.edge, &[13, 14, 15, 16, 17]);
    let reply = ask(&failing.edge, &[13]);
    assert_eq!(
        (failing.asked(), reply.detail.contains("not confirmed: 1 circuit open")),
        (5, true),
        "{}",
        reply.detail
    );
}

#[test]
fn a_client_that_knows_of_a_change_is_answered_from_after_it() {
    let pair = bought_nothing(&[]);
    business(2, 50, &[CUSTOMER], &[access(1, None, None), access(2, None, None)])
        .publish(pair.edge.platform());
    // The origin has revoked both since, and sold another item.
    pair.bought(CUSTOMER, 3);
    pair.truth.borrow_mut().seq = 3;
    let ask = |ids: &[i64], min_seq| {
        let authorization = format!("Bearer {}", customer(CUSTOMER));
        let items = target(ids);
        let request = Request {
            method: "GET",
            path: "/access",
            query: items.split_once('?').unwrap().1,
            authorization: &authorization,
            min_seq,
            ..Request::default()
        };
        block_on(pair.edge.app.handle(&request, MemoryBody::default()))
    };
    let statuses =
        |reply: &Reply| entries(reply).iter().map(|entry| entry["access"] == true).collect::<Vec<_>>();
    let reply = ask(&[1, 2, 3], 2);
    assert_eq!(
        (statuses(&reply), reply.header("entitlement-seq"), pair.asked()),
        (vec![true, true, true], None, 1)
    );
    let reply = ask(&[1, 2, 3], 3);
    assert_eq!((statuses(&reply), reply.header("entitlement-seq")), (vec![false, false, true], Some("3")));
    assert_eq!(pair.asked(), 4);
    // More items than questions: the answer does not claim to be that new.
    let reply = ask(&(1..=12).collect::<Vec<_>>(), 3);
    assert_eq!((reply.header("entitlement-seq"), pair.asked()), (None, 12));
}

#[test]
fn grants_of_a_stale_snapshot_are_confirmed_after_the_denials() {
    let pair = Pair::without_snapshot(&[("SNAPSHOT_MAX_AGE_SECS", "300")]);
    business(1, 50, &[CUSTOMER], &[access(1, None, None), access(2, None, None)])
        .publish(pair.edge.platform());
    pair.edge.advance_secs(301);
    pair.bought(CUSTOMER, 1);
    let found = entries(&ask(&pair.edge, &[1, 2, 13]));
    assert_eq!(found, [granted(1, UNTIL), not_granted(2, 402), not_granted(13, 402)]);
    assert_eq!(paths(&pair), ["/items/13/access", "/items/1/access", "/items/2/access"]);
}
