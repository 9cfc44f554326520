//! The `wrangler.toml` of a release: the repository's, with a built Worker in the place of the build.

use anyhow::{Context, Result};

use crate::console::ASSETS;

/// The directory of the Worker's modules in a release. wrangler uploads every module in it.
pub const WORKER: &str = "worker";

/// The directory of the assets. It is outside [`WORKER`], or its scripts would be uploaded as modules too.
pub const PUBLIC: &str = "public";

const HEAD: &str = "\
# The Worker's configuration. README.md has the first steps, docs/deploy.md of the repository all of them, and
# docs/configuration.md every variable.

";

const MAIN: &str = "\
main = \"worker/index.js\"
# The modules in worker/ are uploaded as they are. Without the rule, wrangler would take .js for CommonJS and leave it out.
no_bundle = true
rules = [{ type = \"ESModule\", globs = [\"**/*.js\"] }]";

/// Derives it from the repository's.
pub fn of(repository: &str) -> Result<String> {
    let at = repository.find("\nname = ").context("wrangler.toml has no name")?;
    let text = format!("{HEAD}{}", repository.get(at + 1..).unwrap_or_default());
    let text = replaced(&text, "main = \"build/index.js\"", MAIN)?;
    let (before, build) = text.split_once("\n[build]\n").context("wrangler.toml has no [build]")?;
    let (_, after) = build.split_once("\n\n").context("wrangler.toml has nothing after [build]")?;
    let text = format!("{before}\n{after}");
    replaced(&text, &format!("directory = \"{ASSETS}\""), &format!("directory = \"{PUBLIC}\""))
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    let (before, after) = text.split_once(from).with_context(|| format!("wrangler.toml has no `{from}`"))?;
    Ok(format!("{before}{to}{after}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_release_has_no_build_step_and_all_bindings() {
        let repository = fs::read_to_string("../wrangler.toml").unwrap();
        let text = of(&repository).unwrap();
        for absent in ["[build]", "cargo", "build/index.js", ASSETS] {
            let lines: Vec<_> = text.lines().filter(|line| line.contains(absent)).collect();
            assert!(lines.is_empty(), "{absent}: {lines:?}");
        }
        // Everything from the first table of bindings on is the same.
        let bindings = |text: &str| text.split_once("\n[vars]\n").unwrap().1.to_owned();
        assert_eq!(bindings(&text), bindings(&repository));
    }
}
