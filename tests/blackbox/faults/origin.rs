//! An edge with a small origin behind it, which knows who may play what, and does as it is told.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use admit::{
    api::reply::{Reply, Request},
    ports::{Platform as _, UpstreamAnswer},
};
use admit_testing::memory::{MemoryBody, MemoryOrigin, MemoryPlatform, SeenRequest, block_on};
use serde_json::{Value, json};

use crate::{
    faults::edge::{Business, CONTENT, CUSTOMER, Edge, START, token},
    origin::{form_field, subject_of},
};

pub const ORIGIN_URL: &str = "https://origin.example/api";

/// When every access at the origin ends.
pub const UNTIL: i64 = START + 50_000;

/// The origin's data: who may play which item, by subject.
#[derive(Default)]
pub struct Truth {
    pub granted: BTreeSet<(String, i64)>,
    pub seq: u64,
    /// Whether it answers questions about several items.
    pub has_evaluations: bool,
}

/// An edge and its origin.
pub struct Pair {
    pub edge: Edge,
    pub truth: Rc<RefCell<Truth>>,
}

/// The token of a customer.
pub fn customer(subject: &str) -> String {
    token(&json!({ "sub": subject }))
}

/// The token of a merchant.
pub fn merchant() -> String {
    token(&json!({"sub": "shop", "ctx": ["merchant"], "mid": 7}))
}

pub fn answer(status: u16, body: &Value) -> UpstreamAnswer {
    let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    UpstreamAnswer { status, headers, body: body.to_string().into_bytes() }
}

pub fn denial(status: u16, message: &str) -> UpstreamAnswer {
    answer(status, &json!({"code": status, "message": message, "errors": {"a": message}}))
}

/// The origin's answer to a check that it grants.
pub fn access(item_id: i64) -> Value {
    json!({"id": 44, "account_id": 7, "customer_id": 9, "customer_uuid": "u", "ip_address": "10.0.0.1",
           "country_code": "ZZ", "created_at": 1, "expires_at": UNTIL, "item": {"id": item_id, "merchant_id": 7, "content": CONTENT, "item_type": {"name": "jw_asset"}}})
}

impl Truth {
    pub fn answer(&mut self, seen: &SeenRequest) -> UpstreamAnswer {
        let path = seen.url.strip_prefix(ORIGIN_URL).unwrap().split('?').next().unwrap().to_owned();
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let mut answer = match (seen.method.as_str(), segments.as_slice()) {
            ("GET", ["items", id, "access"]) => {
                let id: i64 = id.parse().unwrap();
                if self.granted.contains(&(subject_of(seen.header("authorization")), id)) {
                    answer(200, &access(id))
                } else if id > 100 {
                    denial(404, "Item not found")
                } else {
                    denial(402, "No access")
                }
            }
            ("GET", _) => answer(200, &json!({"of": "the origin"})),
            ("POST", ["access", "v1", "evaluations"]) if self.has_evaluations => self.evaluations(seen),
            ("POST", ["access", ..]) => denial(404, "Route not found"),
            ("POST", ["items", "access"]) => {
                let field = |name| form_field(&seen.body, name);
                self.granted.insert((field("consumer_id"), field("item_id").parse().unwrap()));
                self.seq += 1;
                answer(201, &json!({"id": 44}))
            }
            ("DELETE", ["items", id, "access"]) => {
                let id: i64 = id.parse().unwrap();
                self.granted.retain(|(_, item)| *item != id);
                self.seq += 1;
                UpstreamAnswer { status: 204, ..UpstreamAnswer::default() }
            }
            _ => {
                self.seq += 1;
                answer(201, &json!({"id": 1}))
            }
        };
        answer.headers.push(("entitlement-seq", self.seq.to_string()));
        answer
    }

    /// The answer to a question about several items of the token's owner.
    fn evaluations(&self, seen: &SeenRequest) -> UpstreamAnswer {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let subject = subject_of(seen.header("authorization"));
        assert_eq!(body["subject"], json!({"type": "customer", "id": format!("v:{subject}")}));
        assert_eq!(body["action"], json!({"name": "play"}));
        let ids = item_ids(seen);
        let entries: Vec<_> = ids.iter().map(|id| self.evaluation(&subject, *id)).collect();
        answer(200, &json!({ "evaluations": entries }))
    }

