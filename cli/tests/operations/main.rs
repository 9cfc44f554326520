//! `ops/` and docs/operations.md against the real programs: a follower and an origin, scraped as Prometheus does.
//!
//! Everything here is ignored by default: it needs the built `origin` beside `admit`, and some of it promtool or
//! systemd-analyze. `cargo xtask test` runs the modules whose tools are there, and counts the others as skipped.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test helpers may panic")]

mod alerts;
mod containers;
mod followed;
mod pages;
mod programs;
mod scrape;
mod series;
mod supervised;
mod units;

/// A file of the checkout.
fn in_root(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of a file of the checkout.
fn text(path: &str) -> String {
    std::fs::read_to_string(in_root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
