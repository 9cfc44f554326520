//! The standard: every MUST for a decision point as a row, several evaluations, ids of requests, the scenario of the
//! certification as far as it applies, and bodies that are not valid.

use serde_json::{Value, json};

use super::{
    EVALUATION, EVALUATIONS, HOLDER, METADATA, NOBODY, Run, SEARCH, SERVICE, WRITER, changed, is_decision,
    post, question, without,
};
use crate::wire::{Payload, Wire};

/// What an answer must be.
enum Expected {
    Decision(bool),
    Status(u16, &'static str),
}
use Expected::{Decision, Status};

/// Section of the standard, request, answer.
pub fn musts(run: &mut Run<'_>) {
    let token = run.token(SERVICE);
    let plain = question(HOLDER.0, HOLDER.1);
    let rows = [
        ("5.1 subject.type is required", without("/subject/type"), Status(400, "subject")),
        ("5.1 subject.id is required", without("/subject/id"), Status(400, "subject")),
        ("5.1 subject.type is a string", changed("/subject/type", json!(1)), Status(400, "subject")),
        ("5.1 subject.id is a string", changed("/subject/id", json!(1)), Status(400, "subject")),
        ("5.1 properties is an object", changed("/subject/properties", json!([])), Status(400, "subject")),
        ("5.1 properties may say more", changed("/subject/properties", json!({"a": [1]})), Decision(true)),
        ("5.2 resource.type is required", without("/resource/type"), Status(400, "resource")),
        ("5.2 resource.id is required", without("/resource/id"), Status(400, "resource")),
        ("5.2 resource.id is a string", changed("/resource/id", json!(5110)), Status(400, "resource")),
        ("5.3 action.name is required", without("/action/name"), Status(400, "action")),
        ("5.3 action.name is a string", changed("/action/name", json!(123)), Status(400, "action")),
        ("5.4 context is an object", changed("/context", json!("x")), Status(400, "context")),
        ("5.4 context is optional", changed("/context", json!({"ip": "192.0.2.1"})), Decision(true)),
        ("5.5 a denial is a decision, and 200", question(NOBODY, HOLDER.1), Decision(false)),
        ("6.1 subject is required", without("/subject"), Status(400, "subject")),
        ("6.1 action is required", without("/action"), Status(400, "action")),
        ("6.1 resource is required", without("/resource"), Status(400, "resource")),
        ("6.1 subject is an object", changed("/subject", json!("alice")), Status(400, "subject")),
        ("10.1.1 the body is an object", json!([plain.clone()]), Status(400, "body")),
        ("10.1.1 unknown members are ignored", changed("/foo", json!({"nested": true})), Decision(true)),
        ("an unknown subject type is denied", changed("/subject/type", json!("user")), Decision(false)),
        ("an unknown action is denied", changed("/action/name", json!("download")), Decision(false)),
        ("an unknown resource type is denied", changed("/resource/type", json!("film")), Decision(false)),
        ("an unknown resource is denied", changed("/resource/id", json!("x")), Decision(false)),
        ("an unknown customer is denied", changed("/subject/id", json!("of nobody")), Decision(false)),
    ];
    for target in [EVALUATION, EVALUATIONS] {
        for (must, body, expected) in &rows {
            let answer = run.send(&post(target, body).bearer(&token));
            match expected {
                Decision(decision) => {
                    assert_eq!(answer.status, 200, "{must}: {}", answer.text());
                    is_decision(&answer.json());
                    assert_eq!(answer.json()["decision"], *decision, "{must}");
                }
                Status(status, field) => {
                    assert_eq!(answer.status, *status, "{must}: {}", answer.text());
                    assert!(answer.json()["errors"][field].is_string(), "{must}: {}", answer.text());
                }
            }
        }
    }
    // 10.1: POST, and the type of the body.
    for method in ["GET", "PUT", "DELETE"] {
        let answer = run.send(&Wire { method: method.to_owned(), ..post(EVALUATION, &plain) }.bearer(&token));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, OPTIONS")), "{method}");
    }
    for content_type in ["text/plain", "text/json", "application/x-www-form-urlencoded", ""] {
        let wire = Wire::post(EVALUATION, plain.to_string().into_bytes());
        let wire = if content_type.is_empty() { wire } else { wire.header("Content-Type", content_type) };
        assert_eq!(run.send(&wire.bearer(&token)).status, 400, "{content_type}");
    }
    let charset = Wire::post(EVALUATION, plain.to_string().into_bytes());
    let charset = charset.header("Content-Type", "application/json; charset=utf-8").bearer(&token);
    let answer = run.send(&charset);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    // 11.3: no credentials, or invalid ones, are 401 with WWW-Authenticate, which `problems` has checked.
    for wire in
        [post(EVALUATION, &plain), post(SEARCH, &plain).bearer("x.y.z"), post(EVALUATIONS, &json!([]))]
    {
        assert_eq!(run.send(&wire).status, 401);
    }
    // 9.2: the metadata. 9.1.1: what this service lacks is not named.
    let answer = run.send(&Wire::get(METADATA));
    let metadata = answer.json();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let base = metadata["policy_decision_point"].as_str().unwrap();
    assert!(!base.ends_with('/') && !base.contains(['?', '#']), "{base}");
    for (name, path) in [
        ("access_evaluation_endpoint", EVALUATION),
        ("access_evaluations_endpoint", EVALUATIONS),
        ("search_resource_endpoint", SEARCH),
    ] {
        assert_eq!(metadata[name], format!("{base}{path}"), "{metadata}");
    }
    assert_eq!(metadata.as_object().unwrap().len(), 4, "{metadata}");
    for path in ["/access/v1/search/subject", "/access/v1/search/action", "/access/v1", "/access/v1/search"] {
        assert_eq!(run.send(&post(path, &plain).bearer(&token)).status, 404, "{path}");
    }
}

/// §7: several evaluations.
pub fn evaluations(run: &mut Run<'_>) {
    let token = run.token(SERVICE);
    let [yes, no] = [json!({"id": HOLDER.1, "type": "item"}), json!({"id": "5101", "type": "item"})];
    let ask = |run: &mut Run<'_>, semantic: Option<&str>, evaluations: Value| {
        let mut body = question(HOLDER.0, HOLDER.1);
        body["evaluations"] = evaluations;
        if let Some(semantic) = semantic {
            body["options"] = json!({"evaluations_semantic": semantic, "another_option": "value"});
        }
        let answer = run.ask(EVALUATIONS, &body, &token);
        // 7.2: without a decision of its own.
        assert!(answer.get("decision").is_none());
        let list = answer["evaluations"].as_array().unwrap().clone();
        list.iter().map(|one| one["decision"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    let (yes, no) = (json!({"resource": yes}), json!({"resource": no}));
    let mixed = || json!([yes, no, yes, no]);
    for semantic in [None, Some("execute_all")] {
        assert_eq!(ask(run, semantic, mixed()), [true, false, true, false]);
    }
    let deny = Some("deny_on_first_deny");
    assert_eq!(ask(run, deny, mixed()), [true, false]);
    assert_eq!(ask(run, deny, json!([no, yes])), [false]);
    assert_eq!(ask(run, deny, json!([yes, yes])), [true, true]);
    // An error counts as a denial.
    assert_eq!(ask(run, deny, json!([yes, {"resource": 5}, yes])), [true, false]);
    let permit = Some("permit_on_first_permit");
    assert_eq!(ask(run, permit, mixed()), [true]);
    assert_eq!(ask(run, permit, json!([no, no, yes, no])), [false, false, true]);
    assert_eq!(ask(run, permit, json!([no, {"resource": 5}, no])), [false, false, false]);
    // 7.1.1: defaults, and what overrides them.
    let overriding = json!([
        {}, {"subject": {"type": "customer", "id": NOBODY}}, {"action": {"name": "download"}}, yes,
        {"subject": {"type": "user", "id": HOLDER.0}}, {"context": {"time": "2024-05-31T15:22-07:00"}},
    ]);
    assert_eq!(ask(run, None, overriding), [true, false, false, true, false, true]);
    // Two hundred, and one more.
    let many = |count: usize| Value::from(vec![json!({}); count]);
    assert_eq!(ask(run, None, many(200)), [true; 200]);
    let mut body = question(HOLDER.0, HOLDER.1);
    for wrong in [many(201), json!({}), json!(5), json!(null)] {
        body["evaluations"] = wrong;
        let answer = run.send(&post(EVALUATIONS, &body).bearer(&token));
        assert!(
            answer.status == 400 && answer.json()["errors"]["evaluations"].is_string(),
            "{}",
            answer.text()
        );
    }
    body["evaluations"] = json!([{}]);
    for wrong in [json!("execute_all"), json!({"evaluations_semantic": "some"})] {
        body["options"] = wrong;
        assert_eq!(run.send(&post(EVALUATIONS, &body).bearer(&token)).status, 400);
    }
    // Each error is told in its place.
    let body = json!({"action": {"name": "play"}, "evaluations": [
        {"subject": {"type": "customer", "id": HOLDER.0}, "resource": {"type": "item", "id": HOLDER.1}},
        {"subject": {"type": "customer", "id": HOLDER.0}},
    ]});
    let answer = run.ask(EVALUATIONS, &body, &token);
    assert_eq!(answer["evaluations"][0]["decision"], true);
    assert_eq!(answer["evaluations"][1]["context"]["error"]["status"], 400, "{answer}");
}

/// §10.1.3: the id of a request comes back, whatever the answer.
pub fn request_ids(run: &mut Run<'_>) {
    let (service, id) = (run.token(SERVICE), "bfe9eb29-ab87-4ca3-be83-a1d5d8305716 \"{}\"");
    let plain = question(HOLDER.0, HOLDER.1);
    for (wire, status) in [
        (post(EVALUATION, &plain).bearer(&service), 200),
        (post(EVALUATIONS, &plain).bearer(&service), 200),
        (post(SEARCH, &plain).bearer(&service), 200),
        (post(EVALUATION, &json!({})).bearer(&service), 400),
        (post(EVALUATION, &plain), 401),
        (post(EVALUATION, &plain).bearer(&run.token(WRITER)), 403),
        (Wire { method: "PUT".to_owned(), ..post(EVALUATION, &plain) }.bearer(&service), 405),
    ] {
        let answer = run.send(&wire.header("X-Request-ID", id));
        assert_eq!((answer.status, answer.header("x-request-id")), (status, Some(id)));
        // The log's own id is not the client's.
        assert!(answer.header("admit-request-id").is_some_and(|own| own.len() == 25));
    }
}

/// The scenario of the certification, with this service's names in the place of its fixture's: C-2 (Basic Core), C-3 (Batch
/// Core), C-4.3 and C-4.5 to C-4.7 as far as they are about resources, C-5 and C-6.
pub fn scenario(run: &mut Run<'_>) {
    let token = run.token(SERVICE);
    // C-2.6: idempotency.
    for _ in 0..3 {
        assert_eq!(run.ask(EVALUATION, &question(HOLDER.0, HOLDER.1), &token)["decision"], true);
        assert_eq!(run.ask(EVALUATION, &question(NOBODY, HOLDER.1), &token)["decision"], false);
    }
    // C-2.4.4 and C-2.4.5: malformed and empty bodies.
    for body in ["", "{", "not json"] {
        let wire =
            Wire::post(EVALUATION, body.as_bytes().to_vec()).header("Content-Type", "application/json");
        assert_eq!(run.send(&wire.bearer(&token)).status, 400, "{body:?}");
    }
    // C-3.4.2 and C-3.4.3: no evaluations.
    let mut body = question(HOLDER.0, HOLDER.1);
    assert_eq!(run.ask(EVALUATIONS, &body, &token)["decision"], true);
    body["evaluations"] = json!([]);
    assert_eq!(run.ask(EVALUATIONS, &body, &token)["decision"], true);
    // C-4.3: results, with a context, and with an id, which changes nothing.
    let ids = |answer: &Value| {
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let search = without("/resource/id");
    let found = ids(&run.ask(SEARCH, &search, &token));
    assert!(found.contains(&HOLDER.1.to_owned()), "{found:?}");
    let context = json!({"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"});
    let mut with_context = search.clone();
    with_context["context"] = context;
    assert_eq!(ids(&run.ask(SEARCH, &with_context, &token)), found);
    assert_eq!(ids(&run.ask(SEARCH, &question(HOLDER.0, "77"), &token)), found);
    // C-4.5: pages.
    let mut paged = search.clone();
    paged["page"] = json!({"limit": 1});
    let answer = run.ask(SEARCH, &paged, &token);
    assert!(answer["page"]["next_token"].is_string() && ids(&answer).len() <= 1, "{answer}");
    // C-4.6: unknown identifiers and types find nothing.
    for (pointer, value) in [
        ("/subject/id", NOBODY),
        ("/subject/type", "spaceship"),
        ("/resource/type", "x"),
        ("/action/name", "x"),
    ] {
        let answer = run.ask(SEARCH, &changed(pointer, json!(value)), &token);
        assert_eq!((ids(&answer).len(), &answer["page"]["next_token"]), (0, &json!("")), "{pointer} {value}");
    }
    // C-4.7: missing members.
    for pointer in
        ["/subject", "/action", "/resource", "/subject/id", "/subject/type", "/action/name", "/resource/type"]
    {
        assert_eq!(run.send(&post(SEARCH, &without(pointer)).bearer(&token)).status, 400, "{pointer}");
    }
}

/// Long, deep and broken bodies get a clear 4xx, and only from callers with a token.
pub fn bodies(run: &mut Run<'_>) {
    let token = run.token(SERVICE);
    let send = |run: &mut Run<'_>, body: Payload| {
        let wire = Wire { body, ..Wire::new("POST", EVALUATIONS) }.header("Content-Type", "application/json");
        run.send(&wire.bearer(&token)).status
    };
    let deep = ["{\"subject\":", &"[".repeat(50_000), &"]".repeat(50_000), "}"].concat().into_bytes();
    assert_eq!(send(run, Payload::Whole(deep)), 400);
    let padded = |bytes: usize| {
        let mut body = question(HOLDER.0, HOLDER.1);
        body["padding"] = "x".repeat(bytes).into();
        body.to_string().into_bytes()
    };
    assert_eq!(send(run, Payload::Whole(padded(250 * 1024))), 200);
    assert_eq!(send(run, Payload::Whole(padded(1024 * 1024))), 413);
    assert_eq!(send(run, Payload::Chunked(padded(300 * 1024))), 413);
    let wire = Wire::post(EVALUATION, padded(16)).header("Content-Type", "application/json");
    assert_eq!(run.send(&wire.header("Content-Encoding", "gzip").bearer(&token)).status, 415);
}
