//! `admit diff`: what changed between two versions.

use std::path::PathBuf;

use admit_publish::{
    diff::{Which, diff},
    store::Store,
};
use anyhow::{Context, Result};

use crate::token_args::TokenArgs;

/// Arguments of `admit diff`.
#[derive(clap::Args)]
#[command(after_help = "\
Compares versions that `admit inspect` lists, and `head`, the published version with the changes of later syncs.
A customer counts as changed if any byte of the record has changed.

Examples:
  admit diff 41 42 --from https://api.example.com
  admit diff 42 head --from dir:store --list 100 --json | jq '.customers.changes[].uuid'")]
pub struct Args {
    /// The version before
    #[arg(value_name = "SEQ")]
    before: Which,
    /// The version after
    #[arg(value_name = "SEQ|head")]
    after: Which,
    /// Where the versions are stored: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE")]
    from: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The publisher's JWK, public or private, to verify the signatures of both with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How many changed customers and how many changed items are listed
    #[arg(long, value_name = "N", default_value_t = 20)]
    list: usize,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// Runs `admit diff`.
///
/// # Errors
/// A version is not kept or cannot be read, or the store does not answer or refuses.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open(&args.from, &args.token.credentials()).context("--from")?;
    let report = diff(&store, args.before, args.after, args.key.as_deref(), args.list)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}
