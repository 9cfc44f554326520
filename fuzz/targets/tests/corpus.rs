//! Runs the corpus on any toolchain.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use fuzz_corpus as corpus;
use fuzz_targets::TARGETS;

fn fuzz_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A corpus is for tests and for the start of a run, so that the checkout stays small.
const CORPUS_MAX_BYTES: usize = 64 * 1024;

#[test]
fn every_property_holds_for_the_corpus() {
    let mut failed = Vec::new();
    for target in TARGETS {
        let path = fuzz_dir().join("corpus").join(format!("{}.txt", target.name));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.len() <= CORPUS_MAX_BYTES, "{} has {} bytes", path.display(), text.len());
        let inputs = corpus::read(&text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        assert!(inputs.len() >= 5, "{} has {} inputs", path.display(), inputs.len());
        let mut accepted = 0;
        for input in &inputs {
            match std::panic::catch_unwind(|| (target.run)(input)) {
                Ok(is_accepted) => accepted += usize::from(is_accepted),
                Err(_) => failed.push(format!("{}: {}", target.name, corpus::line(input))),
            }
        }
        // A corpus that always fails at the first byte would prove nothing.
        assert!(accepted >= 2, "{}: {accepted} of {} inputs are accepted", target.name, inputs.len());
    }
    assert!(failed.is_empty(), "a property does not hold:\n{}", failed.join("\n"));
}

/// The dependencies of each package without a source, by its name, as a lock file has them.
fn locked(lock: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let packages = lock.split("[[package]]").skip(1).filter(|package| !package.contains("\nsource = "));
    let text = |line: &'static str, package: &str| package.find(line).map(|at| at + line.len());
    packages
        .filter_map(|package| {
            let name = package.get(text("name = \"", package)?..)?.split('"').next()?;
            let dependencies = package.split_once("dependencies = [").map_or("", |(_, list)| list);
            // A name is followed by a version if there are several.
            let names = dependencies.split('"').skip(1).step_by(2).filter_map(|name| name.split(' ').next());
            Some((name, names.collect()))
        })
        .collect()
}

/// Names of the dependencies that a manifest needs without a feature.
fn needed(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines =
        lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.contains("optional = true"));
    lines
        .filter_map(|line| line.split_once([' ', '.', '=']).map(|(name, _)| name))
        .filter(|name| !name.is_empty() && *name != "#")
}

/// cargo-fuzz would resolve a package anew that its lock file does not have, to versions that no test has seen.
#[test]
fn the_lock_file_of_the_binaries_is_complete() {
    let lock = fs::read_to_string(fuzz_dir().join("Cargo.lock")).unwrap();
    let locked = locked(&lock);
    let manifests = [
        ("admit", "../Cargo.toml"),
        ("admit-metrics", "../crates/metrics/Cargo.toml"),
        ("admit-native", "../crates/native/Cargo.toml"),
        ("admit-playback", "../crates/playback/Cargo.toml"),
        ("admit-publish", "../crates/publish/Cargo.toml"),
        ("admit-snapshot", "../crates/snapshot/Cargo.toml"),
        ("admit-testing", "../crates/testing/Cargo.toml"),
        ("admit-token", "../crates/token/Cargo.toml"),
        ("fuzz-targets", "targets/Cargo.toml"),
        ("origin", "../origin/Cargo.toml"),
    ];
    let known: BTreeSet<_> = manifests.iter().map(|(name, _)| *name).chain(["admit-fuzz"]).collect();
    assert_eq!(
        locked.keys().copied().collect::<BTreeSet<_>>(),
        known,
        "update fuzz/Cargo.lock, or this list"
    );
    for (name, path) in manifests {
        let manifest = fs::read_to_string(fuzz_dir().join(path)).unwrap();
        let missing: Vec<_> = needed(&manifest).filter(|needed| !locked[name].contains(needed)).collect();
        assert!(missing.is_empty(), "fuzz/Cargo.lock is stale: {name} needs {missing:?}");
    }
}

/// cargo-fuzz would never run an unknown target, and a binary without a target would do nothing.
#[test]
fn cargo_fuzz_knows_every_target() {
    let manifest = fs::read_to_string(fuzz_dir().join("Cargo.toml")).unwrap();
    let bins: BTreeSet<_> = manifest
        .lines()
        .skip_while(|line| *line != "[[bin]]")
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    assert_eq!(bins, TARGETS.iter().map(|target| target.name).collect());
    let files = |dir: &str, end: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz_dir().join(dir)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect()
    };
    let max_lens =
        manifest.split("[package.metadata.max-len]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let max_lens: BTreeSet<_> = max_lens.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert_eq!(max_lens, bins);
    let names: BTreeSet<_> = bins.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files("fuzz_targets", ".rs"), names);
    assert_eq!(files("corpus", ".txt"), names);
}
