//! The fuzz targets: one function for each kind of foreign bytes that Admit reads.
//!
//! `fuzz/fuzz_targets/` calls these functions from libFuzzer on a nightly toolchain. `tests/corpus.rs` calls
//! them on any toolchain with the inputs of `fuzz/corpus/`, as part of `cargo xtask test`. `docs/fuzzing.md`
//! says how to run them.
//!
//! A target panics when a property does not hold. "No panic in the code under test" is one property; the
//! others are round trips, limits, readers that must agree, and that accepted input is accepted again. A
//! target returns whether the input was accepted, so that a test notices a corpus that always fails at the
//! first byte.

mod edge;
mod lines;
mod objects;
mod playback;
mod tokens;
mod values;
mod writes;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its corpus.
    pub name: &'static str,
    /// The bytes that it reads, for people.
    pub about: &'static str,
    /// Runs it on an input. Returns whether a reader accepted the input.
    pub run: fn(&[u8]) -> bool,
}

const fn target(name: &'static str, about: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target { name, about, run }
}

/// Every target.
pub const TARGETS: [Target; 16] = [
    target("answers", "the upstream's answers, as the edge reads them", edge::answers),
    target("configuration", "every variable of the Worker", edge::configuration),
    target("feed", "lines of the change feed, strict and lenient", lines::feed),
    target("forms", "forms and queries", writes::form),
    target("headers", "media types, Retry-After, viewers' addresses, page origins", values::headers),
    target("heads", "signed heads, and which head may follow another one", tokens::heads),
    target("instants", "moments and whole numbers", values::instants),
    target("jwks", "JWKS documents, configured and fetched", tokens::jwks),
    target("lines", "lines of the publish schema, and what is built from them", lines::export),
    target("objects", "objects, records, packs, leases and store keys", objects::any),
    target("paths", "paths and queries, at the edge and at the origin", edge::paths),
    target("playback", "PLAYBACK, items' content, and URLs that clients ask to be signed", playback::any),
    target("questions", "questions in the form of AuthZEN, and tokens of pages", edge::questions),
    target("sign_in", "clients and addresses at the token endpoint", writes::sign_in),
    target("tokens", "bearer tokens, through the whole verification", tokens::bearer),
    target("writes", "bodies of writes: forms and JSON, field by field", writes::body),
];

/// The target called `name`.
///
/// # Panics
/// If no target has this name.
#[must_use]
pub fn by_name(name: &str) -> Target {
    let found = TARGETS.into_iter().find(|target| target.name == name);
    found.unwrap_or_else(|| unreachable!("there is no fuzz target {name}"))
}
