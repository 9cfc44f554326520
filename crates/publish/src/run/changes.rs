//! Publishes changes of the published version: a head with its delta, however many changes there are.

use std::{fs::File, io, process::ExitCode, sync::Arc};

use admit_snapshot::{
    head::Head,
    key::ItemSalt,
    object::{Digest, FORMAT_VERSION, ObjectKind, ObjectName},
    schema::Change,
    time::{Timestamp, UnixSecs, iso8601},
};
use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, HumanCount};

use super::{
    EXIT_DATA, RunLease,
    compaction::{Compaction, Done},
    exit_code, input, namespaces,
    outcome::PublishReport,
    publisher::{Broken, Publisher},
    secs,
    seq::{NO_COUNT, Seq},
};
use crate::{
    build::check_size,
    change::{Feed, LeftOut},
    clock::{now, now_unix_secs},
    gunzip,
    gunzip::Lines,
    limits::DELTA_BUDGET_BYTES,
    origin::{Changes, FeedAnswer, is_url},
    run::Settings,
    source::{LineError, Problems, Strictness},
    store::{Object, Store},
    update::{Content, UpdateError},
};

/// The most changes that are applied together, because a batch is in memory.
pub const BATCH_MAX: usize = 20_000;

/// Consecutive changes, in the order of the origin's counts.
#[derive(Debug, Default)]
pub struct Batch {
    /// The changes.
    pub changes: Vec<Change>,
    /// How many were already published, and are skipped.
    pub repeated: u64,
    /// Records that cannot be used, and were left out of the changes.
    pub left_out: Vec<LeftOut>,
    /// Warnings about the changes.
    pub problems: Problems,
    /// Why the feed cannot be read further, if it cannot.
    pub end: Option<End>,
}

/// Why a feed cannot be read further.
#[derive(Debug)]
pub enum End {
    /// A change is missing, or arrives too late.
    Gap {
        /// The count that was expected.
        expected: u64,
        /// The count that arrived.
        found: u64,
    },
    /// The connection broke.
    BrokenOff(io::Error),
    /// A line is not a change.
    NoChange(LineError),
    /// A change does not fit the published version.
    Wrong {
        /// The origin's count of the change.
        seq: u64,
        /// The problem, at the line of the record; for records of the feed, at the change that brought
        /// them.
        error: LineError,
    },
}

impl std::fmt::Display for End {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gap { expected, found } => write!(
                formatter,
                "expected change {expected}, found {found}: without what lies between, changes would be lost"
            ),
            Self::BrokenOff(error) => error.fmt(formatter),
            Self::NoChange(error) => error.fmt(formatter),
            Self::Wrong { seq, error } => write!(formatter, "change {seq}: {error}"),
        }
    }
}

/// Reads the changes after the origin's count `after`, at most [`BATCH_MAX`].
///
/// # Errors
/// Not a single change can be read.
pub fn read(feed: &mut Feed<impl io::BufRead>, after: u64) -> io::Result<Batch> {
    feed.leave_out_wrong_records();
    let (mut batch, mut last) = (Batch::default(), after);
    while batch.changes.len() < BATCH_MAX {
        let next = match feed.next_change() {
            Err(error) if batch.changes.is_empty() => return Err(error),
            Err(error) => {
                batch.end = Some(End::BrokenOff(error));
                break;
            }
            Ok(next) => next,
        };
        match next {
            None => break,
            Some(Err(error)) => {
                batch.end = Some(End::NoChange(error));
                break;
            }
            // A feed may repeat changes.
            Some(Ok(change)) if change.seq <= last => batch.repeated += 1,
            Some(Ok(change)) if change.seq == last.saturating_add(1) => {
                last = change.seq;
                batch.changes.push(change);
            }
            Some(Ok(change)) => {
                let (expected, found) = (last.saturating_add(1), change.seq);
                batch.end = Some(End::Gap { expected, found });
                break;
            }
        }
    }
    (batch.left_out, batch.problems) = feed.take_left_out();
    // Problems of skipped changes do not matter.
    batch.left_out.retain(|left_out| after < left_out.seq && left_out.seq <= last);
    Ok(batch)
}

