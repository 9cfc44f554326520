//! An archive that comes out the same from the same files: sorted names, one time, no owners.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// Modes of a file, and of a program.
const MODES: (u32, u32) = (0o644, 0o755);

/// The list of checksums in an archive, as `sha256sum --check` reads it.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// Files below one directory.
#[derive(Debug)]
pub struct Archive {
    root: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    is_program: bool,
}

impl Archive {
    /// An archive whose files are in the directory `root`.
    pub const fn new(root: String) -> Self {
        Self { root, files: BTreeMap::new() }
    }

    /// Adds a text or bytes as a file.
    pub fn add(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), Entry { bytes: bytes.into(), is_program: false });
    }

    /// Adds a program.
    pub fn add_program(&mut self, name: impl Into<String>, path: &Path) -> Result<()> {
        self.files.insert(name.into(), Entry { bytes: read(path)?, is_program: true });
        Ok(())
    }

    /// Adds a file of the disk.
    pub fn add_file(&mut self, name: impl Into<String>, path: &Path) -> Result<()> {
        self.add(name, read(path)?);
        Ok(())
    }

    /// Adds the files below a directory of the disk, under `prefix` unless it is empty.
    pub fn add_dir(&mut self, prefix: &str, dir: &Path) -> Result<()> {
        let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if path.is_dir() {
                self.add_dir(&name, &path)?;
            } else {
                self.add_file(name, &path)?;
            }
        }
        Ok(())
    }

    /// Adds the checksums of all files so far.
    pub fn add_checksums(&mut self) {
        let line = |(name, entry): (&String, &Entry)| format!("{}  {name}\n", sha256(&entry.bytes));
        let lines: String = self.files.iter().map(line).collect();
        self.add(CHECKSUMS, lines);
    }

    /// Writes `<root>.tar.gz` into `dir`, all files of the moment `time` (unix seconds), and its own checksum beside it.
    pub fn write(&self, dir: &Path, time: u64) -> Result<PathBuf> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let name = format!("{}.tar.gz", self.root);
        let path = dir.join(&name);
        let bytes = self.bytes(time)?;
        let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(&bytes)?;
        fs::write(dir.join(format!("{name}.sha256")), format!("{}  {name}\n", sha256(&bytes)))?;
        Ok(path)
    }

    fn bytes(&self, time: u64) -> Result<Vec<u8>> {
        // gzip's own header has neither a name nor a time.
        let encoder = GzBuilder::new().write(Vec::new(), Compression::best());
        let mut tar = Builder::new(encoder);
        for (name, entry) in &self.files {
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_size(entry.bytes.len() as u64);
            header.set_mode(if entry.is_program { MODES.1 } else { MODES.0 });
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            tar.append_data(&mut header, format!("{}/{name}", self.root), entry.bytes.as_slice())?;
        }
        Ok(tar.into_inner()?.finish()?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_additions_does_not_matter_and_contents_do() {
        let archive = |files: &[(&str, &str)]| {
            let mut archive = Archive::new("a-1".into());
            files.iter().for_each(|(name, text)| archive.add(*name, *text));
            archive.add_checksums();
            archive.bytes(1_900_000_000).unwrap()
        };
        let one = archive(&[("b", "2"), ("a/c", "1")]);
        assert_eq!(one, archive(&[("a/c", "1"), ("b", "2")]));
        assert_ne!(one, archive(&[("a/c", "1"), ("b", "3")]));
        let mut unpacked = tar::Archive::new(flate2::read::GzDecoder::new(one.as_slice()));
        let entries = unpacked.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let path = entry.path().unwrap().display().to_string();
            (path, header.mtime().unwrap(), header.uid().unwrap(), header.mode().unwrap())
        });
        let expected = ["a-1/SHA256SUMS", "a-1/a/c", "a-1/b"];
        assert_eq!(
            entries.collect::<Vec<_>>(),
            expected.map(|name| (name.to_owned(), 1_900_000_000, 0, 0o644))
        );
    }

    #[test]
    fn checksums_are_those_of_sha256sum() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
