//! Pass-through when something fails: what hangs or breaks there stays there.

use admit::{
    api::reply::{Reply, Request},
    limits::{
        BREAKER_FAILURES, BREAKER_OPEN_MS, PASS_THROUGH_AT_ONCE, PASS_THROUGH_PER_PARTY,
        PASS_THROUGH_PER_PREFIX, RETRY_AFTER_SECS,
    },
    ports::Platform as _,
    snapshot::denylist::{Denied, Target},
};
use admit_testing::memory::{MemoryBody, MemoryPlatform, OriginFault, block_on, poll_once};
use serde_json::{Value, json};

use crate::faults::{
    edge::{Business, CUSTOMER, Edge, START, token},
    origin::{ORIGIN_URL, Pair, answer, customer, denial},
};

const PREFIXES: (&str, &str) = ("PASS_THROUGH", "/payments, /accounts");

fn pair(variables: &[(&str, &str)]) -> Pair {
    Pair::new(&[&[PREFIXES], variables].concat())
}

/// Sends a request by a customer; by a stranger at `ip_address`, if the subject is empty.
fn ask(pair: &Pair, method: &str, path: &str, subject: &str, ip_address: &str) -> Reply {
    let authorization =
        if subject.is_empty() { String::new() } else { format!("Bearer {}", customer(subject)) };
    let request = Request { method, path, authorization: &authorization, ip_address, ..Request::default() };
    block_on(pair.edge.app.handle(&request, MemoryBody::default()))
}

fn get(pair: &Pair, path: &str, subject: &str) -> u16 {
    ask(pair, "GET", path, subject, "").status
}

/// Everything else works as before.
fn the_rest_works(pair: &Pair) {
    pair.bought("buyer", 2);
    assert_eq!(pair.check("buyer", 2).status, 200, "confirmations");
    assert_eq!(pair.check("mallory", 2).status, 402, "denials");
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 201, "writes");
    let passed = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    let body = b"grant_type=password".to_vec().into();
    assert_eq!(pair.write_as("", "POST", "/oauth2/token", body, &passed).status, 201, "sign-ins");
    assert_eq!(pair.check_with_min_seq("/license", 99).status, 200, "reads that insist");
}

#[test]
fn a_prefix_that_fails_is_paused_alone() {
    let pair = pair(&[]);
    let failing = |seen: &admit_testing::memory::SeenRequest| seen.url.contains("/payments");
    pair.origin().serve(
        move |seen| {
            if failing(seen) { denial(502, "down") } else { answer(201, &json!({"id": 1})) }
        },
    );
    for viewer in 0..BREAKER_FAILURES {
        assert_eq!(get(&pair, "/payments/x", &format!("viewer-{viewer}")), 502);
    }
    let reply = ask(&pair, "GET", "/payments/x", "another", "");
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
    assert_eq!(get(&pair, "/accounts", "another"), 201, "another prefix");
    assert_eq!(get(&pair, "/accounts", "viewer-1"), 201, "the same viewer");
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 201);
    // After the pause it is tried again.
    pair.origin().serve(|_| answer(200, &json!([])));
    pair.edge.platform().clock().advance_ms(BREAKER_OPEN_MS);
    assert_eq!(get(&pair, "/payments/x", "another"), 200);
}

/// The circuits of the rest learn nothing here, neither by failures nor by time-outs.
#[test]
fn what_fails_here_leaves_the_rest_as_it_is() {
    for fault in
        [OriginFault::Refuses, OriginFault::BreaksAfter, OriginFault::HangsAfter, OriginFault::TooLong]
    {
        let pair = pair(&[]);
        for viewer in 0..20 {
            pair.origin().break_times(fault, 1);
            let subject = if viewer % 2 == 0 { format!("viewer-{viewer}") } else { String::new() };
            let status = ask(&pair, "POST", "/payments/x", &subject, &format!("203.0.113.{viewer}")).status;
            assert!(matches!(status, 502..=504), "{fault:?}: {status}");
            pair.origin().mend();
        }
        the_rest_works(&pair);
    }
}

/// And failures of the rest leave this as it is.
#[test]
fn what_fails_elsewhere_leaves_this_as_it_is() {
    let pair = pair(&[]);
    pair.origin().break_times(OriginFault::Refuses, 1_000);
    for viewer in 0..20 {
        pair.check(&format!("viewer-{viewer}"), 2);
        pair.write("POST", "/v2/items", "title=x", &[]);
    }
    pair.origin().mend();
    assert_eq!(get(&pair, "/accounts", "ada"), 200);
}

