//! Every route with every method, and preflights.

use super::{
    check::{Pages, error_body, problems},
    issuers,
    subject::Subject,
    wire::Wire,
};

const READ: &str = "GET, HEAD, OPTIONS";
const STORE: &str = "GET, HEAD, PUT, OPTIONS";
const REMOVE: &str = "GET, HEAD, PUT, DELETE, OPTIONS";
const SEND: &str = "POST, OPTIONS";
const DIGEST: &str = "/snapshot/shard/0000000000000000000000000000000000000000000000000000000000000000";

/// Every route, and its `Allow`.
const ROUTES: [(&str, &str); 23] = [
    ("/items/5101/access", READ),
    ("/license", READ),
    ("/items/5101", READ),
    ("/items/3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934/5101", READ),
    ("/v2/items/3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934/5101", READ),
    ("/items/5001/access-fees", READ),
    ("/v2/items/5001/access-fees", READ),
    ("/v2/items/5001/access-fees/7001", READ),
    ("/items/packages/5001", READ),
    ("/items/packages/5001/items", READ),
    ("/customers", READ),
    ("/customers/me", READ),
    ("/tokens/inspect", SEND),
    ("/healthz", READ),
    ("/snapshot/head", STORE),
    (DIGEST, REMOVE),
    ("/snapshot/version/7", REMOVE),
    ("/snapshot/lease", REMOVE),
    ("/snapshot/garbage", STORE),
    ("/snapshot/pack", SEND),
    ("/snapshot/check", SEND),
    ("/snapshot/keys", READ),
    ("/snapshot/issuers", READ),
];

/// Methods that no read route has. TRACE, PROPFIND and QUERY stand for all methods that the runtime passes
/// on.
const OTHERS: [&str; 8] = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY", "PURGE"];

/// Methods that a route does not have.
fn others(allow: &str) -> impl Iterator<Item = &'static str> {
    let allowed: Vec<_> = allow.split(", ").map(str::to_owned).collect();
    ["GET", "HEAD"]
        .into_iter()
        .chain(OTHERS)
        .filter(move |method| !allowed.iter().any(|known| known == method))
}

/// Sends a request, and compares status, message and headers.
type Expect<'a> = dyn FnMut(&Wire, u16, Option<&str>, &[(&str, Option<&str>)]) + 'a;

/// Runs the cases. Returns the number of requests.
pub fn run(subject: &dyn Subject) -> usize {
    let mut sent = 0;
    let mut expect = |wire: &Wire, status: u16, message: Option<&str>, headers: &[(&str, Option<&str>)]| {
        sent += 1;
        let answer = subject.send(wire);
        let at = format!("{} -> {} {}", wire.describe(), answer.status, answer.text());
        assert_eq!(answer.status, status, "{at}");
        assert_eq!(problems(wire, &answer, Pages::All), [""; 0], "{at}");
        if let Some(message) = message {
            assert_eq!(answer.json(), error_body(status, message, None), "{at}");
        }
        for (name, expected) in headers {
            assert_eq!(answer.header(name), *expected, "{name} of {at}");
        }
    };
    for (path, allow) in ROUTES {
        for method in others(allow) {
            let not_allowed = [("allow", Some(allow))];
            let message = Some("Method not allowed").filter(|_| method != "HEAD");
            expect(&Wire::new(method, path), 405, message, &not_allowed);
            // The same with a valid token and a body: neither is looked at.
            let mut wire = Wire::new(method, path).bearer(&subject.token("subscriber"));
            if !["GET", "HEAD", "TRACE", "PROPFIND", "PURGE"].contains(&method) {
                wire.body = super::wire::Payload::Whole(b"title=x".to_vec());
            }
            expect(&wire, 405, message, &not_allowed);
        }
        preflight(path, Some(allow), &mut expect);
    }
    for path in ["/", "/nope", "/items", "/items/5101/access/", "/v2/items", "/accounts/authenticate"] {
        for method in OTHERS {
            expect(&Wire::new(method, path), 404, Some("Route not found"), &[]);
        }
        preflight(path, None, &mut expect);
    }
    let good = Wire::get("/items/5101/access").bearer(&subject.token("subscriber"));
    expect(&good, 200, None, &[]);
    sent
}

/// A preflight has no token, whatever the actual request will have, and every path answers it.
fn preflight(path: &str, allow: Option<&str>, expect: &mut Expect<'_>) {
    let headers = [
        ("access-control-allow-origin", Some("*")),
        ("access-control-allow-methods", Some("GET, HEAD, POST, PUT, PATCH, DELETE")),
        (
            "access-control-allow-headers",
            Some("authorization, content-type, idempotency-key, entitlement-min-seq"),
        ),
        ("access-control-max-age", Some("86400")),
        ("allow", allow),
    ];
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let wire = Wire::new("OPTIONS", path)
            .header("Origin", "https://tv.example")
            .header("Access-Control-Request-Method", method)
            .header("Access-Control-Request-Headers", "authorization,content-type");
        expect(&wire, 204, None, &headers);
    }
    // An OPTIONS request that is not a preflight is answered like one; an invalid token is not looked at.
    expect(&Wire::new("OPTIONS", path), 204, None, &headers);
    expect(&Wire::new("OPTIONS", path).bearer("nonsense"), 204, None, &headers);
}

/// The publish API for tokens that may not publish.
pub fn run_without_publishing(subject: &dyn Subject) -> usize {
    let until = subject.now() + 3_600;
    let scoped = |issuer: &str, scope: &str| issuers::scoped_token(issuer, scope, until);
    let mut sent = 0;
    for (path, allow) in ROUTES.into_iter().filter(|(path, _)| path.starts_with("/snapshot/")) {
        for method in allow.split(", ").filter(|method| *method != "OPTIONS") {
            let with = |wire: Wire| Wire { method: method.to_owned(), ..wire };
            let put = || with(Wire::put(path, b"x".to_vec()));
            let no_token = (401, "Invalid auth token");
            let not_allowed = (403, "Invalid privileges");
            let mut cases = vec![
                (put(), no_token),
                (put().bearer("x"), no_token),
                (put().bearer(&subject.token("subscriber")), not_allowed),
                (put().bearer(&subject.token("merchant")), not_allowed),
                // The right scopes, by an issuer that may not let its tokens publish.
                (put().bearer(&scoped("vendor", "snapshot:publish")), not_allowed),
                (put().bearer(&scoped("vendor", "snapshot:read")), not_allowed),
                // The right issuer, with a scope that only looks right.
                (put().bearer(&scoped("publisher", "snapshot:reader")), not_allowed),
            ];
            // `publishing.rs` checks the rights of readers.
            if !["GET", "HEAD"].contains(&method) {
                cases.push((put().bearer(&scoped("publisher", "snapshot:read")), not_allowed));
            }
            for (wire, (status, message)) in cases {
                let wire = if ["PUT", "POST"].contains(&method) {
                    wire
                } else {
                    Wire { body: super::wire::Payload::None, ..wire }
                };
                sent += 1;
                let answer = subject.send(&wire);
                let at = format!("{} -> {} {}", wire.describe(), answer.status, answer.text());
                assert_eq!(answer.status, status, "{at}");
                assert_eq!(problems(&wire, &answer, Pages::All), [""; 0], "{at}");
                if method != "HEAD" {
                    assert_eq!(answer.json(), error_body(status, message, None), "{at}");
                }
            }
        }
    }
    sent
}
