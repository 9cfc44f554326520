//! The check before wrangler deploys: `admit check-config`. `wrangler dev` has `.dev.vars`, and goes unchecked.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{native, paths::Paths};

/// The commands of wrangler that send a Worker to Cloudflare, as it names them to its build command.
const DEPLOYS: [&str; 2] = ["deploy", "versions upload"];

/// Processes above this one that are looked at: cargo, a shell or two, node, npx.
const ANCESTORS_MAX: usize = 12;

/// The deployment that wrangler was asked for, from its command line: it tells its build command nothing of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// `--env`; an empty name is the top level.
    environment: Option<String>,
    /// `--config`.
    config: Option<PathBuf>,
}

/// Checks the configuration if wrangler is about to deploy. The environment is `environment`, which the build command
/// may name, else wrangler's own `--env`, else that of `CLOUDFLARE_ENV`.
pub fn before_deploy(paths: &Paths, environment: Option<&str>) -> Result<()> {
    if !is_deploy(env::var("WRANGLER_COMMAND").ok().as_deref()) {
        return Ok(());
    }
    let asked = ancestors().find_map(|arguments| asked(&arguments)).unwrap_or_default();
    let environment = environment.map(str::to_owned).or(asked.environment);
    let environment = environment.or_else(|| env::var("CLOUDFLARE_ENV").ok()).unwrap_or_default();
    let mut check = Command::new(native::admit(paths, true)?);
    check.args(["check-config", "--env", &environment]).current_dir(&paths.root);
    if let Some(config) =
        asked.config.map(|config| env::current_dir().map(|dir| dir.join(config))).transpose()?
        && config.is_file()
    {
        check.arg("--config").arg(config);
    }
    let status = check.status()?;
    if !status.success() {
        bail!("the configuration has errors, so nothing is deployed; `admit check-config` prints them again");
    }
    Ok(())
}

/// The request of a command line, if it is wrangler's.
fn asked(arguments: &str) -> Option<Asked> {
    let mut words =
        arguments.split(' ').filter(|word| !word.is_empty()).skip_while(|word| !is_wrangler(word));
    words.next()?;
    let mut asked = Asked::default();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        // A value that is empty leaves nothing behind: the next word is another option, or missing.
        let mut value =
            || value.clone().or_else(|| words.next_if(|next| !next.starts_with('-')).map(str::to_owned));
        match name {
            "--env" | "-e" => asked.environment = Some(value().unwrap_or_default()),
            "--config" | "-c" => asked.config = value().map(PathBuf::from),
            _ => {}
        }
    }
    Some(asked)
}

fn is_wrangler(word: &str) -> bool {
    word.ends_with("wrangler-dist/cli.js")
        || Path::new(word).file_name().is_some_and(|name| name == "wrangler" || name == "wrangler.js")
}

/// The command lines of the processes above this one, the closest first.
fn ancestors() -> impl Iterator<Item = String> {
    let mut process = std::process::id().to_string();
    let above = move || {
        process = parent(&process)?;
        command_line(&process)
    };
    std::iter::from_fn(above).take(ANCESTORS_MAX)
}

/// From `/proc` where it is there: a small Linux has no `ps`.
fn parent(process: &str) -> Option<String> {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return ps(process, "ppid=") };
    // The name before it may hold anything, parentheses among it.
    let (_, after) = stat.rsplit_once(") ")?;
    after.split(' ').nth(1).map(str::to_owned)
}

fn command_line(process: &str) -> Option<String> {
    let Ok(words) = fs::read(format!("/proc/{process}/cmdline")) else { return ps(process, "args=") };
    let line = String::from_utf8_lossy(&words).replace('\0', " ").trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// A column of `ps`.
fn ps(process: &str, column: &str) -> Option<String> {
    let output = Command::new("ps").args(["-ww", "-o", column, "-p", process]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
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

    #[test]
    fn wranglers_command_line_names_environment_and_file() {
        let of = |environment: Option<&str>, config: Option<&str>| {
            Some(Asked { environment: environment.map(str::to_owned), config: config.map(PathBuf::from) })
        };
        for (arguments, expected) in [
            ("node /p/node_modules/.bin/wrangler deploy --dry-run", of(None, None)),
            ("npx wrangler deploy --env staging", of(Some("staging"), None)),
            (
                "node /p/wrangler/bin/wrangler.js deploy --env=staging -c a/w.toml",
                of(Some("staging"), Some("a/w.toml")),
            ),
            ("node --x /p/wrangler-dist/cli.js versions upload -e staging", of(Some("staging"), None)),
            // `--env ""`: the top level.
            ("wrangler deploy --env  --dry-run", of(Some(""), None)),
            ("wrangler deploy --env=", of(Some(""), None)),
            ("cargo xtask build --for-wrangler --env staging", None),
            ("sh -c cargo xtask build --for-wrangler", None),
        ] {
            assert_eq!(asked(arguments), expected, "{arguments}");
        }
    }
}
