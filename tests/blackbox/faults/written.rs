//! How the origin's answers to writes come back: its own in the API's form, all others not as a success.

use admit::{limits::BREAKER_FAILURES, ports::UpstreamAnswer};
use serde_json::{Value, json};

use crate::faults::{
    forward::{MAYBE, NOT, message},
    origin::{Pair, answer, denial},
};

const REFUSED: &str = "The request was refused on its way to the origin: the write was not applied";

fn html(status: u16, body: &str) -> UpstreamAnswer {
    let headers = vec![("content-type", "text/html".to_owned())];
    UpstreamAnswer { status, headers, body: body.as_bytes().to_vec() }
}

/// Nothing but the API's own answer is passed on: no page, no cookie, no redirect, no success.
#[test]
fn answers_that_are_not_the_apis_own() {
    let cases = [
        ("a page that says yes", html(200, "<html>")),
        ("a page that says created", html(201, "<html>")),
        ("a gateway's page", html(502, "<html>")),
        ("a gateway without a page", UpstreamAnswer { status: 503, ..UpstreamAnswer::default() }),
        ("the place of what was done", UpstreamAnswer { status: 303, ..UpstreamAnswer::default() }),
        ("not modified", UpstreamAnswer { status: 304, ..UpstreamAnswer::default() }),
        ("no UTF-8", UpstreamAnswer { body: vec![0xff], ..answer(201, &json!({})) }),
        ("half of a body", UpstreamAnswer { body: b"{\"id\":".to_vec(), ..answer(201, &json!({})) }),
    ];
    for (name, given) in cases {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |_| given.clone());
        let reply = pair.write("POST", "/v2/items", "title=x", &[("idempotency-key", "k")]);
        assert_eq!((reply.status, message(&reply).as_str()), (502, MAYBE), "{name}");
        assert_eq!(pair.origin().seen().len(), 1, "{name}: an answer is not asked for again");
    }
    // A redirect leads to another place: nothing was done here.
    for given in [UpstreamAnswer { status: 302, ..UpstreamAnswer::default() }, answer(307, &json!({}))] {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |_| given.clone());
        let reply = pair.write("POST", "/v2/items", "title=x", &[("idempotency-key", "k")]);
        assert_eq!((reply.status, message(&reply).as_str()), (502, REFUSED));
        let lines = pair.edge.platform().memory_log().take();
        assert!(lines.iter().any(|line| line.contains("redirects are not followed")), "{lines:?}");
    }
    // Cloudflare's own pages for an origin that it could not connect to.
    let pair = Pair::new(&[]);
    pair.origin().serve(move |_| html(521, "<html>"));
    assert_eq!(message(&pair.write("POST", "/v2/items", "title=x", &[])), NOT);
    // The origin's own answer is passed on, whatever it says.
    pair.origin().serve(|_| denial(503, "Busy"));
    let reply = pair.write("POST", "/v2/items", "title=x", &[]);
    assert_eq!((reply.status, message(&reply).as_str()), (503, "Busy"));
    assert_eq!(reply.header("retry-after"), Some("2"));
}

/// A 4xx means "not applied": its status comes back with a body that clients can decode, whichever server it
/// is from, and it is not a failure of the origin.
#[test]
fn a_refusal_comes_back_in_the_api_s_form() {
    let refusals = [
        (html(400, "<html>"), "The origin refused the request"),
        (html(403, "<html>"), "The origin refused the request"),
        (html(413, "<html>"), "The origin refused the request"),
        (UpstreamAnswer { status: 409, ..UpstreamAnswer::default() }, "The origin refused the request"),
        (
            UpstreamAnswer {
                headers: vec![("content-type", "text/plain".to_owned())],
                ..html(422, "No title\n")
            },
            "No title",
        ),
        (UpstreamAnswer { body: b"{".to_vec(), ..answer(404, &json!({})) }, "The origin refused the request"),
        (typed("application/problem+json", 412, &json!({"title": "In use", "status": 412})), "In use"),
        (typed("application/vnd.api+json", 422, &json!({"errors": [{"detail": "Short"}]})), "Short"),
        (answer(422, &json!({"message": "No", "errors": {"title": ["short"]}})), "No"),
    ];
    let pair = Pair::new(&[]);
    for (given, told) in refusals {
        let status = given.status;
        pair.origin().serve(move |_| given.clone());
        for _ in 0..=BREAKER_FAILURES {
            let reply = pair.write("POST", "/v2/items", "title=x", &[]);
            assert_eq!((reply.status, message(&reply).as_str()), (status, told));
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(reply.header("www-authenticate"), None);
            let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
            let errors = body["errors"].as_object().unwrap();
            assert!(errors.values().all(Value::is_string) && !errors.is_empty(), "{body}");
        }
    }
    // Remembered answers to checks stay valid.
    pair.origin().serve(|_| denial(402, "No access"));
    assert_eq!((pair.status(1), pair.status(1), pair.asked()), (402, 402, 2));
    pair.origin().serve(|_| html(403, "<html>"));
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 403);
    assert_eq!((pair.status(1), pair.asked()), (402, 2));
}

