//! `admit inspect`: shows the published snapshot, a customer's record, and why a check ends as it does.
//!
//! [`admit_publish::published`] loads the snapshot, `who` and `find` turn a name into a record, `customer` and `check`
//! describe it, `asked` asks the origin for the same check, `item` describes an item and its external ids, `history` and
//! `sizes` describe the store. `text` prints the report.

mod asked;
mod check;
mod customer;
mod find;
mod head;
mod history;
mod item;
mod sizes;
mod text;
mod who;

use std::path::PathBuf;

use admit_publish::{
    clock::now_unix_secs,
    published::Published,
    store::{HeadInUse, Store},
};
use admit_snapshot::{
    report::{HistoryReport, ObjectsReport},
    time::Timestamp,
};
use admit_token::Principal;
use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::{
    asked::OriginReport,
    customer::CustomerReport,
    head::HeadShown,
    item::{ExternalName, ExternalReport, ItemReport},
};
pub use self::{
    check::{CheckReport, GrantReport, check},
    customer::date,
    find::{Issuers, Sought, find},
    text::grant_line,
    who::{Unverified, Who},
};
use crate::token_args::TokenArgs;

/// How many shards are read, without `--all`, to count what the delta adds and removes: 64 MiB.
const COUNTED_MAX: usize = 1_024;

/// The same when the command is about a customer: 4 MiB.
const COUNTED_BESIDE_MAX: usize = 64;

/// Arguments of `admit inspect`.
#[derive(clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("who").args(["customer", "token_of"]))]
#[command(after_help = "\
Reads the store directly, not the service's memory, and checks each object against the digest
in its name. Without --customer, --item and --external it shows the head, the objects, how the shards and the delta are
filled, the versions that can be rolled back to, and who holds the lease.

--customer takes the customer's number, UUID, subject in any namespace of the edge, NAMESPACE:SUBJECT, or a
token of the viewer, whose claims are read without verification. The snapshot holds hashes of subjects: a number
is found by reading every shard of customers. --origin asks the origin for the same check with the viewer's token.

--item shows an item and its external ids: its external_asset_id and the media id in its content, each with the
item that it names. --external shows the items that an external id names, one for each merchant.

Examples:
  admit inspect --from https://api.example.com --key publisher.jwk
  admit inspect --from https://api.example.com --customer vendor:11a7ed90-65d3-4ee2-9d91-4e1409678576
  admit inspect --from https://api.example.com --customer 88005 --check 5101
  admit inspect --from https://api.example.com --token-of @viewer.jwt --check 5101 --origin https://o.example.com
  admit inspect --from https://api.example.com --customer vendor:11a7ed90-65d3-4ee2-9d91-4e1409678576 \\
    --check 33 --at 2026-07-01T00:00:00Z --country CH
  admit inspect --from https://api.example.com --item 5101
  admit inspect --from https://api.example.com --external jw_asset/5tb8rxr7")]
pub struct Args {
    /// Where it is published: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE")]
    from: String,
    #[command(flatten)]
    token: TokenArgs,
    /// The publisher's JWK, public or private, to verify the head's signature with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Customer by number, UUID, subject, NAMESPACE:SUBJECT, or by a token of theirs (JWT or @FILE)
    #[arg(long, value_name = "WHO", allow_hyphen_values = true)]
    customer: Option<String>,
    /// Customer by a token of theirs, or @FILE: its claims are read without verification
    #[arg(long, value_name = "JWT", conflicts_with = "customer")]
    token_of: Option<String>,
    /// wrangler's configuration, whose ISSUERS name the namespaces, for a Worker that cannot be asked
    #[arg(long, value_name = "FILE", requires = "who")]
    config: Option<PathBuf>,
    /// Item: decide whether the customer may play it, and say why
    #[arg(long, value_name = "ITEM", requires = "who", allow_negative_numbers = true)]
    check: Option<i64>,
    /// Ask this origin for the same check, and show both answers
    #[arg(long, value_name = "URL", requires = "check")]
    origin: Option<String>,
    /// The viewer's bearer for the origin, or @FILE [default: the token that names the customer]
    #[arg(long, value_name = "JWT", requires = "origin")]
    origin_token: Option<String>,
    /// Moment that dates are compared with: unix seconds, RFC 3339, or such as now+1d [default: now]
    #[arg(
        long,
        value_name = "TIME",
        requires = "who",
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
    /// Item by number: show it and its external ids
    #[arg(long, value_name = "ITEM", conflicts_with = "who", allow_negative_numbers = true)]
    item: Option<i64>,
    /// Item by an external id: its external_asset_id, or the media id in its content
    #[arg(
        long,
        value_name = "TYPE/ID",
        conflicts_with_all = ["who", "item"],
        value_parser = ExternalName::parse
    )]
    external: Option<ExternalName>,
    /// Measure every shard, however many there are, instead of a sample
    #[arg(long, conflicts_with_all = ["who", "item", "external"])]
    all: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// The whole report.
