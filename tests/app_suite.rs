//! The black-box suite against the service in this process, over a platform in memory.

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
#[path = "blackbox/in_process.rs"]
mod in_process;

use blackbox::{cases, catalogue, issuers, routes};
use in_process::InProcess;

fn service() -> InProcess {
    InProcess::new(&issuers::variables()).unwrap()
}

#[test]
fn every_case() {
    let service = service();
    catalogue::publish(&service, 1);
    println!("{} requests", cases::run(&service));
}

#[test]
fn every_route_by_every_method() {
    let service = service();
    catalogue::publish(&service, 1);
    println!("{} requests", routes::run(&service) + routes::run_without_publishing(&service));
}
