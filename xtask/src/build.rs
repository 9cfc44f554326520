//! `cargo xtask build`: the Worker's release build, and the console's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::{
    console, deploy_check,
    fingerprint::Fingerprint,
    node,
    paths::Paths,
    rust::WasmRust,
    setup, shrink,
    size::Size,
    step::Step,
    tools::{WASM_BINDGEN, WORKER_BUILD},
};

/// The sources of the Worker.
pub const INPUTS: [&str; 10] = [
    "src",
    "crates/playback/src",
    "crates/playback/Cargo.toml",
    "crates/snapshot/src",
    "crates/snapshot/Cargo.toml",
    "crates/token/src",
    "crates/token/Cargo.toml",
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
];

/// The module that worker-build makes.
const GENERATED: &str = "build/generated.js";

/// Our modules: where they are, and their names beside it.
const MODULES: [(&str, &str); 7] = [
    ("src/worker/entry.js", "build/index.js"),
    ("src/worker/console.mjs", "build/console.mjs"),
    ("src/worker/fresh.mjs", "build/fresh.mjs"),
    ("src/worker/head_keeper.mjs", "build/head_keeper.mjs"),
    ("src/worker/known.mjs", "build/known.mjs"),
    ("src/worker/points.mjs", "build/points.mjs"),
    ("src/worker/rpc.mjs", "build/rpc.mjs"),
];

/// The files that are deployed, in `build`.
pub const DEPLOYED: [&str; 9] = [
    "index.js",
    "generated.js",
    "console.mjs",
    "fresh.mjs",
    "head_keeper.mjs",
    "known.mjs",
    "points.mjs",
    "rpc.mjs",
    "index_bg.wasm",
];

/// The profile of `Cargo.toml` that everything for Wasm is built with.
pub const PROFILE: &str = "worker";

/// Arguments of `cargo xtask build`.
#[derive(clap::Args)]
pub struct Args {
    /// For wrangler's build command: say nothing unless it fails, and leave the size alone
    #[arg(long)]
    for_wrangler: bool,
    /// The environment that is deployed, for `build.command` of [env.NAME]; its configuration is checked first
    #[arg(long, value_name = "NAME", requires = "for_wrangler")]
    env: Option<String>,
    /// Build even if nothing has changed
    #[arg(long)]
    force: bool,
}

/// Runs `cargo xtask build`.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    if args.for_wrangler {
        deploy_check::before_deploy(&paths, args.env.as_deref())?;
    }
    let rust = setup::build_tools(&paths)?;
    console::build(&paths, args.force, args.for_wrangler)?;
    let built = worker(&paths, &rust, args.force, args.for_wrangler)?;
    if !args.for_wrangler {
        let wasm = wasm(&paths);
        let size = Size::of(&wasm)?;
        let state = if built { "" } else { " (unchanged)" };
        println!("{}: {}{state}", paths.shown(&wasm), size.describe());
        size.check()?;
        println!("{}: {}", console::ASSETS, console::check(&paths)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The Worker's Wasm module.
pub fn wasm(paths: &Paths) -> PathBuf {
    paths.in_root("build/index_bg.wasm")
}

/// Builds the Worker unless it is up to date; says whether it did.
pub fn worker(paths: &Paths, rust: &WasmRust, force: bool, quiet: bool) -> Result<bool> {
    rust.clean_if_changed(paths)?;
    let stamp = paths.target.join("xtask").join("worker.stamp");
    let inputs = fingerprint(paths, rust)?;
    let exists = DEPLOYED.iter().all(|file| paths.in_root("build").join(file).exists());
    if !force && exists && fs::read_to_string(&stamp).ok().as_ref() == Some(&inputs) {
        return Ok(false);
    }
    let _absent = fs::remove_file(&stamp);
    let mut command = worker_build(paths, rust)?;
    // `shrink` optimises, with other rules for what is inlined.
    command.arg("--no-opt").current_dir(&paths.root);
    Step::new(paths, "worker-build", "building the Worker", "a minute at first, then seconds")
        .quietly(quiet)
        .run(&mut command)?;
    if !wasm(paths).exists() {
        bail!("worker-build left no {}", wasm(paths).display());
    }
    shrink::shrink(paths, &wasm(paths), quiet)?;
    put_entry(paths)?;
    fs::write(&stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(true)
}

/// worker-build, with the profile and the tools that everything for Wasm is built with.
pub fn worker_build(paths: &Paths, rust: &WasmRust) -> Result<Command> {
    let mut command = Command::new(WORKER_BUILD.path(paths));
    rust.apply(&mut command, &[&node::bin_dir(paths)])?;
    command
        .args(["--profile", PROFILE])
        .env("WASM_BINDGEN_BIN", WASM_BINDGEN.path(paths))
        .env("WASM_OPT_BIN", node::bin(paths, "wasm-opt"))
        .env("ESBUILD_BIN", node::esbuild(paths))
        .env("CARGO_TARGET_DIR", &paths.target)
        .env("CARGO_ENCODED_RUSTFLAGS", remapped(paths)?.join("\x1f"));
    Ok(command)
}

/// Options of rustc by which panics do not name directories of this machine.
pub fn remapped(paths: &Paths) -> Result<[String; 2]> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([remap(&cargo_home()?, "/cargo"), remap(&paths.root, "/admit")])
}

fn cargo_home() -> Result<PathBuf> {
    let home = |name| std::env::var_os(name).map(PathBuf::from);
    home("CARGO_HOME").or_else(|| Some(home("HOME")?.join(".cargo"))).context("HOME is not set")
}

/// Puts our entry in the place of the generated one, which it imports (docs/adr/0010).
fn put_entry(paths: &Paths) -> Result<()> {
    fs::rename(paths.in_root("build/index.js"), paths.in_root(GENERATED))
        .context("cannot rename what worker-build made")?;
    for (from, to) in MODULES {
        fs::copy(paths.in_root(from), paths.in_root(to)).with_context(|| format!("cannot copy {from}"))?;
    }
    Ok(())
}

/// Stands for everything that goes into the Worker.
fn fingerprint(paths: &Paths, rust: &WasmRust) -> Result<String> {
    let tools = (rust.describe(), WORKER_BUILD.version, WASM_BINDGEN.version, shrink::describe());
    let mut fingerprint = Fingerprint::with(tools);
    for package in ["binaryen", "esbuild"] {
        fingerprint.add(node::package_version(paths, package));
    }
    fingerprint.add_files(paths, &INPUTS)?;
    Ok(fingerprint.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_crate_in_the_worker_builds_it_again() {
        let manifest = fs::read_to_string("../Cargo.toml").unwrap();
        let dependencies =
            manifest.split("\n[").find_map(|table| table.strip_prefix("dependencies]\n")).unwrap();
        let crates = dependencies.lines().filter_map(|line| line.strip_prefix("admit-"));
        let crates: Vec<_> = crates.filter_map(|line| line.strip_suffix(".workspace = true")).collect();
        assert!(crates.contains(&"token"), "{crates:?}");
        for name in crates {
            for part in ["src", "Cargo.toml"] {
                let input = format!("crates/{name}/{part}");
                assert!(INPUTS.contains(&input.as_str()), "{input}");
            }
        }
    }
}
