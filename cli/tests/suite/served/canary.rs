//! `admit canary` against the service itself.

use std::{thread, time::Duration};

use serde_json::Value;

use super::Subject;
use crate::{
    bench::{Ended, catalogue},
    service::Service,
};

impl Subject {
    fn canary_args<'a>(&'a self, viewer: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let args = ["canary", "--edge", &self.service.url, "--key", "publisher.jwk", "--viewer", viewer];
        [&args, more, &["--settle", "1", "--every-ms", "20", "--timeout", "90"]].concat()
    }

    fn canary(&self, viewer: &str, more: &[&str]) -> Ended {
        self.run(&self.canary_args(viewer, more))
    }

    /// The denylist's entries.
    fn denylist(&self) -> Vec<Value> {
        self.json(&["revoke", "--list"])["denylist"].as_array().unwrap().clone()
    }
}

#[test]
fn a_canary_measures_beside_a_follower_and_leaves_no_revocation() {
    let subject = Subject::new("service-canary");
    subject.publish(&catalogue(1), &[]).ok();
    let until = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
    let lease = format!(r#"{{"holder":"{}","host":"other:1","until":{until}}}"#, "0".repeat(32));
    assert_eq!(subject.request("PUT", "/snapshot/lease", &subject.token, lease.as_bytes()).0, 201);
    let (viewer, other) = (subject.viewer("canary"), subject.viewer("other"));
    let ended = subject.canary(&viewer, &["--rounds", "2", "--json"]).ok();
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    for change in ["revocation", "grant"] {
        let delays = &report["edges"][0][change];
        assert_eq!((&delays["seen"], &delays["unseen"]), (&2.into(), &0.into()), "{report}");
        assert!(
            delays["p50_ms"].as_u64() <= delays["max_ms"].as_u64() && delays["p50_ms"].is_u64(),
            "{report}"
        );
    }
    assert_eq!(report["interrupted"], false);
    let left = subject.denylist();
    assert_eq!(
        (left.len(), &left[0]["state"], &left[0]["reason"]),
        (1, &"lifted".into(), &"admit canary".into())
    );
    assert_eq!([&viewer, &other].map(|token| subject.play(token)), [200, 200]);
    // Again, for people.
    let ended = subject.canary(&viewer, &["--rounds", "1"]).ok();
    assert!(
        ended.stdout.contains("revocation  1 of 1") && ended.stderr.contains("round 1 of 1, grant: "),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_canary_that_is_stopped_lifts_its_revocation() {
    let subject = Subject::new("service-canary-stopped");
    subject.publish(&catalogue(1), &[]).ok();
    let viewer = subject.viewer("canary");
    let args = subject.canary_args(&viewer, &["--rounds", "15"]);
    let mut command = subject.bench.command(&args);
    let child = command.env("ADMIT_TOKEN", &subject.token).spawn().unwrap();
    while !subject.denylist().iter().any(|entry| entry["state"] == "revoked") {
        thread::sleep(Duration::from_millis(20));
    }
    let signalled =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let ended = Ended::from(child.wait_with_output().unwrap()).ok();
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert_eq!(subject.denylist()[0]["state"], "lifted");
    assert_eq!(subject.play(&viewer), 200);
}

#[test]
fn a_canary_touches_no_entry_of_others_and_says_which_right_is_missing() {
    let subject = Subject::new("service-canary-refused");
    let viewer = subject.viewer("stolen");
    subject.canary(&viewer, &[]).failed(1, "nothing is published yet");
    subject.publish(&catalogue(1), &[]).ok();
    subject.canary("not-a-token", &[]).failed(1, "--viewer, or has not seen yet");
    subject.bench.write("stolen.jwt", &viewer);
    subject.revoke(&["--token", "@stolen.jwt", "--reason", "ticket 4711", "--watch", "0"]).ok();
    subject.canary(&viewer, &[]).failed(1, "on the denylist already, with the reason \"ticket 4711\"");
    assert_eq!((subject.denylist()[0]["state"].as_str(), subject.play(&viewer)), (Some("revoked"), 401));
    let reader = Service::scoped(&subject.bench, "publisher", "sync", "snapshot:read");
    let fresh = subject.viewer("fresh");
    let args = subject.canary_args(&fresh, &["--rounds", "1"]);
    let ended: Ended = subject.bench.command(&args).env("ADMIT_TOKEN", &reader).output().unwrap().into();
    ended.failed(1, "snapshot:publish");
    assert_eq!(subject.play(&fresh), 200);
}
