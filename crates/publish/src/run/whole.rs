//! Publishes an export: reads, checks, builds, uploads missing objects, and puts the head last.

use std::{collections::HashSet, process::ExitCode};

use admit_snapshot::{
    head::Head,
    limits::HEAD_SKEW_SECS,
    time::{UnixSecs, iso8601},
};
use anyhow::{Result, bail};
use indicatif::{HumanBytes, HumanCount};

use super::{
    EXIT_DATA, RunLease, exit_code, input,
    kept::{Forgotten, Kept},
    loss, namespaces,
    outcome::PublishReport,
    publisher::{Broken, Publisher},
    secs, seq,
    seq::{Seq, Wanted},
    upload::{Mode, Uploaded, upload},
};
use crate::{
    build::{BuildOutcome, Built, Layout, ObjectSink, beyond_use},
    clock::now,
    published::{Named, PublishedRecords},
    run::Settings,
    source::{Catalogue, Problems, Source, SpillPlan, Strictness},
};

/// How much input is kept in memory before a temporary file is used.
const MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// How a publish ended.
pub enum WholeOutcome {
    /// Input was invalid; the errors have been printed.
    Rejected,
    /// A dry run succeeded, in which this number of records was set aside.
    Rehearsed(u64),
    /// Edges serve this version now.
    Published(Box<PublishedWhole>),
}

/// A version whose records are all in shards, without a delta.
pub struct PublishedWhole {
    /// Its head.
    pub head: Head,
    /// The records that it was built from, without the customers.
    pub catalogue: Catalogue,
}

/// Checks and builds without a store; publishes nothing.
///
/// # Errors
/// The lines cannot be read, or do not fit the format.
pub fn check(settings: &Settings, from: &str) -> Result<ExitCode> {
    let started = now();
    let mut report = PublishReport::new(settings);
    let Some(source) = read(settings, from, settings.outside.time.unix_secs()?, &mut report)? else {
        return Ok(ExitCode::from(EXIT_DATA));
    };
    let Some(whole) = build(settings, source, None, &Forgotten, &mut report)? else {
        return Ok(ExitCode::from(EXIT_DATA));
    };
    report.built(&whole.built, &whole.problems);
    report.say(&contents(&whole.built));
    report.say(&format!("  time       {}", secs(started.elapsed())));
    report.say("Dry run: nothing was published.");
    report.end()?;
    Ok(exit_code(whole.catalogue.set_aside.total()))
}

/// Publishes the lines of `from`.
///
/// # Errors
/// The lines cannot be read, or the store does not answer or refuses.
pub fn run(settings: &Settings, from: &str, publisher: &Publisher, lease: &RunLease) -> Result<WholeOutcome> {
    let started = now();
    let published_at = settings.outside.time.unix_secs()?;
    let mut report = PublishReport::new(settings);
    let Some(source) = read(settings, from, published_at, &mut report)? else {
        return Ok(WholeOutcome::Rejected);
    };
    let line = source.catalogue.snapshot.as_ref().map(|line| &line.value);
    let from_file = line.map(|line| line.seq);
    let as_of = line.and_then(|line| line.as_of).map_or(published_at, |as_of| as_of.resolve(published_at));
    if as_of > published_at.saturating_add(HEAD_SKEW_SECS) {
        bail!("as_of {} is in the future: edges would refuse it", iso8601(as_of, 0));
    }
    if settings.follow && from_file.is_none() {
        bail!(
            "--follow: {from} has no snapshot line, so the change to follow from is unknown; its \
             seq says up to which change the export is complete"
        );
    }
    if let Some(refusal) = namespaces::refusal(settings, &source, &publisher.store)? {
        report.refused(&refusal)?;
        return Ok(WholeOutcome::Rejected);
    }
    let mode = if settings.dry_run { Mode::DryRun } else { Mode::Upload };
    if mode == Mode::Upload {
        lease.take(&publisher.store, settings.force)?;
    }
    let broken = if settings.seq.is_some() { Broken::PassOver } else { Broken::Refuse };
    let current = publisher.head(broken)?;
    let wanted = Wanted { asked: settings.seq, from_file, as_of };
    // A restarted follower finds its own work: the same count, and the same data in other objects.
    let same = current.as_ref().filter(|head| settings.follow && Some(head.origin_seq()) == from_file);
    let (seq, as_of) = match same {
        Some(head) => {
            let seq = Seq { version: head.seq, origin: head.origin_seq() };
            (seq, as_of.max(head.as_of.saturating_add(1)))
        }
        None => (seq::choose(wanted, current.as_ref())?, as_of),
    };
    let reached = if settings.repair { HashSet::new() } else { publisher.reached(current.as_ref()) };
    let before = current.as_ref().and_then(|head| published(publisher, head));
    let kept = Kept::new(&settings.temp_dir(), reached);
    let source = match (&before, &current) {
        // Without the published version the last usable states of records are unknown.
        (None, Some(_)) => source.strictly(),
        _ => source,
    };
    let Some(whole) = build(settings, source, before.as_ref(), &kept, &mut report)? else {
        return Ok(WholeOutcome::Rejected);
    };
    let Whole { built, catalogue, problems } = whole;
    report.built(&built, &problems);
    if let Some(current) = current.as_ref().filter(|head| !settings.allow_loss && !is_unchanged(head, &built))
    {
        let read = |name| kept.read_or(name, &publisher.store);
        if let Some(refusal) = loss::refusal(current, before.as_ref(), &built, read, published_at)? {
            report.refused(&refusal)?;
            return Ok(WholeOutcome::Rejected);
        }
    }
    let uploaded = upload(&publisher.store, &kept.objects(&built.objects), kept.published(), mode)?;
    let set_aside = catalogue.set_aside.total();
    let head =
        Head { set_aside: Some(set_aside).filter(|count| *count > 0), ..built.head(seq.version, as_of) };
    let head = seq.of(head);
    if let Some(current) = same.filter(|same| is_unchanged(same, &built) && same.set_aside == head.set_aside)
    {
        report.say(&format!("Seq {} is published already, as of {}", current.seq, iso8601(current.as_of, 0)));
        report.published(current, true)?;
        return Ok(WholeOutcome::Published(Box::new(PublishedWhole { head: current.clone(), catalogue })));
    }
    let head = match mode {
        Mode::DryRun => {
            report.say(&format!("Would publish seq {}, as of {}", head.seq, iso8601(as_of, 0)));
            head
        }
        Mode::Upload => {
            let head = publisher.publish_base(head, current.as_ref())?;
            report.say(&format!("Published seq {}, as of {}", head.seq, iso8601(as_of, 0)));
            head
        }
    };
    report.say(&contents(&built));
    report.say(&transfer(&uploaded, mode));
    report.say(&format!("  time       {}", secs(started.elapsed())));
    report.uploaded(&uploaded);
    if mode == Mode::DryRun {
        report.say("Dry run: nothing was published.");
        report.published(&head, false)?;
        return Ok(WholeOutcome::Rehearsed(set_aside));
    }
    report.published(&head, true)?;
    Ok(WholeOutcome::Published(Box::new(PublishedWhole { head, catalogue })))
}

