//! The destinations of the built command: a KV namespace through a stand-in for Cloudflare's API, and a
//! directory; the lease; versions; the collection of garbage.

#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail loudly too: clippy.toml excuses only the tests themselves"
)]
// Shared with the other command suites, which use all of it.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "what one suite uses of its helpers, another does not"
)]

#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/destinations.rs"]
mod destinations;
#[path = "cli/double.rs"]
mod double;
#[path = "cli/kv.rs"]
mod kv;
#[path = "cli/leases.rs"]
mod leases;
