//! A directory outside the clone for data, which goes when the benchmark ends, however it ends.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use xtask::paths::Paths;

/// The directory. Dropping it removes it.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// An empty directory in the tool cache.
    pub fn new(paths: &Paths) -> Result<Self> {
        let dir = paths.cache.join("bench").join(format!("run-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _kept = fs::remove_dir_all(&self.0);
    }
}
