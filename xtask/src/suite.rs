//! `cargo xtask test`: every check there is, one summary.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Result, bail};

use crate::{
    bench, build,
    dev::{self, Running},
    job::{self, Stopwatch},
    keys, node,
    paths::Paths,
    personas,
    rust::{WASM_TARGET, WasmRust},
    server, setup,
    size::Size,
    tally::{self, Tally},
};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Only what needs neither the Wasm toolchain nor Node.js
    #[arg(long)]
    native: bool,
}

/// What became of one part.
enum Outcome {
    Ran { ok: bool, tally: Tally },
    Skipped(&'static str),
}

struct Part {
    name: &'static str,
    outcome: Outcome,
    secs: f32,
}

/// Runs `cargo xtask test`.
///
/// # Errors
/// We are interrupted, or the set-up fails.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let rust = if args.native { None } else { Some(setup::build_tools(&paths)?) };
    let mut suite = Suite { paths: &paths, parts: Vec::new() };
    suite.native()?;
    if let Some(rust) = &rust {
        suite.worker(rust)?;
    }
    Ok(suite.summary())
}

struct Suite<'a> {
    paths: &'a Paths,
    parts: Vec<Part>,
}

impl Suite<'_> {
    fn native(&mut self) -> Result<()> {
        self.command("format", self.cargo(&["fmt", "--all", "--check"]))?;
        let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        self.command("lints", self.cargo(&clippy))?;
        self.command("native tests", self.cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]))?;
        let paths = self.paths;
        // That they work at all; what they measure is nobody's test.
        self.part("benchmarks", || bench::smoke(paths).map(|()| Tally::default()))?;
        if job::stdout(Command::new("cargo").args(["deny", "--version"])).is_err() {
            self.skip("dependencies", "cargo-deny is not installed");
            return Ok(());
        }
        // Advisories need a download; CI services have jobs of their own for them.
        let deny = ["deny", "--offline", "check", "bans", "licenses", "sources"];
        self.command("dependencies", self.cargo(&deny))
    }

    fn worker(&mut self, rust: &WasmRust) -> Result<()> {
        if rust.has_clippy() {
            let packages =
                ["--package", "admit", "--package", "snapshot-bench", "--package", "workers-rs-peer"];
            let lib = ["clippy", "--locked", "--lib", "--target", WASM_TARGET];
            let mut clippy = self.cargo(&lib);
            clippy.args(packages).args(["--", "-D", "warnings"]);
            rust.apply(&mut clippy, &[])?;
            self.command("lints for Wasm", clippy)?;
        } else {
            self.skip("lints for Wasm", "the Wasm compiler has no clippy");
        }
        let paths = self.paths;
        let built = self.part("Worker build", || {
            build::worker(paths, rust, false, false)?;
            Ok(Tally::default())
        })?;
        if !built {
            self.skip("Worker tests", "there is no Worker");
            return Ok(());
        }
        // A part of its own: a Worker that has grown too large can still be tested.
        self.part("Worker size", || {
            let size = Size::of(&build::wasm(paths))?;
            println!("{}", size.describe());
            size.check().map(|()| Tally::default())
        })?;
        // That every subject answers what it should; what it takes is nobody's test.
        self.part("load benchmark", || bench::smoke_load(paths).map(|()| Tally::default()))?;
        let mut started = None;
        self.part("Worker start", || {
            let keys = keys::ensure(paths)?;
            let dir = paths.target.join("test-worker");
            // From nothing each time: a first publish is part of what is tested.
            let _absent = std::fs::remove_dir_all(&dir);
            let running = dev::start(paths, &keys, server::free_port(0)?, &dir)?;
            let file = personas::write(&dir, &running.personas)?;
            started = Some((running, file, dir));
            Ok(Tally::default())
        })?;
        let Some((running, file, dir)) = started else {
            self.skip("Worker tests", "the Worker does not run");
            return Ok(());
        };
        self.part("personas", || {
            let (passed, failed) = personas::check(&running.server, &running.personas)?;
            Ok(Tally { passed, failed })
        })?;
        let with_worker = |tests| with_worker(tests, &running, &file);
        if paths.in_root("tests/worker_suite.rs").exists() {
            let tests = self.cargo(&["test", "--locked", "--no-fail-fast", "--test", "worker_*"]);
            self.command("black-box tests", with_worker(tests))?;
        } else {
            self.skip("black-box tests", "tests/worker_suite.rs does not exist");
        }
        for (name, dir) in [("SDK tests", "tests/sdk"), ("entry tests", "tests/entry")] {
            let files = test_files(&paths.in_root(dir));
            if files.is_empty() {
                self.skip(name, "there are none");
                continue;
            }
            let (program, _) = node::runtime(paths)?;
            let mut tests = Command::new(program);
            node::apply(paths, &mut tests)?;
            tests.arg("--test").args(files).current_dir(&paths.root);
            self.command(name, with_worker(tests))?;
        }
        // Last: it kills the origin.
        let mut tests = self.cargo(&["test", "--locked", "--test", "readme"]);
        tests.env("ADMIT_DEV_DIR", &dir).env("ADMIT_XTASK", &paths.exe);
        self.command("walk-through", with_worker(tests))
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(args).current_dir(&self.paths.root).env("CARGO_TARGET_DIR", &self.paths.target);
        cargo
    }

    fn command(&mut self, name: &'static str, mut command: Command) -> Result<()> {
        self.timed(name, || tally::run(&mut command)).map(drop)
    }

    fn part(&mut self, name: &'static str, work: impl FnOnce() -> Result<Tally>) -> Result<bool> {
        self.timed(name, || {
            work().map(|tally| (tally.failed == 0, tally)).or_else(|error| {
                eprintln!("{error:#}");
                Ok((false, Tally::default()))
            })
        })
    }

    fn timed(&mut self, name: &'static str, work: impl FnOnce() -> Result<(bool, Tally)>) -> Result<bool> {
        println!("\n== {name}");
        let watch = Stopwatch::start();
        let (ok, mut tally) = work().unwrap_or_else(|error| {
            eprintln!("{error:#}");
            (false, Tally::default())
        });
        if job::interrupted() {
            bail!("interrupted");
        }
        if !ok && tally.failed == 0 {
            // A part that fails without counting, such as a lint, must show in the sum.
            tally.failed = 1;
        }
        let secs = watch.elapsed().as_secs_f32();
        self.parts.push(Part { name, outcome: Outcome::Ran { ok, tally }, secs });
        Ok(ok)
    }

    fn skip(&mut self, name: &'static str, why: &'static str) {
        self.parts.push(Part { name, outcome: Outcome::Skipped(why), secs: 0.0 });
    }

    fn summary(&self) -> ExitCode {
        println!("\n== summary");
        let mut sum = Tally::default();
        let mut all_ok = true;
        for part in &self.parts {
            let line = match &part.outcome {
                Outcome::Skipped(why) => format!("skipped: {why}"),
                Outcome::Ran { ok, tally } => {
                    sum = sum.plus(*tally);
                    all_ok &= ok;
                    let verdict = if *ok { "ok" } else { "FAILED" };
                    format!("{verdict:<7}{:>6} passed{:>5} failed", tally.passed, tally.failed)
                }
            };
            println!("{:<16}{:>7.1} s  {line}", part.name, part.secs);
        }
        println!("\n{} passed, {} failed", sum.passed, sum.failed);
        if all_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Tells tests where the Worker is, who its viewers are, and what is behind it.
fn with_worker(mut tests: Command, running: &Running, personas: &Path) -> Command {
    tests.env("ADMIT_BASE_URL", &running.server.base_url).env("ADMIT_PERSONAS", personas);
    if let Some(origin) = &running.origin {
        tests.env("ADMIT_ORIGIN", &origin.program).env("ADMIT_ORIGIN_DB", &origin.database);
        tests.env("ADMIT_ORIGIN_URL", &origin.base_url);
    }
    tests
}

/// The test files in `dir`, by Node's own convention for their names.
fn test_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            [".test.mjs", ".test.js", ".test.cjs"].iter().any(|end| name.ends_with(end))
        })
        .collect();
    files.sort();
    files
}
