//! Every refusal by the edge is logged with the invalid field, parameter or header.

use admit::{
    api::reply::Reply,
    limits::{CURSOR_MAX_BYTES, WRITE_MAX_BYTES},
};
use admit_testing::memory::MemoryBody;
use serde_json::{Value, json};

use crate::faults::{
    edge::{CUSTOMER, Edge, token},
    origin::{ORIGIN_URL, Pair, customer, merchant},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A request that is refused.
struct Wrong {
    method: &'static str,
    target: String,
    bearer: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    /// What the log line names.
    named: &'static str,
}

fn wrong(method: &'static str, target: &str, bearer: &str, status: u16, named: &'static str) -> Wrong {
    let body = if method == "GET" || method == "DELETE" { Vec::new() } else { b"title=x".to_vec() };
    let (target, bearer) = (target.to_owned(), bearer.to_owned());
    Wrong { method, target, bearer, headers: vec![FORM], body, status, named }
}

impl Wrong {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

fn all(publisher: &str) -> Vec<Wrong> {
    let (viewer, shop) = (customer(CUSTOMER), merchant());
    let long_cursor = format!("/snapshot/keys?prefix=shard/&cursor={}", "c".repeat(CURSOR_MAX_BYTES + 1));
    let object = format!("/snapshot/shard/{}", "0".repeat(64));
    let mut table = vec![
        // Numbers in paths.
        wrong("GET", "/items/x/access", &viewer, 422, "id"),
        wrong("GET", "/items/0", "", 422, "id"),
        wrong("GET", "/items/packages/-1", "", 422, "id"),
        wrong("GET", "/v2/items/1/access-fees/x", "", 422, "fee_id"),
        wrong("PUT", "/v2/items/1/access-fees/0", &shop, 422, "fee_id"),
        wrong("DELETE", "/items/1.5/access", &shop, 422, "id"),
        // Parameters.
        wrong("GET", "/items/packages/1/items?page=0", "", 422, "page"),
        wrong("GET", "/items/packages/1/items?limit=101", "", 422, "limit"),
        wrong("GET", "/items/packages/1/items?limit=1&limit=%", "", 422, "limit"),
        wrong("GET", "/snapshot/keys?prefix=jwks/", publisher, 422, "prefix"),
        wrong("GET", "/snapshot/keys", publisher, 422, "prefix"),
        wrong("GET", &long_cursor, publisher, 422, "cursor"),
        // Headers of bodies.
        wrong("POST", "/v2/items", &shop, 415, "Content-Type").header("content-type", "text/plain"),
        wrong("POST", "/v2/items", &shop, 415, "Content-Type").header("content-type", ""),
        wrong("POST", "/v2/items", &shop, 415, "Content-Type")
            .header("content-type", "application/json; charset=latin1"),
        wrong("POST", "/oauth2/token", "", 415, "Content-Type").header("content-type", "text/xml"),
        wrong("POST", "/oauth2/token", "", 415, "Content-Encoding").header("content-encoding", "br"),
        wrong("PATCH", "/v2/items/1", &shop, 415, "Content-Encoding").header("content-encoding", "gzip"),
        wrong("POST", "/v2/items", &shop, 422, "Idempotency-Key").header("idempotency-key", "ключ"),
        // Bodies.
        wrong("POST", "/v2/items", &shop, 413, "body").body(vec![b'x'; WRITE_MAX_BYTES + 1]),
        wrong("PUT", &object, publisher, 422, "body"),
        wrong("PUT", "/snapshot/head", publisher, 413, "body").body(vec![b'x'; 1 << 20]),
        wrong("PUT", "/snapshot/head", publisher, 422, "body"),
        wrong("PUT", "/snapshot/lease", publisher, 422, "body"),
        wrong("PUT", "/snapshot/lease", publisher, 422, "until")
            .body(json!({"holder": "0".repeat(32), "host": "h", "until": 1}).to_string()),
        wrong("POST", "/snapshot/pack", publisher, 422, "body"),
        wrong("POST", "/snapshot/check", publisher, 422, "body"),
    ];
    // Every route of the publish API.
    for (method, target) in [
        ("PUT", object.as_str()),
        ("PUT", "/snapshot/head"),
        ("PUT", "/snapshot/version/1"),
        ("PUT", "/snapshot/lease"),
        ("PUT", "/snapshot/garbage"),
        ("POST", "/snapshot/pack"),
        ("POST", "/snapshot/check"),
    ] {
        let gzip = wrong(method, target, publisher, 415, "Content-Encoding");
        table.push(gzip.header("content-encoding", "gzip"));
    }
    table
}

#[test]
fn every_refusal_names_what_is_wrong() {
    let issuers = json!([{"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
        "may": ["view", "write", "publish"], "keys": {"secret": "SECRET", "alg": "HS256"}}])
    .to_string();
    let pair = Pair::new(&[]);
    let edge = Edge::restricted(pair.edge.platform().beside(), &issuers, ORIGIN_URL);
    let pair = Pair { edge, truth: pair.truth };
    let publisher = token(&json!({"sub": "sync", "scope": "snapshot:publish"}));
    let log = pair.edge.platform().memory_log();
    for Wrong { method, target, bearer, headers, body, status, named } in all(&publisher) {
        let passed: Vec<_> = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        drop(log.take());
        let bearer = if bearer.is_empty() { bearer } else { format!("Bearer {bearer}") };
        let reply = pair.write_as(&bearer, method, &target, MemoryBody::from(body), &passed);
        let at = format!("{method} {target} {passed:?}");
        assert_eq!(reply.status, status, "{at}: {}", text(&reply));
        let lines = log.take();
        let line = lines.iter().find(|line| line.contains(r#""event":"request""#));
        let line: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{at} is not logged"))).unwrap();
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.starts_with(&format!("{named}: ")), "{at}: {reason}");
        assert!(reason.len() < 400, "{at}: {reason}");
        // The client learns the same, except for the one message that players know.
        if !target.ends_with("/access")
            && !matches!(text(&reply).as_str(), "Unsupported media type" | "Body too large")
        {
            let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
            assert_eq!(body["errors"].as_object().unwrap().keys().collect::<Vec<_>>(), [named], "{at}");
        }
        assert_eq!(pair.origin().seen().len(), 0, "{at}");
    }
}

fn text(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap_or_default();
    body["message"].as_str().unwrap_or_default().to_owned()
}
