//! The black-box suite: the same requests and the same expectations for the service in this process ([`app`]) and for
//! the Worker in workerd ([`worker`]), and what either does when its surroundings fail ([`faults`]).
//!
//! Tests of `worker` are ignored unless `cargo xtask test` runs them, which builds the Worker first.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

mod app;
mod cases;
mod catalogue;
mod check;
mod client;
mod configured;
mod faults;
mod in_process;
mod issuers;
mod leases;
mod matrix;
mod oracle;
mod origin;
mod packs;
mod personas;
mod publishing;
mod repeated;
mod rights;
mod routes;
mod stand_in;
mod subject;
mod tokens;
mod wire;
mod worker;
mod workerd;
mod writes;
