//! Tokens from the outside: RFC vectors, hostile input, claims, keys and their life, memory.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail loudly: a panic there is the report"
)]

mod cache;
mod claims;
mod config;
mod form;
mod jwks;
mod keys;
mod mixtures;
mod properties;
mod rights;
mod rotation;
mod support;
mod vectors;
