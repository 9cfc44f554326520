//! AuthZEN Authorization API 1.0: every MUST of the standard for a decision point as a row, the scenario of its
//! certification as far as it applies, who may ask about whom, and decisions and searches beside the oracle and the
//! checks of `/items/{id}/access`.

use std::collections::BTreeSet;

use admit_testing::oracle::{self, Check, Viewer};
use serde_json::{Value, json};

use crate::{
    catalogue::Published,
    check::{Pages, error_body, problems},
    configured, issuers,
    personas::{self, Persona},
    subject::Subject,
    wire::{Answer, Payload, Wire},
};

/// May ask about any customer, and why.
const SUPPORT: &str = "https://support.example";
/// May ask about any customer.
const SERVICE: &str = "https://service.example";
/// May ask about the customers of one merchant.
const BOUND: &str = "https://bound.example";
/// Its viewers share the namespace of the sample viewers, and may ask why.
const CURIOUS: &str = "https://curious.example";
/// May write, and not ask.
const WRITER: &str = "https://writer.example";
/// May explain, and neither view nor check.
const EXPLAINER: &str = "https://explainer.example";

const MERCHANT: i64 = 2101;
const OTHER_MERCHANT: i64 = 3407;

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const SEARCH: &str = "/access/v1/search/resource";
const METADATA: &str = "/.well-known/authzen-configuration";

/// A viewer with an access on an item of its own, and one without.
const HOLDER: (&str, &str) = ("vendor:687701d2-7eef-4ae9-a1be-cd432fc3af69", "5110");
const NOBODY: &str = "vendor:6a0c52c4-0d0e-4b7b-9a55-1f6f0b9c7e20";
const FREE_PROBES: usize = 400;

/// The usual variables, with the issuers of these cases, and `changes`.
pub fn variables(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables = configured::variables(changes);
    for (_, value) in variables.iter_mut().filter(|(name, _)| name == "ISSUERS") {
        let mut entries: Vec<Value> = serde_json::from_str(value).unwrap();
        for (issuer, namespace, may, merchants) in [
            (SUPPORT, "support", json!(["check", "explain"]), None),
            (SERVICE, "service", json!(["check"]), None),
            (BOUND, "bound", json!(["check"]), Some(MERCHANT)),
            (CURIOUS, "vendor", json!(["view", "explain"]), None),
            (WRITER, "writer", json!(["write"]), None),
            (EXPLAINER, "explainer", json!(["explain"]), None),
        ] {
            let mut entry = json!({
                "issuer": issuer, "namespace": namespace, "audience": "none_required", "may": may,
                "keys": {"secret": issuers::VENDOR_SECRET_NAME, "alg": "HS256"},
            });
            if let Some(merchant) = merchants {
                entry["merchants"] = json!([merchant]);
            }
            entries.push(entry);
        }
        *value = Value::from(entries).to_string();
    }
    variables
}

fn question(customer: &str, item: &str) -> Value {
    json!({
        "subject": {"type": "customer", "id": customer},
        "action": {"name": "play"},
        "resource": {"type": "item", "id": item},
    })
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut question = question(HOLDER.0, HOLDER.1);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    question.pointer_mut(parent).unwrap()[name] = value;
    question
}

fn without(pointer: &str) -> Value {
    let mut question = question(HOLDER.0, HOLDER.1);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    question.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    question
}

fn post(target: &str, body: &Value) -> Wire {
    Wire::post(target, body.to_string().into_bytes()).header("Content-Type", "application/json")
}

struct Run<'a> {
    subject: &'a dyn Subject,
    published: &'a Published,
    sent: usize,
}

impl Run<'_> {
    fn token(&self, issuer: &str) -> String {
        let claims = json!({"sub": "back-end", "ctx": ["consumer"]});
        issuers::token_by(issuer, &claims, self.subject.now() + 3_600)
    }

    fn send(&mut self, wire: &Wire) -> Answer {
        self.sent += 1;
        let answer = self.subject.send(wire);
        assert_eq!(problems(wire, &answer, Pages::All), [""; 0], "{}: {}", wire.describe(), answer.text());
        answer
    }

    /// A body that must be answered 200, in the form that the standard's schema has.
    fn ask(&mut self, target: &str, body: &Value, token: &str) -> Value {
        let answer = self.send(&post(target, body).bearer(token));
        assert_eq!(answer.status, 200, "{target} {body}: {}", answer.text());
        let json = answer.json();
        match json.get("evaluations").or(json.get("results")) {
            Some(list) if json.get("results").is_some() => list.as_array().unwrap().iter().for_each(is_item),
            Some(list) => list.as_array().unwrap().iter().for_each(is_decision),
            None => is_decision(&json),
        }
        json
    }
}

