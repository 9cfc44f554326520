//! The local Worker, `wrangler dev`, and questions to servers on this machine.

use std::{net::TcpListener, path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::{guarded::Guarded, node, paths::Paths};

/// An answer takes milliseconds; this bounds a Worker that hangs.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How many ports after the asked-for one are tried.
const PORTS_TRIED: u16 = 20;

/// Starts `wrangler dev` on `port`, its state and logs in `dir`, with `vars` on top of those of `.dev.vars`.
pub fn start(paths: &Paths, port: u16, dir: &Path, vars: &[(String, String)]) -> Result<Guarded> {
    let program = node::bin(paths, "wrangler");
    Guarded::start(paths, "the Worker", &program, dir.join("wrangler.log"), |command| {
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
    })
}

/// The status of a GET with an optional bearer token.
pub fn get(url: &str, token: Option<&str>, limit: Duration) -> Result<u16> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(limit))
        .proxy(None)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Ok(request.call()?.status().as_u16())
}

/// `asked` if it is free, or the next port that is; 0 asks for any.
pub fn free_port(asked: u16) -> Result<u16> {
    let free = (asked..=asked.saturating_add(PORTS_TRIED)).find_map(|port| {
        // Bound and let go at once. If another program takes it before wrangler does, wrangler says so.
        TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok()
    });
    let free = free.with_context(|| {
        format!("ports {asked} to {} are all busy; choose another with --port", asked + PORTS_TRIED)
    })?;
    Ok(free.port())
}
