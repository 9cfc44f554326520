//! Metrics, health and log of a real follower and a real origin against the events that they saw.

use serde_json::Value;

use crate::{
    programs::{Mode, Origin, Stage, Wire, admit, follower, output},
    scrape::{Scrape, get, wait_for},
};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
#[ignore = "needs the built origin: cargo xtask test runs it"]
fn metrics_tell_what_has_happened() {
    let stage = Stage::new("followed");
    let mut origin = Origin::start(&stage, None);
    let wire = Wire::to(&origin.url, Mode::Pass);
    let mut follower = follower(&stage, &wire.export(), "store");
    follower.wait_for("following");
    let store = format!("dir:{}", stage.path("store"));
    let inspect = || -> Value {
        let text = output(admit().args(["inspect", "--json", "--from", &store]));
        serde_json::from_str(&text).unwrap()
    };
    let first = wait_for(&follower.metrics, "a first version", |found| {
        found.value("admit_follower_published_seq") > 0.0
    });
    assert_eq!(first.value(r#"admit_follower_publishes_total{kind="whole"}"#), 1.0);
    assert_eq!(first.value("admit_follower_lease_held"), 1.0);
    let origin_before = Scrape::of(&origin.program.metrics).unwrap();

    // Three changes, each of which is published before the next one.
    for number in 1..=3_u32 {
        if number % 2 == 1 {
            origin.grant()
        } else {
            origin.revoke()
        }
        let published = first.value("admit_follower_changes_total") + f64::from(number);
        wait_for(&follower.metrics, "a change", |found| {
            found.value("admit_follower_changes_total") == published
        });
    }
    let then = Scrape::of(&follower.metrics).unwrap();
    let changes = r#"admit_follower_publishes_total{kind="changes"}"#;
    assert_eq!(then.value(changes) - first.value(changes), 3.0);
    assert_eq!(then.value("admit_follower_publish_delay_seconds_count"), 3.0);
    assert_eq!(then.value("admit_follower_lag_changes"), 0.0);
    assert!(then.value("admit_follower_delta_bytes") > 0.0);
    assert_eq!(then.sum("admit_follower_failures_total"), 0.0, "{then:?}");
    let head = &inspect()["head"];
    for (metric, member) in [
        ("admit_follower_published_seq", "seq"),
        ("admit_follower_published_origin_seq", "origin_seq"),
        ("admit_follower_customers", "customers"),
        ("admit_follower_items", "items"),
    ] {
        assert_eq!(Some(then.value(metric)), head[member].as_f64(), "{metric}: {head}");
    }

    // The origin counted the same writes, and every answer of the feed.
    let origin_then = wait_for(&origin.program.metrics, "the writes", |found| {
        found.value("origin_seq") == then.value("admit_follower_published_origin_seq")
    });
    let more = |series: &str| origin_then.value(series) - origin_before.value(series);
    assert_eq!(more(r#"origin_requests_total{class="write",status="201"}"#), 2.0);
    assert_eq!(more(r#"origin_requests_total{class="write",status="204"}"#), 1.0);
    assert_eq!(more(r#"origin_queue_wait_seconds_count{class="write"}"#), 3.0);
    assert_eq!(more("origin_write_lock_wait_seconds_count"), 3.0);
    assert!(more(r#"origin_requests_total{class="feed",status="200"}"#) >= 3.0);
    assert_eq!(more("origin_seq"), 3.0);
    assert_eq!(origin_then.value("origin_database_writable"), 1.0);
    assert!(origin_then.value(r#"origin_database_bytes{file="database"}"#) > 0.0);

    // A trace goes through to the log.
    assert_eq!(origin.write("GET", "/items/5101", "", &[("traceparent", TRACE)]), 200);
    loop {
        let line = origin.program.wait_for("request");
        origin.program.said.retain(|known| *known != line);
        if line["trace_id"] == "0af7651916cd43dd8448eb211c80319c" {
            assert_eq!((&line["status"], &line["path"]), (&200.into(), &"/items/5101".into()));
            assert!(line["time"].is_string());
            break;
        }
    }

    // The log has the same numbers as the metrics.
    let published: Vec<_> =
        follower.new_lines().into_iter().filter(|line| line["event"] == "published").collect();
    assert_eq!(
        published.iter().map(|line| line["changes"].as_u64().unwrap()).sum::<u64>(),
        3,
        "{published:?}"
    );
    assert_eq!(
        published.last().unwrap()["origin_seq"].as_f64().unwrap(),
        then.value("admit_follower_published_origin_seq")
    );

    // Readiness follows the origin; health does not.
    assert_eq!(get(&format!("http://{}/readyz", follower.metrics)).unwrap().0, 200);
    wire.set(Mode::Refuse);
    wait_for(&follower.metrics, "failures", |found| {
        found.value(r#"admit_follower_failures_in_a_row{task="feed"}"#) >= 3.0
    });
    let (status, body) = get(&format!("http://{}/readyz", follower.metrics)).unwrap();
    assert_eq!((status, body.as_str()), (503, r#"{"status":"not ready","problems":["feed"]}"#));
    assert_eq!(get(&format!("http://{}/healthz", follower.metrics)).unwrap().0, 200);
    assert_eq!(get(&format!("http://{}/readyz", origin.program.metrics)).unwrap().0, 200);
    wire.set(Mode::Pass);
    wait_for(&follower.metrics, "recovery", |found| {
        found.value(r#"admit_follower_failures_in_a_row{task="feed"}"#) == 0.0
    });
    assert_eq!(get(&format!("http://{}/readyz", follower.metrics)).unwrap().0, 200);
}
