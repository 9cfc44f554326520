//! Where the time of a check goes: workerd's threads sampled by `perf` while one subject is driven at a time, the
//! samples sorted by whose code they fell into.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    Programs, build,
    peers::{Bundles, Subject},
    report::table,
    scenarios::{self, Scale, Scenario},
    server::{self, Server},
};
use crate::{
    bench::{Scratch, docs, machine::Machine},
    job::{self, Job},
    paths::Paths,
    setup,
};

/// A check that is repeated, and one that is not.
const SCENARIOS: [&str; 2] = ["hot", "unrepeated"];

/// Who is looked at: what nobody can do without, we, and the best that others could do.
const SUBJECTS: [&str; 3] = ["floor", "admit", "plain-cached"];

/// How long each is driven: first to see what an answer costs, then under `perf`, which makes everything slower.
const DRIVE: Duration = Duration::from_secs(4);

/// `perf` begins when the warm-up is over, and ends before the drive does.
const SETTLE: Duration = Duration::from_secs(2);
const SAMPLES: Duration = Duration::from_secs(8);
const SAMPLES_A_SECOND: &str = "2999";

/// Arguments of `cargo xtask bench profile`.
#[derive(clap::Args)]
pub struct ProfileArgs {
    /// Put the tables into docs/performance.md
    #[arg(long)]
    write_docs: bool,
}

/// Runs `cargo xtask bench profile`.
///
/// # Errors
/// There is no `perf`, or something cannot be built or run.
pub fn run(args: &ProfileArgs) -> Result<()> {
    if job::stdout(Command::new("perf").arg("--version")).is_err() {
        bail!("perf is needed: distributions have it as linux-perf or linux-tools");
    }
    let paths = Paths::find()?;
    let rust = setup::build_tools(&paths)?;
    build::worker(&paths, &rust, false, false)?;
    let scratch = Scratch::new(&paths)?;
    let dir = scratch.0.as_path();
    let programs = Programs::build(&paths)?;
    let scale = Scale::QUICK;
    let scenarios = scenarios::chosen(scale, &SCENARIOS.map(str::to_owned))?;
    super::make_data(&paths, dir, scale, &scenarios)?;
    super::publish(&paths, &programs.admit, dir, scale)?;
    let bundles = Bundles::make(&paths, &rust, dir, false)?;
    let subjects = bundles.of(|subject| SUBJECTS.contains(&subject.name));
    let mut text = format!(
        "`cargo xtask bench profile` on {}. CPU time of an answer, in microseconds, as the kernel counts it, shared \
         out by where {} s of samples fell. V8 tells what it compiles meanwhile, which makes all of it slower than \
         it is otherwise.\n",
        Machine::here().describe(),
        SAMPLES.as_secs()
    );
    for scenario in &scenarios {
        eprintln!("  {} ...", scenario.name);
        let setting = scenarios::usual_setting(scale);
        let server = Server::start_profiled(&paths, dir, &subjects, setting)?;
        let profiles =
            subjects.iter().map(|subject| Profile::of(&programs.load, dir, &server, scenario, subject));
        let profiles = profiles.collect::<Result<Vec<_>>>();
        // Where V8 says what it compiled, and `perf` looks for it.
        let _absent = fs::remove_file(format!("/tmp/perf-{}.map", server.pid()));
        server.stop();
        text += &format!("\n{}, `{}`:\n\n{}", scenario.about, scenario.name, markdown(&subjects, &profiles?));
    }
    println!("{text}");
    if args.write_docs {
        docs::write(&paths.in_root("docs/performance.md"), "profile", &text)?;
    }
    Ok(())
}

/// Microseconds of an answer, by whose code they went into.
struct Profile(BTreeMap<Code, f64>);

impl Profile {
    fn of(load: &Path, dir: &Path, server: &Server, scenario: &Scenario, subject: &Subject) -> Result<Self> {
        let driven = super::driven(dir, server, subject.name, subject)?;
        let plan = |time: Duration| scenario.plan_alone(dir, server.pid(), &driven, time);
        let measured = server::feed(load, &plan(DRIVE))?;
        let micros = measured.pointer("/0/cpu_micros").and_then(serde_json::Value::as_f64);
        let micros = micros.context("the kernel does not count CPU time here")?;
        let data = dir.join("perf.data");
        let (pid, file) = (server.pid().to_string(), data.clone());
        let sampler = thread::spawn(move || record(&pid, &file));
        server::feed(load, &plan(SETTLE * 2 + SAMPLES))?;
        sampler.join().map_err(|_| anyhow::anyhow!("the sampler panicked"))??;
        let mut report = Command::new("perf");
        report.args(["report", "--stdio", "--sort", "symbol", "-i"]).arg(&data);
        let shares = shares(&job::stdout(&mut report)?);
        let whole: f64 = shares.values().sum();
        if whole <= 0.0 {
            bail!("perf has no samples of {}", subject.name);
        }
        Ok(Self(shares.into_iter().map(|(code, share)| (code, micros * share / whole)).collect()))
    }
}

