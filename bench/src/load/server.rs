//! All subjects in one workerd, each on a port of its own.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::paths::Paths;

use super::{
    drive::Driven,
    requests::Request,
    subjects::{Calls, Subject},
};
use crate::workerd::Workerd;

/// How long KV takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// The time to read a file.
    None,
    /// 2 ms for a key that was read here before, 80 ms for any other.
    Edge,
}

/// The surroundings of the subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub latency: Latency,
    /// Whether an origin stands behind the subjects.
    pub has_origin: bool,
    /// Customers in the snapshot.
    pub customers: u64,
    /// Whether a subject without a Worker for its KV has an idle one beside it, so that a cold start costs all alike.
    pub has_idle_kv: bool,
}

/// What V8 tells beside its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V8 {
    Silent,
    /// It tells `perf` what it compiles.
    Profiled,
    /// It writes a line for each function of Wasm that it compiles.
    Traced,
}

impl V8 {
    const fn flags(self) -> &'static str {
        match self {
            Self::Silent => "",
            Self::Profiled => "  v8Flags = [\"--perf-basic-prof\"],\n",
            Self::Traced => "  v8Flags = [\"--trace-wasm-compilation-times\"],\n",
        }
    }
}

/// The directory of the snapshot with this number of customers.
pub fn store(customers: u64) -> String {
    format!("store-{customers}")
}

/// A running workerd with subjects.
pub struct Server {
    workerd: Workerd,
    dir: PathBuf,
    ports: HashMap<String, u16>,
    subjects: Vec<Subject>,
}

impl Server {
    /// Starts workerd with `subjects`, whose modules are in `dir`.
    pub fn start(paths: &Paths, dir: &Path, subjects: &[Subject], setting: Setting, v8: V8) -> Result<Self> {
        let config = config(paths, dir, subjects, setting, v8)?;
        fs::write(dir.join("config.capnp"), config)?;
        let (workerd, ports) = Workerd::start(paths, dir, &["--control-fd=1"], |log| {
            let ports = ports(log);
            let missing = subjects.iter().find(|subject| !ports.contains_key(subject.name));
            missing.map_or(Ok(ports), |missing| Err(anyhow::anyhow!("{} has no port", missing.name)))
        })?;
        Ok(Self { workerd, dir: dir.to_owned(), ports, subjects: subjects.to_vec() })
    }

    /// What workerd has written.
    pub fn log(&self) -> String {
        self.workerd.log()
    }

    /// The process of workerd.
    pub fn pid(&mut self) -> u32 {
        self.workerd.pid()
    }

    /// The subjects that it serves.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The port of a subject.
    pub fn port(&self, name: &str) -> Result<u16> {
        self.ports.get(name).copied().with_context(|| format!("{name} is not served"))
    }

    /// A subject as the load sees it, under `name` in the results, to be asked `requests`.
    pub fn driven(&self, name: &str, subject: &Subject, requests: Rc<[Request]>) -> Result<Driven> {
        let fixed_body = if subject.is_floor() {
            Some(serde_json::from_str(&fs::read_to_string(self.dir.join("constant.json"))?)?)
        } else {
            None
        };
        Ok(Driven { name: name.to_owned(), port: self.port(subject.name)?, requests, fixed_body })
    }
}

/// The ports by their sockets' names, from workerd's control messages.
fn ports(log: &str) -> HashMap<String, u16> {
    let port = |line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let port = event.get("port")?.as_u64()?.try_into().ok()?;
        Some((event.get("socket")?.as_str()?.to_owned(), port))
    };
    log.lines().filter_map(port).collect()
}

fn config(paths: &Paths, dir: &Path, subjects: &[Subject], setting: Setting, v8: V8) -> Result<String> {
    let toml = fs::read_to_string(paths.in_root("wrangler.toml"))?;
    let date = toml.lines().find_map(|line| line.strip_prefix("compatibility_date = "));
    let mut config = Config {
        date: date.context("wrangler.toml has no compatibility_date")?,
        services: String::new(),
        sockets: String::new(),
        workers: String::new(),
        admit_port: 0,
    };
    if subjects.iter().any(|subject| subject.calls == Some(Calls::Socket)) {
        // workerd takes the address of another server only before it has chosen its own ports.
        config.admit_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{}", config.admit_port);
        writeln!(
            config.services,
            "    (name = \"admit-socket\", external = (address = \"{address}\", http = ())),"
        )?;
    }
    for subject in subjects {
        config.subject(dir, subject, setting)?;
    }
    if setting.has_origin {
        config.worker("origin", "(name = \"index.js\", esModule = embed \"origin/index.js\")", "", "")?;
    }
    for (files, place) in [("store", store(setting.customers)), ("documents", "documents".to_owned())] {
        let path = dir.join(place);
        writeln!(config.services, "    (name = \"{files}\", disk = (path = \"{}\")),", path.display())?;
    }
    let flags = v8.flags();
    let Config { services, sockets, workers, .. } = config;
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\n\nconst config :Workerd.Config = (\n{flags}  services = \
         [\n{services}  ],\n  sockets = [\n{sockets}  ],\n);\n\n{workers}"
    ))
}

