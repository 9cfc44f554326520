//! Servers that run beside us, under a guard that never leaves them behind.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_current_process_group, setpgid};

use crate::{
    job::{self, Job, Stopwatch},
    paths::Paths,
    step,
};

/// A running server and its log. Dropping it stops it, and all that it has started.
#[derive(Debug)]
pub struct Guarded {
    job: Job,
    name: &'static str,
    log: PathBuf,
}

impl Guarded {
    /// Starts `program`, whose arguments and environment `complete` adds, with its output at the end of `log`.
    pub fn start(
        paths: &Paths,
        name: &'static str,
        program: &Path,
        log: PathBuf,
        complete: impl FnOnce(&mut Command) -> Result<()>,
    ) -> Result<Self> {
        if let Some(dir) = log.parent() {
            fs::create_dir_all(dir)?;
        }
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        // The guard's standard input is a pipe from us. However we end, even killed, it closes, and
        // the guard ends the server and what that has started.
        let mut command = Command::new(&paths.exe);
        command.args(["guard", "--"]).arg(program);
        complete(&mut command)?;
        command.current_dir(&paths.root).stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        Ok(Self { job: Job::spawn(&mut command)?, name, log })
    }

    /// Waits until `is_ready` is `Ok`; its errors say what it saw. It is asked often, and must be quick.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut is_ready: impl FnMut() -> Result<(), String>,
    ) -> Result<()> {
        let watch = Stopwatch::start();
        let mut last = "nothing".to_owned();
        while watch.elapsed() < limit {
            if job::interrupted() {
                bail!("interrupted");
            }
            self.check_alive()?;
            match is_ready() {
                Ok(()) => return Ok(()),
                Err(seen) => last = seen,
            }
            thread::sleep(job::POLL);
        }
        bail!("{what}, but after {} s: {last}. {}", limit.as_secs(), self.log_tail())
    }

    /// Whether it still runs.
    pub fn check_alive(&mut self) -> Result<()> {
        if self.has_ended()? {
            bail!("{} ended by itself. {}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.job.try_wait()?.is_some())
    }

    fn log_tail(&self) -> String {
        format!("The end of {}:\n\n{}", self.log.display(), step::tail(&self.log, 30))
    }

    /// The guard's process, which a signal ends together with the server.
    pub fn id(&mut self) -> u32 {
        self.job.child().id()
    }
}

/// Arguments of the hidden `guard` command.
#[derive(clap::Args)]
pub struct GuardArgs {
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs a command until it ends or our standard input closes, then ends the whole process group.
pub fn guard(args: &GuardArgs) -> Result<ExitCode> {
    let (program, rest) = args.command.split_first().context("no command to guard")?;
    // The group that is killed at the end must be ours alone, however we were started.
    setpgid(None, None)?;
    let closed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&closed);
    thread::spawn(move || {
        let mut sink = [0; 64];
        while matches!(std::io::stdin().read(&mut sink), Ok(1..)) {}
        flag.store(true, Ordering::Relaxed);
    });
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if closed.load(Ordering::Relaxed) || job::interrupted() {
            break None;
        }
        thread::sleep(job::POLL);
    };
    // TERM only sets a flag in us; it ends wrangler, which ends its workerd.
    kill_current_process_group(Signal::TERM)?;
    let watch = Stopwatch::start();
    while status.is_none() && watch.elapsed() < Duration::from_secs(2) && child.try_wait()?.is_none() {
        thread::sleep(job::POLL);
    }
    let how = match status {
        Some(status) => status.code().map_or_else(
            || format!("was ended by signal {}", status.signal().unwrap_or(0)),
            |code| format!("ended with exit code {code}"),
        ),
        None => "was stopped".to_owned(),
    };
    eprintln!("guard: {program} {how}");
    // The rest of the group, ourselves included.
    kill_current_process_group(Signal::KILL)?;
    Ok(ExitCode::FAILURE)
}
