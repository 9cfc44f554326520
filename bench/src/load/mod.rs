//! `cargo xtask bench`: the check against floors and peers, side by side in one workerd.
//!
//! [`scenarios`] says which requests, [`subjects`] which Workers answer. `bench/load/make.mjs` makes customers, tokens and lists of
//! [`requests`]; [`server`] starts workerd, [`drive`] measures, [`report`] shows.

mod cold;
mod compiled;
mod connection;
mod drive;
mod measured;
mod profile;
mod report;
mod requests;
mod scenarios;
mod server;
mod subjects;
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use anyhow::{Context, Result};
use serde_json::json;
use xtask::{build, job, native, node, paths::Paths, rust::WasmRust, setup, step::Step};

use self::{
    compiled::Compiled,
    report::{LoadResults, ScenarioResults},
    requests::Request,
    scenarios::{Scale, Scenario},
    server::{Server, Setting, V8},
    subjects::Subject,
};
use crate::{
    report::{Destination, Report},
    scratch::Scratch,
};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
#[command(after_help = "\
The full run takes some 25 minutes. Nothing else should run meanwhile: one core is workerd's, another one the load's.
The first run builds the Worker, and a peer that is written in Rust, which takes some minutes more.")]
pub struct Args {
    /// Fewer rounds and customers: under two minutes, for a first look
    #[arg(long)]
    quick: bool,
    /// Only these scenarios, by their names; `playback`, `batch` and `growth` are several
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Turns of each subject in every scenario, for more certainty or less time
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Another build of Admit that takes part in every scenario of Admit's: a copy of `build/`, made before a change
    #[arg(long, value_name = "DIR", conflicts_with = "write_docs")]
    against: Option<PathBuf>,
    #[command(flatten)]
    pub destination: Destination,
    /// Only to see that it works: the smallest of everything
    #[arg(long, hide = true, conflicts_with_all = ["quick", "write_docs"])]
    smoke: bool,
}

impl Args {
    fn scale(&self) -> Scale {
        let mut scale = match (self.smoke, self.quick) {
            (true, _) => Scale::SMOKE,
            (_, true) => Scale::QUICK,
            _ => Scale::FULL,
        };
        if let Some(rounds) = self.rounds {
            (scale.rounds, scale.growth_rounds) = (rounds, rounds);
        }
        scale
    }

    /// The command line, for the report.
    fn command(&self) -> String {
        let mut command = "cargo xtask bench".to_owned();
        if self.quick {
            command += " --quick";
        }
        if !self.only.is_empty() {
            command += &format!(" --only {}", self.only.join(","));
        }
        if let Some(against) = &self.against {
            command += &format!(" --against {}", against.display());
        }
        command + &self.rounds.map_or_else(String::new, |rounds| format!(" --rounds {rounds}"))
    }
}

/// Runs `cargo xtask bench`.
pub fn run(paths: &Paths, args: &Args) -> Result<Report> {
    let mut bench = Bench::new(paths)?;
    bench.against.clone_from(&args.against);
    let outcomes = bench.measure(args.scale(), &args.only)?;
    Ok(outcomes.report(args.command()))
}

/// Runs `cargo xtask bench profile`.
pub fn profile(paths: &Paths) -> Result<Report> {
    profile::run(&Bench::new(paths)?)
}

/// Runs `cargo xtask bench compiled`.
pub fn compiled(paths: &Paths) -> Result<Report> {
    let bench = Bench::new(paths)?;
    let scale = Scale::SMOKE;
    let subjects = bench.prepare(scale, &[], false)?;
    Ok(Compiled::of(&bench, &subjects, scenarios::usual_setting(scale))?.report())
}

/// The built programs, and a directory for the data.
struct Bench<'a> {
    paths: &'a Paths,
    rust: WasmRust,
    admit: PathBuf,
    scratch: Scratch,
    /// Where another build of Admit is.
    against: Option<PathBuf>,
}

impl<'a> Bench<'a> {
    fn new(paths: &'a Paths) -> Result<Self> {
        let rust = setup::build_tools(paths)?;
        build::worker(paths, &rust, false, false)?;
        Ok(Self {
            paths,
            rust,
            admit: native::admit(paths, false)?,
            scratch: Scratch::new(paths)?,
            against: None,
        })
    }

    fn dir(&self) -> &Path {
        &self.scratch.0
    }

