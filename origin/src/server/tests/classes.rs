//! Classes of requests: which queue a request waits in, and which senders may ask.

use super::*;
use crate::limits::{
    ACCOUNT_PASSWORD_WORKERS, ACCOUNT_WORKERS, ACCOUNT_WRITE_WORKERS, CHECK_WORKERS, DOCUMENT_WORKERS,
    FEED_WORKERS, PASSWORD_WORKERS, READ_WORKERS, TOKEN_WORKERS, WRITE_WORKERS,
};

/// A request of each class, and its status while the class works.
fn requests() -> Vec<(Class, usize, &'static str, &'static str, String, u16)> {
    let sign_in = |rest: &str| format!("client_id={CLIENT}&{rest}");
    vec![
        (Class::Check, CHECK_WORKERS, "GET", "/items/5101/access", String::new(), 401),
        (Class::Check, CHECK_WORKERS, "GET", "/license", String::new(), 401),
        (Class::Write, WRITE_WORKERS, "POST", "/items/access", String::new(), 401),
        (Class::Write, WRITE_WORKERS, "DELETE", "/v2/items/5101", String::new(), 401),
        (Class::Read, READ_WORKERS, "GET", "/items/packages/5001/items", String::new(), 200),
        (Class::Read, READ_WORKERS, "HEAD", "/items/5101", String::new(), 200),
        (Class::Feed, FEED_WORKERS, "GET", "/changes?after=1", String::new(), 200),
        (
            Class::Password,
            PASSWORD_WORKERS,
            "POST",
            "/v2/accounts/authenticate",
            sign_in("grant_type=password&username=ada&password=correct+horse"),
            200,
        ),
        (
            Class::Password,
            PASSWORD_WORKERS,
            "POST",
            "/oauth2/authorize",
            "username=ada&password=x".to_owned(),
            400,
        ),
        (
            Class::Token,
            TOKEN_WORKERS,
            "POST",
            "/accounts/authenticate",
            sign_in("grant_type=refresh_token&refresh_token=x"),
            401,
        ),
        (
            Class::Token,
            TOKEN_WORKERS,
            "POST",
            "/oauth2/token",
            sign_in("grant_type=refresh_token&refresh_token=x"),
            400,
        ),
        (Class::Token, TOKEN_WORKERS, "GET", "/oauth2/authorize?client_id=x", String::new(), 400),
        (Class::Account, ACCOUNT_WORKERS, "GET", "/accounts", String::new(), 401),
        (Class::Account, ACCOUNT_WORKERS, "GET", "/accounts/social", String::new(), 200),
        (Class::AccountWrite, ACCOUNT_WRITE_WORKERS, "GET", "/accounts/logout", String::new(), 401),
        (Class::AccountWrite, ACCOUNT_WRITE_WORKERS, "GET", "/logout", String::new(), 400),
        (Class::AccountPassword, ACCOUNT_PASSWORD_WORKERS, "POST", "/accounts", String::new(), 400),
        (Class::AccountPassword, ACCOUNT_PASSWORD_WORKERS, "DELETE", "/accounts/erase", String::new(), 401),
        (Class::Document, DOCUMENT_WORKERS, "GET", "/.well-known/jwks.json", String::new(), 200),
        (Class::Document, DOCUMENT_WORKERS, "GET", "/healthz", String::new(), 200),
        (Class::Document, DOCUMENT_WORKERS, "OPTIONS", "/items/5101/access", String::new(), 204),
        (Class::Document, DOCUMENT_WORKERS, "GET", "/nowhere", String::new(), 404),
    ]
}

