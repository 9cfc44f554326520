//! Reads the lines to publish, and reports all their problems.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use admit_snapshot::time::UnixSecs;
use anyhow::{Context, Result, bail};

use crate::{
    gunzip,
    origin::{Origin, is_url},
    source::{
        LineError, Listed, Problem, Problems, RecordKind, SetAside, Source, SpillPlan, Standing, Strictness,
    },
    update::SetAsideRecord,
};

/// How many kinds of errors and of warnings are shown. More would hide the first ones.
const GROUPS_SHOWN_MAX: usize = 50;

/// How many examples of each kind are shown.
const EXAMPLES_MAX: usize = 3;

/// How many records a reminder names.
const NAMED_MAX: usize = 5;

/// Reads lines to be published at `now`: a file, a directory's `*.ndjson` and `*.ndjson.gz` files in the
/// order of their names, standard input for `-`, or the export of an `origin`, which is an HTTP service or a database. gzip is decoded.
///
/// # Errors
/// The input cannot be read. Problems of its lines are in the source.
pub fn read(
    from: &str,
    origin: impl Fn(&str) -> Result<Origin>,
    strictness: Strictness,
    now: UnixSecs,
    plan: SpillPlan,
) -> Result<Source> {
    let mut source = Source::new(now, strictness, plan);
    if from == "-" {
        let context = "cannot read standard input";
        source.read("<stdin>", gunzip::decoded(io::stdin()).context(context)?).context(context)?;
    } else if is_url(from) {
        let origin = origin(from)?;
        let name = origin.export_name();
        source.read(&name, origin.export()?).with_context(|| format!("cannot read {name}"))?;
    } else {
        for path in files(Path::new(from))? {
            let context = || format!("cannot read {}", path.display());
            let file = File::open(&path).with_context(context)?;
            let file = gunzip::decoded(file).with_context(context)?;
            let name = path.display().to_string();
            source.read(&name, file).with_context(context)?;
        }
    }
    Ok(source)
}

fn files(from: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", from.display());
    if !fs::metadata(from).with_context(context)?.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let entries = fs::read_dir(from).with_context(context)?;
    let mut paths =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().with_context(context)?;
    paths.retain(|path| is_named_as_lines(path) && path.is_file());
    if paths.is_empty() {
        bail!("{} has no *.ndjson files, nor *.ndjson.gz", from.display());
    }
    paths.sort();
    Ok(paths)
}

/// Whether a file is named `*.ndjson` or `*.ndjson.gz`.
fn is_named_as_lines(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".ndjson") || name.ends_with(".ndjson.gz")
}

/// Prints warnings and errors to standard error: causes before consequences, and repeated ones once.
pub fn show(problems: &Problems, strictness: Strictness) {
    show_listed("warning", &problems.warnings);
    let kind = match strictness {
        Strictness::Refuse => "error",
        Strictness::SetAside => "set aside",
    };
    show_listed(kind, &problems.errors);
}

/// Prints the records that a compaction had no room for.
pub fn show_crowded(records: &[SetAsideRecord]) {
    for SetAsideRecord { error, .. } in records.iter().take(NAMED_MAX) {
        eprintln!("set aside: {}", line(error));
    }
    let more = records.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        eprintln!("set aside: ... and {more} more");
    }
}

/// Reports that nothing is published because lines are wrong.
pub fn tell_refused(problems: &Problems) {
    eprintln!(
        "admit: {}, {}; nothing was published",
        count(problems.errors.total(), "error"),
        count(problems.warnings.total(), "warning")
    );
}

/// Reports the records that were set aside, if there are any.
pub fn tell_set_aside(set_aside: &SetAside) {
    if set_aside.total() == 0 {
        return;
    }
    let named = set_aside.total() - set_aside.unattributed();
    let last_good = set_aside.last_good();
    let mut parts = Vec::new();
    if named > 0 {
        parts.push(format!("{} set aside", count(named, "record")));
    }
    if last_good > 0 {
        parts.push(format!("the last good state of {last_good} stays published"));
    }
    if named > last_good {
        parts.push(format!("nothing is published of {}", named - last_good));
    }
    if set_aside.unattributed() > 0 {
        let lines = count(set_aside.unattributed(), "line");
        parts.push(format!("{lines} cannot be attributed to a record"));
    }
    if set_aside.unattributed() > 0 && set_aside.kept_missing() > 0 {
        let records = count(set_aside.kept_missing(), "record");
        parts.push(format!(
            "{records} missing from the input stay published, because one of those may be theirs"
        ));
    } else if set_aside.kept_missing() > 0 {
        parts.push(format!("{} they need stay published", count(set_aside.kept_missing(), "record")));
    }
    if set_aside.dependents() > 0 {
        parts.push(format!("{} to them grant nothing", count(set_aside.dependents(), "reference")));
    }
    eprintln!("admit: {}. Correct them at the origin; --strict publishes nothing instead", parts.join("; "));
}

/// Repeats which records are set aside, while an origin is followed.
pub fn remind(set_aside: &SetAside) {
    if set_aside.total() == 0 {
        return;
    }
    let name = |(LineError { about, at, problem }, standing): (&LineError, Standing)| {
        let Problem { field, message } = problem;
        let separator = if field.is_empty() { "" } else { ": " };
        let stays = match standing {
            Standing::LastGood => "",
            Standing::Absent if about.kind() == Some(RecordKind::Customer) => "",
            Standing::Absent => " (nothing is published of it)",
        };
        format!("{about} since {at}{stays}: {field}{separator}{message}")
    };
    let named: Vec<_> = set_aside.reasons().take(NAMED_MAX).map(name).collect();
    let more = set_aside.total().saturating_sub(named.len() as u64);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let names = named.join("; ");
    eprintln!("warning: {} set aside: {names}{more}", count(set_aside.total(), "record"));
}

fn show_listed(kind: &str, listed: &Listed) {
    let groups = listed.groups();
    for group in groups.iter().take(GROUPS_SHOWN_MAX) {
        for error in group.kept().iter().take(EXAMPLES_MAX) {
            eprintln!("{kind}: {}", line(error));
        }
        let more = group.total().saturating_sub(group.kept().len().min(EXAMPLES_MAX) as u64);
        if more > 0 {
            eprintln!("{kind}: ... and {more} more of this kind");
        }
    }
    let unshown: u64 = groups.iter().skip(GROUPS_SHOWN_MAX).map(|group| group.total()).sum();
    if unshown > 0 {
        eprintln!("{kind}: ... and {unshown} of other kinds");
    }
}

/// An error as text, with the record that it is about.
fn line(error: &LineError) -> String {
    let LineError { about, at, problem: Problem { field, message } } = error;
    let about = if about.id().is_empty() { String::new() } else { format!("{about}: ") };
    let separator = if field.is_empty() { "" } else { ": " };
    format!("{at}: {about}{field}{separator}{message}")
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
