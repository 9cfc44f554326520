//! Reads what is to be published, and shows everything that is wrong with it.

use std::{
    fmt::Display,
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use admit::snapshot::{
    source::{Lines, Strictness},
    time::UnixSecs,
};
use anyhow::{Context, Result, bail};

/// Errors and warnings that are shown, of each. More would hide the first ones.
const SHOWN_MAX: usize = 50;

/// Reads a file, a directory's `*.ndjson` files in the order of their names, or, for `-`, standard input; and
/// checks it as published at `now`.
///
/// # Errors
/// It cannot be read. What is wrong with its lines is in the lines.
pub fn read(from: &Path, strictness: Strictness, now: UnixSecs) -> Result<Lines> {
    let mut lines = Lines::default();
    if from == Path::new("-") {
        lines.read("<stdin>", io::stdin().lock(), strictness).context("cannot read standard input")?;
    } else {
        for path in files(from)? {
            let context = || format!("cannot read {}", path.display());
            let file = File::open(&path).with_context(context)?;
            let name = path.display().to_string();
            lines.read(&name, BufReader::new(file), strictness).with_context(context)?;
            if strictness == Strictness::StopAtFirst && !lines.errors.is_empty() {
                break;
            }
        }
    }
    if strictness == Strictness::ReadOn || lines.errors.is_empty() {
        lines.check(now);
    }
    Ok(lines)
}

fn files(from: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("cannot read {}", from.display());
    if !fs::metadata(from).with_context(context)?.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let entries = fs::read_dir(from).with_context(context)?;
    let mut paths =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().with_context(context)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson") && path.is_file());
    if paths.is_empty() {
        bail!("{} has no *.ndjson files", from.display());
    }
    paths.sort();
    Ok(paths)
}

/// Shows warnings and errors on standard error. Whether there are no errors.
pub fn report(lines: &Lines, strictness: Strictness) -> bool {
    show("warning", &lines.warnings, SHOWN_MAX);
    let errors_max = if strictness == Strictness::StopAtFirst { 1 } else { SHOWN_MAX };
    show("error", &lines.errors, errors_max);
    if lines.errors.is_empty() {
        return true;
    }
    match strictness {
        Strictness::StopAtFirst => eprintln!("admit: stopped at the first error; nothing was published"),
        Strictness::ReadOn => eprintln!(
            "admit: {}, {}; nothing was published",
            count(lines.errors.len(), "error"),
            count(lines.warnings.len(), "warning")
        ),
    }
    false
}

fn show(kind: &str, all: &[impl Display], shown_max: usize) {
    for one in all.iter().take(shown_max) {
        eprintln!("{kind}: {one}");
    }
    // When one is to be shown only, the reading stopped there, and the rest is not known.
    if shown_max > 1 && all.len() > shown_max {
        eprintln!("{kind}: ... and {}", count(all.len() - shown_max, &format!("more {kind}")));
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
