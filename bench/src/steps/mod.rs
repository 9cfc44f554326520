//! `cargo xtask bench steps`: the steps of a check natively. Instructions, counted under valgrind, are the same again on
//! a busy machine; times are not.

mod business;
mod subject;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use xtask::{job, paths::Paths};

use self::subject::{Step, Subject};
use crate::{
    numbers::Unit,
    report::{Destination, Figure, Report},
    samples::{self, Effort},
};

/// The two numbers of repetitions that are compared. Setting up takes millions of instructions that vary by some
/// thousand.
const FEW: u64 = 1;
const MANY: u64 = 10_001;

const EFFORT: Effort = Effort { rounds: 25, slice: Duration::from_millis(40) };

/// Arguments of `cargo xtask bench steps`.
#[derive(clap::Args)]
pub struct Args {
    /// Times instead of instructions, without valgrind
    #[arg(long, conflicts_with = "write_docs")]
    time: bool,
    #[command(flatten)]
    pub destination: Destination,
    /// Repeat one step, as `STEP=TIMES`: what valgrind runs
    #[arg(long, hide = true, exclusive = true)]
    repeat: Option<String>,
}

/// Runs `cargo xtask bench steps`; without a report if it was asked to repeat a step.
pub fn run(paths: &Paths, args: &Args) -> Result<Option<Report>> {
    if let Some(repeat) = &args.repeat {
        let (name, times) = repeat.split_once('=').context("expected STEP=TIMES")?;
        let (.., step) = Step::ALL.into_iter().find(|(known, ..)| *known == name).context("unknown step")?;
        println!("{}", Subject::new()?.repeat(step, times.parse()?)?);
        return Ok(None);
    }
    if cfg!(debug_assertions) {
        bail!("this program is unoptimised; `cargo xtask bench steps` builds another one");
    }
    let (title, command, figures) = if args.time {
        ("Times", "cargo xtask bench steps --time", times()?)
    } else {
        ("Instructions", "cargo xtask bench steps", instructions(&paths.exe)?)
    };
    Ok(Some(Report::of_figures("steps", command.to_owned(), vec![(title, figures)])))
}

fn times() -> Result<Vec<Figure>> {
    let mut subject = Subject::new()?;
    let figure = |(name, label, step)| {
        let repeat = |times| match subject.repeat(step, times as usize)? {
            0 => bail!("{name} came out wrong"),
            _ => Ok(()),
        };
        Ok(Figure::new(format!("{name}_nanos"), label, Unit::Nanos, samples::nanos(EFFORT, repeat)?))
    };
    Step::ALL.into_iter().map(figure).collect()
}

fn instructions(program: &Path) -> Result<Vec<Figure>> {
    if job::stdout(Command::new("valgrind").arg("--version")).is_err() {
        bail!("valgrind is needed: it is in every distribution; `cargo xtask bench steps --time` needs none");
    }
    let figure = |(name, label, _)| {
        eprintln!("  {name} ...");
        let (few, many) = (collected(program, name, FEW)?, collected(program, name, MANY)?);
        let each = many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
        Ok(Figure::new(format!("{name}_instructions"), label, Unit::Count, each))
    };
    Step::ALL.into_iter().map(figure).collect()
}

/// Instructions of a run that repeats a step, counted by callgrind.
fn collected(program: &Path, step: &str, times: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    valgrind.args(["steps", &format!("--repeat={step}={times}")]);
    let output = valgrind.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{step}: {said}");
    }
    said.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .with_context(|| format!("callgrind printed no number of instructions: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_works() {
        let mut subject = Subject::new().unwrap();
        for (name, _, step) in Step::ALL {
            assert!(subject.repeat(step, 3).unwrap() > 0, "{name}");
        }
    }
}
