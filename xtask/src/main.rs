//! `cargo xtask`: sets up, builds, runs and tests Admit. Each command does all of its own set-up.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{
    bench, build, dev, dist, docs, doctor, fuzz, guarded, job, keys, origin, personas, run, setup, suite,
};

/// Sets up, builds, runs and tests Admit.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run Worker, origin and publisher on this machine with the sample catalogue
    Dev(dev::Args),
    /// Print the token of a sample viewer, or list the viewers
    Token(personas::Args),
    /// Print the address of a running `dev`
    Url(run::UrlArgs),
    /// Print the directory of the development keys
    Keys,
    /// Stop the origin of a running `dev`, or start it again
    Origin(origin::Args),
    /// Check formatting and lints, run every test natively and against the Worker
    Test(suite::Args),
    /// Write the tables of docs/ that follow from the code
    Docs(docs::Args),
    /// Build the Worker for release and check its size
    Build(build::Args),
    /// Make the files of a release: a Worker that needs no build, and the programs
    Dist(dist::Args),
    /// Measure checks, snapshots and steps on this machine
    Bench(bench::Args),
    /// Try readers of foreign bytes with millions of inputs
    Fuzz(fuzz::Args),
    /// Get what the other commands need: Wasm target, tools, npm packages, development keys
    Setup,
    /// List installed and missing tools, and how `setup` would get them
    Doctor,
    /// Compute how far the design carries, and write docs/scale.md
    Scale(bench::Args),
    /// Run a command, and end it and all its children when standard input closes
    #[command(hide = true)]
    Guard(guarded::GuardArgs),
}

fn main() -> ExitCode {
    let outcome = job::watch_signals().and_then(|()| match Cli::parse().command {
        Command::Dev(args) => dev::run(&args),
        Command::Token(args) => personas::run(&args),
        Command::Url(args) => run::print_url(&args),
        Command::Keys => keys::print_dir(),
        Command::Origin(args) => origin::run(&args),
        Command::Test(args) => suite::run(&args),
        Command::Docs(args) => docs::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Bench(args) => bench::run(None, &args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Setup => setup::run(),
        Command::Doctor => doctor::run(),
        Command::Scale(args) => bench::run(Some("scale"), &args),
        Command::Guard(args) => guarded::guard(&args),
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