#[test]
fn a_class_that_is_stuck_leaves_the_others_working() {
    let subject = Subject::new(|_| {});
    let bearer = format!("Bearer {FEED_SECRET}");
    let ask = |method, path: &str, body: &str| {
        let feed = [FORM, ("authorization", bearer.as_str())];
        let headers = if path.starts_with("/changes") { &feed[..] } else { &feed[..1] };
        subject.ask(method, path, headers, body)
    };
    let classes: Vec<_> = requests().iter().map(|request| (request.0, request.1)).collect();
    for (stuck, threads) in classes {
        let gates = subject.server.pools.of(stuck).stick(threads);
        for (class, _, method, path, body, expected) in requests() {
            let answer = ask(method, path, &body);
            let label = format!("{class:?} {method} {path} while {stuck:?} is stuck: {}", answer.text);
            if class == stuck {
                assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{label}");
                let is_page = path.starts_with("/oauth2/authorize");
                assert_eq!(
                    answer.header("access-control-allow-origin"),
                    (!is_page).then_some("*"),
                    "{label}"
                );
            } else {
                assert_eq!(answer.status, expected, "{label}");
            }
        }
        drop(gates);
        // The threads empty the queue; then the class works again.
        let (_, _, method, path, body, _) =
            requests().into_iter().find(|request| request.0 == stuck).unwrap();
        while ask(method, path, &body).status == 503 {}
    }
}

#[test]
fn an_edge_only_origin_gives_strangers_only_public_documents() {
    let subject = Subject::new(|settings| {
        settings.edge_secrets = vec![EDGE_SECRET.to_owned()];
        settings.is_edge_only = true;
    });
    let key = ("admit-edge-key", EDGE_SECRET);
    for (_, _, method, path, body, expected) in requests() {
        let open = ["/.well-known/", "/healthz", "/oauth2/authorize", "/oauth2/token", "/logout"];
        let is_open = open.iter().any(|open| path.starts_with(open));
        let stranger = subject.ask(method, path, &[FORM], &body);
        let wrong = subject.ask(method, path, &[FORM, ("admit-edge-key", "another")], &body);
        if path.starts_with("/changes") {
            // The feed has a secret of its own.
            let bearer = ("authorization", &*format!("Bearer {FEED_SECRET}"));
            assert_eq!((stranger.status, subject.ask(method, path, &[bearer], "").status), (401, 200));
            continue;
        }
        let by_edge = subject.ask(method, path, &[FORM, key], &body);
        assert_eq!(by_edge.status, expected, "{method} {path}");
        let refused = if is_open { expected } else { 421 };
        assert_eq!((stranger.status, wrong.status), (refused, refused), "{method} {path}");
    }
    // Only the edge learns how much is written.
    let health = |headers: &[(&str, &str)]| subject.ask("GET", "/healthz", headers, "").json();
    assert!(health(&[]).get("seq").is_none() && health(&[key])["seq"].is_u64());
}

#[test]
fn no_page_reads_the_sign_in_page() {
    let subject = Subject::new(|settings| {
        settings.variables.insert("CORS_ORIGINS".to_owned(), "https://tv.example".to_owned());
    });
    let origin = ("origin", "https://tv.example");
    let asks_for = ("access-control-request-method", "POST");
    for (method, path, headers) in [
        ("GET", "/oauth2/authorize?client_id=x", &[origin][..]),
        ("POST", "/oauth2/authorize", &[origin, FORM]),
        ("OPTIONS", "/oauth2/authorize", &[origin, asks_for]),
        ("GET", &*format!("/oauth2/authorize?{}", "x".repeat(SIGN_IN_MAX_BYTES + 1)), &[origin]),
        ("PUT", "/oauth2/authorize", &[origin]),
    ] {
        let answer = subject.ask(method, path, headers, "");
        let named: Vec<_> =
            answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).collect();
        assert!(named.is_empty(), "{method} {path}: {named:?}");
    }
    // Answers without the service follow CORS_ORIGINS like the rest.
    let gates = subject.server.pools.of(Class::Read).stick(READ_WORKERS);
    let allowed = |origin: &str| {
        let answer = subject.ask("GET", "/items/5101", &[("origin", origin)], "");
        assert_eq!((answer.status, answer.header("vary")), (503, Some("Origin")));
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allowed("https://tv.example").as_deref(), Some("https://tv.example"));
    assert_eq!(allowed("https://other.example"), None);
    drop(gates);
}
