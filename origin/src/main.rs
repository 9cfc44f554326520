//! The command `origin`: serves a reference origin and administers its database.

mod commands;

use std::process::ExitCode;

use admit_native::{argv, manual};
use admit_publish::output::{self, Level, Notice};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// A reference origin for Admit: writes, sign-in, export and change feed, on SQLite
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[expect(clippy::large_enum_variant, reason = "a process has one")]
#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Origin(commands::Command),
    /// Print the completions of this command for a shell
    Completions(manual::Completions),
    /// Write the man pages of this command
    #[command(hide = true)]
    Man(manual::ManPages),
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Origin(command) => command.run(),
            Self::Completions(args) => Ok(args.print(Arguments::command())?),
            Self::Man(args) => Ok(args.write(Arguments::command())?),
        }
    }
}

fn main() -> ExitCode {
    let command = Arguments::command();
    let matches = command.clone().get_matches();
    argv::warn_of_secrets(&command, &matches);
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match arguments.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let notice = Notice::new("ended", format!("origin: {error:#}"));
            output::tell_notice(&notice.with("error", format!("{error:#}")), Level::Error);
            ExitCode::FAILURE
        }
    }
}
