//! Questions in the form of AuthZEN: denials of viewers are confirmed, those of services are not, and a question that
//! cannot be decided is not denied.

use std::cell::RefCell;

use admit::{api::reply::Request, ports::Platform as _};
use admit_testing::memory::{MemoryBody, MemoryPlatform, OriginFault, block_on};
use serde_json::{Value, json};

use crate::{
    faults::{
        edge::{Business, CUSTOMER, Edge, START, token},
        origin::{ORIGIN_URL, Pair, Truth, UNTIL, answer, customer, item_ids},
    },
    issuers,
};

fn question(item_id: i64) -> Value {
    json!({
        "subject": {"type": "customer", "id": format!("v:{CUSTOMER}")},
        "action": {"name": "play"},
        "resource": {"type": "item", "id": item_id.to_string()},
    })
}

fn several(item_ids: &[i64]) -> Value {
    let mut body = question(1);
    let evaluations = item_ids.iter().map(|id| json!({"resource": {"type": "item", "id": id.to_string()}}));
    body["evaluations"] = evaluations.collect();
    body
}

fn ask(edge: &Edge, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let authorization = format!("Bearer {token}");
    let passed = [("content-type", "application/json".to_owned()), ("accept", "application/json".to_owned())];
    let request = Request {
        method: "POST",
        path,
        authorization: &authorization,
        ip_address: "203.0.113.9",
        passed: &passed,
        ..Request::default()
    };
    let reply = block_on(edge.app.handle(&request, MemoryBody::from(body.to_string().into_bytes())));
    (reply.status, serde_json::from_slice(reply.body.as_bytes()).unwrap())
}

#[test]
fn a_viewer_is_permitted_right_after_a_purchase() {
    let pair = Pair::new(&[]);
    let one = |item_id| ask(&pair.edge, "/access/v1/evaluation", &customer(CUSTOMER), &question(item_id));
    let (status, denied) = one(1);
    assert_eq!(
        (status, &denied["decision"], &denied["context"]["reason"]),
        (200, &json!(false), &json!("no_grant"))
    );
    assert_eq!(pair.asked(), 1);
    pair.bought(CUSTOMER, 1);
    let expected = json!({"decision": true, "context": {"reason": "origin", "expires_at": UNTIL}});
    assert_eq!(one(1), (200, expected));
    let seen = pair.origin().seen().pop().unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.url.as_str()),
        ("GET", "https://origin.example/api/items/1/access")
    );
    // Nothing of the question's own headers and body goes along.
    assert_eq!((seen.header("content-type"), seen.body.len()), ("", 0));
    assert_eq!(seen.headers.iter().filter(|(name, _)| *name == "accept").count(), 1);

    let (status, answer) =
        ask(&pair.edge, "/access/v1/evaluations", &customer(CUSTOMER), &several(&[1, 2, 77]));
    let decisions: Vec<_> =
        answer["evaluations"].as_array().unwrap().iter().map(|one| one["decision"] == true).collect();
    assert_eq!((status, decisions), (200, vec![true, false, false]));
}

/// However many they are, and an item that is asked about twice once.
#[test]
fn the_evaluations_of_a_viewer_are_confirmed_by_one_question() {
    let pair = Pair::new(&[]);
    pair.truth.borrow_mut().has_evaluations = true;
    pair.bought(CUSTOMER, 2);
    let ids: Vec<i64> = (1..=40).chain([2]).collect();
    let (status, answer) = ask(&pair.edge, "/access/v1/evaluations", &customer(CUSTOMER), &several(&ids));
    let permitted: Vec<_> = ids
        .iter()
        .zip(answer["evaluations"].as_array().unwrap())
        .filter(|(_, one)| one["decision"] == true)
        .collect();
    let expected = json!({"decision": true, "context": {"reason": "origin", "expires_at": UNTIL}});
    assert_eq!((status, permitted), (200, vec![(&2, &expected), (&2, &expected)]));
    let seen = pair.origin().seen();
    assert_eq!((seen.len(), item_ids(&seen[0])), (1, (1..=40).collect()));
}

