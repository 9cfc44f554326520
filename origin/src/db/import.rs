//! Imports a catalogue in the publish schema into an empty database.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use admit::snapshot::{schema::Line, time::UnixSecs};
use admit_publish::{
    build::{BuildError, BuildOutcome, MemorySink},
    source::{Source, SpillPlan, Strictness},
};
use rusqlite::{Connection, TransactionBehavior};

use super::{
    DbError,
    audit::{self, Actor, Deed},
    numbers::{self, RecordKind},
    store,
};
use crate::{
    period::{Period, PeriodError},
    text::UTF8_BOM,
};

/// Why an import was refused. The database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file's path.
        path: String,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The directory has no files to import.
    #[error("{0} has no *.ndjson files")]
    NoFiles(String),
    /// The catalogue has invalid lines.
    #[error("{first} (of {count} errors in all)")]
    Lines {
        /// The first error.
        first: String,
        /// The number of errors.
        count: u64,
    },
    /// The database refuses a line. A publisher may repair or skip such a line; an import is all or nothing.
    #[error("{place}: {error}")]
    Line {
        /// File and line.
        place: String,
        /// The database's reason.
        error: DbError,
    },
    /// A period that cannot be sold: a purchase would fail after the viewer has paid.
    #[error("{place}: {record}: {error}")]
    Period {
        /// File and line.
        place: String,
        /// The access type, or the fee with the trial.
        record: String,
        /// The problem with the period.
        error: PeriodError,
    },
    /// The catalogue as a whole cannot be published.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The database is not new.
    #[error("the database is not empty")]
    NotEmpty,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The size of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The origin's `seq` after the import.
    pub seq: u64,
    /// Items, packages included.
    pub items: usize,
    /// Customers.
    pub customers: usize,
}

/// Whether no change was ever made to the database.
///
/// # Errors
/// If the database cannot be read.
pub fn is_empty(connection: &Connection) -> Result<bool, DbError> {
    Ok(connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM merchants)", [], |row| row.get(0))?)
}

/// Imports the catalogue at `from`, a file or a directory of `*.ndjson` files, as one change at `now`. The
/// catalogue is first checked with the publisher's rules. Moments relative to publishing become fixed. The
/// change is not in the log, since readers of the feed begin with an export.
///
/// # Errors
/// If the catalogue cannot be read, a line is invalid, the database is not empty, or it refuses a record.
pub fn import(connection: &mut Connection, from: &Path, now: UnixSecs) -> Result<Imported, ImportError> {
    // Two passes: the first checks the whole catalogue, the second inserts it.
    let paths = files(from)?;
    check(&paths, now)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !is_empty(&transaction)? {
        return Err(ImportError::NotEmpty);
    }
    // Lines may come before the records that they refer to, so references are checked at the commit.
    transaction.pragma_update(None, "defer_foreign_keys", true)?;
    let mut imported = Imported::default();
    for path in &paths {
        for (number, line) in (1_u64..).zip(open(path)?.split(b'\n')) {
            let line = line.map_err(failed(path))?;
            let line = line.strip_prefix(UTF8_BOM).unwrap_or(&line).trim_ascii();
            if line.is_empty() {
                continue;
            }
            let place = || format!("{}:{number}", path.display());
            let line = serde_json::from_slice(line).map_err(DbError::from);
            let line = line.map_err(|error| ImportError::Line { place: place(), error })?;
            check_periods(&line).map_err(|(record, error)| ImportError::Period {
                place: place(),
                record,
                error,
            })?;
            insert(&transaction, line, now, &mut imported)
                .map_err(|error| ImportError::Line { place: place(), error })?;
        }
    }
    // An export of another origin continues that origin's `seq`.
    let sql = "UPDATE state SET seq = max(seq + 1, ?1), history_from = max(seq + 1, ?1) RETURNING seq";
    imported.seq = transaction.query_row(sql, [imported.seq], |row| row.get(0))?;
    let deed = Deed::new("import", format!("items:{} customers:{}", imported.items, imported.customers));
    audit::record(
        &transaction,
        &Actor::command(0),
        &deed,
        &audit::DeedOutcome::Done(Some(imported.seq)),
        now,
    )?;
    transaction.commit()?;
    Ok(imported)
}

fn insert(
    connection: &Connection,
    line: Line,
    now: UnixSecs,
    imported: &mut Imported,
) -> Result<(), DbError> {
    match line {
        Line::Snapshot(snapshot) => imported.seq = snapshot.seq,
        Line::Merchant(merchant) => store::insert_merchant(connection, &merchant)?,
        Line::App(app) => store::insert_app(connection, &app)?,
        Line::License(license) => store::insert_license(connection, &license)?,
        Line::AccessType(access_type) => store::insert_access_type(connection, &access_type, now)?,
        Line::Item(item) => {
            store::put_item(connection, &item, now)?;
            store::set_members(connection, item.id, &item.item_ids)?;
            store::see_numbers(connection, &item)?;
            imported.items += 1;
        }
        Line::Customer(customer) => {
            store::insert_customer(connection, &customer, now)?;
            numbers::seen(connection, RecordKind::Customer, customer.id)?;
            for access in &customer.accesses {
                numbers::seen(connection, RecordKind::Access, access.id)?;
            }
            imported.customers += 1;
        }
    }
    Ok(())
}

/// Checks the periods of access types and trials; the error names the record.
fn check_periods(line: &Line) -> Result<(), (String, PeriodError)> {
    match line {
        Line::AccessType(access_type) => Period::of(access_type)
            .map(drop)
            .map_err(|error| (format!("access type {}", access_type.id), error)),
        Line::Item(item) => item.fees.iter().try_for_each(|fee| {
            let Some(trial) = &fee.trial_period else { return Ok(()) };
            let record = || format!("item {}, fee {}, trial_period", item.id, fee.id);
            Period::new(trial.quantity, &trial.period).map(drop).map_err(|error| (record(), error))
        }),
        _ => Ok(()),
    }
}

fn files(from: &Path) -> Result<Vec<PathBuf>, ImportError> {
    if !from.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let entries = std::fs::read_dir(from).map_err(failed(from))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed(from))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    paths.sort();
    if paths.is_empty() {
        return Err(ImportError::NoFiles(from.display().to_string()));
    }
    Ok(paths)
}

fn check(paths: &[PathBuf], now: UnixSecs) -> Result<(), ImportError> {
    let mut source = Source::new(now, Strictness::Refuse, SpillPlan::default());
    for path in paths {
        let name = path.display().to_string();
        source.read(&name, open(path)?).map_err(failed(path))?;
    }
    let BuildOutcome { problems, .. } = source.build(None, &MemorySink::default())?;
    match problems.errors.kept().first() {
        Some(first) => Err(ImportError::Lines { first: first.to_string(), count: problems.errors.total() }),
        None => Ok(()),
    }
}

fn open(path: &Path) -> Result<BufReader<File>, ImportError> {
    File::open(path).map(BufReader::new).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ImportError + use<> {
    let path = path.display().to_string();
    move |error| ImportError::Read { path, error }
}
