//! The local Worker, `wrangler dev`, and questions to servers on this machine.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream, ToSocketAddrs as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{guarded::Guarded, node, paths::Paths};

/// An answer takes milliseconds; this bounds a Worker that hangs.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How many ports after the asked-for one are tried.
const PORTS_TRIED: u16 = 20;

/// Starts `wrangler dev` on `port` by `config`, or by the repository's `wrangler.toml`, its state and logs in `dir`, with `vars` and those of `vars_file` on top of those of
/// `.dev.vars`.
pub fn start(
    paths: &Paths,
    port: u16,
    config: Option<&Path>,
    dir: &Path,
    vars: &[(String, String)],
    vars_file: &Path,
) -> Result<Guarded> {
    let program = node::bin(paths, "wrangler");
    Guarded::start(paths, "the Worker", &program, dir.join("wrangler.log"), |command| {
        command.args([
            "dev",
            // The top level of the configuration.
            "--env=",
            "--ip=127.0.0.1",
            "--inspector-port=0",
            "--show-interactive-dev-session=false",
            &format!("--port={port}"),
        ]);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.arg("--persist-to").arg(dir.join("state"));
        // The later file counts where both have a variable.
        for file in [&paths.in_root(".dev.vars"), vars_file] {
            command.arg("--env-file").arg(file);
        }
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

/// The status of a GET with an optional bearer token, from a server on this machine that answers within `limit`.
pub fn get(url: &str, token: Option<&str>, limit: Duration) -> Result<u16> {
    let rest =
        url.strip_prefix("http://").with_context(|| format!("{url}: expected a plain HTTP address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = host.to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{token}\r\n")?;
    read_status(&mut BufReader::new(stream)).with_context(|| format!("{url} does not answer in HTTP"))
}

/// Reads an answer, as far as its length is known: a server may keep the connection open in spite of `close`.
fn read_status(answer: &mut impl BufRead) -> Result<u16> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let mut length = 0;
    while line.trim_end() != "" {
        line.clear();
        answer.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    answer.take(length).read_to_end(&mut Vec::new())?;
    status.context("no status")
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_status_is_read_though_the_connection_stays_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/items/1?x=2", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            // A request may come in several pieces.
            while !asked.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 512];
                let length = stream.read(&mut piece).unwrap();
                asked.extend_from_slice(&piece[..length]);
            }
            stream.write_all(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 4\r\n\r\nbody").unwrap();
            // The second caller is accepted by the system, and hears nothing.
            thread::sleep(Duration::from_millis(300));
            String::from_utf8_lossy(&asked).into_owned()
        });
        assert_eq!(get(&url, Some("a.b.c"), Duration::from_secs(60)).unwrap(), 402);
        assert!(get(&url, None, Duration::from_millis(20)).is_err());
        let asked = server.join().unwrap();
        assert!(asked.starts_with("GET /items/1?x=2 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\nauthorization: Bearer a.b.c\r\n\r\n"), "{asked}");
    }

    #[test]
    fn other_answers_are_errors() {
        for answer in ["", "SSH-2.0\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"] {
            assert!(read_status(&mut answer.as_bytes()).is_err(), "{answer}");
        }
        assert_eq!(read_status(&mut "HTTP/1.1 204 No Content\r\n\r\n".as_bytes()).unwrap(), 204);
    }
}
