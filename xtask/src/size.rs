//! The size of the Worker's Wasm, which every cold start pays for.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result, bail};
use flate2::{Compression, write::GzEncoder};

/// The most that the Wasm may weigh gzipped, in bytes: 412 KiB.
///
/// A workers-rs hello world gzips to 40 KiB, jwt-compact and serde_json add some 50, what asks and tells the
/// origin 16, the report and the comparison of versions some 34, the routes of support staff 11, reading keys, moments and bodies in the forms in which peers send them some 40, the service the rest;
/// all of it optimised for size (`[profile.worker]`), but for what a check spends its time in, and without what
/// nothing reaches (`shrink.rs`).
/// Isolates come and go all the time, and each compiles the whole module before its first answer. The
/// platform's own limit, 3 MB, is far too wide to notice a dependency that slips in: the `url` crate alone
/// once brought 77 KiB.
pub const BUDGET_BYTES: usize = 421_888;

/// The most that the functions may weigh that the first check of an isolate compiles, in bytes of their bodies:
/// `cargo xtask bench compiled` counts and names them.
///
/// V8 compiles a function when it is called first. Each KiB of body adds 0.06 to 0.08 ms to a cold start, more than any
/// other part of it that is ours (docs/adr/0059). A function that is inlined into the path of a check counts
/// with it, so that the budget notices a route that does.
pub const FIRST_CHECK_MAX_BYTES: usize = 250 * 1024;

/// Sizes of one file.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// As it is, in bytes.
    pub raw: usize,
    /// Gzipped at the level that uploads use, in bytes.
    pub gzipped: usize,
}

impl Size {
    /// Measures the file at `path`.
    pub fn of(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        Ok(Self { raw: bytes.len(), gzipped: encoder.finish()?.len() })
    }

    /// Fails if the size is above the budget.
    pub fn check(self) -> Result<()> {
        if self.gzipped > BUDGET_BYTES {
            bail!(
                "the Wasm is {} bytes gzipped, {} above its budget of {BUDGET_BYTES}: \
                 see what grew with `cargo tree --target wasm32-unknown-unknown -e normal`",
                self.gzipped,
                self.gzipped - BUDGET_BYTES
            );
        }
        Ok(())
    }

    /// One line for people.
    pub fn describe(self) -> String {
        let kib = |bytes: usize| format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024);
        let percent = self.gzipped * 100 / BUDGET_BYTES;
        format!("{} raw, {} gzipped ({percent} % of the budget)", kib(self.raw), kib(self.gzipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_itself_passes_and_one_more_byte_fails() {
        assert!(Size { raw: 0, gzipped: BUDGET_BYTES }.check().is_ok());
        assert!(Size { raw: 0, gzipped: BUDGET_BYTES + 1 }.check().is_err());
    }

    #[test]
    fn sizes_read_well() {
        let size = Size { raw: 1536, gzipped: 2_560 };
        let percent = 2_560 * 100 / BUDGET_BYTES;
        assert_eq!(size.describe(), format!("1.5 KiB raw, 2.5 KiB gzipped ({percent} % of the budget)"));
    }
}
