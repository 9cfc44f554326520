//! `GET /access`: of each of many items what its single check answers.

use serde_json::{Value, json};

use crate::{
    cases::head_problems,
    catalogue::Published,
    check::{Pages, error_body, problems},
    oracle::{Check, Oracle},
    origin::Origin,
    personas,
    subject::Subject,
    wire::{Answer, Wire},
    writes::customer,
};

const BAD_ITEMS: &str = "The items must be 1 to 200 positive integers, separated by commas";

struct Run<'a> {
    subject: &'a dyn Subject,
    sent: usize,
}

impl Run<'_> {
    fn send(&mut self, wire: &Wire) -> Answer {
        self.sent += 1;
        let answer = self.subject.send(wire);
        assert_eq!(problems(wire, &answer, Pages::All), [""; 0], "{wire:?}: {}", answer.text());
        answer
    }

    /// The entry that the single check of an item makes.
    fn single(&mut self, token: &str, id: i64) -> Value {
        let answer = self.send(&Wire::get(&format!("/items/{id}/access")).bearer(token));
        match answer.status {
            200 => json!({"id": id, "access": true, "expires_at": answer.json()["expires_at"]}),
            status => json!({"id": id, "access": false, "code": status}),
        }
    }
}

fn target(ids: &[i64]) -> String {
    let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
    format!("/access?items={}", ids.join(","))
}

/// Runs all of it. The subject has no origin. Returns the number of requests.
pub fn run(subject: &dyn Subject, published: &Published) -> usize {
    let mut run = Run { subject, sent: 0 };
    every_viewer(&mut run, published);
    orders(&mut run);
    invalid_lists(&mut run);
    refusals(&mut run);
    run.sent
}

/// With an origin: eight questions at the same time, and what they bring is in the answer.
pub fn confirmed(subject: &dyn Subject, origin: &Origin) {
    let mut run = Run { subject, sent: 0 };
    let token = customer(subject, "buyer-of-many");
    origin.grant("buyer-of-many", 5_103);
    origin.grant("buyer-of-many", 5_112);
    let ids: Vec<i64> = (5_101..=5_112).collect();
    origin.take_seen();
    let answer = run.send(&Wire::get(&target(&ids)).bearer(&token));
    let entry = |id: &i64| match id {
        5_103 => json!({"id": id, "access": true, "expires_at": 4_000_000_000_i64}),
        // 5112 is beyond the questions.
        _ => json!({"id": id, "access": false, "code": 402}),
    };
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"items": ids.iter().map(entry).collect::<Vec<_>>()}))
    );
    let mut asked: Vec<_> = origin.take_seen().into_iter().map(|seen| seen.target).collect();
    asked.sort();
    // This origin does not have the route for all of them.
    let singles = (5_101..=5_108).map(|id| format!("/items/{id}/access"));
    assert_eq!(asked, ["/access/v1/evaluations".to_owned()].into_iter().chain(singles).collect::<Vec<_>>());
    let single = run.send(&Wire::get("/items/5112/access").bearer(&token));
    assert_eq!(single.status, 200, "{}", single.text());
    let answer = run.send(&Wire::get(&target(&[5_112, 5_103])).bearer(&token)).json();
    assert!(answer["items"].as_array().unwrap().iter().all(|entry| entry["access"] == true), "{answer}");
    assert_eq!(origin.take_seen().len(), 1, "remembered");
}

