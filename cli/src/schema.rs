//! `admit schema`: prints the JSON Schema of the lines that origins write.

use std::io::Write;

use admit_publish::output::Stdout;
use admit_snapshot::schema::json;
use anyhow::{Context, Result};

/// Arguments of `admit schema`.
#[derive(clap::Args)]
#[command(after_help = "\
For programs that write the lines, in any language. The schema (draft 2020-12) is that of one line, not of a file.

Examples:
  admit schema > publish-schema.json
  admit schema changes > change-schema.json")]
pub struct Args {
    /// Which lines
    #[arg(value_enum, default_value_t = Of::Lines)]
    of: Of,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// A line of a publish file
    Lines,
    /// A line of a change feed
    Changes,
}

/// Runs `admit schema`.
///
/// # Errors
/// The schema cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let schema = match args.of {
        Of::Lines => json::lines(),
        Of::Changes => json::changes(),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    writeln!(Stdout, "{text}").context("cannot write")
}
