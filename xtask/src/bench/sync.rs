//! What a sync of few and of many changes writes, and how long it takes.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    child::measure,
    generate,
    numbers::{Unit, count},
    report::{Figure, Section, Target},
};
use crate::{job, paths::Paths};

/// Changes of the large sync.
const MANY: u64 = 10_000;

/// Bounds a publisher that hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// Publishes `customers` customers into a directory, then 1 change, then [`MANY`] or as many as there are.
///
/// # Errors
/// A command fails.
pub fn run(paths: &Paths, admit: &Path, scratch: &Path, customers: u64) -> Result<Section> {
    let mut section = Section {
        title: "Syncing",
        method: format!(
            "`admit publish --changes FILE` into a directory that holds {} customers: the whole command, with one \
             change that touches one customer, and with many. Writes are the files that are new or different \
             afterwards.",
            count(customers)
        ),
        figures: Vec::new(),
    };
    let help = job::stdout(Command::new(admit).args(["publish", "--help"]))?;
    if !help.contains("--changes") {
        section.method += " Not measured: this version of `admit publish` has no `--changes`.";
        return Ok(section);
    }
    let many = MANY.min(customers - 1);
    let dir = scratch.join("sync");
    fs::create_dir_all(&dir)?;
    let (before, after, key, store) =
        (dir.join("before.ndjson"), dir.join("after.ndjson"), dir.join("key.jwk"), dir.join("store"));
    generate(paths, admit, customers, &before, &[])?;
    #[expect(clippy::cast_precision_loss, reason = "rounded to the same number again")]
    let churn = ((many + 1) as f64 / customers as f64).to_string();
    generate(paths, admit, customers, &after, &["--churn", &churn, "--after", "1"])?;
    let changes = changes(&before, &after)?;
    let found = changes.len() as u64;
    if found != many + 1 {
        bail!("expected {} changed customers, found {found}", many + 1);
    }
    job::stdout(Command::new(admit).args(["keygen", "--alg", "EdDSA", "--kid", "bench", "--out"]).arg(&key))?;
    let publish = |from: &str, file: &Path| {
        let mut command = Command::new(admit);
        command.args(["publish", from]).arg(file).arg("--to").arg(format!("dir:{}", store.display()));
        command.arg("--key").arg(&key);
        command
    };
    fs::create_dir_all(&store)?;
    eprintln!("  publishing {} customers into a directory ...", count(customers));
    measure(paths, "bench-sync-base", &mut publish("--from", &before), LIMIT, &dir.join("temp"))?;
    let (one, rest) = changes.split_at(1);
    for lines in [one, rest] {
        let file = dir.join("changes.ndjson");
        fs::write(&file, lines.concat())?;
        let old = files(&store)?;
        let taken = measure(paths, "bench-sync", &mut publish("--changes", &file), LIMIT, &dir.join("temp"))?;
        section.figures.extend(figures(lines.len() as u64, written(&old, &files(&store)?), taken.secs));
    }
    fs::remove_dir_all(&dir)?;
    Ok(section)
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn figures(changes: u64, writes: u64, secs: f64) -> [Figure; 2] {
    let noun = if changes == 1 { "change" } else { "changes" };
    let what = |what: &str| format!("{} {noun}: {what}", count(changes));
    [
        Figure::new(format!("sync_{changes}_writes"), what("writes"), Unit::Count, writes as f64)
            .with_target(Target::Exactly(2.0)),
        Figure::new(format!("sync_{changes}_secs"), what("time"), Unit::Secs, secs),
    ]
}

/// The lines that differ between two files of as many lines, as changes that follow seq 1: one a customer.
fn changes(before: &Path, after: &Path) -> Result<Vec<String>> {
    let lines = |path: &Path| {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()));
        Ok::<_, anyhow::Error>(BufReader::new(file?).lines())
    };
    let mut changes = Vec::new();
    for (old, new) in lines(before)?.zip(lines(after)?) {
        let (old, new) = (old?, new?);
        if old != new && new.starts_with(r#"{"type":"customer""#) {
            let mut change = String::new();
            writeln!(change, r#"{{"seq":{},"put":[{new}]}}"#, changes.len() + 2)?;
            changes.push(change);
        }
    }
    Ok(changes)
}

/// What tells a file from the one of that name before.
type Version = (u64, u64, i64, i64);

fn files(dir: &Path) -> Result<BTreeMap<String, Version>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let (path, metadata) = {
                let entry = entry?;
                (entry.path(), entry.metadata()?)
            };
            if metadata.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
            all.insert(name, (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()));
        }
    }
    Ok(all)
}

/// How many files are new or other ones. The lease is no write of data: it says who may make them.
fn written(old: &BTreeMap<String, Version>, new: &BTreeMap<String, Version>) -> u64 {
    new.iter().filter(|(name, version)| *name != "lease" && old.get(*name) != Some(*version)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(test: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("admit-bench-{test}-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("delta")).unwrap();
        dir
    }

    #[test]
    fn new_and_replaced_files_are_writes() {
        let dir = scratch("written");
        for file in ["head", "delta/1", "kept", "lease"] {
            fs::write(dir.join(file), "1").unwrap();
        }
        let old = files(&dir).unwrap();
        assert_eq!((old.len(), written(&old, &old)), (4, 0));
        for file in ["new", "lease2"] {
            fs::write(dir.join(file), "2").unwrap();
        }
        // As a store does: the file takes the place of the old one, of the same length and in the same second.
        fs::rename(dir.join("new"), dir.join("head")).unwrap();
        fs::rename(dir.join("lease2"), dir.join("lease")).unwrap();
        fs::write(dir.join("delta/2"), "1").unwrap();
        fs::remove_file(dir.join("delta/1")).unwrap();
        assert_eq!(written(&old, &files(&dir).unwrap()), 2);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn lines_that_differ_become_changes_in_order() {
        let dir = scratch("changes");
        let (before, after) = (dir.join("before"), dir.join("after"));
        let line = |number: u8, name: &str| format!(r#"{{"type":"customer","id":{number},"name":"{name}"}}"#);
        fs::write(
            &before,
            [r#"{"type":"snapshot","seq":1}"#, &line(1, "a"), &line(2, "a"), &line(3, "a")].join("\n"),
        )
        .unwrap();
        fs::write(
            &after,
            [r#"{"type":"snapshot","seq":3}"#, &line(1, "b"), &line(2, "a"), &line(3, "b")].join("\n"),
        )
        .unwrap();
        let expected = [
            format!("{{\"seq\":2,\"put\":[{}]}}\n", line(1, "b")),
            format!("{{\"seq\":3,\"put\":[{}]}}\n", line(3, "b")),
        ];
        assert_eq!(changes(&before, &after).unwrap(), expected);
        fs::remove_dir_all(dir).unwrap();
    }
}
