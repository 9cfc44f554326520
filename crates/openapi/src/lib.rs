//! The OpenAPI 3.1 document of the HTTP API: `docs/openapi.json`.
//!
//! Paths, methods, tokens and summaries come from [the table of endpoints](admit::api::contract::table), errors from
//! [`ApiError`](admit::api::error::ApiError). What the table does not say is written here: a description, parameters, bodies
//! and examples of each operation ([`operations`]), and the schemas of bodies ([`bodies`]). [`document`] joins both, and
//! fails while an operation of the table is not described.
//!
//! Examples of answers are not written: [`document`] asks a running service for them. `cargo xtask docs` runs it, in
//! `tests/docs/openapi.rs`. The crate is native: nothing of it reaches the Worker.

mod bodies;
mod components;
mod describe;
mod document;
mod errors;
mod headers;
mod operation;
mod operations;
mod parameters;
mod schema;
mod security;

pub use self::{
    describe::{Ask, Caller},
    document::{Answered, document, sorted},
};
