//! Keeps built objects in a temporary file, because a whole snapshot may be larger than the memory.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use admit_snapshot::object::ObjectName;
use anyhow::{Context, Result};

use super::upload::Objects;
use crate::{
    build::ObjectSink,
    peer::into_io,
    store::{Store, reach::read},
};

/// Receives built objects. Those that are already published are not kept.
pub struct Kept {
    dir: PathBuf,
    published: HashSet<ObjectName>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    places: HashMap<ObjectName, (u64, usize)>,
    end: u64,
}

impl Kept {
    /// Keeps objects in an unnamed temporary file in `dir`, except those in `published`.
    pub fn new(dir: &Path, published: HashSet<ObjectName>) -> Self {
        Self { dir: dir.to_owned(), published, state: Mutex::default() }
    }

    /// The objects that are already published.
    pub const fn published(&self) -> &HashSet<ObjectName> {
        &self.published
    }

    /// Some of the objects, each once, in this order.
    pub fn objects(&self, names: &[(ObjectName, u64)]) -> BuiltObjects<'_> {
        let mut seen = HashSet::new();
        let names = names.iter().copied().filter(|(name, _)| seen.insert(*name)).collect();
        BuiltObjects { kept: self, names }
    }

    /// An object of the new version, which is kept here or already published in `store`.
    ///
    /// # Errors
    /// The object cannot be read.
    pub fn read_or(&self, name: ObjectName, store: &Store) -> io::Result<Vec<u8>> {
        let object = if self.published.contains(&name) { read(store, name) } else { self.read(name) };
        object.map_err(into_io)
    }

    fn write(&self, name: ObjectName, object: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.places.contains_key(&name) {
            return Ok(());
        }
        let file = match state.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.dir)?,
        };
        let offset = state.end;
        let written = file.write_all_at(object, offset);
        state.file = Some(file);
        written?;
        state.end = offset + object.len() as u64;
        state.places.insert(name, (offset, object.len()));
        Ok(())
    }

    fn read(&self, name: ObjectName) -> Result<Vec<u8>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (offset, len) = state.places.get(&name).with_context(|| format!("{name} was not built"))?;
        let file = state.file.as_ref().context("no object was built")?;
        let mut object = vec![0; *len];
        file.read_exact_at(&mut object, *offset).context("cannot read the temporary file")?;
        Ok(object)
    }
}

impl ObjectSink for Kept {
    fn store(&self, name: ObjectName, object: Vec<u8>) -> io::Result<()> {
        if self.published.contains(&name) {
            return Ok(());
        }
        self.write(name, &object).map_err(|error| {
            io::Error::new(error.kind(), format!("temporary file in {}: {error}", self.dir.display()))
        })
    }
}

/// The objects of a build, for the upload.
pub struct BuiltObjects<'a> {
    kept: &'a Kept,
    names: Vec<(ObjectName, u64)>,
}

impl Objects for BuiltObjects<'_> {
    fn names(&self) -> &[(ObjectName, u64)] {
        &self.names
    }

    fn read(&self, name: ObjectName) -> Result<Vec<u8>> {
        self.kept.read(name)
    }
}

/// Counts as a destination, but drops the objects, for callers that need only their names.
pub struct Forgotten;

impl ObjectSink for Forgotten {
    fn store(&self, _: ObjectName, _: Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use admit_snapshot::object::ObjectKind;

    use super::*;

    #[test]
    fn what_is_not_published_yet_is_kept_once() {
        let object = |byte: u8| (ObjectName::of(ObjectKind::Shard, &[byte; 9]), vec![byte; 9]);
        let kept = Kept::new(&std::env::temp_dir(), HashSet::from([object(1).0]));
        for byte in [1, 2, 3, 2] {
            let (name, bytes) = object(byte);
            kept.store(name, bytes).unwrap();
        }
        let names: Vec<_> = [1, 2, 3, 2].map(|byte| (object(byte).0, 9)).to_vec();
        let objects = kept.objects(&names);
        assert_eq!(objects.names().len(), 3);
        assert!(objects.read(object(1).0).is_err());
        assert_eq!(objects.read(object(2).0).unwrap(), [2; 9]);
        assert_eq!(objects.read(object(3).0).unwrap(), [3; 9]);
        assert_eq!(kept.state.lock().unwrap().end, 18);
    }
}
