//! Writes are passed on unchanged, and are never reported as done unless they are.

use admit::{
    limits::{BREAKER_FAILURES, SIGN_IN_MAX_BYTES, WRITE_MAX_BYTES},
    ports::UpstreamAnswer,
};
use admit_testing::memory::{MemoryBody, OriginFault};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Edge, token},
    origin::{Pair, answer, customer, denial, merchant},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Every write of the contract.
const WRITES: [(&str, &str); 15] = [
    ("POST", "/v2/items"),
    ("PUT", "/v2/items/33"),
    ("PATCH", "/v2/items/33"),
    ("DELETE", "/v2/items/33"),
    ("POST", "/v2/items/33/access-fees"),
    ("PUT", "/v2/items/33/access-fees/5"),
    ("DELETE", "/v2/items/33/access-fees/5"),
    ("PATCH", "/v2/items/33/access-fees/bulk"),
    ("PATCH", "/v2/items/packages/33/bulk"),
    ("POST", "/items/access"),
    ("DELETE", "/items/33/access"),
    ("POST", "/accounts/authenticate"),
    ("POST", "/v2/accounts/authenticate"),
    ("POST", "/oauth2/token"),
    ("POST", "/oauth2/authorization"),
];

fn body_of(method: &str) -> &'static str {
    if method == "DELETE" { "" } else { "item_id=1&consumer_id=alice" }
}

pub fn message(reply: &admit::api::reply::Reply) -> String {
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    assert_eq!(body["code"], reply.status);
    body["message"].as_str().unwrap().to_owned()
}

#[test]
fn every_write_reaches_the_origin_and_its_answer_comes_back() {
    let pair = Pair::new(&[]);
    for (method, path) in WRITES {
        for (status, body) in [
            (201, json!({"id": 33, "ünïcode": [1.5, null]})),
            (422, json!({"code": 422, "message": "The amount is wrong", "errors": {"amount": "wrong"}})),
            (412, json!({"code": 412, "message": "In use", "errors": {"412": "In use"}})),
            (500, json!({"code": 500, "message": "Oops", "errors": {"500": "Oops"}})),
        ] {
            let given = body.clone();
            pair.origin().serve(move |_| {
                let mut answer = answer(status, &given);
                answer.headers.push(("entitlement-seq", "9".to_owned()));
                answer.headers.push(("idempotency-replayed", "true".to_owned()));
                answer
            });
            let target = format!("{path}?consumer_id=9&x=%2F..");
            let reply = pair.write(method, &target, body_of(method), &[]);
            assert_eq!(reply.status, status, "{method} {path}");
            let returned: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
            assert_eq!(returned, body, "{method} {path}");
            assert_eq!(reply.header("entitlement-seq"), Some("9"));
            assert_eq!(reply.header("idempotency-replayed"), Some("true"));
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(reply.header("cache-control"), Some("private, no-store"));
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
            let seen = pair.origin().seen().pop().unwrap();
            assert_eq!((seen.method.as_str(), seen.body.as_slice()), (method, body_of(method).as_bytes()));
            assert_eq!(seen.url, format!("https://origin.example/api{target}"));
            assert_eq!(Some(seen.header("x-request-id")), reply.header("x-request-id"));
            let ids = reply.headers.iter().filter(|(name, _)| *name == "x-request-id").count();
            assert_eq!(ids, 1, "one id");
        }
    }
}

#[test]
fn a_success_without_a_body_and_a_limiter_without_one() {
    let pair = Pair::new(&[]);
    let reply = pair.write("DELETE", "/items/1/access?consumer_id=9", "", &[]);
    assert_eq!((reply.status, reply.body.as_bytes(), reply.header("content-type")), (204, &b""[..], None));
    pair.origin().serve(|_| UpstreamAnswer { status: 429, ..UpstreamAnswer::default() });
    let reply = pair.write("POST", "/v2/items", "title=x", &[]);
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2")));
    assert_eq!(message(&reply), "Too many requests");
}

