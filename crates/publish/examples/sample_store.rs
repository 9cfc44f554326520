//! Builds the sample store of a release: the same bytes from the same lines, whenever and wherever it runs.
//!
//! ```text
//! sample_store OUT FILE.ndjson ...     writes OUT/objects/<kind>-<digest> and OUT/head.json, the head without a signature
//! ```
//!
//! `admit publish` draws a random salt for a store, which merchants cannot guess. Everyone knows this one, so that the
//! sample is for trying out only.

use std::{env, error::Error, fs, path::Path, process::ExitCode};

use admit_publish::{
    build::{Layout, MemorySink},
    source::{Source, SpillPlan, Strictness},
};
use admit_snapshot::{key::ItemSalt, time::UnixSecs};

/// Moments relative to publishing count from here: 2026-01-01T00:00:00Z.
const EPOCH: UnixSecs = 1_767_225_600;

/// The first version.
const SEQ: u64 = 1;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let out = arguments.next().ok_or("usage: sample_store OUT FILE.ndjson ...")?;
    let mut source = Source::new(EPOCH, Strictness::Refuse, SpillPlan::default());
    for file in arguments {
        source.read(&file, fs::File::open(&file)?)?;
    }
    let sink = MemorySink::default();
    let outcome = source.build(Some(Layout::new(ItemSalt::IN_MEMORY)), &sink)?;
    for error in outcome.problems.errors.kept() {
        eprintln!("{error}");
    }
    let built = outcome.built.ok_or("the sample has errors")?;
    let objects = Path::new(&out).join("objects");
    fs::create_dir_all(&objects)?;
    for (name, _) in &built.objects {
        let bytes = sink.take(*name);
        // An object that is named twice has been written already.
        if let Some(bytes) = bytes {
            fs::write(objects.join(name.to_string().replace('/', "-")), bytes)?;
        }
    }
    let head = serde_json::to_string_pretty(&built.head(SEQ, EPOCH))?;
    Ok(fs::write(Path::new(&out).join("head.json"), head + "\n")?)
}
