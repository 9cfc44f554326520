//! The local origin, and the publisher that follows it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    guarded::Guarded,
    job,
    keys::{self, DevKeys},
    paths::Paths,
    server,
    step::Step,
};

/// The `iss` of the local origin's tokens: the same whatever port it answers on.
const ISSUER: &str = "https://origin.dev.admit.example";

/// Where the origin of a directory answers, for those who start it again.
const ADDRESS_FILE: &str = "origin.url";

/// Whom to send a signal that ends it.
const PID_FILE: &str = "origin.pid";

/// Arguments of `cargo xtask origin`.
#[derive(clap::Args)]
pub struct Args {
    /// The directory of that `cargo xtask dev` [default: target/dev]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs `cargo xtask origin`: the origin of a `dev` that goes on without it, where it was and with what it knew.
///
/// # Errors
/// `dev` has not run in that directory, its origin runs still, or this one does not start or ends by itself.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let dir = args.dir.clone().map_or_else(|| Ok(paths.dev()), std::path::absolute)?;
    let url = fs::read_to_string(dir.join(ADDRESS_FILE))
        .with_context(|| format!("`cargo xtask dev` has not run in {}", dir.display()))?;
    let port = url.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    let port = port.with_context(|| format!("{ADDRESS_FILE} holds no address: {url}"))?;
    if server::free_port(port)? != port {
        bail!("something answers at {url} already");
    }
    let mut origin = Origin::start(&paths, &keys::ensure(&paths)?, port, &dir)?;
    println!("The origin answers at {} again. Ctrl-C stops it.", origin.base_url);
    while !job::interrupted() {
        origin.check_alive()?;
        thread::sleep(job::POLL);
    }
    Ok(ExitCode::SUCCESS)
}

/// A running reference origin with the sample catalogue. Dropping it stops it.
#[derive(Debug)]
pub struct Origin {
    process: Guarded,
    /// The program.
    pub program: PathBuf,
    /// Where it answers, without a slash at the end.
    pub base_url: String,
    /// Its database.
    pub database: PathBuf,
}

impl Origin {
    /// Builds the origin and starts it on `port`, its database in `dir`. Moments of the samples that are relative
    /// count from now on, if the database is new.
    ///
    /// # Errors
    /// It does not build, ends, or does not answer in time.
    pub fn start(paths: &Paths, keys: &DevKeys, port: u16, dir: &Path) -> Result<Self> {
        let program = build(paths)?;
        fs::create_dir_all(dir)?;
        let database = dir.join("origin.db");
        let base_url = format!("http://127.0.0.1:{port}");
        let process = Guarded::start(paths, "the origin", &program, dir.join("origin.log"), |command| {
            command.arg("serve").arg("--db").arg(&database).arg("--listen").arg(format!("127.0.0.1:{port}"));
            command.args(["--seed", "samples/catalogue", "--issuer", ISSUER, "--audience", "admit-dev"]);
            command.envs(keys.vars()?).env("ORIGIN_FEED_SECRET", keys.feed_secret()?);
            Ok(())
        })?;
        let mut origin = Self { process, program, base_url, database };
        fs::write(dir.join(ADDRESS_FILE), &origin.base_url)?;
        // The guard's: it ends the origin and itself.
        fs::write(dir.join(PID_FILE), origin.process.id().to_string())?;
        let url = format!("{}/healthz", origin.base_url);
        origin
            .process
            .wait_until("the origin's /healthz should answer 200", || server::answers(&url, &[200]))?;
        Ok(origin)
    }

    /// The variables by which a Worker on this machine knows the origin and its tokens.
    ///
    /// # Errors
    /// `admit` refuses a key.
    pub fn vars(&self, keys: &DevKeys) -> Result<Vec<(String, String)>> {
        let mut issuers = keys.issuer_entries()?;
        issuers.push(json!({
            "issuer": ISSUER,
            "namespace": "vendor",
            "audience": { "any_of": ["admit-dev"] },
            "customer_claim": "sub",
            "keys": { "jwks_url": format!("{}/.well-known/jwks.json", self.base_url) },
        }));
        let issuers = serde_json::Value::Array(issuers).to_string();
        Ok(vec![("ORIGIN_URL".to_owned(), self.base_url.clone()), ("ISSUERS".to_owned(), issuers)])
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        self.process.check_alive()
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        self.process.log()
    }
}

/// Builds the reference origin.
///
/// # Errors
/// It does not build.
pub fn build(paths: &Paths) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--package", "origin"]).current_dir(&paths.root);
    cargo.env("CARGO_TARGET_DIR", &paths.target);
    Step::new(paths, "origin", "building the origin", "a minute at first, then seconds").run(&mut cargo)?;
    Ok(paths.target.join("debug/origin"))
}

/// Starts `admit publish --follow`, from the origin to the Worker at `edge_url`.
///
/// # Errors
/// It cannot be started.
pub fn follow(paths: &Paths, keys: &DevKeys, origin: &Origin, edge_url: &str, dir: &Path) -> Result<Guarded> {
    let admit = keys.admit();
    let program = Path::new(admit.get_program());
    Guarded::start(paths, "the publisher", program, dir.join("publisher.log"), |command| {
        command.args(["publish", "--from", &format!("{}/export", origin.base_url), "--follow", "--every=1"]);
        command.args(["--to", edge_url, "--key"]).arg(keys.snapshot_key());
        // By the environment: a command line can be read by every user of the machine.
        command.env("ADMIT_TOKEN", keys.publisher_token()?).env("ADMIT_ORIGIN_TOKEN", keys.feed_secret()?);
        Ok(())
    })
}
