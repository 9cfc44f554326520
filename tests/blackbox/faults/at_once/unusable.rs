//! Origins without the route, with odd answers, down or busy: nothing is granted by an answer that is not one to the
//! question.

use super::*;

#[test]
fn an_origin_without_the_route_gets_single_questions_for_two_minutes() {
    for status in [404, 405, 501] {
        let pair = bought_nothing(&[]);
        pair.bought(CUSTOMER, 13);
        respond(&pair, move |_| denial(status, "No such route"));
        let ids: Vec<i64> = (13..=32).collect();
        let posts = |pair: &Pair| at_once(pair).len();
        let reply = ask(&pair.edge, &ids);
        assert_eq!(entries(&reply)[0], granted(13, UNTIL), "{status}");
        assert_eq!((posts(&pair), single(&pair)), (1, CHECKS_MAX_CONFIRMS), "{status}");
        let log = pair.edge.platform().memory_log().take().join("\n");
        assert!(!log.contains(r#""event":"origin""#), "it is no problem: {log}");
        // It is remembered for everyone.
        pair.edge.platform().clock().advance_ms(EVALUATIONS_AGAIN_MS - 1_000);
        as_customer(&pair, "another", &ids);
        assert_eq!((posts(&pair), single(&pair)), (1, 2 * CHECKS_MAX_CONFIRMS), "{status}");
        // And learnt again.
        pair.edge.platform().clock().advance_ms(1_000);
        serve(&pair, Value::from);
        pair.truth.borrow_mut().has_evaluations = true;
        as_customer(&pair, "third", &ids);
        assert_eq!((posts(&pair), single(&pair)), (2, 2 * CHECKS_MAX_CONFIRMS), "{status}");
        // An origin that loses the route is noticed at once.
        respond(&pair, move |_| denial(status, "No such route"));
        pair.bought("fourth", 13);
        assert_eq!(entries(&as_customer(&pair, "fourth", &ids))[0], granted(13, UNTIL));
        assert_eq!((posts(&pair), single(&pair)), (3, 3 * CHECKS_MAX_CONFIRMS), "{status}");
    }
}

/// Whatever a whole answer that is not one to the question says: nothing is granted by it, single questions are asked
/// instead, and it is logged.
#[test]
fn an_odd_answer_is_not_believed_and_single_questions_are_asked() {
    let permit = |id: i64| {
        let item = json!({"id": id, "merchant_id": 7});
        json!({"decision": true, "context": {"reason": "x", "expires_at": UNTIL, "item": item}})
    };
    let list = move |ids: &[i64]| {
        let entries: Vec<_> = ids.iter().map(|id| permit(*id)).collect();
        answer(200, &json!({ "evaluations": entries }))
    };
    let page = |status| UpstreamAnswer {
        status,
        headers: vec![("content-type", "text/html".to_owned())],
        body: b"<html>".to_vec(),
    };
    for (name, odd, problem) in [
        ("too short", list(&[20]), "evaluations must have 3 entries, not 1"),
        ("too long", list(&[20, 21, 22, 23]), "evaluations must have 3 entries, not 4"),
        ("another order", list(&[22, 21, 20]), "context.item.id must be 20, not 22"),
        ("other items", list(&[30, 31, 32]), "context.item.id must be 20, not 30"),
        ("one decision", answer(200, &permit(20)), "evaluations must be a list"),
        (
            "another service",
            answer(200, &json!({"evaluations": vec![json!({"decision": true}); 3]})),
            "context must be an object",
        ),
        (
            "not about it",
            answer(
                200,
                &json!({"evaluations": vec![json!({"decision": false, "context": {"error": {"status": 403}}}); 3]}),
            ),
            "context.error is 403",
        ),
        ("another success", UpstreamAnswer { status: 201, ..list(&[20, 21, 22]) }, "status is 201"),
        ("a page", page(200), "which is not JSON"),
        ("no JSON", UpstreamAnswer { body: b"{\"evaluations\":[".to_vec(), ..list(&[]) }, "body is not JSON"),
        ("redirect", page(302), "status is 302"),
        ("a firewall", page(403), "status is 403"),
        ("not signed in", denial(401, "Unauthorized"), "status is 401"),
        ("not understood", denial(400, "Bad request"), "status is 400"),
        ("payment", denial(402, "Payment required"), "status is 402"),
        ("broken", denial(500, "Oops"), "status is 500"),
    ] {
        let pair = bought_nothing(&[]);
        pair.bought(CUSTOMER, 21);
        respond(&pair, move |_| odd.clone());
        let reply = ask(&pair.edge, &[20, 21, 22]);
        let expected = [not_granted(20, 402), granted(21, UNTIL), not_granted(22, 402)];
        assert_eq!(entries(&reply), expected, "{name}");
        assert_eq!((at_once(&pair).len(), single(&pair)), (1, 3), "{name}");
        let log = pair.edge.platform().memory_log().take().join("\n");
        assert!(log.contains(problem) && log.contains(r#""event":"origin""#), "{name}: {log}");
        // One customer's odd answers are no reason not to ask for others, and several customers' are.
        for (subject, asked) in [(CUSTOMER, 2), ("b", 3), ("c", 4), ("d", 4), (CUSTOMER, 4)] {
            pair.edge.advance_secs(6);
            as_customer(&pair, subject, &[20, 21, 22]);
            assert_eq!(at_once(&pair).len(), asked, "{name} {subject}");
        }
    }
}

/// An entry that tells nothing leaves the snapshot's answer to its item; the others count.
#[test]
fn an_odd_entry_costs_its_own_item() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change, &str); 6] = [
        (
            "no end",
            |entry| drop(entry["context"].as_object_mut().unwrap().remove("expires_at")),
            "expires_at is missing",
        ),
        ("over", |entry| entry["context"]["expires_at"] = json!(5), "expires_at is over (5)"),
        (
            "no item",
            |entry| drop(entry["context"].as_object_mut().unwrap().remove("item")),
            "context.item.id is missing",
        ),
        ("text", |entry| entry["decision"] = json!("true"), "decision must be true or false"),
        ("an error", |entry| entry["context"] = json!({"error": {"status": 503}}), "context.error is 503"),
        ("nothing", |entry| *entry = Value::Null, "context must be an object"),
    ];
    for (name, change, problem) in changes {
        let pair = pair(&[]);
        for id in [20, 21, 22] {
            pair.bought(CUSTOMER, id);
        }
        serve(&pair, move |mut entries| {
            change(&mut entries[1]);
            entries.into()
        });
        let reply = ask(&pair.edge, &[20, 21, 22, 23]);
        let expected = [granted(20, UNTIL), not_granted(21, 402), granted(22, UNTIL), not_granted(23, 402)];
        assert_eq!(entries(&reply), expected, "{name}");
        assert!(reply.detail.contains(&format!("; not confirmed: 1 {problem}")), "{name}: {}", reply.detail);
        let log = pair.edge.platform().memory_log().take().join("\n");
        assert!(log.contains(problem), "{name}: {log}");
        // It is asked again, and the route is still there.
        ask(&pair.edge, &[20, 21, 22, 23]);
        assert_eq!(at_once(&pair), [vec![20, 21, 22, 23], vec![21, 23]], "{name}");
    }
}

/// No answer in time, or a pause that it asks for: eight single questions would be worse.
#[test]
fn an_origin_that_is_down_or_busy_is_not_asked_again_at_once() {
    for fault in [OriginFault::Refuses, OriginFault::HangsAfter, OriginFault::TooLong] {
        let pair = pair(&[]);
        pair.bought(CUSTOMER, 13);
        pair.origin().break_times(fault, 1_000);
        let reply = ask(&pair.edge, &[13, 14, 15]);
        assert_eq!(entries(&reply), [13, 14, 15].map(|id| not_granted(id, 402)), "{fault:?}");
        assert!(reply.detail.contains("; not confirmed: 3 origin: "), "{fault:?}: {}", reply.detail);
        pair.origin().mend();
        assert_eq!(single(&pair), 0, "{fault:?}");
        assert_eq!(entries(&ask(&pair.edge, &[13, 14]))[0], granted(13, UNTIL), "{fault:?}");
    }
    let pair = pair(&[]);
    respond(&pair, |_| {
        let mut busy = denial(429, "Too many requests");
        busy.headers.push(("retry-after", "7".to_owned()));
        busy
    });
    ask(&pair.edge, &[13, 14]);
    let reply = ask(&pair.edge, &[13, 14]);
    assert_eq!((at_once(&pair).len(), single(&pair)), (1, 0));
    assert!(reply.detail.contains("not confirmed: 2 the origin has asked for a pause"), "{}", reply.detail);
    pair.edge.advance_secs(7);
    serve(&pair, Value::from);
    pair.bought(CUSTOMER, 14);
    assert_eq!(entries(&ask(&pair.edge, &[13, 14]))[1], granted(14, UNTIL));
}

#[test]
fn a_connection_that_breaks_is_tried_once_more() {
    let pair = pair(&[]);
    pair.bought(CUSTOMER, 13);
    for fault in [OriginFault::BreaksBefore, OriginFault::BreaksAfter] {
        pair.origin().break_times(fault, 1);
        assert_eq!(entries(&ask(&pair.edge, &[13, 14]))[0], granted(13, UNTIL), "{fault:?}");
        pair.edge.advance_secs(31);
    }
}
