//! `cargo xtask docs`: writes the tables of the pages that follow from the code. `tests/docs/tables.rs` knows which
//! tables there are, and fails while one of them is out of date.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::paths::Paths;

/// Runs `cargo xtask docs`.
///
/// # Errors
/// If the test that writes them does not build or fails.
pub fn run() -> Result<ExitCode> {
    let paths = Paths::find()?;
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--locked", "--package", "admit", "--test", "docs", "tables::"])
        .current_dir(&paths.root)
        .env("CARGO_TARGET_DIR", &paths.target)
        .env("ADMIT_WRITE_DOCS", "1")
        .status()
        .context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
