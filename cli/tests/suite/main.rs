//! The built `admit` command against fakes of the Worker, an origin and Cloudflare's API, and against the service itself.
//!
//! `bench` runs the command in a directory of its own. `double` is the fake Worker, `feed` an origin's export and feed,
//! `flawed_origin` a whole origin with one flaw, `service` the real service behind a socket. `postgres` needs a
//! real database.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers may panic")]

mod bench;
mod check_config;
mod check_origin;
mod double;
mod feed;
mod flawed_origin;
mod follow;
mod follower;
mod generate;
mod incident;
mod json_schema;
mod keys;
mod outlives;
mod playback_key;
mod postgres;
mod publish;
mod scale;
mod secrets;
mod served;
mod service;
mod store;
mod tls;
mod verify;
