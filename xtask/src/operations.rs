//! The suite of `ops/` and docs/operations.md, in parts by the tools that they need: each part runs where its tool is, and
//! counts as skipped where it is not.

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    debian,
    docker::{self, Docker},
    job,
    paths::Paths,
};

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
        needs: Some((
            Tool::Docker,
            "there is no Docker daemon with a compose command, and none can be started: that needs root, and dockerd or apt",
        )),
    },
];

/// What a part runs with, for as long as it runs.
#[derive(Debug, Default)]
pub struct Ready {
    /// Variables of its tests.
    pub variables: Vec<(&'static str, OsString)>,
    /// A daemon of ours ends with it.
    _docker: Option<Docker>,
}

impl Part {
    /// Gets the tool of this part ready. Returns why the part cannot run, or what it runs with.
    pub fn ready(&self, paths: &Paths) -> Result<Ready, &'static str> {
        let Some((tool, why)) = self.needs else { return Ok(Ready::default()) };
        match tool {
            Tool::Promtool => {
                let program = promtool(paths).ok_or(why)?;
                Ok(Ready { variables: vec![("PROMTOOL", program.into())], _docker: None })
            }
            Tool::SystemdAnalyze => {
                runs(Command::new("systemd-analyze").arg("--version")).then(Ready::default).ok_or(why)
            }
            Tool::Docker => {
                let mut docker = docker::ensure(paths).map_err(|error| {
                    eprintln!("{error:#}");
                    why
                })?;
                Ok(Ready { variables: std::mem::take(&mut docker.variables), _docker: Some(docker) })
            }
        }
    }
}

fn promtool(paths: &Paths) -> Option<PathBuf> {
    let named = std::env::var_os("PROMTOOL").filter(|path| !path.is_empty());
    let program = named.map_or_else(|| PathBuf::from("promtool"), PathBuf::from);
    let is_there = || runs(Command::new(&program).arg("--version"));
    if !is_there() {
        debian::install_as_root(paths, &["prometheus"], "installing Prometheus for its promtool", "a minute")
            .ok()?;
    }
    is_there().then_some(program)
}

fn runs(command: &mut Command) -> bool {
    job::stdout(command).is_ok()
}
