//! The Wasm half of the read benchmark, in the runtime that the Worker runs in.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::wasm_tools;
use crate::{
    build::PROFILE,
    job::{self, Job, Stopwatch},
    node,
    paths::Paths,
    rust::WASM_TARGET,
    server,
    step::{self, Step},
    tools::WASM_BINDGEN,
};

const START_LIMIT: Duration = Duration::from_secs(60);

/// Bounds one request: some hundred times what it should take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The benchmark, running in workerd on a loopback port.
pub struct Workerd {
    job: Job,
    agent: ureq::Agent,
    base_url: String,
    log: PathBuf,
}

impl Workerd {
    /// Builds the benchmark for Wasm into `dir`, which holds what was prepared, and starts it.
    ///
    /// # Errors
    /// It cannot be built, or does not start.
    pub fn start(paths: &Paths, dir: &Path, in_delta: u64) -> Result<Self> {
        build(paths, dir)?;
        fs::write(dir.join("numbers.js"), format!("export const IN_DELTA = {in_delta};\n"))?;
        for file in ["main.js", "config.capnp"] {
            fs::copy(paths.in_root("bench/snapshot/worker").join(file), dir.join(file))
                .with_context(|| format!("cannot copy {file}"))?;
        }
        bundle(paths, dir)?;
        let port = server::free_port(0)?;
        let log = paths.logs().join("bench-workerd.log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        // Under the guard, so that workerd never outlives us.
        let mut command = Command::new(&paths.exe);
        command
            .args(["guard", "--"])
            .arg(node::bin(paths, "workerd"))
            .arg("serve")
            .arg(dir.join("config.capnp"));
        command.args(["config", "--socket-addr", &format!("http=127.0.0.1:{port}")]);
        node::apply(paths, &mut command)?;
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let job = Job::spawn(&mut command)?;
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_LIMIT)).proxy(None).build();
        let agent = ureq::Agent::new_with_config(config);
        let mut workerd = Self { job, agent, base_url: format!("http://127.0.0.1:{port}"), log };
        let watch = Stopwatch::start();
        while let Err(error) = workerd.secs("shard", 1) {
            if workerd.job.try_wait()?.is_some() || watch.elapsed() > START_LIMIT || job::interrupted() {
                let log = step::tail(&workerd.log, 30);
                bail!("workerd does not run the benchmark: {error:#}. The end of its log:\n\n{log}");
            }
            thread::sleep(job::POLL);
        }
        Ok(workerd)
    }

    /// Seconds that the answer to so many times of `work` takes.
    ///
    /// # Errors
    /// It fails, or does not come.
    pub fn secs(&self, work: &str, times: u32) -> Result<f64> {
        let url = format!("{}/{work}?times={times}", self.base_url);
        let watch = Stopwatch::start();
        let answer = self.agent.get(&url).call()?.body_mut().read_to_string()?;
        let secs = watch.elapsed().as_secs_f64();
        // A look-up that finds nothing is fast, and no look-up.
        match answer.parse::<f64>() {
            Ok(sum) if sum > 0.0 || times == 0 || work == "empty" || work == "key" => Ok(secs),
            _ => bail!("{url} answered {answer:?}"),
        }
    }
}

fn build(paths: &Paths, dir: &Path) -> Result<()> {
    let rust = wasm_tools(paths)?;
    rust.clean_if_changed(paths)?;
    let mut cargo = Command::new("cargo");
    rust.apply(&mut cargo, &[])?;
    cargo.args([
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "--lib",
        "--package",
        "snapshot-bench",
        "--target",
        WASM_TARGET,
    ]);
    cargo.current_dir(&paths.root).env("CARGO_TARGET_DIR", &paths.target);
    Step::new(paths, "bench-wasm", "building the benchmark for Wasm", "a minute at first").run(&mut cargo)?;
    let wasm = paths.target.join(WASM_TARGET).join(PROFILE).join("snapshot_bench.wasm");
    let mut bindgen = Command::new(WASM_BINDGEN.path(paths));
    bindgen
        .args(["--target", "web", "--no-typescript", "--out-name", "bench", "--out-dir"])
        .arg(dir)
        .arg(wasm);
    Step::new(paths, "bench-bindgen", "making its glue", "seconds").run(&mut bindgen)?;
    let wasm = dir.join("bench_bg.wasm");
    let mut wasm_opt = Command::new(node::bin(paths, "wasm-opt"));
    node::apply(paths, &mut wasm_opt)?;
    wasm_opt.args(["-O", "--all-features", "-o"]).args([&wasm, &wasm]);
    Step::new(paths, "bench-wasm-opt", "optimising it", "seconds").run(&mut wasm_opt)
}

/// The glue comes in several files, of which the `worker` crate names some; workerd gets one, as of worker-build.
fn bundle(paths: &Paths, dir: &Path) -> Result<()> {
    let mut esbuild = Command::new(node::esbuild(paths));
    node::apply(paths, &mut esbuild)?;
    esbuild.args(["main.js", "--bundle", "--format=esm", "--outfile=worker.js", "--log-level=warning"]);
    esbuild.args(
        ["*.wasm", "*.bin", "*.txt", "*.json", "cloudflare:*", "node:*"]
            .map(|outside| format!("--external:{outside}")),
    );
    Step::new(paths, "bench-esbuild", "bundling it", "seconds").run(esbuild.current_dir(dir))
}