#[test]
fn nothing_is_sent_twice() {
    for fault in [OriginFault::BreaksBefore, OriginFault::BreaksAfter, OriginFault::Refuses] {
        for method in ["GET", "POST", "DELETE"] {
            let pair = pair(&[]);
            pair.origin().break_times(fault, 1);
            let passed = [("idempotency-key", "a key".to_owned())];
            let request = Request { method, path: "/payments/x", passed: &passed, ..Request::default() };
            let reply = block_on(pair.edge.app.handle(&request, MemoryBody::default()));
            assert_eq!(reply.status, 502, "{fault:?} {method}");
            assert!(pair.origin().seen().len() <= 1 && pair.origin().done().len() <= 1, "{fault:?} {method}");
            assert_eq!(get(&pair, "/payments/x", ""), 200, "the fault was spent on one attempt");
        }
    }
}

/// Requests that never end hold places: those of one party, of one prefix, and of all are bounded.
#[test]
fn requests_that_hang_leave_places_to_others() {
    let pair = pair(&[]);
    pair.origin().break_times(OriginFault::Never, u32::MAX);
    let authorizations: Vec<_> =
        (0..=PASS_THROUGH_AT_ONCE).map(|n| format!("Bearer {}", customer(&format!("v{n}")))).collect();
    let request = |path: &'static str, n: usize| Request {
        method: "GET",
        path,
        authorization: &authorizations[n],
        ..Request::default()
    };
    let one_party: Vec<_> = (0..PASS_THROUGH_PER_PARTY + 1).map(|_| request("/payments/x", 0)).collect();
    let many: Vec<_> = (1..=PASS_THROUGH_AT_ONCE).map(|n| request("/payments/x", n)).collect();
    let beside: Vec<_> = (1..=PASS_THROUGH_AT_ONCE).map(|n| request("/accounts/x", n)).collect();
    let mut hanging = Vec::new();
    for (requests, places) in [
        (&one_party, PASS_THROUGH_PER_PARTY),
        (&many, PASS_THROUGH_PER_PREFIX - PASS_THROUGH_PER_PARTY),
        (&beside, PASS_THROUGH_AT_ONCE - PASS_THROUGH_PER_PREFIX),
    ] {
        let before = hanging.len();
        for request in requests {
            let mut asked = Box::pin(pair.edge.app.handle(request, MemoryBody::default()));
            let ended = (0..20).find_map(|_| match poll_once(&mut asked) {
                std::task::Poll::Ready(reply) => Some(reply),
                std::task::Poll::Pending => None,
            });
            match ended {
                Some(reply) => {
                    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
                    assert_eq!(RETRY_AFTER_SECS, 2);
                }
                None => hanging.push(asked),
            }
        }
        assert_eq!(hanging.len() - before, places);
    }
    pair.origin().mend();
    the_rest_works(&pair);
    // Places of requests that ended are free, and of those that the runtime never wakes, after the time limit.
    assert_eq!(get(&pair, "/accounts", "another"), 503);
    hanging.truncate(PASS_THROUGH_AT_ONCE - 1);
    assert_eq!(get(&pair, "/accounts", "another"), 200);
    hanging.into_iter().for_each(std::mem::forget);
    pair.edge.platform().clock().advance_ms(10_500);
    assert_eq!(get(&pair, "/payments/x", "another"), 200);
}

/// The time limit is its own.
#[test]
fn a_time_limit_of_its_own() {
    let pair = pair(&[("PASS_THROUGH_TIMEOUT_MS", "20000")]);
    pair.origin().set_latency_ms(15_000);
    assert_eq!(get(&pair, "/accounts", "ada"), 200);
    assert_eq!(pair.write("POST", "/v2/items", "title=x", &[]).status, 504);
}

