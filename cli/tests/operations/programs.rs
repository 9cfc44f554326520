//! The programs: an origin, a follower of it, and the wire between them, which does as the test says.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use admit_testing::http::{Request, Response, Server};
use serde_json::{Value, json};

use crate::in_root;

pub const FEED_SECRET: &str = "feed-secret-feed-secret-feed-secret";
/// The form of an access for a customer who has none.
pub const GRANT: &str = "item_id=5101&consumer_id=88005&access_fee_id=7013";
const MERCHANT: &str = "https://merchant.example";

/// The built `origin`, which Cargo puts beside `admit`.
pub fn origin_program() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_admit")).with_file_name("origin");
    let program = env::var_os("ADMIT_ORIGIN").map_or(beside, PathBuf::from);
    assert!(program.is_file(), "{program:?} is missing: cargo build -p origin");
    program
}

pub fn admit() -> Command {
    Command::new(env!("CARGO_BIN_EXE_admit"))
}

/// What a command prints. It succeeds.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A directory of a test, with keys.
pub struct Stage {
    pub dir: PathBuf,
}

impl Stage {
    pub fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ops-{name}-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        for key in ["snapshot", "merchant"] {
            let file = dir.join(format!("{key}.jwk"));
            output(admit().args(["keygen", "--alg", "EdDSA", "--kid", key, "--out"]).arg(file));
        }
        Self { dir }
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    pub fn issuers(&self) -> String {
        let public = output(admit().args(["keygen", "--public", &self.path("merchant.jwk")]));
        let keys: Value = serde_json::from_str(&public).unwrap();
        json!([{
            "issuer": MERCHANT, "namespace": "vendor", "audience": {"any_of": ["admit-dev"]},
            "may": ["view", "write"], "keys": {"jwks": keys},
        }])
        .to_string()
    }

    /// A merchant's token.
    pub fn token(&self) -> String {
        let claims =
            json!({"iss": MERCHANT, "aud": "admit-dev", "sub": "m", "mid": 2101, "ctx": ["merchant"]});
        let key = self.path("merchant.jwk");
        output(admit().args(["token", "--key", &key, "--claims", &claims.to_string()])).trim().to_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A running program, its log, and where its metrics are.
pub struct Program {
    child: Child,
    lines: mpsc::Receiver<Value>,
    /// All lines so far.
    pub said: Vec<Value>,
    /// Where its metrics are.
    pub metrics: String,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        for pipe in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let prose = || json!({"event": "prose", "line": line});
                    let line = serde_json::from_str(&line).unwrap_or_else(|_| prose());
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let mut program = Self { child, lines, said: Vec::new(), metrics: String::new() };
        program.metrics = program.wait_for("metrics")["address"].as_str().unwrap().to_owned();
        program
    }

    /// Waits for an event in its log.
    #[track_caller]
    pub fn wait_for(&mut self, event: &str) -> Value {
        loop {
            if let Some(found) = self.said.iter().find(|line| line["event"] == event) {
                return found.clone();
            }
            match self.lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) => {
                    assert_ne!(line["event"], "prose", "with --log json every line is JSON: {line}");
                    self.said.push(line);
                }
                Err(error) => panic!("no {event}: {error}: {:?}", self.said),
            }
        }
    }

    /// The lines that have come since the last look.
    pub fn new_lines(&mut self) -> Vec<Value> {
        self.said.clear();
        self.lines.try_iter().collect()
    }

    /// Ends it by SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end, and returns the exit code.
    #[track_caller]
    pub fn ended(&mut self) -> Option<i32> {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("it goes on: {:?}", self.new_lines());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An origin on the sample catalogue.
pub struct Origin {
    pub program: Program,
    pub url: String,
    token: String,
}

impl Origin {
    /// `blocks`: how many blocks of 512 or 1,024 bytes a file may have, as on a full disk.
    pub fn start(stage: &Stage, blocks: Option<u32>) -> Self {
        let mut command = match blocks {
            Some(blocks) => {
                let mut limited = Command::new("sh");
                let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
                limited.args(["-c", script, "sh", &blocks.to_string()]).arg(origin_program());
                limited
            }
            None => Command::new(origin_program()),
        };
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log", "json"])
            .args(["--allow-password-grant", "--connections-per-address", "900"])
            .args(["--db", &stage.path("origin.db"), "--seed"])
            .arg(in_root("samples/catalogue"))
            .env("ISSUERS", stage.issuers())
            .env("LOG_CHECKS", "all")
            .env("ORIGIN_FEED_SECRET", FEED_SECRET);
        let mut program = Program::start(&mut command);
        let url = program.wait_for("listening")["url"].as_str().unwrap().to_owned();
        Self { program, url, token: stage.token() }
    }

    /// Sends a request as a merchant, and returns the status.
    pub fn write(&self, method: &str, target: &str, form: &str, headers: &[(&str, &str)]) -> u16 {
        send(&self.token, method, &format!("{}{target}", self.url), form, headers)
    }

    /// A customer gets an access.
    #[track_caller]
    pub fn grant(&self) {
        assert_eq!(self.write("POST", "/items/access", GRANT, &[]), 201);
    }

    /// The customer loses it.
    #[track_caller]
    pub fn revoke(&self) {
        assert_eq!(self.write("DELETE", "/items/5101/access?consumer_id=88005", "", &[]), 204);
    }
}

/// Sends a request as a merchant, and returns the status.
pub fn send(token: &str, method: &str, url: &str, form: &str, headers: &[(&str, &str)]) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = ureq::Agent::new_with_config(config);
    let answer = match form {
        "" => agent.run(request.body(()).unwrap()),
        form => agent.run(request.body(form.to_owned()).unwrap()),
    };
    answer.unwrap().status().as_u16()
}

