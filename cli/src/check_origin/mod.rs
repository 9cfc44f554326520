//! `admit check-origin`: checks whether an origin can stand behind the edge, and says what to change if it
//! cannot.
//!
//! Each module asks for one part of the origin's API and records findings in one `report`; `checks` is the
//! table of everything that is checked. The export is read and built as a publisher does it; the feed is
//! replayed on it and compared with a second export.

mod access;
mod body;
mod checks;
mod client;
mod clock;
mod evaluations;
mod export;
mod feed;
mod keys;
mod log;
mod replay;
mod report;
mod strangers;
mod writes;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use admit::api::contract::table;
use admit_native::private_file;
use admit_publish::{clock::now_unix_secs, store::Store};
use anyhow::{Context, Result, bail};

pub use self::client::{Ask, OriginAnswer, OriginClient, address};
use self::{
    access::{Api, Asker},
    export::{Export, Taken},
    feed::Feed,
    report::ConformanceReport,
    writes::Writes,
};

/// Arguments of `admit check-origin`.
#[derive(clap::Args)]
#[command(after_help = "\
Asks an origin what the edge and its publisher ask, and compares the answers with what they need: docs/origin.md
lists the checks. A check that fails says what was expected, what was found, and what to change. Checks that need
an option that is not given are listed as skipped. The exit code is 0 if no check failed.

Only --writes changes anything: it grants the customer access to the item and revokes it. The customer must
not have access to it before. Use an origin that is not in production.

A TOKEN that begins with @ names a file with the token, which keeps it off the command line.

Examples:
  export ADMIT_ORIGIN_TOKEN=...          # the bearer that may read export and changes
  admit check-origin https://origin.example.com
  admit check-origin https://origin.example.com --granted @ada.jwt 5101 --denied @bob.jwt 5101 \\
    --namespace vendor
  admit check-origin https://origin.example.com --export /sync/all --changes /sync/changes \\
    --issuer https://id.example.com
  admit check-origin https://staging.example.com --writes @merchant.jwt --consumer-token @bob.jwt \\
    --consumer 88005 --item 5101
  admit check-origin https://origin.example.com --json | jq '.checks[] | select(.outcome == \"fail\")'")]
