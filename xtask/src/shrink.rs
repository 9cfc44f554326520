//! Makes the Worker's Wasm smaller once wasm-bindgen has made it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{job, node, paths::Paths, step::Step};

/// Gives wasm-metadce the exports that can be reached.
const USED_EXPORTS: &str = include_str!("used_exports.mjs");

/// `--all-features` would let wasm-opt write encodings that are so new that not every runtime reads them.
const FEATURES: [&str; 7] = [
    "--enable-mutable-globals",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-reference-types",
    "--enable-exception-handling",
];

/// wasm-opt inlines a function that has one caller however long it is, which makes one function of all routes: V8
/// compiles a whole function when it is called first, so that a check would pay for every other route (docs/adr/0059).
/// Without that the module is smaller as well: short functions have more in common.
///
/// Names are a tenth of the module. They go last: before, they put functions beside others of their kind, which gzip
/// makes more of.
const PASSES: [&str; 3] = ["-Os", "--one-caller-inline-max-function-size=10", "--reorder-functions-by-name"];
const STRIP: [&str; 2] = ["--strip-debug", "--strip-target-features"];

/// Changes when a module would come out differently.
pub const fn describe() -> (&'static str, [&'static str; 7], [&'static str; 3], [&'static str; 2]) {
    (USED_EXPORTS, FEATURES, PASSES, STRIP)
}

/// The names of the functions that are left, one a line: `number:name`.
pub fn symbols(paths: &Paths) -> PathBuf {
    paths.target.join("xtask").join("worker.symbols")
}

/// Drops the unreachable parts of the module at `wasm`, and its names.
pub fn shrink(paths: &Paths, wasm: &Path, quiet: bool) -> Result<()> {
    let dir = paths.target.join("xtask");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let script = dir.join("used_exports.mjs");
    fs::write(&script, USED_EXPORTS).with_context(|| format!("cannot write {}", script.display()))?;
    let (program, _) = node::runtime(paths)?;
    let graph = job::stdout(Command::new(program).arg(&script).arg(wasm)).context("cannot list exports")?;
    let graph_file = script.with_extension("json");
    fs::write(&graph_file, graph).with_context(|| format!("cannot write {}", graph_file.display()))?;
    let run = |tool: &str, what: &str, args: &[&str]| {
        let mut command = Command::new(node::bin(paths, tool));
        node::apply(paths, &mut command)?;
        command.arg(wasm).arg("-o").arg(wasm).args(FEATURES).args(args);
        Step::new(paths, tool, what, "seconds").quietly(quiet).run(&mut command)
    };
    let graph_file = graph_file.to_str().context("the target directory's name is not UTF-8")?;
    run("wasm-metadce", "dropping what cannot be reached", &["-g", "--graph-file", graph_file])?;
    let symbols = format!("--symbolmap={}", symbols(paths).display());
    run("wasm-opt", "optimising what is left, dropping names", &[&PASSES[..], &[&symbols], &STRIP].concat())
}
