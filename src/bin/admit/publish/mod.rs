//! `admit publish`: from lines of the publish schema to a snapshot that the edge serves.

mod input;
mod seq;
mod upload;

use std::{collections::HashSet, path::PathBuf, process::ExitCode};

use admit::{
    limits::HEAD_SKEW_SECS,
    snapshot::{
        build::{Built, MemorySink, Outcome},
        head::{HEAD_TYPE, Head},
        object::ObjectName,
        source::{SpillPlan, Strictness},
        time::{UnixSecs, iso8601},
    },
};
use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, HumanCount};

use self::{
    seq::Wanted,
    upload::{InMemory, Mode, Uploaded, upload},
};
use crate::{
    head::{Published, published},
    key::{Alg, PrivateKey},
    progress::now,
    store::{NewHead, Store, reach::reach},
    token::now_unix_secs,
};

/// The exit code when the data is wrong, so that a job can tell it from a network that is down.
const EXIT_DATA: u8 = 2;

/// Arguments of `admit publish`.
#[derive(clap::Args)]
#[command(after_help = "\
The data is the whole truth: what it leaves out is gone from the edge once it is published. All of it is
checked first; if anything is wrong, every error is printed with file, line and field, nothing is published,
and the exit code is 2. Only objects that the edge lacks are uploaded, each is read back, and the signed head
comes last: interrupted anywhere, the edge serves what it served before, and the next run goes on from there.

Examples:
  admit publish --from catalogue/ --to https://api.example.com --key publisher.jwk
  export-job | admit publish --from - --to https://api.example.com --key publisher.jwk
  admit publish --from catalogue/ --dry-run       # only check and build; needs neither key nor Worker

ADMIT_TOKEN keeps the token off the command line, which every user of the machine can read:
  ADMIT_TOKEN=$(admit token --key issuer.jwk --claims '{\"iss\":\"https://publisher.example\",\\
    \"aud\":\"admit\",\"sub\":\"sync\",\"scope\":\"snapshot:publish\"}') admit publish ...")]
pub struct Args {
    /// NDJSON file, directory whose *.ndjson files are read in the order of their names, or - for stdin
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// Where to publish: https://… (a Worker), kv:<account>/<namespace>, or dir:<path>
    #[arg(long, value_name = "STORE", required_unless_present = "dry_run")]
    to: Option<String>,
    /// Private JWK (EdDSA) that signs the head, made by `admit keygen`
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    key: Option<PathBuf>,
    /// Bearer token with the scope snapshot:publish
    #[arg(long, value_name = "JWT", env = "ADMIT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Write nothing; with --to, say what would be uploaded
    #[arg(long)]
    dry_run: bool,
    /// Stop at the first error instead of listing all
    #[arg(long)]
    strict: bool,
    /// The origin's count of changes [default: the snapshot line's, else the published one plus 1]
    #[arg(long, value_name = "N")]
    seq: Option<u64>,
    /// Take the lease over from another publisher, which must be gone
    #[arg(long)]
    force: bool,
    /// Trust nothing that is there already: check every object of the new version, upload those that are broken
    #[arg(long)]
    repair: bool,
}

