//! `admit gc`: deletes objects that no version needs any more.

use std::path::PathBuf;

use admit_publish::{
    collect::{GRACE_MIN_SECS, KEEP_DEFAULT, Options, collect},
    store::Store,
};
use anyhow::{Context, Result};

use crate::token_args::TokenArgs;

/// Arguments of `admit gc`.
#[derive(clap::Args)]
#[command(after_help = "\
A run marks objects that no kept version refers to. A later run, at least --grace after the mark, deletes those that
no version has referred to since, so run this command regularly, once an hour or once a day. Kept are the published
version, the newest --keep versions, and every version that was the newest within --grace; the others can no longer
be rolled back to. The command holds the publisher's lease, so nothing is published meanwhile.

Examples:
  admit gc --from https://api.example.com
  admit gc --from kv:023e105f4ecef8ad9ca31a8372d0c353/0f2ac74b498b48028cb68387c421e279 --dry-run
  admit gc --from dir:store --keep 3 --grace 1d --json")]
pub struct Args {
    /// Where to collect: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE")]
    from: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The publisher's JWK, public or private: collect only below heads that it has signed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How long an object stays after it was found unreferenced: 10m to 365d (s, m, h, d)
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_grace)]
    grace: i64,
    /// How many of the newest versions are kept
    #[arg(long, value_name = "N", default_value_t = KEEP_DEFAULT, value_parser = parse_keep)]
    keep: usize,
    /// Delete nothing and mark nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Take the lease over from another publisher, which must be gone
    #[arg(long)]
    force: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// Runs `admit gc`.
///
/// # Errors
/// Another publisher holds the lease, a kept object cannot be read, or the store does not answer or refuses.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open(&args.from, &args.token.credentials()).context("--from")?;
    let _lease = if args.dry_run { None } else { Some(store.lock(args.force)?) };
    let options = Options { grace_secs: args.grace, keep: args.keep, is_dry_run: args.dry_run };
    let report = collect(&store, args.key.as_deref(), options)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

fn parse_grace(text: &str) -> Result<i64, String> {
    let expected = "expected a time from 10m to 365d, such as 90m, 1h or 2d";
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(expected)?;
    let unit_secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(expected.to_owned()),
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let secs =
        number.parse::<i64>().ok().filter(|_| is_plain).and_then(|number| number.checked_mul(unit_secs));
    match secs {
        Some(secs @ 0..GRACE_MIN_SECS) => Err(format!(
            "{secs} s is less than 10m, the time that an edge may answer from a replaced version"
        )),
        Some(secs @ ..=31_536_000) => Ok(secs),
        _ => Err(expected.to_owned()),
    }
}

fn parse_keep(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|keep| *keep > 0).ok_or_else(|| "expected a number from 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_that_edges_could_outlast_is_refused() {
        assert_eq!(parse_grace("10m"), Ok(600));
        assert_eq!(parse_grace("2d"), Ok(172_800));
        assert!(parse_grace("599s").unwrap_err().contains("less than 10m"));
        for wrong in ["", "h", "1", "-1h", "+1h", "1y", "366d", "99999999999999999d", "1é"] {
            assert!(parse_grace(wrong).is_err(), "{wrong}");
        }
        assert!(parse_keep("0").is_err());
        assert_eq!(parse_keep("3"), Ok(3));
    }
}
