//! `origin`: a reference origin API for Admit.

mod commands;

use std::process::ExitCode;

use clap::Parser;

/// A reference origin for Admit: writes, sign-in, export and change feed, on SQLite
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("origin: {error:#}");
            ExitCode::FAILURE
        }
    }
}
