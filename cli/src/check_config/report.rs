//! The findings of `admit check-config`, as text and as JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use serde::Serialize;

use super::settings::Settings;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The Worker will not work as configured.
    Error,
    /// The Worker will work, but the setting is probably a mistake.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigProblem {
    /// How serious it is.
    pub severity: Severity,
    /// The file, as given.
    pub file: String,
    /// The line of the key, or of the closest table around it; `None` if neither is in the file.
    pub line: Option<usize>,
    /// The key, such as `env.staging.vars.ISSUERS[0].audience`.
    pub key: String,
    /// The problem: the value, and the expected one.
    pub problem: String,
    /// What to do about it.
    pub change: String,
}

/// The findings of one environment.
#[derive(Debug, Serialize)]
pub struct EnvironmentReport {
    /// The environment's name; `None` for the top level.
    pub environment: Option<String>,
    /// The problems, in the order in which they were found.
    pub problems: Vec<ConfigProblem>,
    /// Secrets that must be set at Cloudflare, each with its purpose.
    pub secrets: BTreeMap<String, String>,
    #[serde(skip)]
    file: String,
}

/// The findings of all environments.
#[derive(Debug, Serialize)]
pub struct ConfigReport {
    /// The configuration file.
    pub file: String,
    /// Whether there are no errors; warnings are allowed.
    pub is_fine: bool,
    /// One entry for each environment that was checked.
    pub environments: Vec<EnvironmentReport>,
}

impl EnvironmentReport {
    /// An empty report for the environment of `settings`.
    pub fn new(settings: &Settings<'_>) -> Self {
        Self {
            environment: settings.name.map(str::to_owned),
            problems: Vec::new(),
            secrets: BTreeMap::new(),
            file: settings.document.path.display().to_string(),
        }
    }

    /// Adds an error at `key`.
    pub fn error(
        &mut self,
        settings: &Settings<'_>,
        key: &str,
        problem: impl Into<String>,
        change: impl Into<String>,
    ) {
        self.add(Severity::Error, settings, key, problem.into(), change.into());
    }

    /// Adds a warning at `key`.
    pub fn warn(
        &mut self,
        settings: &Settings<'_>,
        key: &str,
        problem: impl Into<String>,
        change: impl Into<String>,
    ) {
        self.add(Severity::Warning, settings, key, problem.into(), change.into());
    }

    /// Adds an error about a value in another file, whose lines are unknown.
    pub fn error_in(&mut self, file: &str, key: &str, problem: impl Into<String>, change: impl Into<String>) {
        self.problems.push(ConfigProblem {
            severity: Severity::Error,
            file: file.to_owned(),
            line: None,
            key: key.to_owned(),
            problem: problem.into(),
            change: change.into(),
        });
    }

    fn add(
        &mut self,
        severity: Severity,
        settings: &Settings<'_>,
        key: &str,
        problem: String,
        change: String,
    ) {
        let (file, line) = (self.file.clone(), settings.document.line(key));
        self.problems.push(ConfigProblem { severity, file, line, key: key.to_owned(), problem, change });
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }
}

impl ConfigReport {
    /// Joins the reports of the environments.
    pub fn new(file: String, mut environments: Vec<EnvironmentReport>) -> Self {
        for environment in &mut environments {
            environment.problems.sort_by_key(|problem| problem.severity);
        }
        let is_fine = environments.iter().all(|environment| environment.count(Severity::Error) == 0);
        Self { file, is_fine, environments }
    }
}

impl Display for ConfigProblem {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(formatter, "{severity}: {}", self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        writeln!(formatter, ": {}: {}", self.key, self.problem)?;
        writeln!(formatter, "  change: {}", self.change)
    }
}

impl Display for ConfigReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for environment in &self.environments {
            for problem in &environment.problems {
                write!(formatter, "{problem}")?;
            }
            let name =
                environment.environment.as_ref().map_or("top level".to_owned(), |name| format!("env.{name}"));
            for (secret, purpose) in &environment.secrets {
                writeln!(
                    formatter,
                    "secret: {name}: {secret} is not seen here ({purpose}); `npx wrangler secret put {secret}{}` sets it",
                    environment.environment.as_ref().map_or(String::new(), |name| format!(" --env {name}"))
                )?;
            }
            let (errors, warnings) =
                (environment.count(Severity::Error), environment.count(Severity::Warning));
            let errors = counted(errors, "error");
            let warnings = counted(warnings, "warning");
            writeln!(formatter, "{} ({name}): {errors}, {warnings}", self.file)?;
        }
        Ok(())
    }
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
