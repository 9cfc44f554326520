//! `cargo xtask bench` and `cargo xtask scale`: builds the program of `bench/` and hands the arguments on.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::{job::Job, native, paths::Paths, step::Step};

/// Arguments with which nothing is timed. Otherwise the program is optimised, or the figures mean nothing.
const UNTIMED: [&str; 4] = ["scale", "--smoke", "--help", "-h"];

/// Arguments of `cargo xtask bench` and `cargo xtask scale`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// What the benchmarks' program takes; `--help` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs the benchmarks' program: its command `command`, or that of the arguments.
pub fn run(command: Option<&str>, args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    paths.claim_target()?;
    let args: Vec<_> = command.into_iter().chain(args.args.iter().map(String::as_str)).collect();
    Ok(ExitCode::from(call(&paths, &args)?))
}

/// Whether a benchmark works at all: the smallest of everything, unoptimised. Says nothing about time.
pub fn smoke(paths: &Paths, args: &[&str]) -> Result<()> {
    if call(paths, &[args, &["--smoke"]].concat())? != 0 {
        bail!("the benchmark fails");
    }
    Ok(())
}

fn call(paths: &Paths, args: &[&str]) -> Result<u8> {
    let is_timed = !args.iter().any(|arg| UNTIMED.contains(arg));
    let profile = if is_timed { "release" } else { native::DEV };
    let step = Step::new(paths, "bench", "building the benchmarks", native::EXPECTED);
    let program = native::build(paths, &step, "admit-bench", profile)?;
    let mut bench = Command::new(program);
    let status = Job::spawn(bench.args(args).current_dir(&paths.root))?.wait()?;
    Ok(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1))
}
