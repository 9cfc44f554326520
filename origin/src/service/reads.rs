//! The reads that the edge has, answered from the database as it is now: what a read concerns is loaded in
//! one read transaction, made into a snapshot of just that by the publisher's own builder, and answered by the
//! edge's own code. Edge and origin thus cannot differ but by what they know.

use std::rc::Rc;

use admit::{
    api::{
        reply::{Reply, Request},
        route::{Id, Route},
    },
    app::App,
    snapshot::{
        build::{BuildError, build},
        directory::Directory,
        index::Index,
        object::{FormatError, ObjectKind},
        schema::Line,
        source::{Lines, Strictness},
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
};
use rusqlite::Connection;

use super::platform::OriginPlatform;
use crate::db::{self, DbError, records, records::Ref};

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
    let mut ndjson = Vec::new();
    for record in concerned(app, &transaction, request)? {
        if let Some(line) = record.load(&transaction)? {
            push(&mut ndjson, &line)?;
        }
    }
    drop(transaction);
    let (version, mut objects) = version(&ndjson, seq, now)?;
    Ok((app.answer_from(request, &version, &mut objects), seq))
}

/// What a read can concern: all that has a say in any decision, the item, what leads to it, the customer.
fn concerned(
    app: &App<OriginPlatform>,
    connection: &Connection,
    request: &Request<'_>,
) -> Result<Vec<Ref>, DbError> {
    let mut concerned = Vec::new();
    names(connection, "SELECT id FROM merchants", Ref::Merchant, &mut concerned)?;
    names(connection, "SELECT id FROM apps", Ref::App, &mut concerned)?;
    names(connection, "SELECT id FROM access_types", Ref::AccessType, &mut concerned)?;
    names(connection, "SELECT id FROM licenses", Ref::License, &mut concerned)?;
    let others = match Route::parse(request.path) {
        Some(Route::Access(id)) => {
            customer(app, request, &mut concerned);
            others(connection, "SELECT package_id FROM package_items WHERE item_id = ?1", id, &mut concerned)?
        }
        Some(Route::License) => {
            customer(app, request, &mut concerned);
            Vec::new()
        }
        Some(Route::PackageItems(id)) => {
            others(connection, "SELECT item_id FROM package_items WHERE package_id = ?1", id, &mut concerned)?
        }
        Some(
            Route::Item(id)
            | Route::MerchantItem(_, id)
            | Route::Fees(id)
            | Route::Fee(id, _)
            | Route::Package(id),
        ) => {
            concerned.extend(id.number().map(Ref::Item));
            Vec::new()
        }
        _ => Vec::new(),
    };
    concerned.extend(others.into_iter().map(Ref::Item));
    Ok(concerned)
}

fn names<Id: rusqlite::types::FromSql>(
    connection: &Connection,
    sql: &str,
    name: fn(Id) -> Ref,
    concerned: &mut Vec<Ref>,
) -> Result<(), DbError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        concerned.push(name(row.get(0)?));
    }
    Ok(())
}

/// An item, and the items that `sql` finds beside it.
fn others(
    connection: &Connection,
    sql: &str,
    id: Id<'_>,
    concerned: &mut Vec<Ref>,
) -> Result<Vec<i64>, DbError> {
    let Some(id) = id.number() else { return Ok(Vec::new()) };
    concerned.push(Ref::Item(id));
    records::ids(connection, sql, id)
}

/// Whom the token names. One that is refused is answered by the service: nobody is concerned.
fn customer(app: &App<OriginPlatform>, request: &Request<'_>, concerned: &mut Vec<Ref>) {
    if let Ok(token) = app.verify(request) {
        let (namespace, subject) = (token.principal.namespace.to_string(), token.principal.subject.clone());
        concerned.push(Ref::Customer { namespace, subject });
    }
}

fn push(ndjson: &mut Vec<u8>, line: &Line) -> Result<(), DbError> {
    serde_json::to_writer(&mut *ndjson, line)?;
    ndjson.push(b'\n');
    Ok(())
}

/// A snapshot of the lines, as the publisher makes it, ready to be read.
fn version(ndjson: &[u8], seq: u64, now: UnixSecs) -> Result<(Version, ObjectCache), ReadError> {
    let mut lines = Lines::default();
    let read = lines.read("database", ndjson, Strictness::StopAtFirst);
    if let Err(error) = read {
        return Err(ReadError::Build(error.to_string()));
    }
    if let Some(error) = lines.errors.first() {
        return Err(ReadError::Build(error.to_string()));
    }
    let built = build(&lines, now)?;
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
