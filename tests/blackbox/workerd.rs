//! The Worker in workerd, with any configuration, and behind `wrangler dev`.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::{
    callers::{self, Callers},
    client, contract,
    stand_ins::{CF_HEADER, DATASET, KV, LIMITS, Lane, POINTS},
    subject::Subject,
    wire::{Answer, Wire},
};

/// How long workerd may take to start: usually a fraction of a second, longer on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The Worker's own entry.
const ENTRY: &str = r#"export { default, Entitlements } from "./index.js";"#;

/// The Worker's modules, as `cargo xtask build` puts them.
const BUILT: [&str; 2] = ["index.js", "index_bg.wasm"];

/// The same for workerd, behind an entry.
const MODULES: &str = r#"modules = [
    (name = "entry.js", esModule = embed "entry.js"),
    (name = "index.js", esModule = embed "index.js"),
    (name = "./index_bg.wasm", wasm = embed "index_bg.wasm")
  ]"#;

fn now_secs() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the Worker goes by the real clock, and so does its test")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// The path of the binary: `ADMIT_WORKERD`, or the one that npm has installed.
fn program() -> PathBuf {
    if let Some(path) = env::var_os("ADMIT_WORKERD").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/@cloudflare");
    let found = fs::read_dir(&packages)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("workerd-")));
    found.expect("node_modules has no workerd; ADMIT_WORKERD may name one").join("bin/workerd")
}

/// A running workerd, which ends when this value is dropped.
pub struct Workerd {
    child: Child,
    address: SocketAddr,
    kv: SocketAddr,
    caller: SocketAddr,
    gate: SocketAddr,
    other: SocketAddr,
    output: Arc<Mutex<String>>,
    dir: PathBuf,
}

impl Workerd {
    /// Starts the Worker with these variables and an empty KV namespace.
    pub fn start(variables: &[(String, String)]) -> Self {
        Self::start_behind(ENTRY, variables)
    }

