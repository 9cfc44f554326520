//! `admit rollback`: publishes the content of an older version under a new `seq`.

use std::path::PathBuf;

use admit_publish::{
    head::HeadSigner,
    rollback::{prepare, publish},
    store::Store,
};
use admit_snapshot::{head::Head, time::iso8601};
use anyhow::{Context, Result};
use serde::Serialize;

use crate::token_args::TokenArgs;

/// Arguments of `admit rollback`.
#[derive(clap::Args)]
#[command(after_help = "\
Edges never accept a smaller seq, so the old content becomes a new version: the published seq plus 1. It is
published only if all of its objects are still stored. `admit inspect` lists the versions, `admit diff` the changes
between two of them. The next publish brings the origin's current content back, so stop the sync job first.

Examples:
  admit rollback --to 41 --from https://api.example.com --key publisher.jwk --dry-run
  admit rollback --to 41 --from https://api.example.com --key publisher.jwk")]
pub struct Args {
    /// The version whose content to publish again
    #[arg(long, value_name = "SEQ")]
    to: u64,
    /// Where it is published: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, visible_alias = "in", value_name = "STORE")]
    from: String,
    /// Private JWK (EdDSA) that signs the head; it must have signed the old one too
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    token: TokenArgs,
    /// Check everything, publish nothing
    #[arg(long)]
    dry_run: bool,
    /// Take the lease over from another publisher, which must be gone
    #[arg(long)]
    force: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct RollbackReport<'a> {
    head: &'a Head,
    replaced_seq: u64,
    is_dry_run: bool,
}

/// Runs `admit rollback`.
///
/// # Errors
/// The version is not kept, an object of it is missing, another publisher holds the lease, or the store does
/// not answer or refuses.
pub fn run(args: &Args) -> Result<()> {
    let signer = HeadSigner::new(&args.key, None)?;
    let store = Store::open(&args.from, &args.token.credentials()).context("--from")?;
    let _lease = if args.dry_run { None } else { Some(store.lock(args.force)?) };
    let (current, mut head) = prepare(&store, args.to, &args.key)?;
    if !args.dry_run {
        head = publish(&store, &signer, &current, &head)?;
    }
    if args.json {
        let report = RollbackReport { head: &head, replaced_seq: current.seq, is_dry_run: args.dry_run };
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let published = if args.dry_run { "Would publish" } else { "Published" };
    println!("{published} the content of seq {} as seq {}", args.to, head.seq);
    println!("  as of      {}", iso8601(head.as_of, 0));
    println!("  in place of seq {}", current.seq);
    if args.dry_run {
        println!("Dry run: nothing was published.");
    }
    Ok(())
}