/// `evaluation-response.schema.json` of the standard's repository, which has no licence to copy it: an object with a
/// boolean `decision`, and `context` an object if it is there.
fn is_decision(value: &Value) {
    assert!(value["decision"].is_boolean(), "{value}");
    assert!(value.get("context").is_none_or(Value::is_object), "{value}");
}

/// A resource (§5.2): strings `type` and `id`.
fn is_item(value: &Value) {
    assert!(value["type"] == "item" && value["id"].is_string(), "{value}");
}

/// Runs all cases. The subject has [`variables`] and holds `published`. Returns the number of requests.
pub fn run(subject: &dyn Subject, published: &Published) -> usize {
    let mut run = Run { subject, published, sent: 0 };
    musts(&mut run);
    evaluations(&mut run);
    request_ids(&mut run);
    scenario(&mut run);
    who_may_ask_about_whom(&mut run);
    merchants(&mut run);
    decisions(&mut run);
    explained(&mut run);
    searches(&mut run);
    bodies(&mut run);
    run.sent
}

/// What an answer must be.
enum Expected {
    Decision(bool),
    Status(u16, &'static str),
}
use Expected::{Decision, Status};

/// Section of the standard, request, answer.
fn musts(run: &mut Run<'_>) {
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
fn evaluations(run: &mut Run<'_>) {
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
fn request_ids(run: &mut Run<'_>) {
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
fn scenario(run: &mut Run<'_>) {
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

/// The matrix: about itself, about another customer, about an unknown one.
fn who_may_ask_about_whom(run: &mut Run<'_>) {
    let now = run.subject.now();
    let own_subject = HOLDER.0.split_once(':').unwrap().1;
    let curious = issuers::token_by(CURIOUS, &json!({"sub": own_subject, "mid": MERCHANT}), now + 3_600);
    let viewer = run.subject.token("item-buyer");
    let other = "vendor:6fa04b30-448d-48ce-9362-f5f6039d98b4";
    // Status of: itself (or the holder, for services), another customer, an unknown one.
    for (name, token, expected) in [
        ("a viewer", viewer, [200, 403, 403]),
        ("a viewer who may explain", curious, [200, 403, 403]),
        ("a service", run.token(SERVICE), [200, 200, 200]),
        ("a service of the merchant", run.token(BOUND), [200, 200, 200]),
        ("support", run.token(SUPPORT), [200, 200, 200]),
        ("a writer", run.token(WRITER), [403; 3]),
        ("an issuer that may explain and not ask", run.token(EXPLAINER), [403; 3]),
        ("the publisher", issuers::publisher_token(now + 3_600), [403; 3]),
        ("nobody", String::new(), [401; 3]),
    ] {
        for (customer, status) in [HOLDER.0, other, NOBODY].into_iter().zip(expected) {
            let body = question(customer, HOLDER.1);
            for target in [EVALUATION, EVALUATIONS, SEARCH] {
                let wire = post(target, &body);
                let wire = if token.is_empty() { wire } else { wire.bearer(&token) };
                let answer = run.send(&wire);
                assert_eq!(answer.status, status, "{name} {customer} {target}: {}", answer.text());
            }
            if token.is_empty() {
                continue;
            }
            // Among several, the question that is not the caller's is an error by itself.
            let several = json!({"subject": body["subject"], "action": body["action"], "evaluations": [{"resource": body["resource"]}]});
            let answer = run.send(&post(EVALUATIONS, &several).bearer(&token));
            match (status, name) {
                (200, _) => assert_eq!(answer.status, 200),
                (_, "a viewer" | "a viewer who may explain") => {
                    let error = &answer.json()["evaluations"][0]["context"]["error"];
                    assert_eq!((answer.status, &error["status"]), (200, &json!(403)), "{}", answer.text());
                }
                _ => assert_eq!(answer.status, 403, "{name}"),
            }
        }
    }
    let refused = post(EVALUATION, &question(other, HOLDER.1)).bearer(&run.subject.token("item-buyer"));
    let message = "Invalid privileges: the token may ask about its own customer only";
    assert_eq!(run.send(&refused).json(), error_body(403, message, None));
    // Ids that are nearly the viewer's own.
    for id in [
        own_subject,
        &format!("vendor:{own_subject} "),
        &format!("Vendor:{own_subject}"),
        &format!("vendor::{own_subject}"),
        "vendor:",
        "",
    ] {
        let wire = post(EVALUATION, &question(id, HOLDER.1)).bearer(&run.subject.token("item-buyer"));
        assert_eq!(run.send(&wire).status, 403, "{id:?}");
    }
}

/// A service that speaks for one merchant: nothing of the others is known.
fn merchants(run: &mut Run<'_>) {
    let token = run.token(BOUND);
    let lines = &run.published.lines;
    let others: Vec<_> =
        lines.customers.values().filter(|customer| customer.merchant_id == OTHER_MERCHANT).collect();
    let items: Vec<_> = lines.items.values().filter(|item| item.is_active).take(60).collect();
    assert!(!others.is_empty());
    for customer in others.iter().take(5) {
        let ask = |run: &mut Run<'_>, id: &str| {
            let evaluations: Vec<_> = items
                .iter()
                .map(|item| json!({"resource": {"type": "item", "id": item.id.to_string()}}))
                .collect();
            let body = json!({"subject": {"type": "customer", "id": id}, "action": {"name": "play"}, "evaluations": evaluations});
            run.ask(EVALUATIONS, &body, &token)
        };
        // Another merchant's customer is answered as one that does not exist.
        let known = ask(run, &format!("{}:{}", customer.namespace, customer.subject));
        assert_eq!(known, ask(run, NOBODY));
        let evaluations = known["evaluations"].as_array().unwrap();
        for (item, found) in items.iter().zip(evaluations) {
            if item.merchant_id != MERCHANT {
                assert_eq!(
                    (&found["decision"], &found["context"]["reason"]),
                    (&json!(false), &json!("unknown_item"))
                );
            }
        }
        let body = question(&format!("{}:{}", customer.namespace, customer.subject), "x");
        let found = run.ask(SEARCH, &body, &token);
        assert_eq!(
            (&found["results"], &found["context"]["reason"]),
            (&json!([]), &json!("unknown_customer"))
        );
    }
}

fn id_of(persona: &Persona) -> String {
    format!("{}:{}", persona.issuer, persona.claim("sub").unwrap_or_default())
}

/// Decisions about many items by one token, in requests of two hundred.
fn decided(run: &mut Run<'_>, token: &str, customer: &str, items: &[i64]) -> Vec<Value> {
    let mut all = Vec::new();
    for items in items.chunks(200) {
        let evaluations: Vec<_> =
            items.iter().map(|id| json!({"resource": {"type": "item", "id": id.to_string()}})).collect();
        let body = json!({"subject": {"type": "customer", "id": customer}, "action": {"name": "play"}, "evaluations": evaluations});
        all.extend(run.ask(EVALUATIONS, &body, token)["evaluations"].as_array().unwrap().clone());
    }
    all
}

/// Every viewer by every item: a service gets what the oracle says, and a viewer what a check of the item says.
fn decisions(run: &mut Run<'_>) {
    let lines = &run.published.lines;
    let items: Vec<i64> = lines.items.keys().copied().chain([1, 999_999]).take(FREE_PROBES).collect();
    let (service, now) = (run.token(SERVICE), run.subject.now());
    let all = oracle::Oracle {
        items: lines.items.values().collect(),
        licenses: &lines.licenses,
        apps: &lines.apps,
        at: run.published.at,
    };
    for persona in personas::all().iter().filter(|persona| persona.is_signed_in()) {
        let id = id_of(persona);
        let customer =
            lines.customers.get(&(persona.issuer.clone(), persona.claim("sub").unwrap().to_owned()));
        let found = decided(run, &service, &id, &items);
        assert_eq!(found.len(), items.len());
        for (item, found) in items.iter().zip(&found) {
            let viewer = Viewer { customer, client_id: None, merchant_id: None };
            let expected = match all.check(&viewer, *item, now) {
                Check::Granted(end) => (json!(true), json!(end)),
                Check::Denied | Check::NotFound => (json!(false), Value::Null),
            };
            let at = format!("{} {item}: {found}", persona.name);
            assert_eq!((found["decision"].clone(), found["context"]["expires_at"].clone()), expected, "{at}");
            assert!(found["context"]["reason"].is_string() && found["context"]["seq"] == 1, "{at}");
        }
        let token = run.subject.token(&persona.name);
        let own = decided(run, &token, &id, &items);
        for (item, found) in items.iter().zip(&own).step_by(7) {
            let check = run.send(&Wire::get(&format!("/items/{item}/access")).bearer(&token));
            assert_eq!(found["decision"], check.status == 200, "{} {item}: {found}", persona.name);
            if check.status == 200 {
                assert_eq!(
                    found["context"]["expires_at"],
                    check.json()["expires_at"],
                    "{} {item}",
                    persona.name
                );
            }
        }
        let one = run.ask(EVALUATION, &question(&id, &persona.item_id.to_string()), &token);
        assert_eq!(one["decision"], persona.access == 200, "{}", persona.name);
    }
    // Many customers in one request.
    let (mut evaluations, mut expected) = (Vec::new(), Vec::new());
    for customer in lines.customers.values().take(100) {
        let item = 5101;
        let viewer = Viewer { customer: Some(customer), client_id: None, merchant_id: None };
        expected.push(matches!(all.check(&viewer, item, now), Check::Granted(_)));
        evaluations.push(json!({"subject": {"type": "customer", "id": format!("{}:{}", customer.namespace, customer.subject)}}));
    }
    let mut body = question(NOBODY, "5101");
    body["evaluations"] = evaluations.into();
    let found = run.ask(EVALUATIONS, &body, &service);
    let found: Vec<_> =
        found["evaluations"].as_array().unwrap().iter().map(|one| one["decision"] == true).collect();
    assert_eq!(found, expected);
    assert!(found.contains(&true) && found.contains(&false));
}

/// Callers who may explain see every grant that was looked at, and ask about another moment.
fn explained(run: &mut Run<'_>) {
    let (support, service) = (run.token(SUPPORT), run.token(SERVICE));
    let expired = "vendor:41c10c51-d774-4376-8e27-116411ee50c3";
    let mut body = question(expired, "5110");
    let found = run.ask(EVALUATION, &body, &support);
    let context = &found["context"];
    assert_eq!((&found["decision"], &context["reason"]), (&json!(false), &json!("expired")), "{found}");
    assert_eq!((&context["seq"], context["as_of"].as_i64()), (&json!(1), Some(run.published.at)), "{found}");
    let considered = context["considered"].as_array().unwrap();
    assert_eq!((considered.len(), &considered[0]["obstacle"]), (1, &json!("expired")), "{found}");
    assert_eq!(
        (&considered[0]["source"], &considered[0]["found_in"]),
        (&json!("item_access"), &json!("shard"))
    );
    assert!(considered[0]["access_id"].is_i64() && considered[0]["expires_at"].is_i64(), "{found}");
    assert!(run.ask(EVALUATION, &body, &service)["context"].get("considered").is_none());
    // Four days ago it was granted.
    let then = run.published.at - 4 * 86_400;
    body["context"] = json!({"time": then, "country": "DE"});
    let found = run.ask(EVALUATION, &body, &support);
    assert_eq!(
        (&found["decision"], &found["context"]["considered"][0]["obstacle"]),
        (&json!(true), &Value::Null),
        "{found}"
    );
    assert_eq!(run.ask(EVALUATION, &body, &service)["decision"], false, "others ask about the present");
    body["context"] = json!({"time": "tomorrow"});
    assert_eq!(run.send(&post(EVALUATION, &body).bearer(&support)).status, 400);
    assert_eq!(
        run.ask(EVALUATION, &body, &service)["decision"],
        false,
        "and what they say of the time is ignored"
    );
    // An inactive item is an unknown one, but for support.
    let inactive = run.published.lines.items.values().find(|item| !item.is_active).unwrap().id.to_string();
    let body = question(HOLDER.0, &inactive);
    assert_eq!(run.ask(EVALUATION, &body, &service)["context"]["reason"], "unknown_item");
    assert_eq!(run.ask(EVALUATION, &body, &support)["context"]["reason"], "item_inactive");
}

/// All results of a search, page by page.
fn found(run: &mut Run<'_>, token: &str, customer: &str, limit: usize, include_free: bool) -> Vec<i64> {
    let (mut all, mut next) = (Vec::new(), String::new());
    for _ in 0..1_000 {
        let mut body = json!({
            "subject": {"type": "customer", "id": customer}, "action": {"name": "play"}, "resource": {"type": "item"},
            "context": {"include_free": include_free}, "page": {"limit": limit},
        });
        if !next.is_empty() {
            body["page"]["token"] = json!(next);
        }
        let answer = run.ask(SEARCH, &body, token);
        let results = answer["results"].as_array().unwrap();
        assert!(results.len() <= limit);
        assert_eq!(answer["page"]["count"], results.len());
        all.extend(results.iter().map(|one| one["id"].as_str().unwrap().parse::<i64>().unwrap()));
        next = answer["page"]["next_token"].as_str().unwrap().to_owned();
        if next.is_empty() {
            return all;
        }
    }
    panic!("a search without end");
}

/// Every viewer: a search finds what evaluations permit, each item once, whatever the size of a page.
fn searches(run: &mut Run<'_>) {
    let items: Vec<i64> = run.published.lines.items.keys().copied().collect();
    let (mut with_results, mut paged) = (0, 0);
    for persona in personas::all().iter().filter(|persona| persona.is_signed_in()) {
        let (token, id) = (run.subject.token(&persona.name), id_of(persona));
        let permitted: BTreeSet<i64> = items
            .iter()
            .zip(decided(run, &token, &id, &items))
            .filter_map(|(item, found)| (found["decision"] == true).then_some(*item))
            .collect();
        let is_free = |item: &&i64| !run.published.lines.items[item].access_control_type.auth;
        let free: BTreeSet<i64> = permitted.iter().filter(is_free).copied().collect();
        for limit in [100, 3] {
            let all = found(run, &token, &id, limit, true);
            assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), permitted, "{}", persona.name);
            assert_eq!(all.len(), permitted.len(), "{}: an item twice", persona.name);
            let held = found(run, &token, &id, limit, false);
            let set: BTreeSet<i64> = held.iter().copied().collect();
            assert_eq!(held.len(), set.len(), "{}: an item twice", persona.name);
            // Free items may be held as well; all others are.
            assert!(set.is_subset(&permitted), "{}", persona.name);
            assert_eq!(&permitted - &free, &set - &free, "{}", persona.name);
            with_results += usize::from(!set.is_empty());
            paged += usize::from(set.len() > limit);
        }
    }
    assert!(with_results > 10 && paged > 3, "{with_results} {paged}");

    // A token belongs to its question.
    let (service, subscriber) = (run.token(SERVICE), "vendor:6fa04b30-448d-48ce-9362-f5f6039d98b4");
    let mut body = question(subscriber, "");
    body["page"] = json!({"limit": 2});
    let next = run.ask(SEARCH, &body, &service)["page"]["next_token"].clone();
    assert_ne!(next, "");
    // The standard's example repeats the token alone.
    body["page"] = json!({"token": next});
    assert_eq!(run.ask(SEARCH, &body, &service)["page"]["count"], 2);
    for (pointer, value) in [
        ("/page/limit", json!(3)),
        ("/context", json!({"include_free": true})),
        ("/subject/id", json!(HOLDER.0)),
        ("/page/token", json!("1.2.3.4")),
        ("/page/token", json!("guessed")),
    ] {
        let mut other = body.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[name] = value;
        let answer = run.send(&post(SEARCH, &other).bearer(&service));
        assert!(
            answer.status == 400 && answer.json()["errors"]["page"].is_string(),
            "{pointer}: {}",
            answer.text()
        );
    }
    body["page"] = json!({"limit": 0});
    let none = run.ask(SEARCH, &body, &service);
    assert!(none["results"] == json!([]) && none["page"]["next_token"] != "", "{none}");
}

/// Long, deep and broken bodies get a clear 4xx, and only from callers with a token.
fn bodies(run: &mut Run<'_>) {
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
