//! All subjects in one workerd, each on a port of its own.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::peers::Subject;
use crate::{
    job::{self, Job, Stopwatch},
    paths::Paths,
    step,
};

const START_LIMIT: Duration = Duration::from_secs(60);

/// How long KV takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// As long as it takes to read a file.
    None,
    /// 2 ms for a key that was read here before, 80 ms for any other.
    Edge,
}

impl Latency {
    const fn millis(self) -> (u32, u32) {
        match self {
            Self::None => (0, 0),
            Self::Edge => (2, 80),
        }
    }
}

/// What a server is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How long KV takes.
    pub latency: Latency,
    /// Whether there is an origin behind the subjects.
    pub has_origin: bool,
    /// How many customers the snapshot has.
    pub customers: u64,
}

/// The directory of the snapshot of so many customers.
pub fn store(customers: u64) -> String {
    format!("store-{customers}")
}

/// A running workerd.
pub struct Server {
    job: Job,
    pid: u32,
    ports: HashMap<String, u16>,
    subjects: Vec<Subject>,
}

impl Server {
    /// Starts workerd with `subjects`, whose modules are in `dir`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(paths: &Paths, dir: &Path, subjects: &[Subject], setting: Setting) -> Result<Self> {
        Self::start_with(paths, dir, subjects, &config(paths, dir, subjects, setting)?)
    }

    /// The same with V8 telling `perf` what it compiles.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_profiled(paths: &Paths, dir: &Path, subjects: &[Subject], setting: Setting) -> Result<Self> {
        let config = config(paths, dir, subjects, setting)?;
        let flags = "const config :Workerd.Config = (\n  v8Flags = [\"--perf-basic-prof\"],";
        let config = config.replacen("const config :Workerd.Config = (", flags, 1);
        Self::start_with(paths, dir, subjects, &config)
    }

    fn start_with(paths: &Paths, dir: &Path, subjects: &[Subject], config: &str) -> Result<Self> {
        fs::write(dir.join("config.capnp"), config)?;
        fs::create_dir_all(paths.logs())?;
        let log = paths.logs().join("bench-load-workerd.log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // Under the guard, so that workerd never outlives us.
        let mut command = Command::new(&paths.exe);
        command.args(["guard", "--"]).arg(workerd(paths)?).args(["serve", "--control-fd=1"]);
        command.arg(dir.join("config.capnp")).arg("config");
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let mut job = Job::spawn(&mut command)?;
        let watch = Stopwatch::start();
        loop {
            let ports = ports(&fs::read_to_string(&log).unwrap_or_default());
            if subjects.iter().all(|subject| ports.contains_key(subject.name)) {
                let pid = child_of(job.child().id()).unwrap_or(0);
                return Ok(Self { job, pid, ports, subjects: subjects.to_vec() });
            }
            if job.try_wait()?.is_some() || watch.elapsed() > START_LIMIT || job::interrupted() {
                bail!("workerd does not start. The end of its log:\n\n{}", step::tail(&log, 30));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The process of workerd, for its CPU time; 0 where it cannot be found.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// What it serves.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Where a subject answers.
    ///
    /// # Errors
    /// It is not served.
    pub fn port(&self, name: &str) -> Result<u16> {
        self.ports.get(name).copied().with_context(|| format!("{name} is not served"))
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.job.stop();
    }
}

/// Runs the load with `plan` and gives what it measured.
///
/// # Errors
/// It fails: a subject does not answer, or wrongly.
pub fn feed(load: &Path, plan: &Value) -> Result<Value> {
    let mut job = Job::spawn(Command::new(load).stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut input = job.child().stdin.take().context("no pipe to the load")?;
    input.write_all(plan.to_string().as_bytes())?;
    drop(input);
    let output = job.child().stdout.take().context("no pipe from the load")?;
    let results = serde_json::from_reader(output);
    let status = job.wait()?;
    if !status.success() {
        bail!("the load failed: {status}");
    }
    Ok(results?)
}

/// workerd's own program: the command that npm makes is a script that starts it, in a process of its own.
fn workerd(paths: &Paths) -> Result<PathBuf> {
    let packages = paths.in_root("node_modules/@cloudflare");
    let found = fs::read_dir(&packages)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("workerd-")));
    Ok(found.context("npm installed no workerd for this machine")?.join("bin/workerd"))
}

fn child_of(pid: u32) -> Option<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.split(' ').next()?.parse().ok()
}

fn ports(log: &str) -> HashMap<String, u16> {
    let ports = log.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let port = event.get("port")?.as_u64()?;
        Some((event.get("socket")?.as_str()?.to_owned(), u16::try_from(port).ok()?))
    });
    ports.collect()
}

