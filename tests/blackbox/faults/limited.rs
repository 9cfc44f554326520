//! Limits by address, limits for clients without a token, and the secret between edge and upstream.

use admit::{
    api::reply::{Reply, Request},
    limits::{SIGN_IN_MAX_BYTES, SIGN_IN_MAX_FIELDS},
    ports::{Limit, Platform as _},
};
use admit_testing::memory::{MemoryBody, MemoryPlatform, block_on};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, JWKS_URL, START, Signer, fetched_viewer, viewer},
    origin::{ORIGIN_URL, Pair, customer, merchant},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// With it, requests of every kind that is limited are served.
const PASSING: (&str, &str) = ("PASS_THROUGH", "/accounts");

/// Sends a request of the kind that is limited.
fn ask(edge: &Edge, limit: Limit, ip_address: &str) -> Reply {
    let merchant = format!("Bearer {}", merchant());
    let viewer = format!("Bearer {}", customer(CUSTOMER));
    let (method, path, authorization, min_seq, body) = match limit {
        Limit::SignIn => ("POST", "/oauth2/token", "", 0, "grant_type=password&username=u"),
        Limit::Refresh => {
            ("POST", "/accounts/authenticate", "", 0, "refresh_token=r&grant_type=refresh_token")
        }
        Limit::Write => ("POST", "/v2/items", merchant.as_str(), 0, "title=x"),
        Limit::AnonymousRead => ("GET", "/items/1", "", 0, ""),
        Limit::InsistingRead => ("GET", "/license", viewer.as_str(), 99, ""),
        Limit::PassThrough => ("PUT", "/accounts", viewer.as_str(), 0, "full_name=x"),
    };
    let passed = [("content-type", FORM.to_owned())];
    let request =
        Request { method, path, authorization, min_seq, ip_address, passed: &passed, ..Request::default() };
    block_on(edge.app.handle(&request, MemoryBody::from(body.as_bytes().to_vec())))
}

