//! Every change leaves exactly one audit event: who asked for it, by which request, and the outcome.

use admit::{
    api::reply::Request,
    ports::{Platform as _, UpstreamAnswer},
    snapshot::key::EntryKey,
};
use admit_testing::memory::{Fault, MemoryBody, OriginFault, poll_once};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, JWKS_URL, START, Signer, token},
    origin::{Pair, denial, merchant},
};

/// The audit events so far; they are removed.
fn events(edge: &Edge) -> Vec<Value> {
    let lines = edge.platform().memory_log().take();
    let events = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "audit").collect()
}

/// The only event.
fn event(edge: &Edge) -> Value {
    let mut events = events(edge);
    assert_eq!(events.len(), 1, "{events:?}");
    events.pop().unwrap()
}

fn subject_hash(namespace: &str, subject: &str) -> String {
    EntryKey::customer(namespace, subject).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_write_that_is_passed_on() {
    let claims = json!({"sub": "shop@example.com", "ctx": ["merchant"], "mid": 7, "jti": "token-1"});
    let authorization = format!("Bearer {}", token(&claims));
    let passed = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    // Independent of LOG_CHECKS.
    for log_checks in ["none", "denied", "all"] {
        for (method, path) in [
            ("POST", "/items/access"),
            ("DELETE", "/items/1/access"),
            ("POST", "/v2/items"),
            ("PUT", "/v2/items/1"),
            ("PATCH", "/v2/items/1"),
            ("DELETE", "/v2/items/1"),
            ("POST", "/v2/items/1/access-fees"),
            ("PUT", "/v2/items/1/access-fees/5"),
            ("DELETE", "/v2/items/1/access-fees/5"),
            ("PATCH", "/v2/items/1/access-fees/bulk"),
            ("PATCH", "/v2/items/packages/1/bulk"),
        ] {
            let pair = Pair::new(&[("LOG_CHECKS", log_checks)]);
            let body = "item_id=1&consumer_id=alice".as_bytes().to_vec();
            let reply = pair.write_as(&authorization, method, path, body.into(), &passed);
            let id = reply.header("x-request-id").unwrap();
            let expected = json!({
                "event": "audit", "request_id": id, "action": "write", "route": format!("{method} {path}"),
                "outcome": "applied", "status": reply.status, "seq": 2, "address": "203.0.113.9",
                "issuer": "https://v.example", "subject_hash": subject_hash("v", "shop@example.com"),
                "merchant_id": 7, "jti": "token-1",
            });
            assert_eq!(event(&pair.edge), expected);
            assert_eq!(
                pair.origin().seen().pop().unwrap().header("x-request-id"),
                id,
                "the upstream got the same id"
            );
        }
    }
}

#[test]
fn every_outcome_of_a_write() {
    let page = UpstreamAnswer { status: 200, body: b"<html>".to_vec(), ..UpstreamAnswer::default() };
    let mut busy = denial(503, "Busy");
    busy.headers.push(("retry-after", "5".to_owned()));
    for (given, outcome) in [
        (denial(201, "fine"), "applied"),
        (denial(422, "No"), "refused"),
        (denial(429, "Slow"), "refused"),
        (denial(500, "Oops"), "unknown"),
        (busy, "refused"),
        (denial(503, "Down"), "unknown"),
        (page, "unknown"),
        (UpstreamAnswer { status: 302, ..UpstreamAnswer::default() }, "refused"),
        (UpstreamAnswer { status: 504, ..UpstreamAnswer::default() }, "unknown"),
        (UpstreamAnswer { status: 521, ..UpstreamAnswer::default() }, "refused"),
    ] {
        let pair = Pair::new(&[]);
        let shown = given.status;
        pair.origin().serve(move |_| given.clone());
        let status = pair.write("POST", "/v2/items", "title=x", &[]).status;
        let event = event(&pair.edge);
        assert_eq!((&event["outcome"], &event["status"]), (&json!(outcome), &json!(status)), "{shown}");
    }
    for (fault, outcome) in [
        (OriginFault::Refuses, "refused"),
        (OriginFault::BreaksBefore, "unknown"),
        (OriginFault::BreaksAfter, "unknown"),
        (OriginFault::HangsAfter, "unknown"),
        (OriginFault::TooLong, "unknown"),
    ] {
        let pair = Pair::new(&[]);
        pair.origin().break_times(fault, 1);
        pair.write("POST", "/v2/items", "title=x", &[]);
        assert_eq!(event(&pair.edge)["outcome"], outcome, "{fault:?}");
    }
    // A repeated write has one event.
    let pair = Pair::new(&[]);
    pair.origin().break_times(OriginFault::BreaksAfter, 1);
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[("idempotency-key", "k")]).status, 201);
    assert_eq!(event(&pair.edge)["outcome"], "applied");
}

