//! `cargo xtask dist`: the files of a release.
//!
//! [`worker`] gathers a Worker that needs no build, [`binaries`] the programs. Both write an [`archive`], which comes out
//! the same from the same commit, with a list of its parts ([`sbom`]) and the names of its [`release`].

mod archive;
mod binaries;
mod lock;
pub mod release;
mod sbom;
mod worker;
mod wrangler_toml;
mod zig;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Result;

use self::release::Release;
use crate::{native, node, paths::Paths, server};

/// Arguments of `cargo xtask dist`.
#[derive(clap::Args)]
pub struct Args {
    /// Only this part
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// The directory for the files [default: dist in the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build the Worker even if nothing has changed
    #[arg(long)]
    force: bool,
    /// Build the programs for this target only, such as aarch64-unknown-linux-musl
    #[arg(long, value_name = "TARGET", conflicts_with = "force")]
    target: Option<String>,
}

/// A part of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The Worker, with its console, ready to be deployed
    Worker,
    /// The programs `admit` and `origin`
    Binaries,
}

/// Runs `cargo xtask dist`.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let release = Release::of(&paths)?;
    let out = args.out.clone().unwrap_or_else(|| paths.target.join("dist"));
    let mut is_whole = true;
    if args.only != Some(Part::Binaries) && args.target.is_none() {
        println!("{}", paths.shown(&worker::make(&paths, &release, &out, args.force)?));
    }
    if args.only != Some(Part::Worker) {
        let made = binaries::make(&paths, &release, &out, args.target.as_deref())?;
        is_whole = made.iter().all(Option::is_some);
        for archive in made.iter().flatten() {
            println!("{}", paths.shown(archive));
        }
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the Worker's archive in two directories, built anew for the second one; says where the first one is.
pub fn twice(paths: &Paths, dirs: &[PathBuf; 2]) -> Result<PathBuf> {
    let release = Release::of(paths)?;
    let [first, again] = dirs;
    for dir in dirs {
        let _absent = fs::remove_dir_all(dir);
    }
    let archive = worker::make(paths, &release, first, false)?;
    worker::make(paths, &release, again, true)?;
    Ok(archive)
}

/// Makes the archive with this machine's programs in `dir`, unoptimised. `None` where it cannot be made.
pub fn programs(paths: &Paths, dir: &Path) -> Result<Option<PathBuf>> {
    let Some(target) = binaries::native_target() else { return Ok(None) };
    let _absent = fs::remove_dir_all(dir);
    binaries::for_tests(paths, &Release::of(paths)?, dir, target)
}

/// The command that runs the Worker of `archive` with origin and publisher, asks what every sample viewer expects, and ends.
pub fn dev(paths: &Paths, archive: &Path) -> Result<Command> {
    let mut dev = Command::new(&paths.exe);
    dev.args(["dev", "--check", "--port", &server::free_port(0)?.to_string(), "--worker"]).arg(archive);
    dev.arg("--dir").arg(paths.target.join("test-release")).current_dir(&paths.root);
    Ok(dev)
}

/// The command that runs the tests of `files` with both archives and the command `admit`.
pub fn tests(paths: &Paths, dirs: &[PathBuf; 2], files: Vec<PathBuf>) -> Result<Command> {
    let (program, _) = node::runtime(paths)?;
    let mut tests = Command::new(program);
    node::apply(paths, &mut tests)?;
    let [first, again] = dirs;
    tests.arg("--test").args(files).current_dir(&paths.root);
    tests.env("ADMIT_DIST", first).env("ADMIT_DIST_AGAIN", again).env("CARGO_TARGET_DIR", &paths.target);
    tests.env("ADMIT_COMMAND", native::admit(paths, true)?);
    Ok(tests)
}
