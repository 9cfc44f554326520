//! Where the time of a check goes: workerd's threads sampled by `perf` while one subject is driven at a time, the
//! samples sorted by the code that they fell into.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::job::{self, Job};

use super::{
    Bench,
    drive::{self, Plan},
    scenarios::{self, Scale, Scenario},
    server::{Server, V8},
    subjects::Subject,
};
use crate::{
    report::{Report, Section},
    table::table,
};

/// A check that is repeated, and one that is not.
const SCENARIOS: [&str; 2] = ["hot", "unrepeated"];

/// The bound of every subject, Admit, and its best competitor.
const SUBJECTS: [&str; 3] = ["floor", "admit", "plain-cached"];

/// How long each is driven: first to see the cost of an answer, then under `perf`, which makes everything slower.
const DRIVE: Duration = Duration::from_secs(4);

/// `perf` begins when the warm-up is over, and ends before the drive does.
const SETTLE: Duration = Duration::from_secs(2);
const SAMPLES: Duration = Duration::from_secs(8);
const SAMPLES_A_SECOND: &str = "2999";

/// Runs `cargo xtask bench profile`.
pub fn run(bench: &Bench) -> Result<Report> {
    if job::stdout(Command::new("perf").arg("--version")).is_err() {
        bail!("perf is needed: distributions have it as linux-perf or linux-tools");
    }
    let scale = Scale::QUICK;
    let scenarios = scenarios::chosen(scale, &SCENARIOS.map(str::to_owned))?;
    let subjects = bench.prepare(scale, &scenarios, false)?;
    let subjects: Vec<_> = subjects.into_iter().filter(|subject| SUBJECTS.contains(&subject.name)).collect();
    let (mut sections, mut json) = (Vec::new(), serde_json::Map::new());
    for scenario in &scenarios {
        eprintln!("  {} ...", scenario.name);
        let setting = scenarios::usual_setting(scale);
        let mut server = Server::start(bench.paths, bench.dir(), &subjects, setting, V8::Profiled)?;
        let profile = |subject| Profile::of(bench, &mut server, scenario, subject);
        let profiles = subjects.iter().map(profile).collect::<Result<Vec<_>>>();
        // Where V8 says what it compiled, and `perf` looks for it.
        let _absent = fs::remove_file(format!("/tmp/perf-{}.map", server.pid()));
        let profiles = profiles?;
        let (title, note) = (format!("{}, profiled", scenario.about), format!("`{}`", scenario.name));
        sections.push(Section { title, note, table: markdown(&subjects, &profiles) });
        let by_subject = subjects
            .iter()
            .zip(&profiles)
            .map(|(subject, profile)| (subject.name.to_owned(), profile.json()));
        json.insert(scenario.name.clone(), Value::Object(by_subject.collect()));
    }
    let command = "cargo xtask bench profile".to_owned();
    let json = ("profiles", Value::Object(json));
    Ok(Report { name: "profile", command, notes: Vec::new(), sections, json, plots: Vec::new() })
}

/// Microseconds of an answer, by the code that they went into.
struct Profile(BTreeMap<Code, f64>);

impl Profile {
    fn of(bench: &Bench, server: &mut Server, scenario: &Scenario, subject: &Subject) -> Result<Self> {
        let driven = [server.driven(subject.name, subject, bench.requests(scenario, subject)?)?];
        let pid = server.pid();
        let alone = |slice| Plan { slice, rounds: 1, warm_up: 0, ..scenario.plan(pid) };
        let measured = drive::run(&alone(DRIVE), &driven)?;
        let micros = measured.first().and_then(|measured| measured.cpu_micros);
        let micros = micros.context("the kernel does not count CPU time here")?;
        let data = bench.dir().join("perf.data");
        let file = data.clone();
        let sampler = thread::spawn(move || record(pid, &file));
        drive::run(&alone(SETTLE * 2 + SAMPLES), &driven)?;
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

    fn json(&self) -> Value {
        Code::ALL.iter().map(|(code, label)| json!({ "code": label, "micros": self.0.get(code) })).collect()
    }
}

fn record(pid: u32, file: &PathBuf) -> Result<()> {
    thread::sleep(SETTLE);
    let mut perf = Command::new("perf");
    perf.args(["record", "-F", SAMPLES_A_SECOND, "-e", "cpu-clock", "-p", &pid.to_string(), "-o"]).arg(file);
    perf.args(["--", "sleep", &SAMPLES.as_secs().to_string()]);
    let status = Job::spawn(perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?.wait()?;
    if !status.success() {
        bail!("perf cannot record: {status} (kernel.perf_event_paranoid must be 2 or less)");
    }
    Ok(())
}

/// A kind of code.
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

    /// The kind of a symbol as `perf report` shows it.
    fn of(is_kernel: bool, symbol: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| symbol.contains(word));
        if is_kernel {
            Self::Kernel
        } else if has(&["wasm-function", "wasm-to-js", "js-to-wasm"]) {
            Self::Wasm
        } else if symbol.starts_with("JS:") || symbol.starts_with("Builtins_") {
            Self::JavaScript
        } else if has(&MEMORY) {
            Self::Memory
        } else if has(&HANDLES) {
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

/// Parts of symbols that allocate memory or copy it.
const MEMORY: [&str; 7] =
    ["tcmalloc", "TCMalloc", "memmove", "memcpy", "memset", "operator new", "operator delete"];

/// Parts of symbols of V8's garbage collector and its handles.
const HANDLES: [&str; 10] = [
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
];

/// Percent by kind of code, from the lines of `perf report`: `  1.23%  [.] symbol`.
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
        ["µs of CPU time"].into_iter().chain(subjects.iter().map(|subject| subject.label)).collect();
    let row = |label: &str, of: &dyn Fn(&Profile) -> f64| {
        let cells = profiles.iter().map(|profile| format!("{:.1}", of(profile)));
        [label.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let rows = Code::ALL
        .iter()
        .map(|(code, label)| row(label, &|profile| profile.0.get(code).copied().unwrap_or_default()));
    let sum = row("in all", &|profile| profile.0.values().sum());
    table(&head, &rows.chain([sum]).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_sorted_by_kind_of_code() {
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
