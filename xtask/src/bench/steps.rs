//! `cargo xtask bench steps`: instructions of the steps of a check, natively, under valgrind. Unlike times they are
//! the same again on a busy machine.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{
    machine::Machine,
    numbers::Unit,
    report::{Figure, Report, Section},
};
use crate::{job, native, paths::Paths, step::Step};

/// Steps, by the names that `micro-bench` has for them, and what they are.
const STEPS: [(&str, &str); 10] = [
    ("parse", "The path and the header's form"),
    ("unknown_issuer", "A token of an unknown issuer, refused"),
    ("new_token", "A token that is new: HS256"),
    ("known_token", "A token that was verified before"),
    ("shard", "A customer in a loaded shard"),
    ("delta", "A customer in the delta"),
    ("decide", "Records read, decided"),
    ("body", "The same, and the body written"),
    ("answer", "All of it: from a request to a reply"),
    ("again", "An answer that was given before, judged"),
];

/// What two runs differ by, in steps. Setting up takes millions of instructions that vary by some thousand.
const FEW: u64 = 1;
const MANY: u64 = 10_001;

/// Counts.
///
/// # Errors
/// There is no valgrind, or the steps do not build or run.
pub fn run(paths: &Paths) -> Result<Report> {
    if job::stdout(Command::new("valgrind").arg("--version")).is_err() {
        bail!("valgrind is needed: it is in every distribution; `cargo bench -p micro-bench` needs none");
    }
    let args = ["--release", "--package", "micro-bench"];
    let step = Step::new(paths, "bench-build", "building the steps", native::EXPECTED);
    let [program] = native::build(paths, &step, &args, ["micro-bench"])?;
    let mut figures = Vec::new();
    for (name, about) in STEPS {
        eprintln!("  {name} ...");
        let (few, many) = (instructions(&program, name, FEW)?, instructions(&program, name, MANY)?);
        #[expect(clippy::cast_precision_loss, reason = "an average")]
        let each = many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
        figures.push(Figure::new(format!("{name}_instructions"), about, Unit::Count, each));
    }
    let section = Section {
        title: "Instructions",
        method: "Native code of the release build, counted by callgrind: what two runs differ by, divided by the number of \
                 steps that they differ by."
            .to_owned(),
        figures,
    };
    Ok(Report {
        command: "cargo xtask bench steps".to_owned(),
        machine: Machine::here(),
        sections: vec![section],
    })
}

fn instructions(program: &Path, step: &str, times: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let output = valgrind.args([step, &times.to_string()]).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{step}: {said}");
    }
    collected(&said).with_context(|| format!("callgrind said no number of instructions: {said}"))
}

fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 13372\n==1==\n"), Some(13_372));
        assert_eq!(collected("==1== nothing\n"), None);
    }
}
