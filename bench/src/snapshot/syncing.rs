//! Writes and time of a sync, with one change and with many.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use xtask::job;

use super::Bench;
use crate::{
    numbers::{Unit, grouped},
    report::{Figure, Target},
};

/// Changes of the large sync.
const MANY: u64 = 10_000;

/// Bounds a publisher that hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// Publishes `customers` customers into a directory, then 1 change, then [`MANY`] or as many as possible.
pub fn run(bench: &Bench<'_>, customers: u64) -> Result<Vec<Figure>> {
    let many = MANY.min(customers - 1);
    let before = bench.generate(customers, "before.ndjson", &[])?;
    let churn = ((many + 1) as f64 / customers as f64).to_string();
    let after = bench.generate(customers, "after.ndjson", &["--churn", &churn, "--after", "1"])?;
    let changes = changes(&before, &after)?;
    if changes.len() as u64 != many + 1 {
        bail!("expected {} changed customers, found {}", many + 1, changes.len());
    }
    let (key, store) = (bench.dir().join("key.jwk"), bench.dir().join("store"));
    fs::create_dir_all(&store)?;
    let keygen = ["keygen", "--alg", "EdDSA", "--kid", "bench", "--out"];
    job::stdout(Command::new(&bench.admit).args(keygen).arg(&key))?;
    let publish = |from: &str, file: &Path| {
        let mut command = Command::new(&bench.admit);
        command.args(["publish", from]).arg(file).arg("--to").arg(format!("dir:{}", store.display()));
        command.arg("--key").arg(&key);
        command
    };
    eprintln!("  publishing {} customers into a directory ...", grouped(customers as f64));
    bench.measure("bench-sync-base", &mut publish("--from", &before), LIMIT)?;
    let mut all = Vec::new();
    let (one, rest) = changes.split_at(1);
    for lines in [one, rest] {
        let file = bench.dir().join("changes.ndjson");
        fs::write(&file, lines.concat())?;
        let old = files(&store)?;
        let taken = bench.measure("bench-sync", &mut publish("--changes", &file), LIMIT)?;
        all.extend(figures(lines.len(), written(&old, &files(&store)?), taken.secs));
    }
    Ok(all)
}

fn figures(changes: usize, writes: usize, secs: f64) -> [Figure; 2] {
    let noun = if changes == 1 { "change" } else { "changes" };
    let label = |label: &str| format!("{} {noun}: {label}", grouped(changes as f64));
    // Ten thousand changes may be too long to stand beside the head.
    let writes_max = if changes == 1 { Target::Exactly(1.0) } else { Target::AtMost(2.0) };
    [
        Figure::new(format!("sync_{changes}_writes"), label("writes"), Unit::Count, writes as f64)
            .with_target(writes_max),
        Figure::new(format!("sync_{changes}_secs"), label("time"), Unit::Secs, secs),
    ]
}

/// The lines that differ between two files of the same length, as changes that follow seq 1: one a customer.
fn changes(before: &Path, after: &Path) -> Result<Vec<String>> {
    let lines = |path: &Path| {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()));
        Ok::<_, anyhow::Error>(BufReader::new(file?).lines())
    };
    let mut changes = Vec::new();
    for (old, new) in lines(before)?.zip(lines(after)?) {
        let (old, new) = (old?, new?);
        if old != new && new.starts_with(r#"{"type":"customer""#) {
            changes.push(format!("{{\"seq\":{},\"put\":[{new}]}}\n", changes.len() + 2));
        }
    }
    Ok(changes)
}

/// Tells a file from the one of that name before.
type Version = (u64, u64, i64, i64);

fn files(dir: &Path) -> Result<BTreeMap<String, Version>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let entry = entry?;
            let (path, metadata) = (entry.path(), entry.metadata()?);
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

/// How many files are new or different. The lease does not count: it says who may write, and is not data.
fn written(old: &BTreeMap<String, Version>, new: &BTreeMap<String, Version>) -> usize {
    new.iter().filter(|(name, version)| *name != "lease" && old.get(*name) != Some(*version)).count()
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
        // As a store does: the file takes the place of the old one, of the same length and in the same second.
        for file in ["head", "lease"] {
            fs::write(dir.join("new"), "2").unwrap();
            fs::rename(dir.join("new"), dir.join(file)).unwrap();
        }
        fs::write(dir.join("delta/2"), "1").unwrap();
        fs::remove_file(dir.join("delta/1")).unwrap();
        assert_eq!(written(&old, &files(&dir).unwrap()), 2);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn lines_that_differ_become_changes_in_order() {
        let dir = scratch("changes");
        let line = |number: u8, name: &str| format!(r#"{{"type":"customer","id":{number},"name":"{name}"}}"#);
        let write = |file: &str, seq: u8, names: [&str; 2]| {
            let head = format!(r#"{{"type":"snapshot","seq":{seq}}}"#);
            fs::write(dir.join(file), [head, line(1, names[0]), line(2, "a"), line(3, names[1])].join("\n"))
                .unwrap();
            dir.join(file)
        };
        let changes = changes(&write("before", 1, ["a", "a"]), &write("after", 3, ["b", "b"])).unwrap();
        assert_eq!(
            changes.concat(),
            format!("{{\"seq\":2,\"put\":[{}]}}\n{{\"seq\":3,\"put\":[{}]}}\n", line(1, "b"), line(3, "b"))
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