/// A write that the edge refuses has an event too, if the token says who tried. Requests without a valid
/// token do not fill the log.
#[test]
fn what_the_edge_refuses() {
    let pair = Pair::new(&[]);
    let passed = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    let viewer = format!("Bearer {}", token(&json!({"sub": CUSTOMER})));
    let merchant = format!("Bearer {}", merchant());
    for (authorization, path, status, count) in [
        ("", "/v2/items", 401, 0),
        ("Bearer x.y.z", "/v2/items", 401, 0),
        (viewer.as_str(), "/v2/items", 403, 1),
        (merchant.as_str(), "/items/x/access-fees", 405, 0),
        (merchant.as_str(), "/v2/items/1/access-fees", 201, 1),
        (merchant.as_str(), "/nowhere", 404, 0),
    ] {
        let reply = pair.write_as(authorization, "POST", path, MemoryBody::from(b"a=b".to_vec()), &passed);
        let events = events(&pair.edge);
        assert_eq!((reply.status, events.len()), (status, count), "{path}: {events:?}");
        if status == 403 {
            assert_eq!(events[0]["outcome"], "refused");
            assert_eq!(events[0]["subject_hash"], subject_hash("v", CUSTOMER));
        }
    }
    let reply = pair.write("POST", "/v2/items", "x", &[("content-type", "text/plain")]);
    assert_eq!((reply.status, &event(&pair.edge)["outcome"]), (415, &json!("refused")));
    // Reads and preflights change nothing.
    pair.edge.get("/items/1", "");
    pair.check(CUSTOMER, 1);
    pair.write("OPTIONS", "/v2/items", "", &[]);
    assert_eq!(events(&pair.edge), [Value::Null; 0]);
}

