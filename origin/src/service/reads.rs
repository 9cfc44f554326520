//! The reads that the edge has, answered from the database as it is now: what a read [concerns](super::concerned) is
//! loaded in one read transaction, made into a snapshot of just that by the publisher's own builder, and answered by
//! the edge's own code. Edge and origin thus cannot differ but by what they know.

use std::rc::Rc;

use admit::{
    api::reply::{Reply, Request},
    app::App,
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

use super::{concerned::Concerned, platform::OriginPlatform};
use crate::db::{self, DbError};

/// Why a read cannot be answered. None of it is the client's fault.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// What was loaded makes no snapshot.
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

/// Answers a read at `now`. The answer is not complete, and says as of which change it is.
///
/// # Errors
/// When the database cannot be read.
pub fn answer(
    app: &App<OriginPlatform>,
    connection: &Connection,
    request: &Request<'_>,
    now: UnixSecs,
) -> Result<(Reply, u64), ReadError> {
    let transaction = connection.unchecked_transaction()?;
    let seq = db::seq(&transaction)?;
    let Concerned { lines, window, .. } = Concerned::by(app, &transaction, request)?;
    drop(transaction);
    let (version, mut objects) = version(lines, seq, now)?;
    Ok((app.answer_page_from(request, &version, &mut objects, window), seq))
}

/// A snapshot of the lines, as the publisher makes it, ready to be read.
fn version(lines: Vec<Line>, seq: u64, now: UnixSecs) -> Result<(Version, ObjectCache), ReadError> {
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
