//! workerd itself, under the guard so that it never outlives us.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use xtask::{
    job::{self, Job, Stopwatch},
    paths::Paths,
    step,
};

const START_LIMIT: Duration = Duration::from_secs(60);

/// A running workerd. Dropping it ends it.
pub struct Workerd {
    job: Job,
    log: PathBuf,
}

impl Workerd {
    /// Starts `workerd serve` with the configuration `config.capnp` in `dir`, and waits until `is_ready` says so, which
    /// gets workerd's output.
    pub fn start<T>(
        paths: &Paths,
        dir: &Path,
        options: &[&str],
        mut is_ready: impl FnMut(&str) -> Result<T>,
    ) -> Result<(Self, T)> {
        fs::create_dir_all(paths.logs())?;
        let log = paths.logs().join("bench-workerd.log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(&paths.exe);
        command.args(["guard", "--"]).arg(program(paths)?).arg("serve").args(options);
        command.arg(dir.join("config.capnp")).arg("config");
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let mut workerd = Self { job: Job::spawn(&mut command)?, log };
        let watch = Stopwatch::start();
        loop {
            match is_ready(&workerd.log()) {
                Ok(ready) => return Ok((workerd, ready)),
                Err(error) if workerd.has_failed(watch)? => {
                    let tail = step::tail(&workerd.log, 30);
                    bail!("workerd does not start: {error:#}. The end of its log:\n\n{tail}");
                }
                // Shorter than a cold start, which is measured.
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn has_failed(&mut self, watch: Stopwatch) -> Result<bool> {
        Ok(self.job.try_wait()?.is_some() || watch.elapsed() > START_LIMIT || job::interrupted())
    }

    /// The process of workerd, for its CPU time; 0 where it cannot be found.
    pub fn pid(&mut self) -> u32 {
        let guard = self.job.child().id();
        let children = fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).unwrap_or_default();
        children.split(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or(0)
    }
}

/// workerd's own program: the command that npm makes is a script that starts it, in a process of its own.
fn program(paths: &Paths) -> Result<PathBuf> {
    let packages = fs::read_dir(paths.in_root("node_modules/@cloudflare")).into_iter().flatten().flatten();
    let mut packages = packages.map(|entry| entry.path());
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("workerd-"));
    Ok(packages.find(is_it).context("npm installed no workerd for this machine")?.join("bin/workerd"))
}
