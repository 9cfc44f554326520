//! Playback in workerd: `node:crypto` signs what the crate signs natively.

use crate::{catalogue, playback, workerd::Workerd};

#[test]
#[ignore = "needs the Worker, which `cargo xtask test` builds and starts"]
fn playback_is_signed_for_grants_alone() {
    let worker = Workerd::start(&playback::variables());
    let published = catalogue::publish(&worker, 1);
    println!("{} requests", playback::run(&worker, &published));
}
