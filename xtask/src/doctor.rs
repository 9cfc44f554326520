//! `cargo xtask doctor`: the tools that are there, and those that are missing, with the way to get them.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{
    job, node,
    paths::Paths,
    postgres,
    rust::{WASM_TARGET, WasmRust},
    tools,
};

/// How a missing tool is got.
enum Remedy {
    Setup(&'static str),
    Person(&'static str),
    /// Nice to have.
    Optional(&'static str),
}

struct Row {
    what: String,
    found: Option<String>,
    remedy: Remedy,
}

impl Row {
    fn new(what: impl Into<String>, found: Option<String>, remedy: Remedy) -> Self {
        Self { what: what.into(), found, remedy }
    }
}

/// Runs `cargo xtask doctor`.
pub fn run() -> Result<ExitCode> {
    let paths = Paths::find()?;
    let mut blocked = false;
    for row in rows(&paths) {
        let text = match (row.found, row.remedy) {
            (Some(found), _) => format!("found    {found}"),
            (None, Remedy::Setup(how)) => format!("missing  setup gets it: {how}"),
            (None, Remedy::Optional(how)) => format!("absent   optional: {how}"),
            (None, Remedy::Person(how)) => {
                blocked = true;
                format!("MISSING  {how}")
            }
        };
        println!("{:<26} {text}", row.what);
    }
    println!("\ncache: {}", paths.cache.display());
    if blocked {
        println!("Something is missing that `cargo xtask setup` cannot get.");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(paths: &Paths) -> Vec<Row> {
    let rustup = version("rustup", "--version");
    let apt = version("apt-get", "--version");
    let wasm_remedy = if rustup.is_some() || apt.is_some() {
        Remedy::Setup("rustup target add, or Debian's packages where rustup cannot download")
    } else {
        Remedy::Person("install rustup, or the target for your compiler")
    };
    let npm = version("npm", "--version");
    let npm_remedy = || match npm {
        Some(_) => Remedy::Setup("npm ci"),
        None => Remedy::Person("needs npm"),
    };
    let wasm = WasmRust::find(paths).map(|rust| rust.describe());
    let runtime = node::runtime(paths).ok().map(|(path, version)| format!("{version}, {}", path.display()));
    let mut rows = vec![
        Row::new("cargo", version("cargo", "--version"), Remedy::Person("https://rustup.rs")),
        Row::new("rustc", version("rustc", "--version"), Remedy::Person("https://rustup.rs")),
        Row::new("C linker (cc)", version("cc", "--version"), Remedy::Person("install gcc or clang")),
        Row::new("rustfmt", version("rustfmt", "--version"), Remedy::Person("rustup component add rustfmt")),
        Row::new(
            "clippy",
            version("cargo-clippy", "--version"),
            Remedy::Person("rustup component add clippy"),
        ),
        Row::new("rustup", rustup, Remedy::Optional("gets the Wasm target")),
        Row::new(WASM_TARGET, wasm, wasm_remedy),
        Row::new("npm", npm.clone(), Remedy::Person("install Node.js: https://nodejs.org")),
        Row::new("Node.js", runtime, npm_remedy()),
    ];
    let python = version("python3", "--version");
    rows.push(Row::new("python3", python, Remedy::Optional("`test` tries the OpenAPI document with it")));
    let database = postgres::find().map(|programs| programs.display().to_string());
    rows.push(Row::new("PostgreSQL", database, Remedy::Optional("`test` installs it where apt-get may")));
    let fresh = node::installed(paths);
    for package in ["wrangler", "workerd", "binaryen", "esbuild", "vite", "jsdom", "@playwright/test"] {
        let found = node::package_version(paths, package).filter(|_| fresh);
        rows.push(Row::new(format!("{package} (npm)"), found, npm_remedy()));
    }
    for tool in tools::FOR_BUILD {
        let path = tool.path(paths);
        let found = path.exists().then(|| format!("{}, {}", tool.version, path.display()));
        rows.push(Row::new(tool.package, found, Remedy::Setup("cargo install, some minutes")));
    }
    let deny = tools::CARGO_DENY.path(paths);
    let found = deny.exists().then(|| format!("{}, {}", tools::CARGO_DENY.version, deny.display()));
    rows.push(Row::new("cargo-deny", found, Remedy::Optional("`test` installs it, in about a minute")));
    rows
}

/// The first line that a program says about itself.
fn version(program: &str, flag: &str) -> Option<String> {
    let said = job::stdout(Command::new(program).arg(flag)).ok()?;
    said.lines().next().map(str::to_owned)
}