/// Every sample viewer asks for every item at once.
fn every_viewer(run: &mut Run<'_>, published: &Published) {
    let ids: Vec<i64> = published.lines.items.keys().copied().chain([5_999]).collect();
    let oracle = Oracle { lines: &published.lines, at: published.at };
    let mut seen = [0; 3];
    for persona in personas::all() {
        let token = run.subject.token(&persona.name);
        let wire = Wire::get(&target(&ids)).bearer(&token);
        let answer = run.send(&wire);
        if !persona.is_signed_in() {
            assert_eq!(answer.status, 401, "{}", persona.name);
            continue;
        }
        assert_eq!(answer.status, 200, "{}: {}", persona.name, answer.text());
        let now = run.subject.now();
        let entry = |id: &i64| match oracle.check(persona, *id, now) {
            Check::Granted(until) => json!({"id": id, "access": true, "expires_at": until}),
            Check::Denied => json!({"id": id, "access": false, "code": 402}),
            Check::NotFound => json!({"id": id, "access": false, "code": 404}),
        };
        let expected: Vec<_> = ids.iter().map(entry).collect();
        for entry in &expected {
            let kind = [402, 404].iter().position(|code| entry["code"] == *code);
            seen[kind.map_or(0, |kind| kind + 1)] += 1;
        }
        assert_eq!(answer.json(), json!({ "items": expected }), "{}", persona.name);
        // The single checks say the same.
        for id in [ids[0], persona.item_id, 5_999] {
            let single = run.single(&token, id);
            assert!(
                answer.json()["items"].as_array().unwrap().contains(&single),
                "{}: {single}",
                persona.name
            );
        }
        let head = run.subject.send(&wire.head());
        assert_eq!(head_problems(&wire, &answer, &head), [""; 0], "{}", persona.name);
        run.sent += 1;
    }
    assert!(seen.iter().all(|times| *times > 20), "{seen:?}");
}

/// The answer has the order of the question, and each item once.
fn orders(run: &mut Run<'_>) {
    let token = run.subject.token("subscriber");
    for (query, expected) in [
        ("items=5102,5101", vec![5102, 5101]),
        ("items=5101,5102", vec![5101, 5102]),
        ("items=5102,5999,5102,5101,5999", vec![5102, 5999, 5101]),
        ("items=5101%2C5102", vec![5101, 5102]),
        ("items=05101,5101", vec![5101]),
        ("utm=x&items=1&items=5101", vec![5101]),
        ("items=9223372036854775807", vec![i64::MAX]),
    ] {
        let answer = run.send(&Wire::get(&format!("/access?{query}")).bearer(&token)).json();
        let ids: Vec<_> =
            answer["items"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let most: Vec<i64> = (1..=200).collect();
    let answer = run.send(&Wire::get(&target(&most)).bearer(&token)).json();
    assert_eq!(answer["items"].as_array().unwrap().len(), 200);
}

fn invalid_lists(run: &mut Run<'_>) {
    let token = run.subject.token("subscriber");
    let too_many = target(&(1..=201).collect::<Vec<_>>());
    let repeated = target(&[5101; 201]);
    for target in [
        "/access",
        "/access?",
        "/access?items",
        "/access?items=",
        "/access?item=5101",
        "/access?items=,",
        "/access?items=5101,",
        "/access?items=,5101",
        "/access?items=5101,,5102",
        "/access?items=5101;5102",
        "/access?items=5101+5102",
        "/access?items=5101%205102",
        "/access?items=x",
        "/access?items=5101,x",
        "/access?items=0",
        "/access?items=-5101",
        "/access?items=5101.0",
        "/access?items=5e3",
        "/access?items=9223372036854775808",
        "/access?items=%",
        "/access?items=%ff",
        "/access?items=5101&items=",
        &too_many,
        &repeated,
    ] {
        let answer = run.send(&Wire::get(target).bearer(&token));
        assert_eq!(
            (answer.status, answer.json()),
            (422, error_body(422, BAD_ITEMS, Some("items"))),
            "{target}"
        );
        // A client without a valid token learns nothing about them.
        assert_eq!(run.send(&Wire::get(target)).status, 401, "{target}");
    }
}

fn refusals(run: &mut Run<'_>) {
    let token = run.subject.token("subscriber");
    for token in ["", "x", &run.subject.token("expired-token")] {
        assert_eq!(run.send(&Wire::get("/access?items=5101").bearer(token)).status, 401, "{token}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = run.send(&Wire::new(method, "/access?items=5101").bearer(&token));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    for path in ["/access/", "/access/5101", "/Access", "/items/5101/access/", "/v2/access"] {
        let answer = run.send(&Wire::get(&format!("{path}?items=5101")).bearer(&token));
        assert_eq!(answer.status, 404, "{path}");
    }
}
