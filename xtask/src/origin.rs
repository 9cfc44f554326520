//! The origin behind the local Worker: the reference origin, or one of the developer's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    guarded::Guarded,
    job::{self, Stopwatch},
    keys::DevKeys,
    native,
    paths::Paths,
    run::{Run, Selection},
    server,
    step::Step,
    supervise::{Part, START_LIMIT},
};

/// The `iss` of the reference origin's tokens: the same whatever port it answers on.
const ISSUER: &str = "https://origin.dev.admit.example";

/// `PASS_THROUGH` of a Worker before the reference origin: every route that only the origin has.
const PASS_THROUGH: &str = include_str!("../../samples/pass_through.txt");

/// While this file is in a run's directory, its origin is not started again.
const STOPPED_FILE: &str = "origin.stopped";

/// The process of the origin's guard: a signal to it ends the origin.
const PID_FILE: &str = "origin.pid";

/// Arguments of `cargo xtask origin`.
#[derive(clap::Args)]
pub struct Args {
    /// Stop the origin of a running `dev`, to see how the Worker goes on without it
    #[arg(long)]
    stop: bool,
    #[command(flatten)]
    selection: Selection,
}

/// Runs `cargo xtask origin`: starts the origin of a running `dev` again, or stops it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let run = Run::running(&Paths::find()?, &args.selection)?;
    let Some(url) = run.origin_url.clone().filter(|_| run.origin_database.is_some()) else {
        bail!("{} runs without the reference origin", run.dir.display());
    };
    let marker = run.dir.join(STOPPED_FILE);
    if args.stop {
        fs::write(&marker, "")?;
        signal(&run.dir);
    } else if marker.exists() {
        fs::remove_file(&marker)?;
    }
    let watch = Stopwatch::start();
    while server::get(&format!("{url}/healthz"), None, server::ANSWER_LIMIT).is_ok() == args.stop {
        if job::interrupted() || watch.elapsed() > START_LIMIT {
            let what = if args.stop { "answers still" } else { "does not answer" };
            bail!("the origin at {url} {what}: see {}", run.dir.join("origin.log").display());
        }
        thread::sleep(job::POLL);
    }
    println!("The origin at {url} {}.", if args.stop { "is stopped" } else { "answers" });
    Ok(ExitCode::SUCCESS)
}

/// Ends the origin of the run in `dir`, if there is one.
fn signal(dir: &Path) {
    let text = fs::read_to_string(dir.join(PID_FILE)).unwrap_or_default();
    if let Some(process) = text.trim().parse().ok().and_then(Pid::from_raw) {
        // It may have ended already.
        let _gone = kill_process(process, Signal::TERM);
    }
}

/// The origin behind the Worker.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where it answers, without a slash at the end.
    pub url: String,
    /// The bearer by which it lets the publisher read its export and feed, if it wants one.
    pub feed_token: Option<String>,
    /// The secret by which it knows the Worker, and believes its statements about viewers.
    pub edge_secret: Option<String>,
    /// Program and database of the reference origin; `None` for an origin of the developer's own.
    pub reference: Option<Reference>,
    /// The issuers that the Worker trusts because of it: entries of `ISSUERS`.
    pub issuers: Vec<Value>,
}

/// The reference origin's program and database.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The program.
    pub program: PathBuf,
    /// The database.
    pub database: PathBuf,
    port: u16,
}

impl Origin {
    /// The reference origin on `port`, its database in `dir`. Builds it.
    pub fn reference(paths: &Paths, keys: &DevKeys, port: u16, dir: &Path) -> Result<Self> {
        let step = Step::new(paths, "origin", "building the origin", native::EXPECTED);
        let program = native::build(paths, &step, "origin", native::DEV)?;
        let url = format!("http://127.0.0.1:{port}");
        let issuer = json!({
            "issuer": ISSUER,
            "namespace": "vendor",
            "audience": { "any_of": ["admit-dev"] },
            "customer_claim": "sub",
            "may": ["view", "write"],
            "test_clients": true,
            "keys": { "jwks_url": format!("{url}/.well-known/jwks.json") },
        });
        let reference = Reference { program, database: dir.join("origin.db"), port };
        let (feed_token, edge_secret) = (Some(keys.feed_secret()?), Some(keys.edge_secret()?));
        Ok(Self { url, feed_token, edge_secret, reference: Some(reference), issuers: vec![issuer] })
    }