/// Runs `admit publish`.
///
/// # Errors
/// The input or the key cannot be read, or the edge does not answer or refuses.
pub fn run(args: &Args) -> Result<ExitCode> {
    let started = now();
    let published_at = now_unix_secs()?;
    let key = args.key.as_deref().map(PrivateKey::read).transpose()?;
    if key.as_ref().is_some_and(|key| key.alg() != Alg::EdDsa) {
        bail!("--key: a head is signed with EdDSA (Ed25519): admit keygen --alg EdDSA");
    }
    let open = |to| Store::open(to, args.token.as_deref()).context("--to");
    let store = args.to.as_deref().map(open).transpose()?;
    let strictness = if args.strict { Strictness::StopAtFirst } else { Strictness::ReadOn };
    let source = input::read(&args.from, strictness, published_at, SpillPlan::default())?;
    let sink = MemorySink::default();
    let Outcome { built, problems, catalogue, .. } = source.build(None, &sink)?;
    let is_sound = input::report(&problems, strictness);
    let Some(built) = built.filter(|_| is_sound) else { return Ok(ExitCode::from(EXIT_DATA)) };
    if catalogue.merchants.is_empty() {
        bail!("{} holds no merchant: publishing it would take everything away", args.from.display());
    }
    let snapshot = catalogue.snapshot.as_ref().map(|line| &line.value);
    let as_of =
        snapshot.and_then(|line| line.as_of).map_or(published_at, |as_of| as_of.resolve(published_at));
    if as_of > published_at.saturating_add(HEAD_SKEW_SECS) {
        bail!("as_of {} lies in the future: edges would refuse it", iso8601(as_of, 0));
    }
    let Some(store) = store else {
        println!("{}", contents(&built));
        println!("Dry run: nothing was published.");
        return Ok(ExitCode::SUCCESS);
    };
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Upload };
    let lease = if mode == Mode::Upload { Some(store.lock(args.force)?) } else { None };
    let current = published_head(&store, args)?;
    let wanted = Wanted { asked: args.seq, from_file: snapshot.map(|line| line.seq), as_of };
    let seq = seq::choose(wanted, current.as_ref())?;
    let reached = if args.repair { HashSet::new() } else { reached(&store, current.as_ref()) };
    let objects: Vec<_> =
        built.objects.iter().map(|(name, _)| (*name, sink.take(*name).unwrap_or_default())).collect();
    let uploaded = upload(&store, &InMemory::new(&objects), &reached, mode)?;
    if let (Mode::Upload, Some(key)) = (mode, &key) {
        let jws = sign(key, &built, seq, as_of)?;
        store.put_version(seq, &jws)?;
        let key = args.key.as_deref().context("--key")?;
        store.put_head(NewHead { jws: &jws, follows: current.as_ref(), key })?;
        drop(lease);
        println!("Published seq {seq}, as of {}", iso8601(as_of, 0));
    } else {
        println!("Would publish seq {seq}, as of {}", iso8601(as_of, 0));
    }
    println!("{}", contents(&built));
    println!("{}", transfer(&uploaded, mode));
    println!("  time       {:.1} s", started.elapsed().as_secs_f64());
    if mode == Mode::DryRun {
        println!("Dry run: nothing was published.");
    }
    Ok(ExitCode::SUCCESS)
}

/// What the published head leads to, which need not be uploaded. If that cannot be told, nothing is.
fn reached(store: &Store, head: Option<&Head>) -> HashSet<ObjectName> {
    let Some(head) = head else { return HashSet::new() };
    reach(store, head).unwrap_or_else(|error| {
        eprintln!("warning: what is published is not sound, and every object is checked: {error:#}");
        HashSet::new()
    })
}

/// The head that is published, for its `seq`.
fn published_head(store: &Store, args: &Args) -> Result<Option<Head>> {
    let Some(jws) = store.head()? else { return Ok(None) };
    match published(&jws, args.key.as_deref())? {
        Published::Verified(head) => Ok(Some(head)),
        Published::Unverified(head) => Ok(Some(head)),
        Published::OtherKey(head) => {
            eprintln!("warning: the published head is signed by another key than --key; seq goes on from it");
            Ok(Some(head))
        }
        Published::Broken(reason) if args.seq.is_some() => {
            eprintln!("warning: the published head is passed over: {reason}");
            Ok(None)
        }
        Published::Broken(reason) => {
            bail!("the published head cannot be trusted: {reason}. To publish over it, say which --seq")
        }
    }
}

fn sign(key: &PrivateKey, built: &Built<u64>, seq: u64, as_of: UnixSecs) -> Result<String> {
    let mut head = built.head(seq, as_of);
    head.published_at = Some(now_unix_secs()?);
    key.sign(HEAD_TYPE, &serde_json::to_vec(&head)?)
}

fn contents(built: &Built<u64>) -> String {
    let bytes = built.objects.iter().map(|(_, bytes)| bytes).sum();
    format!(
        "  customers  {}\n  items      {}\n  objects    {} ({})",
        HumanCount(built.customers),
        HumanCount(built.items),
        HumanCount(built.objects.len() as u64),
        HumanBytes(bytes)
    )
}

fn transfer(uploaded: &Uploaded, mode: Mode) -> String {
    let label = if mode == Mode::DryRun { "missing " } else { "uploaded" };
    format!(
        "  {label}   {} ({}), {} were there already",
        HumanCount(uploaded.objects as u64),
        HumanBytes(uploaded.bytes),
        HumanCount(uploaded.skipped as u64)
    )
}
