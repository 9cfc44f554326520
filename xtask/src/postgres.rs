//! PostgreSQL for the tests of the database as an origin: the programs of a server, and what the kit's HTTP origin needs.
//! Each test starts a server of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{debian, job, paths::Paths, python};

/// What the tests run.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "pgbench", "psql"];

/// Where Debian has the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The user who runs the server for root.
const USER: &str = "postgres";

/// The packages of the kit's HTTP origin.
const PACKAGES: &str = "examples/postgres/requirements.txt";

/// The directory of the server's programs. Installs Debian's package where root may; `None` where there are none.
pub fn ensure(paths: &Paths) -> Option<PathBuf> {
    let programs = match find() {
        Some(programs) => programs,
        None => {
            let installed =
                debian::install_as_root(paths, &["postgresql"], "installing PostgreSQL", "a minute");
            installed.inspect_err(|error| eprintln!("{error:#}")).ok()?;
            find()?
        }
    };
    // PostgreSQL refuses to run as root.
    let is_root = job::stdout(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    let has_user = || job::stdout(Command::new("id").args(["-u", USER])).is_ok();
    (!is_root || has_user()).then_some(programs)
}

/// A Python with the packages of the kit's HTTP origin. `None` where it cannot be had.
pub fn python(paths: &Paths) -> Option<PathBuf> {
    Some(python::ensure(paths, "postgres-origin", PACKAGES)?.join("bin/python"))
}

/// The directory of a server's programs that is there: of Debian's newest version, or of `pg_config`.
pub fn find() -> Option<PathBuf> {
    let named = job::stdout(Command::new("pg_config").arg("--bindir")).ok().map(PathBuf::from);
    let mut versions: Vec<_> =
        fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort_by_key(|dir| version(dir));
    let debian = versions.into_iter().rev().map(|dir| dir.join("bin"));
    debian.chain(named).find(|dir| PROGRAMS.iter().all(|program| dir.join(program).is_file()))
}

fn version(dir: &Path) -> u32 {
    dir.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let mut dirs = [Path::new("/a/15"), Path::new("/a/9"), Path::new("/a/src")];
        dirs.sort_by_key(|dir| version(dir));
        assert_eq!(dirs, [Path::new("/a/src"), Path::new("/a/9"), Path::new("/a/15")]);
    }
}
