//! The subjects - Admit, floors and peers - and how they become modules that workerd loads.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use xtask::{
    build::DEPLOYED,
    node,
    paths::Paths,
    rust::WasmRust,
    step::Step,
    tools::{self, WASM_BINDGEN, WORKER_BUILD},
    wasm,
};

/// A Worker to be driven.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub name: &'static str,
    pub label: &'static str,
    /// The directory of its modules.
    pub modules: &'static str,
    /// Variables beyond those that all have.
    pub vars: &'static [(&'static str, &'static str)],
    /// Its KV binding, and the contents behind it: `store`, the snapshot; `documents`, one for each customer.
    pub kv: Option<(&'static str, &'static str)>,
    /// The signer of its `PLAYBACK`. It is asked for playback then, not for checks.
    pub signer: Option<&'static str>,
    /// What it is asked for in place of checks and playback, a list of requests of its own: `gate`, the end of an
    /// access; `many`, checks of several items; `search`, what a customer may play.
    pub asked_for: Option<&'static str>,
    /// Its binding `ADMIT` to the Worker of the subject `admit`.
    pub calls: Option<Calls>,
}

/// How a Worker reaches that of the subject `admit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// By service binding to this entrypoint.
    Entrypoint(&'static str),
    /// By service binding to the default entrypoint.
    Default,
    /// Over a connection to its port.
    Socket,
}

impl Subject {
    const fn new(name: &'static str, label: &'static str, kv: Option<(&'static str, &'static str)>) -> Self {
        Self { name, label, modules: name, vars: &[], kv, signer: None, asked_for: None, calls: None }
    }

    /// The name of its list of requests; none for plain checks.
    pub fn list(&self) -> Option<&'static str> {
        self.signer.or(self.asked_for)
    }

    /// The subject whose scenarios it takes part in: its own, but for another build of the same.
    pub fn role(&self) -> &'static str {
        if self.name == OTHER { "admit" } else { self.name }
    }

    /// Whether it gives one answer to every request.
    pub fn is_floor(&self) -> bool {
        matches!(self.name, "constant" | "floor")
    }
}

const STORE: Option<(&str, &str)> = Some(("SNAPSHOT", "store"));
const DOCUMENTS: Option<(&str, &str)> = Some(("CUSTOMERS", "documents"));

/// Every subject, the base of comparisons first.
pub const SUBJECTS: [Subject; 21] = [
    Subject::new("floor", "JS that reads the same, checks nothing", None),
    Subject::new("constant", "JS that returns a constant", None),
    Subject::new("admit", "Admit", STORE),
    Subject::new(OTHER, "Admit, the build in `--against`", STORE),
    Subject {
        modules: "admit",
        vars: &[("CONFIRMS_PER_SEC", "0")],
        ..Subject::new("admit-unconfirmed", "Admit, the origin not asked about denials", STORE)
    },
    Subject::new("plain-cached", "JS by hand, jose, all that Admit keeps", DOCUMENTS),
    Subject::new("hono-cached", "Hono, jose, tokens and customers kept", DOCUMENTS),
    Subject::new("hono", "Hono, jose, KV for each request", DOCUMENTS),
    Subject::new("workers-rs", "workers-rs by its documentation", DOCUMENTS),
    Subject {
        modules: "admit",
        signer: Some("jw"),
        ..Subject::new("admit-jw", "Admit, playback: HS256 (`jw`)", STORE)
    },
    Subject {
        modules: "hono-cached",
        signer: Some("jw"),
        ..Subject::new("hono-cached-jw", "Hono, jose, all kept but signatures, playback: HS256", DOCUMENTS)
    },
    Subject {
        modules: "admit",
        signer: Some("mux"),
        ..Subject::new("admit-mux", "Admit, playback: RS256 (`mux`)", STORE)
    },
    Subject {
        modules: "hono-cached",
        signer: Some("mux"),
        ..Subject::new("hono-cached-mux", "Hono, jose, all kept but signatures, playback: RS256", DOCUMENTS)
    },
    Subject {
        modules: "gate",
        vars: &[("ASKS", "rpc")],
        calls: Some(Calls::Entrypoint("Entitlements")),
        ..gate("gate-rpc", "JS that calls `check` of Admit by service binding", None)
    },
    Subject {
        modules: "gate",
        vars: &[("ASKS", "fetch")],
        calls: Some(Calls::Default),
        ..gate("gate-fetch", "JS that fetches `/items/{id}/access` of Admit by service binding", None)
    },
    Subject {
        modules: "gate",
        vars: &[("ASKS", "fetch")],
        calls: Some(Calls::Socket),
        ..gate("gate-socket", "JS that fetches `/items/{id}/access` of Admit over loopback", None)
    },
    gate("gate-kv", "JS that verifies by jose and reads KV itself", DOCUMENTS),
    Subject {
        modules: "admit",
        asked_for: MANY,
        ..Subject::new("admit-many", "Admit, `/access?items=`", STORE)
    },
    Subject {
        modules: "hono-cached",
        asked_for: MANY,
        ..Subject::new(
            "hono-cached-many",
            "Hono, jose, tokens and customers kept, `/access?items=`",
            DOCUMENTS,
        )
    },
    Subject {
        modules: "hono",
        asked_for: MANY,
        ..Subject::new("hono-many", "Hono, jose, KV for each request, `/access?items=`", DOCUMENTS)
    },
    Subject {
        modules: "admit",
        asked_for: Some("search"),
        ..Subject::new("admit-search", "Admit, `/access/v1/search/resource`", STORE)
    },
];

