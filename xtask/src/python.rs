//! Virtual environments of Python, in the cache, with packages whose hashes are known.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{paths::Paths, step::Step};

/// The oldest Python 3 that is taken.
const OLDEST_PYTHON: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// The directory of an environment with the packages of the file `packages`, which holds their hashes. `None`
/// where Python or the packages cannot be had.
pub fn ensure(paths: &Paths, name: &str, packages: &str) -> Option<PathBuf> {
    let dir = paths.cache.join("tools").join(name);
    // Written when everything is installed.
    let stamp = dir.join("packages.txt");
    let wanted = fs::read(paths.in_root(packages)).ok()?;
    if fs::read(&stamp).is_ok_and(|have| have == wanted) && dir.join("bin/python").exists() {
        return Some(dir);
    }
    install(paths, name, packages, &dir).inspect_err(|error| eprintln!("{error:#}")).ok()?;
    fs::write(stamp, wanted).ok()?;
    Some(dir)
}

fn install(paths: &Paths, name: &str, packages: &str, dir: &Path) -> Result<()> {
    if !Command::new("python3").args(["-c", OLDEST_PYTHON]).status().is_ok_and(|status| status.success()) {
        bail!("{name} needs Python 3.10 or newer, with its modules venv and ensurepip");
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(dir);
    let about = "making a Python environment";
    Step::new(paths, &format!("{name}-venv"), about, "some seconds").run(&mut venv)?;
    let mut pip = Command::new(dir.join("bin/pip"));
    pip.args(["install", "--quiet", "--require-hashes", "--disable-pip-version-check", "--requirement"]);
    pip.arg(paths.in_root(packages));
    let about = format!("installing {name}");
    Step::new(paths, name, &about, "half a minute, once").run(&mut pip)
}
