//! Requests below the prefixes of `PASS_THROUGH`, and the requests that reach the origin behind the edge.

use serde_json::json;

use super::{
    check::error_body,
    issuers,
    origin::{Origin, Seen, receipt},
    subject::Subject,
    wire::{Answer, Payload, Wire},
    writes::{FORM, SPOOFS, customer, merchant, spoof, spoofed, write},
};

/// The prefixes of these tests.
pub const PREFIXES: &str = "/payments, /accounts, /v2/accounts";

/// The longest body in each direction.
const LIMIT_BYTES: usize = 1024 * 1024;

const MULTIPART: &str = "multipart/form-data; boundary=----edge7MA4";

struct Run<'a> {
    subject: &'a dyn Subject,
    origin: &'a Origin,
    sent: usize,
}

impl Run<'_> {
    /// Sends a request that must reach the origin once and as it is.
    fn passed(&mut self, wire: &Wire, status: u16) -> (Answer, Seen) {
        let (answer, at) = self.send(wire);
        assert_eq!(answer.status, status, "{at}");
        let mut seen = self.origin.take_seen();
        assert_eq!(seen.len(), 1, "{at}");
        let seen = seen.remove(0);
        assert_eq!(spoofed(&seen), [""; 0], "{at}");
        assert_eq!((seen.method.as_str(), seen.target.as_bytes()), (&*wire.method, &*wire.target), "{at}");
        assert_eq!(seen.header("x-request-id"), answer.header("x-request-id"), "{at}");
        (answer, seen)
    }

    /// Sends a request that the edge must refuse: nothing reaches the origin.
    fn refused(&mut self, wire: &Wire, status: u16, message: &str, field: Option<&str>) {
        let (answer, at) = self.send(wire);
        assert_eq!(answer.status, status, "{at}");
        assert_eq!(answer.json(), error_body(status, message, field), "{at}");
        assert_eq!(self.origin.take_seen(), [], "{at}");
    }

    fn send(&mut self, wire: &Wire) -> (Answer, String) {
        self.sent += 1;
        self.origin.take_seen();
        let answer = self.subject.send(wire);
        let text: String = answer.text().chars().take(200).collect();
        let at = format!("{} -> {} {text}", wire.describe(), answer.status);
        for (name, value) in [
            ("access-control-allow-origin", Some("*")),
            ("cache-control", Some("private, no-store")),
            ("x-content-type-options", Some("nosniff")),
            ("set-cookie", None),
            ("x-powered-by", None),
        ] {
            assert_eq!(answer.header(name), value, "{at}: {name}");
        }
        assert!(answer.header("x-request-id").is_some(), "{at}");
        for (position, (name, _)) in answer.headers.iter().enumerate() {
            assert!(
                answer.headers[..position].iter().all(|(before, _)| before != name),
                "{at}: {name} twice"
            );
        }
        (answer, at)
    }
}

fn with_body(method: &str, target: &str, content_type: &str, body: &[u8]) -> Wire {
    let wire = Wire::new(method, target).header("Content-Type", content_type);
    Wire { body: Payload::Whole(body.to_vec()), ..wire }
}

/// Runs everything that may pass and everything that must not. Returns the number of requests.
pub fn run(subject: &dyn Subject, origin: &Origin) -> usize {
    let mut run = Run { subject, origin, sent: 0 };
    methods(&mut run);
    bodies(&mut run);
    answers(&mut run);
    tokens(&mut run);
    paths(&mut run);
    own_paths(&mut run);
    run.sent
}

fn methods(run: &mut Run<'_>) {
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let target = "/payments/a:b/c~d,e;f=1?x=%2F..&y=a+b%20c&z=(!)*|[1]";
        let wire = Wire::new(method, target)
            .header("Accept", "application/pdf")
            .header("Accept-Language", "sv")
            .header("User-Agent", "an SDK");
        let (_, seen) = run.passed(&wire, 200);
        for (name, value) in
            [("accept", "application/pdf"), ("accept-language", "sv"), ("user-agent", "an SDK")]
        {
            assert_eq!(seen.header(name), Some(value), "{method}");
        }
        assert_eq!(seen.header("authorization"), None, "{method}");
        if !matches!(method, "GET" | "HEAD") {
            let keyed = with_body(method, "/payments/x", FORM, b"password=x")
                .header("Idempotency-Key", format!("{method} key"));
            let (answer, seen) = run.passed(&keyed, 200);
            assert_eq!((&*seen.body, &*answer.body), (&b"password=x"[..], &b"password=x"[..]), "{method}");
            assert_eq!(seen.header("idempotency-key"), Some(&*format!("{method} key")), "{method}");
        }
    }
    let answer = run.subject.send(
        &Wire::new("OPTIONS", "/payments/x")
            .header("Access-Control-Request-Method", "DELETE")
            .header("Access-Control-Request-Headers", "authorization, x-sdk"),
    );
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD, POST, PUT, PATCH, DELETE"));
    assert!(answer.header("access-control-allow-headers").unwrap().ends_with("x-sdk"));
    assert_eq!(run.origin.take_seen(), [], "preflights are answered here");
    run.refused(&Wire::new("PURGE", "/payments/x"), 405, "Method not allowed", None);
}

