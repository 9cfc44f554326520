//! Sets up, builds, runs and tests Admit: the parts that `cargo xtask` and the benchmarks in `bench/` share.
//!
//! [`paths`], [`step`] and [`job`] are the ground: where things are, a command with a log and a limit, children that
//! never outlive us. [`setup`] gets the tools ([`rust`], [`debian`], [`node`], [`tools`]), [`build`] makes the Worker
//! and [`console`] its pages, [`dev`] runs everything ([`server`], [`origin`], [`supervise`], [`guarded`]), [`suite`] is `cargo xtask test`.

pub mod bench;
pub mod build;
mod console;
mod crew;
mod debian;
mod deploy_check;
pub mod dev;
pub mod dist;
pub mod docs;
pub mod doctor;
mod fingerprint;
pub mod fuzz;
pub mod guarded;
pub mod job;
pub mod keys;
mod media;
pub mod native;
pub mod node;
mod operations;
pub mod origin;
pub mod paths;
pub mod personas;
mod postgres;
mod prebuilt;
mod private;
mod python;
pub mod run;
pub mod rust;
mod schemathesis;
pub mod server;
pub mod setup;
pub mod shrink;
pub mod size;
pub mod step;
pub mod suite;
mod suite_dev;
mod supervise;
mod tally;
pub mod tools;
pub mod wasm;
