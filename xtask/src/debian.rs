//! The Wasm standard library where rustup cannot download it: built from Debian's Rust packages.
//!
//! Debian's `rustc-web` comes with its source but without a compiled std for Wasm. We compile that
//! once into a directory of the user's cache that looks like a toolchain: std for Wasm is ours,
//! everything else is a link to Debian's.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::{job, paths::Paths, rust::WASM_TARGET, step::Step};

/// `rust-web-clippy` is for the lints of `cargo xtask test`; the linker is added by its version.
const PACKAGES: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "rust-web-clippy"];

const RUSTC: &str = "/usr/bin/rustc";
const RUSTLIB: &str = "/usr/lib/rustlib";

/// The name under which `cargo +admit-wasm` finds the toolchain by hand.
const TOOLCHAIN: &str = "admit-wasm";

/// The toolchain directory and its identity, if it was made for the installed packages.
pub fn sysroot(paths: &Paths) -> Option<(PathBuf, String)> {
    let dir = sysroot_dir(paths)?;
    let id = fs::read_to_string(dir.join("id")).ok()?;
    Some((dir, id))
}

fn sysroot_dir(paths: &Paths) -> Option<PathBuf> {
    Some(paths.cache.join(format!("rust-{}", installed("rustc-web")?)))
}

fn installed(package: &str) -> Option<String> {
    let mut query = Command::new("dpkg-query");
    let said = job::stdout(query.args(["-W", "-f=${db:Status-Abbrev}${Version}", package])).ok()?;
    Some(said.strip_prefix("ii ")?.to_owned())
}

/// Installs the packages, builds std and links it all together.
pub fn make_sysroot(paths: &Paths) -> Result<()> {
    if job::stdout(Command::new("apt-get").arg("--version")).is_err() {
        bail!("this machine has no apt-get");
    }
    install(paths)?;
    let dir = sysroot_dir(paths).context("dpkg does not know rustc-web after its installation")?;
    // A half-made directory must never look like a toolchain, so it gets its name last.
    let work = paths.cache.join("rust-unfinished");
    let _absent = fs::remove_dir_all(&work);
    let made = build_std(paths, &work).and_then(|()| assemble(&work, &dir));
    let _absent = fs::remove_dir_all(&work);
    made?;
    // Only a convenience for people: our own commands find the directory by themselves.
    let mut link = Command::new("rustup");
    let _no_rustup = job::stdout(link.args(["toolchain", "link", TOOLCHAIN]).arg(&dir));
    Ok(())
}

fn install(paths: &Paths) -> Result<()> {
    if PACKAGES.iter().all(|package| installed(package).is_some()) && linker_works() {
        return Ok(());
    }
    apt(paths, "reading Debian's package lists", "10 s", &["update"])?;
    let linker = linker_package()?;
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(PACKAGES);
    args.push(&linker);
    apt(paths, "installing Debian's Rust for the web", "1 to 2 minutes", &args)
}

fn linker_works() -> bool {
    job::stdout(Command::new("rust-lld").args(["-flavor", "wasm", "--version"])).is_ok()
}

/// `rust-lld` is a link into the LLVM that the compiler was built with; lld must be of that version.
fn linker_package() -> Result<String> {
    let depends = job::stdout(Command::new("apt-cache").args(["depends", "rust-web-llvm"]))?;
    let llvm = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: llvm-"));
    Ok(format!("lld-{}", llvm.context("rust-web-llvm depends on no llvm")?))
}

/// Runs `apt-get`, by `sudo` for others than root.
pub fn apt(paths: &Paths, about: &str, expected: &str, args: &[&str]) -> Result<()> {
    let root = job::stdout(Command::new("id").arg("-u"))? == "0";
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        // -n: fail rather than wait for a password that no person is there to type.
        command.args(["-n", "apt-get"]);
    }
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    let ran = Step::new(paths, "apt", about, expected).run(&mut command);
    ran.with_context(|| format!("try it by hand: sudo apt-get {}", args.join(" ")))
}

/// Installs packages that tests use, if this machine has apt and this is root: tests never prompt for a password.
///
/// # Errors
/// Not root, no apt, or a package cannot be had.
pub fn install_as_root(paths: &Paths, packages: &[&str], about: &str, expected: &str) -> Result<()> {
    if job::stdout(Command::new("id").arg("-u"))? != "0" {
        bail!("only root installs packages for tests");
    }
    let args = [&["install", "-y", "--no-remove", "--no-install-recommends"], packages].concat();
    apt(paths, about, expected, &args).or_else(|_| {
        apt(paths, "reading Debian's package lists", "10 s", &["update"])?;
        apt(paths, about, expected, &args)
    })
}

fn build_std(paths: &Paths, work: &Path) -> Result<()> {
    fs::create_dir_all(work.join("src"))?;
    fs::write(work.join("src/lib.rs"), "")?;
    let manifest = "[package]\nname = \"std-for-wasm\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(work.join("Cargo.toml"), manifest)?;
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo
        .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", WASM_TARGET])
        .current_dir(work)
        .env("RUSTC", RUSTC)
        // -Zbuild-std is unstable: this is how a stable compiler is told that we know.
        .env("RUSTC_BOOTSTRAP", "1")
        // Without bitcode in std, `lto = true` fails with "failed to get bitcode".
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", work.join("target"));
    Step::new(paths, "std", "building Rust's standard library for Wasm", "about a minute").run(&mut cargo)
}

fn assemble(work: &Path, dir: &Path) -> Result<()> {
    let made = work.join("sysroot");
    let rustlib = made.join("lib/rustlib");
    let libs = rustlib.join(WASM_TARGET).join("lib");
    fs::create_dir_all(&libs)?;
    let deps = work.join("target").join(WASM_TARGET).join("release/deps");
    for entry in fs::read_dir(&deps)? {
        let path = entry?.path();
        let is_ours = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.ends_with(".rlib") && !name.starts_with("libstd_for_wasm")
        });
        if let (true, Some(name)) = (is_ours, path.file_name()) {
            fs::copy(&path, libs.join(name))?;
        }
    }
    for entry in fs::read_dir(RUSTLIB)? {
        let entry = entry?;
        if entry.file_name() != WASM_TARGET {
            symlink(entry.path(), rustlib.join(entry.file_name()))?;
        }
    }
    let bin = made.join("bin");
    fs::create_dir_all(&bin)?;
    let shown = dir.display();
    script(&bin.join("rustc"), &format!("exec {RUSTC} --sysroot '{shown}' \"$@\""))?;
    script(&bin.join("rustdoc"), &format!("exec /usr/bin/rustdoc --sysroot '{shown}' \"$@\""))?;
    // Cargo and clippy take the compiler from the environment; SYSROOT is for clippy-driver.
    for tool in ["cargo", "cargo-clippy"] {
        let environment = format!("RUSTC='{shown}/bin/rustc' SYSROOT='{shown}'");
        script(&bin.join(tool), &format!("export {environment}\nexec /usr/bin/{tool} \"$@\""))?;
    }
    fs::write(made.join("id"), identity(dir))?;
    let _absent = fs::remove_dir_all(dir);
    fs::rename(&made, dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// The time makes two builds of the same version differ: Cargo must drop what the first one compiled.
#[expect(clippy::disallowed_methods, reason = "a native command has a clock")]
fn identity(dir: &Path) -> String {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    format!("{name} built {}", since_1970.as_secs())
}

fn script(path: &Path, body: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{body}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
