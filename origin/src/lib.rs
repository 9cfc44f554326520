//! A reference origin for Admit: the writes of the API, the tokens, the export and the change feed, on SQLite.
//!
//! | module | what |
//! | --- | --- |
//! | [`server`] | HTTP: the only module that knows of it |
//! | [`service`] | from a request to an answer: reads, writes |
//! | [`tokens`] | sign-in, tokens, keys |
//! | [`wire`] | bodies that clients send, errors that they get |
//! | [`db`] | tables, change log, import, export |
//! | [`period`] | how long a fee sells access for |
//!
//! Reads are answered by the edge's own code over the database as it is at that moment ([`service::reads`]).

pub mod clock;
pub mod db;
pub mod guessing;
pub mod limits;
pub mod period;
pub mod quota;
pub mod request;
pub mod server;
pub mod service;
pub mod settings;
pub mod state;
pub mod tokens;
pub mod wire;
