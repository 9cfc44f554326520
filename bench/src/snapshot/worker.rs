//! The Wasm half of the read benchmark, in the runtime that the Worker runs in.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use xtask::{job::Stopwatch, node, paths::Paths, server, setup, step::Step, wasm};

use crate::workerd::Workerd;

/// Bounds one request: some hundred times its usual time.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The benchmark's Worker, on a loopback port.
pub struct Worker {
    _workerd: Workerd,
    client: Client,
}

impl Worker {
    /// Builds the benchmark for Wasm into `dir`, which holds the prepared data, and starts it.
    pub fn start(paths: &Paths, dir: &Path, in_delta: usize) -> Result<Self> {
        build(paths, dir)?;
        fs::write(dir.join("numbers.js"), format!("export const IN_DELTA = {in_delta};\n"))?;
        for file in ["main.js", "config.capnp"] {
            fs::copy(paths.in_root("bench/snapshot/worker").join(file), dir.join(file))
                .with_context(|| format!("cannot copy {file}"))?;
        }
        bundle(paths, dir)?;
        let port = server::free_port(0)?;
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_LIMIT)).proxy(None).build();
        let agent = ureq::Agent::new_with_config(config);
        let client = Client { agent, base_url: format!("http://127.0.0.1:{port}") };
        let options = [&format!("--socket-addr=http=127.0.0.1:{port}")[..]];
        let (workerd, _) = Workerd::start(paths, dir, &options, |_| client.secs("shard", 1))?;
        Ok(Self { _workerd: workerd, client })
    }

    /// Seconds of the answer to a request that repeats `work`.
    pub fn secs(&self, work: &str, times: u32) -> Result<f64> {
        self.client.secs(work, times)
    }
}

struct Client {
    agent: ureq::Agent,
    base_url: String,
}

impl Client {
    fn secs(&self, work: &str, times: u32) -> Result<f64> {
        let url = format!("{}/{work}?times={times}", self.base_url);
        let watch = Stopwatch::start();
        let answer = self.agent.get(&url).call()?.body_mut().read_to_string()?;
        let secs = watch.elapsed().as_secs_f64();
        // A look-up that finds nothing is fast, and measures nothing.
        match answer.parse::<f64>() {
            Ok(sum) if sum > 0.0 || times == 0 || work == "empty" || work == "key" => Ok(secs),
            _ => bail!("{url} answered {answer:?}"),
        }
    }
}

fn build(paths: &Paths, dir: &Path) -> Result<()> {
    let rust = setup::build_tools(paths)?;
    let step = Step::new(paths, "bench-wasm", "building the benchmark for Wasm", "a minute at first");
    let compiled = wasm::compile(paths, &rust, "snapshot-bench", &step)?;
    let mut bindgen = wasm::bindgen(paths, &compiled, dir, "bench");
    Step::new(paths, "bench-bindgen", "making its glue", "seconds").run(bindgen.args(["--target", "web"]))?;
    let wasm = dir.join("bench_bg.wasm");
    let mut wasm_opt = Command::new(node::bin(paths, "wasm-opt"));
    node::apply(paths, &mut wasm_opt)?;
    wasm_opt.args(["-O", "--all-features", "-o"]).args([&wasm, &wasm]);
    Step::new(paths, "bench-wasm-opt", "optimising it", "seconds").run(&mut wasm_opt)
}

/// The glue comes in several files, of which the `worker` crate names some; workerd gets one.
fn bundle(paths: &Paths, dir: &Path) -> Result<()> {
    let mut esbuild = node::esbuild_command(paths)?;
    esbuild.args(["main.js", "--bundle", "--format=esm", "--outfile=worker.js", "--log-level=warning"]);
    let outside = ["*.wasm", "*.bin", "*.txt", "*.json", "cloudflare:*", "node:*"];
    esbuild.args(outside.map(|outside| format!("--external:{outside}")));
    Step::new(paths, "bench-esbuild", "bundling it", "seconds").run(esbuild.current_dir(dir))
}
