//! The black-box suite: the same requests with the same expectations for the service in this process ([`app`]) and for
//! the Worker in workerd ([`worker`]), and how the service behaves when its surroundings fail ([`faults`]).
//!
//! `subject` is the interface to both. `wire` and `client` are requests and answers, `issuers`, `personas`, `catalogue`
//! and `origin` the world around the subject, `check` and `contract` the rules for every answer. Each other module is a group of cases
//! with a function `run` that returns the number of requests.
//!
//! Tests of `worker` are ignored unless `cargo xtask test` runs them, which builds the Worker first.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers may panic"
)]

mod app;
mod authzen;
mod callers;
mod cases;
mod catalogue;
mod check;
mod client;
mod configured;
mod contract;
mod faults;
mod holdings;
mod in_process;
mod issuers;
mod leases;
mod many;
mod matrix;
mod misbehaving_origin;
mod operators;
mod oracle;
mod origin;
mod packs;
mod pass_through;
mod personas;
mod playback;
mod publishing;
mod repeated;
mod rights;
mod routes;
mod stand_ins;
mod subject;
mod support;
mod tokens;
mod wire;
mod worker;
mod workerd;
mod writes;
