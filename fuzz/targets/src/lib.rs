//! What the fuzz targets do: one function for each kind of bytes that Admit takes from others.
//!
//! `fuzz/fuzz_targets/` calls these functions from libFuzzer on a nightly toolchain. `tests/corpus.rs` calls them on any
//! toolchain with the inputs of `fuzz/corpus/`, as a part of `cargo xtask test`. `docs/fuzzing.md` says how to run them.
//!
//! A target panics when a property does not hold. "No panic in the code under test" is one of the properties; the others
//! are round trips, limits, readers that must agree, and that what was accepted is accepted again.

#![expect(clippy::missing_panics_doc, reason = "a panic is how a target reports a finding")]

pub mod corpus;
mod edge;
mod lines;
mod objects;
mod tokens;
mod values;
mod writes;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its corpus.
    pub name: &'static str,
    /// Which bytes it reads, for people.
    pub about: &'static str,
    /// The longest input that is tried. Longer ones seldom find more and always cost more.
    pub max_len: usize,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, about: &'static str, max_len: usize, run: fn(&[u8])) -> Target {
    Target { name, about, max_len, run }
}

/// Every target, in the order in which `cargo xtask fuzz` runs them.
pub const TARGETS: [Target; 15] = [
    target("tokens", "bearer tokens, through the whole verification", 1_024, tokens::bearer),
    target("jwks", "JWKS documents, configured and fetched", 2_048, tokens::jwks),
    target("heads", "signed heads, and which head may follow another one", 1_024, tokens::heads),
    target("objects", "objects, records, packs, leases and store keys", 2_048, objects::any),
    target("feed", "lines of the change feed, strict and lenient", 2_048, lines::feed),
    target("lines", "lines of the publish schema, and what is built from one", 2_048, lines::line),
    target("export", "whole exports, strict and with records set aside", 4_096, lines::export),
    target("forms", "forms and queries", 1_024, writes::form),
    target("writes", "bodies of writes: forms and JSON, field by field", 1_024, writes::body),
    target("sign_in", "clients and addresses at the token endpoint", 512, writes::sign_in),
    target("answers", "the upstream's answers, as the edge reads them", 1_024, edge::answers),
    target("configuration", "every variable of the Worker", 2_048, edge::configuration),
    target("paths", "paths and queries, at the edge and at the origin", 256, edge::paths),
    target("headers", "media types, Retry-After, viewers' addresses, page origins", 256, values::headers),
    target("instants", "moments and whole numbers", 128, values::instants),
];

/// The target of a name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn by_name(name: &str) -> Target {
    let found = TARGETS.into_iter().find(|target| target.name == name);
    assert!(found.is_some(), "there is no fuzz target {name}");
    found.unwrap_or(TARGETS[0])
}