/// The Worker that stands for KV.
const KV_MODULE: &str = "(name = \"index.js\", esModule = embed \"kv/index.js\")";

/// The parts of workerd's configuration.
struct Config<'a> {
    date: &'a str,
    services: String,
    sockets: String,
    workers: String,
    /// The port of the subject `admit`; 0 is any.
    admit_port: u16,
}

impl Config<'_> {
    /// A Worker as a service of its name.
    fn worker(&mut self, name: &str, modules: &str, bindings: &str, more: &str) -> Result<()> {
        let (id, date) = (name.replace('-', ""), self.date);
        writeln!(self.services, "    (name = \"{name}\", worker = .{id}),")?;
        write!(
            self.workers,
            "const {id} :Workerd.Worker = (\n  modules = [{modules}],\n  compatibilityDate = {date},\n  bindings = \
             [{bindings}]{more},\n);\n"
        )?;
        Ok(())
    }

    fn subject(&mut self, dir: &Path, subject: &Subject, setting: Setting) -> Result<()> {
        let Subject { name, modules: from, vars, kv, signer, calls, .. } = subject;
        let mut modules = Vec::new();
        for entry in fs::read_dir(dir.join(from))? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            let kind = match file.rsplit_once('.') {
                Some((_, "wasm")) => "wasm",
                Some((_, "json")) => continue,
                _ => "esModule",
            };
            modules.push(format!("(name = \"{file}\", {kind} = embed \"{from}/{file}\")"));
        }
        // The first module is the entry.
        modules.sort_by_key(|module| !module.contains("\"index.js\""));
        let text = |name: &str, text: &str| format!("(name = \"{name}\", text = \"{text}\")");
        let file = |name: &str, file: &str| format!("(name = \"{name}\", text = embed \"{file}\")");
        let mut bindings = vec![
            text("CORS_ORIGINS", "*"),
            text("LOG_CHECKS", "none"),
            file("JWKS", "jwks.json"),
            file("ISSUERS", "issuers.json"),
            file("SNAPSHOT_KEYS", "snapshot-keys.json"),
        ];
        if *name == "workers-rs" {
            bindings.push(file("ITEMS", "items.json"));
        }
        if let Some(signer) = signer {
            bindings.push(file("PLAYBACK", &format!("playback-{signer}.json")));
            bindings.push(file("SIGNING_KEY", &format!("signing-key-{signer}.txt")));
        }
        if let Some(calls) = calls {
            let service = match calls {
                Calls::Entrypoint(entrypoint) => format!("(name = \"admit\", entrypoint = \"{entrypoint}\")"),
                Calls::Default => "\"admit\"".to_owned(),
                Calls::Socket => "\"admit-socket\"".to_owned(),
            };
            bindings.push(format!("(name = \"ADMIT\", service = {service})"));
        }
        bindings.extend(vars.iter().map(|(name, value)| text(name, value)));
        let mut outbound = "";
        if setting.has_origin {
            bindings.push(text("ORIGIN_URL", "http://localhost"));
            // Every fetch of a subject reaches the origin: no connection, and nothing that leaves the process.
            outbound = ",\n  globalOutbound = \"origin\"";
        }
        let mut has_kv_worker = false;
        if let Some((binding, files)) = kv {
            // Straight from the directory where nothing has to be waited for; a snapshot's keys have a slash, which
            // the directory's service does not take in a name.
            let is_direct = setting.latency == Latency::None && *files == "documents";
            let service = if is_direct { (*files).to_owned() } else { format!("{name}-kv") };
            bindings.push(format!("(name = \"{binding}\", kvNamespace = \"{service}\")"));
            if !is_direct {
                let (hot, cold) = if setting.latency == Latency::Edge { ("2", "80") } else { ("0", "0") };
                let files = format!("(name = \"FILES\", service = \"{files}\")");
                let bindings = [files, text("HOT_MS", hot), text("COLD_MS", cold)].join(", ");
                self.worker(&service, KV_MODULE, &bindings, "")?;
                has_kv_worker = true;
            }
        }
        if setting.has_idle_kv && !has_kv_worker {
            self.worker(&format!("{name}-idle-kv"), KV_MODULE, "", "")?;
        }
        let port = if *name == "admit" { self.admit_port } else { 0 };
        writeln!(
            self.sockets,
            "    (name = \"{name}\", address = \"127.0.0.1:{port}\", http = (), service = \"{name}\"),"
        )?;
        self.worker(name, &modules.join(", "), &bindings.join(", "), outbound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_workerds_messages() {
        let log =
            "starting\n{\"event\":\"listen\",\"socket\":\"admit\",\"port\":4711}\n{\"event\":\"other\"}\n";
        assert_eq!(ports(log), HashMap::from([("admit".to_owned(), 4711)]));
    }
}
