//! A Rust compiler that has the standard library for `wasm32-unknown-unknown`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};

use crate::{debian, job, paths::Paths, step::Step};

/// The target that a Worker is compiled for.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// `rustup target add` either downloads 20 MB or finds at once that it cannot; a network that
/// swallows packets must not hold up the other way.
pub const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// A compiler for the Worker.
#[derive(Debug)]
pub struct WasmRust {
    /// The directory of its `cargo` and `rustc`, if they are not those on `PATH`.
    bin: Option<PathBuf>,
    /// Changes whenever compiled code must be thrown away; Cargo does not see a new std by itself.
    id: String,
}

impl WasmRust {
    /// The compiler on `PATH` if it has the target, else the one that an earlier set-up made.
    pub fn find(paths: &Paths) -> Option<Self> {
        if default_has_target() {
            return Some(Self { bin: None, id: "default".into() });
        }
        let (sysroot, id) = debian::sysroot(paths)?;
        Some(Self { bin: Some(sysroot.join("bin")), id })
    }

    /// Finds the compiler or gets it: by rustup, else from Debian.
    pub fn ensure(paths: &Paths) -> Result<Self> {
        if let Some(found) = Self::find(paths) {
            return Ok(found);
        }
        let rustup = rustup_add(paths);
        if rustup.is_ok() && default_has_target() {
            return Ok(Self { bin: None, id: "default".into() });
        }
        let debian = debian::make_sysroot(paths);
        match (Self::find(paths), rustup, debian) {
            (Some(found), _, _) => Ok(found),
            (None, rustup, debian) => {
                let why = |outcome: Result<()>| match outcome {
                    Ok(()) => "it worked, but rustc still has no such target".to_owned(),
                    Err(error) => format!("{error:#}"),
                };
                Err(anyhow!(
                    "Rust cannot compile for {WASM_TARGET} here.\n\
                     - rustup target add {WASM_TARGET}: {}\n- Debian's packages: {}\n\
                     Install the target for the compiler on PATH in any way, and run this again.",
                    why(rustup),
                    why(debian)
                ))
            }
        }
    }

    /// Makes `command` and what it starts use this compiler.
    pub fn apply(&self, command: &mut Command, first: &[&Path]) -> Result<()> {
        let dirs = first.iter().copied().chain(self.bin.as_deref());
        command.env("PATH", job::path_with(dirs)?);
        Ok(())
    }

    /// Says where it comes from.
    pub fn describe(&self) -> String {
        match &self.bin {
            None => "the compiler on PATH has it".into(),
            Some(bin) => format!("Debian's compiler, by {}", bin.display()),
        }
    }

    /// Whether this compiler can lint for the target.
    pub fn has_clippy(&self) -> bool {
        let program = self.bin.as_ref().map_or_else(|| "cargo-clippy".into(), |bin| bin.join("cargo-clippy"));
        job::stdout(Command::new(program).arg("--version")).is_ok()
    }

    /// Throws away the output of another standard library.
    pub fn clean_if_changed(&self, paths: &Paths) -> Result<()> {
        let dir = paths.target.join(WASM_TARGET);
        let stamp = dir.join("admit-std");
        if fs::read_to_string(&stamp).ok().as_deref() == Some(self.id.as_str()) {
            return Ok(());
        }
        if dir.exists() && stamp.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot clean {}", dir.display()))?;
        }
        fs::create_dir_all(&dir)?;
        fs::write(&stamp, &self.id).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

/// Whether the `rustc` on `PATH` has the standard library for the target.
fn default_has_target() -> bool {
    let mut rustc = Command::new("rustc");
    let libdir = job::stdout(rustc.args(["--print", "target-libdir", "--target", WASM_TARGET]));
    libdir.is_ok_and(|dir| Path::new(&dir).is_dir())
}

fn rustup_add(paths: &Paths) -> Result<()> {
    Step::new(paths, "rustup", "adding the Wasm target with rustup", "a minute at most")
        .within(RUSTUP_LIMIT)
        .run(Command::new("rustup").args(["target", "add", WASM_TARGET]))
}
