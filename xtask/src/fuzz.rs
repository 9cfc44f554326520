//! `cargo xtask fuzz`: runs the fuzz targets by cargo-fuzz, on a nightly toolchain. `docs/fuzzing.md` is its page.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use fuzz_corpus as corpus;
use serde_json::Value;

use crate::{job, paths::Paths, step::Step, tools};

/// The most seconds of one input. The slowest of the corpus takes milliseconds.
const INPUT_MAX_SECS: u32 = 10;

/// Memory of a target. Inputs have some kilobytes at most, and no reader may make much more of them.
const MEMORY_MAX_MB: u32 = 2_048;

/// The longest file of a corpus, as `fuzz/targets/tests/corpus.rs` has it.
const CORPUS_MAX_BYTES: usize = 64 * 1024;

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Args {
    /// The targets to run [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// Then write the smallest inputs with the same coverage to fuzz/corpus/
    #[arg(long)]
    keep: bool,
}

struct Target {
    name: String,
    max_len: u64,
}

/// The counts of a run.
struct FuzzCounts {
    runs: u64,
    coverage: u64,
}

/// Runs `cargo xtask fuzz`.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let known = targets(&paths)?;
    if let Some(unknown) = args.targets.iter().find(|name| !known.iter().any(|target| target.name == **name))
    {
        let names: Vec<_> = known.iter().map(|target| target.name.as_str()).collect();
        bail!("there is no fuzz target {unknown:?}. There are {}", names.join(", "));
    }
    let is_wanted = |target: &&Target| args.targets.is_empty() || args.targets.contains(&target.name);
    let wanted: Vec<_> = known.iter().filter(is_wanted).collect();
    if job::stdout(Command::new("cargo").args(["+nightly", "--version"])).is_err() {
        bail!(
            "cargo-fuzz needs a nightly toolchain, and none is installed: `rustup toolchain install nightly`. On any \
             toolchain `cargo test -p fuzz-targets` runs the targets with the inputs of fuzz/corpus/"
        );
    }
    tools::ensure(&paths, &[tools::CARGO_FUZZ])?;
    let fuzzer = Fuzzer { paths: &paths };
    let build = Step::new(&paths, "fuzz", "building the fuzz targets", "5 minutes the first time");
    build.run(&mut fuzzer.cargo_fuzz("build", &[])?)?;
    let (mut outcomes, mut failed) = (Vec::new(), 0);
    for target in wanted {
        let outcome = fuzzer.run(target, args.minutes);
        if job::interrupted() {
            bail!("interrupted");
        }
        match outcome {
            Ok(outcome) => outcomes.push((&target.name, outcome)),
            Err(error) => {
                failed += 1;
                eprintln!("{error:#}");
                fuzzer.show_findings(target)?;
                continue;
            }
        }
        if args.keep {
            fuzzer.keep(target)?;
        }
    }
    println!("\n| target | runs | covered edges |\n| --- | ---: | ---: |");
    for (name, FuzzCounts { runs, coverage }) in &outcomes {
        println!("| {name} | {runs} | {coverage} |");
    }
    println!("\n{} targets without a finding, {failed} with one", outcomes.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The targets that `fuzz/Cargo.toml` names, with the longest input of each.
fn targets(paths: &Paths) -> Result<Vec<Target>> {
    let mut metadata = Command::new("cargo");
    metadata.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]);
    metadata.arg(paths.in_root("fuzz/Cargo.toml"));
    let metadata: Value = serde_json::from_str(&job::stdout(&mut metadata)?)?;
    let package = metadata.pointer("/packages/0").context("fuzz/Cargo.toml is not a package")?;
    let binaries = package.get("targets").and_then(Value::as_array).into_iter().flatten();
    binaries
        .map(|binary| {
            let name = binary.get("name").and_then(Value::as_str).context("a target without a name")?;
            let max_len = package.pointer(&format!("/metadata/max-len/{name}")).and_then(Value::as_u64);
            let max_len = max_len.with_context(|| format!("fuzz/Cargo.toml has no max-len of {name}"))?;
            Ok(Target { name: name.to_owned(), max_len })
        })
        .collect()
}

struct Fuzzer<'a> {
    paths: &'a Paths,
}

