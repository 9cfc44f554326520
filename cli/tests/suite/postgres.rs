//! `admit publish` from a real PostgreSQL, with the kit of examples/postgres. `cargo xtask test` finds or installs
//! the server and names its programs in `ADMIT_POSTGRES`; a plain `cargo test` leaves these tests out.
//!
//! `cluster` is a server of a test's own, `shop` the kit in it and a publisher that follows it. `kit` follows what a
//! shop does, `outages` what happens to servers, `access` who may connect and how.

mod access;
mod cluster;
mod http_origin;
mod kit;
mod outages;
mod shop;
