//! The program `origin` as a child process: the server, and sub-commands beside it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::Value;

use super::{Ask, Dir, FEED_SECRET, Origin, samples, tokens::variables};

/// An origin as a child process, which ends with the test.
pub struct Process {
    child: Child,
    pub url: String,
}

impl Process {
    pub fn start(dir: &Dir) -> Self {
        Self::with(dir, &[], Stdio::null())
    }

    /// With further variables, and a destination for its log.
    pub fn with(dir: &Dir, more: &[(&str, &str)], log: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_origin"))
            .args(["serve", "--allow-password-grant", "--listen", "127.0.0.1:0", "--db"])
            .arg(dir.db())
            .arg("--seed")
            .arg(samples("catalogue"))
            .envs(variables())
            .envs(more.iter().copied())
            .env("ORIGIN_FEED_SECRET", FEED_SECRET)
            .env("ORIGIN_ALLOW_PASSWORD_GRANT", "true")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    /// Its standard error, if `log` was a pipe.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// Ends it by SIGKILL: nothing is flushed or closed.
    pub fn kill(self) {}

    pub fn feed(&self, path: &str) -> Vec<Value> {
        Ask::new("GET", format!("{}{path}", self.url)).bearer(FEED_SECRET).send().expect(200).lines()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a sub-command on the database of a running server, with `typed` as standard input. Returns what it
/// prints: standard output if it succeeds, otherwise standard error.
pub fn command(origin: &Origin, arguments: &[&str], typed: &str) -> Result<String, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_origin"))
        .args(arguments)
        .args(["--db", origin.dir.db().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails at once may not read its input.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