#[test]
fn roles_are_checked_before_anything_is_sent() {
    let pair = Pair::new(&[]);
    let foreign_scope = token(&json!({"sub": "x", "ctx": ["consumer"], "scope": "merchant admin"}));
    for (method, path) in WRITES {
        let is_sign_in = path.contains("auth");
        for (authorization, status) in [
            (String::new(), 401),
            ("Bearer".to_owned(), 401),
            ("Bearer x".to_owned(), 401),
            (format!("Bearer {}", token(&json!({"sub": "x", "ctx": ["merchant"], "exp": 1}))), 401),
            (format!("Bearer {}", customer("alice")), 403),
            (format!("Bearer {foreign_scope}"), 403),
            (format!("Bearer {}", merchant()), 201),
            (merchant(), 201),
        ] {
            let body = body_of(method).as_bytes().to_vec().into();
            let passed = [("content-type", FORM.to_owned())];
            pair.origin().forget_requests();
            let reply = pair.write_as(&authorization, method, path, body, &passed);
            let granted = if method == "DELETE" && path.starts_with("/items/") { 204 } else { 201 };
            let expected = if is_sign_in || status == 201 { granted } else { status };
            assert_eq!(reply.status, expected, "{method} {path} {authorization}");
            assert_eq!(pair.origin().seen().len(), usize::from(expected < 300), "{method} {path}");
            match expected {
                401 => assert_eq!(message(&reply), "Invalid auth token"),
                403 => assert_eq!(message(&reply), "Invalid privileges"),
                _ => {
                    // The verified token in one form, and no token where none is needed.
                    let seen = pair.origin().seen().pop().unwrap();
                    let expected = if is_sign_in { String::new() } else { format!("Bearer {}", merchant()) };
                    assert_eq!(seen.header("authorization"), expected, "{method} {path}");
                }
            }
        }
    }
}

#[test]
fn an_issuer_speaks_for_its_own_merchants_only() {
    let issuers = json!([{"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
        "merchants": [8], "may": ["view", "write"], "keys": {"secret": "SECRET", "alg": "HS256"}}])
    .to_string();
    let pair = Pair::new(&[]);
    let platform = pair.edge.platform().beside();
    let edge = Edge::restricted(platform, &issuers, crate::faults::origin::ORIGIN_URL);
    let pair = Pair { edge, truth: pair.truth };
    let write = |mid: i64| {
        let token = token(&json!({"sub": "shop", "ctx": ["merchant"], "mid": mid}));
        let passed = [("content-type", FORM.to_owned())];
        pair.write_as(&token, "POST", "/v2/items", b"title=x".to_vec().into(), &passed).status
    };
    assert_eq!((write(7), write(8)), (403, 201));
}

#[test]
fn types_and_lengths() {
    let pair = Pair::new(&[]);
    for (method, path) in WRITES {
        // A sign-in has no token yet, and five short fields.
        let limit = if path.contains("auth") { SIGN_IN_MAX_BYTES } else { WRITE_MAX_BYTES };
        let longest = "x".repeat(limit);
        if method == "DELETE" {
            // DELETE has no body, whatever is sent.
            let reply = pair.write(method, path, "item_id=2", &[("content-type", "text/plain")]);
            assert!(reply.status < 300, "{path}");
            assert_eq!(pair.origin().seen().pop().unwrap().body, b"", "{path}");
            continue;
        }
        pair.origin().serve(|_| answer(201, &json!({})));
        for (content_type, status) in [
            (FORM, 201),
            ("application/json", 201),
            ("Application/JSON; charset=utf-8", 201),
            ("APPLICATION/JSON; Charset=\"UTF-8\"", 201),
            ("application/vnd.api+json", 201),
            ("text/plain", 415),
            ("multipart/form-data; boundary=x", 415),
            ("", 415),
        ] {
            let reply = pair.write(method, path, "{}", &[("content-type", content_type)]);
            assert_eq!(reply.status, status, "{method} {path} {content_type}");
            if status == 415 {
                assert_eq!(message(&reply), "Unsupported media type");
            }
        }
        for (header, value, problem) in [
            ("content-encoding", "gzip", "The body must be sent without a Content-Encoding: gzip"),
            (
                "content-type",
                "application/json; charset=latin1",
                "The charset of the Content-Type must be UTF-8: application/json; charset=latin1",
            ),
        ] {
            let reply = pair.write(method, path, "{}", &[(header, value)]);
            assert_eq!((reply.status, message(&reply).as_str()), (415, problem), "{method} {path}");
            let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
            let errors = body["errors"].as_object().unwrap();
            assert!(errors.keys().all(|name| name.eq_ignore_ascii_case(header)), "{body}");
        }
        assert_eq!(pair.write(method, path, "{}", &[("content-encoding", "identity")]).status, 201);
        let sent = pair.origin().seen().len();
        for is_chunked in [false, true] {
            let passed = [("content-type", FORM.to_owned())];
            let authorization = merchant();
            let send = |bytes: Vec<u8>| {
                let body = MemoryBody { bytes, is_chunked, ..MemoryBody::default() };
                pair.write_as(&authorization, method, path, body, &passed)
            };
            let reply = send([longest.as_bytes(), b"x"].concat());
            assert_eq!((reply.status, message(&reply).as_str()), (413, "Body too large"), "{path}");
            assert_eq!(send(longest.clone().into_bytes()).status, 201, "{path}");
        }
        assert_eq!(pair.origin().seen().len(), sent + 2, "{path}");
    }
}

