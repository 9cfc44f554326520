//! `cargo xtask test`: every check there is, one summary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow, bail};

use crate::{
    bench, build, console, dist,
    job::{self, Stopwatch},
    keys, node, operations,
    paths::Paths,
    personas, postgres,
    run::Run,
    rust::WASM_TARGET,
    schemathesis::{self, Target},
    setup,
    size::Size,
    step::Step,
    suite_dev::Dev,
    tally::{self, Tally},
    tools, wasm,
};

/// The advisory database is some megabytes; a network that swallows packets must not hold up the tests.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// The example of `admit-playback` that the playback tests ask for signatures.
const SIGNER: &str = "sign";

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Args {
    /// Only the parts that need neither the Wasm toolchain nor Node.js
    #[arg(long)]
    native: bool,
}

/// How a part ended.
enum PartEnd {
    Ran { ok: bool, tally: Tally },
    Skipped(&'static str),
}

struct Part {
    name: &'static str,
    outcome: PartEnd,
    secs: f32,
}

impl Part {
    const fn skipped(name: &'static str, why: &'static str) -> Self {
        Self { name, outcome: PartEnd::Skipped(why), secs: 0.0 }
    }

    const fn is_ok(&self) -> bool {
        matches!(self.outcome, PartEnd::Ran { ok: true, .. })
    }
}

/// Runs `cargo xtask test`.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    paths.claim_target()?;
    let mut suite = Suite { paths: &paths, parts: Vec::new() };
    thread::scope(|scope| {
        let wasm = (!args.native).then(|| scope.spawn(|| Wasm::make(&paths)));
        suite.native()?;
        match wasm {
            Some(wasm) => suite.worker(wasm.join().map_err(|_| anyhow!("the Worker's build panicked"))??),
            None => Ok(()),
        }
    })?;
    Ok(suite.summary())
}

/// The parts for the Worker that run beside the native ones. Network and linker leave a processor free, and Cargo keeps
/// Wasm in directories of its own.
struct Wasm {
    build: Part,
    lints: Part,
}

impl Wasm {
    /// Gets the tools, builds the Worker and lints for Wasm.
    fn make(paths: &Paths) -> Result<Self> {
        let mut rust = None;
        let build = part("Worker build", || {
            let rust = rust.insert(setup::build_tools(paths)?);
            build::worker(paths, rust, false, false).map(|_| Tally::default())
        })?;
        let lints = match rust {
            None => Part::skipped("lints for Wasm", "there is no Wasm compiler"),
            Some(rust) if !rust.has_clippy() => {
                Part::skipped("lints for Wasm", "the Wasm compiler has no clippy")
            }
            Some(rust) => {
                // The profile of the build, whose macros are compiled already.
                let lib =
                    ["clippy", "--locked", "--lib", "--target", WASM_TARGET, "--profile", wasm::PROFILE];
                let packages =
                    ["--package", "admit", "--package", "snapshot-bench", "--package", "workers-rs-peer"];
                let mut clippy = cargo(paths, &lib);
                clippy.args(packages);
                clippy.args(["--", "-D", "warnings"]);
                rust.apply(&mut clippy, &[])?;
                command("lints for Wasm", clippy)?
            }
        };
        Ok(Self { build, lints })
    }
}

struct Suite<'a> {
    paths: &'a Paths,
    parts: Vec<Part>,
}

