//! The local Worker: `wrangler dev` under a guard that never leaves it behind.

use std::{
    fs::{self, File},
    io::Read,
    net::TcpListener,
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
    node,
    paths::Paths,
    step,
};

/// wrangler starts in 3 s on an idle machine; a busy one gets much more before we call it stuck.
const START_LIMIT: Duration = Duration::from_secs(120);

/// An answer takes milliseconds; this bounds a Worker that hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How many ports after the asked-for one are tried.
const PORTS_TRIED: u16 = 20;

/// A running `wrangler dev`. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    job: Job,
    log: PathBuf,
    /// Where it answers, without a slash at the end.
    pub base_url: String,
}

impl Server {
    /// Starts the Worker on `port`, its state and logs in `dir`, and waits until it answers.
    ///
    /// # Errors
    /// It ends or does not answer in time; the message holds the end of its log.
    pub fn start(paths: &Paths, port: u16, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let log = dir.join("wrangler.log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // The guard's standard input is a pipe from us. However we end, even killed, it closes, and
        // the guard ends wrangler and the workerd that wrangler started.
        let mut command = Command::new(&paths.exe);
        command.args(["guard", "--"]).arg(node::bin(paths, "wrangler")).args([
            "dev",
            "--ip=127.0.0.1",
            "--inspector-port=0",
            "--show-interactive-dev-session=false",
            &format!("--port={port}"),
        ]);
        command.arg("--persist-to").arg(dir.join("state"));
        node::apply(paths, &mut command)?;
        command
            .current_dir(&paths.root)
            .env("CARGO_TARGET_DIR", &paths.target)
            .env("WRANGLER_LOG_PATH", dir.join("wrangler-logs"))
            .env("WRANGLER_REGISTRY_PATH", dir.join("registry"))
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output);
        let job = Job::spawn(&mut command)?;
        let mut server = Self { job, log, base_url: format!("http://127.0.0.1:{port}") };
        server.wait_for(&[200, 503])?;
        Ok(server)
    }

    /// Waits until `/healthz` answers one of `statuses`.
    ///
    /// # Errors
    /// The Worker ends, does not do so in time, or we are interrupted.
    pub fn wait_for(&mut self, statuses: &[u16]) -> Result<()> {
        let watch = Stopwatch::start();
        let mut last = "nothing".to_owned();
        while watch.elapsed() < START_LIMIT {
            self.check_alive()?;
            match get(&format!("{}/healthz", self.base_url), None) {
                Ok(status) if statuses.contains(&status) => return Ok(()),
                Ok(status) => last = format!("status {status}"),
                Err(error) => last = format!("{error:#}"),
            }
            thread::sleep(job::POLL);
        }
        bail!(
            "the Worker's /healthz should answer {statuses:?}, but after {} s: {last}. {}",
            START_LIMIT.as_secs(),
            self.log_tail()
        )
    }

    /// Stays until we are asked to stop.
    ///
    /// # Errors
    /// The Worker ended before.
    pub fn stay(&mut self) -> Result<()> {
        while !job::interrupted() {
            if self.job.try_wait()?.is_some() {
                bail!("wrangler ended by itself. {}", self.log_tail());
            }
            thread::sleep(job::POLL);
        }
        Ok(())
    }

    fn check_alive(&mut self) -> Result<()> {
        if job::interrupted() {
            bail!("interrupted");
        }
        if self.job.try_wait()?.is_some() {
            bail!("wrangler ended by itself. {}", self.log_tail());
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        format!("The end of {}:\n\n{}", self.log.display(), step::tail(&self.log, 30))
    }

    /// The log that wrangler and the Worker write.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

/// The status of a GET with an optional bearer token.
///
/// # Errors
/// Nothing answers.
pub fn get(url: &str, token: Option<&str>) -> Result<u16> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_LIMIT))
        .proxy(None)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Ok(request.call()?.status().as_u16())
}

/// `asked` if it is free, or the next port that is; 0 asks for any.
///
/// # Errors
/// None of them is free.
pub fn free_port(asked: u16) -> Result<u16> {
    let free = (asked..=asked.saturating_add(PORTS_TRIED)).find_map(|port| {
        // Bound and let go at once: somebody else may take it before wrangler does, who then says so.
        TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok()
    });
    let free = free.with_context(|| {
        format!("ports {asked} to {} are all busy; choose another with --port", asked + PORTS_TRIED)
    })?;
    Ok(free.port())
}

/// Arguments of the hidden `guard` command.
#[derive(clap::Args)]
pub struct GuardArgs {
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs a command until it ends or our standard input closes, then ends the whole process group.
///
/// # Errors
/// The command cannot be started.
pub fn guard(args: &GuardArgs) -> Result<ExitCode> {
    let (program, rest) = args.command.split_first().context("no command to guard")?;
    // The group that is killed at the end must be ours alone, whoever started us.
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
    let code = status.map(|status| status.code().unwrap_or(128 + status.signal().unwrap_or(0)));
    eprintln!("guard: {program} ended, code {code:?}");
    // Whatever is left, ourselves included.
    kill_current_process_group(Signal::KILL)?;
    Ok(ExitCode::FAILURE)
}