#[test]
fn numbers_methods_and_paths() {
    let pair = Pair::new(&[]);
    for (method, path, status) in [
        ("PUT", "/v2/items/x", 422),
        ("DELETE", "/items/0/access", 422),
        ("PUT", "/v2/items/1/access-fees/..", 422),
        ("PATCH", "/v2/items/packages/%2e%2e/bulk", 422),
        ("DELETE", "/v2/items/..", 422),
        ("DELETE", "/v2/items/1%2F..%2Fx", 422),
        ("POST", "/v2/items/33", 405),
        ("PUT", "/items/33/access", 405),
        ("POST", "/items/33/access", 405),
        ("GET", "/v2/items", 405),
        ("GET", "/accounts/authenticate", 405),
        ("PUT", "/items/access", 405),
        ("POST", "/items/33", 405),
        ("POST", "/v2/items/", 404),
        ("POST", "/v2//items", 404),
        ("POST", "/v2/items/../items", 404),
        ("POST", "/changes", 404),
        ("GET", "/export", 404),
        ("POST", "/oauth2/authorize", 404),
        ("TRACE", "/v2/items", 405),
    ] {
        let reply = pair.write(method, path, "x", &[]);
        assert_eq!(reply.status, status, "{method} {path}");
    }
    assert_eq!(pair.origin().seen().len(), 0);
    let allow = |path| pair.write("PURGE", path, "", &[]).header("allow").map(str::to_owned);
    assert_eq!(allow("/items/33/access").as_deref(), Some("GET, HEAD, DELETE, OPTIONS"));
    assert_eq!(allow("/v2/items/33/access-fees/5").as_deref(), Some("GET, HEAD, PUT, DELETE, OPTIONS"));
    assert_eq!(allow("/license").as_deref(), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn without_an_origin_there_are_no_writes() {
    let edge = Edge::started();
    let pair = Pair { edge, truth: std::rc::Rc::default() };
    for (method, path) in WRITES {
        let reply = pair.write(method, path, body_of(method), &[]);
        let is_read = ["/items/access", "/items/33/access", "/v2/items/33/access-fees"]
            .iter()
            .any(|read| path.starts_with(read));
        assert_eq!(reply.status, if is_read { 405 } else { 404 }, "{method} {path}");
    }
}

#[test]
fn the_origin_sees_only_what_it_should() {
    let pair = Pair::new(&[]);
    let passed: Vec<_> = [
        ("content-type", FORM),
        ("idempotency-key", "k-1"),
        ("accept", "*/*"),
        ("accept-language", "sv"),
        ("user-agent", "SDK/1"),
        // The platform passes only headers on the list; if it ever passes more, they stop here.
        ("x-forwarded-for", "1.1.1.1"),
        ("x-real-ip", "1.1.1.1"),
        ("cf-connecting-ip", "1.1.1.1"),
        ("admit-viewer-address", "1.1.1.1"),
        ("admit-viewer-country", "US"),
        ("x-request-id", "forged"),
        ("connection", "authorization"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("host", "evil.example"),
        ("cookie", "a=b"),
        ("entitlement-seq", "1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    let reply = pair.write_as(&merchant(), "POST", "/v2/items", b"title=x".to_vec().into(), &passed);
    assert_eq!(reply.status, 201);
    let seen = pair.origin().seen().pop().unwrap();
    let mut headers: Vec<_> = seen.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.sort_unstable();
    let authorization = format!("Bearer {}", merchant());
    let expected = [
        ("accept", "*/*"),
        ("accept-language", "sv"),
        ("admit-viewer-address", "203.0.113.9"),
        ("admit-viewer-country", "SE"),
        ("authorization", &authorization),
        ("content-type", FORM),
        ("idempotency-key", "k-1"),
        ("user-agent", "SDK/1"),
        ("x-request-id", reply.header("x-request-id").unwrap()),
    ];
    assert_eq!(headers, expected);
}

pub const MAYBE: &str = "The origin gave no usable answer: the write may have been applied";
pub const NOT: &str = "The origin cannot be reached: the write was not applied";
const LATE: &str = "The origin did not answer in time: the write may have been applied";
const PAUSED: &str = "The origin does not answer at present: the write was not applied";

/// Each fault with and without a key: what the client is told, and how often the write was done.
#[test]
fn no_write_is_said_to_be_done_that_was_not_and_none_is_done_twice() {
    for (fault, key, status, told, done) in [
        (OriginFault::Refuses, "", 502, NOT, 0),
        (OriginFault::BreaksBefore, "", 502, MAYBE, 0),
        (OriginFault::BreaksAfter, "", 502, MAYBE, 1),
        (OriginFault::HangsAfter, "", 504, LATE, 1),
        (OriginFault::TooLong, "", 502, MAYBE, 1),
        // With a key the edge sends the write again, and the origin recognises it.
        (OriginFault::Refuses, "k", 201, "", 1),
        (OriginFault::BreaksBefore, "k", 201, "", 1),
        (OriginFault::BreaksAfter, "k", 201, "", 1),
        (OriginFault::HangsAfter, "k", 504, LATE, 1),
        (OriginFault::TooLong, "k", 502, MAYBE, 1),
    ] {
        for (method, path) in WRITES.into_iter().filter(|(method, _)| *method != "DELETE") {
            // A sign-in has no use for a key.
            if path.contains("auth") && !key.is_empty() {
                continue;
            }
            let pair = Pair::new(&[]);
            pair.origin().break_times(fault, 1);
            let headers = [("idempotency-key", key)];
            let reply = pair.write(method, path, body_of(method), &headers[..usize::from(!key.is_empty())]);
            let at = format!("{fault:?} {method} {path} {key:?}");
            assert_eq!((reply.status, pair.origin().done().len()), (status, done), "{at}");
            if status > 499 {
                assert_eq!(message(&reply), told, "{at}");
                assert!(reply.header("retry-after").is_some(), "{at}");
            }
            // The client repeats the write with its key, as it was told: it is done once in all.
            let again = pair.write(method, path, body_of(method), &headers[..usize::from(!key.is_empty())]);
            assert_eq!(again.status, 201, "{at}");
            if !key.is_empty() {
                assert_eq!(pair.origin().done().len(), 1, "{at}");
            }
        }
        // A repeated DELETE would be answered that there is nothing, so it is not repeated.
        let pair = Pair::new(&[]);
        pair.origin().break_times(fault, 1);
        let reply = pair.write("DELETE", "/items/1/access?consumer_id=9", "", &[]);
        assert!(reply.status >= 502 && pair.origin().done().len() <= 1, "{fault:?}");
    }
}

/// It does not count against the origin either: every client can send half of a body.
#[test]
fn a_client_that_goes_away_while_it_sends_has_written_nothing() {
    let pair = Pair::new(&[]);
    let passed = [("content-type", FORM.to_owned())];
    let long = format!("item_id=1&consumer_id=alice&x={}", "x".repeat(100_000));
    for (bytes, is_chunked) in [("item_id=1&consumer_id=alice", false), ("item_id=1", true), (&long, false)] {
        for _ in 0..10 {
            let body = MemoryBody { bytes: bytes.as_bytes().to_vec(), is_interrupted: true, is_chunked };
            let reply = pair.write_as(&merchant(), "POST", "/items/access", body, &passed);
            let expected = if bytes.len() > 1_000 { 502 } else { 422 };
            assert_eq!(reply.status, expected);
        }
    }
    assert_eq!(pair.origin().done().len(), 0);
    let whole = long.into_bytes().into();
    assert_eq!(pair.write_as(&merchant(), "POST", "/items/access", whole, &passed).status, 201);
}

#[test]
fn an_origin_that_fails_is_left_alone_and_found_again() {
    let pair = Pair::new(&[]);
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    let write = || pair.write("POST", "/v2/items", "title=x", &[]);
    for _ in 0..BREAKER_FAILURES {
        assert_eq!(message(&write()), NOT);
    }
    let reply = write();
    assert_eq!((reply.status, message(&reply).as_str()), (503, PAUSED));
    assert_eq!(reply.header("retry-after"), Some("5"));
    pair.edge.platform().clock().advance_ms(4_999);
    assert_eq!(write().status, 503);
    pair.edge.platform().clock().advance_ms(1);
    assert_eq!(write().status, 502, "one tries");
    assert_eq!(write().status, 503);
    pair.origin().mend();
    pair.edge.advance_secs(5);
    assert_eq!((write().status, write().status), (201, 201));
    assert_eq!(pair.origin().done().len(), 2);
    // Checks have a circuit of their own.
    pair.origin().break_times(OriginFault::Refuses, BREAKER_FAILURES);
    for _ in 0..BREAKER_FAILURES {
        write();
    }
    pair.bought("alice", 1);
    assert_eq!(pair.status(1), 200);
    // The origin's own refusals are not failures.
    let pair = Pair::new(&[]);
    pair.origin().serve(|_| denial(422, "No"));
    for _ in 0..20 {
        assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 422);
    }
}
