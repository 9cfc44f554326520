//! AuthZEN Authorization API 1.0: every MUST of the standard for a decision point as a row, the scenario of its
//! certification as far as it applies, which customers a caller may ask about, and decisions and searches beside the
//! oracle and the checks of `/items/{id}/access`.

mod askers;
mod oracle;
mod standard;

use serde_json::{Value, json};

use crate::{
    catalogue::Published,
    check::{Pages, problems},
    configured, issuers,
    subject::Subject,
    wire::{Answer, Wire},
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

/// The usual variables, with the issuers of these cases, and `changes`.
pub fn variables(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let entries = [
        (SUPPORT, "support", json!(["check", "explain"]), None),
        (SERVICE, "service", json!(["check"]), None),
        (BOUND, "bound", json!(["check"]), Some(MERCHANT)),
        (CURIOUS, "vendor", json!(["view", "explain"]), None),
        (WRITER, "writer", json!(["write"]), None),
        (EXPLAINER, "explainer", json!(["explain"]), None),
    ]
    .map(|(issuer, namespace, may, merchant)| issuers::by_vendors_secret(issuer, namespace, &may, merchant));
    issuers::with_issuers(configured::variables(changes), entries)
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
    standard::musts(&mut run);
    standard::evaluations(&mut run);
    standard::request_ids(&mut run);
    standard::scenario(&mut run);
    standard::bodies(&mut run);
    askers::who_may_ask_about_whom(&mut run);
    askers::merchants(&mut run);
    askers::explained(&mut run);
    oracle::decisions(&mut run);
    oracle::searches(&mut run);
    run.sent
}
