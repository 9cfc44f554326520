//! The subjects: what they are, and how they become modules that workerd loads.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{
    build::{DEPLOYED, PROFILE},
    node,
    paths::Paths,
    rust::WasmRust,
    step::Step,
    tools,
};

/// A Worker to be driven.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Its name.
    pub name: &'static str,
    /// For people.
    pub about: &'static str,
    /// The directory of its modules.
    pub modules: &'static str,
    /// Variables beyond those that all have.
    pub vars: &'static [(&'static str, &'static str)],
    /// Which of KV's contents it reads: `store`, the snapshot; `documents`, one for each customer.
    pub kv: Option<(&'static str, &'static str)>,
}

impl Subject {
    const fn new(name: &'static str, about: &'static str, kv: Option<(&'static str, &'static str)>) -> Self {
        Self { name, about, modules: name, vars: &[], kv }
    }

    /// Whether it answers the same whatever is asked.
    pub fn is_floor(&self) -> bool {
        matches!(self.name, "constant" | "floor")
    }
}

/// The snapshot. There is one for each number of customers; the server knows of how many.
const STORE: Option<(&str, &str)> = Some(("SNAPSHOT", "store"));
const DOCUMENTS: Option<(&str, &str)> = Some(("CUSTOMERS", "documents"));

/// Every subject, the base of comparisons first.
pub const SUBJECTS: [Subject; 8] = [
    Subject::new("floor", "JS that reads the same, checks nothing", None),
    Subject::new("constant", "JS that returns a constant", None),
    Subject::new("admit", "Admit", STORE),
    Subject {
        modules: "admit",
        vars: &[("CONFIRMS_PER_SEC", "0")],
        ..Subject::new("admit-unconfirmed", "Admit, the origin not asked about denials", STORE)
    },
    Subject::new("plain-cached", "JS by hand, jose, all that Admit keeps", DOCUMENTS),
    Subject::new("hono-cached", "Hono, jose, tokens and customers kept", DOCUMENTS),
    Subject::new("hono", "Hono, jose, KV for each request", DOCUMENTS),
    Subject::new("workers-rs", "workers-rs by its documentation", DOCUMENTS),
];

/// What is ready to be served.
pub struct Bundles(Vec<Subject>);

impl Bundles {
    /// Bundles every subject into `dir`. The peer in Rust is left out of a smoke test: it takes a minute to build.
    ///
    /// # Errors
    /// A tool fails.
    pub fn make(paths: &Paths, rust: &WasmRust, dir: &Path, with_rust: bool) -> Result<Self> {
        let from = paths.in_root("bench/load/subjects");
        fs::create_dir_all(dir.join("subjects"))?;
        for entry in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), dir.join("subjects").join(entry.file_name()))?;
            }
        }
        // They import the data as files beside them.
        for file in ["constant.json", "items.json", "written.json"] {
            copy(&dir.join(file), &dir.join("subjects").join(file))?;
        }
        for module in ["constant", "floor", "plain-cached", "hono-cached", "hono", "kv", "origin"] {
            bundle(paths, dir, module)?;
        }
        for file in DEPLOYED {
            copy(&paths.in_root("build").join(file), &dir.join("admit").join(file))?;
        }
        let mut subjects = SUBJECTS.to_vec();
        if with_rust {
            workers_rs(paths, rust, dir)?;
        } else {
            subjects.retain(|subject| subject.name != "workers-rs");
        }
        Ok(Self(subjects))
    }

    /// Those that `is_wanted`.
    pub fn of(&self, is_wanted: impl Fn(&Subject) -> bool) -> Vec<Subject> {
        self.0.iter().filter(|subject| is_wanted(subject)).copied().collect()
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

fn bundle(paths: &Paths, dir: &Path, module: &str) -> Result<()> {
    let mut esbuild = Command::new(node::esbuild(paths));
    node::apply(paths, &mut esbuild)?;
    esbuild.arg(dir.join("subjects").join(format!("{module}.js")));
    esbuild.args([
        "--bundle",
        "--format=esm",
        "--minify",
        "--log-level=warning",
        "--conditions=workerd,worker",
    ]);
    esbuild.arg("--loader:.json=text");
    esbuild.arg(format!("--outfile={}", dir.join(module).join("index.js").display()));
    esbuild.env("NODE_PATH", paths.in_root("node_modules"));
    Step::new(paths, "bench-esbuild", &format!("bundling {module}"), "seconds")
        .quietly(true)
        .run(&mut esbuild)
}

/// The peer in Rust, by worker-build as its documentation says, in Admit's profile.
fn workers_rs(paths: &Paths, rust: &WasmRust, dir: &Path) -> Result<()> {
    let source = paths.in_root("bench/load/workers-rs");
    let mut command = Command::new(tools::WORKER_BUILD.path(paths));
    let dirs = node::path_dirs(paths);
    let dirs: Vec<_> = dirs.iter().map(std::path::PathBuf::as_path).collect();
    rust.apply(&mut command, &dirs)?;
    command
        .args(["--profile", PROFILE])
        .current_dir(&source)
        .env("WASM_BINDGEN_BIN", tools::WASM_BINDGEN.path(paths))
        .env("WASM_OPT_BIN", node::bin(paths, "wasm-opt"))
        .env("ESBUILD_BIN", node::esbuild(paths))
        .env("CARGO_TARGET_DIR", &paths.target);
    Step::new(paths, "bench-workers-rs", "building the peer in Rust", "a minute at first")
        .run(&mut command)?;
    for file in ["index.js", "index_bg.wasm"] {
        copy(&source.join("build").join(file), &dir.join("workers-rs").join(file))?;
    }
    copy(&dir.join("items.json"), &dir.join("workers-rs").join("items.json"))
}