    /// Like [`Self::start`] with another entry, a module that imports the Worker's as `./index.js`.
    pub fn start_behind(entry: &str, variables: &[(String, String)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("workerd-{}-{count}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
        for file in BUILT {
            fs::copy(build.join(file), dir.join(file))
                .unwrap_or_else(|error| panic!("build/{file}: {error}"));
        }
        fs::write(dir.join("entry.js"), entry).unwrap();
        fs::write(dir.join("kv.js"), KV).unwrap();
        fs::write(dir.join("limits.js"), LIMITS).unwrap();
        fs::write(dir.join("points.js"), POINTS).unwrap();
        let mut bindings = String::new();
        for (index, (name, value)) in variables.iter().enumerate() {
            // In a file, so that the value need not be escaped.
            fs::write(dir.join(format!("variable-{index}")), value).unwrap();
            bindings += &if value == DATASET {
                format!("(name = \"{name}\", wrapped = (moduleName = \"tests:points\")), ")
            } else if value.starts_with(r#"{"simple":"#) {
                let inner = format!("(name = \"config\", json = embed \"variable-{index}\")");
                let limits = "moduleName = \"tests:ratelimit\", innerBindings";
                format!("(name = \"{name}\", wrapped = ({limits} = [{inner}])), ")
            } else {
                format!("(name = \"{name}\", text = embed \"variable-{index}\"), ")
            };
        }
        let console = variables.iter().any(|(name, _)| name == "CONSOLE").then(console_assets);
        if console.is_some() {
            bindings += CONSOLE_BINDING;
        }
        let has_entrypoint = entry.contains("Entitlements");
        let has_lane = entry.contains("FreshHead");
        if has_lane {
            fs::create_dir_all(dir.join("objects")).unwrap();
        }
        if has_entrypoint {
            callers::write_modules(&dir);
        }
        let assets = console.clone().unwrap_or_default();
        fs::write(dir.join("config.capnp"), config(&bindings, &assets, has_entrypoint, has_lane)).unwrap();
        let mut command = Command::new(program());
        command.args(["serve", "config.capnp", "--control-fd=1"]).current_dir(&dir);
        // Of workerd's own features only its service for assets is experimental.
        command.args(console.map(|_| "--experimental"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("workerd runs");
        let output = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().unwrap(), &output);
        collect(child.stderr.take().unwrap(), &output);
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut started =
            Self { child, address: none, kv: none, caller: none, gate: none, other: none, output, dir };
        started.address = started.socket("http");
        started.kv = started.socket("kv");
        if has_entrypoint {
            started.caller = started.socket("caller");
            started.gate = started.socket("gate");
        }
        if has_lane {
            started.other = started.socket("other");
        }
        started
    }

    fn socket(&mut self, name: &str) -> SocketAddr {
        let wanted = format!(r#"{{"event":"listen","socket":"{name}","port":"#);
        #[expect(clippy::disallowed_methods, reason = "a limit, not a measurement")]
        let start = Instant::now();
        while start.elapsed() < START_LIMIT {
            let output = self.output();
            let port =
                output.lines().find_map(|line| line.strip_prefix(&wanted)?.strip_suffix('}')?.parse().ok());
            if let Some(port) = port {
                return SocketAddr::from(([127, 0, 0, 1], port));
            }
            assert!(self.child.try_wait().unwrap().is_none(), "workerd ended: {}", self.output());
            thread::sleep(Duration::from_millis(10));
        }
        panic!("workerd does not listen: {}", self.output());
    }

    /// The address of the Worker.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another isolate of the Worker, with the same store and the same fresh lane. The entry has to export `FreshHead`.
    pub fn other(&self) -> Other<'_> {
        Other(self)
    }

    /// Everything that it has printed, including the Worker's log lines.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The first line that contains all of `parts`; waits a moment for it to arrive.
    pub fn log_line(&self, parts: &[&str]) -> Option<String> {
        for _ in 0..500 {
            let output = self.output();
            if let Some(line) = output.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return Some(line.to_owned());
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Sends bytes unchanged, and waits for the end of the answer.
    pub fn send_raw(&self, bytes: &[u8]) {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _sent = stream.write_all(bytes);
        let _ended = stream.shutdown(std::net::Shutdown::Write);
        let _answer = stream.read_to_end(&mut Vec::new());
    }

    /// Sends bytes unchanged, keeps the connection open, and returns everything that arrives until the server
    /// closes it.
    pub fn answer_raw(&self, bytes: &[u8]) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut received = Vec::new();
        let ended = stream.read_to_end(&mut received);
        let received = String::from_utf8_lossy(&received).into_owned();
        // A reset after the answer closes the connection as well.
        let is_open = matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!is_open, "the connection stays open: {received}");
        received
    }

    /// Sends a request that may stay unanswered.
    pub fn try_send(&self, wire: &Wire) {
        let _answer = client::send(self.address, "edge.example", wire, Some(CF_HEADER));
    }

    fn kv(&self, wire: &Wire) -> Answer {
        client::send(self.kv, "kv", wire, None).expect("the KV service answers")
    }

    /// Calls a method of the Worker from another Worker over one of its [`BINDINGS`](callers), or over `MAIN`, which is to the
    /// default entrypoint. Returns what the other Worker gets: `{"result": …}` or `{"error": …}`.
    pub fn call(&self, binding: &str, method: &str, arguments: &Value) -> Value {
        let wire = Wire::post(&format!("/{binding}/{method}"), arguments.to_string().into_bytes());
        client::send(self.caller, "caller", &wire, None).expect("the caller answers").json()
    }

    /// Sends a request to the Worker of `examples/video-gate`.
    pub fn gate(&self, wire: &Wire) -> Answer {
        client::send(self.gate, "gate", wire, Some(CF_HEADER)).expect("the gate answers")
    }

    /// Sets a value without the Worker.
    pub fn kv_put(&self, key: &str, value: &[u8]) {
        assert_eq!(self.kv(&Wire::put(&format!("/{key}"), value.to_vec())).status, 204);
    }

    /// A stored value, if there is one.
    pub fn kv_get(&self, key: &str) -> Option<Vec<u8>> {
        let answer = self.kv(&Wire::get(&format!("/{key}")));
        (answer.status == 200).then_some(answer.body)
    }

    /// The reads since the last call, in order: key, and `cacheTtl` in seconds, or 0 without one.
    pub fn kv_take_reads(&self) -> Vec<(String, u64)> {
        let answer = self.kv(&Wire::get("/tests/reads"));
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Makes every operation on keys that begin with `prefix` fail; `None` ends that.
    pub fn kv_break(&self, prefix: Option<&str>) {
        let wire = match prefix {
            Some(prefix) => Wire::put("/tests/break", prefix.as_bytes().to_vec()),
            None => Wire::new("DELETE", "/tests/break"),
        };
        assert_eq!(self.kv(&wire).status, 204);
    }
}

/// Another isolate of a [`Workerd`].
pub struct Other<'a>(&'a Workerd);

impl Subject for Other<'_> {
    fn send(&self, wire: &Wire) -> Answer {
        let answer = client::send(self.0.other, "edge.example", wire, Some(CF_HEADER))
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", wire.describe(), self.0.output()));
        contract::check(&wire.method, &wire.seen(), &answer);
        answer
    }

    fn now(&self) -> i64 {
        now_secs()
    }

    fn takes_raw_requests(&self) -> bool {
        true
    }

    fn has_runtime(&self) -> bool {
        true
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if !thread::panicking() {
            let _removed = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The binding by which the Worker reads the console's files, as in wrangler.toml.
const CONSOLE_BINDING: &str =
    "(name = \"ASSETS\", service = (name = \"site\", entrypoint = \"AssetWorker\")), ";

/// The service for the console's files, which `cargo xtask build` makes.
fn console_assets() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("console/dist");
    assert!(dir.join("console/index.html").exists(), "console/dist: `cargo xtask build` makes it");
    let settings = r#"{\"html_handling\":\"auto-trailing-slash\",\"not_found_handling\":\"none\",\"run_worker_first\":true}"#;
    let dir = dir.display();
    format!(
        "\n    (name = \"site\", assets = (path = \"{dir}\", userWorker = \"main\", config = \"{settings}\")),"
    )
}

fn config(bindings: &str, assets: &str, has_entrypoint: bool, has_lane: bool) -> String {
    let (date, flags) = compatibility();
    let Callers { services, sockets, workers } =
        if has_entrypoint { callers::config(&date, CF_HEADER) } else { Callers::default() };
    let lane = if has_lane { Lane::new() } else { Lane::default() };
    let Lane { services: lane_services, sockets: lane_sockets, binding, storage, other } = lane;
    let other = if other.is_empty() {
        String::new()
    } else {
        format!(
            "const other :Workerd.Worker = (
  {MODULES},
  compatibilityDate = {date},
  compatibilityFlags = {flags},
  bindings = [{bindings}{other}(name = \"SNAPSHOT\", kvNamespace = \"kv\")]
);
"
        )
    };
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  extensions = [(modules = [
    (name = "tests:ratelimit", esModule = embed "limits.js", internal = true),
    (name = "tests:points", esModule = embed "points.js", internal = true)
  ])],
  services = [
    (name = "main", worker = .main),
    (name = "kv", worker = .kv),{services}{assets}{lane_services}
    (name = "internet", network = (allow = ["public", "private"]))
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:0", http = (cfBlobHeader = "{CF_HEADER}"), service = "main"),
    (name = "kv", address = "127.0.0.1:0", http = (), service = "kv"){sockets}{lane_sockets}
  ]
);
const main :Workerd.Worker = (
  {MODULES},
  compatibilityDate = {date},
  compatibilityFlags = {flags},
  bindings = [{bindings}{binding}(name = "SNAPSHOT", kvNamespace = "kv")]{storage}
);
{other}{workers}const kv :Workerd.Worker = (
  modules = [(name = "kv.js", esModule = embed "kv.js")],
  compatibilityDate = {date}
);
"#
    )
}

/// Taken from wrangler.toml, so that the tests run the deployed configuration.
fn compatibility() -> (String, String) {
    let toml = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/wrangler.toml")).unwrap();
    let value = |name: &str| {
        let line = toml.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        line.unwrap_or_else(|| panic!("wrangler.toml has no {name}")).trim().to_owned()
    };
    (value("compatibility_date"), value("compatibility_flags"))
}

fn collect(stream: impl std::io::Read + Send + 'static, output: &Arc<Mutex<String>>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            *output.lock().unwrap() += &(line + "\n");
        }
    });
}

