//! `admit inspect`: what is published, what is known of a customer, and why a check ends as it does.

mod check;
mod customer;
mod history;
mod published;
mod sizes;
mod text;

use std::path::PathBuf;

use admit::snapshot::time::{Timestamp, UnixSecs};
use anyhow::{Context, Result, bail};
use serde::Serialize;

pub use self::customer::title;
use self::{
    check::{CheckReport, Viewer},
    customer::CustomerReport,
    history::HistoryReport,
    published::{HeadReport, Snapshot},
    sizes::ObjectsReport,
};
use crate::{bearer::TokenArgs, store::Store, token::now_unix_secs};

/// Arguments of `admit inspect`.
#[derive(clap::Args)]
#[command(after_help = "\
Reads the store, past what the service holds in memory, and checks each object against the
digest that names it. Without --customer it shows the head, the objects, how the shards and the delta are
filled, the versions that can be rolled back to, and who holds the lease.

Examples:
  admit inspect --from https://api.example.com --key publisher.jwk
  admit inspect --from https://api.example.com --customer vendor:11a7ed90-65d3-4ee2-9d91-4e1409678576
  admit inspect --from https://api.example.com --customer vendor:11a7ed90-65d3-4ee2-9d91-4e1409678576 \\
    --check 33 --at 2026-07-01T00:00:00Z --country CH")]
pub struct Args {
    /// Where it is published: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE")]
    from: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The publisher's JWK, public or private, to verify the head's signature with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Customer by the issuer's namespace and the value of its customer claim
    #[arg(long, value_name = "NAMESPACE:SUBJECT")]
    customer: Option<String>,
    /// Item: decide whether the customer may play it, and say why
    #[arg(long, value_name = "ITEM", requires = "customer", allow_negative_numbers = true)]
    check: Option<i64>,
    /// Moment that dates are compared with: unix seconds, RFC 3339, or such as now+1d [default: now]
    #[arg(
        long,
        value_name = "TIME",
        requires = "customer",
        value_parser = parse_moment,
        allow_negative_numbers = true
    )]
    at: Option<Timestamp>,
    /// Country of the viewer, ISO 3166-1 alpha-2: which of the item's fees are sold there
    #[arg(long, value_name = "CC", value_parser = parse_country, requires = "check")]
    country: Option<String>,
    /// OAuth client that the viewer's token names; a test-mode client has other licences
    #[arg(long, value_name = "CLIENT_ID", requires = "check")]
    client: Option<String>,
    /// Measure every shard, however many there are, instead of a sample
    #[arg(long, conflicts_with = "customer")]
    all: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// Everything that was found out.
#[derive(Debug, Serialize)]
struct Report {
    head: HeadReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<ObjectsReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckReport>,
}

/// Runs `admit inspect`.
///
/// # Errors
/// The edge does not answer or refuses, nothing is published, or what is published is not sound.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open(&args.from, &args.token).context("--from")?;
    let now = now_unix_secs()?;
    let at = args.at.map_or(now, |at| at.resolve(now));
    let mut snapshot = Snapshot::load(&store, args.key.as_deref())?;
    let head = snapshot.head_report(now);
    let mut report = Report { head, objects: None, history: None, customer: None, check: None };
    match &args.customer {
        None => {
            report.objects = Some(sizes::measure(&mut snapshot, args.all)?);
            report.history = Some(HistoryReport::read(&store, args.key.as_deref(), now)?);
        }
        Some(customer) => {
            let viewer = viewer(customer, args)?;
            let record = snapshot.customer(&viewer)?;
            if let Some(item_id) = args.check {
                report.check = Some(check::check(&mut snapshot, &viewer, record.as_ref(), item_id, at)?);
            }
            report.customer = Some(customer::describe(&mut snapshot, &viewer, record.as_ref(), at)?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", text::render(&report));
    }
    Ok(())
}

fn viewer(customer: &str, args: &Args) -> Result<Viewer> {
    // Issuers' names for customers hold colons more often than namespaces do.
    let Some((namespace, subject)) = customer.split_once(':') else {
        bail!("--customer: expected NAMESPACE:SUBJECT, such as vendor:123, found {customer:?}")
    };
    let (client_id, country) = (args.client.clone(), args.country.clone());
    Ok(Viewer { namespace: namespace.to_owned(), subject: subject.to_owned(), client_id, country })
}

fn parse_moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(secs) = text.parse::<UnixSecs>() {
        return Ok(Timestamp::At(secs));
    }
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

fn parse_country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Ok(text.to_ascii_uppercase())
    } else {
        Err("expected two letters, such as CH".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_in_the_publish_schema() {
        assert_eq!(parse_moment("-5"), Ok(Timestamp::At(-5)));
        assert_eq!(parse_moment("now+1d"), Ok(Timestamp::FromNow(86_400)));
        assert_eq!(parse_moment("1970-01-01T00:01:00Z"), Ok(Timestamp::At(60)));
        assert!(parse_moment("tomorrow").unwrap_err().contains("2030-01-03T00:00:00Z"));
    }

    #[test]
    fn countries_have_two_letters() {
        assert_eq!(parse_country("ch").as_deref(), Ok("CH"));
        for wrong in ["", "C", "CHE", "C1", "é"] {
            assert!(parse_country(wrong).is_err(), "{wrong}");
        }
    }
}