    /// The variables by which a Worker on this machine knows the origin and its tokens.
    pub fn vars(&self, keys: &DevKeys) -> Result<Vec<(String, String)>> {
        let mut issuers = keys.issuer_entries()?;
        issuers.extend(self.issuers.iter().cloned());
        let issuers = Value::Array(issuers).to_string();
        let mut vars = vec![("ORIGIN_URL".to_owned(), self.url.clone()), ("ISSUERS".to_owned(), issuers)];
        if self.reference.is_some() {
            vars.push(("PASS_THROUGH".to_owned(), PASS_THROUGH.trim().to_owned()));
        }
        vars.extend(self.edge_secret.iter().map(|secret| ("ORIGIN_SECRET".to_owned(), secret.clone())));
        Ok(vars)
    }
}

/// Starts the reference origin and keeps it running, unless `cargo xtask origin --stop` stops it. Moments of the
/// samples that are relative count from now on, if the database is new.
pub fn start<'a>(
    paths: &'a Paths,
    keys: &'a DevKeys,
    origin: &'a Origin,
    reference: &'a Reference,
    dir: &'a Path,
) -> Result<Part<'a>> {
    let (log, marker) = (dir.join("origin.log"), dir.join(STOPPED_FILE));
    let _absent = fs::remove_file(&marker);
    let start = move || {
        let mut process =
            Guarded::start(paths, "the origin", &reference.program, dir.join("origin.log"), |command| {
                command.arg("serve").arg("--db").arg(&reference.database);
                command.args(["--listen", &format!("127.0.0.1:{}", reference.port)]);
                command.args(["--seed", "samples/catalogue", "--issuer", ISSUER, "--audience", "admit-dev"]);
                command.envs(keys.vars()?);
                command.envs(origin.feed_token.as_ref().map(|token| ("ORIGIN_FEED_SECRET", token)));
                command.envs(origin.edge_secret.as_ref().map(|secret| ("ORIGIN_SECRET", secret)));
                // Sign-in as the older SDKs do it is tried here, too.
                command.arg("--allow-password-grant");
                // A whole client: registration, and tokens as long as the vendor's for apps that never refresh.
                command.args(["--allow-registration", "--log-password-tokens"]);
                command.args(["--sdk-access-ttl-secs", "2592000"]);
                Ok(())
            })?;
        fs::write(dir.join(PID_FILE), process.id().to_string())?;
        Ok(process)
    };
    let part = Part::start("origin", log, start)?;
    let mut part = part.answering_at(format!("{}/healthz", origin.url)).stopped_while(marker);
    part.wait()?;
    Ok(part)
}

/// Starts `admit publish --follow`, from the origin to the Worker at `edge_url`, and keeps it running.
pub fn follow<'a>(
    paths: &'a Paths,
    keys: &'a DevKeys,
    origin: &'a Origin,
    edge_url: String,
    dir: &'a Path,
) -> Result<Part<'a>> {
    Part::start("publisher", dir.join("publisher.log"), move || {
        Guarded::start(paths, "the publisher", keys.program(), dir.join("publisher.log"), |command| {
            command.args(["publish", "--from", &format!("{}/export", origin.url), "--follow", "--every=1"]);
            command.args(["--to", &edge_url, "--key"]).arg(keys.snapshot_key());
            keys.sign_as_publisher(command)?;
            // By the environment: a command line can be read by every user of the machine.
            command.envs(origin.feed_token.as_ref().map(|token| ("ADMIT_ORIGIN_TOKEN", token)));
            Ok(())
        })
    })
}
