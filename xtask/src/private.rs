//! Files with secrets of the development stack, which only their owner may read. `admit` has the like, but this program is
//! built before it.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// Read and write, for the owner.
const MODE: u32 = 0o600;

/// Writes `text` to the file at `path`, in place: wrangler watches `.dev.vars`.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(path)?;
    // A file that was there keeps its mode otherwise.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())
}

/// Takes a file that an earlier version wrote away from other users.
pub fn restrict(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(MODE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_reads_secrets_old_and_new() {
        let path = std::env::temp_dir().join(format!("admit-private-{}", std::process::id()));
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(&path, "new").unwrap();
        assert_eq!(mode(), MODE);
        for restrict_again in [true, false] {
            fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            if restrict_again {
                restrict(&path).unwrap()
            } else {
                write(&path, "n").unwrap()
            }
            assert_eq!(mode(), MODE);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "n");
        fs::remove_file(&path).unwrap();
    }
}
