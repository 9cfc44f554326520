//! `cargo xtask bench`: what things cost, on the machine at hand. Never a check: numbers are for people to judge.

mod build;
mod child;
mod docs;
mod load;
mod machine;
mod numbers;
mod read;
mod report;
mod steps;
mod sync;
mod workerd;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use self::{machine::Machine, report::Report};
use crate::{native, paths::Paths, setup, step::Step};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    load: load::LoadArgs,
}

#[derive(clap::Subcommand)]
enum What {
    /// Build, read and sync a snapshot
    Snapshot(SnapshotArgs),
    /// Count the instructions of each step of a check, natively, under valgrind
    Steps(StepsArgs),
    /// Sample where the time of a check goes, in workerd, under perf: two minutes
    Profile(load::ProfileArgs),
}

/// Arguments of `cargo xtask bench steps`.
#[derive(clap::Args)]
struct StepsArgs {
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the table into docs/performance.md
    #[arg(long)]
    write_docs: bool,
}

/// Arguments of `cargo xtask bench snapshot`.
#[derive(clap::Args)]
#[command(after_help = "\
The full run builds 1 and 10 million customers from some 12 GB of generated lines in the tool cache, which go
again at the end, and takes half an hour. Nothing else should run meanwhile.")]
struct SnapshotArgs {
    /// 100,000 customers instead of millions: minutes, for a first look
    #[arg(long)]
    quick: bool,
    /// Sizes to build, smallest first [default: 1000000,10000000]
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "quick")]
    customers: Vec<u64>,
    /// Only whether it works: the smallest of everything, unoptimised, without the Wasm half
    #[arg(long, hide = true, exclusive = true)]
    smoke: bool,
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the tables into docs/performance.md
    #[arg(long)]
    write_docs: bool,
}

/// Runs `cargo xtask bench`.
///
/// # Errors
/// Something cannot be built or run, or the disk is too small.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let args = match &args.what {
        None => return load::run(&args.load),
        Some(What::Steps(args)) => {
            publish(&paths, "steps", &steps::run(&paths)?, args.json.as_deref(), args.write_docs)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(What::Profile(args)) => {
            load::profile(args)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(What::Snapshot(args)) => args,
    };
    if args.smoke {
        smoke(&paths)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (customers, command) = if args.quick {
        (vec![100_000], "cargo xtask bench snapshot --quick".to_owned())
    } else if args.customers.is_empty() {
        (vec![1_000_000, 10_000_000], "cargo xtask bench snapshot".to_owned())
    } else {
        let list: Vec<_> = args.customers.iter().map(u64::to_string).collect();
        (args.customers.clone(), format!("cargo xtask bench snapshot --customers {}", list.join(",")))
    };
    let report = snapshot(&paths, &Plan { customers, command, is_smoke: false })?;
    publish(&paths, "snapshot", &report, args.json.as_deref(), args.write_docs)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a report, and writes it where it is wanted.
fn publish(paths: &Paths, name: &str, report: &Report, json: Option<&Path>, in_docs: bool) -> Result<()> {
    println!("{}", report.markdown());
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&report.json())?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    if in_docs {
        docs::write(&paths.in_root("docs/performance.md"), name, &report.markdown())?;
    }
    Ok(())
}

/// Whether the benchmark works at all: the smallest of everything, unoptimised, without the Wasm half. Says
/// nothing about time.
///
/// # Errors
/// It does not work.
pub fn smoke(paths: &Paths) -> Result<()> {
    let plan = Plan { customers: vec![300, 600], command: "smoke".to_owned(), is_smoke: true };
    let report = snapshot(paths, &plan)?;
    println!("{}", report.markdown());
    Ok(())
}

/// The same for the check, side by side with others in workerd. The Worker has to be built.
///
/// # Errors
/// It does not work, or a subject answers wrongly.
pub fn smoke_load(paths: &Paths) -> Result<()> {
    load::smoke(paths)
}

/// What is to be measured.
#[derive(Debug)]
struct Plan {
    /// Sizes to build, smallest first.
    customers: Vec<u64>,
    /// The command, for the report.
    command: String,
    /// Unoptimised and without Wasm: only to see that it works.
    is_smoke: bool,
}

fn snapshot(paths: &Paths, plan: &Plan) -> Result<Report> {
    let (Some(smallest), true) = (plan.customers.first().copied(), plan.customers.is_sorted()) else {
        bail!("--customers: expected sizes, smallest first");
    };
    if smallest < 2 {
        bail!("--customers: expected at least 2");
    }
    let programs = Programs::build(paths, plan.is_smoke)?;
    let scratch = Scratch::new(paths)?;
    let mut sections = vec![build::run(paths, &programs.admit, &scratch.0, &plan.customers)?];
    sections.extend(read::run(paths, &programs, &scratch.0, plan.is_smoke)?);
    sections.push(sync::run(paths, &programs.admit, &scratch.0, smallest)?);
    Ok(Report { command: plan.command.clone(), machine: Machine::here(), sections })
}

/// What is measured.
#[derive(Debug)]
struct Programs {
    admit: PathBuf,
    bench: PathBuf,
}

impl Programs {
    fn build(paths: &Paths, is_smoke: bool) -> Result<Self> {
        let profile = if is_smoke { "dev" } else { "release" };
        let args = ["--bins", "--package", "admit-cli", "--package", "snapshot-bench", "--profile", profile];
        let step = Step::new(paths, "bench-build", "building the programs", native::EXPECTED);
        let [admit, bench] = native::build(paths, &step, &args, ["admit", "snapshot-bench"])?;
        Ok(Self { admit, bench })
    }
}

/// A directory outside the clone that goes when the benchmark ends, however it ends.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new(paths: &Paths) -> Result<Self> {
        let dir = paths.cache.join("bench").join(format!("run-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _kept = fs::remove_dir_all(&self.0);
    }
}

/// Writes `customers` customers of the made-up business, with 8 grants each on average, to `file`.
fn generate(paths: &Paths, admit: &Path, customers: u64, file: &Path, more: &[&str]) -> Result<()> {
    let mut command = Command::new(admit);
    command.args(["generate", "--customers", &customers.to_string(), "--out"]).arg(file).args(more);
    let about = format!("generating {} customers", numbers::count(customers));
    Step::new(paths, "bench-generate", &about, "seconds a million").run(&mut command)
}

/// The Wasm toolchain and tools, where the Wasm half runs.
fn wasm_tools(paths: &Paths) -> Result<crate::rust::WasmRust> {
    setup::build_tools(paths)
}
