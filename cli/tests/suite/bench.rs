//! A directory for one test, with keys in it, and the `admit` command run in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::double::TOKEN;

/// A test's directory.
pub struct Bench {
    /// Where it is.
    pub dir: PathBuf,
}

/// The result of a command.
pub struct Ended {
    /// The exit code; `None` if it was killed.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Fails the test unless the command succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless the command ended with `code` and printed `text` to standard error.
    pub fn failed(self, code: i32, text: &str) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains(text), "{text:?} is not in: {}", self.stderr);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Bench {
    /// An empty directory with the key `publisher.jwk`.
    pub fn new(test: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let bench = Self { dir };
        bench.keygen("publisher");
        bench
    }

    /// Makes the key `<name>.jwk`.
    pub fn keygen(&self, name: &str) {
        let out = format!("{name}.jwk");
        self.run(&["keygen", "--alg", "EdDSA", "--kid", name, "--out", &out]).ok();
    }

    /// The public JWKS of the key `<name>.jwk`.
    pub fn jwks(&self, name: &str) -> String {
        self.run(&["keygen", "--public", &format!("{name}.jwk")]).ok().stdout
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.dir.join(name), content).unwrap();
    }

    /// The command, set up to run in this directory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_admit"));
        command.args(args).current_dir(&self.dir).env("ADMIT_TOKEN", TOKEN);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.command(args).output().unwrap().into()
    }

    /// Runs `admit publish` from `from` to `url`, with `more` arguments.
    pub fn publish(&self, from: &str, url: &str, more: &[&str]) -> Ended {
        let args = ["publish", "--from", from, "--to", url, "--key", "publisher.jwk"];
        self.run(&[&args, more].concat())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A failed test's directory is kept for inspection.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The sample catalogue.
pub fn samples() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/catalogue").display().to_string()
}

/// A catalogue without relative times: one merchant, one item, and `customers` customers who own it.
pub fn catalogue(customers: usize) -> String {
    let mut lines = vec![
        r#"{"type":"merchant","id":21,"uuid":"e5ac2013-8d10-42ba-abb5-291c5201cea8"}"#.to_owned(),
        r#"{"type":"item","id":33,"merchant_id":21,"title":"Slack Water","is_active":true,"access_control_type":{"id":4,"name":"Paid","auth":true},"item_type":{"id":44,"name":"brightcove_asset","content_type":"ovp","host":"inplayer","description":"OVP asset"},"created_at":1700000000,"updated_at":1700000000}"#.to_owned(),
    ];
    for id in 1..=customers {
        lines.push(format!(
            r#"{{"type":"customer","namespace":"vendor","subject":"c{id}","id":{id},"uuid":"11a7ed90-65d3-4ee2-9d91-{id:012x}","merchant_id":21,"accesses":[{{"id":{id},"item_id":33,"created_at":1700000000}}]}}"#
        ));
    }
    lines.join("\n")
}