/// Reads the lines. `None` if they cannot be used at all; the errors have been printed then.
fn read(
    settings: &Settings,
    from: &str,
    now: UnixSecs,
    report: &mut PublishReport,
) -> Result<Option<Source>> {
    let plan = SpillPlan { dir: settings.temp_dir(), memory_bytes: MEMORY_BYTES };
    let source = match input::read(from, |url| settings.origin(url), settings.strictness(), now, plan) {
        Err(error) if is_invalid_data(&error) => {
            report.refused(&format!("{error:#}"))?;
            return Ok(None);
        }
        source => source?,
    };
    let errors = &source.problems.errors;
    if !errors.is_empty() && (settings.strict || source.is_empty()) {
        // Report all errors before anything else is asked. Input without any record is not an export with one
        // wrong record.
        build(settings, source.strictly(), None, &Forgotten, report)?;
        return Ok(None);
    }
    if errors.is_empty() && source.catalogue.merchants.is_empty() {
        bail!("{from} has no merchant: publishing it would remove everything");
    }
    Ok(Some(source))
}

fn is_invalid_data(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData)
}

/// A built snapshot, and the records that it was built from.
struct Whole {
    built: Built<u64>,
    catalogue: Catalogue,
    problems: Problems,
}

/// Builds a snapshot over the published one, or reports the problems of the lines.
fn build(
    settings: &Settings,
    source: Source,
    before: Option<&PublishedRecords<'_>>,
    sink: &impl ObjectSink,
    report: &mut PublishReport,
) -> Result<Option<Whole>> {
    let is_strict = source.is_strict();
    // Used if the published version has no salt (format 1) or cannot be read.
    let fresh = crate::salt::random()?;
    let layout = before.map_or(Layout::new(fresh), |before| before.layout(fresh));
    let BuildOutcome { built, problems, catalogue, .. } = source.build_over(layout, before, sink)?;
    let strictness = if built.is_none() { Strictness::Refuse } else { settings.strictness() };
    input::show(&problems, strictness);
    let Some(built) = built else {
        if let Some(reason) = beyond_use(&problems).filter(|_| !is_strict) {
            eprintln!("error: {reason}");
        }
        input::tell_refused(&problems);
        report.rejected(&problems)?;
        return Ok(None);
    };
    input::tell_set_aside(&catalogue.set_aside);
    if catalogue.merchants.is_empty() {
        bail!("no merchant can be used: publishing this would remove everything");
    }
    Ok(Some(Whole { built, catalogue, problems }))
}

/// The published version. If it cannot be read, a warning is printed.
fn published<'a>(publisher: &'a Publisher, head: &Head) -> Option<PublishedRecords<'a>> {
    let named = Named { index: head.index, directory: head.directory, delta: head.delta };
    let read = |name| publisher.read(name);
    let published = PublishedRecords::new(named, Box::new(read));
    published.inspect_err(|error| eprintln!("warning: the published version cannot be read: {error}")).ok()
}

fn is_unchanged(head: &Head, built: &Built<u64>) -> bool {
    head.delta.is_none() && head.index == built.index && head.directory == built.directory
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
