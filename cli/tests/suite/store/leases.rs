//! Two publishers at the same time, and publishers that have ended.

use crate::{
    bench::{Bench, catalogue},
    double::{Double, Mishap},
};

fn set_up(test: &str) -> (Bench, Double) {
    let bench = Bench::new(test);
    let double = Double::start(&bench.jwks("publisher"));
    bench.write("old.ndjson", catalogue(1));
    bench.publish("old.ndjson", &double.url, &[]).ok();
    bench.write("new.ndjson", catalogue(2));
    double.recover();
    (bench, double)
}

#[test]
fn the_second_of_two_publishers_stops_and_names_the_first() {
    let (bench, double) = set_up("lease-two");
    double.fail("POST /snapshot/pack", 0, 1, Mishap::Hang);
    let args = ["publish", "--from", "new.ndjson", "--to", &double.url, "--key", "publisher.jwk"];
    let mut first = bench.command(&args).spawn().unwrap();
    double.wait_for_hang();
    let holder = format!(":{}, holds the lease until 20", first.id());
    let ended = bench.publish("new.ndjson", &double.url, &[]).failed(1, &holder);
    assert!(ended.stderr.contains("s from now") && ended.stderr.contains("--force"), "{}", ended.stderr);
    // Killed, it leaves its lease, which the next publisher on this machine takes over at once.
    first.kill().unwrap();
    first.wait().unwrap();
    let ended = bench.publish("new.ndjson", &double.url, &[]).ok();
    assert!(
        ended.stderr.contains(" ended without giving its lease back: taking it over"),
        "{}",
        ended.stderr
    );
    assert_eq!(double.state().published().unwrap().customers, 2);
    assert!(!double.state().values.contains_key("lease"));
}

#[test]
fn a_publisher_whose_lease_was_taken_over_writes_nothing_more() {
    let (bench, double) = set_up("lease-lost");
    let old = double.state().head.clone();
    for on in ["POST /snapshot/check", "PUT /snapshot/version", "PUT /snapshot/head"] {
        double.fail(on, 0, 1, Mishap::TakenOver);
        bench.publish("new.ndjson", &double.url, &[]).failed(1, "rival:1, holds the lease");
        assert_eq!(double.state().head, old, "{on}");
        assert!(double.state().values.contains_key("lease"), "it is the other's");
        double.state().values.remove("lease");
    }
}

/// The publisher runs on another machine, or an earlier release has not said which process it is, so its end
/// cannot be known.
#[test]
fn a_lease_of_another_machine_is_waited_for_or_taken_over_by_force() {
    let (bench, double) = set_up("lease-elsewhere");
    let until = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 100;
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    for process in ["", r#","process":"another-boot/pid:[1]/7/9""#, r#","process":7"#] {
        let holder = "0".repeat(32);
        let lease = format!(r#"{{"holder":"{holder}","host":"{host}:7","until":{until}{process}}}"#);
        double.state().values.insert("lease".to_owned(), lease.into_bytes());
        bench.publish("new.ndjson", &double.url, &[]).failed(1, ":7, holds the lease until 20");
        let ended = bench.publish("new.ndjson", &double.url, &["--force"]).ok();
        assert!(ended.stderr.contains("warning: taking over the lease of "), "{}", ended.stderr);
    }
}

#[test]
fn leases_that_have_ended_keep_no_publisher_away() {
    let (bench, double) = set_up("lease-ended");
    let lease = format!(r#"{{"holder":"{}","host":"gone:1","until":1700000000}}"#, "0".repeat(32));
    double.state().values.insert("lease".to_owned(), lease.into_bytes());
    bench.publish("new.ndjson", &double.url, &[]).ok();
    double.state().values.insert("lease".to_owned(), b"no lease at all".to_vec());
    bench.publish("new.ndjson", &double.url, &[]).ok();
}

#[test]
fn a_publish_without_a_lease_meanwhile_is_noticed() {
    let (bench, double) = set_up("lease-none");
    bench.publish("old.ndjson", &double.url, &["--seq", "9"]).ok();
    let later = double.state().head.clone();
    let other = Double::start(&bench.jwks("publisher"));
    bench.publish("old.ndjson", &other.url, &["--seq", "5"]).ok();
    // The first look at the head shows seq 5, the second one seq 9.
    other.fail("POST /snapshot/pack", 0, 1, Mishap::Published(later.unwrap()));
    let ended = bench.publish("new.ndjson", &other.url, &[]).failed(1, "another publisher was faster: seq 9");
    assert!(ended.stderr.contains("run it again"), "{}", ended.stderr);
    assert_eq!(other.state().published().unwrap().seq, 9);
}
