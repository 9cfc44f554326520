//! `admit`: the native command that makes keys and tokens.

mod key;
mod keygen;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Edge entitlement checks: keys, tokens and the published snapshot.
#[derive(Parser)]
#[command(name = "admit", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a signing key, or print what others need to check its signatures
    Keygen(keygen::Args),
    /// Print a signed JSON Web Token
    Token(token::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Keygen(args) => keygen::run(&args),
        Command::Token(args) => token::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `{:#}` prints the whole chain on one line: what was tried, then why it failed.
            eprintln!("admit: {error:#}");
            ExitCode::FAILURE
        }
    }
}
