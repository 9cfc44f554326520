//! Our own programs, compiled for this machine.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{paths::Paths, step::Step};

/// How long a build takes, for people.
pub const EXPECTED: &str = "minutes at first, then seconds";

/// The profile of programs that run while we develop and test.
pub const DEV: &str = "dev";

/// Builds a program of the workspace in a Cargo profile, as `step`, and returns where it is.
///
/// Cargo chooses the features of dependencies for all packages that are selected. With the whole workspace selected
/// they are those of the tests, and nothing is compiled twice.
pub fn build(paths: &Paths, step: &Step<'_>, program: &str, profile: &str) -> Result<PathBuf> {
    build_one(paths, step, ["--bin", program], profile)
}

/// Builds the programs of a local run in one go, and says nothing unless that fails.
pub fn programs(paths: &Paths) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--workspace", "--bin", "admit", "--bin", "origin", "--profile", DEV]);
    cargo.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    Step::new(paths, "programs", "building admit and the origin", EXPECTED).quietly(true).run(&mut cargo)
}

/// Builds an example of a package of the workspace, and returns where it is.
pub fn example(paths: &Paths, name: &str) -> Result<PathBuf> {
    let about = format!("building {name}");
    build_one(paths, &Step::new(paths, name, &about, EXPECTED), ["--example", name], DEV)
}

fn build_one(paths: &Paths, step: &Step<'_>, target: [&str; 2], profile: &str) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--message-format=json-render-diagnostics", "--workspace"]);
    cargo.args(target).args(["--profile", profile]);
    cargo.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    let messages = step.output(&mut cargo)?;
    let [_, name] = target;
    executable(&messages, name).with_context(|| format!("cargo build made no program called {name}"))
}

/// Builds the `admit` command.
pub fn admit(paths: &Paths, quiet: bool) -> Result<PathBuf> {
    let step = Step::new(paths, "admit", "building the admit command", EXPECTED).quietly(quiet);
    build(paths, &step, "admit", DEV)
}

/// Where Cargo says that it put the program: Cargo's configuration decides about the directory.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let is_it = message.pointer("/target/name").and_then(Value::as_str) == Some(name);
        let path = message.get("executable")?.as_str().filter(|_| is_it)?;
        Some(path.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_where_cargo_says() {
        let messages = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"admit"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"admit"},"executable":"/t/x86/debug/admit"}
warning: not a message
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"other"},"executable":"/t/x86/debug/other"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "admit"), Some("/t/x86/debug/admit".into()));
        assert_eq!(executable(messages, "other"), Some("/t/x86/debug/other".into()));
        assert_eq!(executable(messages, "load"), None);
    }
}
