//! `admit check`: asks a snapshot or a running edge who may play what, many questions at once.
//!
//! `questions` reads them from arguments and files. `snapshot` decides them by the code of `admit inspect --check`,
//! `edge` sends them to a Worker. `answers` prints what each of them says.

mod answers;
mod edge;
mod questions;
mod snapshot;

use std::{path::PathBuf, process::ExitCode};

use admit_publish::{clock::now_unix_secs, published::Published, store::Store};
use admit_snapshot::time::Timestamp;
use anyhow::{Context, Result, bail};

use self::{
    answers::{Answer, Expected, Form},
    questions::Question,
};
use crate::{inspect::parse_moment, token_args::TokenArgs};

/// Arguments of `admit check`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("place").args(["from", "url"]).required(true))]
#[command(after_help = "\
Asks for each CUSTOMER and each ITEM whether the customer may play the item, and prints a line for each answer.

--from reads a published snapshot, decides by the code that edges run, and names the reason. A customer is
named as in `admit inspect`: NAMESPACE:SUBJECT, a subject, a UUID, a number, or a token. A number, and a UUID that is
no subject, is found by reading every shard of customers: give NAMESPACE:SUBJECT in long lists. The snapshot is that of
the newest head; confirmations by the origin are left out.

--url asks a running edge, 200 items at once, as a player with the token of --token or --token-key does. The edge
answers for the owner of the token, so there is no CUSTOMER, and it tells no reason: its log has it.

A FILE has a question in each line: `CUSTOMER ITEM`, or `ITEM` alone with --url or for all of --customer. A line that
begins with { is JSON: {\"customer\": \"vendor:ada\", \"item\": 5101}. Empty lines and lines that begin with # are skipped.

The exit code is 0 if all questions were answered, whatever the answers; 1 if one was not, or if --expect
says that another answer was expected; 2 if the arguments or a line of the file are invalid.

Examples:
  admit check --from https://api.example.com --customer vendor:ada --customer vendor:bob 5101 5102
  admit check --from dir:store --file pairs.txt --expect access --json
  admit check --from https://api.example.com --customer vendor:ada 5101 --explain --at 2026-07-01T00:00:00Z
  admit check --url https://api.example.com --token @viewer.jwt 5101 5102")]
pub struct Args {
    /// The published snapshot: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// The running edge, asked as players ask it, with the viewer's token
    #[arg(long, value_name = "URL", conflicts_with_all = ["customer", "explain", "at", "client", "key", "config"])]
    url: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// Customer; may be repeated: every item is asked for with each
    #[arg(long, value_name = "WHO", allow_hyphen_values = true)]
    customer: Vec<String>,
    /// The items
    #[arg(value_name = "ITEM", allow_negative_numbers = true)]
    items: Vec<i64>,
    /// Questions, one a line; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Fail unless every answer is this one
    #[arg(long, value_enum, value_name = "ANSWER")]
    expect: Option<Expected>,
    /// Show every grant that was considered, and why it does not count
    #[arg(long)]
    explain: bool,
    /// Moment of the checks: unix seconds, RFC 3339, or such as now+1d [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_moment, allow_negative_numbers = true)]
    at: Option<Timestamp>,
    /// OAuth client that the viewers' tokens name; a test-mode client has other licences
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// The publisher's JWK, public or private, to verify the head's signature with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// wrangler's configuration, whose ISSUERS name the namespaces, for a Worker that cannot be asked
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON for programs, one object a line
    #[arg(long)]
    json: bool,
}

/// The exit code for invalid questions, as clap has it for invalid arguments.
const INVALID: u8 = 2;

/// Runs `admit check`.
///
/// # Errors
/// The store or the edge does not answer or refuses, or nothing is published.
pub fn run(args: &Args) -> Result<ExitCode> {
    let names_customers = args.url.is_none();
    let questions = match questions::read(&args.customer, &args.items, args.file.as_deref(), names_customers)
    {
        Ok(questions) => questions,
        Err(error) => {
            eprintln!("admit: {error:#}");
            return Ok(ExitCode::from(INVALID));
        }
    };
    let form = if args.json { Form::Json } else { Form::Table };
    let mut printer = answers::Printer::new(form, args.expect, &questions);
    match (&args.from, &args.url) {
        (Some(from), _) => ask_snapshot(args, from, &questions, &mut |answer| printer.print(&answer))?,
        (None, Some(url)) => {
            edge::ask(url, &args.token.credentials(), &questions, &mut |answer| printer.print(&answer))?;
        }
        (None, None) => bail!("--from or --url is needed"),
    }
    Ok(printer.finish())
}

fn ask_snapshot(
    args: &Args,
    from: &str,
    questions: &[Question],
    print: &mut dyn FnMut(Answer) -> Result<()>,
) -> Result<()> {
    let store = Store::open(from, &args.token.credentials()).context("--from")?;
    let now = now_unix_secs()?;
    let at = args.at.map_or(now, |at| at.resolve(now));
    let published = Published::open(&store, args.key.as_deref())?;
    let mut asked = snapshot::Asked::new(published, args.config.as_deref(), args.client.clone(), at)?;
    for question in questions {
        print(asked.answer(question, args.explain)?)?;
    }
    Ok(())
}
