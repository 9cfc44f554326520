//! `cargo xtask docs`: writes what of `docs/` follows from the code. `tests/docs/tables.rs` and
//! `origin/tests/suite/documents.rs` know which tables the pages have, and `tests/docs/openapi.rs` makes the OpenAPI
//! document. They fail while one of them is out of date.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{console, node, paths::Paths};

/// Arguments of `cargo xtask docs`.
#[derive(clap::Args)]
pub struct Args {
    /// Copy the pictures of the console that the last `cargo xtask test` made into docs/images, and nothing else
    #[arg(long)]
    images: bool,
}

/// Runs `cargo xtask docs`.
///
/// # Errors
/// If cargo cannot be run, if npm has not what makes the types, or if there are no pictures.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    if args.images {
        console::copy_pictures(&paths)?;
        return Ok(ExitCode::SUCCESS);
    }
    // The tables of a crate's routes are written by that crate's tests.
    for (package, test, filters) in [
        ("admit", "docs", &["tables::", "openapi::"][..]),
        ("origin", "suite", &["the_table_of_clients_is_that_of_the_code"]),
    ] {
        let status = Command::new("cargo")
            .args(["test", "--quiet", "--locked", "--package", package, "--test", test, "--"])
            .args(filters)
            .current_dir(&paths.root)
            .env("CARGO_TARGET_DIR", &paths.target)
            .env("ADMIT_WRITE_DOCS", "1")
            .status()
            .context("cannot run cargo")?;
        if !status.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    // The document's types for TypeScript. `tests/entry/openapi.test.mjs` fails while they are out of date.
    node::ensure(&paths)?;
    let mut types = Command::new(node::bin(&paths, "openapi-typescript"));
    types.args(["docs/openapi.json", "--output", "types/openapi.d.ts"]).current_dir(&paths.root);
    node::apply(&paths, &mut types)?;
    let status = types.status().context("cannot run openapi-typescript")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
