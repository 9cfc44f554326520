//! A Docker daemon for the tests of ops/docker: one that answers already, or one of our own, which ends with the tests.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{debian, guarded::Guarded, job, paths::Paths};

/// The packages that a daemon and compose come with.
const PACKAGES: [&str; 3] = ["docker.io", "docker-compose", "iptables"];

/// A daemon takes a second or two; this bounds one that cannot start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What tests need to reach a daemon. Dropping it ends a daemon of ours.
#[derive(Debug)]
pub struct Docker {
    /// Variables of the tests.
    pub variables: Vec<(&'static str, OsString)>,
    // In this order: the daemon ends before its directory goes.
    daemon: Option<Guarded>,
    dir: Option<PathBuf>,
}

impl Drop for Docker {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            self.remove_containers();
        }
        drop(self.daemon.take());
        if let Some(dir) = self.dir.take() {
            let _gone = fs::remove_dir_all(dir);
        }
    }
}

impl Docker {
    /// Removes containers and networks that interrupted tests have left in a daemon of ours: they would outlive it.
    fn remove_containers(&self) {
        let docker = |args: &[&str]| {
            let mut docker = Command::new("docker");
            docker.args(args).envs(self.variables.iter().map(|(name, value)| (name, value)));
            job::stdout(&mut docker).unwrap_or_default()
        };
        let containers = docker(&["ps", "--all", "--quiet"]);
        let containers: Vec<_> = containers.lines().collect();
        if !containers.is_empty() {
            docker(&[&["rm", "--force", "--volumes"], containers.as_slice()].concat());
        }
        docker(&["network", "prune", "--force"]);
    }
}

/// Finds a daemon and a compose command, or gets them where root may and nothing else would change.
///
/// # Errors
/// There is none, and it cannot be installed or does not start.
pub fn ensure(paths: &Paths) -> Result<Docker> {
    let answers = || job::stdout(Command::new("docker").arg("info")).is_ok();
    let has_daemon = answers();
    if !has_daemon && env::var_os("DOCKER_HOST").is_some() {
        bail!("the Docker daemon of DOCKER_HOST does not answer");
    }
    if !has_daemon && !is_there("dockerd") {
        // The package would start a service there, which stays.
        if Path::new("/run/systemd/system").exists() {
            bail!("there is no Docker daemon, and none is installed where systemd would start it");
        }
        debian::install_as_root(paths, &PACKAGES, "installing Docker", "a minute")?;
    }
    let compose = [&["docker", "compose"][..], &["docker-compose"]]
        .into_iter()
        .find(|words| {
            let mut version = Command::new(words.first().unwrap_or(&"docker"));
            job::stdout(version.args(words.get(1..).unwrap_or_default()).arg("version")).is_ok()
        })
        .context("there is neither `docker compose` nor `docker-compose`")?;
    let compose = ("ADMIT_COMPOSE", OsString::from(compose.join(" ")));
    if has_daemon {
        return Ok(Docker { variables: vec![compose], daemon: None, dir: None });
    }
    if job::stdout(Command::new("id").arg("-u"))? != "0" {
        bail!("only root starts a Docker daemon");
    }
    let mut docker = start(paths)?;
    docker.variables.push(compose);
    Ok(docker)
}

/// Starts a daemon with a socket, images and a log of its own. It makes no rules of a firewall and no `docker0`, and leaves
/// the machine's forwarding as it is.
fn start(paths: &Paths) -> Result<Docker> {
    // Sockets are in it, and their paths must be short. A directory that is there already may be somebody else's.
    let dir = env::temp_dir().join(format!("admit-docker-{}", std::process::id()));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    let host = format!("unix://{}", dir.join("docker.sock").display());
    let log = paths.logs().join("dockerd.log");
    let daemon = Guarded::start(paths, "the Docker daemon", Path::new("dockerd"), log, |command| {
        command.args([
            "--host",
            &host,
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--bridge=none",
        ]);
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            command.arg(option).arg(dir.join(name));
        }
        Ok(())
    });
    let variables = vec![("DOCKER_HOST", OsString::from(&host))];
    let mut docker = Docker { variables, daemon: None, dir: Some(dir) };
    let daemon = docker.daemon.insert(daemon?);
    daemon.wait_until(START_LIMIT, "a Docker daemon should answer", || {
        let mut info = Command::new("docker");
        job::stdout(info.args(["--host", &host, "info"])).map(drop).map_err(|error| format!("{error:#}"))
    })?;
    Ok(docker)
}

fn is_there(program: &str) -> bool {
    job::stdout(Command::new(program).arg("--version")).is_ok()
}
