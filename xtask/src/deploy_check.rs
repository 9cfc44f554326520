//! What is checked before wrangler deploys: `admit check-config`. `wrangler dev` has `.dev.vars`, and is not held up.

use std::{env, process::Command};

use anyhow::{Result, bail};

use crate::{native, paths::Paths};

/// The commands of wrangler that send a Worker to Cloudflare, as it names them to its build command.
const DEPLOYS: [&str; 2] = ["deploy", "versions upload"];

/// Checks the configuration if wrangler is about to deploy. The environment is that of `--env` here, else that of
/// `CLOUDFLARE_ENV`: wrangler does not pass its own `--env` on.
///
/// # Errors
/// The configuration has errors, which have been printed, or the check cannot be made.
pub fn before_deploy(paths: &Paths, environment: Option<&str>) -> Result<()> {
    if !is_deploy(env::var("WRANGLER_COMMAND").ok().as_deref()) {
        return Ok(());
    }
    let environment = environment.map(str::to_owned).or_else(|| env::var("CLOUDFLARE_ENV").ok());
    let mut check = Command::new(native::admit(paths, true)?);
    check.args(["check-config", "--env", environment.as_deref().unwrap_or_default()]);
    check.current_dir(&paths.root);
    let status = check.status()?;
    if !status.success() {
        bail!("the configuration has errors, so nothing is deployed; `admit check-config` prints them again");
    }
    Ok(())
}

fn is_deploy(wrangler_command: Option<&str>) -> bool {
    wrangler_command.is_some_and(|command| DEPLOYS.contains(&command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_reaches_cloudflare_is_a_deploy() {
        assert!(is_deploy(Some("deploy")) && is_deploy(Some("versions upload")));
        for command in [None, Some("dev"), Some("types"), Some("")] {
            assert!(!is_deploy(command), "{command:?}");
        }
    }
}
