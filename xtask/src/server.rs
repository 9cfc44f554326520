//! The local Worker: `wrangler dev`.

use std::{net::TcpListener, path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{guarded::Guarded, node, paths::Paths};

/// An answer takes milliseconds; this bounds a Worker that hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How many ports after the asked-for one are tried.
const PORTS_TRIED: u16 = 20;

/// A running `wrangler dev`. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    wrangler: Guarded,
    /// Where it answers, without a slash at the end.
    pub base_url: String,
}

impl Server {
    /// Starts the Worker on `port`, its state and logs in `dir`, with `vars` on top of those of `.dev.vars`, and
    /// waits until it answers.
    ///
    /// # Errors
    /// It ends or does not answer in time; the message holds the end of its log.
    pub fn start(paths: &Paths, port: u16, dir: &Path, vars: &[(String, String)]) -> Result<Self> {
        let program = node::bin(paths, "wrangler");
        let wrangler = Guarded::start(paths, "wrangler", &program, dir.join("wrangler.log"), |command| {
            command.args([
                "dev",
                "--ip=127.0.0.1",
                "--inspector-port=0",
                "--show-interactive-dev-session=false",
                &format!("--port={port}"),
            ]);
            command.arg("--persist-to").arg(dir.join("state"));
            for (name, value) in vars {
                command.arg("--var").arg(format!("{name}:{value}"));
            }
            node::apply(paths, command)?;
            command
                .env("CARGO_TARGET_DIR", &paths.target)
                .env("WRANGLER_LOG_PATH", dir.join("wrangler-logs"))
                .env("WRANGLER_REGISTRY_PATH", dir.join("registry"));
            Ok(())
        })?;
        let mut server = Self { wrangler, base_url: format!("http://127.0.0.1:{port}") };
        server.wait_for(&[200, 503])?;
        Ok(server)
    }

    /// Waits until `/healthz` answers one of `statuses`.
    ///
    /// # Errors
    /// The Worker ends, does not do so in time, or we are interrupted.
    pub fn wait_for(&mut self, statuses: &[u16]) -> Result<()> {
        let url = format!("{}/healthz", self.base_url);
        self.wrangler.wait_until(&format!("the Worker's /healthz should answer {statuses:?}"), || {
            answers(&url, statuses)
        })
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.wrangler.check_alive()
    }

    /// The log that wrangler and the Worker write.
    pub fn log(&self) -> &Path {
        self.wrangler.log()
    }
}

/// Whether a GET of `url` is answered with one of `statuses`; otherwise what happens instead.
pub fn answers(url: &str, statuses: &[u16]) -> Result<(), String> {
    match get(url, None) {
        Ok(status) if statuses.contains(&status) => Ok(()),
        Ok(status) => Err(format!("status {status}")),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// The status of a GET with an optional bearer token.
///
/// # Errors
/// Nothing answers.
pub fn get(url: &str, token: Option<&str>) -> Result<u16> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_LIMIT))
        .proxy(None)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Ok(request.call()?.status().as_u16())
}

/// `asked` if it is free, or the next port that is; 0 asks for any.
///
/// # Errors
/// None of them is free.
pub fn free_port(asked: u16) -> Result<u16> {
    let free = (asked..=asked.saturating_add(PORTS_TRIED)).find_map(|port| {
        // Bound and let go at once: somebody else may take it before wrangler does, who then says so.
        TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok()
    });
    let free = free.with_context(|| {
        format!("ports {asked} to {} are all busy; choose another with --port", asked + PORTS_TRIED)
    })?;
    Ok(free.port())
}