#[test]
fn a_revoked_token_passes_nothing() {
    let pair = pair(&[]);
    let stolen = token(&json!({"sub": CUSTOMER, "jti": "stolen", "iat": START - 10}));
    let status = |edge: &Edge| edge.get("/accounts", &stolen).status;
    assert_eq!(status(&pair.edge), 200);
    let mut business = Business::new(2, None);
    let (since, until) = (START, START + 3_600);
    let target = Target::TokenId("stolen".to_owned());
    business.head.denylist.add(Denied {
        target,
        since,
        until,
        is_lifted: false,
        reason: "stolen".to_owned(),
    });
    business.publish(pair.edge.platform());
    // An isolate that has never read a head looks at it first, and so does one that has slept.
    let beside = Edge::configured(pair.edge.platform().beside(), &[PREFIXES, ("ORIGIN_URL", ORIGIN_URL)]);
    assert_eq!(status(&beside), 401);
    pair.edge.advance_secs(61);
    assert_eq!(status(&pair.edge), 401);
    assert_eq!(get(&pair, "/accounts", CUSTOMER), 200, "the viewer's other tokens");
    assert_eq!(get(&pair, "/accounts", ""), 200, "no token");
}

/// Without a snapshot, strangers pass: no token is looked at. With a token the answer is as that to a write.
#[test]
fn without_a_snapshot() {
    let pair = Pair::without_snapshot(&[PREFIXES]);
    assert_eq!(get(&pair, "/accounts", ""), 200);
    let write = pair.write("POST", "/v2/items", "title=x", &[]).status;
    assert_eq!(get(&pair, "/accounts", CUSTOMER) < 300, write < 300, "{write}");
}

/// An issuer that may neither view nor write has no business at these paths.
#[test]
fn issuers_by_their_capabilities() {
    for (may, status) in [
        (json!(["view"]), 200),
        (json!(["write"]), 200),
        (json!(["view", "write"]), 200),
        (json!(["publish"]), 403),
        (json!(["feed"]), 403),
    ] {
        let issuers = json!([{"issuer": "https://v.example", "namespace": "v", "audience": "none_required",
            "may": may, "keys": {"secret": "SECRET", "alg": "HS256"}}]);
        let platform = MemoryPlatform::at(u64::try_from(START).unwrap() * 1_000);
        Business::new(1, None).publish(&platform);
        platform.upstream().serve(|_| answer(200, &json!([])));
        let edge =
            Edge::with_issuers(platform, &issuers.to_string(), &[PREFIXES, ("ORIGIN_URL", ORIGIN_URL)]);
        assert_eq!(edge.get("/accounts", &customer("ada")).status, status, "{may}");
        assert_eq!(edge.platform().upstream().seen().len(), usize::from(status == 200), "{may}");
    }
}

/// Changes have their audit event, reads have none, and no log has what follows the prefix.
#[test]
fn audit_events_and_log_lines() {
    let pair = pair(&[("LOG_CHECKS", "all")]);
    let events = |lines: &[String]| {
        let events = lines.iter().filter(|line| line.starts_with(r#"{"event":"audit""#));
        events.map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    for (method, count) in
        [("GET", 0), ("HEAD", 0), ("OPTIONS", 0), ("POST", 1), ("PUT", 1), ("PATCH", 1), ("DELETE", 1)]
    {
        let reply = ask(&pair, method, "/accounts/forgot-password/a-secret", CUSTOMER, "203.0.113.9");
        let lines = pair.edge.platform().memory_log().take();
        let events = events(&lines);
        assert_eq!(events.len(), count, "{method}: {lines:?}");
        for event in events {
            assert_eq!(event["action"], "pass_through", "{event}");
            assert_eq!(event["route"], format!("{method} /accounts/"), "{event}");
            assert_eq!(
                (&event["outcome"], &event["status"]),
                (&json!("applied"), &json!(reply.status)),
                "{event}"
            );
            assert!(event["subject_hash"].is_string() && event["address"] == "203.0.113.9", "{event}");
        }
        let line = lines.iter().find(|line| line.contains(r#""event":"request""#)).unwrap();
        assert!(line.contains(r#""path":"/accounts/""#), "{line}");
        assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
    }
    // A stranger's change has no actor; one that is refused before it begins is not a change.
    ask(&pair, "POST", "/accounts", "", "203.0.113.9");
    let told = events(&pair.edge.platform().memory_log().take()).pop().unwrap();
    assert!(told.get("issuer").is_none() && told["outcome"] == "applied", "{told}");
    pair.origin().break_times(OriginFault::HangsAfter, 1);
    ask(&pair, "POST", "/accounts/a-secret", CUSTOMER, "203.0.113.9");
    let lines = pair.edge.platform().memory_log().take();
    assert_eq!(events(&lines).pop().unwrap()["outcome"], "unknown");
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
}
