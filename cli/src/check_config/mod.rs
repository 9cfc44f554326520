//! `admit check-config`: reports, before a deploy, the errors that the Worker would report at its first
//! request.
//!
//! `document` parses wrangler's file, `settings` applies its rules of inheritance to each environment,
//! `variables` runs the Worker's own parser, and `checks`, `environments` and `capabilities` look at the rest. All of them
//! add to one `report`.

mod capabilities;
mod checks;
mod document;
mod environments;
mod report;
mod secrets;
mod settings;
mod variables;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use admit_publish::store::Issuer;
use admit_token::parse_issuers;
use anyhow::{Context, Result};

use self::{
    document::Document,
    report::{ConfigReport, EnvironmentReport},
    secrets::as_binding,
    settings::Settings,
    variables::Secrets,
};

/// The exit code for a configuration with errors.
const ERRORS: u8 = 2;

/// Arguments of `admit check-config`.
#[derive(clap::Args)]
#[command(after_help = "\
Reads wrangler's configuration and runs the Worker's own parser over its variables, for the top level and each
environment, or for the one that --env names. It also checks the KV namespace, routes, compatibility date and
flags, and sampling of logs. Secrets are not in the file: those that issuers name are listed, and checked if a file of
secrets is given. It sends no requests and changes nothing. Exit codes: 0 no errors, 1 a file cannot be read, 2 errors.

Examples:
  admit check-config
  admit check-config --env staging --secret ISSUERS
  admit check-config --dev-vars .dev.vars --json | jq '.environments[].problems[]'")]
pub struct Args {
    /// The configuration file [default: wrangler.json, wrangler.jsonc or wrangler.toml in this directory]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check this environment only; an empty name is the top level [default: all]
    #[arg(long, short, value_name = "NAME", env = "CLOUDFLARE_ENV")]
    env: Option<String>,
    /// Check with the values of a .dev.vars file, which come before those of [vars]
    #[arg(long, value_name = "FILE")]
    dev_vars: Option<PathBuf>,
    /// Check with the values of a file for `wrangler deploy --secrets-file`
    #[arg(long, value_name = "FILE", conflicts_with = "dev_vars")]
    secrets: Option<PathBuf>,
    /// A secret that is set at Cloudflare, such as ISSUERS; as often as you like, or with commas between
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "ADMIT_SECRETS")]
    secret: Vec<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// The issuers that a configuration file names at its top level.
///
/// # Errors
/// The file cannot be read, or its `ISSUERS` is missing or wrong.
pub fn issuers(path: &Path) -> Result<Vec<Issuer>> {
    let document = Document::read(Some(path))?;
    let vars = Settings::of(&document, None)?.own("vars");
    let value = vars.and_then(|vars| vars.get("ISSUERS"));
    let value = value.with_context(|| format!("{}: vars.ISSUERS is not set", path.display()))?;
    let stand_in = |_: &str| Some(variables::SECRET_STAND_IN.to_owned());
    let issuers = parse_issuers(&as_binding(value.value), &stand_in)
        .with_context(|| format!("{}: vars", path.display()))?;
    Ok(issuers.into_iter().map(Issuer::from).collect())
}

/// Runs `admit check-config`.
///
/// # Errors
/// A file cannot be read, or does not have the environment. Problems of the configuration are in the report.
pub fn run(args: &Args) -> Result<ExitCode> {
    let document = Document::read(args.config.as_deref())?;
    let secrets = match args.dev_vars.as_ref().or(args.secrets.as_ref()) {
        None => Secrets::default(),
        Some(path) => {
            Secrets { file: path.display().to_string(), values: secrets::read(path)?, ..Secrets::default() }
        }
    };
    let elsewhere: BTreeSet<_> = args.secret.iter().map(|name| name.trim().to_owned()).collect();
    let secrets = Secrets { elsewhere, ..secrets };
    let environments = match args.env.as_deref() {
        None => Settings::all(&document),
        Some("") => vec![Settings::of(&document, None)?],
        Some(name) => vec![Settings::of(&document, Some(name))?],
    };
    let environments = environments.iter().map(|settings| check(settings, &secrets)).collect();
    let report = ConfigReport::new(document.path.display().to_string(), environments);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.is_fine { ExitCode::SUCCESS } else { ExitCode::from(ERRORS) })
}

fn check(settings: &Settings<'_>, secrets: &Secrets) -> EnvironmentReport {
    let mut report = EnvironmentReport::new(settings);
    variables::check(settings, secrets, &mut report);
    checks::check(settings, &mut report);
    report
}