    pub fn evaluation(&self, subject: &str, id: i64) -> Value {
        if self.granted.contains(&(subject.to_owned(), id)) {
            let item = json!({"id": id, "merchant_id": 7});
            return json!({"decision": true, "context": {"reason": "item_access", "expires_at": UNTIL, "item": item}});
        }
        let reason = if id > 100 { "unknown_item" } else { "no_grant" };
        json!({"decision": false, "context": {"reason": reason, "item": {"id": id}}})
    }
}

/// The items that a question about several asks for.
pub fn item_ids(seen: &SeenRequest) -> Vec<i64> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let evaluations = body["evaluations"].as_array().unwrap();
    evaluations.iter().map(|one| one["resource"]["id"].as_str().unwrap().parse().unwrap()).collect()
}

impl Pair {
    /// A snapshot in which no customer has bought anything, and an origin with the same data.
    pub fn new(variables: &[(&str, &str)]) -> Self {
        let pair = Self::without_snapshot(variables);
        Business::new(1, None).publish(pair.edge.platform());
        pair
    }

    pub fn without_snapshot(variables: &[(&str, &str)]) -> Self {
        let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
        let variables = [&[("ORIGIN_URL", ORIGIN_URL)], variables].concat();
        let edge = Edge::configured(platform, &variables);
        let truth = Rc::new(RefCell::new(Truth { seq: 1, ..Truth::default() }));
        let served = Rc::clone(&truth);
        edge.platform().upstream().serve(move |seen| served.borrow_mut().answer(seen));
        Self { edge, truth }
    }

    pub fn origin(&self) -> &MemoryOrigin {
        self.edge.platform().upstream()
    }

    /// Records a purchase at the origin that did not come through the edge.
    pub fn bought(&self, subject: &str, item_id: i64) {
        let mut truth = self.truth.borrow_mut();
        truth.granted.insert((subject.to_owned(), item_id));
        truth.seq += 1;
    }

    pub fn revoked(&self) {
        let mut truth = self.truth.borrow_mut();
        truth.granted.clear();
        truth.seq += 1;
    }

    pub fn check(&self, subject: &str, item_id: i64) -> Reply {
        self.edge.get(&format!("/items/{item_id}/access"), &customer(subject))
    }

    pub fn status(&self, item_id: i64) -> u16 {
        self.check(CUSTOMER, item_id).status
    }

    pub fn check_with_min_seq(&self, path: &str, min_seq: u64) -> Reply {
        let authorization = format!("Bearer {}", customer(CUSTOMER));
        let request =
            Request { method: "GET", path, authorization: &authorization, min_seq, ..Request::default() };
        block_on(self.edge.app.handle(&request, MemoryBody::default()))
    }

    /// How often the edge has asked the origin to check.
    pub fn asked(&self) -> usize {
        self.origin().seen().iter().filter(|seen| seen.method == "GET").count()
    }

    /// Sends a merchant's write. `target` may have a query.
    pub fn write(&self, method: &str, target: &str, body: &str, headers: &[(&'static str, &str)]) -> Reply {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        for (name, value) in headers {
            all.retain(|(known, _)| known != name);
            all.push((name, (*value).to_owned()));
        }
        self.write_as(
            &format!("Bearer {}", merchant()),
            method,
            target,
            body.as_bytes().to_vec().into(),
            &all,
        )
    }

    pub fn write_as(
        &self,
        authorization: &str,
        method: &str,
        target: &str,
        body: MemoryBody,
        passed: &[(&'static str, String)],
    ) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method,
            path,
            query,
            authorization,
            ip_address: "203.0.113.9",
            country: "SE",
            passed,
            ..Request::default()
        };
        block_on(self.edge.app.handle(&request, body))
    }

    /// A merchant grants access through the edge.
    pub fn grant(&self, subject: &str, item_id: i64) -> Reply {
        self.write("POST", "/items/access", &format!("item_id={item_id}&consumer_id={subject}"), &[])
    }
}
