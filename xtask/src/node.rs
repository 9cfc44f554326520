//! The JavaScript tools of `package.json` and a Node.js that is new enough to run them.

use std::{
    env::consts::{ARCH, OS},
    fs,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{job, paths::Paths, step::Step};

/// The oldest Node.js that wrangler and jsdom accept. Ours comes from npm on common machines.
const OLDEST: (u32, u32) = (24, 15);

/// Installs the packages unless they are what `package-lock.json` says.
pub fn ensure(paths: &Paths) -> Result<()> {
    if installed(paths) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    // No install scripts: none of the packages needs its own, and none gets to run code here.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    Step::new(paths, "npm", "installing npm packages", "about a minute")
        .run(npm.current_dir(&paths.root))
        .context("npm is needed: it comes with Node.js, https://nodejs.org")?;
    fs::copy(paths.in_root("package-lock.json"), stamp(paths)).context("cannot stamp node_modules")?;
    Ok(())
}

/// Whether `node_modules` was made from the present lock file.
pub fn installed(paths: &Paths) -> bool {
    let wanted = fs::read(paths.in_root("package-lock.json"));
    matches!((wanted, fs::read(stamp(paths))), (Ok(wanted), Ok(have)) if wanted == have)
}

fn stamp(paths: &Paths) -> PathBuf {
    paths.in_root("node_modules/.admit-lock.json")
}

/// A command of an npm package.
pub fn bin(paths: &Paths, name: &str) -> PathBuf {
    bin_dir(paths).join(name)
}

/// The directory that must be first on `PATH` for a JavaScript tool: npm puts its Node.js there too, as `node`.
pub fn bin_dir(paths: &Paths) -> PathBuf {
    paths.in_root("node_modules/.bin")
}

/// The Node.js that runs our tools, with its version.
pub fn runtime(paths: &Paths) -> Result<(PathBuf, String)> {
    let own = bin(paths, "node");
    let program = if own.exists() { own } else { PathBuf::from("node") };
    let version = job::stdout(Command::new(&program).arg("--version"))?;
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|n| n.parse().ok());
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if (major, minor) < OLDEST {
        bail!("Node.js {}.{} or newer is needed, {} is {version}", OLDEST.0, OLDEST.1, program.display());
    }
    Ok((program, version))
}

/// A command line of esbuild, to be completed.
pub fn esbuild_command(paths: &Paths) -> Result<Command> {
    let mut command = Command::new(esbuild(paths));
    apply(paths, &mut command)?;
    Ok(command)
}

/// esbuild's own program: the command that npm makes is a script that starts it.
pub fn esbuild(paths: &Paths) -> PathBuf {
    let arch = match ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let os = if OS == "macos" { "darwin" } else { OS };
    let native = paths.in_root(&format!("node_modules/@esbuild/{os}-{arch}/bin/esbuild"));
    if native.exists() { native } else { bin(paths, "esbuild") }
}

/// Makes `command` find the JavaScript tools, and keeps them quiet: no questions, no colours, no statistics sent.
pub fn apply(paths: &Paths, command: &mut Command) -> Result<()> {
    command.env("PATH", job::path_with([bin_dir(paths).as_path()])?);
    command.env("WRANGLER_SEND_METRICS", "false").env("CI", "1").env("NO_COLOR", "1");
    Ok(())
}

/// The version in an installed package's manifest.
pub fn package_version(paths: &Paths, package: &str) -> Option<String> {
    let manifest = paths.in_root("node_modules").join(package).join("package.json");
    let text = fs::read_to_string(manifest).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(value.get("version")?.as_str()?.to_owned())
}
