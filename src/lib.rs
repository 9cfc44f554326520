//! Admit: edge entitlement checks for streaming services.
//!
//! A Cloudflare Worker answers "may this viewer play this?" from a signed snapshot of entitlements in Workers KV. The
//! `admit` command (`cli/`) makes keys and tokens and publishes the snapshot.
//!
//! # In scope
//!
//! - Reads: access checks, licences, items, fees, packages ([`api::contract`]), as players of two vendors' APIs
//!   send them. `docs/api.md` describes the answers.
//! - Writes: checked for token, role, type and length, then passed on to the origin.
//! - Denials: confirmed by the origin before they are given, so that a viewer who has just bought is let in.
//! - Bearer tokens of configured issuers ([`token`]).
//! - Uploads of snapshots, checked by signature and digest, so that write access to the store alone grants nothing
//!   ([`app`]).
//!
//! # Out of scope
//!
//! - Carrying writes out: the origin does it, and publishes the result.
//! - Enforcing prices, regions or ages: clients receive them.
//! - Delivering or encrypting video.
//!
//! # Modules
//!
//! Each module uses those below it, never those above; all may use [`ports`], [`limits`], [`instant`], [`number`] and
//! [`fnv`].
//! [`token`] and [`snapshot`] are crates of their own, re-exported here.
//!
//! | module | content |
//! | --- | --- |
//! | `worker` | the Worker; the only module that names the platform. Wasm only |
//! | [`app`] | the whole service over ports: answers from memory, or names what it needs |
//! | [`config`], [`advice`] | the bindings, validated as a whole; valid values that are probably a mistake |
//! | [`api`] | the wire: routes, bodies, errors, CORS |
//! | [`entitlement`] | decides whether a viewer may play an item. Pure |
//! | [`token`] | from an `Authorization` header to a principal |
//! | [`snapshot`] | data model, byte format, reader |
//! | [`ports`] | what the service needs from a platform |
//! | [`instant`], [`number`] | reads moments and whole numbers as peers write them |
//! | [`fnv`] | short hashes of names and questions in memory |
//! | [`limits`] | every number that bounds the service, with its reason |
//!
//! `ARCHITECTURE.md` draws the modules and follows a request and a snapshot through them.

pub mod advice;
pub mod api;
pub mod app;
pub mod config;
pub mod entitlement;
pub mod fnv;
pub mod limits;
pub mod ports;
#[cfg(target_arch = "wasm32")]
pub mod worker;

pub use admit_snapshot::{self as snapshot, instant, number};
pub use admit_token as token;