pub struct Args {
    /// The origin, as in the Worker's ORIGIN_URL
    #[arg(value_name = "URL")]
    url: String,
    /// Bearer that may read the export and the changes
    #[arg(long, value_name = "TOKEN", env = "ADMIT_ORIGIN_TOKEN", hide_env_values = true)]
    origin_token: Option<String>,
    /// The export: a path below URL, or a URL
    #[arg(long, value_name = "PATH|URL", default_value_t = table::FEED.path(&[]))]
    export: String,
    /// The changes, asked for with ?after=<seq> [default: the export's address]
    #[arg(long, value_name = "PATH|URL")]
    changes: Option<String>,
    /// The origin has no change feed, and is published as a whole each time
    #[arg(long, conflicts_with = "changes")]
    no_feed: bool,
    /// A customer's bearer, and an item that this customer may play; as often as you like
    #[arg(long, num_args = 2, value_names = ["TOKEN", "ITEM"])]
    granted: Vec<String>,
    /// A customer's bearer, and an item that this customer may not play; as often as you like
    #[arg(long, num_args = 2, value_names = ["TOKEN", "ITEM"])]
    denied: Vec<String>,
    /// The namespace of these customers, as in the edge's ISSUERS: asks about several items at once, too
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// CHANGE DATA: grant and revoke access with this merchant's bearer
    #[arg(long, value_name = "MERCHANT_TOKEN", requires_all = ["consumer_token", "consumer", "item"])]
    writes: Option<String>,
    /// With --writes: the bearer of the customer who is granted access
    #[arg(long, value_name = "TOKEN", requires = "writes")]
    consumer_token: Option<String>,
    /// With --writes: the number of that customer
    #[arg(long, value_name = "ID", requires = "writes")]
    consumer: Option<i64>,
    /// With --writes: the item
    #[arg(long, value_name = "ID", requires = "writes")]
    item: Option<i64>,
    /// With --writes: grant by this fee instead of for an hour
    #[arg(long, value_name = "ID", requires = "writes")]
    access_fee: Option<i64>,
    /// The issuer of the tokens, whose keys will be checked
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// How long an answer may take; exports may take an hour
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout_secs: u64,
    /// Where temporary files go: twice as much as a snapshot of the export takes
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// Runs `admit check-origin`.
///
/// # Errors
/// An argument is invalid, or a temporary file cannot be written. Findings about the origin are in the
/// report.
pub fn run(args: &Args) -> Result<ExitCode> {
    let base = address(&args.url, "/")?.trim_end_matches('/').to_owned();
    let mut report = ConformanceReport::new(&base);
    check(args, &base, &mut report)?;
    report.finish();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.conforms { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(args: &Args, base: &str, report: &mut ConformanceReport) -> Result<()> {
    let export_url = address(base, &args.export).context("--export")?;
    let changes_url = match &args.changes {
        Some(place) => address(base, place).context("--changes")?,
        None => export_url.clone(),
    };
    let issuer = args.issuer.as_deref().map(|issuer| address(issuer, "/").map(|_| issuer));
    let issuer = issuer.transpose().context("--issuer")?;
    let (granted, denied) = (askers(&args.granted)?, askers(&args.denied)?);
    let origin_token = args.origin_token.as_deref().map(token).transpose()?;
    let tokens = match (&args.writes, &args.consumer_token) {
        (Some(merchant), Some(consumer)) => Some((token(merchant)?, token(consumer)?)),
        _ => None,
    };
    let client = OriginClient::new(Duration::from_secs(args.timeout_secs))?;
    let now = now_unix_secs()?;
    let dir = args.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let scratch =
        tempfile::tempdir_in(&dir).with_context(|| format!("a temporary directory in {}", dir.display()))?;
    let store = Store::scratch(scratch.path());
    let token = origin_token.as_deref();
    let export = Export { client: &client, url: &export_url, token, store: &store, dir: &dir, now };
    export.check_access(report);
    let taken = export.check(report);
    let seq = taken.as_ref().map(|taken| taken.head.seq);
    let mut feed = (!args.no_feed).then(|| Feed::new(&client, &changes_url, token));
    match (&mut feed, seq) {
        (Some(feed), Some(seq)) => feed.check(report, seq),
        (None, _) => report.skip_rest("feed.", "--no-feed"),
        (_, None) => report.skip_rest("feed.", "no export says where changes begin"),
    }
    let mut api = Api::new(&client, base, now);
    let any_item = args.item.or_else(|| taken.as_ref().and_then(any_item));
    api.check(report, &granted, &denied, any_item);
    evaluations::check(report, &mut api, args.namespace.as_deref(), &granted, &denied);
    if let (Some((merchant_token, consumer_token)), Some(consumer), Some(item)) =
        (&tokens, args.consumer, args.item)
    {
        let run = run_name()?;
        let writes =
            Writes { merchant_token, consumer_token, consumer, item, fee: args.access_fee, run: &run };
        let is_answered = seq.is_some() && !report.has_failed("feed.answer");
        writes.check(report, &mut api, feed.as_mut().filter(|_| is_answered), seq);
    }
    report.skip_rest("access.body", "no access was granted");
    report.skip_rest("write.", "no --writes: it grants and revokes an access");
    if let (Some(feed), Some(taken)) = (&mut feed, taken) {
        if report.has_failed("feed.answer") {
            report.skip_rest("feed.", "changes are not answered");
        } else {
            replay::check(report, feed, &export, &taken);
            feed.conclude(report);
        }
    }
    api.conclude(report);
    client.clock.conclude(report);
    match issuer {
        Some(issuer) => keys::check(report, &client, issuer),
        None => report.skip_rest("keys.", "no --issuer"),
    }
    Ok(())
}

fn any_item(taken: &Taken) -> Option<i64> {
    taken.catalogue.items.keys().next().copied()
}

/// Pairs of a token and an item.
fn askers(values: &[String]) -> Result<Vec<Asker>> {
    let pairs = values.as_chunks::<2>().0;
    let asker = |[text, item]: &[String; 2]| {
        let item = item.parse().with_context(|| format!("{item:?} is not a valid item id"))?;
        Ok(Asker { token: token(text)?, item })
    };
    pairs.iter().map(asker).collect()
}

/// The token as given, or with `@FILE` the one in that file.
///
/// # Errors
/// The file cannot be read, or the token contains invalid characters.
pub fn token(text: &str) -> Result<String> {
    let token = match text.strip_prefix('@') {
        Some(path) => {
            private_file::warn_if_shared(Path::new(path));
            fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?
        }
        None => text.to_owned(),
    };
    let token = token.trim().to_owned();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("invalid token: expected visible ASCII characters without spaces");
    }
    Ok(token)
}

/// A random name for this run.
fn run_name() -> Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(format!("{:016x}", u64::from_le_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_items_come_in_pairs() {
        let askers = askers(&["a.b.c".into(), "7".into(), " d ".into(), "8".into()]).unwrap();
        let pairs: Vec<_> = askers.iter().map(|asker| (asker.token.as_str(), asker.item)).collect();
        assert_eq!(pairs, [("a.b.c", 7), ("d", 8)]);
        assert!(self::askers(&["a".into(), "x".into()]).is_err());
        for bad in ["", " ", "a b", "a\nb", "@/does/not/exist"] {
            assert!(token(bad).is_err(), "{bad:?}");
        }
    }
}