/// Another build of Admit.
const OTHER: &str = "admit-against";

const MANY: Option<&str> = Some("many");

/// A Worker that has to know whether a viewer has access before it does something else.
const fn gate(name: &'static str, label: &'static str, kv: Option<(&'static str, &'static str)>) -> Subject {
    Subject { asked_for: Some("gate"), ..Subject::new(name, label, kv) }
}

/// The label of a subject by its name.
pub fn label(name: &str) -> String {
    if let Some(first) = name.strip_suffix(" again") {
        return format!("{}, a second time", label(first));
    }
    SUBJECTS.iter().find(|subject| subject.name == name).map_or(name, |subject| subject.label).to_owned()
}

/// Bundles every subject into `dir` and returns them. `rust` builds the peer in Rust, which takes a minute; `against` has
/// another build of Admit.
pub fn bundle_all(
    paths: &Paths,
    rust: Option<&WasmRust>,
    against: Option<&Path>,
    dir: &Path,
) -> Result<Vec<Subject>> {
    let from = paths.in_root("bench/load/subjects");
    for entry in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            copy(&path, &dir.join("subjects").join(name))?;
        }
    }
    // They import the data as files beside them.
    for file in ["constant.json", "items.json", "written.json"] {
        copy(&dir.join(file), &dir.join("subjects").join(file))?;
    }
    for module in
        ["constant", "floor", "plain-cached", "hono-cached", "hono", "gate", "gate-kv", "kv", "origin"]
    {
        bundle(paths, dir, module)?;
    }
    for file in DEPLOYED {
        copy(&paths.in_root("build").join(file), &dir.join("admit").join(file))?;
    }
    let mut subjects = SUBJECTS.to_vec();
    match against {
        Some(build) => copy_modules(build, &dir.join(OTHER))?,
        None => subjects.retain(|subject| subject.name != OTHER),
    }
    match rust {
        Some(rust) => workers_rs(paths, rust, dir)?,
        None => subjects.retain(|subject| subject.name != "workers-rs"),
    }
    Ok(subjects)
}

/// The modules of a build: an older one may have more of them than [`DEPLOYED`].
fn copy_modules(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let is_module = path
            .extension()
            .is_some_and(|extension| ["js", "mjs", "wasm"].map(AsRef::as_ref).contains(&extension));
        if let Some(name) = path.file_name().filter(|_| is_module) {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display())).map(drop)
}

fn bundle(paths: &Paths, dir: &Path, module: &str) -> Result<()> {
    let mut esbuild = node::esbuild_command(paths)?;
    esbuild.arg(dir.join("subjects").join(format!("{module}.js")));
    esbuild.args(["--bundle", "--format=esm", "--minify", "--log-level=warning"]);
    esbuild.args(["--conditions=workerd,worker", "--loader:.json=text"]);
    esbuild.arg(format!("--outfile={}", dir.join(module).join("index.js").display()));
    esbuild.env("NODE_PATH", paths.in_root("node_modules"));
    let about = format!("bundling {module}");
    Step::new(paths, "bench-esbuild", &about, "seconds").quietly(true).run(&mut esbuild)
}

/// The peer in Rust, by worker-build as its documentation says, in Admit's profile.
fn workers_rs(paths: &Paths, rust: &WasmRust, dir: &Path) -> Result<()> {
    let source = paths.in_root("bench/load/workers-rs");
    tools::ensure(paths, &[WORKER_BUILD])?;
    let mut command = Command::new(WORKER_BUILD.path(paths));
    rust.apply(&mut command, &[&node::bin_dir(paths)])?;
    command
        .args(["--profile", wasm::PROFILE])
        .env("WASM_BINDGEN_BIN", WASM_BINDGEN.path(paths))
        .env("WASM_OPT_BIN", node::bin(paths, "wasm-opt"))
        .env("ESBUILD_BIN", node::esbuild(paths))
        .env("CARGO_TARGET_DIR", &paths.target)
        .env("CARGO_ENCODED_RUSTFLAGS", wasm::remapped(paths)?.join("\x1f"));
    Step::new(paths, "bench-workers-rs", "building the peer in Rust", "a minute at first")
        .run(command.current_dir(&source))?;
    for file in ["index.js", "index_bg.wasm"] {
        copy(&source.join("build").join(file), &dir.join("workers-rs").join(file))?;
    }
    copy(&dir.join("items.json"), &dir.join("workers-rs").join("items.json"))
}