/// Applies a batch. In strict mode, only the changes before the first wrong one; otherwise all of them, and
/// records that cannot be used are set aside and reported.
///
/// # Errors
/// The catalogue cannot be rendered.
pub fn apply(
    content: &mut Content,
    batch: &mut Batch,
    feed: &str,
    now: UnixSecs,
    strictness: Strictness,
) -> Result<()> {
    if strictness == Strictness::Refuse {
        return apply_strictly(content, batch, feed, now);
    }
    let mut problems = std::mem::take(&mut batch.problems);
    let (changes, left_out) = (&batch.changes, &batch.left_out);
    match content.apply_setting_aside(changes, left_out, feed, now, &mut problems) {
        Ok(()) => {
            if !batch.changes.is_empty() {
                input::show(&problems, Strictness::SetAside);
                input::remind(content.set_aside());
            }
            batch.problems = problems;
            Ok(())
        }
        Err(UpdateError::Build(error)) => Err(error.into()),
        Err(UpdateError::Change(error)) => {
            let seq = error.at.line;
            batch.end = Some(End::Wrong { seq, error: *error });
            batch.changes.clear();
            Ok(())
        }
    }
}

/// Applies the changes of a batch, up to the first wrong one.
fn apply_strictly(content: &mut Content, batch: &mut Batch, feed: &str, now: UnixSecs) -> Result<()> {
    let mut applied = 0;
    // A record that was left out when the change was read makes the change wrong too.
    let first_wrong = batch.left_out.first().cloned();
    let end = match &first_wrong {
        Some(left_out) => batch.changes.iter().take_while(|change| change.seq < left_out.seq).count(),
        None => batch.changes.len(),
    };
    if let Some(LeftOut { seq, error }) = first_wrong {
        batch.end = Some(End::Wrong { seq, error });
        batch.changes.truncate(end);
    }
    // Bisects: `ends` holds the end of the range to apply next, and those after it. Halving a range with a
    // wrong change finds the change; applying each change alone would copy the catalogue for each.
    let mut ends = vec![end];
    while let Some(end) = ends.last().copied() {
        let mut problems = Problems::default();
        let changes = batch.changes.get(applied..end).unwrap_or_default();
        match content.apply(changes, feed, now, &mut problems) {
            Ok(()) => {
                input::show(&problems, Strictness::Refuse);
                applied = end;
                ends.pop();
            }
            Err(UpdateError::Build(error)) => return Err(error.into()),
            Err(UpdateError::Change(error)) => match changes {
                [] | [_] => {
                    let seq = changes.first().map_or(0, |change| change.seq);
                    batch.end = Some(End::Wrong { seq, error: *error });
                    batch.changes.truncate(applied);
                    break;
                }
                _ => ends.push(applied + changes.len() / 2),
            },
        }
    }
    Ok(())
}

/// The names of the objects that hold a content beside the shards, and its number of records that are set aside.
#[derive(Clone, Debug)]
pub struct Named {
    /// The directory.
    pub directory: Digest,
    /// The delta; `None` if the shards have everything.
    pub delta: Option<Digest>,
    /// Records that are set aside.
    pub set_aside: Option<u64>,
}

/// The objects that hold `content` beside the shards, without the directory if it is the published one. `salt` is
/// that of the published index, by which edges look up the delta.
///
/// # Errors
/// An object is larger than edges accept.
pub fn objects(
    content: &Content,
    published_directory: Digest,
    salt: ItemSalt,
) -> Result<(Named, Vec<Object>)> {
    let mut objects = Vec::new();
    let mut name = |kind, object: Vec<u8>| -> Result<Digest> {
        check_size(kind, object.len())?;
        let name = ObjectName::of(kind, &object);
        objects.push((name, object));
        Ok(name.digest)
    };
    let delta = content.delta();
    // Checked before it is encoded.
    check_size(ObjectKind::Delta, delta.size_bytes())?;
    let delta = delta.encode(salt)?.map(|delta| name(ObjectKind::Delta, delta)).transpose()?;
    let directory = match Digest::of(content.directory()) {
        same if same == published_directory => same,
        _ => name(ObjectKind::Directory, content.directory().to_vec())?,
    };
    let set_aside = Some(content.set_aside().total()).filter(|count| *count > 0);
    Ok((Named { directory, delta, set_aside }, objects))
}

