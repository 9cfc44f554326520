//! From a library of this workspace to Wasm with its glue, by Cargo and wasm-bindgen.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    paths::Paths,
    rust::{WASM_TARGET, WasmRust},
    step::Step,
    tools::WASM_BINDGEN,
};

/// The profile of `Cargo.toml` that everything for Wasm is built with.
pub const PROFILE: &str = "worker";

/// Compiles the library of `package`; says where its Wasm is.
pub fn compile(paths: &Paths, rust: &WasmRust, package: &str, step: &Step<'_>) -> Result<PathBuf> {
    rust.clean_if_changed(paths)?;
    let mut cargo = Command::new("cargo");
    rust.apply(&mut cargo, &[])?;
    cargo
        .args(["build", "--locked", "--lib", "--profile", PROFILE, "--target", WASM_TARGET])
        .args(["--package", package])
        .current_dir(&paths.root)
        .env("CARGO_TARGET_DIR", &paths.target)
        .env("CARGO_ENCODED_RUSTFLAGS", remapped(paths)?.join("\x1f"));
    step.run(&mut cargo)?;
    let file = format!("{}.wasm", package.replace('-', "_"));
    Ok(paths.target.join(WASM_TARGET).join(PROFILE).join(file))
}

/// wasm-bindgen, which makes `<name>_bg.wasm` and its glue `<name>.js` of `wasm` in `dir`.
pub fn bindgen(paths: &Paths, wasm: &Path, dir: &Path, name: &str) -> Command {
    let mut bindgen = Command::new(WASM_BINDGEN.path(paths));
    bindgen.args(["--no-typescript", "--out-name", name, "--out-dir"]).arg(dir).arg(wasm);
    bindgen
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
