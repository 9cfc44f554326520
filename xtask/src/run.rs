//! One run of `cargo xtask dev`: its directory, whether it runs still, and its addresses for other commands.
//!
//! A running `dev` holds a lock on `run.lock` in its directory, and describes itself in `run.json`. The operating
//! system releases the lock however `dev` ends.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::paths::Paths;

/// wrangler's own default.
pub const DEFAULT_PORT: u16 = 8787;

const LOCK_FILE: &str = "run.lock";
const RUN_FILE: &str = "run.json";

/// Which run of `cargo xtask dev` is meant. Without either option it is the one that runs.
#[derive(clap::Args, Debug, Default)]
pub struct Selection {
    /// The Worker's port
    #[arg(long)]
    pub port: Option<u16>,
    /// The run's directory, for state and logs [default: target/dev; for another port than 8787 target/dev/port-N]
    #[arg(long, env = "ADMIT_DEV_DIR")]
    pub dir: Option<PathBuf>,
}

impl Selection {
    /// The directory of the run on `port`. Two Workers must not share one store, so each port has its own.
    pub fn dir(&self, paths: &Paths, port: u16) -> Result<PathBuf> {
        match &self.dir {
            Some(dir) => std::path::absolute(dir).with_context(|| format!("--dir {}", dir.display())),
            None if port == DEFAULT_PORT => Ok(paths.dev()),
            None => Ok(paths.dev().join(format!("port-{port}"))),
        }
    }

    /// The option by which other commands find the run on `port`, with a space before it.
    pub fn option(&self, paths: &Paths, port: u16) -> String {
        match &self.dir {
            Some(dir) => format!(" --dir {}", paths.shown(dir)),
            None if port == DEFAULT_PORT => String::new(),
            None => format!(" --port {port}"),
        }
    }

    /// The directories that may be meant.
    fn candidates(&self, paths: &Paths) -> Result<Vec<PathBuf>> {
        if self.dir.is_some() || self.port.is_some() {
            return Ok(vec![self.dir(paths, self.port.unwrap_or(DEFAULT_PORT))?]);
        }
        let dev = paths.dev();
        let entries = fs::read_dir(&dev).into_iter().flatten().flatten().map(|entry| entry.path());
        let ports = entries
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("port-")));
        let mut dirs: Vec<_> = ports.collect();
        dirs.sort();
        dirs.insert(0, dev);
        Ok(dirs)
    }
}

/// A run's description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its directory.
    pub dir: PathBuf,
    /// Where the Worker answers, without a slash at the end.
    pub edge_url: String,
    /// Where the origin answers, if there is one.
    pub origin_url: Option<String>,
    /// The reference origin's program, if that is the origin.
    pub origin_program: Option<PathBuf>,
    /// Its database.
    pub origin_database: Option<PathBuf>,
}

impl Run {
    /// The one run that is meant and that goes on.
    pub fn running(paths: &Paths, selection: &Selection) -> Result<Self> {
        let dirs = selection.candidates(paths)?;
        let mut running: Vec<_> =
            dirs.iter().filter(|dir| is_locked(dir)).filter_map(|dir| Self::read(dir).ok()).collect();
        match (running.pop(), running.as_slice()) {
            (Some(run), []) => Ok(run),
            (Some(last), [first, ..]) => {
                bail!(
                    "several `cargo xtask dev` run, at {} and {}: choose with --port",
                    first.edge_url,
                    last.edge_url
                )
            }
            (None, _) => {
                let dirs = dirs.iter().map(|dir| paths.shown(dir)).collect::<Vec<_>>().join(", ");
                bail!("no `cargo xtask dev` runs in {dirs}: start it, or name its directory with --dir")
            }
        }
    }

