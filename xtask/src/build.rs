//! `cargo xtask build`: the Worker's release build, and the console's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{
    console, deploy_check, fingerprint::Fingerprint, node, paths::Paths, rust::WasmRust, setup, shrink,
    size::Size, step::Step, tools::WASM_BINDGEN, wasm,
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

/// The entry, and the name by which it imports the glue of the Wasm (docs/adr/0065).
const ENTRY: &str = "src/worker/entry.js";
const GLUE: &str = "admit-wasm";

/// The files that are deployed, in `build`.
pub const DEPLOYED: [&str; 2] = ["index.js", WASM];
const WASM: &str = "index_bg.wasm";

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
        let module = module(&paths);
        let size = Size::of(&module)?;
        let state = if built { "" } else { " (unchanged)" };
        println!("{}: {}{state}", paths.shown(&module), size.describe());
        size.check()?;
        println!("{}: {}", console::ASSETS, console::check(&paths)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The Worker's Wasm module.
pub fn module(paths: &Paths) -> PathBuf {
    paths.in_root("build").join(WASM)
}

/// Builds the Worker unless it is up to date; says whether it did.
pub fn worker(paths: &Paths, rust: &WasmRust, force: bool, quiet: bool) -> Result<bool> {
    let stamp = paths.target.join("xtask").join("worker.stamp");
    let inputs = fingerprint(paths, rust)?;
    let exists = DEPLOYED.iter().all(|file| paths.in_root("build").join(file).exists());
    if !force && exists && fs::read_to_string(&stamp).ok().as_ref() == Some(&inputs) {
        return Ok(false);
    }
    let _absent = fs::remove_file(&stamp);
    let step = |name, about, expected| Step::new(paths, name, about, expected).quietly(quiet);
    let compiled = step("worker", "building the Worker", "a minute at first, then seconds");
    let compiled = wasm::compile(paths, rust, "admit", &compiled)?;
    let dir = paths.target.join("xtask").join("worker");
    let mut bindgen = wasm::bindgen(paths, &compiled, &dir, "index");
    // After a trap the entry makes another instance: the glue has to let it, and to notice the trap.
    bindgen.args([
        "--target",
        "module",
        "--experimental-reset-state-function",
        "--force-enable-abort-handler",
    ]);
    step("worker-bindgen", "making its glue", "seconds").run(&mut bindgen)?;
    shrink::shrink(paths, &dir.join(WASM), quiet)?;
    import_as_module(&dir.join("index.js"))?;
    let build = paths.in_root("build");
    fs::create_dir_all(&build).with_context(|| format!("cannot make {}", build.display()))?;
    fs::copy(dir.join(WASM), build.join(WASM)).context("cannot copy the Wasm")?;
    step("worker-bundle", "bundling its modules", "seconds").run(&mut bundle(paths, &dir)?)?;
    fs::write(&stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(true)
}

/// The glue imports the Wasm by a proposal (`import source`) that neither wrangler nor workerd knows: their modules of
/// Wasm are what the proposal would give.
fn import_as_module(glue: &Path) -> Result<()> {
    let text = fs::read_to_string(glue).with_context(|| format!("cannot read {}", glue.display()))?;
    let (before, after) = text.split_once("import source ").context("the glue imports no Wasm")?;
    fs::write(glue, format!("{before}import {after}"))
        .with_context(|| format!("cannot write {}", glue.display()))
}

/// Puts the entry, the glue in `dir`, and all that they import into one module.
fn bundle(paths: &Paths, dir: &Path) -> Result<Command> {
    let mut esbuild = node::esbuild_command(paths)?;
    esbuild.args([
        ENTRY,
        "--bundle",
        "--format=esm",
        "--minify",
        "--log-level=warning",
        "--outfile=build/index.js",
    ]);
    esbuild.arg(format!("--alias:{GLUE}={}", dir.join("index.js").display()));
    esbuild.arg(format!("--external:./{WASM}")).arg("--external:cloudflare:*").current_dir(&paths.root);
    Ok(esbuild)
}

/// Stands for everything that goes into the Worker.
fn fingerprint(paths: &Paths, rust: &WasmRust) -> Result<String> {
    // This file and `wasm.rs` have the options of wasm-bindgen and esbuild.
    let recipe = (include_str!("build.rs"), include_str!("wasm.rs"));
    let tools = (rust.describe(), WASM_BINDGEN.version, shrink::describe(), recipe);
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
