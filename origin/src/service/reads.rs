//! The edge's reads, answered from the database as it is now.
//!
//! ```text
//! request ─► Concerned: rows ─► Lines ─► build_part: a small snapshot ─► the edge's own code
//! ```
//!
//! The records that the read concerns (`service::concerned`) are loaded in one read transaction, and the
//! publisher's builder makes a snapshot of them. Edge and origin share both the builder and the reading code,
//! so they answer alike from the same data.

use std::rc::Rc;

use admit::{
    api::reply::{Reply, Request},
    snapshot::{
        directory::Directory,
        index::Index,
        object::{FormatError, ObjectKind},
        schema::Line,
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
};
use admit_publish::build::{BuildError, build_part};
use rusqlite::Connection;

use super::{concerned::Concerned, edge::EdgeParts};
use crate::db::{self, DbError};

/// Why a read failed. None of it is the client's fault.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The loaded records do not make a valid snapshot.
    #[error("{0}")]
    Build(String),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<BuildError> for ReadError {
    fn from(error: BuildError) -> Self {
        Self::Build(error.to_string())
    }
}

impl From<FormatError> for ReadError {
    fn from(error: FormatError) -> Self {
        Self::Build(error.to_string())
    }
}

/// Answers a read at `now`, and returns the `seq` of the data. The caller completes the reply's headers.
///
/// # Errors
/// If the database cannot be read.
pub fn answer(
    edge: &EdgeParts,
    connection: &Connection,
    request: &Request<'_>,
    now: UnixSecs,
) -> Result<(Reply, u64), ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let seq = db::seq(&transaction)?;
    let Concerned { lines, window, .. } = Concerned::by(edge, &transaction, request)?;
    drop(transaction);
    let (version, mut objects) = version(lines, seq, now)?;
    Ok((edge.answer(request, &version, &mut objects, window), seq))
}

/// A snapshot of the lines with its directory and index decoded, ready for the edge's code.
///
/// # Errors
/// If the lines do not make a valid snapshot.
pub fn version(lines: Vec<Line>, seq: u64, now: UnixSecs) -> Result<(Version, ObjectCache), ReadError> {
    let built = build_part(lines, now)?;
    let head = built.head(seq, now);
    let mut objects = ObjectCache::new(usize::MAX);
    let (mut index, mut directory) = (None, None);
    for (name, object) in built.objects {
        match name.kind {
            ObjectKind::Index => index = Some(Index::decode(object)?),
            ObjectKind::Directory => directory = Some(Directory::decode(&object)?),
            _ => objects.insert(name, object.into()),
        }
    }
    let (Some(index), Some(directory)) = (index, directory) else {
        return Err(ReadError::Build("a snapshot without index or directory".to_owned()));
    };
    Ok((Version { head, index: Rc::new(index), directory: Rc::new(directory), delta: None }, objects))
}