    /// The run that was the last in `dir`.
    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(RUN_FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            dir: dir.to_owned(),
            edge_url: text("edge_url").with_context(|| format!("{} has no edge_url", path.display()))?,
            origin_url: text("origin_url"),
            origin_program: text("origin_program").map(PathBuf::from),
            origin_database: text("origin_database").map(PathBuf::from),
        })
    }

    /// Tells other commands and programs that the run goes on.
    pub fn write(&self) -> Result<()> {
        let value = json!({
            "edge_url": self.edge_url,
            "origin_url": self.origin_url,
            "origin_program": self.origin_program,
            "origin_database": self.origin_database,
        });
        let path = self.dir.join(RUN_FILE);
        fs::write(&path, serde_json::to_string_pretty(&value)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Takes a directory for one run, for as long as the file that is returned lives.
pub fn take(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join(LOCK_FILE);
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let at = Run::read(dir).map_or_else(|_| String::new(), |run| format!(" at {}", run.edge_url));
            bail!(
                "another `cargo xtask dev` runs in {}{at}: stop it, or choose another --port",
                dir.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    // Until this run has something to tell.
    let _absent = fs::remove_file(dir.join(RUN_FILE));
    Ok(file)
}

fn is_locked(dir: &Path) -> bool {
    let file = File::open(dir.join(LOCK_FILE));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Arguments of `cargo xtask url`.
#[derive(clap::Args)]
pub struct UrlArgs {
    /// Whose address
    #[arg(value_enum, default_value = "edge")]
    of: Server,
    #[command(flatten)]
    selection: Selection,
}

#[derive(clap::ValueEnum, Clone, Copy)]
enum Server {
    Edge,
    Origin,
}

/// Runs `cargo xtask url`: prints an address of a running `dev`.
pub fn print_url(args: &UrlArgs) -> Result<ExitCode> {
    let run = Run::running(&Paths::find()?, &args.selection)?;
    let url = match args.of {
        Server::Edge => run.edge_url,
        Server::Origin => run.origin_url.context("this `cargo xtask dev` runs without an origin")?,
    };
    println!("{url}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    fn paths(test: &str) -> Paths {
        let root = env::temp_dir().join(format!("admit-xtask-{test}-{}", process::id()));
        let _absent = fs::remove_dir_all(&root);
        Paths { target: root.join("target"), exe: root.join("xtask"), cache: root.join("cache"), root }
    }

    fn begin(paths: &Paths, port: u16) -> File {
        let dir = Selection::default().dir(paths, port).unwrap();
        let lock = take(&dir).unwrap();
        let edge_url = format!("http://127.0.0.1:{port}");
        Run { dir, edge_url, origin_url: None, origin_program: None, origin_database: None }.write().unwrap();
        lock
    }

    #[test]
    fn the_run_that_goes_on_is_found_whatever_its_port() {
        let paths = paths("run");
        let any = Selection::default();
        let error = Run::running(&paths, &any).unwrap_err().to_string();
        assert!(error.starts_with("no `cargo xtask dev` runs in target/dev"), "{error}");

        let ended = begin(&paths, DEFAULT_PORT);
        drop(ended);
        let other = begin(&paths, 8790);
        assert_eq!(Run::running(&paths, &any).unwrap().edge_url, "http://127.0.0.1:8790");

        let first = begin(&paths, DEFAULT_PORT);
        let error = Run::running(&paths, &any).unwrap_err().to_string();
        assert!(error.contains("choose with --port"), "{error}");
        let chosen = Selection { port: Some(8790), dir: None };
        assert_eq!(Run::running(&paths, &chosen).unwrap().edge_url, "http://127.0.0.1:8790");
        let error = take(&paths.dev()).unwrap_err().to_string();
        assert!(error.contains("another `cargo xtask dev` runs in"), "{error}");
        assert!(error.contains("http://127.0.0.1:8787"), "{error}");

        assert_eq!(any.option(&paths, DEFAULT_PORT), "");
        assert_eq!(any.option(&paths, 8790), " --port 8790");
        let in_dir = Selection { port: None, dir: Some("elsewhere".into()) };
        assert_eq!(in_dir.option(&paths, 8790), " --dir elsewhere");

        drop(other);
        assert_eq!(Run::running(&paths, &any).unwrap().edge_url, "http://127.0.0.1:8787");
        drop(first);
        fs::remove_dir_all(&paths.root).unwrap();
    }
}
