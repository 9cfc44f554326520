//! A reference origin for Admit: the writes of the API, sign-in and tokens, the export and the change feed,
//! on SQLite.
//!
//! A request comes in through [`server`], which checks what the sender may cost and turns HTTP into a
//! [`request::Incoming`]. A thread of the request's class hands it to a [`service::Engine`], which answers.
//! Each room uses only the rooms below it:
//!
//! | room | contents |
//! | --- | --- |
//! | [`server`] | HTTP, connections, queues: the only room that knows the protocol |
//! | [`service`] | from a request to its answer: reads, writes, the feed, health |
//! | [`client`] | accounts, sessions, lists of media, purchases: what a whole client asks for beside the edge's API |
//! | [`tokens`] | sign-in, OAuth 2, refresh tokens, signing keys |
//! | [`state`] | what all threads share: the lock of writes, counts, limits |
//! | [`event`], [`metrics`], [`request`] | log lines; metrics and readiness; a request as it was read |
//! | [`guessing`] | delays after wrong passwords |
//! | [`target`] | the paths that the origin serves: the shared contract's and its own |
//! | [`settings`], [`quota`] | configuration; what each merchant may write and store |
//! | [`wire`] | bodies that clients send, errors that they get |
//! | [`db`] | tables, change log, audit trail, import, export |
//! | [`period`], [`text`], [`clock`], [`limits`] | how long a fee sells access for; text of clients; the time; every bound |
//!
//! Homes of some behaviours:
//!
//! | behaviour | home |
//! | --- | --- |
//! | which queue a request waits in, and which threads answer it | `server::class`, `server::pool` |
//! | who sent a request: the edge, a viewer, a proxy | `server::viewer` |
//! | connections of one address, silent and stalled clients | `server::accept`, `server::stall` |
//! | the order of the steps of a write, its `seq` and its audit entry | `service::write` |
//! | an `Idempotency-Key` that comes again | `service::idempotency` |
//! | the records that a read loads | `service::concerned` |
//! | the rendered size that an item may have | `service::budget` |
//! | the grace of a used refresh token, and its theft | `tokens::refresh` |
//! | which roles a sign-in has by which client | `tokens::identity` |
//! | rotated and revoked signing keys; revoked tokens | [`tokens::keys`]; [`db::revoked`], `service::revocation` |
//! | the routes of a whole client | [`client::table`] |
//! | sessions that end: sign-out, new passwords | [`db::sessions`] |
//! | the change feed, and when its reader has to export | [`db::changes`] |
//! | what the audit trail keeps, and for how long | [`db::audit`] |
//!
//! Reads are answered by the edge's own code, from the database as it is at that moment ([`service::reads`]).

pub mod client;
pub mod clock;
pub mod db;
pub mod event;
pub mod guessing;
pub mod limits;
pub mod metrics;
pub mod period;
pub mod quota;
pub mod request;
pub mod server;
pub mod service;
pub mod settings;
pub mod state;
pub mod target;
pub mod text;
pub mod tokens;
pub mod wire;