#[test]
fn a_denial_stands_while_the_origin_is_down() {
    let pair = Pair::new(&[]);
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    for item_ids in [&[1][..], &[1, 2]] {
        let (status, answer) =
            ask(&pair.edge, "/access/v1/evaluations", &customer(CUSTOMER), &several(item_ids));
        assert_eq!((status, &answer["evaluations"][0]["decision"]), (200, &json!(false)), "{answer}");
        assert!(answer["evaluations"][0]["context"].get("error").is_none(), "{answer}");
    }
}

#[test]
fn the_origin_is_not_asked_for_a_service_nor_about_another_moment() {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    let issuer = |issuer: &str, namespace: &str, may: Value| {
        json!({"issuer": issuer, "namespace": namespace, "audience": "none_required", "may": may,
               "keys": {"secret": "SECRET", "alg": "HS256"}})
    };
    let entries = json!([
        issuer("https://v.example", "v", json!(["view", "explain"])),
        issuer("https://s.example", "s", json!(["check"])),
    ]);
    let variables = [("ORIGIN_URL", "https://origin.example/api")];
    let edge = Edge::with_issuers(platform, &entries.to_string(), &variables);
    Business::new(1, None).publish(edge.platform());
    let service = token(&json!({"iss": "https://s.example", "sub": "back-end"}));
    let mut then = question(1);
    then["context"] = json!({"time": START - 10});
    let viewer = token(&json!({"sub": CUSTOMER}));
    for (token, body) in [(&service, &question(1)), (&viewer, &then)] {
        let (status, answer) = ask(&edge, "/access/v1/evaluation", token, body);
        assert_eq!((status, &answer["decision"]), (200, &json!(false)), "{answer}");
    }
    let (status, _) = ask(&edge, "/access/v1/search/resource", &viewer, &question(1));
    assert_eq!((status, edge.platform().upstream().seen().len()), (200, 0));
}

/// An edge with an issuer for viewers, one for support staff, and one for services.
fn with_support() -> (Edge, String, String) {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    let issuer = |issuer: &str, namespace: &str, may: Value| {
        json!({"issuer": issuer, "namespace": namespace, "audience": "none_required", "may": may,
               "keys": {"secret": "SECRET", "alg": "HS256"}})
    };
    let entries = json!([
        issuer("https://v.example", "v", json!(["view"])),
        issuer("https://s.example", "s", json!(["check", "explain"])),
        issuer("https://b.example", "b", json!(["check"])),
    ]);
    let edge = Edge::with_issuers(platform, &entries.to_string(), &[("ORIGIN_URL", ORIGIN_URL)]);
    Business::new(1, None).publish(edge.platform());
    let of = |issuer: &str| token(&json!({"iss": issuer, "sub": "staff"}));
    (edge, of("https://s.example"), of("https://b.example"))
}

fn beside(item_ids: &[i64]) -> Value {
    let mut body = several(item_ids);
    body["context"] = json!({"origin": true});
    body
}

/// It is asked once, with the token of the one who asks, and decides nothing.
#[test]
fn the_origins_word_stands_beside_the_answer_for_those_who_may_explain() {
    let (edge, support, service) = with_support();
    let truth = Truth { granted: [(CUSTOMER.to_owned(), 2)].into(), ..Truth::default() };
    edge.platform().upstream().serve(move |seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body["subject"]["id"], format!("v:{CUSTOMER}"));
        let entries: Vec<_> = item_ids(seen).into_iter().map(|id| truth.evaluation(CUSTOMER, id)).collect();
        answer(200, &json!({ "evaluations": entries }))
    });
    let evaluations = "/access/v1/evaluations";
    let (status, found) = ask(&edge, evaluations, &support, &beside(&[1, 2, 777]));
    let each = found["evaluations"].as_array().unwrap();
    let said: Vec<_> = each.iter().map(|one| one["context"]["origin"].clone()).collect();
    let expected = [
        json!({"decision": false, "reason": "no_grant"}),
        json!({"decision": true, "reason": "item_access", "expires_at": UNTIL}),
        json!({"decision": false, "reason": "unknown_item"}),
    ];
    assert_eq!((status, said), (200, expected.to_vec()));
    assert!(each.iter().all(|one| one["decision"] == false && one["context"]["considered"].is_array()));
    let seen = edge.platform().upstream().seen();
    assert_eq!((seen.len(), seen[0].header("authorization")), (1, format!("Bearer {support}").as_str()));
    // No other caller is told, and no caller that did not ask.
    for (token, body) in [(&service, beside(&[1, 2])), (&support, several(&[1, 2]))] {
        let (status, found) = ask(&edge, evaluations, token, &body);
        assert_eq!((status, found["evaluations"][1]["context"].get("origin")), (200, None), "{found}");
    }
    assert_eq!(edge.platform().upstream().seen().len(), 1);
}