impl Subject for Workerd {
    fn send(&self, wire: &Wire) -> Answer {
        let answer = client::send(self.address, "edge.example", wire, Some(CF_HEADER))
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", wire.describe(), self.output()));
        contract::check(&wire.method, &wire.seen(), &answer);
        answer
    }

    fn now(&self) -> i64 {
        now_secs()
    }

    fn takes_raw_requests(&self) -> bool {
        true
    }

    fn has_runtime(&self) -> bool {
        true
    }
}

/// The `wrangler dev` that `cargo xtask test` has started, with its own keys and tokens.
pub struct DevServer {
    address: SocketAddr,
    host: String,
    personas: Vec<Value>,
}

impl DevServer {
    /// The server.
    pub fn running() -> Self {
        let base_url = env::var("ADMIT_BASE_URL").expect("ADMIT_BASE_URL names the running Worker");
        let host =
            base_url.strip_prefix("http://").expect("an http address").trim_end_matches('/').to_owned();
        let address = host.to_socket_addrs().unwrap().next().unwrap();
        let path = env::var_os("ADMIT_PERSONAS").expect("ADMIT_PERSONAS names the personas' file");
        let personas = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        Self { address, host, personas }
    }
}

impl Subject for DevServer {
    fn send(&self, wire: &Wire) -> Answer {
        let answer = client::send(self.address, &self.host, wire, None);
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", wire.describe()));
        contract::check(&wire.method, &wire.seen(), &answer);
        answer
    }

    fn now(&self) -> i64 {
        now_secs()
    }

    fn token(&self, persona: &str) -> String {
        let found = self.personas.iter().find(|known| known["name"] == persona);
        found.unwrap_or_else(|| panic!("no persona {persona}"))["token"].as_str().unwrap().to_owned()
    }

    fn takes_raw_requests(&self) -> bool {
        // wrangler's server and miniflare stand before the Worker and change requests.
        false
    }

    fn has_runtime(&self) -> bool {
        false
    }

    fn has_origin(&self) -> bool {
        env::var_os("ADMIT_ORIGIN_URL").is_some()
    }

    fn default_country(&self) -> Option<&'static str> {
        // wrangler makes up a country.
        None
    }
}
