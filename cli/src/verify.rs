//! `admit verify`: reads everything that the head reaches, and reports all problems.

use std::{path::PathBuf, process::ExitCode};

use admit_publish::{
    clock::{now, now_unix_secs},
    store::Store,
    verify::verify,
};
use anyhow::{Context, Result};

use crate::token_args::TokenArgs;

/// Arguments of `admit verify`.
#[derive(clap::Args)]
#[command(after_help = "\
Reads the index, its pages, every shard, the delta and the directory through the publish API, several at a
time, and checks the head's signature, each object's hash and header, the order of keys, that every key lies
in the shard where the edge looks for it, that every record can be read, the JSON of items, their references
to merchants and licences, that every external id leads to an active item that has it, and every item is found by
its external ids, and the head's counts. It writes nothing. The exit code is 0 without
problems, and 1 with problems or if not everything could be read.

Examples:
  admit verify --from https://api.example.com --key publisher.jwk
  admit verify --from https://api.example.com --key publisher.jwk --json | jq '.problems[].what'")]
pub struct Args {
    /// Where it is published: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE")]
    from: String,
    /// The publisher's JWK, public or private, to verify the head's signature with
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    token: TokenArgs,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// Runs `admit verify`.
///
/// # Errors
/// The key cannot be read, the store does not answer or refuses, or nothing is published.
pub fn run(args: &Args) -> Result<ExitCode> {
    let started = now();
    let store = Store::open(&args.from, &args.token.credentials()).context("--from")?;
    let (mut report, outcome) = verify(&store, &args.key, now_unix_secs()?);
    report.elapsed_secs = started.elapsed().as_secs_f64();
    if report.head.is_some() || report.problems_total > 0 {
        if args.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{report}");
        }
    }
    outcome?;
    if report.problems_total == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let noun = if report.problems_total == 1 { "problem" } else { "problems" };
    eprintln!("admit: {} {noun}", report.problems_total);
    Ok(ExitCode::FAILURE)
}
