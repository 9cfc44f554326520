//! The `cargo xtask dev` that the tests ask.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    guarded::Guarded,
    paths::Paths,
    run::{Run, Selection},
    server,
};

/// `dev` starts in seconds, but builds the origin first.
const DEV_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A running `cargo xtask dev`.
pub struct Dev {
    process: Guarded,
    /// Where everything is.
    pub run: Run,
    log: PathBuf,
}

impl Dev {
    /// Starts it in `dir`, and waits until it has told where everything is.
    pub fn start(paths: &Paths, dir: &Path) -> Result<Self> {
        let selection = Selection { port: None, dir: Some(dir.to_owned()) };
        let port = server::free_port(0)?.to_string();
        let log = dir.join("dev.log");
        let mut process = Guarded::start(paths, "cargo xtask dev", &paths.exe, log.clone(), |command| {
            command.args(["dev", "--port", &port, "--dir"]).arg(dir);
            Ok(())
        })?;
        let mut run = None;
        process.wait_until(DEV_LIMIT, "`cargo xtask dev` should run", || {
            run = Some(Run::running(paths, &selection).map_err(|error| error.to_string())?);
            Ok(())
        })?;
        Ok(Self { process, run: run.context("the run has not told where it is")?, log })
    }

    /// Ends it. That it starts what ended again must not hide that something ended.
    pub fn stop(self) -> Result<()> {
        drop(self.process);
        let log = fs::read_to_string(&self.log)?;
        let failures: Vec<_> = log.lines().filter(|line| line.contains("] starts again in ")).collect();
        if !failures.is_empty() {
            bail!("{}. See {}", failures.join("; "), self.log.display());
        }
        Ok(())
    }
}
