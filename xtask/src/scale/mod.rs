//! `cargo xtask scale`: simulates and computes how far the design carries, and writes `docs/scale.md`.

mod assume;
mod cache;
mod compute;
mod cost;
mod page;
mod plot;
mod random;
mod results;
mod shape;
mod simulate;
mod text;
mod tiers;
mod traffic;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, bail};

use self::results::Results;
use crate::{
    job::{self, Stopwatch},
    paths::Paths,
};

/// Arguments of `cargo xtask scale`.
#[derive(clap::Args)]
pub struct Args {
    /// Write nothing; fail if the page or the plot is not what would be written
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask scale`.
///
/// # Errors
/// The page cannot be read or written, or is old, or we are interrupted.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let watch = Stopwatch::start();
    let results = Results::new(|next| {
        eprintln!("{:>6.1} s  {next}", watch.elapsed().as_secs_f32());
        !job::interrupted()
    });
    let Some(results) = results else { bail!("interrupted") };
    for (relative, content) in
        [("docs/scale.md", page::page(&results)), ("docs/scale.svg", plot::svg(&results))]
    {
        let path = paths.in_root(relative);
        if !args.check {
            fs::write(&path, content).with_context(|| format!("cannot write {relative}"))?;
            println!("{relative}");
        } else if fs::read_to_string(&path).with_context(|| format!("cannot read {relative}"))? != content {
            bail!("{relative} is not what `cargo xtask scale` writes: run it");
        } else {
            println!("{relative} is current");
        }
    }
    eprintln!("{:>6.1} s", watch.elapsed().as_secs_f32());
    Ok(ExitCode::SUCCESS)
}
