//! How far the design carries: cold reads, cost and limits by the number of customers.
//!
//! [`assume`] has every number that is taken for given. [`demand`] and [`layout`] describe the viewers and the stored
//! objects, [`caches`] says from where a check is answered, [`cost`] what publishing and KV cost. [`page`] fills the
//! results into `docs/scale.md`, and [`fresh`] the bounds of a revocation into `docs/freshness.md`; both are written by hand. A test simulates single checks and compares ([`caches`]).

mod assume;
mod caches;
mod cost;
mod demand;
mod fresh;
mod layout;
mod page;
#[cfg(test)]
mod simulation;
mod tiers;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use self::page::Results;

/// Arguments of `cargo xtask scale`.
#[derive(clap::Args)]
pub struct Args {
    /// Write nothing; fail if the page or the plot differs from what would be written
    #[arg(long)]
    check: bool,
}

/// Computes the model and writes page and plot, in the repository at `root`.
pub fn run(args: &Args, root: &Path) -> Result<()> {
    let (page, plot, bounds) = ("docs/scale.md", "docs/scale.svg", "docs/freshness.md");
    let read =
        |relative| fs::read_to_string(root.join(relative)).with_context(|| format!("cannot read {relative}"));
    let results = Results::compute();
    let contents = [
        (page, results.fill(&read(page)?)?),
        (plot, results.plot()),
        (bounds, fresh::bounds::fill(&read(bounds)?, &results.lane)?),
    ];
    for (relative, content) in contents {
        if !args.check {
            fs::write(root.join(relative), content).with_context(|| format!("cannot write {relative}"))?;
            println!("{relative}");
        } else if read(relative)? != content {
            bail!("{relative} differs from what `cargo xtask scale` writes: run it");
        } else {
            println!("{relative} is current");
        }
    }
    Ok(())
}
