//! The parts for the files of a release.

use anyhow::Result;

use super::{Suite, cargo, test_files};
use crate::{dist, tally::Tally};

impl Suite<'_> {
    /// This machine's programs, linked as those of a release are, and what comes with them.
    pub(super) fn programs(&mut self) -> Result<()> {
        const TESTS: &str = "dist programs";
        let paths = self.paths;
        let dir = paths.target.join("test-dist").join("programs");
        let mut made = None;
        let is_ok = self.part("static programs", || {
            made = dist::programs(paths, &dir)?;
            Ok(Tally::default())
        })?;
        let Some(archive) = made else {
            if is_ok {
                self.parts.pop();
                let why = "cargo-zigbuild or the target cannot be installed: they need Linux, Python, PyPI and rustup";
                self.skip("static programs", why);
            }
            self.skip(TESTS, "there is no archive");
            return Ok(());
        };
        let mut tests =
            cargo(paths, &["test", "--locked", "--workspace", "--test", "programs", "--", "--ignored"]);
        tests.env("ADMIT_PROGRAMS", archive);
        self.command(TESTS, tests)
    }

    /// The Worker's archive, built twice, the page about deployments, and a local run of the archive.
    pub(super) fn dist(&mut self) -> Result<()> {
        let paths = self.paths;
        let dirs = ["first", "again"].map(|name| paths.target.join("test-dist").join(name));
        let mut made = None;
        self.part("dist", || {
            dist::twice(paths, &dirs).map(|archive| made = Some(archive)).map(|()| Tally::default())
        })?;
        let Some(archive) = made else {
            self.skip("dist tests", "there is no archive");
            return Ok(());
        };
        self.command("dist tests", dist::tests(paths, &dirs, test_files(&paths.in_root("tests/dist")))?)?;
        self.command("dev of a release", dist::dev(paths, &archive)?)
    }
}