/// The head that brings the origin's change `origin_seq` to edges, after `current` with its index.
pub fn next_head(current: &Head, named: &Named, origin_seq: u64, as_of: UnixSecs) -> Head {
    let Named { directory, delta, set_aside } = *named;
    let format = FORMAT_VERSION;
    let head = Head { format, as_of, changed_at: None, directory, delta, set_aside, ..current.clone() };
    Seq::after(current, origin_seq).of(head)
}

/// The `as_of` of a change that is published at `now`. If the origin's clock is ahead, `now` counts: edges
/// accept nothing from the future.
pub fn as_of(last: Option<Timestamp>, now: UnixSecs) -> UnixSecs {
    last.map_or(now, |as_of| as_of.resolve(now).min(now))
}

/// The head after a compaction.
fn compacted_head(current: &Head, done: &Done) -> Head {
    let (index, customers, items) = (done.compacted.index, done.compacted.customers, done.compacted.items);
    Head {
        index,
        customers: current.customers.saturating_add_signed(customers),
        items: current.items.saturating_add_signed(items),
        ..current.clone()
    }
}

/// Applies the changes of `--changes` to the published version.
///
/// # Errors
/// The changes cannot be read, nothing is published, a change is missing, or the store does not answer or
/// refuses.
pub fn run(settings: &Settings, publisher: &Publisher) -> Result<ExitCode> {
    let started = now();
    let place = settings.changes.as_deref().context("--changes")?;
    let lease = RunLease::new()?;
    if !settings.dry_run {
        lease.take(&publisher.store, settings.force)?;
    }
    let head = publisher.head(Broken::Refuse)?;
    let head =
        head.context("nothing is published yet that could be changed: publish the whole with --from")?;
    if head.origin_seq == Some(NO_COUNT) {
        bail!(
            "the published version does not say which of the origin's changes it reflects: publish everything with --from and a \
             snapshot line or --seq first"
        );
    }
    let index = Arc::new(publisher.index(head.index)?);
    let mut report = PublishReport::new(settings);
    let mut content = publisher.content(&head)?;
    let applied = apply_all(settings, place, &mut content, head.origin_seq(), &publisher.store)?;
    if let Some(end) = &applied.end {
        report.refused(&end.to_string())?;
        return Ok(ExitCode::from(EXIT_DATA));
    }
    report.set_aside(content.set_aside(), &applied.problems);
    report.changed(applied.count);
    let Some(last) = applied.last else {
        report.say(&format!("Nothing new: seq {} is published, as of {}", head.seq, iso8601(head.as_of, 0)));
        report.published(&head, true)?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut set_aside = applied.problems.errors.total();
    let as_of = applied.as_of.unwrap_or(now_unix_secs()?);
    let bytes = content.delta().size_bytes();
    let next = if settings.dry_run {
        let seq = Seq::after(&head, last);
        report.say(&format!("Would publish seq {}, as of {}", seq.version, iso8601(as_of, 0)));
        seq.of(Head { as_of, ..head })
    } else if bytes > DELTA_BUDGET_BYTES {
        let done = Compaction::begin(publisher, &index, &content, &settings.temp_dir()).wait(publisher)?;
        input::show_crowded(&done.compacted.set_aside);
        set_aside += done.compacted.set_aside.len() as u64;
        content.compacted(&done.then, &done.compacted);
        let (named, objects) = objects(&content, head.directory, done.index.salt())?;
        publisher.put_all(objects)?;
        let next = next_head(&compacted_head(&head, &done), &named, last, as_of);
        let next = publisher.publish_base(next, Some(&head))?;
        report.say(&format!("Published seq {}, as of {}", next.seq, iso8601(as_of, 0)));
        report.say(&format!("  compacted  {} objects, the delta is empty", done.compacted.objects.len()));
        next
    } else {
        let (named, objects) = objects(&content, head.directory, index.salt())?;
        let writes = publisher.writes(&objects)?;
        let next = publisher.publish_delta(next_head(&head, &named, last, as_of), objects, &head)?;
        report.say(&format!("Published seq {}, as of {}", next.seq, iso8601(as_of, 0)));
        report.say(&format!("  writes     {writes}"));
        next
    };
    let (count, repeated) = (HumanCount(applied.count), applied.repeated);
    report.say(&format!("  changes    {count} ({repeated} were published before)"));
    let (used, budget) = (HumanBytes(bytes as u64), HumanBytes(DELTA_BUDGET_BYTES as u64));
    report.say(&format!("  delta      {used} of {budget}"));
    report.say(&format!("  time       {}", secs(started.elapsed())));
    if settings.dry_run {
        report.say("Dry run: nothing was published.");
    }
    report.published(&next, !settings.dry_run)?;
    Ok(exit_code(set_aside))
}

#[derive(Default)]
struct Applied {
    last: Option<u64>,
    as_of: Option<UnixSecs>,
    count: u64,
    repeated: u64,
    problems: Problems,
    end: Option<End>,
}

/// Applies every change of the feed.
fn apply_all(
    settings: &Settings,
    place: &str,
    content: &mut Content,
    after: u64,
    store: &Store,
) -> Result<Applied> {
    let now = now_unix_secs()?;
    let mut namespaces = namespaces::Checker::new(settings);
    let Opened { name, lines, first_line } = open(settings, place, after)?;
    let place = name.as_str();
    let mut feed = Feed::new(place, lines).after_line(first_line);
    let mut applied = Applied::default();
    loop {
        let mut batch = read(&mut feed, applied.last.unwrap_or(after)).with_context(|| place.to_owned())?;
        // An operator reads this, and no other change waits for these. So they are refused as a whole, as
        // lines of --from are; a follower sets records aside instead.
        let unknown = namespaces.take_unknown(&mut batch.changes, place, store)?;
        if let Some(LeftOut { seq, error }) = unknown.into_iter().next() {
            applied.end = Some(End::Wrong { seq, error });
            return Ok(applied);
        }
        apply(content, &mut batch, place, now, settings.strictness())?;
        applied.problems.append(std::mem::take(&mut batch.problems));
        applied.count += batch.changes.len() as u64;
        applied.repeated += batch.repeated;
        if let Some(last) = batch.changes.last() {
            applied.last = Some(last.seq);
            applied.as_of = Some(as_of(last.as_of, now));
        }
        if let Some(End::BrokenOff(error)) = batch.end {
            return Err(error).with_context(|| place.to_owned());
        }
        applied.end = batch.end;
        if applied.end.is_some() || batch.changes.len() < BATCH_MAX {
            return Ok(applied);
        }
    }
}

/// The lines of `--changes`.
struct Opened {
    name: String,
    lines: Lines,
    first_line: u64,
}

fn open(settings: &Settings, place: &str, after: u64) -> Result<Opened> {
    let decoded = |lines| Opened { name: place.to_owned(), lines, first_line: 0 };
    if place == "-" {
        return gunzip::decoded(io::stdin()).map(decoded).context("cannot read standard input");
    }
    if !is_url(place) {
        let context = || format!("cannot read {place}");
        let file = File::open(place).with_context(context)?;
        return gunzip::decoded(file).map(decoded).with_context(context);
    }
    let origin = settings.origin(place)?;
    match origin.changes(after) {
        FeedAnswer::Changes(Changes { lines, first_line, .. }) => {
            Ok(Opened { name: origin.feed_name(), lines, first_line })
        }
        FeedAnswer::Gone => {
            bail!("the origin no longer has the changes after {after}: publish the whole with --from")
        }
        FeedAnswer::Unheard(unheard) => Err(unheard.into()),
    }
}

#[cfg(test)]
mod tests;
