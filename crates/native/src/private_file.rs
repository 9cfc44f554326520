//! Files that hold secrets (keys, tokens, development settings). Only their owner may read them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

/// Writes `text` to the file at `path` so that only its owner can ever read it. An existing file is replaced
/// as a whole, whatever its mode.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", process::id()));
    let beside = PathBuf::from(beside);
    // A process with the same id may have been killed before it could rename its file.
    let _absent = fs::remove_file(&beside);
    // Write beside the file and rename, so that readers see the old or the new secret, never a part.
    let written = create(&beside).and_then(|mut file| file.write_all(text.as_bytes()));
    let moved = written.and_then(|()| fs::rename(&beside, path));
    moved.inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// Creates the file at `path`, which must not exist. Only its owner can read it.
///
/// # Errors
/// The file exists or cannot be created.
pub fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Prints a warning to standard error if users other than the owner can read the file at `path`.
pub fn warn_if_shared(path: &Path) {
    if let Some(problem) = shared(path) {
        eprintln!("warning: {problem}");
    }
}

/// Describes the mode of a secret file that users other than its owner can use. `None` also for a file that
/// cannot be inspected: its reader reports that.
#[must_use]
pub fn shared(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(path).ok()?;
        let mode = metadata.permissions().mode() & 0o777;
        // A pipe, such as the shell's `<(…)`, has no readers but this process.
        (metadata.is_file() && mode & 0o077 != 0).then(|| {
            format!(
                "{0}: users other than its owner have access to this secret (mode {mode:04o}): chmod 600 {0}",
                path.display()
            )
        })
    }
    #[cfg(not(unix))]
    {
        let _unknown = path;
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_owner_reads_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "old and for all").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        for text in ["new", "and again"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        }
        assert!(write(&dir.path().join("absent/secret"), "x").is_err());
    }

    #[test]
    fn every_bit_for_others_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        drop(create(&path).unwrap());
        assert!(create(&path).is_err(), "a file that is there stays");
        for (mode, is_told) in [
            (0o600, false),
            (0o400, false),
            (0o640, true),
            (0o604, true),
            (0o644, true),
            (0o660, true),
            (0o610, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let problem = shared(&path);
            assert_eq!(problem.is_some(), is_told, "{mode:o}: {problem:?}");
            assert!(problem.is_none_or(|problem| problem.contains(&format!("{mode:04o}"))));
        }
        assert_eq!(shared(dir.path()), None, "a directory holds no secret itself");
        assert_eq!(shared(&dir.path().join("absent")), None);
    }
}
