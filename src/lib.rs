//! Admit: edge entitlement checks for streaming services.
//!
//! A Cloudflare Worker answers "may this viewer play this?" from a signed snapshot of entitlements in Workers
//! KV; the `admit` command makes keys and tokens and publishes the snapshot.
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
//!
//! | module | what |
//! | --- | --- |
//! | `worker` | the Worker; the only place that names the platform. Wasm only |
//! | [`app`] | the whole service over ports: answers from memory, or says what it needs |
//! | [`config`] | the bindings, validated as a whole |
//! | [`api`] | the wire: routes, bodies, errors, CORS |
//! | [`entitlement`] | decides. Pure |
//! | [`token`] | from an `Authorization` header to a principal |
//! | [`snapshot`] | data model, byte format, reader; natively also the builder |
//! | [`ports`] | what the service needs from a platform |
//! | [`instant`], [`number`] | how moments and whole numbers of peers are read |
//! | [`limits`] | every number that bounds the service, with its reason |
//! | `memory` | a platform in memory, for tests. Native only |
//! | `parallel` | the same work on many things at a time. Native only |
//! | `argv`, `private_file` | secrets on command lines and in files. Native only |
//! | `http_client` | what outgoing requests of the native programs share. Native only |
//!
//! `ARCHITECTURE.md` draws it, with the life of a request and of a snapshot.

pub mod api;
pub mod app;
#[cfg(not(target_arch = "wasm32"))]
pub mod argv;
pub mod config;
pub mod entitlement;
#[cfg(not(target_arch = "wasm32"))]
pub mod http_client;
pub mod instant;
pub mod limits;
#[cfg(not(target_arch = "wasm32"))]
pub mod memory;
pub mod number;
#[cfg(not(target_arch = "wasm32"))]
pub mod parallel;
pub mod ports;
#[cfg(not(target_arch = "wasm32"))]
pub mod private_file;
pub mod snapshot;
pub mod token;
#[cfg(target_arch = "wasm32")]
pub mod worker;
