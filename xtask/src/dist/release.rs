//! The names of a release: version, commit, moment, and the sources that it was built from.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::archive::sha256;
use crate::{build, console, job, paths::Paths};

/// The file in an archive that names its release.
pub const FILE: &str = "release.json";

/// A release of this checkout.
#[derive(Debug)]
pub struct Release {
    /// The workspace's version.
    pub version: &'static str,
    /// The commit, unless files differ from it.
    pub commit: Option<String>,
    /// The moment of all files, in unix seconds: the commit's, or `SOURCE_DATE_EPOCH`.
    pub time: u64,
    /// Stands for the sources of Worker and console.
    pub sources: String,
}

impl Release {
    /// That of the checkout as it is now.
    pub fn of(paths: &Paths) -> Result<Self> {
        let git = |arguments: &[&str]| {
            job::stdout(Command::new("git").args(arguments).current_dir(&paths.root)).ok()
        };
        let is_clean = git(&["status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
        let time = match env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time.parse().context("SOURCE_DATE_EPOCH must be unix seconds")?,
            Err(_) => git(&["log", "-1", "--format=%ct"]).and_then(|time| time.parse().ok()).unwrap_or(0),
        };
        let commit = git(&["rev-parse", "HEAD"]).filter(|_| is_clean);
        Ok(Self { version: env!("CARGO_PKG_VERSION"), commit, time, sources: sources(paths)? })
    }

    /// The file that names it.
    pub fn describe(&self) -> String {
        let release = json!({ "version": self.version, "commit": self.commit, "sources": self.sources });
        format!("{release:#}\n")
    }

    /// The moment in the form of ISO 8601.
    pub fn iso8601(&self) -> String {
        iso8601(self.time)
    }
}

/// Stands for everything that Worker and console are made of: names and contents, wherever the checkout is.
pub fn sources(paths: &Paths) -> Result<String> {
    let mut lines = Vec::new();
    let inputs = build::INPUTS.iter().chain(&console::INPUTS).chain(&["wrangler.toml", "xtask/src/tools.rs"]);
    for input in inputs {
        collect(paths, &paths.in_root(input), &mut lines)?;
    }
    lines.sort();
    lines.dedup();
    Ok(sha256(lines.concat().as_bytes()))
}

fn collect(paths: &Paths, path: &Path, lines: &mut Vec<String>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(paths, &entry?.path(), lines)?;
        }
    } else if path.exists() {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        lines.push(format!("{}  {}\n", sha256(&bytes), paths.shown(path)));
    }
    Ok(())
}

/// The version and the sources that a release names in its file.
pub fn read(file: &Path) -> Result<(String, String)> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let release: Value = serde_json::from_str(&text)?;
    let text = |name: &str| release.get(name).and_then(Value::as_str).map(str::to_owned);
    text("version").zip(text("sources")).with_context(|| format!("{}: not of a release", file.display()))
}

/// Unix seconds as a moment, by the days of the civil calendar (Howard Hinnant's algorithm, for years from 1970 on).
fn iso8601(time: u64) -> String {
    let (days, secs) = (time / 86_400, time % 86_400);
    // Days since 0000-03-01, in eras of 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (secs / 3_600, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (time, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso8601(time), expected);
        }
    }
}
