//! A reference origin for Admit: the writes of the API, sign-in and tokens, the export and the change feed,
//! on SQLite.
//!
//! A request comes in through [`server`], which checks what the sender may cost and turns HTTP into a
//! [`request::Incoming`]. A thread of the request's class hands it to a [`service::Engine`], which answers.
//! Each room uses only the rooms below it:
//!
//! | module | contents |
//! | --- | --- |
//! | [`server`] | HTTP, connections, queues: the only module that knows the protocol |
//! | [`service`] | from a request to its answer: reads, writes, the feed, health |
//! | [`tokens`] | sign-in, OAuth 2, refresh tokens, signing keys |
//! | [`state`] | what all threads share: the lock of writes, counts, limits |
//! | [`request`], [`guessing`], [`quota`], [`settings`] | a request as it was read; delays after wrong passwords; quotas of merchants; configuration |
//! | [`wire`] | bodies that clients send, errors that they get |
//! | [`db`] | tables, change log, audit trail, import, export |
//! | [`event`], [`period`], [`text`], [`clock`], [`limits`] | log lines; how long a fee sells access for; text of clients; the time; every bound |
//!
//! Reads are answered by the edge's own code, from the database as it is at that moment ([`service::reads`]).

pub mod clock;
pub mod db;
pub mod event;
pub mod guessing;
pub mod limits;
pub mod period;
pub mod quota;
pub mod request;
pub mod server;
pub mod service;
pub mod settings;
pub mod state;
pub mod text;
pub mod tokens;
pub mod wire;
