//! Where things are: the repository, its target directory and the user's cache.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::job;

/// The directories that every command works with.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target directory, which `CARGO_TARGET_DIR` or Cargo's configuration may move.
    pub target: PathBuf,
    /// This program. Asked once: a nested `cargo test` replaces the file, and then Linux calls it deleted.
    pub exe: PathBuf,
    /// What is costly to make and shared by all clones: tools and the Wasm standard library.
    pub cache: PathBuf,
}

impl Paths {
    /// Finds the directories.
    ///
    /// # Errors
    /// Cargo cannot describe the workspace, or no cache directory is known.
    pub fn find() -> Result<Self> {
        let exe = env::current_exe().context("this program does not know where it is")?;
        let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest_dir.parent().context("xtask has no parent directory")?.to_owned();
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
        let metadata: Value = serde_json::from_str(&job::stdout(cargo.current_dir(&root))?)?;
        let target = metadata.get("target_directory").and_then(Value::as_str);
        let target = target.context("cargo metadata names no target directory")?.into();
        Ok(Self { root, target, exe, cache: cache_dir()? })
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

fn cache_dir() -> Result<PathBuf> {
    // An empty variable counts as unset, as the XDG specification says.
    let var = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = var("ADMIT_CACHE") {
        return std::path::absolute(dir).context("ADMIT_CACHE is no usable path");
    }
    var("XDG_CACHE_HOME")
        .or_else(|| Some(var("HOME")?.join(".cache")))
        .map(|dir| dir.join("admit"))
        .ok_or_else(|| anyhow!("no cache directory: set ADMIT_CACHE or HOME"))
}