/// The customers and items are those of merchants that the staff's issuer does not speak for.
#[test]
fn the_origins_word_is_not_told_beyond_the_issuers_merchants() {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    let entries = json!([
        {"issuer": "https://v.example", "namespace": "v", "audience": "none_required", "keys": {"secret": "SECRET", "alg": "HS256"}},
        {"issuer": "https://s.example", "namespace": "s", "audience": "none_required", "may": ["check", "explain"],
         "merchants": [8], "keys": {"secret": "SECRET", "alg": "HS256"}},
    ]);
    let edge = Edge::with_issuers(platform, &entries.to_string(), &[("ORIGIN_URL", ORIGIN_URL)]);
    Business::new(1, None).publish(edge.platform());
    edge.platform().upstream().serve(|_| answer(500, &json!({})));
    let support = token(&json!({"iss": "https://s.example", "sub": "staff"}));
    let (status, found) = ask(&edge, "/access/v1/evaluations", &support, &beside(&[1, 2, 777]));
    assert_eq!(status, 200);
    for one in found["evaluations"].as_array().unwrap() {
        assert_eq!((&one["decision"], one["context"].get("origin")), (&json!(false), None), "{one}");
    }
    assert_eq!(edge.platform().upstream().seen().len(), 0);
}

/// A viewer who may explain: some questions want the origin's word as well, all are confirmed.
#[test]
fn denials_are_confirmed_whether_or_not_the_origins_word_is_wanted() {
    let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
    let entries = json!([{"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
        "may": ["view", "explain"], "keys": {"secret": "SECRET", "alg": "HS256"}}]);
    let edge = Edge::with_issuers(platform, &entries.to_string(), &[("ORIGIN_URL", ORIGIN_URL)]);
    Business::new(1, None).publish(edge.platform());
    let mut truth = Truth { has_evaluations: true, ..Truth::default() };
    truth.granted = [(CUSTOMER.to_owned(), 1), (CUSTOMER.to_owned(), 2)].into();
    let truth = RefCell::new(truth);
    edge.platform().upstream().serve(move |seen| truth.borrow_mut().answer(seen));
    let mut body = several(&[1, 2]);
    body["evaluations"][0]["context"] = json!({"origin": true});
    let (status, found) = ask(&edge, "/access/v1/evaluations", &customer(CUSTOMER), &body);
    let each = found["evaluations"].as_array().unwrap();
    assert_eq!(
        (status, each.iter().map(|one| &one["decision"]).collect::<Vec<_>>()),
        (200, vec![&json!(true); 2]),
        "{found}"
    );
    assert_eq!(
        (each[0]["context"]["origin"]["decision"].as_bool(), each[1]["context"].get("origin")),
        (Some(true), None)
    );
}

