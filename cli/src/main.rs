//! The `admit` command: makes keys and tokens, publishes snapshots, and explains published ones.
//!
//! Each subcommand is a module with `Args`, which clap fills, and `run(&Args) -> Result<ExitCode>`. Results
//! go to standard output through `output`, messages for people to standard error.

// Declared first: the other modules use its macros.
#[macro_use]
mod output;

mod canary;
mod check;
mod check_config;
mod check_origin;
mod diff;
mod gc;
mod generate;
mod inspect;
mod keygen;
mod playback_key;
mod publish;
mod revoke;
mod rollback;
mod schema;
mod token;
mod token_args;
mod verify;

use std::process::ExitCode;

use admit_native::{argv, manual};
use admit_publish::{
    output::{exit_code, failed},
    peer,
};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Edge entitlement checks: keys, tokens and the published snapshot.
#[derive(Parser)]
#[command(name = "admit", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Allow http to other machines, although the network can then read the tokens and change the records;
    /// without this option http works only for this machine
    #[arg(long, global = true)]
    insecure_http: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make a signing key, or print what others need to check its signatures
    Keygen(keygen::Args),
    /// Make the key of a playback signer, or print the half of it that the vendor gets
    PlaybackKey(playback_key::Args),
    /// Print a signed JSON Web Token
    Token(token::Args),
    /// Check NDJSON, build a snapshot, upload what the edge lacks and make it the one that is served
    Publish(Box<publish::Args>),
    /// Show the published snapshot, a customer's record, and why a check is granted or denied
    Inspect(inspect::Args),
    /// Ask a published snapshot or a running edge who may play what, many questions at once
    Check(check::Args),
    /// Publish the content of an older version under a new seq
    Rollback(rollback::Args),
    /// Refuse a token, a customer's tokens or those of an issuer's key, from now on
    Revoke(revoke::Args),
    /// Measure how soon running edges see a revocation and a grant
    Canary(Box<canary::Args>),
    /// Read everything that is published and check every hash, order, record and count
    Verify(verify::Args),
    /// Show what changed between two versions
    Diff(diff::Args),
    /// Delete objects that no version needs any more
    Gc(gc::Args),
    /// Check wrangler's configuration before a deploy
    CheckConfig(check_config::Args),
    /// Check whether an origin of your own can stand behind the edge
    CheckOrigin(check_origin::Args),
    /// Print a made-up business of any size, for tests and benchmarks
    Generate(generate::Args),
    /// Print the JSON Schema of publish files or of change feeds
    Schema(schema::Args),
    /// Print the completions of this command for a shell
    Completions(manual::Completions),
    /// Write the man pages of this command
    #[command(hide = true)]
    Man(manual::ManPages),
}

fn main() -> ExitCode {
    let command = Cli::command();
    let matches = command.clone().get_matches();
    argv::warn_of_secrets(&command, &matches);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Command::Publish(args) = &cli.command {
        args.choose_log();
    }
    if cli.insecure_http {
        peer::address::allow_insecure_http();
    }
    let outcome = match cli.command {
        Command::Keygen(args) => keygen::run(&args).map(|()| ExitCode::SUCCESS),
        Command::PlaybackKey(args) => playback_key::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Token(args) => token::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Publish(args) => publish::run(*args),
        Command::Inspect(args) => inspect::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::run(&args),
        Command::Rollback(args) => rollback::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Revoke(args) => revoke::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Canary(args) => canary::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Diff(args) => diff::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Gc(args) => gc::run(&args).map(|()| ExitCode::SUCCESS),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::CheckOrigin(args) => check_origin::run(&args),
        Command::Generate(args) => generate::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Schema(args) => schema::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Completions(args) => {
            args.print(Cli::command()).map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
        Command::Man(args) => args.write(Cli::command()).map(|()| ExitCode::SUCCESS).map_err(Into::into),
    };
    match outcome {
        Ok(code) => exit_code(code),
        Err(error) => failed(&error),
    }
}
