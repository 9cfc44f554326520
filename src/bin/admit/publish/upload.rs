//! Uploads the objects that the edge lacks, and makes sure of each that it can be read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use admit::snapshot::object::ObjectName;
use anyhow::{Context, Result, bail};

use crate::{
    edge::{Edge, Patience},
    parallel,
    progress::Progress,
};

/// Calls at the same time: enough to hide the way to the edge, few enough for any rate limit.
const THREADS: usize = 4;

/// What an upload came to.
#[derive(Debug, Default)]
pub struct Uploaded {
    /// Objects that the edge lacked.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the edge had.
    pub skipped: usize,
}

/// Whether to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Upload what is missing.
    Upload,
    /// Only find out what is missing.
    DryRun,
}

/// Uploads what the edge lacks of `objects`, and reads it back.
///
/// # Errors
/// The edge does not answer, refuses, or does not have what it was given.
pub fn upload(
    edge: &Edge,
    objects: &[(ObjectName, Vec<u8>)],
    mode: Mode,
    progress: &Progress,
) -> Result<Uploaded> {
    let (count, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    parallel::for_each(objects, THREADS, |(name, object)| {
        if !edge.has_object(*name)? {
            if mode == Mode::Upload {
                edge.put_object(*name, object)?;
                verify(edge, *name)?;
            }
            count.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(object.len() as u64, Ordering::Relaxed);
        }
        progress.advance(object.len() as u64);
        Ok(())
    })?;
    let uploaded = count.into_inner();
    Ok(Uploaded { objects: uploaded, bytes: bytes.into_inner(), skipped: objects.len() - uploaded })
}

/// Reads an object back, until it is there: the store may know for a while that it was not.
fn verify(edge: &Edge, name: ObjectName) -> Result<()> {
    let mut patience = Patience::for_objects();
    loop {
        if edge.object(name).context("an uploaded object cannot be read back")?.is_some() {
            return Ok(());
        }
        match patience.next(None) {
            Some(pause) => std::thread::sleep(pause),
            None => bail!("{name} was uploaded, but the Worker still does not have it"),
        }
    }
}