impl Fuzzer<'_> {
    /// Everything that is built and found.
    fn dir(&self) -> PathBuf {
        self.paths.target.join("fuzz")
    }

    fn corpus_dir(&self, target: &Target) -> PathBuf {
        self.dir().join("corpus").join(&target.name)
    }

    fn findings_dir(&self, target: &Target) -> PathBuf {
        self.dir().join("artifacts").join(&target.name)
    }

    fn corpus_file(&self, target: &Target) -> PathBuf {
        self.paths.in_root("fuzz/corpus").join(format!("{}.txt", target.name))
    }

    /// `cargo fuzz`, without a sanitizer: the code under test has no `unsafe`, and runs twice as often. Overflows and debug
    /// assertions are checked.
    fn cargo_fuzz(&self, command: &str, args: &[&str]) -> Result<Command> {
        let mut cargo = Command::new("cargo");
        cargo.args(["+nightly", "fuzz", command, "--fuzz-dir"]).arg(self.paths.in_root("fuzz"));
        cargo.args(["--sanitizer", "none"]).args(args);
        cargo.env("CARGO_TARGET_DIR", self.dir()).current_dir(&self.paths.root);
        let program = tools::CARGO_FUZZ.path(self.paths);
        cargo.env("PATH", job::path_with(program.parent())?);
        Ok(cargo)
    }

    fn run(&self, target: &Target, minutes: u32) -> Result<FuzzCounts> {
        let (corpus, findings) = (self.corpus_dir(target), self.findings_dir(target));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&findings)?;
        let path = self.corpus_file(target);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let inputs =
            corpus::read(&text).map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(corpus.join(format!("committed-{number}")), input)?;
        }
        let mut fuzz = self.cargo_fuzz("run", &[&target.name])?;
        fuzz.arg(&corpus).arg("--").arg(format!("-artifact_prefix={}/", findings.display())).args([
            format!("-max_len={}", target.max_len),
            format!("-max_total_time={}", minutes * 60),
            format!("-timeout={INPUT_MAX_SECS}"),
            format!("-rss_limit_mb={MEMORY_MAX_MB}"),
            "-reduce_inputs=1".to_owned(),
            "-print_final_stats=1".to_owned(),
        ]);
        let (log, about) = (format!("fuzz-{}", target.name), format!("fuzzing {}", target.name));
        Step::new(self.paths, &log, &about, &format!("{minutes} min")).run(&mut fuzz)?;
        let log = self.paths.logs().join(format!("{log}.log"));
        outcome(&fs::read_to_string(&log).unwrap_or_default())
            .with_context(|| format!("{} tells no counts", log.display()))
    }

    /// Prints the inputs that failed as lines of a corpus: with such a line, the tests fail until the fault is mended.
    fn show_findings(&self, target: &Target) -> Result<()> {
        for entry in fs::read_dir(self.findings_dir(target))? {
            let path = entry?.path();
            println!(
                "{}\nfor fuzz/corpus/{}.txt:\n{}\n",
                path.display(),
                target.name,
                corpus::line(&fs::read(&path)?)
            );
        }
        Ok(())
    }

    /// Writes the smallest inputs that cover what all of them cover to the repository, as many as fit.
    fn keep(&self, target: &Target) -> Result<()> {
        let merged = self.dir().join("merged").join(&target.name);
        let _absent = fs::remove_dir_all(&merged);
        fs::create_dir_all(&merged)?;
        let mut merge = self.cargo_fuzz("run", &[&target.name])?;
        merge.arg(&merged).arg(self.corpus_dir(target)).args(["--", "-merge=1"]);
        merge.arg(format!("-max_len={}", target.max_len));
        let about = format!("minimising the corpus of {}", target.name);
        Step::new(self.paths, &format!("fuzz-{}-merge", target.name), &about, "seconds").run(&mut merge)?;
        let path = self.corpus_file(target);
        let old = fs::read_to_string(&path)?;
        fs::write(&path, packed(&old, lines(&merged)?))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The files of a directory as lines, the shortest first.
fn lines(dir: &Path) -> Result<Vec<String>> {
    let read = |entry: std::io::Result<fs::DirEntry>| Ok(corpus::line(&fs::read(entry?.path())?));
    let mut lines: Vec<_> = fs::read_dir(dir)?.map(read).collect::<Result<_>>()?;
    lines.sort_by(|left, right| (left.len(), left).cmp(&(right.len(), right)));
    Ok(lines)
}

/// A corpus that keeps the lines of `old`, which people have chosen, and adds `new` ones while they fit.
fn packed(old: &str, new: Vec<String>) -> String {
    let mut text = format!("{}\n", old.trim_end());
    for line in new.iter().filter(|line| !line.is_empty() && !old.lines().any(|known| known == **line)) {
        if text.len() + line.len() < CORPUS_MAX_BYTES {
            text += line;
            text.push('\n');
        }
    }
    text
}

/// The counts that libFuzzer prints at its end.
fn outcome(log: &str) -> Option<FuzzCounts> {
    let runs = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    let coverage = log.lines().rev().find_map(|line| line.split_once(" cov: "));
    let coverage = coverage.and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    Some(FuzzCounts { runs: runs.trim().parse().ok()?, coverage: coverage.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_read_from_the_log() {
        let log = "#2\tINITED cov: 12 ft: 13 corp: 1/1b\n#64\tNEW    cov: 2685 ft: 90 corp: 8/9b lim: 4\n\
                   Done 64 runs in 2 second(s)\nstat::number_of_executed_units: 6000000\nstat::average_exec_per_sec: 7\n";
        let outcome = outcome(log).unwrap();
        assert_eq!((outcome.runs, outcome.coverage), (6_000_000, 2_685));
        assert!(super::outcome("==1== ERROR: libFuzzer: deadly signal").is_none());
    }

    #[test]
    fn chosen_inputs_stay_and_new_ones_fit() {
        let new =
            vec![String::new(), "a".to_owned(), "b".to_owned(), "x".repeat(CORPUS_MAX_BYTES), "c".to_owned()];
        assert_eq!(packed("# about\na\n", new), "# about\na\nb\nc\n");
    }
}
