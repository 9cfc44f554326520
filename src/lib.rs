//! Admit: edge entitlement checks for streaming services.
//!
//! A Cloudflare Worker answers "may this viewer play this?" from a signed snapshot of entitlements in Workers
//! KV; the `admit` command (`cli/`) makes keys and tokens and publishes the snapshot.
//!
//! # In scope
//!
//! - Reads: access checks, licences, items, fees, packages ([`api::route`]), as players of two vendors' APIs
//!   send them. `docs/api.md` has the answers.
//! - Writes, passed on to the origin once token, role, type and length are right, and the origin's word before a
//!   check is denied, so that who has just bought is let in.
//! - Bearer tokens of configured issuers ([`token`]).
//! - Taking snapshots in, checked by signature and digest, so that write access to the store alone grants
//!   nobody anything ([`app`]).
//!
//! # Out of scope
//!
//! - Doing what writes ask for: that is the origin's, which publishes what it knows.
//! - Enforcing prices, regions or ages: they are passed on to clients.
//! - Delivering or encrypting video.
//!
//! # Modules
//!
//! Each uses those below it, never those above; [`ports`], [`limits`], [`instant`] and [`number`] are for all.
//! [`token`] and [`snapshot`] are crates of their own, under whose names their items are found here too.
//!
//! | module | what |
//! | --- | --- |
//! | `worker` | the Worker; the only place that names the platform. Wasm only |
//! | [`app`] | the whole service over ports: answers from memory, or says what it needs |
//! | [`config`] | the bindings, validated as a whole |
//! | [`api`] | the wire: routes, bodies, errors, CORS |
//! | [`entitlement`] | decides. Pure |
//! | [`token`] | from an `Authorization` header to a principal |
//! | [`snapshot`] | data model, byte format, reader |
//! | [`ports`] | what the service needs from a platform |
//! | [`instant`], [`number`] | how moments and whole numbers of peers are read |
//! | [`limits`] | every number that bounds the service, with its reason |
//!
//! `ARCHITECTURE.md` draws it, with the life of a request and of a snapshot.

pub mod api;
pub mod app;
pub mod config;
pub mod entitlement;
pub mod limits;
pub mod ports;
#[cfg(target_arch = "wasm32")]
pub mod worker;

pub use admit_snapshot::{self as snapshot, instant, number};
pub use admit_token as token;
