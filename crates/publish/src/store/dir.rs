//! A directory as a destination: one file for each key. For tests, for a look at built objects, and for
//! stores that other tools copy from.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use admit_snapshot::{object::ObjectName, store_key::StoreKey};
use anyhow::{Context, Result};

use super::backend::{Backend, Batch, Checked};
use crate::parallel;

/// Files that are read or written at the same time, so that a disk that syncs each file is kept busy.
const THREADS: usize = 4;

/// The beginning of the names of files that are being written. Keys never begin like this.
const UNFINISHED: &str = ".new-";

/// The file that is locked while a rule is checked and the write that it allows is made.
const LOCK: &str = ".lock";

/// A directory as a backend.
pub struct Dir {
    path: PathBuf,
    /// Whether writes must survive a power cut: always, unless the directory is only for this run.
    is_synced: bool,
    /// Directories whose entries must reach the disk before a head does.
    unsynced: Mutex<BTreeSet<PathBuf>>,
}

impl Dir {
    /// The directory at `path`. The first write creates it.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), is_synced: true, unsynced: Mutex::default() }
    }

    /// A directory that is not needed after this run, so writes do not wait for the disk.
    pub fn unsynced(path: &Path) -> Self {
        Self { is_synced: false, ..Self::new(path) }
    }

    fn file(&self, key: &str) -> PathBuf {
        // Keys consist of letters, digits and one slash.
        self.path.join(key)
    }

    /// Writes a file so that it is complete or absent, whenever the machine stops.
    fn write(&self, key: StoreKey, value: &[u8]) -> io::Result<()> {
        let to = self.file(&key.to_string());
        let parent = to.parent().unwrap_or(&self.path);
        fs::create_dir_all(parent)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let from = parent.join(format!("{UNFINISHED}{:016x}", u64::from_le_bytes(random)));
        let written = OpenOptions::new().write(true).create_new(true).open(&from).and_then(|mut file| {
            file.write_all(value)?;
            if self.is_synced { file.sync_all() } else { Ok(()) }
        });
        if let Err(error) = written.and_then(|()| fs::rename(&from, &to)) {
            // The rest that a full disk leaves would be in the way of the next attempt.
            let _ = fs::remove_file(&from);
            return Err(error);
        }
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.insert(parent.to_owned());
        Ok(())
    }

    /// Makes everything written so far survive a power cut.
    fn sync(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(directory) = unsynced.first() {
            if self.is_synced {
                File::open(directory)?.sync_all()?;
            }
            unsynced.pop_first();
        }
        Ok(())
    }
}

impl Backend for Dir {
    fn get(&self, key: StoreKey) -> Result<Option<Vec<u8>>> {
        let path = self.file(&key.to_string());
        match fs::read(&path) {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn put(&self, key: StoreKey, value: &[u8], _: Option<&str>) -> Result<()> {
        let context = || format!("cannot write {key} into {}", self.path.display());
        if matches!(key, StoreKey::Head | StoreKey::Version(_)) {
            self.sync().with_context(context)?;
        }
        self.write(key, value).with_context(context)?;
        if key == StoreKey::Head {
            self.sync().with_context(context)?;
        }
        Ok(())
    }

    fn delete(&self, key: StoreKey, _: Option<&str>) -> Result<()> {
        let path = self.file(&key.to_string());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot delete {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn batch(&self) -> Batch {
        Batch { objects: 1, bytes: u64::MAX, overhead: 0, bytes_of_three: 3 }
    }

    fn delete_objects(
        &self,
        names: &[ObjectName],
        holder: Option<&str>,
        deleted: &(dyn Fn(usize) + Sync),
    ) -> Result<()> {
        names.iter().try_for_each(|name| {
            self.delete(StoreKey::Object(*name), holder)?;
            deleted(1);
            Ok(())
        })
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let (directory, beginning) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let path = self.path.join(directory);
        let context = || format!("cannot list {}", path.display());
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(context),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.with_context(context)?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.starts_with(beginning))
                && !name.starts_with('.')
            {
                keys.push(if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") });
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn check(&self, names: &[ObjectName], checked: &(dyn Fn(usize) + Sync)) -> Result<Checked> {
        let all = Mutex::new(Checked::default());
        parallel::for_each(names, THREADS, |name| {
            let is_sound = self.get(StoreKey::Object(*name))?.map(|object| name.check(&object).is_ok());
            all.lock().unwrap_or_else(PoisonError::into_inner).note(*name, is_sound);
            checked(1);
            Ok(())
        })?;
        Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn exclusive(&self) -> Result<Option<File>> {
        let path = self.file(LOCK);
        let lock = || {
            fs::create_dir_all(&self.path)?;
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            file.lock()?;
            Ok::<_, io::Error>(file)
        };
        Ok(Some(lock().with_context(|| format!("cannot lock {}", path.display()))?))
    }
}

#[cfg(test)]
mod tests {
    use admit_snapshot::object::ObjectKind;

    use super::*;

    fn dir(test: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("admit-dir-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Dir::new(&path)
    }

    #[test]
    fn values_are_kept_by_key() {
        let dir = dir("values");
        assert_eq!(dir.get(StoreKey::Head).unwrap(), None);
        assert_eq!(dir.keys("version/").unwrap(), [""; 0]);
        dir.put(StoreKey::Version(12), b"a", None).unwrap();
        dir.put(StoreKey::Version(7), b"b", None).unwrap();
        dir.put(StoreKey::Head, b"c", None).unwrap();
        fs::write(dir.file("version/.new-1"), "cut off").unwrap();
        assert_eq!(dir.keys("version/").unwrap(), ["version/12", "version/7"]);
        assert_eq!(dir.keys("version/1").unwrap(), ["version/12"]);
        dir.delete(StoreKey::Version(12), None).unwrap();
        dir.delete(StoreKey::Version(12), None).unwrap();
        assert_eq!(dir.keys("version/").unwrap(), ["version/7"]);
        assert_eq!(dir.get(StoreKey::Head).unwrap().unwrap(), b"c");
        fs::remove_dir_all(&dir.path).unwrap();
    }

    #[test]
    fn objects_are_checked() {
        let dir = dir("checked");
        let object = ObjectKind::Shard.header();
        let name = ObjectName::of(ObjectKind::Shard, &object);
        let absent = ObjectName::of(ObjectKind::Delta, &object);
        dir.put_objects(&[(name, object.to_vec())], None).unwrap();
        let check = || dir.check(&[name, absent], &|_| ()).unwrap();
        assert_eq!(check(), Checked { missing: vec![absent], broken: vec![] });
        fs::write(dir.file(&name.to_string()), "else").unwrap();
        assert_eq!(check(), Checked { missing: vec![absent], broken: vec![name] });
        fs::remove_dir_all(&dir.path).unwrap();
    }
}