fn bodies(run: &mut Run<'_>) {
    let part =
        [b"------edge7MA4\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n", &receipt()[..]].concat();
    let parts = [&part[..], b"\r\n------edge7MA4--\r\n"].concat();
    let longest: Vec<u8> = (0..LIMIT_BYTES).map(|at| (at % 251) as u8).collect();
    for (content_type, body) in [
        (MULTIPART, &parts),
        ("application/pdf", &receipt()),
        ("text/xml; charset=ISO-8859-1", &b"<\xe9/>".to_vec()),
        ("application/octet-stream", &longest),
        ("image/png", &Vec::new()),
    ] {
        let wire = with_body("POST", "/payments/x", content_type, body);
        let chunked = Wire { body: Payload::Chunked(body.clone()), ..wire.clone() };
        for wire in [wire, chunked] {
            let (answer, seen) = run.passed(&wire, 200);
            assert!(
                seen.body == *body && answer.body == *body,
                "{content_type}: {} bytes",
                answer.body.len()
            );
            assert_eq!(seen.header("content-type"), Some(content_type));
            assert_eq!(answer.header("content-type"), Some(content_type));
        }
    }
    let too_long = [&longest[..], b"x"].concat();
    let wire = with_body("PUT", "/payments/x", "image/png", &too_long);
    run.refused(&wire, 413, "Body too large", None);
    run.refused(&Wire { body: Payload::Chunked(too_long), ..wire }, 413, "Body too large", None);
    let told = "The body must be sent without a Content-Encoding: gzip";
    let compressed = with_body("POST", "/payments/x", FORM, b"x").header("Content-Encoding", "gzip");
    run.refused(&compressed, 415, told, Some("Content-Encoding"));
}

fn answers(run: &mut Run<'_>) {
    let (answer, _) = run.passed(&Wire::get("/payments/receipts/9.pdf"), 200);
    assert!(answer.body == receipt(), "{} bytes", answer.body.len());
    assert_eq!(answer.header("content-type"), Some("application/pdf"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"receipt.pdf\""));
    assert_eq!(answer.header("location"), None, "only redirects have one");
    assert!(answer.header("entitlement-seq").is_some());
    let (answer, _) = run.passed(&Wire::new("HEAD", "/payments/receipts/9.pdf"), 200);
    assert_eq!((answer.header("content-type"), answer.body.len()), (Some("application/pdf"), 0));
    let (answer, _) = run.passed(&Wire::get(&format!("/payments/long/{LIMIT_BYTES}")), 200);
    assert_eq!(answer.body.len(), LIMIT_BYTES);
    for status in [204, 400, 401, 402, 404, 409, 422, 429, 500, 503] {
        let (answer, _) = run.passed(&Wire::get(&format!("/payments/status/{status}")), status);
        if status == 204 {
            assert!(answer.body.is_empty());
        } else {
            assert_eq!(answer.json(), json!({"code": 1, "message": "as told"}), "{status}");
        }
        let has_retry = answer.header("retry-after").is_some();
        assert_eq!(has_retry, matches!(status, 429 | 503), "{status}");
    }
    for status in [200, 404, 418, 500] {
        let (answer, _) = run.passed(&Wire::get(&format!("/payments/page/{status}")), status);
        assert_eq!(
            (answer.text().as_str(), answer.header("content-type")),
            ("<html>", Some("text/html; charset=utf-8"))
        );
    }
    let (answer, _) = run.passed(&Wire::get("/payments/page/302"), 302);
    assert_eq!(answer.header("location"), Some("https://internal.example/items/33"), "as it is");
    for (target, told) in [
        ("/payments/long/1048577", "The origin gave no usable answer: the write may have been applied"),
        ("/payments/page/401", "The request was refused on its way to the origin: the write was not applied"),
        ("/payments/page/403", "The request was refused on its way to the origin: the write was not applied"),
        (
            "/payments/status/407",
            "The request was refused on its way to the origin: the write was not applied",
        ),
    ] {
        let (answer, at) = run.send(&Wire::get(target));
        assert_eq!((answer.status, answer.json()), (502, error_body(502, told, None)), "{at}");
        assert!(answer.header("retry-after").is_some(), "{at}");
        assert_eq!(run.origin.take_seen().len(), 1, "{at}: sent once");
    }
}

