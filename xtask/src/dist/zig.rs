//! cargo-zigbuild and zig, which link static programs for other processors. From PyPI, with hashes, in an environment of
//! their own in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{job, paths::Paths, step::Step};

/// The version of cargo-zigbuild in [`PACKAGES`]; a new one gets a new environment.
const VERSION: &str = "0.24.1";

/// Every package with its hashes.
const PACKAGES: &str = "xtask/zigbuild.txt";

/// zig is some 80 MB; a network that swallows packets must not hold up the tests.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);

/// An installed environment.
#[derive(Debug)]
pub struct Zig {
    bin: PathBuf,
}

impl Zig {
    /// A command line of Cargo that knows `zigbuild`.
    pub fn cargo(&self) -> Result<Command> {
        let mut cargo = Command::new("cargo");
        // cargo-zigbuild looks for zig by the name `python-zig` there.
        cargo.env("PATH", job::path_with([self.bin.as_path()])?);
        Ok(cargo)
    }
}

/// Finds or installs them. `None` where they cannot be had.
pub fn ensure(paths: &Paths) -> Option<Zig> {
    let dir = paths.cache.join("tools").join(format!("zigbuild-{VERSION}"));
    // Written when everything is installed.
    let stamp = dir.join("packages.txt");
    let wanted = fs::read(paths.in_root(PACKAGES)).ok()?;
    if fs::read(&stamp).is_ok_and(|have| have == wanted) {
        return Some(Zig { bin: dir.join("bin") });
    }
    install(paths, &dir).inspect_err(|error| eprintln!("{error:#}")).ok()?;
    fs::write(stamp, wanted).ok()?;
    Some(Zig { bin: dir.join("bin") })
}

fn install(paths: &Paths, dir: &Path) -> Result<()> {
    let has_venv = Command::new("python3").args(["-c", "import venv, ensurepip"]).status();
    if !has_venv.is_ok_and(|status| status.success()) {
        bail!("cargo-zigbuild needs Python 3, with its modules venv and ensurepip");
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(dir);
    Step::new(paths, "zigbuild-venv", "making a Python environment", "some seconds").run(&mut venv)?;
    let mut pip = Command::new(dir.join("bin/pip"));
    pip.args(["install", "--quiet", "--require-hashes", "--disable-pip-version-check", "--requirement"]);
    pip.arg(paths.in_root(PACKAGES));
    let about = format!("installing cargo-zigbuild {VERSION} and zig");
    Step::new(paths, "zigbuild", &about, "half a minute, once").within(INSTALL_LIMIT).run(&mut pip)
}
