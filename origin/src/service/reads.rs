//! The reads that the edge has, answered from the database as it is now: what a read concerns is loaded in
//! one read transaction, made into a snapshot of just that by the publisher's own builder, and answered by the
//! edge's own code. Edge and origin thus cannot differ but by what they know.

use std::{collections::BTreeSet, rc::Rc};

use admit::{
    api::{
        reply::{Reply, Request},
        route::Route,
    },
    app::App,
    snapshot::{
        build::{BuildError, build_part},
        directory::Directory,
        index::Index,
        object::{FormatError, ObjectKind},
        schema::Line,
        time::UnixSecs,
        version::{ObjectCache, Version},
    },
};
use rusqlite::{Connection, ToSql, types::FromSql};

use super::{platform::OriginPlatform, verify};
use crate::db::{self, DbError, records::Ref};

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

/// What a read can concern: the item and what leads to it, the customer, the token's client.
fn concerned(
    app: &App<OriginPlatform>,
    connection: &Connection,
    request: &Request<'_>,
) -> Result<BTreeSet<Ref>, DbError> {
    let mut concerned = Concerned { connection, records: BTreeSet::new() };
    match Route::parse(request.path) {
        Some(Route::Access(id)) => {
            let id = id.number();
            concerned.items(PACKAGES_OF, id)?;
            let sql = "SELECT license_id FROM license_items WHERE item_id = ?1 UNION SELECT license_id
                       FROM license_items JOIN package_items ON package_id = license_items.item_id
                       WHERE package_items.item_id = ?1";
            concerned.licenses(sql, id)?;
            concerned.token(app, request)?;
        }
        Some(Route::License) => {
            if let Some(client_id) = concerned.token(app, request)? {
                let sql = "SELECT id FROM licenses WHERE app_id =
                           (SELECT app_id FROM clients WHERE client_id = ?1)";
                concerned.licenses(sql, &client_id)?;
            }
        }
        Some(Route::PackageItems(id)) => concerned.items(MEMBERS_OF, id.number())?,
        Some(
            Route::Item(id)
            | Route::MerchantItem(_, id)
            | Route::Fees(id)
            | Route::Fee(id, _)
            | Route::Package(id),
        ) => concerned.items(NO_OTHERS, id.number())?,
        _ => {}
    }
    Ok(concerned.records)
}

const PACKAGES_OF: &str = "SELECT package_id FROM package_items WHERE item_id = ?1";
const MEMBERS_OF: &str = "SELECT item_id FROM package_items WHERE package_id = ?1";
const NO_OTHERS: &str = "SELECT id FROM items WHERE id = ?1";

struct Concerned<'c> {
    connection: &'c Connection,
    records: BTreeSet<Ref>,
}

impl Concerned<'_> {
    /// Adds what `sql` finds.
    fn add<Id: FromSql>(&mut self, sql: &str, of: impl ToSql, name: fn(Id) -> Ref) -> Result<(), DbError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([of])?;
        while let Some(row) = rows.next()? {
            self.records.insert(name(row.get(0)?));
        }
        Ok(())
    }

    /// Adds an item, the items that `sql` finds beside it, and what their fees sell.
    fn items(&mut self, sql: &str, id: Option<i64>) -> Result<(), DbError> {
        let Some(id) = id else { return Ok(()) };
        self.records.insert(Ref::Item(id));
        self.add(sql, id, Ref::Item)?;
        // All of them are one merchant's.
        self.add("SELECT merchant_id FROM items WHERE id = ?1", id, Ref::Merchant)?;
        let sql =
            "SELECT id FROM access_types WHERE account_id = (SELECT merchant_id FROM items WHERE id = ?1)";
        self.add(sql, id, Ref::AccessType)
    }

    /// Adds the licences that `sql` finds, and their apps.
    fn licenses(&mut self, sql: &str, of: impl ToSql + Copy) -> Result<(), DbError> {
        self.add(sql, of, Ref::License)?;
        self.add(&format!("SELECT app_id FROM licenses WHERE id IN ({sql})"), of, Ref::App)
    }

    /// Adds whom and what the token names; its client. One that is refused is answered by the service: it
    /// concerns nobody.
    fn token(&mut self, app: &App<OriginPlatform>, request: &Request<'_>) -> Result<Option<String>, DbError> {
        let Ok(token) = verify(app, request) else { return Ok(None) };
        let principal = &token.principal;
        let (namespace, subject) = (principal.namespace.to_string(), principal.subject.clone());
        self.records.insert(Ref::Customer { namespace, subject });
        if let Some(client_id) = &principal.client_id {
            self.add("SELECT app_id FROM clients WHERE client_id = ?1", client_id, Ref::App)?;
        }
        Ok(principal.client_id.clone())
    }
}

fn push(ndjson: &mut Vec<u8>, line: &Line) -> Result<(), DbError> {
    serde_json::to_writer(&mut *ndjson, line)?;
    ndjson.push(b'\n');
    Ok(())
}

/// A snapshot of the lines, as the publisher makes it, ready to be read.
fn version(ndjson: &[u8], seq: u64, now: UnixSecs) -> Result<(Version, ObjectCache), ReadError> {
    let lines = serde_json::Deserializer::from_slice(ndjson).into_iter();
    let lines =
        lines.collect::<Result<Vec<Line>, _>>().map_err(|error| ReadError::Build(error.to_string()))?;
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
