//! Data points for Analytics Engine in workerd, and traces that go through to the origin. Run by `cargo xtask test`.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    catalogue, configured,
    misbehaving_origin::MisbehavingOrigin,
    stand_ins::DATASET,
    subject::Subject as _,
    wire::Wire,
    workerd::Workerd,
    writes::{FORM, customer, merchant, write},
};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The points in a Worker's output, once there are as many as wanted.
fn points(worker: &Workerd, wanted: usize) -> Vec<Value> {
    let found = || -> Vec<Value> {
        let output = worker.output();
        let lines = output.lines().filter_map(|line| line.split_once("point {"));
        lines.map(|(_, point)| serde_json::from_str(&format!("{{{point}")).unwrap()).collect()
    };
    for _ in 0..500 {
        if found().len() >= wanted {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    found()
}

fn start(variables: &[(&str, &str)]) -> (Workerd, MisbehavingOrigin) {
    let origin = MisbehavingOrigin::start();
    let url = format!("http://{}", origin.address);
    let variables = [&[("ORIGIN_URL", url.as_str())], variables].concat();
    let worker = Workerd::start(&configured::variables(&variables));
    catalogue::publish(&worker, 1);
    (worker, origin)
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn answers_have_points_and_kept_ones_are_counted() {
    let (worker, _origin) = start(&[("ANALYTICS", DATASET)]);
    let granted = Wire::get("/items/5101/access").bearer(&worker.token("subscriber"));
    let statuses: Vec<_> = (0..50).map(|_| worker.send(&granted).status).collect();
    assert_eq!(statuses, [200; 50]);
    let before = points(&worker, 1).len();
    let kept = |points: &[Value]| -> f64 {
        let kept = points.iter().filter(|point| point["blobs"][0] == "kept");
        kept.map(|point| point["doubles"][0].as_f64().unwrap()).sum()
    };
    let answers = |points: &[Value]| points.iter().filter(|point| point["blobs"][1] == "check").count();
    assert!(before < 60, "known viewers have no point each: {before}");
    // A denial is written, together with the counted answers.
    assert_eq!(
        worker.send(&Wire::get("/items/5101/access").bearer(&customer(&worker, "nobody"))).status,
        402
    );
    let found = points(&worker, before + 2);
    let denied = found.iter().find(|point| point["blobs"][2] == "402").unwrap();
    assert_eq!(denied["indexes"], json!(["2101"]), "{denied}");
    assert!(!denied["blobs"][3].as_str().unwrap().is_empty(), "the reason: {denied}");
    assert_eq!(denied["blobs"][4], "origin", "{denied}");
    let [count, age, wait] = [0, 1, 2].map(|place| denied["doubles"][place].as_f64().unwrap());
    assert!(count == 1.0 && (0.0..600.0).contains(&age) && wait >= 0.0, "{denied}");
    // Each of fifty answers and a denial is in one point, written or counted.
    let singles = answers(&found) - found.iter().filter(|point| point["blobs"][0] == "kept").count();
    assert_eq!(kept(&found) + singles as f64, 51.0, "{found:?}");
    assert!(kept(&found) > 40.0, "{found:?}");
    let of_merchant = found
        .iter()
        .filter(|point| point["blobs"][0] == "kept")
        .all(|point| point["indexes"] == json!(["2101"]));
    assert!(of_merchant, "{found:?}");
    for point in &found {
        assert!(
            point["blobs"].as_array().unwrap().len() == 5 && point["doubles"].as_array().unwrap().len() == 3
        );
    }
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn one_answer_in_ten_stands_for_ten() {
    let (worker, _origin) = start(&[("ANALYTICS", DATASET), ("ANALYTICS_SAMPLE", "10")]);
    let before = points(&worker, 1).len();
    for _ in 0..40 {
        assert_eq!(worker.send(&Wire::get("/items/999999999/access-fees")).status, 404);
    }
    let found = points(&worker, before + 4);
    let of_these = found.iter().filter(|point| point["blobs"][2] == "404");
    let counts: Vec<_> = of_these.map(|point| point["doubles"][0].as_f64().unwrap()).collect();
    assert_eq!(counts, [10.0; 4]);
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn without_the_binding_nothing_is_told() {
    let (worker, _origin) = start(&[]);
    worker.send(&Wire::get("/items/5101"));
    assert!(points(&worker, 0).is_empty());
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn a_trace_goes_through_to_the_origin_and_into_the_log() {
    let (worker, origin) = start(&[("PASS_THROUGH", "/payments"), ("LOG_CHECKS", "all")]);
    let traced = |wire: Wire| wire.header("traceparent", TRACE).header("tracestate", "vendor=1");
    // A confirmation, a write, and a request that is passed through.
    worker.send(&traced(Wire::get("/items/5101/access").bearer(&customer(&worker, "ada"))));
    worker.send(&traced(write("POST", "/v2/items", FORM, "title=x").bearer(&merchant(&worker))));
    worker.send(&traced(Wire::get("/payments/methods")));
    let seen = origin.origin.take_seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for seen in &seen {
        assert_eq!(seen.header("traceparent"), Some(TRACE), "{seen:?}");
        assert_eq!(seen.header("tracestate"), Some("vendor=1"), "{seen:?}");
    }
    let id = r#""trace_id":"0af7651916cd43dd8448eb211c80319c""#;
    for path in ["/items/5101/access", "/v2/items", "/payments"] {
        let line = worker.log_line(&[r#""event":"request""#, &format!("\"path\":\"{path}"), id]);
        assert!(line.is_some(), "{path}: {}", worker.output());
    }
    // Another value is passed on as it is, and is not in the log.
    worker.send(&Wire::get("/payments/methods").header("traceparent", "junk"));
    assert_eq!(origin.origin.take_seen().pop().unwrap().header("traceparent"), Some("junk"));
    assert!(!worker.output().contains("junk"));
}
