//! What the fuzz targets do: one function for each kind of bytes that Admit takes from others.
//!
//! `fuzz/fuzz_targets/` calls these functions from libFuzzer on a nightly toolchain. `tests/corpus.rs` calls them on any
//! toolchain with the inputs of `fuzz/corpus/`, as a part of `cargo xtask test`. `docs/fuzzing.md` says how to run them.
//!
//! A target panics when a property does not hold. "No panic in the code under test" is one of the properties; the others
//! are round trips, limits, readers that must agree, and that what was accepted is accepted again. It returns whether the
//! input was accepted at all, so that a test can tell a corpus that only ever fails at the first byte.

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
    /// What it does with an input. Whether a reader took it.
    pub run: fn(&[u8]) -> bool,
}

const fn target(name: &'static str, about: &'static str, max_len: usize, run: fn(&[u8]) -> bool) -> Target {
    Target { name, about, max_len, run }
}

/// Every target.
pub const TARGETS: [Target; 14] = [
    target("answers", "the upstream's answers, as the edge reads them", 384, edge::answers),
    target("configuration", "every variable of the Worker", 1_024, edge::configuration),
    target("feed", "lines of the change feed, strict and lenient", 1_024, lines::feed),
    target("forms", "forms and queries", 256, writes::form),
    target("headers", "media types, Retry-After, viewers' addresses, page origins", 128, values::headers),
    target("heads", "signed heads, and which head may follow another one", 512, tokens::heads),
    target("instants", "moments and whole numbers", 64, values::instants),
    target("jwks", "JWKS documents, configured and fetched", 1_024, tokens::jwks),
    target("lines", "lines of the publish schema, and what is built from them", 1_024, lines::export),
    target("objects", "objects, records, packs, leases and store keys", 512, objects::any),
    target("paths", "paths and queries, at the edge and at the origin", 128, edge::paths),
    target("sign_in", "clients and addresses at the token endpoint", 256, writes::sign_in),
    target("tokens", "bearer tokens, through the whole verification", 768, tokens::bearer),
    target("writes", "bodies of writes: forms and JSON, field by field", 256, writes::body),
];

/// The target of a name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn by_name(name: &str) -> Target {
    let found = TARGETS.into_iter().find(|target| target.name == name);
    found.unwrap_or_else(|| unreachable!("there is no fuzz target {name}"))
}
