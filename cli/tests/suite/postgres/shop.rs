//! The kit in a server, and a publisher that reads it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::Value;

use super::cluster::Cluster;
use crate::{
    bench::{Bench, Ended},
    follower::Follower,
};

/// How often a wait looks: ten times a second, for two minutes. Only a hang takes as long.
const LOOKS: usize = 1_200;

/// The kit's item that can be bought alone, and its price.
pub const ITEM: &str = "33";

/// The kit.
pub fn kit(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/postgres").join(file)
}

/// The subject of the kit's customer with this number.
pub fn subject(customer: usize) -> String {
    format!("11a7ed90-65d3-4ee2-9d91-{customer:012x}")
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("in vain: {what}");
}

/// A shop with a publisher, whose store is a directory.
pub struct Shop {
    /// The database.
    pub cluster: Cluster,
    /// The publisher's directory.
    pub bench: Bench,
}

impl Shop {
    /// The shop of the kit, with 200 customers, 10 of whom subscribe.
    pub fn open(test: &str) -> Self {
        let shop = Self { cluster: Cluster::start(), bench: Bench::new(test) };
        shop.install();
        shop
    }

    /// Runs the kit's files in the database.
    pub fn install(&self) {
        for file in ["shop.sql", "admit.sql", "samples.sql"] {
            self.cluster.sql(&fs::read_to_string(kit(file)).unwrap());
        }
    }

    /// The URL that the publisher reads.
    pub fn url(&self) -> String {
        self.cluster.url("admit_reader")
    }

    /// Runs `admit publish` of the whole.
    pub fn publish(&self, more: &[&str]) -> Ended {
        self.bench.publish(&self.url(), "dir:store", more)
    }

    /// Starts `admit publish --follow`, and waits until it follows.
    pub fn follow(&self) -> Follower {
        self.follow_at(&self.url(), &[])
    }

    /// Starts `admit publish --follow` of another URL, with more variables.
    pub fn follow_at(&self, url: &str, variables: &[(&str, &str)]) -> Follower {
        let args = [
            "publish",
            "--from",
            url,
            "--follow",
            "--every",
            "1",
            "--to",
            "dir:store",
            "--key",
            "publisher.jwk",
        ];
        let mut command = self.bench.command(&args);
        command.envs(variables.iter().copied());
        let follower = Follower::started(&mut command);
        until("a first publish", || self.bench.dir.join("store/head").exists());
        follower
    }

    /// A customer pays: the service that hears of payments calls the kit's function.
    pub fn pay(&self, customer: usize, payment: &str) {
        let sql = format!("SELECT shop.pay('{}', 7, '{payment}')", subject(customer));
        self.cluster.sql_as("shop_payments", &sql);
    }

    /// Which of these customers may play the item, by the published snapshot.
    pub fn access(&self, customers: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let pairs: Vec<_> =
            customers.into_iter().map(|customer| format!("vendor:{} {ITEM}\n", subject(customer))).collect();
        self.bench.write("pairs.txt", pairs.concat());
        let args = ["check", "--from", "dir:store", "--config", "edge.toml", "--file", "pairs.txt", "--json"];
        self.bench.write("edge.toml", EDGE);
        let ended = self.bench.run(&args).ok();
        let access = |line: &str| serde_json::from_str::<Value>(line).unwrap()["status"] == 200;
        let access: Vec<_> = ended.stdout.lines().map(access).collect();
        assert_eq!(access.len(), pairs.len());
        access
    }

    /// Whether this customer may play the item, by the published snapshot.
    pub fn may_play(&self, customer: usize) -> bool {
        self.access([customer]) == [true]
    }

    /// The origin's count that is published.
    pub fn published(&self) -> u64 {
        let ended = self.bench.run(&["inspect", "--from", "dir:store", "--json"]).ok();
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        report["head"]["origin_seq"].as_u64().unwrap_or_else(|| panic!("{report}"))
    }

    /// The origin's count.
    pub fn counter(&self) -> u64 {
        self.cluster.sql("SELECT seq FROM admit.feed_counter").parse().unwrap()
    }

    /// Waits until the published version has every change.
    pub fn caught_up(&self) {
        let counter = self.counter();
        until("the last change is published", || self.published() >= counter);
    }

    /// Fails the test unless the published version is what the database has now: a publish of the whole into another
    /// store gives the same decisions, and `admit verify` has no complaint.
    pub fn is_what_the_database_has(&self) {
        let bought = self.cluster.sql(
            "SELECT c.id FROM shop.customers c WHERE EXISTS (SELECT FROM shop.purchases p WHERE p.customer_id = c.id \
             AND p.product_id = 33 AND p.refunded_at IS NULL) OR EXISTS (SELECT FROM shop.subscriptions u \
             WHERE u.customer_id = c.id AND u.status <> 'cancelled')",
        );
        let expected: Vec<bool> =
            (1..=200).map(|customer: usize| bought.lines().any(|id| id == customer.to_string())).collect();
        assert_eq!(self.access(1..=200), expected);
        self.bench.run(&["verify", "--from", "dir:store", "--key", "publisher.jwk"]).ok();
    }
}

/// The issuers of the edge, as far as `admit check` needs them.
const EDGE: &str = r#"
[vars]
ISSUERS = '[{"issuer": "https://id.example", "namespace": "vendor", "audience": "none_required", "keys": {"jwks_url": "https://id.example/jwks"}}]'
"#;

/// Sends a signal to a process.
pub fn signal(follower: &Follower, name: &str) {
    assert!(Command::new("kill").args([name, &follower.id().to_string()]).status().unwrap().success());
}
