//! `cargo xtask bench`: the check against floors and peers, side by side in one workerd.

mod cold;
mod growth;
mod growth_plot;
mod peers;
mod plot;
mod profile;
mod report;
mod scenarios;
mod server;
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
pub use profile::{ProfileArgs, run as profile};

use self::{
    peers::{Bundles, Subject},
    report::{Outcome, Report},
    scenarios::{Scale, Scenario},
    server::Server,
};
use super::{Scratch, docs, machine::Machine};
use crate::{build, native, node, paths::Paths, setup, step::Step};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
#[command(after_help = "\
The full run takes some 25 minutes. Nothing else should run meanwhile: one core is workerd's, another one the load's.
The first run builds the Worker, and a peer that is written in Rust, which takes some minutes more.")]
pub struct LoadArgs {
    /// Fewer rounds and customers: under two minutes, for a first look
    #[arg(long)]
    quick: bool,
    /// Only these scenarios, by their names; `growth` is all points of growth
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Turns of each subject in every scenario, for more certainty or less time
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the tables and the plot into docs/
    #[arg(long)]
    write_docs: bool,
    /// Only whether it works: the smallest of everything
    #[arg(long, hide = true, conflicts_with_all = ["quick", "write_docs"])]
    smoke: bool,
}

/// Runs `cargo xtask bench`.
///
/// # Errors
/// Something cannot be built or run, or an answer is wrong.
pub fn run(args: &LoadArgs) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let mut scale = if args.smoke {
        Scale::SMOKE
    } else if args.quick {
        Scale::QUICK
    } else {
        Scale::FULL
    };
    if let Some(rounds) = args.rounds {
        (scale.rounds, scale.growth_rounds) = (rounds, rounds);
    }
    let mut command = "cargo xtask bench".to_owned();
    if args.quick {
        command += " --quick";
    }
    if !args.only.is_empty() {
        command += &format!(" --only {}", args.only.join(","));
    }
    if let Some(rounds) = args.rounds {
        command += &format!(" --rounds {rounds}");
    }
    let report = measure(&paths, scale, &args.only, command)?;
    println!("{}", report.markdown());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.write_docs {
        write_docs(&paths, &report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the tables and the plots into docs/.
fn write_docs(paths: &Paths, report: &Report) -> Result<()> {
    let mut text = format!("{}\n![The hot check](performance.svg)\n", report.markdown());
    let mut plots = vec![("docs/performance.svg", plot::svg(report))];
    if let Some(svg) = growth_plot::svg(report) {
        text += "\n![How the cost of a check grows](performance-growth.svg)\n";
        plots.push(("docs/performance-growth.svg", svg));
    }
    docs::write(&paths.in_root("docs/performance.md"), "load", &text)?;
    for (relative, svg) in plots {
        fs::write(paths.in_root(relative), svg).with_context(|| format!("cannot write {relative}"))?;
    }
    Ok(())
}

/// Whether it works at all, and whether every subject answers what it should. Says nothing about time.
///
/// # Errors
/// It does not work.
pub fn smoke(paths: &Paths) -> Result<()> {
    let report = measure(paths, Scale::SMOKE, &[], "smoke".to_owned())?;
    println!("{}", report.markdown());
    Ok(())
}

fn measure(paths: &Paths, scale: Scale, only: &[String], command: String) -> Result<Report> {
    let rust = setup::build_tools(paths)?;
    build::worker(paths, &rust, false, false)?;
    let scratch = Scratch::new(paths)?;
    let dir = scratch.0.as_path();
    let programs = Programs::build(paths)?;
    let scenarios = scenarios::chosen(scale, only)?;
    make_data(paths, dir, scale, &scenarios)?;
    publish(paths, &programs.admit, dir, scale)?;
    let bundles = Bundles::make(paths, &rust, dir, !scale.is_smoke)?;
    let mut outcomes = Vec::new();
    for group in groups(&scenarios) {
        let Some(Scenario { setting, .. }) = group.first() else { continue };
        let subjects = bundles.of(|subject| group.iter().any(|scenario| scenario.wants(subject)));
        let server = Server::start(paths, dir, &subjects, *setting)?;
        for scenario in group {
            outcomes.push(drive(&programs.load, dir, &server, scenario)?);
        }
        server.stop();
    }
    if scenarios::wants_cold(only) {
        let setting = scenarios::usual_setting(scale);
        let subjects = bundles.of(|subject| scenarios::EVERYBODY.contains(&subject.name));
        outcomes.push(cold::run(paths, dir, &subjects, setting, scale.cold_starts)?);
    }
    Ok(Report { command, machine: Machine::here(), scale, outcomes })
}

/// Scenarios that may follow each other in one process: those that want it new come alone.
fn groups(scenarios: &[Scenario]) -> Vec<Vec<&Scenario>> {
    let mut groups: Vec<Vec<&Scenario>> = Vec::new();
    for scenario in scenarios {
        match groups.last_mut() {
            Some(last)
                if !scenario.wants_new_process
                    && last.first().is_some_and(|first| first.setting == scenario.setting) =>
            {
                last.push(scenario);
            }
            _ => groups.push(vec![scenario]),
        }
    }
    groups
}

/// What runs natively.
struct Programs {
    admit: PathBuf,
    load: PathBuf,
}

impl Programs {
    fn build(paths: &Paths) -> Result<Self> {
        // `admit` as tests have it, which is there already more often than not; the load has to be fast.
        let build = |package, name, profile| {
            let args = ["--bins", "--package", package, "--profile", profile];
            let about = format!("building {name}");
            let step = Step::new(paths, "bench-build", &about, native::EXPECTED);
            native::build(paths, &step, &args, [name])
        };
        let ([admit], [load]) =
            (build("admit-cli", "admit", "dev")?, build("load-bench", "load-bench", "release")?);
        Ok(Self { admit, load })
    }
}

/// Customers, keys, tokens and lists of requests in `dir`.
fn make_data(paths: &Paths, dir: &Path, scale: Scale, scenarios: &[Scenario]) -> Result<()> {
    let mut lists: serde_json::Map<_, _> = scenarios.iter().map(|it| (it.name.clone(), it.list())).collect();
    lists.insert(scenarios::COLD.to_owned(), serde_json::json!({ "alg": "HS256", "tokens": 1 }));
    let settings = serde_json::json!({ "catalogues": scale.growth_customers, "lists": lists });
    let (program, _) = node::runtime(paths)?;
    let mut make = Command::new(program);
    make.arg(paths.in_root("bench/load/make.mjs")).arg(dir).arg(settings.to_string());
    Step::new(paths, "bench-make", "making customers and tokens", "seconds").run(&mut make)
}

/// A snapshot of each catalogue.
fn publish(paths: &Paths, admit: &Path, dir: &Path, scale: Scale) -> Result<()> {
    let mut keygen = Command::new(admit);
    keygen.args(["keygen", "--alg", "EdDSA", "--kid", "bench", "--out"]).arg(dir.join("snapshot.jwk"));
    Step::new(paths, "bench-key", "making the snapshot's key", "seconds").run(&mut keygen)?;
    let public =
        crate::job::stdout(Command::new(admit).args(["keygen", "--public"]).arg(dir.join("snapshot.jwk")))?;
    fs::write(dir.join("snapshot-keys.json"), public)?;
    for customers in scale.growth_customers {
        let store = dir.join(server::store(*customers));
        fs::create_dir_all(&store)?;
        let mut publish = Command::new(admit);
        publish.args(["publish", "--from"]).arg(dir.join(format!("catalogue-{customers}.ndjson")));
        publish.arg("--to").arg(format!("dir:{}", store.display()));
        publish.arg("--key").arg(dir.join("snapshot.jwk"));
        Step::new(paths, "bench-publish", "publishing the snapshot", "seconds").run(&mut publish)?;
    }
    Ok(())
}

/// What the load has to know of a subject.
fn driven(dir: &Path, server: &Server, name: &str, subject: &Subject) -> Result<serde_json::Value> {
    let fixed = subject.is_floor().then(|| fs::read_to_string(dir.join("constant.json")));
    let fixed: Option<String> = fixed.transpose()?.map(|text| serde_json::from_str(&text)).transpose()?;
    Ok(serde_json::json!({ "name": name, "port": server.port(subject.name)?, "fixed_body": fixed }))
}

fn drive(load: &Path, dir: &Path, server: &Server, scenario: &Scenario) -> Result<Outcome> {
    eprintln!("  {} ...", scenario.name);
    let subjects = scenario.subjects(server.subjects());
    let ports: Vec<_> =
        subjects.iter().map(|(name, subject)| driven(dir, server, name, subject)).collect::<Result<_>>()?;
    let plan = scenario.plan(dir, server.pid(), &ports);
    let measured = server::feed(load, &plan)?;
    Ok(Outcome { scenario: scenario.name.clone(), about: scenario.about, growth: scenario.growth, measured })
}
