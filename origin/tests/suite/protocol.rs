//! Properties of every answer, and odd requests.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::json;

use crate::support::{FEED_SECRET, Origin};

#[test]
fn paths_and_methods() {
    let origin = Origin::start();
    for path in [
        "/",
        "/v2",
        "/v2/items/",
        "/snapshot/head",
        "/items/5101/",
        "/Items/5101",
        "/%69tems/5101",
        "/v2/items/1/x",
    ] {
        origin.ask("GET", path).send().refused(404, "Route not found");
        // Without a token, a request learns no more than that.
        origin.ask("POST", path).send().refused(404, "Route not found");
    }
    for (method, path, allow) in [
        ("GET", "/v2/items", "POST, OPTIONS"),
        ("GET", "/v2/items/5101", "PUT, PATCH, DELETE, OPTIONS"),
        ("POST", "/items/5101", "GET, HEAD, OPTIONS"),
        ("PUT", "/items/5101/access", "GET, HEAD, DELETE, OPTIONS"),
        ("DELETE", "/items/access", "GET, HEAD, POST, OPTIONS"),
        ("PATCH", "/v2/items/5101/access-fees", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/v2/items/5101/access-fees/7013", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("PUT", "/v2/items/packages/5001/bulk", "PATCH, OPTIONS"),
        ("GET", "/accounts/authenticate", "POST, OPTIONS"),
        ("BREW", "/license", "GET, HEAD, OPTIONS"),
    ] {
        let answer = origin.ask(method, path).send().refused(405, "Method not allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[test]
fn preflights_need_no_token_and_name_every_method() {
    let origin = Origin::start();
    for path in ["/items/access", "/v2/items/5101", "/nowhere", "/oauth2/token"] {
        let ask = origin.ask("OPTIONS", path).header("origin", "https://tv.example");
        let answer =
            ask.header("access-control-request-headers", "authorization,traceparent").send().expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            answer.header("access-control-allow-methods"),
            Some("GET, HEAD, POST, PUT, PATCH, DELETE")
        );
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("authorization, content-type, idempotency-key, entitlement-min-seq, traceparent")
        );
        assert!(answer.header("access-control-max-age").is_some());
        assert_eq!(answer.header("allow").is_some(), path != "/nowhere");
    }
}

#[test]
fn head_is_get_without_a_body() {
    let origin = Origin::start();
    let get = origin.ask("GET", "/items/5101").send().expect(200);
    let head = origin.ask("HEAD", "/items/5101").send().expect(200);
    assert_eq!(head.text, "");
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(head.header("content-type"), get.header("content-type"));
}

#[test]
fn health_needs_no_token() {
    let origin = Origin::start();
    assert_eq!(origin.ask("GET", "/healthz").send().expect(200).json(), json!({"status": "ok", "seq": 1}));
}

#[test]
fn tokens_come_with_and_without_a_scheme() {
    let origin = Origin::start();
    let token = origin.merchant();
    for value in [format!("Bearer {token}"), format!("bearer {token}"), token] {
        let ask = origin.ask("PATCH", "/v2/items/5101").header("authorization", &value);
        ask.form("title=x").send().expect(201);
    }
}

#[test]
fn a_header_sent_twice_has_neither_value() {
    let origin = Origin::start();
    let write = |first: &str, second: &str| {
        let ask = origin.ask("PATCH", "/v2/items/5101").bearer(first).bearer(second);
        ask.form("title=x").send()
    };
    write(&origin.merchant(), &origin.customer()).refused(401, "Invalid auth token");
    write(&origin.customer(), &origin.merchant()).refused(401, "Invalid auth token");
    let ask =
        origin.ask("PATCH", "/v2/items/5101").bearer(&origin.merchant()).header("content-type", "text/plain");
    ask.form("title=x").send().refused(415, "Unsupported media type");
}

/// Sends raw bytes on a connection of their own, and returns the answer.
fn raw(origin: &Origin, request: &str) -> String {
    let mut stream = TcpStream::connect(origin.url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_body_that_breaks_off_changes_nothing() {
    let origin = Origin::start();
    let before = origin.seq();
    let mut stream = TcpStream::connect(origin.url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "PATCH /v2/items/5101 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ntitle=half",
        origin.merchant()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 2"));
    assert_eq!(origin.seq(), before);
}

#[test]
fn a_body_with_two_lengths_is_refused() {
    let origin = Origin::start();
    let before = origin.seq();
    let token = origin.merchant();
    for framing in [
        "content-length: 7\r\ncontent-length: 8",
        "content-length: 7\r\ntransfer-encoding: chunked",
        "content-length: +7",
    ] {
        let answer = raw(
            &origin,
            &format!(
                "PATCH /v2/items/5101 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
                 content-type: application/x-www-form-urlencoded\r\n{framing}\r\n\r\ntitle=x"
            ),
        );
        assert!(!answer.contains(" 201 "), "{framing}: {answer}");
    }
    assert_eq!(origin.seq(), before);
}

#[test]
fn everything_is_there_after_a_restart() {
    let mut origin = Origin::start();
    let seq = origin.grant(5101).expect(201).seq();
    origin.restart();
    assert_eq!(origin.check(5101).expect(200).seq(), seq);
    origin.ask("GET", "/export").bearer(FEED_SECRET).send().expect(200);
}
