//! Load for Workers that run side by side in one workerd, in short slices of equal share, every answer checked.
//!
//! One thread: a second core is workerd's. Reads a plan as JSON from standard input and writes what it measured
//! as JSON to standard output.

mod connection;
mod cpu;
mod drive;
mod plan;
mod stats;

use std::io;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let plan = serde_json::from_reader(io::stdin().lock()).context("standard input is no plan")?;
    let results = drive::run(&plan)?;
    serde_json::to_writer(io::stdout().lock(), &results)?;
    Ok(())
}