/// Clients delete a user's credentials on 401 and 403. A server before the origin must not cause that.
#[test]
fn a_page_signs_no_user_out() {
    for status in [401, 403, 407] {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |_| UpstreamAnswer {
            headers: vec![("content-type", "text/html".into()), ("www-authenticate", "Basic".into())],
            ..html(status, "<html>")
        });
        for _ in 0..=BREAKER_FAILURES {
            let reply = pair.write("POST", "/oauth2/token", "grant_type=refresh_token", &[]);
            assert_eq!((reply.status, message(&reply).as_str()), (502, REFUSED), "{status}");
            assert_eq!(reply.header("www-authenticate"), None);
        }
        // Gateways refuse in JSON as well.
        let given = answer(status, &json!({"message": "Forbidden"}));
        pair.origin().serve(move |_| given.clone());
        for path in ["/oauth2/token", "/accounts/authenticate"] {
            let reply = pair.write("POST", path, "username=x", &[]);
            assert_eq!((reply.status, message(&reply).as_str()), (502, REFUSED), "{status} {path}");
        }
        // The origin's own answer is passed on, also in OAuth's form.
        let oauth = json!({"error": "invalid_grant", "error_description": "It has ended"});
        let given = answer(400, &oauth);
        pair.origin().serve(move |_| given.clone());
        let reply = pair.write("POST", "/oauth2/token", "grant_type=refresh_token", &[]);
        assert_eq!((reply.status, serde_json::from_slice(reply.body.as_bytes()).ok()), (400, Some(oauth)));
        pair.origin().serve(|_| denial(401, "Invalid auth token"));
        assert_eq!(pair.write("POST", "/accounts/authenticate", "username=x", &[]).status, 401);
    }
}

fn typed(content_type: &str, status: u16, body: &Value) -> UpstreamAnswer {
    UpstreamAnswer { headers: vec![("content-type", content_type.to_owned())], ..answer(status, body) }
}

/// JSON under any of its media types is an answer of the API, and opens no circuit.
#[test]
fn successes_by_every_name_of_json() {
    let types = [
        "application/problem+json",
        "application/vnd.api+json",
        "application/hal+json; charset=\"utf-8\"",
        "APPLICATION/JSON",
        "",
        "text/html; charset=UTF-8",
        "text/plain",
    ];
    for content_type in types {
        let pair = Pair::new(&[]);
        let mut given = typed(content_type, 201, &json!({"id": 1}));
        given.headers.push(("content-encoding", "gzip".to_owned()));
        given.body.splice(..0, *b"\xef\xbb\xbf");
        pair.origin().serve(move |_| given.clone());
        for _ in 0..=BREAKER_FAILURES {
            let reply = pair.write("POST", "/v2/items", "title=x", &[]);
            assert_eq!((reply.status, reply.body.as_bytes()), (201, &br#"{"id":1}"#[..]), "{content_type}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(reply.header("content-encoding"), None, "the runtime has decoded it");
        }
    }
}

/// A complete answer is not an outage, whatever it says: one unusual write must not close the circuit for all
/// others.
#[test]
fn whole_answers_of_another_form_open_no_circuit() {
    let odd = [
        (html(200, "<html>"), MAYBE),
        (typed("text/plain", 201, &json!("OK")), MAYBE),
        (UpstreamAnswer { body: b"{\"id\":".to_vec(), ..answer(201, &json!({})) }, MAYBE),
        (UpstreamAnswer { status: 301, ..UpstreamAnswer::default() }, REFUSED),
        (html(303, ""), MAYBE),
        (html(308, "<html>"), REFUSED),
    ];
    let pair = Pair::new(&[]);
    for (given, told) in odd {
        let status = given.status;
        pair.origin().serve(move |_| given.clone());
        for _ in 0..2 * BREAKER_FAILURES {
            let reply = pair.write("POST", "/v2/items", "title=x", &[]);
            assert_eq!((reply.status, message(&reply).as_str()), (502, told), "{status}");
        }
    }
    // They do not close the circuit either: earlier failures still count.
    let gateway = |pair: &Pair, status| {
        pair.origin().serve(move |_| html(status, "<html>"));
        pair.write("POST", "/v2/items", "title=x", &[]).status
    };
    for _ in 1..BREAKER_FAILURES {
        assert_eq!(gateway(&pair, 502), 502);
    }
    assert_eq!((gateway(&pair, 200), gateway(&pair, 502), gateway(&pair, 200)), (502, 502, 503));
}

#[test]
fn headers_of_the_origin_are_brought_into_one_form() {
    for (name, sent, shown) in [
        ("retry-after", "1.5", Some("2")),
        ("retry-after", "Fri, 15 Jan 2027 08:00:07 GMT", Some("7")),
        ("retry-after", "3601", Some("3600")),
        ("retry-after", "1700000000000", Some("3600")),
        ("retry-after", "Fri, 15 Jan 2038 08:00:07 GMT", Some("3600")),
        ("retry-after", "soon", Some("2")),
        ("entitlement-seq", " 7", Some("7")),
        ("entitlement-seq", "6, 7", Some("7")),
        ("entitlement-seq", "seven", None),
    ] {
        let pair = Pair::new(&[]);
        pair.origin().serve(move |_| {
            let mut answer = denial(503, "Busy");
            answer.headers.push((name, sent.to_owned()));
            answer
        });
        let reply = pair.write("POST", "/v2/items", "title=x", &[]);
        assert_eq!((reply.status, reply.header(name)), (503, shown), "{name}: {sent}");
        let lines = pair.edge.platform().memory_log().take();
        let told = lines.iter().any(|line| line.contains(r#""event":"origin""#) && line.contains(sent));
        assert_eq!(told, sent.starts_with("se") || sent == "soon", "{lines:?}");
    }
}
