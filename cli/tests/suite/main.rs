//! The built `admit` command as it is used: against stand-ins for the Worker, an origin and Cloudflare's API, and
//! against the service itself.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]

mod bench;
mod check_config;
mod check_origin;
mod double;
mod feed;
mod follow;
mod follower;
mod generate;
mod incident;
mod json_schema;
mod keys;
mod outlives;
mod publish;
mod scale;
mod secrets;
mod served;
mod service;
mod stand_in;
mod store;
mod tls;
mod verify;
