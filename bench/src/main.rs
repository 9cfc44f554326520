//! Benchmarks of Admit on the machine at hand, and the model of how far the design carries. Figures are for people to
//! judge; no command here is a check.
//!
//! - [`load`]: the check against floors and peers, side by side in one workerd, and where its time goes
//! - [`snapshot`]: building, reading and syncing a snapshot
//! - [`steps`]: the steps of a check natively
//! - [`scale`]: the model behind `docs/scale.md`
//!
//! They share one [`report`], one writer of tables ([`table`]), one formatter of [`numbers`], one module of plots
//! ([`plot`]) and one way to fill pages ([`page`]). `cargo xtask bench` and `cargo xtask scale` call this program.

mod load;
mod machine;
mod numbers;
mod page;
mod plot;
mod report;
mod samples;
mod scale;
mod scratch;
mod snapshot;
mod steps;
mod table;
mod workerd;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::{guarded, job, paths::Paths};

use report::Destination;

/// Measure a check, or what else things cost on this machine
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: load::Args,
}

#[derive(Subcommand)]
enum Command {
    /// Build, read and sync a snapshot
    Snapshot(snapshot::Args),
    /// Count the instructions of each step of a check, natively, under valgrind
    Steps(steps::Args),
    /// Sample where the time of a check goes, in workerd, under perf: two minutes
    Profile(Destination),
    /// Count and name the functions of Wasm that the first check of an isolate compiles
    Compiled(Destination),
    /// Compute how far the design carries, and write docs/scale.md and docs/scale.svg
    #[command(bin_name = "cargo xtask scale")]
    Scale(scale::Args),
    /// Run a command, and end it and all its children when standard input closes
    #[command(hide = true)]
    Guard(guarded::GuardArgs),
}

fn main() -> ExitCode {
    match job::watch_signals().and_then(|()| run(&Cli::parse())) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if let Some(Command::Guard(args)) = &cli.command {
        return guarded::guard(args);
    }
    let paths = Paths::find()?;
    let (report, destination) = match &cli.command {
        None => (Some(load::run(&paths, &cli.load)?), &cli.load.destination),
        Some(Command::Snapshot(args)) => (Some(snapshot::run(&paths, args)?), &args.destination),
        Some(Command::Steps(args)) => (steps::run(&paths, args)?, &args.destination),
        Some(Command::Profile(destination)) => (Some(load::profile(&paths)?), destination),
        Some(Command::Compiled(destination)) => (Some(load::compiled(&paths)?), destination),
        Some(Command::Scale(args)) => {
            scale::run(args, &paths.root)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Guard(_)) => return Ok(ExitCode::SUCCESS),
    };
    report.map_or(Ok(()), |report| report.publish(&paths, destination))?;
    Ok(ExitCode::SUCCESS)
}
