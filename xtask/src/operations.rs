//! The suite of `ops/` and docs/operations.md, in parts by the tools that they need: each part runs where its tool is, and
//! counts as skipped where it is not.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{debian, job, paths::Paths};

/// A part of the suite.
pub struct Part {
    /// Its name in the summary.
    pub name: &'static str,
    /// Arguments of the test's program: which tests.
    pub tests: &'static [&'static str],
    /// The tool that it needs, and why it does not run without it.
    needs: Option<(Tool, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    Promtool,
    SystemdAnalyze,
    Docker,
}

/// All parts. Together they have every test of the suite.
pub const PARTS: [Part; 4] = [
    Part {
        name: "operations",
        tests: &["followed::", "supervised::", "pages::every", "pages::containers", "alerts::each_alert_has"],
        needs: None,
    },
    Part {
        name: "alerts",
        tests: &["alerts::each_alert_fires", "alerts::rules", "pages::promtool"],
        needs: Some((
            Tool::Promtool,
            "there is no promtool: install Prometheus, or name it in PROMTOOL; as root, apt is asked for it",
        )),
    },
    Part {
        name: "units",
        tests: &["units::"],
        needs: Some((Tool::SystemdAnalyze, "there is no systemd-analyze")),
    },
    Part {
        name: "containers",
        tests: &["containers::"],
        needs: Some((Tool::Docker, "there is no Docker daemon that answers: name one in DOCKER_HOST")),
    },
];

impl Part {
    /// Gets the tool of this part ready. Returns why the part cannot run, or the variables that it runs with.
    pub fn ready(&self, paths: &Paths) -> Result<Vec<(&'static str, PathBuf)>, &'static str> {
        let Some((tool, why)) = self.needs else { return Ok(Vec::new()) };
        match tool {
            Tool::Promtool => promtool(paths).map(|path| vec![("PROMTOOL", path)]).ok_or(why),
            Tool::SystemdAnalyze => {
                runs(Command::new("systemd-analyze").arg("--version")).then(Vec::new).ok_or(why)
            }
            Tool::Docker => runs(Command::new("docker").arg("info")).then(Vec::new).ok_or(why),
        }
    }
}

fn promtool(paths: &Paths) -> Option<PathBuf> {
    let named = std::env::var_os("PROMTOOL").filter(|path| !path.is_empty());
    let program = named.map_or_else(|| PathBuf::from("promtool"), PathBuf::from);
    let is_there = || runs(Command::new(&program).arg("--version"));
    if !is_there() {
        debian::install_as_root(paths, "prometheus", "installing Prometheus for its promtool", "a minute")
            .ok()?;
    }
    is_there().then_some(program)
}

fn runs(command: &mut Command) -> bool {
    job::stdout(command).is_ok()
}
