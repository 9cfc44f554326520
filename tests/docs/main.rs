//! The pages agree with the code: links lead somewhere, names and numbers exist, examples show real answers, and
//! generated tables are current.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

mod answers;
mod links;
mod names;
mod numbers;
mod openapi;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The part of a document under a heading of second level.
fn section<'d>(document: &'d str, heading: &str) -> &'d str {
    let start = format!("\n## {heading}\n");
    let (_, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no heading {heading}"));
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// The part of a document under a heading of third level.
fn subsection<'d>(document: &'d str, heading: &str) -> &'d str {
    let start = format!("\n### {heading}\n");
    let (_, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no heading {heading}"));
    let end = rest.find("\n## ").into_iter().chain(rest.find("\n### ")).min();
    end.map_or(rest, |end| rest.split_at(end).0)
}

/// The cells of all rows of tables, headings and rules included.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let inner = text.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    inner.map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks.
fn codes(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The bodies of code blocks in a language.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let fence = format!("\n```{language}\n");
    document.split(&fence).skip(1).map(|rest| rest.split_once("\n```").unwrap().0).collect()
}
