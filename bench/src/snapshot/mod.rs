//! `cargo xtask bench snapshot`: the cost of building, reading and syncing a snapshot.

mod building;
mod child;
mod data;
mod reading;
mod syncing;
mod worker;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use xtask::{native, paths::Paths, step::Step};

use crate::{
    numbers::grouped,
    report::{Destination, Report},
    scratch::Scratch,
};

/// Arguments of `cargo xtask bench snapshot`.
#[derive(clap::Args)]
#[command(after_help = "\
The full run builds 1 and 10 million customers from some 12 GB of generated lines in the tool cache, which go
again at the end, and takes half an hour. Nothing else should run meanwhile.")]
pub struct Args {
    /// 100,000 customers instead of millions: minutes, for a first look
    #[arg(long)]
    quick: bool,
    /// Sizes to build, smallest first [default: 1000000,10000000]
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "quick")]
    customers: Vec<u64>,
    /// Only to see that it works: the smallest of everything, unoptimised, without the Wasm half
    #[arg(long, hide = true, exclusive = true)]
    smoke: bool,
    #[command(flatten)]
    pub destination: Destination,
}

impl Args {
    /// The sizes, and the command line for the report.
    fn sizes(&self) -> (Vec<u64>, String) {
        let command = "cargo xtask bench snapshot".to_owned();
        match self {
            Self { smoke: true, .. } => (vec![300, 600], command + " --smoke"),
            Self { quick: true, .. } => (vec![100_000], command + " --quick"),
            Self { customers, .. } if customers.is_empty() => (vec![1_000_000, 10_000_000], command),
            Self { customers, .. } => {
                let list: Vec<_> = customers.iter().map(u64::to_string).collect();
                (customers.clone(), format!("{command} --customers {}", list.join(",")))
            }
        }
    }
}

/// Runs `cargo xtask bench snapshot`.
pub fn run(paths: &Paths, args: &Args) -> Result<Report> {
    if cfg!(debug_assertions) && !args.smoke {
        bail!("this program is unoptimised; `cargo xtask bench snapshot` builds another one");
    }
    let (sizes, command) = args.sizes();
    let (Some(smallest), true) = (sizes.first().copied(), sizes.is_sorted()) else {
        bail!("--customers: expected sizes, smallest first");
    };
    if smallest < 2 {
        bail!("--customers: expected at least 2");
    }
    let profile = if args.smoke { native::DEV } else { "release" };
    let step = Step::new(paths, "bench-admit", "building the admit command", native::EXPECTED);
    let admit = native::build(paths, &step, "admit", profile)?;
    let bench = Bench { paths, admit, scratch: Scratch::new(paths)? };
    let mut groups = vec![("Building", building::run(&bench, &sizes)?)];
    groups.extend(reading::run(&bench, args.smoke)?);
    groups.push(("Syncing", syncing::run(&bench, smallest)?));
    Ok(Report::of_figures("snapshot", command, groups))
}

/// The command to be measured, and a directory for the data.
struct Bench<'a> {
    paths: &'a Paths,
    admit: PathBuf,
    scratch: Scratch,
}

impl Bench<'_> {
    fn dir(&self) -> &Path {
        &self.scratch.0
    }

    /// Writes customers of the made-up business, with 8 grants each on average, to a new file.
    fn generate(&self, customers: u64, file: &str, more: &[&str]) -> Result<PathBuf> {
        let path = self.dir().join(file);
        let mut command = Command::new(&self.admit);
        command.args(["generate", "--customers", &customers.to_string(), "--out"]).arg(&path).args(more);
        let about = format!("generating {} customers", grouped(customers as f64));
        Step::new(self.paths, "bench-generate", &about, "seconds a million").run(&mut command)?;
        Ok(path)
    }
}
