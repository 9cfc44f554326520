//! Requests that `docs/openapi.json` permits, and others that it forbids, made by schemathesis and sent to a Worker and its
//! origin. They write: the run is of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::{job, keys::DevKeys, paths::Paths, personas, python, run::Run, tally::Tally};

/// The version of [`PACKAGES`]; a new one gets a new environment.
const VERSION: &str = "4.32.5";

/// Every package with its hashes.
const PACKAGES: &str = "xtask/schemathesis.txt";

/// The same requests in each run, so that a failure can be repeated.
const SEED: &str = "1";

/// How many requests fuzzing and sequences make of an operation. Examples and coverage, which find most, do not depend on it.
const EXAMPLES: &str = "8";

/// The program, in a virtual environment in the cache. `None` where Python or the packages cannot be had.
pub fn ensure(paths: &Paths) -> Option<PathBuf> {
    let dir = python::ensure(paths, &format!("schemathesis-{VERSION}"), PACKAGES)?;
    Some(dir.join("bin/schemathesis")).filter(|program| program.exists())
}

/// Who is asked: the Worker, or its origin.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// The Worker.
    Edge,
    /// The origin.
    Origin,
}

impl Target {
    /// How `x-served-by` of its operations begins.
    const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Origin => "origin",
        }
    }
}

/// Sends the requests to the Worker or the origin of `run`; counts those that were answered as the document says.
pub fn run(paths: &Paths, program: &Path, keys: &DevKeys, run: &Run, target: Target) -> Result<Tally> {
    let url = match target {
        Target::Edge => &run.edge_url,
        Target::Origin => run.origin_url.as_ref().context("the run has no origin")?,
    };
    let dir = run.dir.join(format!("schemathesis-{}", target.name()));
    fs::create_dir_all(&dir)?;
    let document = dir.join("openapi.json");
    let whole: Value = serde_json::from_str(&fs::read_to_string(paths.in_root("docs/openapi.json"))?)?;
    fs::write(&document, served_by(whole, target).to_string())?;
    let report = dir.join("report.json");
    let _absent = fs::remove_file(&report);
    let mut command = Command::new(program);
    command.arg("--config-file").arg(paths.in_root("schemathesis.toml")).arg("run").arg(&document);
    command.args(["--url", url, "--phases", "examples,coverage,fuzzing,stateful", "--seed", SEED]);
    command.args(["--max-examples", EXAMPLES, "--continue-on-failure", "--report", "json,junit"]);
    command.arg("--report-json-path").arg(&report).arg("--report-dir").arg(&dir);
    command.envs([("NO_COLOR", "1"), ("TERM", "dumb")]).current_dir(&dir);
    for (variable, token) in [
        ("ADMIT_VIEWER_TOKEN", token(&run.dir, "item-buyer")?),
        ("ADMIT_MERCHANT_TOKEN", token(&run.dir, "merchant")?),
        ("ADMIT_PUBLISHER_TOKEN", keys.operator_token()?),
        ("ADMIT_FEED_TOKEN", keys.feed_secret()?),
    ] {
        command.env(variable, token);
    }
    let mut job = job::Job::spawn(&mut command)?;
    let status = job.wait()?;
    let text =
        fs::read_to_string(&report).with_context(|| format!("schemathesis has made no report: {status}"))?;
    let tally = tally(&serde_json::from_str(&text)?);
    println!("{} passed, {} failed; reports: {}", tally.passed, tally.failed, paths.shown(&dir));
    if !status.success() && tally.failed == 0 {
        bail!("schemathesis ended with {status}");
    }
    Ok(tally)
}

/// The document with the operations of the target alone.
fn served_by(mut document: Value, target: Target) -> Value {
    let is_served = |operation: &Value| {
        let servers = operation.get("x-served-by").and_then(Value::as_array).into_iter().flatten();
        servers.filter_map(Value::as_str).any(|server| server.starts_with(target.name()))
    };
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for operations in paths.values_mut().filter_map(Value::as_object_mut) {
            operations.retain(|_, operation| is_served(operation));
            // The address is that of the run.
            operations
                .values_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|one| drop(one.remove("servers")));
        }
        paths.retain(|_, operations| operations.as_object().is_some_and(|operations| !operations.is_empty()));
    }
    document
}

/// The token of a sample viewer.
fn token(dir: &Path, name: &str) -> Result<String> {
    let personas: Vec<Map<String, Value>> =
        serde_json::from_str(&fs::read_to_string(dir.join(personas::FILE))?)?;
    let found = personas.iter().find(|persona| persona.get("name").and_then(Value::as_str) == Some(name));
    let token = found.and_then(|persona| persona.get("token")?.as_str());
    token.map(str::to_owned).with_context(|| format!("no sample viewer {name}"))
}

/// Requests with and without a finding, of a report.
fn tally(report: &Value) -> Tally {
    let number = |at: &str| {
        report.pointer(at).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
    };
    let (generated, found) = (number("/test_cases/generated"), number("/test_cases/with_failures"));
    let errors = number("/test_cases/errored");
    let failed = found + errors;
    Tally { passed: generated.saturating_sub(failed), failed, ignored: 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_counts_requests_with_findings_and_errors_as_failed() {
        let report = json!({"test_cases": {"generated": 2173, "with_failures": 21, "unique_failures": 20, "errored": 2}});
        assert_eq!(tally(&report), Tally { passed: 2150, failed: 23, ignored: 0 });
        assert_eq!(tally(&json!({})), Tally::default());
    }

    #[test]
    fn each_target_is_asked_for_its_own_operations() {
        let document = json!({"paths": {
            "/a": {"get": {"x-served-by": ["edge", "origin"]}, "post": {"x-served-by": ["edge with an origin", "origin"]}},
            "/b": {"get": {"x-served-by": ["origin"], "servers": []}},
            "/c": {"get": {"x-served-by": ["edge"]}},
        }});
        let shown = |target| {
            let document = served_by(document.clone(), target);
            let paths = document["paths"].as_object().unwrap().clone();
            paths
                .into_iter()
                .map(|(path, operations)| (path, operations.as_object().unwrap().len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(Target::Edge), [("/a".to_owned(), 2), ("/c".to_owned(), 1)]);
        assert_eq!(shown(Target::Origin), [("/a".to_owned(), 2), ("/b".to_owned(), 1)]);
    }
}
