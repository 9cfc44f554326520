//! Child processes that never outlive us, and the signals that end us.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// How often a waiting loop looks at its child and at the signals.
pub const POLL: Duration = Duration::from_millis(50);

/// How long a process group may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// Makes Ctrl-C and its kin a flag, so that children are ended before we end.
pub fn watch_signals() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Whether a signal asked us to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The time of a local command. The service itself takes its clock as a port.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "a native command measures itself")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A child in a process group of its own; dropping it ends the whole group.
#[derive(Debug)]
pub struct Job {
    child: Child,
    ended: bool,
}

impl Job {
    /// Starts `command` with no standard input, unless it was given one.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let child = forget_cargo(command).process_group(0).spawn();
        let child = child.with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self { child, ended: false })
    }

    /// The child, for its pipes.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status, once the child has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.ended |= status.is_some();
        Ok(status)
    }

    /// Waits for the child; a signal to us ends it.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if interrupted() {
                self.stop();
                bail!("interrupted");
            }
            thread::sleep(POLL);
        }
    }

    /// Ends the group: politely, then not.
    pub fn stop(&mut self) {
        let Ok(group) = i32::try_from(self.child.id()) else { return };
        let Some(group) = Pid::from_raw(group) else { return };
        if self.ended {
            // Grandchildren may be left; the group's id is theirs as long as one lives.
            let _gone = kill_process_group(group, Signal::KILL);
            return;
        }
        let _gone = kill_process_group(group, Signal::TERM);
        let watch = Stopwatch::start();
        while watch.elapsed() < GRACE {
            if !matches!(self.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(POLL);
        }
        let _gone = kill_process_group(group, Signal::KILL);
        let _reaped = self.child.wait();
        self.ended = true;
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.ended {
            self.stop();
        }
    }
}

/// Removes the variables of `cargo run` about the package xtask: a nested Cargo would hand them on to build
/// scripts, and those that watch it (ring's does) would be built again at every change of caller.
fn forget_cargo(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| text.starts_with(prefix));
        if about_us || text == "CARGO" {
            command.env_remove(&name);
        }
    }
    command
}

/// Standard output of a quick command.
pub fn stdout(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = forget_cargo(command).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `dirs` before what `PATH` holds now.
pub fn path_with<'a>(dirs: impl IntoIterator<Item = &'a std::path::Path>) -> Result<OsString> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let dirs = dirs.into_iter().map(Into::into).chain(std::env::split_paths(&old));
    std::env::join_paths(dirs).context("a directory name cannot be put on PATH")
}