fn refused(reply: &Reply) -> bool {
    if reply.status != 429 {
        return false;
    }
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    let message = "Too many requests";
    assert_eq!(body, json!({"code": 429, "message": message, "errors": {"429": message}}));
    assert_eq!(reply.header("retry-after"), Some("10"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "pages can read it");
    assert_eq!(reply.header("cache-control"), Some("private, no-store"));
    true
}

#[test]
fn one_address_has_its_limit_and_others_have_theirs() {
    for limit in Limit::ALL {
        let pair = Pair::new(&[PASSING]);
        let limits = pair.edge.platform().limits();
        limits.set(limit, 3);
        let answers = |edge: &Edge, ip: &str| (0..10).filter(|_| refused(&ask(edge, limit, ip))).count();
        assert_eq!(answers(&pair.edge, "203.0.113.1"), 7, "{limit:?}");
        assert_eq!(answers(&pair.edge, "203.0.113.2"), 7, "{limit:?}: another address");
        // A network of IPv6 counts as one address.
        let in_network = (0..10).filter(|n| refused(&ask(&pair.edge, limit, &format!("2001:db8:1:2::{n}"))));
        assert_eq!(in_network.count(), 7, "{limit:?}");
        // Other isolates share the count.
        let beside = Edge::configured(pair.edge.platform().beside(), &[PASSING, ("ORIGIN_URL", ORIGIN_URL)]);
        assert!(refused(&ask(&beside, limit, "203.0.113.1")), "{limit:?}");
        // Requests of other kinds have limits of their own.
        for other in Limit::ALL {
            assert_eq!(
                refused(&ask(&pair.edge, other, "203.0.113.1")),
                other == limit,
                "{limit:?} {other:?}"
            );
        }
        pair.edge.advance_secs(10);
        assert!(!refused(&ask(&pair.edge, limit, "203.0.113.1")), "{limit:?}");
        // Refused requests do not reach the upstream.
        let seen = pair.origin().seen();
        assert!(limit == Limit::AnonymousRead || seen.len() <= 3 * 3 + 5 + 1, "{limit:?}: {}", seen.len());
    }
}

/// The sign-in page refreshes nothing, whatever its form says: a guess there counts as a guess.
#[test]
fn a_guess_is_counted_as_a_sign_in_whatever_its_body_says() {
    let guess = "grant_type=refresh_token&refresh_token=r&username=u&password=guess";
    for (path, limit) in [
        ("/oauth2/authorization", Limit::SignIn),
        ("/oauth2/token", Limit::Refresh),
        ("/accounts/authenticate", Limit::Refresh),
        ("/v2/accounts/authenticate", Limit::Refresh),
    ] {
        let pair = Pair::new(&[PASSING]);
        pair.edge.platform().limits().set(limit, 3);
        let passed = [("content-type", FORM.to_owned())];
        let ip_address = "203.0.113.1";
        let request = Request { method: "POST", path, ip_address, passed: &passed, ..Request::default() };
        let guesses = (0..10).filter(|_| {
            let body = MemoryBody::from(guess.as_bytes().to_vec());
            refused(&block_on(pair.edge.app.handle(&request, body)))
        });
        assert_eq!(guesses.count(), 7, "{path}");
        assert_eq!(pair.origin().seen().len(), 3, "{path}");
    }
}

/// However long an insisting read has waited for other requests before.
#[test]
fn reads_that_insist_are_each_counted_once() {
    let pair = Pair::new(&[PASSING]);
    let limits = pair.edge.platform().limits();
    limits.set(Limit::InsistingRead, 100);
    let authorization = format!("Bearer {}", viewer());
    // A new isolate: one read loads the head, and the others wait for it.
    let request = Request {
        method: "GET",
        path: "/license",
        authorization: &authorization,
        min_seq: 99,
        ip_address: "203.0.113.1",
        ..Request::default()
    };
    let reads = (0..5).map(|_| pair.edge.app.handle(&request, MemoryBody::default()));
    assert!(block_on(join_all(reads)).iter().all(|reply| reply.status == 200));
    assert_eq!(limits.asked(), 5);
}

/// Checks are never counted, granted or denied, confirmed or not. An address without a name is not limited.
#[test]
fn checks_are_never_counted() {
    let pair = Pair::new(&[PASSING]);
    let limits = pair.edge.platform().limits();
    Limit::ALL.into_iter().for_each(|limit| limits.set(limit, 0));
    Business::new(2, Some(START + 1_000_000)).publish(pair.edge.platform());
    for (subject, min_seq, status) in
        [(CUSTOMER, 0, 200), ("never-bought", 0, 402), ("never-bought", 99, 402)]
    {
        let authorization = format!("Bearer {}", customer(subject));
        let request = Request {
            method: "GET",
            path: "/items/1/access",
            authorization: &authorization,
            ip_address: "203.0.113.1",
            min_seq,
            ..Request::default()
        };
        for _ in 0..3 {
            let reply = block_on(pair.edge.app.handle(&request, MemoryBody::default()));
            assert_eq!(reply.status, status, "{subject}");
        }
    }
    assert_eq!(pair.edge.get("/license", &viewer()).status, 200);
    assert_eq!(limits.asked(), 0);
    for limit in Limit::ALL {
        assert!(!refused(&ask(&pair.edge, limit, "")), "{limit:?}");
    }
    assert_eq!(limits.asked(), 0);
    assert!(!refused(&ask(&pair.edge, Limit::AnonymousRead, "unknown")));
    // Monitors use the health route.
    let request =
        Request { method: "GET", path: "/healthz", ip_address: "203.0.113.1", ..Request::default() };
    assert_eq!(block_on(pair.edge.app.handle(&request, MemoryBody::default())).status, 200);
    assert_eq!(limits.asked(), 0);
}

/// If the platform cannot count, requests pass, and one line says so.
#[test]
fn what_cannot_be_counted_is_let_through() {
    let pair = Pair::new(&[PASSING]);
    let limits = pair.edge.platform().limits();
    Limit::ALL.into_iter().for_each(|limit| limits.set(limit, 0));
    limits.set_broken(true);
    for limit in Limit::ALL {
        for _ in 0..5 {
            assert!(!refused(&ask(&pair.edge, limit, "203.0.113.1")), "{limit:?}");
        }
    }
    let lines = pair.edge.platform().memory_log().take();
    for limit in Limit::ALL {
        let event = format!(
            r#"{{"event":"limit","binding":"{}","problem":"broken on cue","times":1}}"#,
            limit.binding()
        );
        assert_eq!(lines.iter().filter(|line| **line == event).count(), 1, "{limit:?}: {lines:?}");
    }
}

/// A refusal is logged, with the limit's name.
#[test]
fn a_refusal_is_logged() {
    let pair = Pair::new(&[PASSING]);
    pair.edge.platform().limits().set(Limit::SignIn, 0);
    assert!(refused(&ask(&pair.edge, Limit::SignIn, "203.0.113.1")));
    let lines = pair.edge.platform().memory_log().take();
    let wanted = r#""status":429,"reason":"limited","detail":"LIMIT_SIGN_IN""#;
    assert!(lines.iter().any(|line| line.contains(wanted)), "{lines:?}");
}

/// The part of a request that servers must parse before they know who asks is bounded, and nothing longer is
/// sent on.
#[test]
fn a_sign_in_is_short() {
    let pair = Pair::new(&[PASSING]);
    let send = |path: &str, query: &str, body: &str, is_chunked: bool| {
        let passed = [("content-type", FORM.to_owned())];
        let body = MemoryBody { bytes: body.as_bytes().to_vec(), is_chunked, ..MemoryBody::default() };
        let target = format!("{path}?{query}");
        pair.write_as("", "POST", &target, body, &passed).status
    };
    let fields = |count: usize| vec!["a[]"; count].join("&");
    for path in
        ["/oauth2/token", "/oauth2/authorization", "/accounts/authenticate", "/v2/accounts/authenticate"]
    {
        pair.origin().forget_requests();
        for is_chunked in [false, true] {
            let longest = "a".repeat(SIGN_IN_MAX_BYTES);
            assert_eq!(send(path, "", &longest, is_chunked), 201, "{path}");
            assert_eq!(send(path, "", &format!("{longest}a"), is_chunked), 413, "{path}");
            assert_eq!(send(path, "", &fields(SIGN_IN_MAX_FIELDS), is_chunked), 201, "{path}");
            assert_eq!(send(path, "", &fields(SIGN_IN_MAX_FIELDS + 1), is_chunked), 422, "{path}");
            assert_eq!(send(path, "", &fields(4_000), is_chunked), 422, "{path}");
            assert_eq!(send(path, &fields(SIGN_IN_MAX_FIELDS), "", is_chunked), 201, "{path}");
            assert_eq!(send(path, &fields(SIGN_IN_MAX_FIELDS), "b", is_chunked), 422, "{path}");
            assert_eq!(send(path, &format!("{longest}a"), "", is_chunked), 422, "{path}");
        }
        assert_eq!(pair.origin().seen().len(), 6, "{path}: nothing else was sent");
    }
    // Merchants, who have a token, may send more.
    assert_eq!(pair.write("POST", "/v2/items", &fields(SIGN_IN_MAX_FIELDS + 1), &[]).status, 201);
}

/// Every request to the upstream carries the secret of edge and upstream, which appears nowhere else.
#[test]
fn the_secret_goes_to_the_upstream_and_nowhere_else() {
    let secret = "an-edge-key-of-more-than-32-characters";
    let pair = Pair::new(&[PASSING, ("ORIGIN_SECRET", secret), ("LOG_CHECKS", "all")]);
    pair.edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let mut replies: Vec<Reply> =
        Limit::ALL.iter().map(|limit| ask(&pair.edge, *limit, "203.0.113.1")).collect();
    replies.push(pair.check(CUSTOMER, 1));
    replies.push(pair.edge.get("/items/1/access", &fetched_viewer()));
    replies.push(pair.check_with_min_seq("/items/1", 99));
    // A header of this name from a client is not passed on.
    let spoofed = [("admit-edge-key", "x"), ("admit-viewer-address", "1.1.1.1")];
    replies.push(pair.write("POST", "/v2/items", "title=x", &spoofed));
    let seen = pair.origin().seen();
    assert!(seen.len() >= 7, "{}", seen.len());
    for seen in seen {
        let keys: Vec<_> = seen.headers.iter().filter(|(name, _)| *name == "admit-edge-key").collect();
        assert_eq!(keys, [&("admit-edge-key", secret.to_owned())], "{} {}", seen.method, seen.url);
        assert_ne!(seen.header("admit-viewer-address"), "1.1.1.1");
        assert!(!seen.url.contains(secret) && !String::from_utf8_lossy(&seen.body).contains(secret));
    }
    for reply in replies {
        assert!(!format!("{reply:?}").contains(secret), "{reply:?}");
    }
    let lines = pair.edge.platform().memory_log().take();
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains(secret)));
    // Without a secret the header is missing.
    let pair = Pair::new(&[PASSING]);
    pair.check(CUSTOMER, 1);
    assert_eq!(pair.origin().seen().pop().unwrap().header("admit-edge-key"), "");
}