#[derive(Debug, Serialize)]
struct InspectReport {
    head: HeadShown,
    #[serde(skip_serializing_if = "Option::is_none")]
    edge: Option<HeadInUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<ObjectsReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<ItemReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external: Option<ExternalReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<OriginReport>,
}

/// Runs `admit inspect`.
///
/// # Errors
/// The edge does not answer or refuses, nothing is published, or the published version is damaged.
pub fn run(args: &Args) -> Result<()> {
    let store = Store::open(&args.from, &args.token.credentials()).context("--from")?;
    let now = now_unix_secs()?;
    let at = args.at.map_or(now, |at| at.resolve(now));
    // Parsed before anything is read, so that a mistake is reported at once.
    let asked = args.customer.as_ref().or(args.token_of.as_ref());
    let who = match (&args.customer, &args.token_of) {
        (_, Some(token)) => Some(Who::Token(Box::new(Unverified::read(token).context("--token-of")?))),
        (Some(customer), None) => Some(Who::parse(customer).context("--customer")?),
        (None, None) => None,
    };
    let origin =
        args.origin.as_deref().map(|url| Ok::<_, anyhow::Error>((url, origin_token(args, who.as_ref())?)));
    let origin = origin.transpose()?;
    let mut snapshot = Published::open(&store, args.key.as_deref())?;
    let is_about_store = who.is_none() && args.item.is_none() && args.external.is_none();
    let shards_max = match (is_about_store, args.all) {
        (_, true) => usize::MAX,
        (true, false) => COUNTED_MAX,
        // A question about a customer or an item should not wait for the count.
        (false, false) => COUNTED_BESIDE_MAX,
    };
    let head = head::describe(&snapshot, args.key.as_deref(), now, shards_max)?;
    let mut report = InspectReport {
        head,
        edge: None,
        objects: None,
        history: None,
        item: None,
        external: None,
        customer: None,
        check: None,
        origin: None,
    };
    match (&who, asked) {
        (Some(who), Some(asked)) => {
            let issuers = Issuers::of(&snapshot, args.config.as_deref())?;
            let sought = find(&mut snapshot, &issuers, who).context("--customer")?;
            let token = match who {
                Who::Token(token) => Some(&**token),
                _ => None,
            };
            if let Some(item_id) = args.check {
                let viewer = viewer(&sought, token, args.client.as_deref());
                let (country, known) = (args.country.as_deref(), sought.known.as_ref());
                let check = check(&mut snapshot, &viewer, country, known, item_id, at)?;
                let subject = sought.name.as_ref().map(|(_, subject)| subject.as_str());
                let answer = origin.map(|(url, token)| asked::ask(url, &token, subject, &check));
                report.origin = answer.transpose()?;
                report.check = Some(check);
            }
            report.customer = Some(customer::describe(&mut snapshot, asked, &sought, token, at)?);
        }
        _ if !is_about_store => {
            report.item = args.item.map(|id| item::describe(&mut snapshot, id)).transpose()?;
            let external = args.external.as_ref();
            report.external =
                external.map(|name| item::describe_external(&mut snapshot, name)).transpose()?;
        }
        _ => {
            report.edge = store.head_in_use();
            report.objects = Some(sizes::measure(&mut snapshot, args.all)?);
            report.history = Some(history::read(&store, args.key.as_deref(), now)?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", text::render(&report));
    }
    Ok(())
}

/// The viewer, as far as name and token tell. `client` is the OAuth client of a viewer who is named without a token.
pub fn viewer(sought: &Sought, token: Option<&Unverified>, client: Option<&str>) -> Principal {
    let (namespace, subject) = sought.name.clone().unwrap_or_default();
    let mut viewer = Principal {
        customer_key: sought.key,
        client_id: client.map(str::to_owned),
        merchants: sought.merchants.as_deref().map(Into::into),
        may_test: sought.may_test,
        ..Principal::named(&namespace, &subject)
    };
    if let Some(token) = token {
        token.fill(&mut viewer);
    }
    viewer
}

/// The bearer for the origin: the given one, or the token that names the customer.
fn origin_token(args: &Args, who: Option<&Who>) -> Result<String> {
    match (&args.origin_token, who) {
        (Some(token), _) => Ok(Unverified::bearer(token).context("--origin-token")?),
        (None, Some(Who::Token(token))) => Ok(token.text.clone()),
        (None, _) => bail!(
            "--origin needs the viewer's token: give it with --origin-token, or \
             name the customer by it (--token-of)"
        ),
    }
}

/// Parses `--at`: a moment as the publish schema has it.
///
/// # Errors
/// The text is not a moment.
pub fn parse_moment(text: &str) -> Result<Timestamp, String> {
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
