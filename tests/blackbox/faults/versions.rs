//! The report and the comparison of versions when heads change, objects go, and the store fails.

use admit::{
    api::{
        diff::{DiffCursor, DiffToken, Named},
        reply::Reply,
    },
    ports::Platform as _,
};
use admit_testing::memory::Fault;
use serde_json::{Value, json};

use crate::faults::edge::{Business, Edge, START, Signer};

const FOREVER: Option<i64> = Some(START + 1_000_000);

fn ask(edge: &Edge, target: &str) -> Reply {
    edge.publish("GET", target, "", Vec::new())
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(reply.body.as_bytes()).unwrap()
}

fn report(edge: &Edge) -> Value {
    let reply = ask(edge, "/snapshot/report");
    assert_eq!(reply.status, 200);
    json_of(&reply)
}

/// The versions 1 and 2, of which the first is kept and the second is published. The access has ended in between.
fn versions(edge: &Edge) -> [Business; 2] {
    let versions = [Business::new(1, FOREVER), Business::new(2, None)];
    let [first, second] = &versions;
    first.publish_objects(edge.platform());
    edge.platform().store().insert("version/1", first.jws(Signer::Publisher).as_bytes());
    second.publish(edge.platform());
    versions
}

fn token([before, after]: &[Business; 2]) -> String {
    let [before, after] = [before, after].map(|business| Named::of(&business.head));
    DiffToken { before, after, cursor: DiffCursor::START }.text()
}

#[test]
fn pages_are_about_the_versions_of_the_first_one() {
    let edge = Edge::started();
    let both = versions(&edge);
    let target = format!("/snapshot/diff?from=1&to=head&page_token={}", token(&both));
    let changed = |page: &Value| (page["customers"]["changed"].clone(), page["customers"]["changes"].clone());
    let first = json_of(&ask(&edge, "/snapshot/diff?from=1&to=head"));
    assert_eq!(first["customers"]["changed"], 2, "{first}");
    let lost = &first["customers"]["changes"][0]["lost"]["accesses"];
    assert_eq!(lost, &json!([{"id": 5, "item_id": 1, "starts_at": null, "expires_at": START + 1_000_000}]));
    // Another head, in which the access is back.
    Business::new(3, FOREVER).publish(edge.platform());
    assert_eq!(json_of(&ask(&edge, "/snapshot/diff?from=1&to=head"))["customers"]["changed"], 0);
    assert_eq!(changed(&json_of(&ask(&edge, &target))), changed(&first));
    // An object that was collected meanwhile.
    edge.platform().store().break_on(&format!("index/{}", both[0].head.index), Fault::Missing);
    assert_eq!(ask(&edge, &target).status, 404);
}

#[test]
fn a_comparison_of_what_cannot_be_read_is_no_comparison() {
    for (key, fault, status) in [
        ("version/1", Fault::Error, 503),
        ("head", Fault::Error, 503),
        ("index/", Fault::Error, 503),
        ("shard/", Fault::Error, 503),
        ("shard/", Fault::Missing, 404),
        ("version/1", Fault::Missing, 404),
    ] {
        let edge = Edge::started();
        versions(&edge);
        edge.platform().store().break_on(key, fault);
        let reply = ask(&edge, "/snapshot/diff?from=1&to=head");
        assert_eq!(reply.status, status, "{key} {fault:?}");
        assert_eq!(reply.header("retry-after").is_some(), status == 503, "{key} {fault:?}");
    }
    let edge = Edge::started();
    let [first, _] = versions(&edge);
    edge.platform().store().insert("version/1", first.jws(Signer::Stranger).as_bytes());
    assert_eq!(ask(&edge, "/snapshot/diff?from=1&to=head").status, 503, "a version that a stranger signed");
}

#[test]
fn a_version_below_the_floor_is_compared_and_not_answered_from() {
    let edge = Edge::started();
    versions(&edge);
    let strict = Edge::configured(edge.platform().beside(), &[("SNAPSHOT_MIN_SEQ", "2")]);
    assert_eq!(json_of(&ask(&strict, "/snapshot/diff?from=head&to=1"))["customers"]["changed"], 2);
    let stricter = Edge::configured(edge.platform().beside(), &[("SNAPSHOT_MIN_SEQ", "3")]);
    assert_eq!(ask(&stricter, "/snapshot/diff?from=head&to=1").status, 503);
}

#[test]
fn the_report_of_an_empty_store_has_no_head() {
    let edge = Edge::started();
    let shown = report(&edge);
    let head = ["head", "kid", "stored", "objects"].map(|member| shown[member].clone());
    assert_eq!(head, [const { Value::Null }; 4]);
    assert_eq!(shown["history"], json!({"versions_total": 0, "versions": [], "lease": null}));
    let unset = shown["configuration"]["unset"].as_array().unwrap();
    assert!(
        unset.contains(&"ORIGIN_URL".into()) && !unset.contains(&"JWKS_CACHE_SECRET".into()),
        "{unset:?}"
    );
    assert!(!shown.to_string().contains("secret of"), "{shown}");
}

#[test]
fn the_report_tells_the_head_in_use_from_the_stored_one() {
    let edge = Edge::started();
    versions(&edge);
    let shown = report(&edge);
    assert_eq!(
        (&shown["head"]["seq"], &shown["stored"], &shown["kid"]),
        (&2.into(), &Value::Null, &"k".into())
    );
    assert_eq!(shown["history"]["versions"][0]["seq"], 1);
    assert_eq!(shown["head"]["age_secs"], 0);
    // The isolate looks at the head every 30 s only.
    Business::new(3, FOREVER).publish(edge.platform());
    edge.advance_secs(7);
    let shown = report(&edge);
    assert_eq!((&shown["head"]["seq"], &shown["head"]["age_secs"]), (&2.into(), &7.into()));
    let stored = json!({"seq": 3, "as_of": START, "published_at": null, "problem": null});
    assert_eq!(shown["stored"], stored);
    // Heads that this edge refuses.
    for (jws, problem) in [
        (Business::new(1, None).jws(Signer::Publisher), "seq 1 is older than the current seq 2"),
        (Business::new(9, None).jws(Signer::Stranger), "head: "),
    ] {
        edge.platform().store().insert("head", jws.as_bytes());
        let told = report(&edge)["stored"]["problem"].as_str().unwrap().to_owned();
        assert!(told.starts_with(problem), "{told}");
    }
}

#[test]
fn the_report_names_the_holder_of_the_lease_and_fails_with_the_store() {
    let edge = Edge::started();
    versions(&edge);
    let lease = format!(r#"{{"holder":"{}","host":"build-7","until":{}}}"#, "0".repeat(32), START + 60);
    edge.platform().store().insert("lease", lease.as_bytes());
    assert_eq!(report(&edge)["history"]["lease"]["host"], "build-7");
    assert_eq!(report(&edge)["history"]["lease"]["secs_left"], 60);
    edge.advance_secs(60);
    assert_eq!(report(&edge)["history"]["lease"], Value::Null);
    for key in ["head", "version/", "lease", "shard/"] {
        edge.platform().store().break_on(key, Fault::Error);
        assert_eq!(ask(&edge, "/snapshot/report").status, 503, "{key}");
        edge.platform().store().mend();
    }
    assert_eq!(report(&edge)["head"]["seq"], 2);
}
