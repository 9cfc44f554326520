//! `cargo xtask dev`: the whole on this machine - origin, publisher, Worker - with a catalogue and viewers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::{
    build, console, job,
    job::Stopwatch,
    keys::{self, DevKeys},
    media::{self, Media},
    native, node,
    origin::{self, Origin},
    paths::Paths,
    personas::{self, Persona, Staff},
    prebuilt,
    run::{self, DEFAULT_PORT, Run, Selection},
    server, setup,
    step::Step,
    supervise::{Part, START_LIMIT},
};

/// The origin's port is the Worker's and this, unless it is busy: 8790.
const ORIGIN_PORT_OFFSET: u16 = 3;

/// The media origin's port is the Worker's and this, unless it is busy: 8791.
const MEDIA_PORT_OFFSET: u16 = 4;

/// The viewers whose checks are printed: one who may play, and one who may not.
const SHOWN: [&str; 2] = ["subscriber", "never-bought"];

/// Files of an earlier run that would make this one answer otherwise.
const DATA: [&str; 3] = ["origin.db", "origin.db-wal", "origin.db-shm"];

/// Logs that begin anew with each run.
const LOGS: [&str; 4] = ["media.log", "origin.log", "publisher.log", "wrangler.log"];

/// Arguments of `cargo xtask dev`.
#[derive(clap::Args)]
pub struct Args {
    // The port is 8787 or the next free one, unless it is asked for.
    #[command(flatten)]
    selection: Selection,
    /// Go on with the data of the last run, instead of the sample catalogue as it is new
    #[arg(long)]
    keep: bool,
    /// Only the Worker, with the sample catalogue published once: you publish what you like
    #[arg(long)]
    edge_only: bool,
    /// An origin of your own, instead of the reference origin; its export is at URL/export
    #[arg(long, value_name = "URL", conflicts_with_all = ["edge_only", "check"])]
    origin: Option<String>,
    /// The bearer token with which that origin lets the publisher read its export
    #[arg(long, value_name = "TOKEN", env = "ADMIT_ORIGIN_TOKEN", hide_env_values = true)]
    origin_token: Option<String>,
    /// A JSON file with a list of issuers that the Worker trusts too, written as in ISSUERS
    #[arg(long, value_name = "FILE", requires = "origin")]
    issuers: Option<PathBuf>,
    /// Run the Worker of a release, an admit-worker-*.tar.gz of the same sources, instead of building it
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// Ask what every sample viewer expects, print a table and stop; the exit code says whether all held
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask dev`.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let release = prepare(&paths, args)?;
    let keys = keys::ensure(&paths)?;
    let port = choose_port(args.selection.port)?;
    let dir = args.selection.dir(&paths, port)?;
    let _lock = run::take(&dir)?;
    forget(&dir, args.keep)?;
    let origin = origin_of(args, &paths, &keys, port, &dir)?;
    let edge_url = format!("http://127.0.0.1:{port}");
    let media = Media::on(media_port(port, origin.as_ref().map(|origin| &*origin.url))?);
    let personas = personas::mint(&paths, &keys, &edge_url)?;
    let option = args.selection.option(&paths, port);
    console::write_samples(&paths, &keys, &personas, &option, &dir)?;
    let config = release.as_ref().map(|release| release.join("wrangler.toml"));
    let worker = WorkerPlace { port, url: &edge_url, config: config.as_deref() };
    let mut parts = start(&paths, &keys, &worker, origin.as_ref(), &media, &dir)?;
    if origin.is_none() {
        publish_once(&paths, &keys, &edge_url)?;
    }
    let is_published = wait_for_content(&mut parts, &edge_url, args.origin.is_none())?;
    personas::write(&dir, &personas)?;
    personas::write_staff(&dir, &Staff::OPERATOR, &keys.operator_token()?)?;
    personas::write_staff(&dir, &Staff::SUPPORT, &keys.support_token()?)?;
    let reference = origin.as_ref().and_then(|origin| origin.reference.as_ref());
    let run = Run {
        dir: dir.clone(),
        edge_url: edge_url.clone(),
        origin_url: origin.as_ref().map(|origin| origin.url.clone()),
        origin_program: reference.map(|reference| reference.program.clone()),
        origin_database: reference.map(|reference| reference.database.clone()),
    };
    run.write()?;
    if args.check {
        let (_, wrong) = personas::check(&personas)?;
        return Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!("{}", describe(&paths, &run, &media, &keys, &personas, &option));
    if !is_published {
        println!("Nothing is published yet: the Worker answers 503 until the publisher has read the export.");
    }
    while !job::interrupted() {
        parts.iter_mut().try_for_each(Part::tick)?;
        thread::sleep(job::POLL);
    }
    eprintln!("\nStopping ...");
    Ok(ExitCode::SUCCESS)
}

/// Builds Worker, console and programs, or takes Worker and console from a release; says where the release is.
fn prepare(paths: &Paths, args: &Args) -> Result<Option<PathBuf>> {
    paths.claim_target()?;
    let release = prebuilt::find(paths, args.worker.as_deref())?;
    thread::scope(|scope| {
        // Beside the Worker: downloads, linkers and the optimisation of one module leave a processor free.
        let programs = scope.spawn(|| native::programs(paths));
        let made = match &release {
            Some(_) => {
                eprintln!(
                    "  running the Worker of release {}: changes of its sources have no effect",
                    env!("CARGO_PKG_VERSION")
                );
                node::ensure(paths)
            }
            None => build_worker(paths),
        };
        let programs = programs.join().map_err(|_| anyhow!("the build of the programs panicked"))?;
        made.and(programs)
    })?;
    Ok(release)
}

fn build_worker(paths: &Paths) -> Result<()> {
    let rust = setup::build_tools(paths)?;
    console::build(paths, false, false)?;
    build::worker(paths, &rust, false, false).map(drop)
}

/// The addresses and files that people need to go on, in a dozen lines.
fn describe(
    paths: &Paths,
    run: &Run,
    media: &Media,
    keys: &DevKeys,
    personas: &[Persona],
    option: &str,
) -> String {
    let dir = paths.shown(&run.dir);
    let mut text =
        format!("\nOpen     {}/console/     why may a viewer play an item, or not?\n\n", run.edge_url);
    text += &format!("Worker   {}\n", run.edge_url);
    if let Some(url) = &run.origin_url {
        text += &format!("origin   {url}\n");
    }
    text += &format!("media    {}\n", media.url);
    text += &format!("keys     {}\n", paths.shown(keys.dir()));
    text += &format!("command  {}\n", paths.shown(keys.program()));
    let logs: Vec<_> = LOGS.into_iter().filter(|log| run.dir.join(log).exists()).collect();
    text += &format!("files    {dir}: {}, state, {}\n\n", personas::FILE, logs.join(", "));
    for persona in personas.iter().filter(|persona| SHOWN.contains(&persona.name())) {
        text += &format!(
            "curl -i -H \"Authorization: Bearer $(cargo xtask token {}{option})\" {}\n",
            persona.name(),
            persona.check_url()
        );
    }
    if let Some(persona) = personas.iter().find(|persona| persona.name() == SHOWN[0]) {
        text += &media::commands(&persona.playback_url(), persona.name(), option);
    }
    text + "\n`cargo xtask token` lists the other viewers. Ctrl-C stops everything."
}

/// Removes the data of an earlier run, unless `keep` is set: the samples' moments count from now, so that
/// data of yesterday would not answer as the viewers' descriptions say.
fn forget(dir: &Path, keep: bool) -> Result<()> {
    let mut files = LOGS.to_vec();
    if !keep {
        let state = dir.join("state");
        if state.exists() {
            fs::remove_dir_all(&state)?;
        }
        files.extend(DATA);
    }
    let files = files.iter().map(|name| dir.join(name)).filter(|file| file.exists());
    files.into_iter().try_for_each(fs::remove_file).context("cannot remove a file of the last run")
}

fn choose_port(asked: Option<u16>) -> Result<u16> {
    let wanted = asked.unwrap_or(DEFAULT_PORT);
    let free = server::free_port(wanted)?;
    match asked {
        Some(asked) if asked != 0 && asked != free => {
            bail!("port {asked} is busy: stop what uses it, or choose another (next free: {free})")
        }
        None if free != wanted => eprintln!("  port {wanted} is busy, using {free}"),
        _ => {}
    }
    Ok(free)
}

/// A free port for the media origin. The origin does not listen yet, so that its port still looks free.
fn media_port(port: u16, origin_url: Option<&str>) -> Result<u16> {
    let free = server::free_port(port.saturating_add(MEDIA_PORT_OFFSET))?;
    let of_origin = origin_url.and_then(|url| url.rsplit(':').next()?.parse().ok());
    if of_origin == Some(free) { server::free_port(free.saturating_add(1)) } else { Ok(free) }
}

/// The origin behind the Worker, if it has one.
fn origin_of(args: &Args, paths: &Paths, keys: &DevKeys, port: u16, dir: &Path) -> Result<Option<Origin>> {
    if args.edge_only {
        return Ok(None);
    }
    let Some(url) = &args.origin else {
        let port = server::free_port(port.saturating_add(ORIGIN_PORT_OFFSET))?;
        return Origin::reference(paths, keys, port, dir).map(Some);
    };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        bail!("--origin {url}: expected a URL, such as http://127.0.0.1:3000");
    }
    let issuers = match &args.issuers {
        Some(file) => read_issuers(file).with_context(|| format!("--issuers {}", file.display()))?,
        None => Vec::new(),
    };
    let url = url.trim_end_matches('/').to_owned();
    // An origin of the developer's own has a secret of its own, or none.
    let edge_secret = std::env::var("ORIGIN_SECRET").ok().filter(|secret| !secret.is_empty());
    Ok(Some(Origin { url, feed_token: args.origin_token.clone(), edge_secret, reference: None, issuers }))
}

fn read_issuers(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).context("cannot read it")?;
    serde_json::from_str(&text).context("expected a JSON list of issuers")
}

/// Where the Worker answers, and what it is.
struct WorkerPlace<'a> {
    port: u16,
    url: &'a str,
    /// wrangler's configuration of a release; `None` for the one that is built here.
    config: Option<&'a Path>,
}

/// Starts origin, Worker and publisher. They stop in the opposite order when they are dropped: the publisher gives
/// its lease back first.
fn start<'a>(
    paths: &'a Paths,
    keys: &'a DevKeys,
    worker: &WorkerPlace<'a>,
    origin: Option<&'a Origin>,
    media: &'a Media,
    dir: &'a Path,
) -> Result<Parts<'a>> {
    let mut parts = vec![media.start(paths, keys, dir)?];
    if let Some(origin) = origin
        && let Some(reference) = &origin.reference
    {
        parts.push(origin::start(paths, keys, origin, reference, dir)?);
    }
    let &WorkerPlace { port, url: edge_url, config } = worker;
    eprintln!("  starting the Worker on port {port} (a few seconds) ...");
    let mut vars = origin.map_or_else(|| Ok(Vec::new()), |origin| origin.vars(keys))?;
    vars.extend(media.vars(keys)?);
    let worker = move || server::start(paths, port, config, dir, &vars, &console::samples_file(dir));
    let worker = Part::start("Worker", dir.join("wrangler.log"), worker)?;
    parts.push(worker.answering_at(format!("{edge_url}/healthz")).needing("workerd"));
    parts.iter_mut().try_for_each(Part::wait)?;
    if let Some(origin) = origin {
        parts.push(origin::follow(paths, keys, origin, edge_url.to_owned(), dir)?);
    }
    Ok(Parts(parts))
}

/// The parts in the order in which they were started; dropping them stops them in the opposite one.
struct Parts<'a>(Vec<Part<'a>>);

impl<'a> Parts<'a> {
    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Part<'a>> {
        self.0.iter_mut()
    }
}

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

/// Publishes the sample catalogue to a Worker without a publisher.
fn publish_once(paths: &Paths, keys: &DevKeys, edge_url: &str) -> Result<()> {
    let mut publish = keys.admit();
    publish
        .args(["publish", "--from", "samples/catalogue", "--to", edge_url, "--key"])
        .arg(keys.snapshot_key())
        .env("ADMIT_TOKEN", keys.publisher_token()?)
        .current_dir(&paths.root);
    Step::new(paths, "publish", "publishing the sample catalogue", "seconds").run(&mut publish)
}

/// Waits until something is published; says whether it is. The samples are there within seconds, which is what `must`
/// demands; an origin of the developer's own may take its time or fail, and then the parts go on trying.
fn wait_for_content(parts: &mut Parts<'_>, edge_url: &str, must: bool) -> Result<bool> {
    let url = format!("{edge_url}/healthz");
    let watch = Stopwatch::start();
    let limit = if must { START_LIMIT } else { START_LIMIT / 30 };
    while watch.elapsed() < limit {
        parts.iter_mut().try_for_each(Part::tick)?;
        if server::get(&url, None, server::ANSWER_LIMIT).is_ok_and(|status| status == 200) {
            return Ok(true);
        }
        if job::interrupted() {
            bail!("interrupted");
        }
        thread::sleep(job::POLL);
    }
    if must {
        bail!(
            "{url} should answer 200 once something is published, but did not within {} s",
            limit.as_secs()
        );
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_origin_does_not_take_the_origins_port() {
        let port = server::free_port(0).unwrap();
        let usual = media_port(port, None).unwrap();
        let beside = media_port(port, Some(&format!("http://127.0.0.1:{usual}"))).unwrap();
        assert_ne!(usual, beside);
        assert_eq!(media_port(port, Some("https://origin.example")).unwrap(), usual);
    }
}