#[test]
fn every_sign_in() {
    let pair = Pair::new(&[]);
    for path in
        ["/oauth2/token", "/oauth2/authorization", "/accounts/authenticate", "/v2/accounts/authenticate"]
    {
        let reply = pair.write("POST", path, "username=eve@example.com&password=secret", &[]);
        let lines = pair.edge.platform().memory_log().take();
        let lines: Vec<_> = lines.iter().filter(|line| line.contains(r#""event":"audit""#)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let event: Value = serde_json::from_str(lines[0]).unwrap();
        let expected = json!({
            "event": "audit", "request_id": reply.header("x-request-id").unwrap(), "action": "sign_in",
            "route": format!("POST {path}"), "outcome": "applied", "status": 201, "seq": event["seq"],
            "address": "203.0.113.9",
        });
        assert_eq!(event, expected, "a sign-in has no token, and its body stays out of the log");
    }
    pair.origin().serve(|_| denial(401, "Wrong"));
    pair.write("POST", "/oauth2/token", "username=eve@example.com&password=secret", &[]);
    assert_eq!(event(&pair.edge)["outcome"], "refused");
}

/// The client goes away while the upstream is being asked. If the platform then stops the request, the
/// outcome stays unknown.
#[test]
fn a_client_that_goes_away() {
    let pair = Pair::new(&[]);
    pair.origin().break_times(OriginFault::Never, 1);
    let authorization = format!("Bearer {}", merchant());
    let passed = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    let request = Request {
        method: "POST",
        path: "/v2/items",
        authorization: &authorization,
        passed: &passed,
        ..Request::default()
    };
    let mut lost = Box::pin(pair.edge.app.handle(&request, MemoryBody::from(b"title=x".to_vec())));
    for _ in 0..10 {
        assert!(poll_once(&mut lost).is_pending());
    }
    assert_eq!(events(&pair.edge), [Value::Null; 0], "the outcome is unknown");
    drop(lost);
    let event = event(&pair.edge);
    assert_eq!(
        (&event["outcome"], &event["status"], &event["merchant_id"]),
        (&json!("unknown"), &Value::Null, &json!(7))
    );
    // The body ended early, so nothing was sent.
    let body = MemoryBody { bytes: b"title".to_vec(), is_interrupted: true, ..MemoryBody::default() };
    assert_eq!(pair.write_as(&authorization, "POST", "/v2/items", body, &passed).status, 422);
    assert_eq!(self::event(&pair.edge)["outcome"], "refused");
}

#[test]
fn every_change_of_what_is_published() {
    let edge = Edge::started();
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let business = Business::new(3, None);
    let holder = "0123456789abcdef0123456789abcdef";
    let lease = json!({"holder": holder, "host": "h", "until": START + 60}).to_string();
    let (name, object) = &business.objects[0];
    let spare = Business::new(9, Some(START + 5)).objects;
    let (spare, spare_object) =
        spare.iter().find(|(name, _)| !business.objects.iter().any(|(known, _)| known == name)).unwrap();
    let pack: Vec<u8> = Vec::new();
    let head = business.jws(Signer::Publisher);
    let mut steps: Vec<(&str, String, &str, Vec<u8>)> = vec![
        ("PUT", "lease".to_owned(), "take_lease", lease.into_bytes()),
        ("PUT", name.to_string(), "store", object.clone()),
        ("PUT", spare.to_string(), "store", spare_object.clone()),
    ];
    for (name, object) in &business.objects[1..] {
        steps.push(("PUT", name.to_string(), "store", object.clone()));
    }
    steps.extend([
        ("PUT", "version/3".to_owned(), "store", head.clone().into_bytes()),
        ("PUT", "head".to_owned(), "publish", head.into_bytes()),
        ("PUT", "garbage".to_owned(), "store", b"{}".to_vec()),
        ("DELETE", spare.to_string(), "delete", Vec::new()),
        ("DELETE", "version/3".to_owned(), "delete", Vec::new()),
        ("DELETE", "lease".to_owned(), "release_lease", Vec::new()),
    ]);
    for (method, key, action, body) in steps {
        let reply = edge.publish(method, &format!("/snapshot/{key}"), holder, body);
        let mut expected = json!({
            "event": "audit", "request_id": reply.header("x-request-id").unwrap(), "action": action, "key": key,
            "outcome": "applied", "status": reply.status, "holder": holder, "issuer": "https://i.example",
            "subject_hash": subject_hash("i", "sync"),
        });
        if action == "publish" {
            expected["seq"] = 3.into();
        }
        assert!(reply.status < 300, "{method} {key}: {}", String::from_utf8_lossy(reply.body.as_bytes()));
        assert_eq!(event(&edge), expected, "{method} {key}");
    }
    // Refused changes, and one that was not confirmed.
    let refused = edge.publish("PUT", "/snapshot/head", "", b"x".to_vec());
    assert_eq!((refused.status, &event(&edge)["outcome"]), (422, &json!("refused")));
    let packed = edge.publish("POST", "/snapshot/pack", "", pack);
    let told = event(&edge);
    assert_eq!((&told["key"], &told["status"]), (&json!("pack"), &json!(packed.status)));
    edge.platform().store().break_on("", Fault::PutUnconfirmed);
    let failed = edge.publish("PUT", &format!("/snapshot/{name}"), "", object.clone());
    assert_eq!((failed.status, &event(&edge)["outcome"]), (503, &json!("unknown")));
    // Reads leave no event.
    for target in ["/snapshot/head", "/snapshot/lease", "/snapshot/issuers"] {
        edge.publish("GET", target, "", Vec::new());
        assert_eq!(events(&edge), [Value::Null; 0], "{target}");
    }
}
