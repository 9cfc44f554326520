//! Publishes the whole: reads, checks, builds, uploads what is missing, and puts the head last.

use std::collections::HashSet;
use std::process::ExitCode;

use admit::{
    limits::HEAD_SKEW_SECS,
    snapshot::{
        build::{Built, ObjectSink, Outcome, ShardBits},
        head::Head,
        index::Index,
        object::ObjectKind,
        source::{Catalogue, Source, SpillPlan},
        time::{UnixSecs, iso8601},
    },
};
use anyhow::{Result, bail};
use indicatif::{HumanBytes, HumanCount};

use super::{
    Args, EXIT_DATA, Lease, input,
    kept::{Forgotten, Kept},
    publisher::{Broken, Publisher},
    secs,
    seq::{self, Seq, Wanted},
    upload::{Mode, Uploaded, upload},
};
use crate::progress::now;

/// How much is kept in memory of what is read, before a temporary file is used.
const MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// Below so many customers or items nobody is surprised that half of them are gone.
const LOSS_MATTERS_FROM: u64 = 100;

/// What became of a publish.
pub enum Ended {
    /// The lines are wrong, which has been said.
    Wrong,
    /// It was only a rehearsal.
    Done,
    /// It is what edges serve now, if it was not already.
    Published(Box<Version>),
}

/// A version of which everything is in shards.
pub struct Version {
    /// Its head.
    pub head: Head,
    /// What it was built from, customers aside.
    pub catalogue: Catalogue,
}

/// Checks and builds, publishes nothing and needs no store.
///
/// # Errors
/// The lines cannot be read, or do not fit the format.
pub fn check(args: &Args, from: &str) -> Result<ExitCode> {
    let started = now();
    let now = args.outside.time.unix_secs()?;
    let source = read(args, from, now)?;
    let Some((built, _)) = build(args, from, source, None, &Forgotten)? else {
        return Ok(ExitCode::from(EXIT_DATA));
    };
    println!("{}", contents(&built));
    println!("  time       {}", secs(started.elapsed()));
    println!("Dry run: nothing was published.");
    Ok(ExitCode::SUCCESS)
}

/// Publishes what `from` has.
///
/// # Errors
/// The lines cannot be read, or the store does not answer or refuses.
pub fn run(args: &Args, from: &str, publisher: &Publisher, lease: &Lease) -> Result<Ended> {
    let started = now();
    let published_at = args.outside.time.unix_secs()?;
    let source = read(args, from, published_at)?;
    let line = source.catalogue.snapshot.as_ref().map(|line| &line.value);
    let from_file = line.map(|line| line.seq);
    let as_of = line.and_then(|line| line.as_of).map_or(published_at, |as_of| as_of.resolve(published_at));
    if as_of > published_at.saturating_add(HEAD_SKEW_SECS) {
        bail!("as_of {} lies in the future: edges would refuse it", iso8601(as_of, 0));
    }
    if !source.problems.errors.is_empty() {
        // All that is wrong is said before anything else is asked.
        build(args, from, source, None, &Forgotten)?;
        return Ok(Ended::Wrong);
    }
    if args.follow && from_file.is_none() {
        bail!(
            "--follow: {from} has no snapshot line, so that nobody knows from which change on to follow; its \
             seq says up to which change the export is complete"
        );
    }
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Upload };
    if mode == Mode::Upload {
        lease.take(&publisher.store, args.force)?;
    }
    let broken = if args.seq.is_some() { Broken::PassOver } else { Broken::Refuse };
    let current = publisher.head(broken)?;
    let wanted = Wanted { asked: args.seq, from_file, as_of };
    // A follower that is started again finds its own work: the same count, and the same data in other objects.
    let same = current.as_ref().filter(|head| args.follow && Some(head.origin_seq()) == from_file);
    let (seq, as_of) = match same {
        Some(head) => {
            let seq = Seq { version: head.seq, origin: head.origin_seq() };
            (seq, as_of.max(head.as_of.saturating_add(1)))
        }
        None => (seq::choose(wanted, current.as_ref())?, as_of),
    };
    let reached = if args.repair { HashSet::new() } else { publisher.reached(current.as_ref()) };
    let bits = current.as_ref().and_then(|head| shard_bits(publisher, head));
    let kept = Kept::new(&args.temp_dir(), reached);
    let Some((built, catalogue)) = build(args, from, source, bits, &kept)? else { return Ok(Ended::Wrong) };
    check_loss(args, &built, current.as_ref())?;
    let uploaded = upload(&publisher.store, &kept.objects(&built.objects), kept.published(), mode)?;
    if let Some(head) = same.filter(|head| is_unchanged(head, &built)) {
        println!("Seq {} is published already, as of {}", head.seq, iso8601(head.as_of, 0));
        return Ok(Ended::Published(Box::new(Version { head: head.clone(), catalogue })));
    }
    let head = seq.of(built.head(seq.version, as_of));
    let ended = match mode {
        Mode::DryRun => {
            println!("Would publish seq {}, as of {}", head.seq, iso8601(as_of, 0));
            Ended::Done
        }
        Mode::Upload => {
            let head = publisher.publish_base(head, current.as_ref())?;
            println!("Published seq {}, as of {}", head.seq, iso8601(as_of, 0));
            Ended::Published(Box::new(Version { head, catalogue }))
        }
    };
    println!("{}", contents(&built));
    println!("{}", transfer(&uploaded, mode));
    println!("  time       {}", secs(started.elapsed()));
    if mode == Mode::DryRun {
        println!("Dry run: nothing was published.");
    }
    Ok(ended)
}

fn read(args: &Args, from: &str, now: UnixSecs) -> Result<Source> {
    let plan = SpillPlan { dir: args.temp_dir(), memory_bytes: MEMORY_BYTES };
    input::read(from, |url| args.origin(url), args.strictness(), now, plan)
}

/// Builds a snapshot, or says what is wrong with the lines.
fn build(
    args: &Args,
    from: &str,
    source: Source,
    bits: Option<ShardBits>,
    sink: &impl ObjectSink,
) -> Result<Option<(Built<u64>, Catalogue)>> {
    let Outcome { built, problems, catalogue, .. } = source.build(bits, sink)?;
    let is_sound = input::report(&problems, args.strictness());
    let Some(built) = built.filter(|_| is_sound) else { return Ok(None) };
    if catalogue.merchants.is_empty() {
        bail!("{from} holds no merchant: publishing it would take everything away");
    }
    Ok(Some((built, catalogue)))
}

/// How many shards the published version has. If that cannot be told, the number is chosen anew.
fn shard_bits(publisher: &Publisher, head: &Head) -> Option<ShardBits> {
    let index = publisher.object(ObjectKind::Index, head.index).ok()?;
    Index::decode(index).ok().map(|index| ShardBits::of(&index))
}

fn is_unchanged(head: &Head, built: &Built<u64>) -> bool {
    head.delta.is_none() && head.index == built.index && head.directory == built.directory
}

/// An export that breaks off at the end of a line, or a query that went wrong, looks like a whole one.
fn check_loss(args: &Args, built: &Built<u64>, current: Option<&Head>) -> Result<()> {
    let Some(current) = current.filter(|_| !args.allow_loss) else { return Ok(()) };
    for (what, before, after) in
        [("customers", current.customers, built.customers), ("items", current.items, built.items)]
    {
        if before >= LOSS_MATTERS_FROM && after < before / 2 {
            bail!(
                "of {before} {what} only {after} would be left; if that is right, publish with --allow-loss"
            );
        }
    }
    Ok(())
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
