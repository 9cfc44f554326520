//! Command-line tools that Cargo compiles once per user and version.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{paths::Paths, step::Step};

/// A tool from crates.io at an exact version.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The crate.
    pub package: &'static str,
    /// The program that it installs.
    pub program: &'static str,
    /// Its version; a new one gets a new directory.
    pub version: &'static str,
    /// How Cargo installs less than all of it.
    options: &'static [&'static str],
    expected: &'static str,
}

/// Builds Workers as the documentation of the `worker` crate has it. Only `bench` needs it, for a peer; its version
/// must be that of the crate.
pub const WORKER_BUILD: Tool = Tool {
    package: "worker-build",
    program: "worker-build",
    version: "0.8.7",
    options: &["--bin", "worker-build"],
    expected: "about 2 minutes, once",
};

/// Makes the JavaScript glue. Its version must be that of the `wasm-bindgen` crate, exactly.
pub const WASM_BINDGEN: Tool = Tool {
    package: "wasm-bindgen-cli",
    program: "wasm-bindgen",
    version: "0.2.129",
    // Without the test runner and its HTTP client, which take as long as the rest.
    options: &["--bin", "wasm-bindgen", "--no-default-features"],
    expected: "about a minute, once",
};

/// Checks what the dependencies may be. Only `test` needs it.
pub const CARGO_DENY: Tool = Tool {
    package: "cargo-deny",
    program: "cargo-deny",
    version: "0.20.2",
    options: &[],
    expected: "about a minute, once",
};

/// Builds and runs fuzz targets. Only `fuzz` needs it.
pub const CARGO_FUZZ: Tool = Tool {
    package: "cargo-fuzz",
    program: "cargo-fuzz",
    version: "0.13.2",
    options: &[],
    expected: "about a minute, once",
};

/// What a build of the Worker needs.
pub const FOR_BUILD: [Tool; 1] = [WASM_BINDGEN];

impl Tool {
    fn dir(&self, paths: &Paths) -> PathBuf {
        paths.cache.join("tools").join(format!("{}-{}", self.package, self.version))
    }

    /// Where the program is, installed or not.
    pub fn path(&self, paths: &Paths) -> PathBuf {
        self.dir(paths).join("bin").join(self.program)
    }

    fn install(&self, paths: &Paths) -> Result<()> {
        let about = format!("compiling {} {}", self.package, self.version);
        let mut cargo = Command::new("cargo");
        cargo
            .args(["install", "--locked", "--version", self.version, self.package, "--root"])
            .arg(self.dir(paths))
            .args(self.options)
            // Unoptimised: compiling an optimised tool takes twice as long, and it then saves a second in a build.
            .arg("--debug")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // The tools have many dependencies in common, which are compiled once.
            .env("CARGO_TARGET_DIR", build_dir(paths))
            .current_dir(&paths.root);
        Step::new(paths, self.package, &about, self.expected)
            .run(&mut cargo)
            .with_context(|| format!("cannot install {} {}", self.package, self.version))
    }
}

fn build_dir(paths: &Paths) -> PathBuf {
    paths.cache.join("tools").join("build")
}

/// Installs those of `tools` that are missing.
pub fn ensure(paths: &Paths, tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> = tools.iter().filter(|tool| !tool.path(paths).exists()).collect();
    for tool in &missing {
        tool.install(paths)?;
    }
    if !missing.is_empty() {
        // Several hundred megabytes that nothing needs any more.
        let _kept = fs::remove_dir_all(build_dir(paths));
    }
    Ok(())
}