fn record(pid: &str, file: &PathBuf) -> Result<()> {
    thread::sleep(SETTLE);
    let mut perf = Command::new("perf");
    perf.args(["record", "-F", SAMPLES_A_SECOND, "-e", "cpu-clock", "-p", pid, "-o"]).arg(file);
    perf.args(["--", "sleep", &SAMPLES.as_secs().to_string()]);
    let status = Job::spawn(perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?.wait()?;
    if !status.success() {
        bail!("perf cannot record: {status} (kernel.perf_event_paranoid has to be 2 or less)");
    }
    Ok(())
}

/// Whose code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    Wasm,
    JavaScript,
    V8,
    Handles,
    Objects,
    Http,
    Memory,
    Kernel,
    Other,
}

impl Code {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Wasm, "Wasm"),
        (Self::JavaScript, "JavaScript, with its built-ins"),
        (Self::V8, "V8: calls, texts"),
        (Self::Handles, "V8: garbage and handles"),
        (Self::Objects, "workerd's objects: request, response, headers"),
        (Self::Http, "workerd: HTTP and its event loop"),
        (Self::Memory, "allocating memory, copying"),
        (Self::Kernel, "the kernel: sockets"),
        (Self::Other, "everything else"),
    ];

    /// Of a symbol as `perf report` shows it.
    fn of(is_kernel: bool, symbol: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| symbol.contains(word));
        if is_kernel {
            Self::Kernel
        } else if has(&["wasm-function", "wasm-to-js", "js-to-wasm"]) {
            Self::Wasm
        } else if symbol.starts_with("JS:") || symbol.starts_with("Builtins_") {
            Self::JavaScript
        } else if has(&[
            "tcmalloc",
            "TCMalloc",
            "memmove",
            "memcpy",
            "memset",
            "operator new",
            "operator delete",
        ]) {
            Self::Memory
        } else if has(&[
            "Scaveng",
            "MarkCompact",
            "Marking",
            "Sweep",
            "cppgc",
            "GlobalHandles",
            "HeapTracer",
            "Wrappable",
            "ExternalEntityTable",
            "WeakHandles",
        ]) {
            Self::Handles
        } else if symbol.starts_with("workerd::") {
            Self::Objects
        } else if symbol.starts_with("v8::") {
            Self::V8
        } else if symbol.starts_with("kj::") || has(&["hyper", "http::", "tokio", "bytes::"]) {
            Self::Http
        } else {
            Self::Other
        }
    }
}

/// Percent by whose code they are, from the lines of `perf report`: `  1.23%  [.] symbol`.
fn shares(report: &str) -> BTreeMap<Code, f64> {
    let mut shares = BTreeMap::new();
    for line in report.lines().filter(|line| !line.starts_with('#')) {
        let Some((percent, rest)) = line.trim().split_once('%') else { continue };
        let (Ok(percent), Some((mark, symbol))) = (percent.parse::<f64>(), rest.trim().split_once(' '))
        else {
            continue;
        };
        *shares.entry(Code::of(mark == "[k]", symbol.trim())).or_default() += percent;
    }
    shares
}

fn markdown(subjects: &[Subject], profiles: &[Profile]) -> String {
    let head: Vec<_> =
        [String::new()].into_iter().chain(subjects.iter().map(|subject| subject.about.to_owned())).collect();
    let micros = |value: f64| format!("{value:.1}");
    let rows = Code::ALL.map(|(code, what)| {
        let cells = profiles.iter().map(|profile| micros(profile.0.get(&code).copied().unwrap_or_default()));
        [what.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    });
    let sums = profiles.iter().map(|profile| micros(profile.0.values().sum()));
    let sum = [["in all".to_owned()].into_iter().chain(sums).collect()];
    table(&head, &rows.into_iter().chain(sum).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_sorted_by_whose_they_are() {
        let report = "# Overhead  Symbol\n#\n     3.50%  [k] tcp_ack\n     1.25%  [.] JS:wasm-function[217]-217-turbofan\n\
                      0.75%  [.] JS:*'fetch file:///bundle/index.js:1:9\n     0.50%  [.] v8::internal::Scavenger::Go\n\
                      0.25%  [.] v8::internal::String::WriteUtf8\n\n     0.25%  [.] <hyper::Body as X>::poll\n";
        let shares = shares(report);
        let expected = [
            (Code::Wasm, 1.25),
            (Code::JavaScript, 0.75),
            (Code::V8, 0.25),
            (Code::Handles, 0.5),
            (Code::Http, 0.25),
            (Code::Kernel, 3.5),
        ];
        assert_eq!(shares, BTreeMap::from(expected));
    }

    #[test]
    fn every_kind_of_code_has_a_row() {
        let text = markdown(&[], &[]);
        assert_eq!(text.lines().count(), 2 + Code::ALL.len() + 1);
    }
}
