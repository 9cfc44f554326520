//! One step of work that may take long: says what it does, shows that it lives, keeps its output.

use std::{
    fs::{self, File},
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    job::{self, Job, Stopwatch},
    paths::Paths,
};

/// Lines of a failed step's log that are shown: enough for a compiler error with its notes.
const TAIL_LINES: usize = 40;

/// Without a terminal a line now and then tells a waiting log reader that work goes on.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// A command with a name, a log file and a time limit.
#[derive(Debug)]
pub struct Step<'a> {
    paths: &'a Paths,
    name: &'a str,
    about: &'a str,
    expected: &'a str,
    limit: Duration,
    quiet: bool,
}

impl<'a> Step<'a> {
    /// A step whose log is called `name`; `about` says what it does, `expected` how long it takes.
    pub const fn new(paths: &'a Paths, name: &'a str, about: &'a str, expected: &'a str) -> Self {
        // The slowest honest step, compiling a tool on two busy cores, takes some ten minutes.
        let limit = Duration::from_secs(40 * 60);
        Self { paths, name, about, expected, limit, quiet: false }
    }

    /// Sets another time limit.
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Says nothing unless it fails.
    pub const fn quietly(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        self
    }

    /// Runs `command` to its end.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        self.run_into(command, None)
    }

    /// Runs `command` to its end and returns its standard output, which the log then lacks.
    pub fn output(&self, command: &mut Command) -> Result<String> {
        let path = self.log_path()?.with_extension("out");
        let output = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        self.run_into(command, Some(output))?;
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn run_into(&self, command: &mut Command, output: Option<File>) -> Result<()> {
        let log_path = self.log_path()?;
        let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
        let output = output.map_or_else(|| log.try_clone(), Ok)?;
        command.stdin(Stdio::null()).stdout(output).stderr(log);
        let watch = Stopwatch::start();
        let mut progress = Progress::new(self);
        let mut job = Job::spawn(command)?;
        let status = loop {
            if let Some(status) = job.try_wait()? {
                break status;
            }
            if job::interrupted() {
                progress.end("stopped", watch.elapsed());
                bail!("interrupted");
            }
            if watch.elapsed() > self.limit {
                progress.end("too slow", watch.elapsed());
                bail!("{} took longer than {} s", self.about, self.limit.as_secs());
            }
            progress.show(watch.elapsed());
            thread::sleep(job::POLL);
        };
        if status.success() {
            progress.end("done", watch.elapsed());
            return Ok(());
        }
        progress.end("failed", watch.elapsed());
        bail!(
            "{} failed ({status}). The end of {}:\n\n{}",
            self.about,
            self.paths.shown(&log_path),
            tail(&log_path, TAIL_LINES)
        )
    }

    fn log_path(&self) -> Result<PathBuf> {
        let dir = self.paths.logs();
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir.join(format!("{}.log", self.name)))
    }
}

/// The last `lines` of the text in `path`; empty if it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let skip = text.lines().count().saturating_sub(lines);
    text.lines().skip(skip).collect::<Vec<_>>().join("\n")
}

/// The line that people see while a step runs.
struct Progress {
    about: String,
    quiet: bool,
    terminal: bool,
    shown: Duration,
}

impl Progress {
    fn new(step: &Step<'_>) -> Self {
        let about = format!("{} ({})", step.about, step.expected);
        let terminal = std::io::stderr().is_terminal();
        if !step.quiet && !terminal {
            eprintln!("  {about} ...");
        }
        Self { about, quiet: step.quiet, terminal, shown: Duration::ZERO }
    }

    fn show(&mut self, elapsed: Duration) {
        let every = if self.terminal { Duration::from_secs(1) } else { HEARTBEAT };
        if self.quiet || elapsed < self.shown + every {
            return;
        }
        self.shown = elapsed;
        if self.terminal {
            eprint!("\r\x1b[K  {} ... {} s", self.about, elapsed.as_secs());
            let _unseen = std::io::stderr().flush();
        } else {
            eprintln!("    still at it after {} s", elapsed.as_secs());
        }
    }

    fn end(&mut self, outcome: &str, elapsed: Duration) {
        if self.quiet {
            return;
        }
        let start = if self.terminal { "\r\x1b[K" } else { "" };
        eprintln!("{start}  {}: {outcome} in {:.1} s", self.about, elapsed.as_secs_f32());
    }
}