/// Strangers learn nothing about the business.
#[test]
fn health_tells_numbers_to_those_who_may_read_them() {
    let edge = Edge::started();
    Business::new(7, None).publish(edge.platform());
    let body = |reply: &Reply| serde_json::from_slice::<Value>(reply.body.as_bytes()).unwrap();
    let health = |edge: &Edge, token: &str| {
        let reply = edge.get("/healthz", token);
        (reply.status, body(&reply))
    };
    assert_eq!(health(&edge, ""), (200, json!({"age_secs": 0, "status": "ok"})));
    edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
    let claims = |scope: &str| json!({"iss": "https://i.example", "sub": "ops", "scope": scope, "exp": START + 100_000});
    for (token, is_detailed) in [
        (Signer::Publisher.sign("JWT", &claims("snapshot:read")), true),
        (Signer::Publisher.sign("JWT", &claims("snapshot:publish")), true),
        (Signer::Publisher.sign("JWT", &claims("openid")), false),
        (Signer::Stranger.sign("JWT", &claims("snapshot:read")), false),
        (viewer(), false),
        ("junk".to_owned(), false),
    ] {
        let (status, told) = health(&edge, &token);
        assert_eq!((status, told.as_object().unwrap().len() > 2), (200, is_detailed), "{told}");
        assert_eq!(told.get("seq"), is_detailed.then_some(&json!(7)), "{told}");
    }
    // The age is in whole minutes; when it is old, the status says so.
    for (secs, age, status) in
        [(59, 0, "ok"), (61, 60, "ok"), (299, 240, "ok"), (300, 300, "stale"), (3_601, 3_600, "stale")]
    {
        let edge = Edge::started();
        Business::new(7, None).publish(edge.platform());
        edge.advance_secs(secs);
        assert_eq!(health(&edge, "").1, json!({"age_secs": age, "status": status}));
    }
    // If an object cannot be read, granted viewers may be answered 503.
    let edge = Edge::new(MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000));
    let business = Business::new(7, Some(START + 1_000));
    business.publish(edge.platform());
    assert_eq!(health(&edge, "").1["status"], "ok");
    for (name, _) in business.objects.iter().filter(|(name, _)| name.to_string().starts_with("shard/")) {
        edge.platform().store().insert(&name.to_string(), b"broken");
    }
    assert_eq!(edge.check(), 503);
    assert_eq!(health(&edge, "").1["status"], "degraded");
}
