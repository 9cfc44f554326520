//! Token verification from the outside: vectors of the RFCs, hostile input, claims, keys and their life, the
//! cache. `support` has the signers and the verifier under test.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers may panic")]

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
