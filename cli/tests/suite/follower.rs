//! `admit publish --follow` and `--changes` between a fake origin and a fake Worker.

use std::process::{Child, Command};

use serde_json::Value;

use crate::{
    bench::{Bench, Ended, catalogue},
    double::Double,
    feed::{FeedDouble, ORIGIN_TOKEN},
};

/// A bench, a store with `customers` customers published as the origin's count 1, and the origin.
pub fn set_up(test: &str, customers: usize) -> (Bench, Double, FeedDouble) {
    let bench = Bench::new(test);
    let double = Double::start(&bench.jwks("publisher"));
    (bench, double, FeedDouble::start(1, &catalogue(customers)))
}

/// The line of a customer with this number of accesses.
pub fn customer(id: usize, accesses: usize) -> String {
    let access = |access: usize| format!(r#"{{"id":{access},"item_id":33,"created_at":1700000000}}"#);
    let accesses: Vec<_> = (0..accesses).map(access).collect();
    format!(
        r#"{{"type":"customer","namespace":"vendor","subject":"c{id}","id":{id},"uuid":"11a7ed90-65d3-4ee2-9d91-{id:012x}","merchant_id":21,"accesses":[{}]}}"#,
        accesses.join(",")
    )
}

/// A change that puts these lines.
pub fn put(lines: &[String]) -> String {
    format!("\"put\":[{}]", lines.join(","))
}

/// A change that removes a customer.
pub fn removed(id: usize) -> String {
    format!(r#""remove":[{{"type":"customer","namespace":"vendor","subject":"c{id}"}}]"#)
}

/// The line of the item with another title.
pub fn renamed_item() -> String {
    catalogue(0).lines().nth(1).unwrap().replace("Slack Water", "High Water")
}

impl Bench {
    /// Runs `admit publish --changes`.
    pub fn changes(&self, from: &str, url: &str, more: &[&str]) -> Ended {
        let args = ["publish", "--changes", from, "--to", url, "--key", "publisher.jwk"];
        self.run(&[&args, more].concat())
    }

    /// Starts `admit publish --follow`.
    pub fn follow(&self, feed: &FeedDouble, url: &str, more: &[&str]) -> Follower {
        let from = feed.export_url();
        let args =
            ["publish", "--from", &from, "--follow", "--every", "1", "--to", url, "--key", "publisher.jwk"];
        let mut command = self.command(&[&args, more].concat());
        Follower::started(command.env("ADMIT_ORIGIN_TOKEN", ORIGIN_TOKEN))
    }

    /// The number of accesses of a customer, and where the record was found; `None` for an unknown customer.
    pub fn accesses(&self, url: &str, id: usize) -> Option<(usize, String)> {
        let customer = format!("vendor:c{id}");
        let ended = self.run(&["inspect", "--from", url, "--customer", &customer, "--json"]).ok();
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let customer = &report["customer"]["record"];
        let accesses = customer["accesses"].as_array()?.len();
        let found_in = customer["found_in"].as_str()?.to_owned();
        Some((accesses, found_in))
    }

    /// Runs `admit verify`, which must find no problem.
    pub fn verify(&self, url: &str) {
        self.run(&["verify", "--from", url, "--key", "publisher.jwk"]).ok();
    }
}

/// A running follower. The end of the test kills it.
pub struct Follower(Option<Child>);

impl Follower {
    /// Starts one.
    pub fn started(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Kills it.
    pub fn kill(mut self) -> Ended {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(mut self) -> Ended {
        let child = self.0.take().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Waits until it ends without being asked.
    pub fn wait(mut self) -> Ended {
        self.0.take().unwrap().wait_with_output().unwrap().into()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a test for each case, all at the same time, because most of the time is waiting.
pub fn for_each<T: Sync>(cases: &[T], test: impl Fn(usize, &T) + Sync) {
    std::thread::scope(|scope| {
        for (number, case) in cases.iter().enumerate() {
            let test = &test;
            scope.spawn(move || test(number, case));
        }
    });
}

/// The published version; 0 without one.
pub fn seq(double: &Double) -> u64 {
    double.state().published().map_or(0, |head| head.seq)
}

/// Writes to the store, except those of the lease.
pub fn writes(double: &Double) -> Vec<String> {
    let state = double.state();
    let is_write = |request: &&(String, u16)| {
        ["PUT ", "POST /snapshot/pack", "DELETE "].iter().any(|start| request.0.starts_with(start))
            && !request.0.ends_with("/lease")
    };
    state.requests.iter().filter(is_write).map(|(request, _)| request.clone()).collect()
}
