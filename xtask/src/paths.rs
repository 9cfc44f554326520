//! Where things are: the repository, its target directory and the user's cache.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::{job, step::Step};

/// The directories that every command works with.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target directory, which `CARGO_TARGET_DIR` or Cargo's configuration may move.
    pub target: PathBuf,
    /// This program. Asked once: a nested `cargo test` replaces the file, and then Linux calls it deleted.
    pub exe: PathBuf,
    /// Tools and the Wasm standard library: costly to make, and shared by all clones.
    pub cache: PathBuf,
}

impl Paths {
    /// Finds the directories.
    pub fn find() -> Result<Self> {
        let exe = env::current_exe().context("this program does not know where it is")?;
        let root = find_root()?;
        let metadata = metadata(&root)?;
        let target = metadata.get("target_directory").and_then(Value::as_str);
        let target = target.context("cargo metadata names no target directory")?.into();
        Ok(Self { root, target, exe, cache: cache_dir()? })
    }

    /// Cleans our target directory of the packages that another checkout compiled: Cargo takes a copied
    /// directory for fresh, and then tests read the files and run the programs of the checkout that it was copied from.
    pub fn claim_target(&self) -> Result<()> {
        let stamp = self.target.join("xtask").join("checkout");
        let ours = self.root.display().to_string();
        let owner = fs::read_to_string(&stamp).ok();
        if owner.as_deref() == Some(ours.as_str()) {
            return Ok(());
        }
        if owner.is_some() {
            let metadata = metadata(&self.root)?;
            let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
            let names = packages.filter_map(|package| package.get("name")?.as_str());
            let mut clean = Command::new("cargo");
            clean.arg("clean").current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
            // This program runs still, and will start guards.
            for name in names.filter(|name| *name != env!("CARGO_PKG_NAME")) {
                clean.args(["--package", name]);
            }
            Step::new(self, "clean", "removing what another checkout compiled", "seconds").run(&mut clean)?;
        }
        fs::create_dir_all(self.target.join("xtask"))?;
        fs::write(&stamp, ours).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// A file or directory in the repository.
    pub fn in_root(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Keys, state and logs of the local Worker.
    pub fn dev(&self) -> PathBuf {
        self.target.join("dev")
    }

    /// Logs of set-up and build steps.
    pub fn logs(&self) -> PathBuf {
        self.target.join("xtask").join("logs")
    }

    /// `path` as a person at the repository's root would type it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

fn metadata(root: &Path) -> Result<Value> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    Ok(serde_json::from_str(&job::stdout(cargo.current_dir(root))?)?)
}

/// The checkout that we were called in: Cargo's, if Cargo runs us, else the one around the current directory. Not the
/// one that we were compiled in, because a copied target directory holds the program of the other checkout.
fn find_root() -> Result<PathBuf> {
    // Set by `cargo run`; under a test or a script of another package it says nothing about us.
    let is_ours = env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
    let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").filter(|_| is_ours).map(PathBuf::from);
    let start = manifest_dir.map_or_else(env::current_dir, Ok).context("there is no current directory")?;
    root_above(&start).with_context(|| {
        format!("{} is not inside a checkout of Admit: call `cargo xtask` in one", start.display())
    })
}

/// The nearest directory at or above `dir` whose workspace has this package.
fn root_above(dir: &Path) -> Option<PathBuf> {
    let is_root = |dir: &Path| {
        let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
        manifest.lines().any(|line| line.trim() == "[workspace]") && dir.join("xtask/Cargo.toml").is_file()
    };
    dir.ancestors().find(|dir| is_root(dir)).map(Path::to_owned)
}

fn cache_dir() -> Result<PathBuf> {
    // An empty variable counts as unset, as the XDG specification says.
    let var = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = var("ADMIT_CACHE") {
        return std::path::absolute(dir).context("ADMIT_CACHE is not a usable path");
    }
    var("XDG_CACHE_HOME")
        .or_else(|| Some(var("HOME")?.join(".cache")))
        .map(|dir| dir.join("admit"))
        .ok_or_else(|| anyhow!("no cache directory: set ADMIT_CACHE or HOME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_the_nearest_one_above() {
        let here = env::current_dir().unwrap();
        let root = root_above(&here).unwrap();
        assert_eq!(root.join("xtask"), here, "Cargo runs tests in their package's directory");
        assert_eq!(root_above(&here.join("src/bench")).as_ref(), Some(&root));
        // The workspace's directory itself has both marks, a package in it has one of them.
        assert_eq!(root_above(&root).as_ref(), Some(&root));
        assert_eq!(root_above(Path::new("/")), None);
    }
}