fn tokens(run: &mut Run<'_>) {
    let (viewer, merchant) = (customer(run.subject, "ada"), merchant(run.subject));
    for method in ["GET", "POST"] {
        for token in [&viewer, &merchant] {
            let (_, seen) = run.passed(&Wire::new(method, "/payments/x").bearer(token), 200);
            assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {token}")));
            let bare = Wire::new(method, "/payments/x").header("Authorization", token.as_str());
            assert_eq!(run.passed(&bare, 200).1.header("authorization"), Some(&*format!("Bearer {token}")));
        }
        let claims = json!({"sub": "ada", "mid": 2101});
        let expired = issuers::token("vendor", claims.as_object().unwrap(), run.subject.now() - 3_600);
        let forged = format!("{}x", viewer.trim_end_matches(|c: char| c != '.'));
        for bad in
            [&*format!("Bearer {expired}"), &format!("Bearer {forged}"), "Bearer x", "Bearer", "Basic dTpw"]
        {
            let wire = Wire::new(method, "/payments/x").header("Authorization", bad);
            run.refused(&wire, 401, "Invalid auth token", None);
        }
    }
}

fn paths(run: &mut Run<'_>) {
    for target in [
        "/payments",
        "/payments/",
        "/payments/%C3%A9%20%3d/x.y",
        "/accounts/forgot-password/a.b-c_d",
        "/v2/accounts",
    ] {
        run.passed(&Wire::get(target), if target.starts_with("/payments") { 200 } else { 404 });
    }
    for target in [
        "/paymentsx",
        "/Payments",
        "/%70ayments",
        "/v2/payments",
        "/payments%2fx",
        "/payments//x",
        "/payments/x//y",
        "/payments/../export",
        "/payments/./x",
        "/payments/..",
        "/payments/%2e%2e/export",
        "/payments/.%2E/export",
        "/payments/x/..%2f..%2fexport",
        "/payments/..;/export",
        "/payments/x%2fy",
        "/payments/x%5cy",
        "/payments/x%00",
        "/payments/%0d%0aX:1",
        "/payments/x%252e",
        "/payments/%c0%ae",
        "/payments/%",
    ] {
        for method in ["GET", "POST"] {
            if run.subject.takes_raw_requests() {
                run.refused(&Wire::new(method, target), 404, "Route not found", None);
            }
        }
    }
    if run.subject.takes_raw_requests() {
        run.refused(&Wire::get("/payments\\x"), 404, "Route not found", None);
        run.refused(&Wire::get("/payments/x\\..\\export"), 404, "Route not found", None);
    }
}

/// The edge's own endpoints come before the prefixes, in whatever spelling.
fn own_paths(run: &mut Run<'_>) {
    run.refused(
        &write("POST", "/accounts/authenticate", "text/plain", "x"),
        415,
        "Unsupported media type",
        None,
    );
    for target in [
        "/accounts/authenticate/",
        "/accounts/%61uthenticate",
        "/accounts/Authenticate",
        "/v2/accounts/authenticate;x",
    ] {
        run.refused(&write("POST", target, FORM, "grant_type=password"), 404, "Route not found", None);
    }
    // What the table does not have there, passes.
    run.passed(&Wire::get("/accounts/authenticate"), 404);
    let answer = run.subject.send(&Wire::new("OPTIONS", "/accounts/authenticate"));
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    // Outside of the prefixes, nothing is new.
    run.refused(&Wire::new("POST", "/license"), 405, "Method not allowed", None);
    run.refused(&Wire::get("/subscriptions"), 404, "Route not found", None);
}

/// Without prefixes, nothing passes.
pub fn off(subject: &dyn Subject, origin: &Origin) {
    let mut run = Run { subject, origin, sent: 0 };
    for target in ["/payments", "/accounts", "/payments/receipts/9.pdf"] {
        run.refused(&Wire::get(target), 404, "Route not found", None);
        run.refused(&write("POST", target, FORM, "x"), 404, "Route not found", None);
    }
    run.refused(&Wire::get("/accounts/authenticate"), 405, "Method not allowed", None);
}

/// Headers by which clients try to pass for another client.
pub fn spoofing(subject: &dyn Subject, origin: &Origin) {
    let viewer = customer(subject, "ada");
    for headers in SPOOFS {
        for (method, body) in [("GET", None), ("POST", Some(b"x=y"))] {
            let wire = Wire::new(method, "/payments/x");
            let wire = match body {
                Some(body) => Wire { body: Payload::Whole(body.to_vec()), ..wire },
                None => wire,
            };
            if let (Some(seen), Some(body)) = (spoof(subject, origin, wire, &viewer, headers, 200), body) {
                assert_eq!(seen.body, body, "{headers:?}");
            }
        }
    }
}