/// An unknown customer is a denial, and does not count as absence of the route.
#[test]
fn customers_whom_the_origin_does_not_know_are_denied_by_one_question() {
    let pair = Pair::new(&[]);
    pair.origin().serve(|seen| {
        let entries: Vec<_> = item_ids(seen)
            .into_iter()
            .map(|id| json!({"decision": false, "context": {"reason": "unknown_customer", "item": {"id": id}}}))
            .collect();
        answer(200, &json!({ "evaluations": entries }))
    });
    for n in 0..6 {
        let stranger = customer(&format!("stranger-{n}"));
        let mut body = several(&[1, 2, 3]);
        body["subject"]["id"] = json!(format!("v:stranger-{n}"));
        let (status, found) = ask(&pair.edge, "/access/v1/evaluations", &stranger, &body);
        assert_eq!((status, &found["evaluations"][2]["decision"]), (200, &json!(false)), "{found}");
    }
    let seen = pair.origin().seen();
    assert_eq!(seen.iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["POST"; 6]);
}

#[test]
fn an_origin_that_says_nothing_is_an_error_beside_the_answer() {
    let evaluation = |edge: &Edge, token: &str| {
        let mut body = question(1);
        body["context"] = json!({"origin": true});
        let (status, found) = ask(edge, "/access/v1/evaluation", token, &body);
        assert_eq!((status, &found["decision"]), (200, &json!(false)), "{found}");
        found["context"]["origin"]["error"]["status"].clone()
    };
    for (theirs, status) in [
        (answer(404, &json!({"message": "Route not found"})), 404),
        (answer(403, &json!({"message": "Not yours"})), 403),
        (answer(200, &json!({"evaluations": []})), 502),
        (answer(200, &json!({"evaluations": [{"decision": true, "context": {}}]})), 502),
        (answer(500, &json!({})), 500),
    ] {
        let (edge, support, _) = with_support();
        let served = theirs.clone();
        edge.platform().upstream().serve(move |_| served.clone());
        assert_eq!(evaluation(&edge, &support), json!(status), "{theirs:?}");
    }
    let (edge, support, _) = with_support();
    edge.platform().upstream().break_times(OriginFault::Refuses, 1_000);
    assert_eq!(evaluation(&edge, &support), json!(502));
}

/// 503, and never a bare `false`: without a snapshot, and with a shard that cannot be read.
#[test]
fn what_cannot_be_told_is_not_a_denial() {
    let new = || Edge::new(MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000));
    let viewer = token(&json!({"sub": CUSTOMER}));
    let edge = new();
    for (path, body) in [
        ("/access/v1/evaluation", question(1)),
        ("/access/v1/evaluations", several(&[1, 2])),
        ("/access/v1/search/resource", question(1)),
    ] {
        assert_eq!(ask(&edge, path, &viewer, &body).0, 503, "{path}");
    }

    // The customer's record can be read, and no item's.
    let edge = new();
    let business = Business::new(1, Some(START + 1_000));
    business.publish(edge.platform());
    let readable = ask(&edge, "/access/v1/evaluation", &viewer, &question(1));
    assert_eq!((readable.0, &readable.1["decision"]), (200, &json!(true)));
    let edge = new();
    business.publish(edge.platform());
    for (name, _) in
        business.objects.iter().filter(|(name, _)| name.kind == admit::snapshot::object::ObjectKind::Shard)
    {
        edge.platform().store().remove(&name.to_string());
    }
    assert_eq!(ask(&edge, "/access/v1/evaluation", &viewer, &question(1)).0, 503);
    let mut mixed = several(&[1]);
    mixed["evaluations"].as_array_mut().unwrap().push(json!({"action": {"name": "download"}}));
    let (status, answer) = ask(&edge, "/access/v1/evaluations", &viewer, &mixed);
    assert_eq!(
        (status, &answer["evaluations"][0]["context"]["error"]["status"]),
        (200, &json!(503)),
        "{answer}"
    );
    assert_eq!(answer["evaluations"][1]["context"]["reason"], "unknown_action");
}

/// A stranger's body is not read: the token comes first.
#[test]
fn a_body_is_read_after_the_token() {
    let pair = Pair::new(&[]);
    let broken = json!("not an object");
    for (token, status) in
        [(String::new(), 401), (issuers::publisher_token(START + 60), 401), (customer(CUSTOMER), 400)]
    {
        assert_eq!(ask(&pair.edge, "/access/v1/evaluation", &token, &broken).0, status);
    }
}
