//! The origin over HTTP: a real server on a real database, with a client of its own.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test helpers may panic")]

mod accounts;
mod audit;
mod books;
mod budget;
mod catalogue;
mod clients;
mod concurrency;
mod conformance;
mod crash;
mod documents;
mod evaluations;
mod feed;
mod grants;
mod idempotency;
mod incident;
mod inputs;
mod issuers;
mod media;
mod oauth;
mod protocol;
mod quotas;
mod reads;
mod refresh;
mod refusals;
mod replay;
mod revocation;
mod rights;
mod sessions;
mod strangers;
mod support;
mod tokens;
mod writes;
