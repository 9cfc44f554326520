//! `admit-<version>-<target>.tar.gz`: the programs `admit` and `origin`, linked statically, with completions and man
//! pages, and `ops/` to run them with.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use super::{
    archive::Archive,
    release::{self, Release},
    sbom, zig,
};
use crate::{job, native, paths::Paths, rust::RUSTUP_LIMIT, step::Step, wasm};

/// The targets of a release. musl: one program for every distribution.
pub const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// The programs, and the packages that have them.
const PROGRAMS: [(&str, &str); 2] = [("admit", "admit-cli"), ("origin", "origin")];

/// Shells with completions, and the end of a completion's file name in each.
const SHELLS: [(&str, &str); 3] = [("bash", ".bash"), ("zsh", ".zsh"), ("fish", ".fish")];

/// How the programs are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// As a release has them.
    Release,
    /// Unoptimised, for tests of everything around the optimiser: it takes most of the time of a release.
    Test,
}

impl Speed {
    /// Arguments of Cargo, and the directory that it uses for them.
    const fn profile(self) -> (&'static str, &'static str) {
        match self {
            Self::Release => ("release", "release"),
            Self::Test => ("dev", "debug"),
        }
    }
}

/// The target of this machine, if a release has programs for it.
pub fn native_target() -> Option<&'static str> {
    let is_ours = |target: &&str| cfg!(target_os = "linux") && target.starts_with(env::consts::ARCH);
    TARGETS.into_iter().find(is_ours)
}

/// Writes the archive of a target into `out`, with programs for tests. `None` if it cannot be built here, which is said.
pub fn for_tests(paths: &Paths, release: &Release, out: &Path, target: &str) -> Result<Option<PathBuf>> {
    let Some(zig) = zig::ensure(paths) else { return Ok(None) };
    one(paths, release, out, (target, Speed::Test), &zig, &pages(paths)?)
}

/// Writes an archive for each target into `out`. `None` where a target cannot be built here, which is said.
pub fn make(
    paths: &Paths,
    release: &Release,
    out: &Path,
    target: Option<&str>,
) -> Result<Vec<Option<PathBuf>>> {
    let targets = match target {
        None => TARGETS.to_vec(),
        Some(target) => match TARGETS.into_iter().find(|known| *known == target) {
            Some(target) => vec![target],
            None => bail!("unknown target {target:?}: a release has {}", TARGETS.join(" and ")),
        },
    };
    let Some(zig) = zig::ensure(paths) else {
        eprintln!(
            "skipped: the programs, because cargo-zigbuild cannot be installed: it needs Python and PyPI"
        );
        return Ok(targets.iter().map(|_| None).collect());
    };
    let pages = pages(paths)?;
    let made = targets.iter().map(|target| one(paths, release, out, (target, Speed::Release), &zig, &pages));
    made.collect()
}

fn one(
    paths: &Paths,
    release: &Release,
    out: &Path,
    (target, speed): (&str, Speed),
    zig: &zig::Zig,
    pages: &Path,
) -> Result<Option<PathBuf>> {
    if let Err(error) = add_target(paths, target) {
        eprintln!("skipped: {target}: {error:#}");
        return Ok(None);
    }
    let built = build(paths, zig, target, speed)?;
    let archive = gather(paths, release, target, &built, pages)?;
    archive.write(out, release.time).map(Some)
}

fn add_target(paths: &Paths, target: &str) -> Result<()> {
    let about = format!("adding {target} with rustup");
    Step::new(paths, "rustup", &about, "seconds")
        .within(RUSTUP_LIMIT)
        .run(Command::new("rustup").args(["target", "add", target]))
}

/// Builds the programs; says where they are.
fn build(paths: &Paths, zig: &zig::Zig, target: &str, speed: Speed) -> Result<PathBuf> {
    let (profile, dir) = speed.profile();
    let mut cargo = zig.cargo()?;
    cargo.args(["zigbuild", "--profile", profile, "--locked", "--bins", "--target", target]);
    cargo.args(PROGRAMS.iter().flat_map(|(_, package)| ["--package", package]));
    cargo.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", wasm::remapped(paths)?.join("\x1f"));
    if speed == Speed::Test {
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_STRIP", "symbols");
    }
    let about = format!("building the programs for {target}");
    Step::new(paths, &format!("binaries-{target}"), &about, "some minutes").run(&mut cargo)?;
    Ok(paths.target.join(target).join(dir))
}

/// Completions and man pages, made by programs of this machine.
fn pages(paths: &Paths) -> Result<PathBuf> {
    let dir = paths.target.join("dist").join("pages");
    let _absent = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("completions"))?;
    for (name, _) in PROGRAMS {
        let step = Step::new(paths, name, "building a program that prints its pages", native::EXPECTED);
        let program = native::build(paths, &step, name, native::DEV)?;
        for (shell, end) in SHELLS {
            let script = job::stdout(Command::new(&program).args(["completions", shell]))?;
            fs::write(dir.join("completions").join(format!("{name}{end}")), script + "\n")?;
        }
        job::stdout(Command::new(&program).arg("man").arg(dir.join("man")))?;
    }
    Ok(dir)
}

fn gather(paths: &Paths, release: &Release, target: &str, built: &Path, pages: &Path) -> Result<Archive> {
    let mut archive = Archive::new(format!("admit-{}-{target}", release.version));
    let mut parts = std::collections::BTreeSet::new();
    for (program, package) in PROGRAMS {
        archive.add_program(program, &built.join(program))?;
        parts.extend(sbom::crates(paths, package, target)?);
    }
    archive.add_dir("", pages)?;
    // Files that git does not know, such as keys beside the compose file, stay here.
    for file in job::stdout(Command::new("git").args(["ls-files", "ops"]).current_dir(&paths.root))?.lines() {
        archive.add_file(file, &paths.in_root(file))?;
    }
    archive.add_file("LICENSE", &paths.in_root("LICENSE"))?;
    archive.add("sbom.cdx.json", sbom::document("admit", release.version, &release.iso8601(), &parts)?);
    archive.add(release::FILE, release.describe());
    archive.add_checksums();
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo binstall` finds the programs where a release has them.
    #[test]
    fn binstall_knows_the_names_of_a_release() {
        for manifest in ["../cli/Cargo.toml", "../origin/Cargo.toml"] {
            let text = fs::read_to_string(manifest).unwrap();
            let (_, table) = text.split_once("\n[package.metadata.binstall]\n").unwrap();
            let value = |name: &str| {
                let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
                line.and_then(|line| line.strip_suffix('"')).unwrap_or_default().to_owned()
            };
            let filled = |text: &str| {
                let text = text.replace("{ version }", "1.2.3").replace("{ target }", TARGETS[0]);
                text.replace("{ bin }", "admit").replace("{ binary-ext }", "")
            };
            let root = format!("admit-1.2.3-{}", TARGETS[0]);
            assert!(filled(&value("pkg-url")).ends_with(&format!("/v1.2.3/{root}.tar.gz")), "{manifest}");
            assert_eq!(filled(&value("bin-dir")), format!("{root}/admit"), "{manifest}");
            assert_eq!(value("pkg-fmt"), "tgz");
        }
    }
}
