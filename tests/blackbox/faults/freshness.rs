//! Heads with a valid signature that must not be believed: put back, of another store, not renewed.

use admit::ports::Platform as _;
use admit_testing::memory::Fault;
use serde_json::Value;

use crate::faults::{
    edge::{Business, Edge, JWKS_URL, START, Signer, fetched_viewer, viewer},
    origin::denial,
    repeat::{introduced, validity},
};

const FOREVER: Option<i64> = Some(START + 1_000_000);

/// The customer's access is in seq 1 and missing in seq 2.
fn put_back(edge: &Edge) {
    edge.platform().store().insert("head", Business::new(1, FOREVER).jws(Signer::Publisher).as_bytes());
}

fn has_logged(edge: &Edge, event: &str) -> bool {
    edge.platform().memory_log().lines().iter().any(|line| line.contains(&format!(r#""event":"{event}""#)))
}

fn health(edge: &Edge) -> (u16, String) {
    let reply = edge.get("/healthz", "");
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    (reply.status, body["status"].as_str().unwrap_or_default().to_owned())
}

fn of_store(seq: u64, aud: Option<&str>, expires_at: Option<i64>) -> Business {
    let mut business = Business::new(seq, expires_at);
    business.head.aud = aud.map(str::to_owned);
    business
}

#[test]
fn an_old_head_put_back_is_refused_by_a_warm_isolate_and_by_a_new_one_below_the_floor() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(edge.check(), 200);
    Business::new(2, None).publish(edge.platform());
    edge.advance_secs(61);
    assert_eq!(edge.check(), 402);
    put_back(&edge);
    edge.advance_secs(61);
    // A warm isolate has seen the newer head.
    assert_eq!(edge.check(), 402);
    // A new isolate has not, unless the deployment sets a floor.
    let floor = Edge::configured(edge.platform().beside(), &[("SNAPSHOT_MIN_SEQ", "2")]);
    let reply = floor.get("/items/1/access", &viewer());
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")));
    assert!(has_logged(&floor, "head_refused"));
    assert!(
        floor
            .platform()
            .memory_log()
            .lines()
            .iter()
            .any(|line| line.contains("seq 1 is below 2 (SNAPSHOT_MIN_SEQ)"))
    );
    Business::new(2, None).publish(edge.platform());
    edge.advance_secs(2);
    assert_eq!(floor.check(), 402);
}

#[test]
fn a_head_of_another_store_is_refused_by_new_and_warm_isolates() {
    let edge = Edge::started();
    let audience = [("SNAPSHOT_AUDIENCE", "production")];
    for (aud, new, warm) in [(Some("staging"), 503, 402), (None, 503, 402), (Some("production"), 200, 200)] {
        of_store(2, Some("production"), None).publish(edge.platform());
        let running = Edge::configured(edge.platform().beside(), &audience);
        assert_eq!(running.check(), 402);
        of_store(9, aud, FOREVER).publish(edge.platform());
        edge.advance_secs(61);
        assert_eq!(running.check(), warm, "{aud:?}");
        let started = Edge::configured(edge.platform().beside(), &audience);
        assert_eq!(started.check(), new, "{aud:?}");
        assert_eq!(has_logged(&started, "head_refused"), new == 503);
        // Without the variable any head of the publisher counts, as before.
        assert_eq!(edge.beside().check(), 200, "{aud:?}");
    }
}

#[test]
fn a_head_for_another_store_is_not_stored_and_a_stored_one_keeps_no_good_one_out() {
    let platform = Edge::started().app.platform().beside();
    let edge = Edge::configured(platform, &[("SNAPSHOT_AUDIENCE", "production"), ("SNAPSHOT_MIN_SEQ", "3")]);
    let put = |business: &Business| {
        business.publish_objects(edge.platform());
        let reply = edge.publish("PUT", "/snapshot/head", "", business.jws(Signer::Publisher).into_bytes());
        let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
        (reply.status, body["message"].as_str().unwrap_or_default().to_owned(), body["errors"].clone())
    };
    for (business, field, message) in [
        (of_store(5, Some("staging"), FOREVER), "aud", "the head is for the store \"staging\", but this is"),
        (of_store(5, None, FOREVER), "aud", "the head names no store, but this is"),
        (of_store(2, Some("production"), FOREVER), "seq", "seq 2 is below 3 (SNAPSHOT_MIN_SEQ)"),
    ] {
        let (status, found, errors) = put(&business);
        assert_eq!((status, errors[field].is_string()), (422, true), "{found}");
        assert!(found.contains(message), "{found}");
        assert_eq!(edge.platform().store().peek("head"), None);
        let jws = business.jws(Signer::Publisher);
        let version = format!("/snapshot/version/{}", business.head.seq);
        assert_eq!(edge.publish("PUT", &version, "", jws.into_bytes()).status, 422);
    }
    of_store(90, Some("staging"), FOREVER).publish(edge.platform());
    assert_eq!(put(&of_store(5, Some("production"), FOREVER)).0, 201);
    assert_eq!(edge.check(), 200);
}

#[test]
fn a_head_that_is_not_renewed_grants_only_with_the_origins_word_and_an_outage_denies_no_viewer() {
    let edge = Edge::started();
    let variables = [("SNAPSHOT_MAX_AGE_SECS", "300"), ("ORIGIN_URL", "https://origin.example")];
    let edge = Edge::configured(edge.platform().beside(), &variables);
    Business::new(1, FOREVER).publish(edge.platform());
    let asked = || edge.platform().upstream().seen().len();
    for _ in 0..4 {
        assert_eq!(edge.check(), 200);
    }
    edge.advance_secs(299);
    assert_eq!((edge.check(), asked(), health(&edge).1.as_str()), (200, 0, "ok"));
    edge.advance_secs(1);
    // The origin cannot be reached, so the grant stands.
    assert_eq!((edge.check(), asked() > 0), (200, true));
    assert_eq!(health(&edge), (200, "stale".to_owned()));
    edge.advance_secs(60);
    edge.check();
    assert!(has_logged(&edge, "snapshot_stale"));
    // The origin answers, and knows of the revocation.
    edge.platform().upstream().serve(|_| denial(402, "No access"));
    edge.advance_secs(60);
    assert_eq!(edge.check(), 402);
    let started = Edge::configured(edge.platform().beside(), &variables);
    assert_eq!(started.check(), 402);
    // A renewed head grants without the origin.
    let mut renewed = Business::new(1, FOREVER);
    renewed.head = renewed.head.renewed(START + 400);
    renewed.publish(edge.platform());
    edge.advance_secs(61);
    assert_eq!((edge.check(), health(&edge).1.as_str()), (200, "ok"));
}

#[test]
fn without_an_origin_what_is_stale_grants_and_says_so() {
    let edge = Edge::configured(Edge::started().app.platform().beside(), &[("SNAPSHOT_MAX_AGE_SECS", "300")]);
    Business::new(1, FOREVER).publish(edge.platform());
    edge.advance_secs(300);
    for _ in 0..3 {
        assert_eq!(edge.get("/items/1/access", &viewer()).status, 200);
    }
    // Known viewers as well: each such check has its log line.
    let known = introduced(&edge, &viewer()).unwrap();
    assert_eq!(edge.app.grant(known, 1, 0), None);
    assert_eq!(health(&edge), (200, "stale".to_owned()));
    assert!(has_logged(&edge, "snapshot_stale"));
}

#[test]
fn an_answer_is_kept_no_longer_than_the_snapshot_is_new_enough() {
    let edge = Edge::configured(Edge::started().app.platform().beside(), &[("SNAPSHOT_MAX_AGE_SECS", "300")]);
    Business::new(1, FOREVER).publish(edge.platform());
    edge.get("/items/1/access", &viewer());
    let validity = validity(&edge, introduced(&edge, &viewer()).unwrap());
    assert_eq!(validity.map(|validity| validity.until), Some(START + 300));
    assert!(edge.app.repeat(&validity.unwrap()).is_some());
}

#[test]
fn a_head_that_stays_behind_the_origins_count_is_reported_and_locks_no_viewer_out() {
    let edge = Edge::configured(
        Edge::started().app.platform().beside(),
        &[("ORIGIN_URL", "https://origin.example")],
    );
    Business::new(1, FOREVER).publish(edge.platform());
    edge.platform().upstream().serve(|_| {
        let mut denial = denial(402, "No access");
        denial.headers.push(("entitlement-seq", "7".to_owned()));
        denial
    });
    // Item 2 was not bought: the origin confirms it, and tells its own count.
    assert_eq!(edge.get("/items/2/access", &viewer()).status, 402);
    assert_eq!(health(&edge).1, "ok");
    edge.advance_secs(301);
    assert_eq!((edge.check(), health(&edge).1.as_str()), (200, "behind"));
    assert!(has_logged(&edge, "snapshot_behind"));
    let mut caught_up = Business::new(7, FOREVER);
    caught_up.head = caught_up.head.renewed(START + 300);
    caught_up.publish(edge.platform());
    edge.advance_secs(61);
    assert_eq!((edge.check(), health(&edge).1.as_str()), (200, "ok"));
}

#[test]
fn an_object_that_cannot_be_read_degrades_health_until_it_can() {
    let edge = Edge::started();
    Business::new(1, FOREVER).publish(edge.platform());
    assert_eq!(health(&edge), (200, "ok".to_owned()));
    let store = edge.platform().store();
    store.break_on("shard/", Fault::Flipped(20));
    assert_eq!(edge.check(), 503);
    assert_eq!(health(&edge), (200, "degraded".to_owned()));
    store.mend();
    edge.advance_secs(5);
    assert_eq!((edge.check(), health(&edge).1.as_str()), (200, "ok"));
}

#[test]
fn a_head_that_names_what_is_missing_is_refused_by_name() {
    let edge = Edge::started();
    let business = Business::new(3, FOREVER);
    let put = || edge.publish("PUT", "/snapshot/head", "", business.jws(Signer::Publisher).into_bytes());
    let reply = put();
    let body: Value = serde_json::from_slice(reply.body.as_bytes()).unwrap();
    let message = body["message"].as_str().unwrap();
    assert_eq!((reply.status, &body["errors"]["body"]), (422, &body["message"]));
    for (kind, digest) in [("index", business.head.index), ("directory", business.head.directory)] {
        assert!(message.contains(&format!("{kind}/{digest}: not found")), "{message}");
    }
    business.publish_objects(edge.platform());
    assert_eq!(put().status, 201);
}

#[test]
fn a_new_isolate_whose_issuer_is_down_serves_what_the_snapshot_grants() {
    let cached = [("JWKS_CACHE_SECRET", "0123456789abcdef0123456789abcdef")];
    // Without a secret for this purpose, the one that identifies the edge to the origin will do.
    let usual = [
        ("JWKS_CACHE_SECRET", ""),
        ("ORIGIN_URL", "https://origin.example"),
        ("ORIGIN_SECRET", "fedcba9876543210fedcba9876543210"),
    ];
    let none = [("JWKS_CACHE_SECRET", "")];
    for (variables, status) in [(&cached[..], 200), (&usual, 200), (&none, 503)] {
        let edge = Edge::configured(Edge::started().app.platform().beside(), variables);
        Business::new(1, FOREVER).publish(edge.platform());
        edge.platform().keys().serve(JWKS_URL, Signer::Publisher.jwks().as_bytes());
        assert_eq!(edge.get("/items/1/access", &fetched_viewer()).status, 200);
        edge.platform().keys().fail(JWKS_URL, "down");
        edge.advance_secs(3_600);
        let started = Edge::configured(edge.platform().beside(), variables);
        assert_eq!(started.get("/items/1/access", &fetched_viewer()).status, status);
    }
}