/// What the wire does with answers of the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes them on.
    Pass,
    /// Answers 503 in the origin's place.
    Refuse,
    /// Says that the changes are no longer kept.
    Forget,
    /// Passes changes on with customers that are not valid.
    Spoil,
    /// Passes changes and the export on with such customers.
    SpoilAll,
}

/// The wire between follower and origin.
pub struct Wire {
    server: Server,
    mode: Arc<Mutex<Mode>>,
}

impl Wire {
    pub fn to(origin: &str, mode: Mode) -> Self {
        let mode = Arc::new(Mutex::new(mode));
        let (shared, origin) = (Arc::clone(&mode), origin.to_owned());
        let server = Server::start(move |request| {
            let mode = || *shared.lock().unwrap();
            let _gone = relay(request, &origin, &mode);
        });
        Self { server, mode }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn export(&self) -> String {
        format!("{}/export", self.server.url())
    }
}

fn relay(request: Request, origin: &str, mode: &dyn Fn() -> Mode) -> std::io::Result<()> {
    let is_feed = request.target.contains("after=");
    match mode() {
        Mode::Refuse => return request.respond(&Response::new(503, "")),
        Mode::Forget if is_feed => return request.respond(&Response::new(410, "")),
        _ => {}
    }
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let asked = ureq::Agent::new_with_config(config)
        .get(format!("{origin}{}", request.target))
        // The feed is not waited for: a mode that is set meanwhile counts at once.
        .header("authorization", request.header("authorization"))
        .call();
    let Ok(mut answer) = asked else { return request.respond(&Response::new(502, "")) };
    let status = answer.status().as_u16();
    let mut body = answer.body_mut().with_config().limit(1 << 26).read_to_string().unwrap();
    if mode() == Mode::SpoilAll || mode() == Mode::Spoil && is_feed {
        body = body.replace("\"uuid\":\"", "\"uuid\":\"no-");
    }
    let response = if status == 200 { Response::ndjson(body) } else { Response::new(status, body) };
    request.respond(&response)
}

/// A follower that publishes to a directory.
pub fn follower(stage: &Stage, from: &str, store: &str) -> Program {
    Program::start(&mut follower_command(stage, from, store))
}

pub fn follower_command(stage: &Stage, from: &str, store: &str) -> Command {
    let mut command = admit();
    command
        .args(["publish", "--from", from, "--follow", "--every", "1", "--heartbeat", "1"])
        .args(["--to", &format!("dir:{}", stage.path(store)), "--key", &stage.path("snapshot.jwk")])
        .args(["--metrics", "127.0.0.1:0", "--log", "json"])
        .env("ADMIT_ORIGIN_TOKEN", FEED_SECRET);
    command
}

/// Starts a follower whose command a test has changed.
pub fn start(command: &mut Command) -> Program {
    Program::start(command)
}