fn config(paths: &Paths, dir: &Path, subjects: &[Subject], setting: Setting) -> Result<String> {
    let toml = fs::read_to_string(paths.in_root("wrangler.toml"))?;
    let date = toml.lines().find_map(|line| line.strip_prefix("compatibility_date = "));
    let date = date.context("wrangler.toml has no compatibility_date")?;
    let (hot, cold) = setting.latency.millis();
    let (mut services, mut sockets, mut workers) = (String::new(), String::new(), String::new());
    for Subject { name, modules: from, vars, kv, .. } in subjects {
        let id = name.replace('-', "");
        writeln!(services, "    (name = \"{name}\", worker = .{id}),")?;
        writeln!(
            sockets,
            "    (name = \"{name}\", address = \"127.0.0.1:0\", http = (), service = \"{name}\"),"
        )?;
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
        // The first is the entry; the others' names begin with another letter than `index.js`, or are longer.
        modules.sort_by_key(|module| !module.contains("\"index.js\""));
        let mut bindings = vec![
            "(name = \"CORS_ORIGINS\", text = \"*\")".to_owned(),
            "(name = \"LOG_CHECKS\", text = \"none\")".to_owned(),
            "(name = \"JWKS\", text = embed \"jwks.json\")".to_owned(),
            "(name = \"ISSUERS\", text = embed \"issuers.json\")".to_owned(),
            "(name = \"SNAPSHOT_KEYS\", text = embed \"snapshot-keys.json\")".to_owned(),
        ];
        if *name == "workers-rs" {
            bindings.push("(name = \"ITEMS\", text = embed \"items.json\")".to_owned());
        }
        bindings.extend(vars.iter().map(|(name, text)| format!("(name = \"{name}\", text = \"{text}\")")));
        // Whatever a subject fetches, the origin gets: no connection, and nothing that leaves the process.
        let outbound = if setting.has_origin {
            bindings.push("(name = \"ORIGIN_URL\", text = \"http://localhost\")".to_owned());
            ",\n  globalOutbound = \"origin\""
        } else {
            ""
        };
        if let Some((binding, files)) = kv {
            // Straight from the directory where nothing has to be waited for; a snapshot's keys have a slash, which
            // the directory's service does not take in a name.
            let direct = setting.latency == Latency::None && *files == "documents";
            let service = if direct { (*files).to_owned() } else { format!("{name}-kv") };
            bindings.push(format!("(name = \"{binding}\", kvNamespace = \"{service}\")"));
            if !direct {
                writeln!(services, "    (name = \"{service}\", worker = .{id}Kv),")?;
                write!(
                    workers,
                    "const {id}Kv :Workerd.Worker = (\n  modules = [(name = \"index.js\", esModule = embed \
                     \"kv/index.js\")],\n  compatibilityDate = {date},\n  bindings = [(name = \"FILES\", service = \
                     \"{files}\"), (name = \"HOT_MS\", text = \"{hot}\"), (name = \"COLD_MS\", text = \"{cold}\")],\n);\n"
                )?;
            }
        }
        write!(
            workers,
            "const {id} :Workerd.Worker = (\n  modules = [{}],\n  compatibilityDate = {date},\n  bindings = [{}]{outbound},\n);\n",
            modules.join(", "),
            bindings.join(", ")
        )?;
    }
    if setting.has_origin {
        services += "    (name = \"origin\", worker = .origin),\n";
        write!(
            workers,
            "const origin :Workerd.Worker = (\n  modules = [(name = \"index.js\", esModule = embed \
             \"origin/index.js\")],\n  compatibilityDate = {date},\n);\n"
        )?;
    }
    for (files, place) in [("store", store(setting.customers)), ("documents", "documents".to_owned())] {
        let path = dir.join(place);
        writeln!(services, "    (name = \"{files}\", disk = (path = \"{}\")),", path.display())?;
    }
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\n\nconst config :Workerd.Config = (\n  services = \
         [\n{services}  ],\n  sockets = [\n{sockets}  ],\n);\n\n{workers}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_what_workerd_says() {
        let log =
            "starting\n{\"event\":\"listen\",\"socket\":\"admit\",\"port\":4711}\n{\"event\":\"other\"}\n";
        assert_eq!(ports(log), HashMap::from([("admit".to_owned(), 4711)]));
    }
}