    /// A scenario's requests to a subject.
    fn requests(&self, scenario: &Scenario, subject: &Subject) -> Result<Rc<[Request]>> {
        Ok(requests::read(&self.dir().join(scenario.file(subject)))?.into())
    }

    fn measure(&self, scale: Scale, only: &[String]) -> Result<LoadResults> {
        let scenarios = scenarios::chosen(scale, only)?;
        let all = self.prepare(scale, &scenarios, !scale.is_smoke)?;
        let subjects = |is_wanted: &dyn Fn(&Subject) -> bool| {
            all.iter().filter(|subject| is_wanted(subject)).copied().collect::<Vec<_>>()
        };
        let mut outcomes = LoadResults { scale, all: Vec::new(), cold: Vec::new(), compiled: None };
        // Scenarios may follow each other in one process, unless one wants it new.
        for group in scenarios.chunk_by(|one, next| !next.wants_new_process && one.setting == next.setting) {
            let Some(Scenario { setting, .. }) = group.first() else { continue };
            let subjects = subjects(&|subject| group.iter().any(|scenario| scenario.wants(subject)));
            let mut server = Server::start(self.paths, self.dir(), &subjects, *setting, V8::Silent)?;
            for scenario in group {
                outcomes.all.push(self.drive(&mut server, scenario)?);
            }
        }
        if scenarios::wants_cold(only) {
            let setting = Setting { has_idle_kv: true, ..scenarios::usual_setting(scale) };
            let subjects = subjects(&|subject| scenarios::USUAL.contains(&subject.role()));
            outcomes.cold = cold::run(self.paths, self.dir(), &subjects, setting, scale.cold_starts)?;
            outcomes.compiled = Some(Compiled::of(self, &subjects, setting)?);
        }
        Ok(outcomes)
    }

    fn drive(&self, server: &mut Server, scenario: &Scenario) -> Result<ScenarioResults> {
        eprintln!("  {} ...", scenario.name);
        let subjects = scenario.subjects(server.subjects());
        let driven = |(name, subject): &(String, Subject)| {
            server.driven(name, subject, self.requests(scenario, subject)?)
        };
        let driven = subjects.iter().map(driven).collect::<Result<Vec<_>>>()?;
        let measured = drive::run(&scenario.plan(server.pid()), &driven)?;
        Ok(ScenarioResults {
            scenario: scenario.name.clone(),
            about: scenario.about,
            growth: scenario.growth,
            measured,
        })
    }

    /// Makes customers, keys, tokens, lists of requests and snapshots, and bundles the subjects.
    fn prepare(&self, scale: Scale, scenarios: &[Scenario], with_rust_peer: bool) -> Result<Vec<Subject>> {
        let (paths, dir) = (self.paths, self.dir());
        let mut lists: serde_json::Map<_, _> =
            scenarios.iter().map(|it| (it.name.clone(), it.list())).collect();
        lists.insert(scenarios::COLD.to_owned(), json!({ "alg": "HS256", "tokens": 1 }));
        let settings = json!({ "catalogues": scale.growth_customers, "lists": lists });
        let (program, _) = node::runtime(paths)?;
        let mut make = Command::new(program);
        make.arg(paths.in_root("bench/load/make.mjs")).arg(dir).arg(settings.to_string());
        Step::new(paths, "bench-make", "making customers and tokens", "seconds").run(&mut make)?;

        let key = dir.join("snapshot.jwk");
        let keygen = ["keygen", "--alg", "EdDSA", "--kid", "bench", "--out"];
        job::stdout(Command::new(&self.admit).args(keygen).arg(&key))?;
        let public = job::stdout(Command::new(&self.admit).args(["keygen", "--public"]).arg(&key))?;
        fs::write(dir.join("snapshot-keys.json"), public).context("cannot write the snapshot's keys")?;
        for customers in scale.growth_customers {
            let store = dir.join(server::store(*customers));
            fs::create_dir_all(&store)?;
            let mut publish = Command::new(&self.admit);
            publish.args(["publish", "--from"]).arg(dir.join(format!("catalogue-{customers}.ndjson")));
            publish.arg("--to").arg(format!("dir:{}", store.display())).arg("--key").arg(&key);
            Step::new(paths, "bench-publish", "publishing the snapshot", "seconds").run(&mut publish)?;
        }
        subjects::bundle_all(paths, with_rust_peer.then_some(&self.rust), self.against.as_deref(), dir)
    }
}
