//! `cargo xtask dev`: the whole on this machine - origin, publisher, Worker - with a catalogue and viewers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::{Result, bail};

use crate::{
    build,
    guarded::Guarded,
    job,
    keys::{self, DevKeys},
    origin::{self, Origin},
    paths::Paths,
    personas::{self, Persona},
    server::{self, Server},
    setup,
    step::Step,
};

/// wrangler's own default.
const PORT: u16 = 8787;

/// The origin's port is the Worker's and this, unless it is busy: 8790.
const ORIGIN_PORT_OFFSET: u16 = 3;

/// Arguments of `cargo xtask dev`.
#[derive(clap::Args)]
pub struct Args {
    /// Port to answer on [default: 8787, or the next free one]
    #[arg(long)]
    port: Option<u16>,
    /// Go on with the data of the last run, instead of the sample catalogue as it is new
    #[arg(long)]
    keep: bool,
    /// Only the Worker, with the sample catalogue published once: you publish what you like
    #[arg(long)]
    edge_only: bool,
    /// Ask what every persona expects, print a table and stop; the exit code says whether all held
    #[arg(long)]
    check: bool,
}

/// A local Worker, the origin behind it, and the publisher between them. Stopped in this order, the publisher
/// gives its lease back first.
#[derive(Debug)]
pub struct Running {
    publisher: Option<Guarded>,
    /// The Worker.
    pub server: Server,
    /// The origin, if there is one.
    pub origin: Option<Origin>,
    /// The sample viewers.
    pub personas: Vec<Persona>,
}

/// Runs `cargo xtask dev`.
///
/// # Errors
/// Set-up, build, start or publishing fails, or one of the servers ends by itself.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let rust = setup::build_tools(&paths)?;
    build::worker(&paths, &rust, false, false)?;
    let keys = keys::ensure(&paths)?;
    let port = choose_port(args.port)?;
    // Two Workers must not share one store, so each further port has a directory of its own.
    let dir = if port == PORT { paths.dev() } else { paths.dev().join(format!("port-{port}")) };
    if !args.keep {
        forget(&dir)?;
    }
    let mut running = if args.edge_only {
        start_edge(&paths, &keys, port, &dir)?
    } else {
        start(&paths, &keys, port, &dir)?
    };
    let file = personas::write(&dir, &running.personas)?;
    if args.check {
        let (_, wrong) = personas::check(&running.server, &running.personas)?;
        return Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for persona in &running.personas {
        println!("{}", persona.describe());
    }
    println!("\nThe Worker answers at {}", running.server.base_url);
    if let Some(origin) = &running.origin {
        println!("The origin answers at {}", origin.base_url);
        println!("The origin's database: {}", origin.database.display());
        println!("The origin's log:     {}", origin.log().display());
    }
    if let Some(publisher) = &running.publisher {
        println!("The publisher's log:  {}", publisher.log().display());
    }
    println!("Personas as JSON:     {}", file.display());
    println!("The Worker's log:     {}", running.server.log().display());
    println!("Ctrl-C stops it all.");
    running.stay(&paths, &dir)?;
    eprintln!("\nStopping ...");
    Ok(ExitCode::SUCCESS)
}

impl Running {
    /// Stays until we are asked to stop. An origin that ends is news, but no reason to end: what the edge does
    /// without one is worth a look.
    fn stay(&mut self, paths: &Paths, dir: &Path) -> Result<()> {
        let mut has_origin = true;
        while !job::interrupted() {
            self.server.check_alive()?;
            if let Some(publisher) = &mut self.publisher {
                publisher.check_alive()?;
            }
            if has_origin
                && let Some(origin) = &mut self.origin
                && let Err(error) = origin.check_alive()
            {
                has_origin = false;
                eprintln!("\n{error:#}\n\nThe Worker goes on without it. Start it again with");
                eprintln!("  cargo xtask origin --dir {}", paths.shown(dir));
            }
            thread::sleep(job::POLL);
        }
        Ok(())
    }
}

/// Removes what an earlier run has stored: the samples' moments count from now, so that data of yesterday would
/// not answer as the viewers' descriptions say.
fn forget(dir: &Path) -> Result<()> {
    let state = dir.join("state");
    if state.exists() {
        fs::remove_dir_all(&state)?;
    }
    let files = ["origin.db", "origin.db-wal", "origin.db-shm"].map(|name| dir.join(name));
    files.iter().filter(|file: &&PathBuf| file.exists()).try_for_each(fs::remove_file)?;
    Ok(())
}

fn choose_port(asked: Option<u16>) -> Result<u16> {
    let wanted = asked.unwrap_or(PORT);
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

/// Starts origin, Worker and publisher in `dir`, and mints the personas' tokens.
///
/// # Errors
/// One of these fails.
pub fn start(paths: &Paths, keys: &DevKeys, port: u16, dir: &Path) -> Result<Running> {
    let origin_port = server::free_port(port.saturating_add(ORIGIN_PORT_OFFSET))?;
    let origin = Origin::start(paths, keys, origin_port, dir)?;
    eprintln!("  starting the Worker on port {port} (a few seconds) ...");
    let mut server = Server::start(paths, port, dir, &origin.vars(keys)?)?;
    let publisher = origin::follow(paths, keys, &origin, &server.base_url, dir)?;
    server.wait_for(&[200])?;
    let personas = personas::mint(paths, keys, &server.base_url)?;
    Ok(Running { publisher: Some(publisher), server, origin: Some(origin), personas })
}

/// Starts the Worker alone and publishes the sample catalogue, once.
fn start_edge(paths: &Paths, keys: &DevKeys, port: u16, dir: &Path) -> Result<Running> {
    eprintln!("  starting the Worker on port {port} (a few seconds) ...");
    let mut server = Server::start(paths, port, dir, &[])?;
    let mut publish = keys.admit();
    publish
        .args(["publish", "--from", "samples/catalogue", "--to", &server.base_url, "--key"])
        .arg(keys.snapshot_key())
        .env("ADMIT_TOKEN", keys.publisher_token()?)
        .current_dir(&paths.root);
    Step::new(paths, "publish", "publishing the sample catalogue", "seconds").run(&mut publish)?;
    server.wait_for(&[200])?;
    let personas = personas::mint(paths, keys, &server.base_url)?;
    Ok(Running { publisher: None, server, origin: None, personas })
}
