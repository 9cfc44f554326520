//! A Worker of a release in the place of one that is built here: `cargo xtask dev` then needs neither the Wasm target nor
//! the tools that are compiled for a build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{dist::release, job, paths::Paths, tools};

/// The version of this checkout.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The unpacked release to run: that of `asked`, else one in the cache, while the tools for a build are missing.
///
/// # Errors
/// The release of `asked` cannot be read, or was built from other sources than this checkout has.
pub fn find(paths: &Paths, asked: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(archive) = asked {
        return unpack(paths, archive).with_context(|| format!("--worker {}", archive.display())).map(Some);
    }
    let cached = paths.cache.join("releases").join(format!("admit-worker-{VERSION}.tar.gz"));
    let can_build = tools::FOR_BUILD.iter().all(|tool| tool.path(paths).exists());
    if can_build || !cached.exists() {
        return Ok(None);
    }
    match unpack(paths, &cached) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) => {
            eprintln!("  {} is not used: {error:#}", cached.display());
            Ok(None)
        }
    }
}

/// Unpacks a release, and compares it with this checkout; says where it is.
fn unpack(paths: &Paths, archive: &Path) -> Result<PathBuf> {
    let parent = paths.target.join("xtask").join("release");
    let _absent = fs::remove_dir_all(&parent);
    fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
    job::stdout(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&parent))?;
    let mut entries = fs::read_dir(&parent)?;
    let dir = entries.next().context("the archive is empty")??.path();
    let (version, sources) = release::read(&dir.join(release::FILE))?;
    if version != VERSION {
        bail!("it is version {version}, and this checkout is {VERSION}");
    }
    if sources != release::sources(paths)? {
        bail!("it was built from other sources than this checkout has");
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    /// A checkout with one source, and a release of `version` that names `sources`.
    fn paths(test: &str) -> Paths {
        let root = env::temp_dir().join(format!("admit-prebuilt-{test}-{}", process::id()));
        let _absent = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("src")).unwrap();
        fs::create_dir_all(root.join("cache/releases")).unwrap();
        fs::write(root.join("src/lib.rs"), "//! One\n").unwrap();
        Paths { target: root.join("target"), cache: root.join("cache"), exe: root.join("exe"), root }
    }

    fn pack(paths: &Paths, version: &str, sources: &str) -> PathBuf {
        let dir = paths.root.join("admit-worker");
        fs::create_dir_all(&dir).unwrap();
        let text = format!("{{\"version\": \"{version}\", \"sources\": \"{sources}\"}}");
        fs::write(dir.join(release::FILE), text).unwrap();
        let archive = paths.cache.join(format!("releases/admit-worker-{VERSION}.tar.gz"));
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(&archive).args(["admit-worker"]).current_dir(&paths.root);
        job::stdout(&mut tar).unwrap();
        archive
    }

    #[test]
    fn a_release_is_used_if_version_and_sources_agree() {
        let paths = paths("agrees");
        let sources = release::sources(&paths).unwrap();
        let archive = pack(&paths, VERSION, &sources);
        let found = find(&paths, Some(&archive)).unwrap().unwrap();
        assert!(found.join(release::FILE).exists());
        // In the cache it is found by itself, while nothing can be built.
        assert_eq!(find(&paths, None).unwrap(), Some(found));
        for tool in tools::FOR_BUILD {
            fs::create_dir_all(tool.path(&paths).parent().unwrap()).unwrap();
            fs::write(tool.path(&paths), "").unwrap();
        }
        assert_eq!(find(&paths, None).unwrap(), None);
        fs::remove_dir_all(&paths.root).unwrap();
    }

    #[test]
    fn a_release_of_other_sources_is_refused() {
        let paths = paths("differs");
        let sources = release::sources(&paths).unwrap();
        let archive = pack(&paths, VERSION, &sources);
        fs::write(paths.root.join("src/lib.rs"), "//! Two\n").unwrap();
        let refused = |archive: &Path| format!("{:#}", find(&paths, Some(archive)).unwrap_err());
        assert!(refused(&archive).contains("other sources"));
        assert_eq!(find(&paths, None).unwrap(), None);
        let archive = pack(&paths, "9.9.9", &release::sources(&paths).unwrap());
        assert!(refused(&archive).contains("version 9.9.9"));
        assert!(refused(&paths.root.join("none")).contains("--worker"));
        fs::remove_dir_all(&paths.root).unwrap();
    }
}
