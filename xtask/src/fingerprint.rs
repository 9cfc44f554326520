//! A hash of files' contents, to see whether the output that was made from them is up to date.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::paths::Paths;

/// A hash of contents, not of times, which a checkout changes.
pub struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// The text that stands for these files and directories of the repository. A missing one counts as empty.
    pub fn of(paths: &Paths, inputs: &[&str]) -> Result<String> {
        let mut fingerprint = Self::with(());
        fingerprint.add_files(paths, inputs)?;
        Ok(fingerprint.finish())
    }

    /// Begins with a value that matters beside the files.
    pub fn with(value: impl Hash) -> Self {
        let mut fingerprint = Self(DefaultHasher::new());
        fingerprint.add(value);
        fingerprint
    }

    /// Adds a value.
    pub fn add(&mut self, value: impl Hash) {
        value.hash(&mut self.0);
    }

    /// Adds names and contents of files.
    pub fn add_files(&mut self, paths: &Paths, inputs: &[&str]) -> Result<()> {
        let mut files = Vec::new();
        for input in inputs {
            collect(&paths.in_root(input), &mut files)?;
        }
        files.sort();
        for file in files {
            let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            self.add((file, bytes));
        }
        Ok(())
    }

    /// The text of the hash.
    pub fn finish(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.exists() {
        files.push(path.to_owned());
    }
    Ok(())
}
