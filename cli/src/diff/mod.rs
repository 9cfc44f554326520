//! `admit diff`: what changed between two versions. It reads only the shards that differ.
//!
//! `side` loads a version, `compare` walks both, `report` prints the result.

pub mod compare;
pub mod report;
pub mod side;

use std::{path::PathBuf, str::FromStr};

use admit_snapshot::index::Tree;
use anyhow::{Context, Result};

use self::{
    compare::compare,
    report::{DirectoryReport, Report},
    side::Side,
};
use crate::{bearer::TokenArgs, store::Store};

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

/// A version, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The published version.
    Head,
    /// A version that is kept for rollbacks.
    Seq(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "head" => Ok(Self::Head),
            _ => text.parse().map(Self::Seq).map_err(|_| "expected the seq of a version, or head".to_owned()),
        }
    }
}

/// Runs `admit diff`.
///
/// # Errors
/// A version is not kept or cannot be read, or the store does not answer or refuses.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open(&args.from, &args.token).context("--from")?;
    let before = Side::load(&store, args.before, args.key.as_deref())?;
    let after = Side::load(&store, args.after, args.key.as_deref())?;
    let report = Report {
        customers: compare(&store, Tree::Customers, &before, &after, args.list)?,
        items: compare(&store, Tree::Items, &before, &after, args.list)?,
        directory: DirectoryReport::new(&before.directory, &after.directory),
        before: before.report(&store)?,
        after: after.report(&store)?,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_or_the_head() {
        assert_eq!("head".parse(), Ok(Which::Head));
        assert_eq!("42".parse(), Ok(Which::Seq(42)));
        for wrong in ["", "HEAD", "-1", "latest"] {
            assert!(wrong.parse::<Which>().is_err(), "{wrong}");
        }
    }
}