impl Suite<'_> {
    fn native(&mut self) -> Result<()> {
        let paths = self.paths;
        self.command("format", cargo(paths, &["fmt", "--all", "--check"]))?;
        let tests = ["test", "--locked", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"];
        let mut compile = cargo(paths, &tests);
        compile.arg("--no-run");
        self.command("native build", compile)?;
        thread::scope(|scope| {
            // While tests wait for processes and disks. Cargo holds its directory while it compiles, not while tests run.
            let lints = scope.spawn(|| {
                let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
                command("lints", cargo(paths, &clippy))
            });
            self.command("native tests", cargo(paths, &tests))?;
            self.parts.push(lints.join().map_err(|_| anyhow!("the lints panicked"))??);
            anyhow::Ok(())
        })?;
        // With all packages, as above and below: with other ones Cargo would choose other features of dependencies, and
        // compile most of them again.
        let examples = ["test", "--locked", "--workspace", "--doc"];
        self.command("examples in the documentation", cargo(paths, &examples))?;
        self.operations()?;
        // Only that they work: no test depends on a figure.
        self.part("benchmarks", || bench::smoke(paths, &["snapshot"]).map(|()| Tally::default()))?;
        self.postgres()?;
        self.dependencies()
    }

    /// `ops/` and its page, with the programs that the native tests were built with.
    fn operations(&mut self) -> Result<()> {
        for part in operations::PARTS {
            match part.ready(self.paths) {
                Err(why) => self.skip(part.name, why),
                Ok(variables) => {
                    let tests =
                        ["test", "--locked", "--workspace", "--test", "operations", "--", "--ignored"];
                    let mut command = cargo(self.paths, &tests);
                    self.command(part.name, {
                        command.args(part.tests).envs(variables);
                        command
                    })?;
                }
            }
        }
        Ok(())
    }

    /// The database as an origin: tests that start servers, and those that need a Python beside them.
    fn postgres(&mut self) -> Result<()> {
        const DATABASE: &str = "PostgreSQL";
        const HTTP_ORIGIN: &str = "its HTTP origin";
        const MODULE: &str = "postgres::http_origin";
        let paths = self.paths;
        let Some(programs) = postgres::ensure(paths) else {
            for name in [DATABASE, HTTP_ORIGIN] {
                self.skip(
                    name,
                    "PostgreSQL cannot be installed: it needs apt-get and root, or a user postgres",
                );
            }
            return Ok(());
        };
        let tests = |more: &[&str]| {
            let mut tests = cargo(paths, &["test", "--locked", "--workspace", "--test", "suite", "--"]);
            tests.args(["--ignored", "--test-threads", "2"]).args(more).env("ADMIT_POSTGRES", &programs);
            tests
        };
        self.command(DATABASE, tests(&["postgres::", "--skip", MODULE]))?;
        let Some(python) = postgres::python(paths) else {
            self.skip(HTTP_ORIGIN, "pg8000 cannot be installed: it needs Python 3.10 and PyPI");
            return Ok(());
        };
        let mut tests = tests(&[MODULE]);
        tests.env("ADMIT_POSTGRES_PYTHON", python);
        self.command(HTTP_ORIGIN, tests)
    }

    /// Licences, sources and bans always; known vulnerabilities where their database can be had.
    fn dependencies(&mut self) -> Result<()> {
        let paths = self.paths;
        let installed = self.part("cargo-deny", || {
            tools::ensure(paths, &[tools::CARGO_DENY])?;
            Ok(Tally::default())
        })?;
        if !installed {
            self.skip("dependencies", "cargo-deny cannot be installed");
            return Ok(());
        }
        let deny = |args: &[&str]| {
            let mut deny = Command::new(tools::CARGO_DENY.path(paths));
            // All packages, not only what the one at the root needs.
            deny.arg("--workspace").args(args).current_dir(&paths.root);
            deny
        };
        self.command("dependencies", deny(&["--offline", "check", "bans", "licenses", "sources"]))?;
        // It comes from GitHub, which some networks do not reach.
        let fetched = Step::new(paths, "advisories", "fetching the advisory database", "seconds")
            .within(FETCH_LIMIT)
            .run(&mut deny(&["fetch", "db"]));
        if fetched.is_err() && !job::interrupted() {
            self.skip("advisories", "their database cannot be fetched");
            return Ok(());
        }
        self.command("advisories", deny(&["check", "--disable-fetch", "advisories"]))
    }

    fn worker(&mut self, wasm: Wasm) -> Result<()> {
        let paths = self.paths;
        let is_built = wasm.build.is_ok();
        self.parts.extend([wasm.build, wasm.lints]);
        if !is_built {
            self.skip("Worker tests", "there is no Worker");
            return Ok(());
        }
        // A part of its own: a Worker that has grown too large can still be tested.
        self.part("Worker size", || {
            let size = Size::of(&build::module(paths))?;
            println!("{}", size.describe());
            size.check().map(|()| Tally::default())
        })?;
        // Only that every subject answers correctly: no test depends on a figure.
        self.part("load benchmark", || bench::smoke(paths, &[]).map(|()| Tally::default()))?;
        let dir = paths.target.join("test-worker");
        // From nothing each time: the first publish is tested too.
        let _absent = fs::remove_dir_all(&dir);
        let mut started = None;
        self.part("dev", || {
            started = Some(Dev::start(paths, &dir)?);
            Ok(Tally::default())
        })?;
        self.dist()?;
        let Some(dev) = started else {
            self.skip("Worker tests", "the Worker does not run");
            return Ok(());
        };
        self.part("personas", || {
            let (passed, failed) = personas::check(&personas::read(&dir)?)?;
            Ok(Tally { passed, failed, ignored: 0 })
        })?;
        let with_worker = |tests| with_worker(tests, &dev.run);
        let tests = ["test", "--locked", "--workspace", "--test", "blackbox", "--", "--ignored"];
        self.command("black-box tests", with_worker(cargo(paths, &tests)))?;
        // The signers' side of the playback tests: a program that signs what it reads.
        let example = ["build", "--locked", "--workspace", "--example", SIGNER];
        self.command("playback signer", cargo(paths, &example))?;
        for (name, dir) in
            [("SDK tests", "tests/sdk"), ("entry tests", "tests/entry"), ("playback tests", "tests/playback")]
        {
            let files = test_files(&paths.in_root(dir));
            if files.is_empty() {
                self.skip(name, "there are none");
                continue;
            }
            let (program, _) = node::runtime(paths)?;
            let mut tests = Command::new(program);
            node::apply(paths, &mut tests)?;
            tests.arg("--test").args(files).current_dir(&paths.root);
            tests.env("ADMIT_PLAYBACK_SIGN", paths.target.join("debug/examples").join(SIGNER));
            self.command(name, with_worker(tests))?;
        }
        self.console(&dev.run)?;
        // Last, because it stops the origin.
        let mut tests =
            cargo(paths, &["test", "--locked", "--workspace", "--test", "readme", "--", "--include-ignored"]);
        tests.env("ADMIT_XTASK", &paths.exe);
        self.command("walk-through", with_worker(tests))?;
        self.part("dev to its end", || dev.stop().map(|()| Tally::default()))?;
        self.schemathesis()
    }

    /// The Worker's archive, built twice, the page about deployments, and a local run of the archive.
    fn dist(&mut self) -> Result<()> {
        let paths = self.paths;
        let dirs = ["first", "again"].map(|name| paths.target.join("test-dist").join(name));
        let mut made = None;
        self.part("dist", || {
            dist::twice(paths, &dirs).map(|archive| made = Some(archive)).map(|()| Tally::default())
        })?;
        let Some(archive) = made else {
            self.skip("dist tests", "there is no archive");
            return Ok(());
        };
        self.command("dist tests", dist::tests(paths, &dirs, test_files(&paths.in_root("tests/dist")))?)?;
        self.command("dev of a release", dist::dev(paths, &archive)?)
    }

    /// Requests made of the OpenAPI document. They write, so they get stores of their own.
    fn schemathesis(&mut self) -> Result<()> {
        const NAMES: [(&str, Target); 2] =
            [("contract: edge", Target::Edge), ("contract: origin", Target::Origin)];
        let paths = self.paths;
        let Some(program) = schemathesis::ensure(paths) else {
            for (name, _) in NAMES {
                self.skip(name, "schemathesis cannot be installed: it needs Python 3.10 and PyPI");
            }
            return Ok(());
        };
        let dir = paths.target.join("test-contract");
        let _absent = fs::remove_dir_all(&dir);
        let mut started = None;
        self.part("dev for the contract", || {
            started = Some(Dev::start(paths, &dir)?);
            Ok(Tally::default())
        })?;
        let Some(dev) = started else {
            for (name, _) in NAMES {
                self.skip(name, "the Worker does not run");
            }
            return Ok(());
        };
        for (name, target) in NAMES {
            self.part(name, || schemathesis::run(paths, &program, &keys::ensure(paths)?, &dev.run, target))?;
        }
        self.part("its end", || dev.stop().map(|()| Tally::default())).map(drop)
    }

    /// The console: its types, its size, and its pages in a browser.
    fn console(&mut self, run: &Run) -> Result<()> {
        let paths = self.paths;
        self.part("console size", || {
            println!("{}", console::check(paths)?);
            Ok(Tally::default())
        })?;
        for types in console::types(paths)? {
            self.command("console types", types)?;
        }
        let Some(chromium) = console::chromium(paths)? else {
            self.skip("console tests", "there is no Chromium: install one, or name it in ADMIT_CHROMIUM");
            return Ok(());
        };
        let tests = with_worker(console::browser_tests(paths, &chromium)?, run);
        self.command("console tests", tests)
    }

    fn command(&mut self, name: &'static str, work: Command) -> Result<()> {
        self.parts.push(command(name, work)?);
        Ok(())
    }

    fn part(&mut self, name: &'static str, work: impl FnOnce() -> Result<Tally>) -> Result<bool> {
        let part = part(name, work)?;
        let is_ok = part.is_ok();
        self.parts.push(part);
        Ok(is_ok)
    }

    fn skip(&mut self, name: &'static str, why: &'static str) {
        self.parts.push(Part::skipped(name, why));
    }

    fn summary(&self) -> ExitCode {
        println!("\n== summary");
        let mut sum = Tally::default();
        let (mut all_ok, mut skipped) = (true, 0);
        for part in &self.parts {
            let line = match &part.outcome {
                PartEnd::Skipped(why) => {
                    skipped += 1;
                    format!("skipped: {why}")
                }
                PartEnd::Ran { ok, tally } => {
                    sum = sum.plus(*tally);
                    all_ok &= ok;
                    let verdict = if *ok { "ok" } else { "FAILED" };
                    let ignored = match tally.ignored {
                        0 => String::new(),
                        ignored => format!("{ignored:>5} not run here"),
                    };
                    format!("{verdict:<7}{:>6} passed{:>5} failed{ignored}", tally.passed, tally.failed)
                }
            };
            println!("{:<16}{:>7.1} s  {line}", part.name, part.secs);
        }
        if skipped > 0 {
            println!("\n{skipped} parts did not run, and count neither as passed nor as failed");
        }
        println!("\n{} passed, {} failed", sum.passed, sum.failed);
        if all_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn cargo(paths: &Paths, args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(args).current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    cargo
}

fn command(name: &'static str, mut command: Command) -> Result<Part> {
    timed(name, || tally::run(&mut command))
}

fn part(name: &'static str, work: impl FnOnce() -> Result<Tally>) -> Result<Part> {
    timed(name, || work().map(|tally| (tally.failed == 0, tally)))
}

/// Does a part. One that fails is no error; an interruption is.
fn timed(name: &'static str, work: impl FnOnce() -> Result<(bool, Tally)>) -> Result<Part> {
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
    Ok(Part { name, outcome: PartEnd::Ran { ok, tally }, secs })
}

/// Gives tests the addresses of Worker and origin, the viewers and the database.
fn with_worker(mut tests: Command, run: &Run) -> Command {
    tests.env("ADMIT_BASE_URL", &run.edge_url).env("ADMIT_PERSONAS", run.dir.join(personas::FILE));
    tests.env("ADMIT_DEV_DIR", &run.dir);
    tests.envs(run.origin_url.as_ref().map(|url| ("ADMIT_ORIGIN_URL", url)));
    tests.envs(run.origin_program.as_ref().map(|program| ("ADMIT_ORIGIN", program)));
    tests.envs(run.origin_database.as_ref().map(|database| ("ADMIT_ORIGIN_DB", database)));
    tests
}

/// The test files in `dir`, by Node's own convention for their names.
fn test_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
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
