//! Reads what is to be published, and shows everything that is wrong with it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use admit::snapshot::{
    source::{Listed, Problems, Source, SpillPlan, Strictness},
    time::UnixSecs,
};
use anyhow::{Context, Result, bail};

use crate::{
    gunzip,
    origin::{Origin, is_url},
};

/// Errors and warnings that are shown, of each. More would hide the first ones.
const SHOWN_MAX: usize = 50;

/// Reads a file, a directory's `*.ndjson` and `*.ndjson.gz` files in the order of their names, standard input for
/// `-`, or the export of an `origin`, as published at `now`. What is compressed with gzip is decoded.
///
/// # Errors
/// It cannot be read. What is wrong with its lines is in the source.
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
        source.read(from, origin(from)?.export()?).with_context(|| format!("cannot read {from}"))?;
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

/// Shows warnings and errors on standard error. Whether there are no errors.
pub fn report(problems: &Problems, strictness: Strictness) -> bool {
    show("warning", &problems.warnings, SHOWN_MAX);
    let errors_max = if strictness == Strictness::StopAtFirst { 1 } else { SHOWN_MAX };
    show("error", &problems.errors, errors_max);
    if problems.errors.is_empty() {
        return true;
    }
    match strictness {
        Strictness::StopAtFirst => eprintln!("admit: stopped at the first error; nothing was published"),
        Strictness::ReadOn => eprintln!(
            "admit: {}, {}; nothing was published",
            count(problems.errors.total(), "error"),
            count(problems.warnings.total(), "warning")
        ),
    }
    false
}

/// Shows what is odd about changes.
pub fn warn(problems: &Problems) {
    show("warning", &problems.warnings, SHOWN_MAX);
}

fn show(kind: &str, listed: &Listed, shown_max: usize) {
    for one in listed.kept().iter().take(shown_max) {
        eprintln!("{kind}: {one}");
    }
    // When one is to be shown only, the reading stopped there, and the rest is not known.
    let unshown = listed.total().saturating_sub(shown_max as u64);
    if shown_max > 1 && unshown > 0 {
        eprintln!("{kind}: ... and {}", count(unshown, &format!("more {kind}")));
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
