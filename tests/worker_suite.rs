//! The black-box suite against the Worker in workerd. `cargo xtask test` runs it.

#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

#[expect(dead_code, reason = "each suite uses a part of it")]
mod blackbox;
#[path = "blackbox/client.rs"]
mod client;
#[path = "blackbox/workerd.rs"]
#[expect(dead_code, reason = "for suites to come")]
mod workerd;

use blackbox::{cases, catalogue, issuers, routes};
use workerd::{DevServer, Workerd};

/// A Worker that has the sample catalogue.
fn published() -> Workerd {
    let worker = Workerd::start(&issuers::variables());
    catalogue::publish(&worker, 1);
    worker
}

#[test]
fn every_case() {
    if !workerd::is_wanted() {
        return;
    }
    let worker = published();
    println!("{} requests", cases::run(&worker));
}

#[test]
fn every_route_by_every_method() {
    if !workerd::is_wanted() {
        return;
    }
    let worker = published();
    println!("{} requests", routes::run(&worker) + routes::run_without_publishing(&worker));
}

#[test]
fn every_case_behind_wrangler() {
    let Some(server) = DevServer::running() else { return };
    println!("{} requests", cases::run(&server));
}
