//! The fresh lane of the Worker in workerd: two isolates, one store, one Durable Object. Run by `cargo xtask test`.

use std::{thread, time::Duration};

use serde_json::json;

use crate::{catalogue, configured, issuers, subject::Subject, wire::Wire, workerd::Workerd};

/// The Worker's entry with its object.
const WITH_LANE: &str = r#"export { default, Fresh, FreshHead } from "./index.js";"#;

/// More polls than a revocation needs at one question a second, on a busy machine too. Without the lane, and with a store
/// that cannot be read, there would never be enough.
const POLLS_MAX: usize = 80;

fn started(variables: &[(&str, &str)]) -> Workerd {
    Workerd::start_behind(WITH_LANE, &configured::variables(variables))
}

fn check(subject: &dyn Subject) -> u16 {
    let token = subject.token("item-buyer");
    subject.send(&Wire::get("/items/5110/access").bearer(&token)).status
}

/// Polls until the isolate answers so, which it has to.
fn polls(subject: &dyn Subject, status: u16) -> usize {
    for count in 1..=POLLS_MAX {
        if check(subject) == status {
            return count;
        }
        thread::sleep(Duration::from_millis(250));
    }
    panic!("never {status}");
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn what_one_isolate_publishes_another_one_sees_without_the_store() {
    let worker = started(&[("FRESH_SECS", "1")]);
    let publisher = worker.other();
    catalogue::publish(&publisher, 1);
    assert_eq!((check(&worker), check(&publisher)), (200, 200));
    for (seq, status) in [(2, 402), (3, 200), (4, 402)] {
        if status == 402 {
            catalogue::publish_without_customers(&publisher, seq);
        } else {
            catalogue::publish(&publisher, seq);
        }
        // From now on only the lane can have it.
        worker.kv_break(Some("head"));
        polls(&worker, status);
        worker.kv_break(None);
    }
    let operator = issuers::reader_token(worker.now() + 60);
    let health = worker.send(&Wire::get("/healthz").bearer(&operator)).json();
    assert_eq!((&health["head_from"], &health["seq"]), (&json!("lane"), &json!(4)), "{health}");
    assert_eq!(health["lane"]["failed"], 0, "{health}");
}

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn the_publisher_is_told_whether_the_lane_has_the_head() {
    let announced = |worker: &Workerd| {
        let published = catalogue::publish(worker, 1);
        let head =
            issuers::sign_head(&issuers::head(&published.built, 2, published.at), issuers::Signer::Publisher);
        let token = issuers::publisher_token(worker.now() + 60);
        let wire = Wire::put("/snapshot/head", head.into_bytes()).bearer(&token);
        worker.send(&wire).json()["announced"].clone()
    };
    assert_eq!(announced(&started(&[])), true);
    assert_eq!(announced(&started(&[("FRESH_SECS", "0")])), json!(null));
    assert_eq!(announced(&Workerd::start(&issuers::variables())), json!(null), "without a binding");
}
