//! The origin, asked over HTTP: a real server on a real database, a client of its own.

mod concurrency;
mod crash;
mod feed;
mod idempotency;
mod oauth;
mod protocol;
mod reads;
mod replay;
mod support;
mod tokens;
mod writes;
