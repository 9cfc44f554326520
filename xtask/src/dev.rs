//! `cargo xtask dev`: the Worker on this machine with the sample catalogue and viewers.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Result, bail};

use crate::{
    build,
    keys::{self, DevKeys},
    paths::Paths,
    personas::{self, Persona},
    server::{self, Server},
    setup,
    step::Step,
};

/// wrangler's own default.
const PORT: u16 = 8787;

/// Arguments of `cargo xtask dev`.
#[derive(clap::Args)]
pub struct Args {
    /// Port to answer on [default: 8787, or the next free one]
    #[arg(long)]
    port: Option<u16>,
    /// Ask what every persona expects, print a table and stop; the exit code says whether all held
    #[arg(long)]
    check: bool,
}

/// A local Worker with the sample snapshot published.
#[derive(Debug)]
pub struct Running {
    /// The Worker.
    pub server: Server,
    /// The sample viewers.
    pub personas: Vec<Persona>,
}

/// Runs `cargo xtask dev`.
///
/// # Errors
/// Set-up, build, start or publishing fails, or the Worker ends by itself.
pub fn run(args: &Args) -> Result<ExitCode> {
    let paths = Paths::find()?;
    let rust = setup::build_tools(&paths)?;
    build::worker(&paths, &rust, false, false)?;
    let keys = keys::ensure(&paths)?;
    let port = choose_port(args.port)?;
    // Two Workers must not share one store, so each further port has a directory of its own.
    let dir = if port == PORT { paths.dev() } else { paths.dev().join(format!("port-{port}")) };
    let mut running = start(&paths, &keys, port, &dir)?;
    let file = personas::write(&dir, &running.personas)?;
    if args.check {
        let (_, wrong) = personas::check(&running.server, &running.personas)?;
        return Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for persona in &running.personas {
        println!("{}", persona.describe());
    }
    println!("\nThe Worker answers at {}", running.server.base_url);
    println!("Personas as JSON:     {}", file.display());
    println!("The Worker's log:     {}", running.server.log().display());
    println!("Ctrl-C stops it all.");
    running.server.stay()?;
    eprintln!("\nStopping ...");
    Ok(ExitCode::SUCCESS)
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

/// Starts the Worker in `dir`, publishes the samples and mints the personas' tokens.
///
/// # Errors
/// One of these fails.
pub fn start(paths: &Paths, keys: &DevKeys, port: u16, dir: &Path) -> Result<Running> {
    eprintln!("  starting the Worker on port {port} (a few seconds) ...");
    let mut server = Server::start(paths, port, dir)?;
    let mut publish = keys.admit();
    publish
        .args(["publish", "--from", "samples/catalogue", "--to", &server.base_url, "--key"])
        .arg(keys.snapshot_key())
        // By the environment: a command line can be read by every user of the machine.
        .env("ADMIT_TOKEN", keys.publisher_token()?)
        .current_dir(&paths.root);
    publish_step(paths, &mut publish)?;
    server.wait_for(&[200])?;
    let personas = personas::mint(paths, keys, &server.base_url)?;
    Ok(Running { server, personas })
}

fn publish_step(paths: &Paths, publish: &mut Command) -> Result<()> {
    Step::new(paths, "publish", "publishing the sample catalogue", "seconds").run(publish)
}
