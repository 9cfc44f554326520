//! `cargo xtask`: sets up, builds, runs and tests Admit. Each command does all of its own set-up.

mod build;
mod debian;
mod job;
mod node;
mod paths;
mod rust;
mod setup;
mod size;
mod step;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, builds, runs and tests Admit.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the Worker for release and check its size
    Build(build::Args),
    /// Get what the other commands need: Wasm target, tools, npm packages, development keys
    Setup,
}

fn main() -> ExitCode {
    let outcome = job::watch_signals().and_then(|()| match Cli::parse().command {
        Command::Build(args) => build::run(&args),
        Command::Setup => setup::run(),
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
