//! Gets everything that the other commands need, without a person.

use std::process::ExitCode;

use anyhow::Result;

use crate::{console, keys, node, paths::Paths, rust::WasmRust, tools};

/// Gets everything for a build. Quick when all of it is there.
pub fn build_tools(paths: &Paths) -> Result<WasmRust> {
    paths.claim_target()?;
    let rust = WasmRust::ensure(paths)?;
    node::ensure(paths)?;
    tools::ensure(paths, &tools::FOR_BUILD)?;
    Ok(rust)
}

/// Runs `cargo xtask setup`.
pub fn run() -> Result<ExitCode> {
    let paths = Paths::find()?;
    build_tools(&paths)?;
    // wrangler starts only where the console's files are.
    console::build(&paths, false, false)?;
    keys::ensure(&paths)?;
    println!("All set: `cargo xtask dev` runs the Worker, and so does `npx wrangler dev`.");
    Ok(ExitCode::SUCCESS)
}
